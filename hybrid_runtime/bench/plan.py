"""How much is measured."""

from __future__ import annotations

import msgspec


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """How often each thing is measured.

    Attributes:
        quick: Whether this is the short plan; its quantiles beyond the median say little.
        steps: Steps of one job.
        repetitions: Jobs of so many steps, for each channel and placement.
        jobs: Jobs for warm initialization and termination.
        cold_starts: Process trees started for cold initialization.
        refills: Workers forked for the refill.
        floor_rounds: Rounds of each C floor.
        loop_repetitions: Runs of VQE and QAOA, with and without the runtime.
        executions: Executions of each circuit on the emulator.
        rows: Parameter sets in one step, for the batch.
        batch_steps: Steps of one row; of several rows, as many rows in all.
        peer_steps: Steps of each peer.
        peer_s: Seconds after which a peer is not asked for more steps.
        every_placement: Whether the remote channel and peers are measured at more than one placement, and local
            steps on cores of their own.
        slow_peers: Whether peers that take many seconds to start are measured.
    """

    quick: bool
    steps: int
    repetitions: int
    jobs: int
    cold_starts: int
    refills: int
    floor_rounds: int
    loop_repetitions: int
    executions: int
    rows: tuple[int, ...] = (1, 10, 100, 1000)
    batch_steps: int = 1000
    peer_steps: int
    peer_s: float
    every_placement: bool
    slow_peers: bool


FULL = Plan(
    quick=False,
    steps=5000,
    repetitions=5,
    jobs=100,
    cold_starts=8,
    refills=50,
    floor_rounds=20_000,
    loop_repetitions=5,
    executions=300,
    peer_steps=2000,
    peer_s=1.5,
    every_placement=True,
    slow_peers=True,
)

QUICK = Plan(
    quick=True,
    steps=1000,
    repetitions=1,
    jobs=10,
    cold_starts=1,
    refills=5,
    floor_rounds=2000,
    loop_repetitions=1,
    executions=20,
    peer_steps=200,
    peer_s=0.3,
    every_placement=False,
    slow_peers=False,
)
