"""Every message of the wire protocol, as typed data.

Encoded by MessagePack (https://msgpack.org), each message an array whose first element is its tag, so a
step costs a few dozen bytes. A receiver decodes into the union that its channel may carry; anything else
is a `ProtocolError`. `docs/reference/protocol.md` describes the exchange message by message.

::

    worker ──Ready──────────────▶ dispatcher      worker ◀──────Load── dispatcher
    worker ──Step───────────────▶ dispatcher ──Execute──▶ quantum runtime
    worker ◀─Results/Refused/Stop dispatcher ◀─Executed/Failure── quantum runtime
    worker ──Note, Finished, Failed▶ dispatcher
    worker ──Drawn, More, Diverged▶ dispatcher      worker ◀─Replay, Moved─ dispatcher
"""

from __future__ import annotations

import sys
from array import array
from functools import lru_cache
from typing import Annotated, Any, TypeAlias

import msgspec
from msgspec import Meta

from hybrid_runtime.errors import ErrorData, ProtocolError
from hybrid_runtime.limits import Limits
from hybrid_runtime.program import Program
from hybrid_runtime.protocol.parts import Capabilities as Capabilities
from hybrid_runtime.protocol.parts import CircuitCall as CircuitCall
from hybrid_runtime.protocol.parts import ResultData as ResultData
from hybrid_runtime.protocol.parts import ResultItem as ResultItem
from hybrid_runtime.protocol.parts import ResultTable as ResultTable

PROTOCOL_VERSION = 1

# A step with more circuits than this is refused before it is executed; likewise for one message's size.
MAX_CIRCUITS_PER_STEP = 100_000
MAX_PROGRAMS_PER_STEP = 4096
MAX_MESSAGE_BYTES = 64 * 1024 * 1024
# Metrics, and log lines, in one message; an honest worker sends a few hundred.
MAX_NOTES = 10_000
# Programs by which it is shown where an algorithm went another way.
MAX_SHOWN_PROGRAMS = 4
# Checked before the entries are decoded: millions of small ones would hold the dispatcher for seconds.
_Metrics: TypeAlias = Annotated[list[tuple[str, float]], Meta(max_length=MAX_NOTES)]
_Logs: TypeAlias = Annotated[list[str], Meta(max_length=MAX_NOTES)]


class _Message(msgspec.Struct, frozen=True, array_like=True, gc=False):
    pass


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

    Attributes:
        number: The step's number.
        recorded: In the form of `replay.canonical`, or its hash.
        asked: In that form; empty where the algorithm ended.
        position: How many recorded answers, steps and refusals, it was given before.
        programs: Those that it asked for, with their hashes, as far as they are few.
    """

    number: int
    recorded: bytes
    asked: bytes
    position: int = 0
    programs: Annotated[list[tuple[bytes, Program]], Meta(max_length=MAX_SHOWN_PROGRAMS)] = []


class Drawn(_Message, tag="drawn"):
    """What the algorithm drew from the clock, in seconds, or from the system's randomness since its last step."""

    values: Annotated[list[float | bytes], Meta(max_length=MAX_NOTES)]


# ------------------------------------------------------------------ dispatcher -> worker


class Load(_Message, tag="load"):
    """A job: the bundle and everything the algorithm's `Context` shows.

    With `replay`, its first steps are recorded: the worker asks for them by `More`. `optimizers` are methods that take
    over from the algorithm's own, each with the number of steps after which it does, in order.
    """

    job_id: str
    bundle: bytes
    parameters: bytes
    seed: int
    shots: int
    limits: Limits
    backend: Capabilities
    replay: bool = False
    optimizers: list[tuple[str, int]] = []


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


class Special(_Message):
    """What is more about one recorded step of a `Replay` than a request and its results.

    Attributes:
        index: Which of the message's steps it is.
        error: What the algorithm was told in place of results.
        backend: The one that answered from this step on, where it is another than before.
        drawn: What the algorithm drew before it asked.
    """

    index: int
    error: ErrorData | None = None
    backend: Capabilities | None = None
    drawn: list[float | bytes] = []


class Replay(_Message, tag="replay"):
    """Answer to `More`: the next recorded steps, thousands of them; after the `last` the worker asks for real.

    Attributes:
        requests: What was asked in each step, in the form of `replay.canonical`, or its hash.
        items: What answered it: each a list of `ResultItem`, read when its step is reached.
        used: Shots and seconds of the backend that each took.
        last: Whether no more follow.
        special: What is more about some of them, in order.
        backend: With the last: the one that is asked then, where it is another than before.
        drawn: With the last: what the algorithm had drawn since.
    """

    requests: list[bytes]
    items: list[msgspec.Raw]
    used: list[tuple[int, float]]
    last: bool
    special: list[Special] = []
    backend: Capabilities | None = None
    drawn: list[float | bytes] = []


class Moved(_Message, tag="moved"):
    """The job's steps are answered by this backend from the next answer on; sent before that answer."""

    backend: Capabilities


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


FromWorker: TypeAlias = Ready | Note | Drawn | Step | Finalizing | Finished | Failed | More | Diverged
ToWorker: TypeAlias = Load | ReceivedResults | Refused | Stop | Replay | Moved
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
_GOLDEN = 0x9E3779B97F4A7C15
# Fewer seeds than this are derived sooner one by one; more than that, in turns.
_MANY_SEEDS = 16
_SEEDS_TOGETHER = 1024
_SWAP = sys.byteorder == "big"


@lru_cache(maxsize=256)
def derive_seed(seed: int, index: int) -> int:
    """A 31-bit seed for row `index` of a request, by SplitMix64 (Steele, Lea, Flood 2014).

    Those derived last are kept: whoever will need one soon derives it while there is nothing else to do.
    """
    z = (seed + (index + 1) * _GOLDEN) & _MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
    return (z ^ (z >> 31)) & 0x7FFFFFFF


def seed_from(seed: int, first: int) -> int:
    """The seed from which the rows of another request are derived as this one's are from row `first` on."""
    return (seed + first * _GOLDEN) & _MASK


def derive_seeds(seed: int, first: int, rows: int) -> list[int]:
    """`derive_seed` of so many rows from `first`.

    Many are derived together, in one long number that has 128 bits for each: a product of two numbers of 64 bits has
    room there, and what a shift brings from a neighbour falls into the upper half, which is then cleared.
    """
    if rows < _MANY_SEEDS:
        return [derive_seed(seed, row) for row in range(first, first + rows)]
    seeds: list[int] = []
    for start in range(first, first + rows, _SEEDS_TOGETHER):
        count = min(first + rows - start, _SEEDS_TOGETHER)
        ones, mask, steps = _lanes(count)
        z = (steps + ones * seed_from(seed, start)) & mask
        z = ((z ^ (z >> 30 & mask)) * 0xBF58476D1CE4E5B9) & mask
        z = ((z ^ (z >> 27 & mask)) * 0x94D049BB133111EB) & mask
        z = (z ^ (z >> 31)) & (ones * 0x7FFFFFFF)
        lanes = array("Q", z.to_bytes(16 * count, "little"))
        if _SWAP:
            lanes.byteswap()
        seeds += lanes[::2]
    return seeds


@lru_cache(maxsize=8)
def _lanes(count: int) -> tuple[int, int, int]:
    """In so many lanes of 128 bits: 1, the mask of the lower half, and what is added to the seed in each row."""
    ones = int.from_bytes((b"\1" + bytes(15)) * count, "little")
    lanes = array("Q", bytes(16 * count))
    lanes[::2] = array("Q", range(1, count + 1))
    if _SWAP:
        lanes.byteswap()
    return ones, ones * _MASK, int.from_bytes(lanes, "little") * _GOLDEN
