"""A job as it is given to a dispatcher: made from what a user wrote, or from the journal of a former run."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from msgspec import structs

from hybrid_runtime.bundle import as_bundle
from hybrid_runtime.declared import limits_by_name, merged_limits
from hybrid_runtime.dispatcher.forking import fork_journal
from hybrid_runtime.dispatcher.journal import BUNDLE_NAME, JOURNAL_NAME, Fsync
from hybrid_runtime.dispatcher.locking import wait_until_free
from hybrid_runtime.dispatcher.surveying import refuse_completed, survey
from hybrid_runtime.errors import BundleError, InvalidInput, JournalError, ResultNotEncodable
from hybrid_runtime.limits import MAX_SEED, MAX_SHOTS, Limits, whole
from hybrid_runtime.optimizers.methods import canonical
from hybrid_runtime.protocol.bundles import Bundle, content_hash, decode_bundle, encode_bundle
from hybrid_runtime.protocol.control import Submit
from hybrid_runtime.values import decode_value, encode_value

MAX_STEPS = 10**12
# How a job says that its circuits are exact unless they name shots.
EXACT = 0
# A runtime that was left by its client needs a moment to end.
_PATIENCE_S = 10.0


def new_job_id() -> str:
    """A name for a job: the time it was made, so that names sort, and something random."""
    return f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{secrets.token_hex(3)}"


def new_job(
    algorithm: Any,
    *,
    parameters: Mapping[str, Any] | None,
    shots: int | None,
    seed: int | None,
    limits: Limits | None,
) -> Submit:
    """A new job, without a journal; the arguments are those of `LocalRuntime.submit`.

    Raises:
        InvalidInput: one of these cannot be used.
    """
    shots = EXACT if shots is None else whole("shots", shots, 1, MAX_SHOTS)
    seed = secrets.randbits(32) if seed is None else whole("seed", seed, 0, MAX_SEED)
    if limits is not None and not isinstance(limits, Limits):
        raise InvalidInput(f"limits are given as Limits(steps=…, …), not as {type(limits).__name__}")
    bundle = as_bundle(algorithm)
    given = _encoded(parameters, bundle.parameters)
    return Submit(new_job_id(), encode_bundle(bundle), given, seed, shots, merged_limits(bundle.limits, limits))


def resumed_job(algorithm: Any, journal: Path, fsync: str = Fsync.GROUP, on_divergence: str = "fail") -> Submit:
    """The job of a journal, to be taken up after its last step; everything but the algorithm is as it was.

    Raises:
        JournalError: the journal cannot be read, its job is still running, or there is nothing left to do.
    """
    fsync, on_divergence = checked_fsync(fsync), checked_divergence(on_divergence)
    if not journal.is_file():
        raise JournalError(f"there is no journal {journal}: nothing can be resumed from it")
    wait_until_free(journal, _PATIENCE_S)
    known = survey(journal)
    began = known.began
    if began is None:
        raise JournalError(f"{journal} is empty: its job never began; run it anew")
    refuse_completed(known, journal)
    return Submit(
        began.job_id,
        encode_bundle(as_bundle(algorithm)),
        began.parameters,
        began.seed,
        began.shots,
        began.limits,
        str(journal.absolute()),
        fsync,
        "asked",
        on_divergence,
    )


def forked_job(
    source: Path,
    steps: int,
    algorithm: Any = None,
    *,
    parameters: Mapping[str, Any] | None = None,
    limits: Limits | None = None,
    optimizer: str | None = None,
    on_divergence: str = "fail",
) -> tuple[Submit, Callable[[Submit], None]]:
    """A new job that begins with steps of a recorded one; the arguments are those of `LocalRuntime.fork`.

    Returns:
        The job, to be given its name and journal; and what then makes that journal.

    Raises:
        InvalidInput: one of these cannot be used.
        JournalError: the journal cannot be read, or its job never began.
        BundleError: the algorithm is not kept beside the journal.
    """
    steps = whole("step", steps, 0, MAX_STEPS)
    began = survey(source).began
    if began is None:
        raise JournalError(f"{source} is empty: its job never began; run it anew")
    bundle = kept_bundle(source) if algorithm is None else as_bundle(algorithm)
    method = "" if optimizer is None else canonical(optimizer)
    old = decode_value(began.parameters)
    submit = Submit(
        new_job_id(),
        encode_bundle(bundle),
        _encoded(parameters, old),
        began.seed,
        began.shots,
        merged_limits(limits_by_name(began.limits), limits),
        resume="forked",
        on_divergence=checked_divergence(on_divergence),
    )

    def make(job: Submit) -> None:
        path = Path(job.journal)
        if path.exists():
            raise InvalidInput(f"{path} exists already: a fork has a journal of its own; name another file")
        record = structs.replace(
            began,
            job_id=job.job_id,
            bundle_hash=content_hash(job.bundle),
            limits=job.limits,
            parameters=job.parameters,
        )
        fork_journal(path, source, steps, record, began.job_id, optimizer=method)

    return submit, make


def journal_of(path: str | Path) -> Path:
    """The journal that a folder `DIR/JOB_ID` holds, or that this is.

    Raises:
        JournalError: there is none.
    """
    path = Path(path)
    journal = path / JOURNAL_NAME if path.is_dir() else path
    if not journal.is_file():
        raise JournalError(f"there is no journal {journal}: name the folder DIR/JOB_ID of a run with --out DIR")
    return journal


def kept_bundle(journal: Path) -> Bundle:
    """The algorithm that is kept beside a journal.

    Raises:
        BundleError: none is.
    """
    kept = journal.with_name(BUNDLE_NAME)
    try:
        return decode_bundle(kept.read_bytes())
    except OSError as error:
        raise BundleError(f"{kept} cannot be read: {error.strerror}; name the algorithm's file instead") from error


def checked_divergence(on_divergence: str) -> str:
    """The value of an option that says what becomes of a job that goes another way than before.

    Raises:
        InvalidInput: it is none.
    """
    if on_divergence not in ("fail", "live"):
        raise InvalidInput(f"on_divergence is fail or live, not {on_divergence!r:.40}")
    return on_divergence


def checked_fsync(fsync: str) -> str:
    """The value of an option that says when a journal is forced to the disk.

    Raises:
        InvalidInput: it is none.
    """
    if fsync not in Fsync.__members__.values():
        raise InvalidInput(f"fsync is one of {', '.join(Fsync)}, not {fsync!r:.40}")
    return str(fsync)


def writable(path: str | Path) -> Path:
    """The absolute path of a file that can be written; an empty one is made.

    Raises:
        InvalidInput: it cannot.
    """
    try:
        Path(path).open("w").close()
    except OSError as error:
        raise InvalidInput(f"{path} cannot be written: {error.strerror}; name another file for the trace") from error
    return Path(path).absolute()


def as_json(options: Mapping[str, Any] | None) -> str:
    """A backend's options as a driver's process is given them.

    Raises:
        InvalidInput: they are not plain values by name.
    """
    try:
        return json.dumps(dict(options or {}), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InvalidInput(f"the backend's options are plain values by name: {error}") from None


def _encoded(parameters: Any, declared: dict[str, Any]) -> bytes:
    if parameters is not None and not isinstance(parameters, Mapping):
        raise InvalidInput(f"parameters are given as a dictionary, not as {type(parameters).__name__}")
    try:
        return encode_value({**declared, **(parameters or {})}, "parameters")
    except ResultNotEncodable as error:
        raise InvalidInput(str(error)) from None
