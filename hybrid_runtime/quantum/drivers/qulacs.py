"""The default emulator: Qulacs (https://github.com/qulacs/qulacs), a state vector in C++.

A program is compiled once and then only given new parameters. Where all measurements can be put off to the
end, one simulation serves all shots. Otherwise the shots walk a tree together: each measurement in the
middle divides them between its two outcomes by a binomial draw, so the work grows with the number of
different histories and not with the number of shots.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt
from qulacs import QuantumState, gate

from hybrid_runtime.errors import BackendFailed, CircuitRejected, InvalidInput
from hybrid_runtime.protocol.messages import MAX_MESSAGE_BYTES, Capabilities, ResultData, ResultItem, ResultTable
from hybrid_runtime.protocol.results import REAL, SEED, column, kind_of_counts
from hybrid_runtime.quantum.driver import ALL_OPERATIONS, Batch, ProgramHandle
from hybrid_runtime.quantum.drivers.qulacs_circuit import QulacsCircuit
from hybrid_runtime.quantum.measurement import Collapse, plan
from hybrid_runtime.quantum.memory import available_bytes
from hybrid_runtime.quantum.sampling import Sampler, cleaned, tabled

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hybrid_runtime.program import Program
    from hybrid_runtime.quantum.multinomials import Weights
    from hybrid_runtime.quantum.pauli import Amplitudes

MAX_SHOTS = 10_000_000
MAX_THREADS = 256

# A state (16 bytes an amplitude), its copy as numbers (16), their weights (8) and the table to draw from (8),
# rounded up for what numpy needs in between.
_BYTES_PER_AMPLITUDE = 64
_STATE_BYTES = 16
_MEMORY_SHARE = 4  # one part in so many of the free memory
_MOST_QUBITS = 34
# Fewer rows than this are quicker one by one; this many amplitudes stay in a core's cache.
_MANY_ROWS = 8
_AMPLITUDES_TOGETHER = 1 << 15
# What a probability takes in a message beyond what a count does.
_REAL_BYTES = 5
# States up to this size are kept for the next execution; larger ones are allocated for each.
_KEPT_STATE_QUBITS = 16
# Bounds on the compiled programs that are kept; the second is about a gigabyte at Qulacs' 500 bytes a gate.
_KEPT_PROGRAMS = 1024
_KEPT_OPERATIONS = 2_000_000
# For estimates: what an operation takes, and what it takes for each amplitude; then what drawing does for each outcome.
_OPERATION_S, _AMPLITUDE_S, _OUTCOME_S = 1e-7, 1e-9, 6e-8
# Closer to 0 or 1 than this, a probability is the rounding error of a certain outcome.
_CERTAIN = 1e-14


class _Branch(NamedTuple):
    """Shots with the same outcomes so far: where they stand and what the register holds."""

    state: Any
    step: int
    shots: int
    register: int


class QulacsDriver:
    """Emulates an ideal device.

    Args:
        max_qubits: Largest circuit; what a quarter of the free memory holds when None.
        threads: Threads of one simulation, which use as many cores; they are worth while from about 16 qubits. Takes
            effect in a quantum runtime, whose process is started with so many.

    Raises:
        InvalidInput: for a number of qubits or threads that cannot be.
    """

    def __init__(self, *, max_qubits: int | None = None, threads: int = 1) -> None:
        if not isinstance(threads, int) or not 1 <= threads <= MAX_THREADS:
            raise InvalidInput(f"option threads is a whole number from 1 to {MAX_THREADS}, not {threads!r}")
        free = available_bytes() // _MEMORY_SHARE
        if max_qubits is None:
            max_qubits = min(max((free // _BYTES_PER_AMPLITUDE).bit_length() - 1, 1), _MOST_QUBITS)
        if not isinstance(max_qubits, int) or not 1 <= max_qubits <= _MOST_QUBITS:
            raise InvalidInput(f"option max_qubits is a whole number from 1 to {_MOST_QUBITS}, not {max_qubits!r}")
        self._max_qubits = max_qubits
        self._budget_bytes = max(free, _BYTES_PER_AMPLITUDE << max_qubits)
        self._compiled: OrderedDict[ProgramHandle, QulacsCircuit] = OrderedDict()
        self._operations = 0
        self._states: dict[int, Any] = {}
        self._sampler = Sampler()
        self._interrupted = False

    def capabilities(self) -> Capabilities:
        """Every operation, up to the qubits that memory allows."""
        return Capabilities(
            name="qulacs",
            driver="qulacs",
            qubits=self._max_qubits,
            max_shots=MAX_SHOTS,
            operations=ALL_OPERATIONS,
            exact=True,
            observables=True,
        )

    def execute(self, batch: Batch) -> Iterator[ResultItem]:
        """Simulate many rows of a small circuit together, and others row after row."""
        self._interrupted = False
        circuit = self._circuit(batch.handle)
        self._refuse_too_large(circuit, batch.shots)
        if self._together(circuit, batch):
            yield from self._tables(circuit, batch)
            return
        state = self._state(circuit.qubits)
        slots = batch.handle.program.slots
        for row, seed in enumerate(batch.seeds):
            self._check(batch)
            started = perf_counter()
            self._sampler.restart(seed)
            circuit.bind(batch.values, row * slots)
            if batch.shots:
                counts, raw = (self._branch if circuit.collapses else self._sample)(circuit, batch, state)
                yield ResultData(counts, batch.shots, perf_counter() - started, seed, raw)
            else:
                exact, value = self._exactly(circuit, batch, state)
                yield ResultData({}, 0, perf_counter() - started, seed, None, exact, value)

    def estimate_s(self, program: Program) -> float:
        """By the gates and the amplitudes; open where the shots divide on their way."""
        arranged = plan(program)
        amplitudes = 1 << len(arranged.qubits)
        if arranged.collapses:
            return math.inf
        operations = len(program.operations) + len(program.observable)
        return operations * (_OPERATION_S + amplitudes * _AMPLITUDE_S) + amplitudes * _OUTCOME_S

    def interrupt(self) -> None:
        """End the running simulation within about a second: at the next span of gates, branch or row."""
        self._interrupted = True

    def close(self) -> None:
        """Free states and circuits."""
        self._compiled.clear()
        self._states.clear()

    # ------------------------------------------------------------------ many rows

    def _together(self, circuit: QulacsCircuit, batch: Batch) -> bool:
        """Whether all rows are to be simulated at once."""
        if len(batch.seeds) < _MANY_ROWS or batch.raw or circuit.many is None:
            return False
        return batch.shots == 0 or tabled(circuit.marginal.outcomes, batch.shots)

    def _tables(self, circuit: QulacsCircuit, batch: Batch) -> Iterator[ResultTable]:
        """The results of so many rows at a time as the cache holds."""
        many = circuit.many
        assert many is not None
        rows = max(_AMPLITUDES_TOGETHER >> circuit.qubits, 1)
        values = np.frombuffer(batch.values).reshape(len(batch.seeds), -1)
        for first in range(0, len(batch.seeds), rows):
            self._check(batch)
            started = perf_counter()
            seeds = batch.seeds[first : first + rows]
            states = many.run(values[first : first + rows], partial(self._check, batch))
            columns = self._columns(circuit, batch, states, seeds)
            duration_s = (perf_counter() - started) / len(seeds)
            yield ResultTable(column(SEED, seeds), batch.shots, duration_s, **columns)

    def _columns(
        self, circuit: QulacsCircuit, batch: Batch, states: Amplitudes, seeds: Sequence[int]
    ) -> dict[str, Any]:
        """What was asked for, of each of these states."""
        if batch.handle.program.observable:
            return {"values": _column(REAL, circuit.observer(states))}
        weights = np.square(states.real)
        if np.iscomplexobj(states):
            weights += np.square(states.imag)
        weights = circuit.marginal(weights)
        labels = circuit.labels.of(list(range(len(weights))))
        if batch.shots:
            counts = self._sampler.table(weights, batch.shots, seeds)
            return {"labels": labels, "counts": _column(kind_of_counts(batch.shots), counts)}
        return {"labels": labels, "probabilities": _column(REAL, cleaned(weights).T)}

    # ------------------------------------------------------------------ one row

    def _exactly(
        self, circuit: QulacsCircuit, batch: Batch, state: Any
    ) -> tuple[dict[str, float] | None, float | None]:
        """The exact probabilities, or the value of the observable."""
        if circuit.collapses:
            raise CircuitRejected(
                "it measures or resets in the middle, so its probabilities cannot be computed at once: name a number "
                "of shots"
            )
        self._simulate(circuit, batch, state)
        if batch.handle.program.observable:
            return None, circuit.mean(state, partial(self._check, batch))
        if not circuit.measures:
            return {circuit.labels[0]: 1.0}, None
        probabilities = cleaned(circuit.marginal(_weights(state)))
        outcomes = probabilities.nonzero()[0]
        _refuse_too_many(len(outcomes), circuit.bits + _REAL_BYTES)
        return dict(zip(circuit.labels.of(outcomes.tolist()), probabilities[outcomes].tolist(), strict=True)), None

    def _simulate(self, circuit: QulacsCircuit, batch: Batch, state: Any) -> None:
        """Bring the state to the end of a circuit without collapses."""
        state.set_zero_state()
        for number, span in enumerate(circuit.steps):
            if number:
                self._check(batch)
            circuit.apply(state, span)  # type: ignore[arg-type]  # no collapses here

    def _sample(self, circuit: QulacsCircuit, batch: Batch, state: Any) -> tuple[dict[str, int], list[str] | None]:
        """All measurements at the end: simulate once, then draw."""
        labels, shots = circuit.labels, batch.shots
        if not circuit.measures:
            label = labels[0]
            return {label: shots}, [label] * shots if batch.raw else None
        self._simulate(circuit, batch, state)
        draw = self._sampler.draw(circuit.marginal(_weights(state)), shots)
        _refuse_too_many(len(draw.outcomes), circuit.bits)
        counts = dict(zip(labels.of(draw.outcomes.tolist()), draw.counts.tolist(), strict=True))
        return counts, labels.of(self._sampler.shuffled(draw)) if batch.raw else None

    def _branch(self, circuit: QulacsCircuit, batch: Batch, state: Any) -> tuple[dict[str, int], list[str] | None]:
        """Measurements in the middle: follow the tree of outcomes, depth first."""
        state.set_zero_state()
        registers: dict[int, int] = {}
        waiting = [_Branch(state, 0, batch.shots, 0)]
        while waiting:
            end = self._follow(waiting.pop(), waiting, circuit, batch)
            self._read_out(end, circuit, registers)
            _refuse_too_many(len(registers), circuit.bits)
        counts = {format(register, f"0{circuit.bits}b"): registers[register] for register in sorted(registers)}
        if not batch.raw:
            return counts, None
        raw = [label for label, count in counts.items() for _ in range(count)]
        self._sampler.shuffle(raw)
        return counts, raw

    def _follow(self, branch: _Branch, waiting: list[_Branch], circuit: QulacsCircuit, batch: Batch) -> _Branch:
        """Take a branch to the end of the program; the branches that leave it are added to `waiting`."""
        state, first, shots, register = branch
        for number in range(first, len(circuit.steps)):
            self._check(batch)
            step = circuit.steps[number]
            if not isinstance(step, Collapse):
                circuit.apply(state, step)
                continue
            ones = self._ones(state, step.qubit, shots)
            # The smaller part goes first: it has at most half the shots, so no more than log2(shots) states wait.
            outcome = ones <= shots - ones if 0 < ones < shots else ones > 0
            chosen = ones if outcome else shots - ones
            if chosen < shots:
                other = state.copy()
                _project(other, step, not outcome)
                waiting.append(_Branch(other, number + 1, shots - chosen, _written(register, step, not outcome)))
            _project(state, step, outcome)
            shots, register = chosen, _written(register, step, outcome)
        return _Branch(state, len(circuit.steps), shots, register)

    def _ones(self, state: Any, qubit: int, shots: int) -> int:
        """How many of the shots find the qubit in |1>."""
        probability = 1.0 - state.get_zero_probability(qubit)
        if probability < _CERTAIN:
            return 0
        return shots if probability > 1.0 - _CERTAIN else self._sampler.split(shots, probability)

    def _read_out(self, branch: _Branch, circuit: QulacsCircuit, registers: dict[int, int]) -> None:
        """Add the branch's shots to the registers they end in."""
        if not circuit.measures:
            registers[branch.register] = registers.get(branch.register, 0) + branch.shots
            return
        draw = self._sampler.draw(circuit.marginal(_weights(branch.state)), branch.shots)
        for outcome, count in zip(draw.outcomes.tolist(), draw.counts.tolist(), strict=True):
            register = branch.register | int(circuit.labels[outcome], 2)
            registers[register] = registers.get(register, 0) + count

    # ------------------------------------------------------------------ what is kept, what is refused

    def _circuit(self, handle: ProgramHandle) -> QulacsCircuit:
        circuit = self._compiled.get(handle)
        if circuit is not None:
            self._compiled.move_to_end(handle)
            return circuit
        arranged = plan(handle.program)
        if len(arranged.qubits) > self._max_qubits:
            raise CircuitRejected(f"it acts on {len(arranged.qubits)} qubits; this emulator takes {self._max_qubits}")
        circuit = QulacsCircuit(handle.program, arranged)
        self._compiled[handle] = circuit
        self._operations += _size(circuit)
        while len(self._compiled) > _KEPT_PROGRAMS or self._operations > _KEPT_OPERATIONS:
            _, oldest = self._compiled.popitem(last=False)
            self._operations -= _size(oldest)
        return circuit

    def _state(self, qubits: int) -> Any:
        state = self._states.get(qubits)
        if state is None:
            state = QuantumState(max(qubits, 1))
            if qubits <= _KEPT_STATE_QUBITS:
                self._states[qubits] = state
        return state

    def _refuse_too_large(self, circuit: QulacsCircuit, shots: int) -> None:
        waiting = min(circuit.collapses, shots.bit_length())
        wanted = (_BYTES_PER_AMPLITUDE + waiting * _STATE_BYTES) << circuit.qubits
        if wanted > self._budget_bytes:
            raise CircuitRejected(
                f"{circuit.qubits} qubits with measurements or resets in the middle need {wanted >> 20} MiB; "
                f"this emulator may use {self._budget_bytes >> 20} MiB"
            )

    def _check(self, batch: Batch) -> None:
        if self._interrupted:
            raise BackendFailed("the execution was interrupted")
        batch.check_deadline()


def _size(circuit: QulacsCircuit) -> int:
    return len(circuit.program.operations) + len(circuit.program.observable)


def _column(kind: str, numbers: npt.NDArray[Any]) -> bytes:
    """As `column`, of an array."""
    return numbers.astype(np.dtype(kind).newbyteorder("<"), copy=False).tobytes()


def _weights(state: Any) -> Weights:
    """The probability of each basis state; the highest qubit is the highest binary digit of the index."""
    weights: Weights = np.abs(state.get_vector())
    weights *= weights
    return weights


def _project(state: Any, collapse: Collapse, outcome: bool) -> None:
    (gate.P1 if outcome else gate.P0)(collapse.qubit).update_quantum_state(state)
    state.normalize(state.get_squared_norm())
    if outcome and collapse.reset:
        gate.X(collapse.qubit).update_quantum_state(state)


def _written(register: int, collapse: Collapse, outcome: bool) -> int:
    """The register after the outcome was copied into the collapse's bit; each bit is written once."""
    return register | 1 << collapse.bit if outcome and collapse.bit >= 0 else register


def _refuse_too_many(outcomes: int, bits: int) -> None:
    # A count costs its text and up to five bytes more in the message that carries it.
    if outcomes * (bits + 5) > MAX_MESSAGE_BYTES:
        raise CircuitRejected(
            f"{outcomes} different outcomes of {bits} bits are more than a message can carry; "
            "measure fewer qubits or take fewer shots"
        )
