"""Every message of the wire protocol, as typed data.

Encoded by MessagePack (https://msgpack.org), each message an array whose first element is its tag, so a
step costs a few dozen bytes. A receiver decodes into the union that its channel may carry; anything else
is a `ProtocolError`. `docs/reference/protocol.md` describes the exchange message by message.

::

    worker ──Ready──────────────▶ dispatcher      worker ◀──────Load── dispatcher
    worker ──Step───────────────▶ dispatcher ──Execute──▶ quantum runtime
    worker ◀─Results/Refused/Stop dispatcher ◀─Executed/Failure── quantum runtime
    worker ──Note, Finished, Failed▶ dispatcher
    worker ──More, Diverged─────▶ dispatcher      worker ◀────Replay── dispatcher
"""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias

import msgspec
from msgspec import Meta

from hybrid_runtime.errors import ErrorData, ProtocolError
from hybrid_runtime.limits import Limits
from hybrid_runtime.program import Program

PROTOCOL_VERSION = 1

# A step with more circuits than this is refused before it is executed; likewise for one message's size.
MAX_CIRCUITS_PER_STEP = 100_000
MAX_PROGRAMS_PER_STEP = 4096
MAX_MESSAGE_BYTES = 64 * 1024 * 1024
# Metrics, and log lines, in one message; an honest worker sends a few hundred.
MAX_NOTES = 10_000
# Checked before the entries are decoded: millions of small ones would hold the dispatcher for seconds.
_Metrics: TypeAlias = Annotated[list[tuple[str, float]], Meta(max_length=MAX_NOTES)]
_Logs: TypeAlias = Annotated[list[str], Meta(max_length=MAX_NOTES)]


class _Message(msgspec.Struct, frozen=True, array_like=True, gc=False):
    pass


# ------------------------------------------------------------------ shared parts


class Capabilities(msgspec.Struct, frozen=True, kw_only=True):
    """What a backend can do; `Context.backend` shows it to algorithms.

    Attributes:
        name: The backend's name.
        driver: Kind of driver behind it.
        qubits: Largest circuit it takes.
        max_shots: Most shots for one circuit.
        operations: Names from `program.GATES` and the non-gates that it executes.
        simulator: Whether it is an emulator.
        raw: Whether it can return each shot.
        mid_circuit: Whether it can measure and reset in the middle of a circuit.
        exact: Whether it can compute exact probabilities in place of shots.
        observables: Whether it can compute the exact expectation value of an observable.
    """

    name: str
    driver: str
    qubits: int
    max_shots: int
    operations: tuple[str, ...]
    simulator: bool = True
    raw: bool = True
    mid_circuit: bool = True
    exact: bool = False
    observables: bool = False


class CircuitCall(_Message):
    """One or more executions of one program, differing only in their parameters.

    Attributes:
        program: Number of a program that the sender has defined on this channel.
        shots: Shots of each row; 0 for an exact result, which is a value where the program has an observable, else
            probabilities.
        rows: How many parameter sets; each is answered by one `ResultData`, or by a row of a `ResultTable`.
        values: The rows one after the other, little-endian float64, `rows * program.slots` of them.
        raw: Whether each shot's bits are wanted.
    """

    program: int
    shots: int
    rows: int = 1
    values: bytes = b""
    raw: bool = False


class ResultData(_Message, tag=0):
    """The outcome of one execution.

    Attributes:
        counts: By bit register, most significant bit on the left; empty for an exact result.
        shots_done: Shots that ran.
        duration_s: Seconds the backend spent.
        seed: Seed it used, where it has one.
        raw: Each shot's bits, where they were asked for.
        probabilities: By bit register, where the exact ones were asked for.
        value: Of the program's observable, where it has one.
    """

    counts: dict[str, int]
    shots_done: int
    duration_s: float
    seed: int
    raw: list[str] | None = None
    probabilities: dict[str, float] | None = None
    value: float | None = None


class ResultTable(_Message, tag=1):
    """The outcomes of neighbouring rows of one call, as columns of numbers: quicker to make, and read when wanted.

    All numbers are little-endian, row after row. Counts and probabilities have one number a label, and may be 0.

    Attributes:
        seeds: One unsigned 32-bit number a row.
        shots_done: Shots of each row.
        duration_s: Seconds the backend spent on each row.
        labels: Values of the bit register.
        counts: Unsigned 32-bit numbers.
        probabilities: float64, where the exact ones were asked for.
        values: float64, one a row, where the program has an observable.
    """

    seeds: bytes
    shots_done: int
    duration_s: float
    labels: list[str] = []
    counts: bytes = b""
    probabilities: bytes = b""
    values: bytes = b""


ResultItem: TypeAlias = ResultData | ResultTable


# ------------------------------------------------------------------ worker -> dispatcher


class Ready(_Message, tag="ready"):
    """The worker is set up and waits for a job. `isolation` is the level it runs at."""

    version: int
    pid: int
    isolation: str


class Note(_Message, tag="note"):
    """Metrics (name, value) and log lines, sent between steps when they should not wait for the next one."""

    metrics: _Metrics
    logs: _Logs


class Step(_Message, tag="step"):
    """The algorithm wants these circuits run; the worker blocks until it is answered.

    Attributes:
        number: Counts from 1.
        programs: Programs used for the first time, with the numbers that `CircuitCall` refers to.
        calls: What to run, in order.
        metrics: Metrics since the last message.
        logs: Log lines since the last message.
        forget: Numbers of programs that will not be used again.
    """

    number: int
    calls: Annotated[list[CircuitCall], Meta(max_length=MAX_CIRCUITS_PER_STEP)]
    programs: Annotated[list[tuple[int, Program]], Meta(max_length=MAX_PROGRAMS_PER_STEP)] = []
    metrics: _Metrics = []
    logs: _Logs = []
    forget: Annotated[list[int], Meta(max_length=MAX_CIRCUITS_PER_STEP)] = []


class Finalizing(_Message, tag="finalizing"):
    """The algorithm has stopped asking for circuits and its `finalize` begins."""


class Finished(_Message, tag="finished"):
    """The algorithm is over: `value` is its result in the encoding of `values`."""

    value: bytes
    metrics: _Metrics = []
    logs: _Logs = []


class Failed(_Message, tag="failed"):
    """The algorithm failed, in loading, initialize, execute or finalize (`stage`).

    `value` is what could still be saved: what `finalize` made of the steps before, else the last metrics.
    """

    stage: str
    error: ErrorData
    value: bytes = b"\xc0"
    metrics: _Metrics = []
    logs: _Logs = []


class More(_Message, tag="more"):
    """The worker, which is replaying, has used up the recorded steps that it was sent."""


class Diverged(_Message, tag="diverged"):
    """The algorithm asked for something else than what is recorded, or ended before all of it; nothing follows.

    `recorded` and `asked` are in the form of `replay.canonical`; `asked` is empty where it ended.
    """

    number: int
    recorded: bytes
    asked: bytes


# ------------------------------------------------------------------ dispatcher -> worker


class Load(_Message, tag="load"):
    """A job: the bundle and everything the algorithm's `Context` shows.

    With `replay`, its first steps are recorded: the worker asks for them by `More`.
    """

    job_id: str
    bundle: bytes
    parameters: bytes
    seed: int
    shots: int
    limits: Limits
    backend: Capabilities
    replay: bool = False


class Results(_Message, tag="results"):
    """Answer to a `Step`: the results of its rows in order, passed on as the quantum runtime encoded them."""

    number: int
    items: msgspec.Raw


class ReceivedResults(_Message, tag="results"):
    """`Results` as the worker decodes it."""

    number: int
    items: list[ResultItem]


class Refused(_Message, tag="refused"):
    """Answer to a `Step` that cannot be run: raised inside `Context.run` as the error's class."""

    number: int
    error: ErrorData


class RecordedStep(_Message):
    """One recorded step: the request in the form of `replay.canonical`, and its results or the error told instead."""

    request: bytes
    items: msgspec.Raw
    error: ErrorData | None = None


class Replay(_Message, tag="replay"):
    """Answer to `More`: the next recorded steps; after the `last` the worker asks for real."""

    steps: list[RecordedStep]
    last: bool


class ReceivedStep(_Message):
    """`RecordedStep` as the worker decodes it."""

    request: bytes
    items: list[ResultItem]
    error: ErrorData | None = None


class ReceivedReplay(_Message, tag="replay"):
    """`Replay` as the worker decodes it."""

    steps: list[ReceivedStep]
    last: bool


class Stop(_Message, tag="stop"):
    """No more steps: `StopRequested` is raised in the algorithm, then `finalize` runs."""

    reason: str


# ------------------------------------------------------------------ dispatcher <-> quantum runtime


class Define(_Message, tag="define"):
    """Keep this program under this number until `Forget`; not answered."""

    program: int
    body: Program


class Forget(_Message, tag="forget"):
    """These programs will not be used again; not answered."""

    programs: list[int]


class Execute(_Message, tag="execute"):
    """Run these calls and answer with `Executed` or `Failure` of the same `request`.

    `seed` makes the answer reproducible: row k of the request uses `derive_seed(seed, k)`.
    """

    request: int
    calls: list[CircuitCall]
    seed: int
    timeout_s: float


class Withdraw(_Message, tag="withdraw"):
    """Nobody waits for this request any more: end it soon if that is possible. It is answered all the same.

    A local quantum runtime reads it after the request has ended; a remote one interrupts its driver.
    """

    request: int


class Executed(_Message, tag="executed"):
    """All rows ran: `items` is an encoded list of `ResultItem`, kept raw so that nobody encodes it twice."""

    request: int
    shots: int
    duration_s: float
    items: msgspec.Raw


class Failure(_Message, tag="failure"):
    """The request did not run. `transient` says that the same request may succeed if it is sent again."""

    request: int
    error: ErrorData
    transient: bool = False


class Serving(_Message, tag="serving"):
    """First message of a quantum runtime: it is ready, and this is what it can do."""

    version: int
    capabilities: Capabilities


FromWorker: TypeAlias = Ready | Note | Step | Finalizing | Finished | Failed | More | Diverged
ToWorker: TypeAlias = Load | ReceivedResults | Refused | Stop | ReceivedReplay
FromQuantum: TypeAlias = Serving | Executed | Failure
ToQuantum: TypeAlias = Define | Forget | Execute | Withdraw

_encoder = msgspec.msgpack.Encoder()
encode = _encoder.encode


def decoder(union: Any) -> msgspec.msgpack.Decoder[Any]:
    """A decoder for the messages of one direction of one channel; make it once, use it for every message."""
    return msgspec.msgpack.Decoder(union)


def decode(decoder: msgspec.msgpack.Decoder[Any], data: bytes | memoryview) -> Any:
    """Decode one message.

    Raises:
        ProtocolError: when it is not a message that this decoder may receive.
    """
    try:
        return decoder.decode(data)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise ProtocolError(f"malformed message: {error}") from None


_MASK = (1 << 64) - 1


def derive_seed(seed: int, index: int) -> int:
    """A 31-bit seed for row `index` of a request, by SplitMix64 (Steele, Lea, Flood 2014)."""
    z = (seed + (index + 1) * 0x9E3779B97F4A7C15) & _MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
    return (z ^ (z >> 31)) & 0x7FFFFFFF
