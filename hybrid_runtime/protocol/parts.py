"""What messages are made of: a backend's capabilities, calls of programs, and their results."""

from __future__ import annotations

from typing import TypeAlias

import msgspec


class _Part(msgspec.Struct, frozen=True, array_like=True, gc=False):
    pass


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


class CircuitCall(_Part):
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


class ResultData(_Part, tag=0):
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


class ResultTable(_Part, tag=1):
    """The outcomes of neighbouring rows of one call, as columns of numbers: quicker to make, and read when wanted.

    All numbers are little-endian, row after row. Counts and probabilities have one number a label, and may be 0.

    Attributes:
        seeds: One unsigned 32-bit number a row.
        shots_done: Shots of each row.
        duration_s: Seconds the backend spent on each row.
        labels: Values of the bit register.
        counts: Unsigned numbers of 32 bits, or of 16, as the column's length tells.
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
