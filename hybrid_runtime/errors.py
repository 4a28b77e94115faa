"""Every error that Hybrid Runtime raises, in one tree.

::

    HybridRuntimeError
      InvalidInput             a value, option or file that cannot be used        -> correct it; exit code 2
        BundleError            the algorithm cannot be packed or found
      UserCodeError            the algorithm raised or misbehaved                 -> fix the algorithm; exit code 1
        AlgorithmTimeout       it did not come back in time
        ResultNotEncodable     its value is not plain data
        ReplayDiverged         resumed, it asks for other steps than before
      QuantumError             a backend refused or failed
        CircuitRejected        the circuit cannot run there                       -> fix the circuit; exit code 1
        BackendUnknown         no backend has that name                           -> choose another; exit code 2
        BackendFailed          the backend or its driver broke                    -> may be retried; exit code 3
          BackendTimeout       it did not answer in time
      WorkerLost               the sandboxed interpreter died                     -> see the signal named; exit code 1
      JournalError             a journal cannot be read or written                -> exit code 2
        JournalFull            there is no space for it                           -> make space, resume
      JobManagerError          a job manager refuses, or cannot be asked          -> exit code 2
        NotFound               it does not exist, or is not yours to see          -> check the name
        Forbidden              it takes a role that you do not have               -> ask who has it
        Unauthenticated        the token is missing or not valid                  -> `qi-run login`
        Conflict               it contradicts how things stand                    -> look, then decide
        QuotaExceeded          more than you may have at a time                   -> wait, then try again
        LeaseLost              another runner has taken the job over              -> let go of it; exit code 70
        Unavailable            the job manager does not answer                    -> may be retried; exit code 3
        ServerError            a fault of the job manager                         -> please report it; exit code 70
      JobCancelled             the user ended the job                             -> exit code 4
      ProtocolError            a peer sent what the protocol forbids
      ChannelClosed            a peer went away
      InternalError            a fault of Hybrid Runtime                          -> please report it; exit code 70

An error crosses a process boundary as `ErrorData`, never as a pickle: unpickling would run code
that the sender chose. `rebuild` turns the data back into the class of that name.
"""

from __future__ import annotations

import msgspec


class HybridRuntimeError(Exception):
    """The root: catch this to catch everything that Hybrid Runtime raises on purpose."""

    exit_code = 70

    def __init__(self, text: str = "", *, traceback: str | None = None) -> None:
        # Without a text the class speaks for itself: docstrings here are written for the user.
        super().__init__(text or (self.__doc__ or "").strip())
        self.traceback = traceback

    def __str__(self) -> str:
        return str(self.args[0])


class InvalidInput(HybridRuntimeError, ValueError):
    """A value, option or file cannot be used as given; the text says what would be accepted."""

    exit_code = 2


class BundleError(InvalidInput):
    """The algorithm cannot be packed, or the file holds none, or several without a name to choose by."""


class UserCodeError(HybridRuntimeError):
    """The algorithm raised an exception; its own traceback is in `traceback`."""

    exit_code = 1


class AlgorithmTimeout(UserCodeError):
    """The algorithm did not come back within its think-time, wall-time or finalize limit."""


class ResultNotEncodable(UserCodeError):
    """The algorithm's value holds something that is not plain data (numbers, text, lists, dicts, arrays)."""


class ReplayDiverged(UserCodeError):
    """The algorithm, resumed from its journal, asked for another step than it did before; the text shows both."""


class QuantumError(HybridRuntimeError):
    """A backend refused or failed to run a circuit."""

    exit_code = 3


class CircuitRejected(QuantumError):
    """The circuit cannot be run on this backend as it is; the text says where and why.

    Raised inside `Context.run` (and at a generator's `yield`), where the algorithm may handle it.
    """

    exit_code = 1


class BackendUnknown(QuantumError):
    """No backend has that name; the text lists those that exist."""

    exit_code = 2


class BackendFailed(QuantumError):
    """The backend or its driver broke while it ran a circuit; the circuit itself may be fine."""


class BackendTimeout(BackendFailed):
    """The backend did not answer within its deadline."""


class WorkerLost(HybridRuntimeError):
    """The worker died under the algorithm: a crash, a kill or memory exhaustion; the text names the signal."""

    exit_code = 1


class JournalError(HybridRuntimeError):
    """A journal cannot be read or written; the text names the file, and the offset where there is one."""

    exit_code = 2


class JournalFull(JournalError):
    """There is no space left for the journal, or it is as large as it may be; make space and resume the job."""


class JobManagerError(HybridRuntimeError):
    """A job manager refuses what it was asked, or cannot be asked."""

    exit_code = 2


class NotFound(JobManagerError):
    """Nothing has that name or number, or it belongs to somebody else: the two look the same on purpose."""


class Forbidden(JobManagerError):
    """This takes a role that the token's user does not have; the text names the role."""


class Unauthenticated(JobManagerError):
    """The request carries no token that is valid; log in with `qi-run login`.

    `reason` is `missing`, `unknown`, `expired`, `revoked` or `disabled` (the user is).
    """

    def __init__(self, text: str = "", *, reason: str = "unknown", traceback: str | None = None) -> None:
        super().__init__(text, traceback=traceback)
        self.reason = reason


class Conflict(JobManagerError):
    """The request contradicts how things stand: a job in another state, a name that is taken, a key used before."""


class QuotaExceeded(JobManagerError):
    """More than one user may have or ask for at a time; the text says of what, and when to try again.

    `retry_after_s` is how long to wait, where that is known.
    """

    def __init__(self, text: str = "", *, retry_after_s: float | None = None, traceback: str | None = None) -> None:
        super().__init__(text, traceback=traceback)
        self.retry_after_s = retry_after_s


class LeaseLost(JobManagerError):
    """A runner no longer holds the job: its lease ran out and another took the job over. It must let go of it."""

    exit_code = 70


class Unavailable(JobManagerError):
    """The job manager cannot be reached, or is not ready; the request may be repeated later."""

    exit_code = 3


class ServerError(JobManagerError):
    """A fault of the job manager. Please report it with the text."""

    exit_code = 70


class JobCancelled(HybridRuntimeError):
    """The job was ended by its user before it could finish."""

    exit_code = 4


class ProtocolError(HybridRuntimeError):
    """A peer sent a message that the protocol forbids: malformed, too large or out of turn."""


class ChannelClosed(HybridRuntimeError):
    """The process at the other end of a channel has gone away."""


class InternalError(HybridRuntimeError):
    """A fault of Hybrid Runtime itself. Please report it with the traceback."""


class StopRequested(BaseException):
    """The job is being stopped (a limit was reached, or its user asked); raised inside `Context.run`.

    It is a `BaseException` so that an optimizer's `except Exception` does not swallow it. An algorithm
    may catch it to return what it has; every further `Context.run` raises it again.
    """

    def __init__(self, reason: str = "") -> None:
        super().__init__(reason)
        self.reason = reason


class ErrorData(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An error as it travels and as `JobResult.error` shows it.

    Attributes:
        kind: Name of the error's class: one of the tree above, or the user's own exception type.
        text: What happened, for a person.
        traceback: The traceback, formatted, of the user's code only; None where there is none.
        family: Name of the class in the tree above which decides the exit code.
    """

    kind: str
    text: str
    traceback: str | None = None
    family: str = "InternalError"


def error_classes() -> dict[str, type[HybridRuntimeError]]:
    """All classes of the tree, by name."""
    found: dict[str, type[HybridRuntimeError]] = {}
    waiting: list[type[HybridRuntimeError]] = [HybridRuntimeError]
    while waiting:
        cls = waiting.pop()
        found[cls.__name__] = cls
        waiting.extend(cls.__subclasses__())
    return found


def as_data(error: HybridRuntimeError) -> ErrorData:
    """The data form of one of our own errors."""
    name = type(error).__name__
    return ErrorData(kind=name, text=str(error), traceback=error.traceback, family=name)


def rebuild(data: ErrorData) -> HybridRuntimeError:
    """The exception that `data` describes, as the class its family names."""
    cls = error_classes().get(data.family, InternalError)
    text = data.text if data.kind == data.family else f"{data.kind}: {data.text}"
    return cls(text, traceback=data.traceback)


def exit_code(data: ErrorData | None) -> int:
    """The process exit code for a job that ended with this error, or with none."""
    if data is None:
        return 0
    return error_classes().get(data.family, InternalError).exit_code
