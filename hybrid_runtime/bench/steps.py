"""How long a step takes where the algorithm waits for it."""

from __future__ import annotations

import math
import tempfile
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from hybrid_runtime.bench.placement import ALGORITHMS, confined, possible, started
from hybrid_runtime.bench.quantiles import Quantiles, of_nanoseconds
from hybrid_runtime.bench.remote import listening
from hybrid_runtime.dispatcher.backend import INLINE_AFTER
from hybrid_runtime.limits import DEFAULT_SHOTS
from hybrid_runtime.placement import Placement
from hybrid_runtime.submission import new_job

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hybrid_runtime.bench.plan import Plan
    from hybrid_runtime.local import LocalRuntime

CHANNELS = ("seqpacket", "zeromq")
SLOTS = (0, 8, 64, 512)
# None; the one that every job has for as long as it lasts; one at a place of the user's choice, with `fsync="group"`.
JOURNALS = ("none", "own", "group")
# No more than the steps need, so that it starts sooner.
_PRELOAD = ("cqasm.v3x",)
# Steps that are not counted: the first defines the program, the next ones fill caches.
_WARMUP = 200
# The median of fewer steps than this is a matter of chance.
_FEWEST_STEPS = 50
# Remote steps take several times as long as local ones.
_REMOTE_REPETITIONS = 2


@contextmanager
def on_channel(channel: str, placement: Placement) -> Iterator[LocalRuntime]:
    """A runtime with the null backend, which is in a process of this machine whatever the channel to it."""
    with ExitStack() as stack:
        backend = "null"
        if channel == "zeromq":
            with confined(placement):
                backend = stack.enter_context(listening("null"))
        yield stack.enter_context(started(backend, placement, preload=_PRELOAD))


def missing(channel: str) -> str | None:
    """Why a channel cannot be measured; None where it can."""
    if channel == "zeromq" and find_spec("zmq") is None:
        return "pyzmq is not installed"
    return None


class Taken(NamedTuple):
    """Nanoseconds of each step, and the isolation level of the worker that took them."""

    times: list[int]
    isolation: str


def take(
    client: LocalRuntime, steps: int, *, slots: int = 1, rows: int = 1, qubits: int = 2, journal: Path | None = None
) -> Taken:
    """So many steps of one job, after those in which caches fill; its journal is the runtime's own when None."""
    parameters = {"steps": steps, "slots": slots, "rows": rows, "qubits": qubits}
    warmup = max(min(_WARMUP, steps // 2), 2)
    parameters["warmup"] = warmup
    job = client.run(f"{ALGORITHMS}:steps", parameters=parameters, journal=journal).raise_for_error()
    return Taken(job.value, job.isolation)


def take_without_journal(client: LocalRuntime, steps: int) -> Taken:
    """The same of a job that nothing is kept of: users have none such, for it could not outlive its worker."""
    parameters = {"steps": steps, "slots": 1, "rows": 1, "qubits": 2, "warmup": _WARMUP}
    submit = new_job(f"{ALGORITHMS}:steps", parameters=parameters, shots=DEFAULT_SHOTS, seed=None, limits=None)
    job = client._begin(submit).result().raise_for_error()
    return Taken(job.value, job.isolation)


def by_journal(client: LocalRuntime, plan: Plan) -> dict[str, Quantiles]:
    """Steps by what is kept of them, by turns: nothing, the runtime's own journal, one that is forced to the disk."""
    found: dict[str, list[int]] = {name: [] for name in JOURNALS}
    with tempfile.TemporaryDirectory(prefix="hybrid-runtime-") as folder:
        for number in range(plan.repetitions):
            found["none"] += take_without_journal(client, plan.steps).times
            found["own"] += take(client, plan.steps).times
            found["group"] += take(client, plan.steps, journal=Path(folder) / f"{number}.bin").times
    return {name: of_nanoseconds(times) for name, times in found.items()}


def by_placement(channel: str, plan: Plan) -> tuple[dict[str, Quantiles], str]:
    """Steps with one parameter, over all repetitions; and the isolation level."""
    found, isolation = {}, ""
    repetitions = plan.repetitions if channel == "seqpacket" else min(plan.repetitions, _REMOTE_REPETITIONS)
    for placement in _placements(channel, plan):
        times: list[int] = []
        with on_channel(channel, placement) as client:
            for _ in range(repetitions):
                taken = take(client, plan.steps)
                times += taken.times
                isolation = taken.isolation
        found[placement.value] = of_nanoseconds(times)
    return found, isolation


def _placements(channel: str, plan: Plan) -> list[Placement]:
    if plan.every_placement:
        return possible()
    return [Placement.FREE] if channel == "zeromq" else [one for one in possible() if one is not Placement.SPREAD]


def by_slots(client: LocalRuntime, plan: Plan) -> dict[str, Quantiles]:
    """Steps by how many numbers each sends."""
    return {str(slots): of_nanoseconds(take(client, plan.steps, slots=slots).times) for slots in SLOTS}


def by_rows(client: LocalRuntime, plan: Plan, qubits: int) -> dict[str, Quantiles]:
    """Steps by how many parameter sets each runs: as many sets in all, but not too few steps to say anything."""
    found = {}
    # Not counted: they are run in another way until the dispatcher has loaded the emulator.
    take(client, min(INLINE_AFTER, plan.batch_steps), slots=qubits, qubits=qubits)
    for rows in plan.rows:
        steps = max(plan.batch_steps // rows, min(_FEWEST_STEPS, plan.batch_steps))
        found[str(rows)] = of_nanoseconds(take(client, steps, slots=qubits, rows=rows, qubits=qubits).times)
    return found


def speedup(rows: dict[str, Quantiles]) -> float:
    """How much quicker one step of most rows is than as many steps of one row each."""
    most = max(rows, key=int)
    ratio = int(most) * rows["1"].p50 / rows[most].p50
    return ratio if math.isfinite(ratio) else 0.0
