"""A user's exception as data: their frames, their file names, nothing of ours."""

from __future__ import annotations

import traceback
from pathlib import Path

import hybrid_runtime
from hybrid_runtime.errors import ErrorData, HybridRuntimeError, StopRequested, error_classes

_OURS = str(Path(hybrid_runtime.__file__).parent) + "/"
MAX_KIND = 100
MAX_TEXT = 4_000
MAX_TRACEBACK = 40_000


def describe(error: BaseException, folder: Path | None = None) -> ErrorData:
    """What the user is told of this exception.

    Args:
        error: What their code raised.
        folder: Where their files were unpacked: left out of the file names shown.
    """
    try:
        return _describe(error, f"{folder}/" if folder else None)
    except BaseException as trouble:  # noqa: BLE001 - a user's __str__ may raise anything, too
        return ErrorData(
            kind=type(error).__name__,
            text=f"(the exception could not be shown: its own code raised {type(trouble).__name__})",
            family="UserCodeError",
        )


def _describe(error: BaseException, prefix: str | None) -> ErrorData:
    summary = traceback.TracebackException.from_exception(error, limit=-100, capture_locals=False)
    _trim(summary)
    lines = "".join(summary.format(chain=True))
    if prefix:
        lines = lines.replace(prefix, "")
    where = _where(summary, error, prefix)
    text = _text(error)
    kind = type(error).__name__
    family = kind if isinstance(error, HybridRuntimeError) and kind in error_classes() else "UserCodeError"
    if isinstance(error, StopRequested):
        kind = family = "AlgorithmTimeout"
    if prefix:
        text, where = text.replace(prefix, ""), where and where.replace(prefix, "")
    # "FILE, line N" may be in the text already, as in a refused circuit's.
    if where and ", in ".join(where.split(", in ")[:-1] or [where]) not in text:
        text = f"{text} ({where})"
    shown = lines[-MAX_TRACEBACK:] if summary.stack else None
    return ErrorData(kind=kind[:MAX_KIND], text=text[:MAX_TEXT], traceback=shown, family=family)


def _text(error: BaseException) -> str:
    text = str(error)
    if isinstance(error, SystemExit):
        return f"the algorithm called sys.exit({text}); end a job by returning Done(value)"
    if isinstance(error, KeyboardInterrupt):
        return "the algorithm raised KeyboardInterrupt" + (f": {text}" if text else "")
    if isinstance(error, ModuleNotFoundError):
        return f"{text}: it is not in this environment and not beside the algorithm's file"
    return text or type(error).__name__


def _trim(summary: traceback.TracebackException) -> None:
    """Drop our own frames, here and in every exception that this one came from."""
    waiting = [summary]
    seen: set[int] = set()
    while waiting:
        one = waiting.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        kept = [frame for frame in one.stack if not _is_ours(frame.filename)]
        one.stack = traceback.StackSummary.from_list(kept)
        waiting.extend(other for other in (one.__cause__, one.__context__) if other is not None)
        waiting.extend(one.exceptions or ())


def _is_ours(filename: str) -> bool:
    return filename.startswith((_OURS, "<frozen importlib"))


def _where(summary: traceback.TracebackException, error: BaseException, prefix: str | None) -> str | None:
    """The user's line nearest to the error: their own file's rather than a library's."""
    if summary.stack:
        own = [frame for frame in summary.stack if prefix and frame.filename.startswith(prefix)]
        frame = (own or [f for f in summary.stack if "site-packages" not in f.filename] or list(summary.stack))[-1]
        return f"{frame.filename}, line {frame.lineno}, in {frame.name}"
    if isinstance(error, SyntaxError):
        return f"{summary.filename}, line {summary.lineno}"
    return None
