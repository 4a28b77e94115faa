"""What a worker reports in words and numbers, metrics, log lines, its error: never trusted, kept within bounds."""

from __future__ import annotations

from hybrid_runtime.context import MAX_LOG_CHARACTERS, MAX_METRIC_NAME
from hybrid_runtime.dispatcher.output import clean
from hybrid_runtime.errors import ErrorData

MAX_METRICS = 1_000_000
MAX_METRIC_NAMES = 10_000
MAX_LOG_LINES = 20_000
MAX_LOG_KEPT = 4 * 1024 * 1024
MAX_ERROR_TEXT = 8_000
MAX_ERROR_TRACEBACK = 64_000
# Families of errors that can come about in a worker. Any other was raised there by the algorithm itself, and is its
# own fault: it must not pass for a failure of the backend.
_OF_WORKERS = frozenset(
    {
        "AlgorithmTimeout",
        "BundleError",
        "CircuitRejected",
        "InternalError",
        "ProtocolError",
        "ResultNotEncodable",
        "UserCodeError",
    }
)


class Notes:
    """The metrics and log lines of one job. `last` holds the newest value of each metric."""

    def __init__(self) -> None:
        self.last: dict[str, float] = {}
        self._metrics: list[tuple[str, float]] = []
        self._metrics_left = MAX_METRICS
        self._lines: list[str] = []
        self._lines_left = MAX_LOG_LINES
        self._characters_left = MAX_LOG_KEPT
        self._cut = False

    def take(self, metrics: list[tuple[str, float]], logs: list[str]) -> None:
        """Keep what has room; the worker is not to be trusted to keep to its own bounds."""
        last = self.last
        for metric in metrics:
            name, value = metric
            if name not in last and not self._admits(name):
                continue
            last[name] = value
            if self._metrics_left:
                self._metrics_left -= 1
                self._metrics.append(metric)
            else:
                self._tell_cut()
        for text in logs:
            self._log(text)

    def _admits(self, name: str) -> bool:
        """Whether a metric of this new name may be kept."""
        if not 0 < len(name) <= MAX_METRIC_NAME or not name.isprintable():
            return False
        if len(self.last) < MAX_METRIC_NAMES:
            return True
        self._tell_cut()
        return False

    def _tell_cut(self) -> None:
        if not self._cut:
            self._cut = True
            self._lines.append(f"… metrics cut: {MAX_METRICS} values under {MAX_METRIC_NAMES} names are kept")

    def _log(self, text: str) -> None:
        if not self._lines_left:
            return
        for line in text[:MAX_LOG_CHARACTERS].split("\n"):
            self._lines_left -= 1
            self._characters_left -= len(line)
            if not self._lines_left or self._characters_left < 0:
                self._lines_left = 0
                self._lines.append(f"… log cut: {MAX_LOG_LINES} lines of {MAX_LOG_KEPT} characters in all are kept")
                return
            self._lines.append(clean(line))

    def fresh(self) -> tuple[list[tuple[str, float]], list[str]]:
        """The metrics and lines that came in since the last call."""
        fresh = (self._metrics, self._lines)
        self._metrics, self._lines = [], []
        return fresh

    @property
    def waiting(self) -> bool:
        """Whether there is anything that the client has not been told."""
        return bool(self._metrics or self._lines)


def presentable(error: ErrorData) -> ErrorData:
    """An error that came from a worker, made safe to keep and to show."""
    trace = error.traceback
    return ErrorData(
        kind=clean(error.kind[:100]),
        text=_clean_lines(error.text[:MAX_ERROR_TEXT]),
        traceback=None if trace is None else _clean_lines(trace[-MAX_ERROR_TRACEBACK:]),
        family=error.family if error.family in _OF_WORKERS else "UserCodeError",
    )


def _clean_lines(text: str) -> str:
    return "\n".join(map(clean, text.split("\n")))
