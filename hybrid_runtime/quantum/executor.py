"""What is done with a request, wherever its driver is: keep programs, check what is asked for, run it and answer."""

from __future__ import annotations

import logging
import math
import struct
import sys
import time
from array import array
from typing import TYPE_CHECKING, TypeAlias

import msgspec

from hybrid_runtime.errors import (
    BackendFailed,
    CircuitRejected,
    HybridRuntimeError,
    ProtocolError,
    as_data,
)
from hybrid_runtime.program import BARRIER, MEASURE, RESET, WAIT, Program, all_finite, check_program
from hybrid_runtime.protocol.exactness import check_exact
from hybrid_runtime.protocol.messages import (
    MAX_CIRCUITS_PER_STEP,
    MAX_MESSAGE_BYTES,
    CircuitCall,
    Execute,
    Executed,
    Failure,
    ResultData,
    ResultTable,
    derive_seed,
    derive_seeds,
)
from hybrid_runtime.protocol.results import check_table, listed, rows_of
from hybrid_runtime.quantum.driver import Batch, ProgramHandle, QuantumDriver

if TYPE_CHECKING:
    from collections.abc import Iterable

# What an `Executed` holds besides its items.
_ENVELOPE_BYTES = 1024
_MOST_ITEM_BYTES = MAX_MESSAGE_BYTES - _ENVELOPE_BYTES
# A shot's bits are sent as text with up to three bytes before it.
_RAW_SHOT_BYTES = 3
_TOO_LARGE = f"the results take more than {MAX_MESSAGE_BYTES >> 20} MiB; ask for fewer circuits in one step"
_VALUE_BYTES = 8
_SWAP = sys.byteorder == "big"  # values travel as little-endian

_Kept: TypeAlias = ProgramHandle | CircuitRejected

_log = logging.getLogger(__name__)


def failure(request: int, error: Exception) -> Failure:
    """The answer that carries an error: `transient` where the backend failed but said so itself."""
    if isinstance(error, HybridRuntimeError):
        return Failure(request, as_data(error), isinstance(error, BackendFailed))
    if isinstance(error, MemoryError):
        return Failure(request, as_data(CircuitRejected("the backend has too little memory for this circuit")))
    _log.error("the driver raised %s", type(error).__name__, exc_info=error)
    return Failure(request, as_data(BackendFailed(f"the driver raised {type(error).__name__}: {error}")))


class Executor:
    """A driver, and the programs that it is asked to run.

    Attributes:
        capabilities: What the driver said of its backend.

    Args:
        driver: What runs the circuits.
        name: The backend's name as users see it; the driver's own when None.
        checked: Whether the numbers of each call have been checked by whoever asks.
    """

    def __init__(self, driver: QuantumDriver, name: str | None = None, *, checked: bool = False) -> None:
        self._checked = checked
        self._driver = driver
        capabilities = driver.capabilities()
        self.capabilities = msgspec.structs.replace(capabilities, name=name) if name else capabilities
        self._operations = frozenset(capabilities.operations)
        self._programs: dict[int, _Kept] = {}
        self._encode = msgspec.msgpack.Encoder().encode

    # ------------------------------------------------------------------ programs

    def define(self, number: int, program: Program) -> None:
        """Keep a program; one that cannot be run is refused when it is asked for, since this is not answered."""
        try:
            check_program(program)
            self._refuse_beyond_backend(program)
        except CircuitRejected as error:
            self._programs[number] = error
        else:
            self._programs[number] = ProgramHandle(program)

    def forget(self, numbers: Iterable[int]) -> None:
        """Drop programs; those that are not known are left out."""
        for number in numbers:
            self._programs.pop(number, None)

    def _refuse_beyond_backend(self, program: Program) -> None:
        backend = self.capabilities
        if program.qubits > backend.qubits:
            raise CircuitRejected(f"it has {program.qubits} qubits; backend {backend.name!r} has {backend.qubits}")
        unknown = {operation.name for operation in program.operations} - self._operations
        if unknown:
            raise CircuitRejected(f"backend {backend.name!r} does not have the operations {', '.join(sorted(unknown))}")
        if not backend.mid_circuit and _observes_midway(program):
            raise CircuitRejected(f"backend {backend.name!r} measures and resets at the end of a circuit only")

    # ------------------------------------------------------------------ requests

    def answer(self, request: Execute) -> Executed | Failure:
        """Run a request. Whatever is wrong with it or the driver becomes the answer."""
        try:
            return self._execute(request)
        except Exception as error:  # noqa: BLE001  a driver is foreign code: whatever it raises becomes an answer
            return failure(request.request, error)

    def _execute(self, request: Execute) -> Executed:
        if not 0 < request.timeout_s < math.inf:
            raise ProtocolError(f"a request's timeout is a number of seconds above 0, not {request.timeout_s}")
        deadline = time.monotonic() + request.timeout_s
        # Everything is checked before anything runs, so a refused request has cost no time on the backend.
        batches = self._batches(request, deadline)
        execute, encode = self._driver.execute, self._encode
        items: list[bytes] = []
        size = shots = first = 0
        duration_s = 0.0
        for batch in batches:
            given, wanted = 0, len(batch.seeds)
            try:
                for result in execute(batch):
                    # By its class, which takes a tenth of the time that `isinstance` takes.
                    rows = 1 if type(result) is ResultData else _rows(result)
                    if not 0 < rows <= wanted - given:
                        kind = type(result).__name__
                        raise TypeError(f"for {wanted} rows it gave, as number {given + 1}, a {kind}")
                    item = encode(result)
                    size += len(item)
                    if size > _MOST_ITEM_BYTES:
                        raise CircuitRejected(_TOO_LARGE)
                    items.append(item)
                    given += rows
                    shots += rows * result.shots_done
                    duration_s += rows * result.duration_s
            except CircuitRejected as error:
                raise CircuitRejected(f"circuit {first + given}: {error}") from error
            if given < wanted:
                raise TypeError(f"for {wanted} rows it gave {given} results")
            first += wanted
        return Executed(request.request, shots, duration_s, msgspec.Raw(listed(len(items), items)))

    def _batches(self, request: Execute, deadline: float) -> list[Batch]:
        """What the calls ask the driver for."""
        batches: list[Batch] = []
        index = raw_bytes = 0
        for call in request.calls:
            handle = self._programs.get(call.program)
            if handle is None:
                raise ProtocolError(f"program {call.program} is not defined")
            rows = call.rows
            try:
                if isinstance(handle, CircuitRejected):
                    raise handle
                if not self._checked:
                    self._check(call, handle.program, MAX_CIRCUITS_PER_STEP - index)
                if call.raw:
                    raw_bytes += rows * call.shots * (handle.program.bits + _RAW_SHOT_BYTES)
                    self._check_raw(raw_bytes)
            except CircuitRejected as error:
                raise CircuitRejected(f"circuit {index}: {error}") from None
            seed = request.seed
            seeds = [derive_seed(seed, index)] if rows == 1 else derive_seeds(seed, index, rows)
            values = array("d", call.values)
            if _SWAP:
                values.byteswap()
            batches.append(Batch(handle, call.shots, seeds, values, call.raw, deadline))
            index += rows
        return batches

    def _check(self, call: CircuitCall, program: Program, most_rows: int) -> None:
        """Refuse a call whose numbers are not all in range."""
        shots, rows, backend = call.shots, call.rows, self.capabilities
        if shots == 0 or program.observable:
            check_exact(call, observed=bool(program.observable), backend=backend)
        elif not 1 <= shots <= backend.max_shots:
            raise CircuitRejected(f"backend {backend.name!r} takes 1 to {backend.max_shots} shots, not {shots}")
        if not 1 <= rows <= most_rows:
            raise CircuitRejected(f"a step has 1 to {MAX_CIRCUITS_PER_STEP} circuits; this call adds {rows}")
        wanted = rows * program.slots * _VALUE_BYTES
        if len(call.values) != wanted:
            raise CircuitRejected(f"its parameters take {wanted} bytes, not {len(call.values)}")
        if not all_finite(call.values):
            for number, (value,) in enumerate(struct.iter_unpack("<d", call.values)):
                if not math.isfinite(value):
                    row, slot = divmod(number, program.slots)
                    raise CircuitRejected(f"parameter {slot} of row {row} is {value}")

    def _check_raw(self, raw_bytes: int) -> None:
        if not self.capabilities.raw:
            raise CircuitRejected(f"backend {self.capabilities.name!r} does not give raw shots")
        if raw_bytes > _MOST_ITEM_BYTES:
            raise CircuitRejected(
                f"the raw shots of this step take more than {MAX_MESSAGE_BYTES >> 20} MiB; "
                "ask for fewer shots or circuits, or for counts"
            )


def _rows(result: object) -> int:
    """How many rows a table of results has; 0 for what is none."""
    if type(result) is not ResultTable:
        return 0
    check_table(result)
    return rows_of(result)


def _observes_midway(program: Program) -> bool:
    """Whether anything is done to a qubit after it was measured, or a qubit is reset after a gate."""
    measured: set[int] = set()
    touched: set[int] = set()
    for operation in program.operations:
        name, qubits = operation.name, operation.qubits
        if name in (BARRIER, WAIT):
            continue
        if measured.intersection(qubits) or (name == RESET and qubits[0] in touched):
            return True
        (measured if name == MEASURE else touched).update(qubits)
    return False
