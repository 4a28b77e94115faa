"""Backends that take circuit text and answer text over ZeroMQ's REQ and REP, as the paper's Appendix A does.

`--backend reqrep-text:tcp://HOST:PORT` sends each circuit as one string, in cQASM 1.0 on one line, and reads the
counts out of the string that comes back.
"""

from __future__ import annotations

import json
import math
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

from hybrid_runtime.errors import BackendFailed, InvalidInput
from hybrid_runtime.protocol.address import parse_address, resolve
from hybrid_runtime.protocol.messages import Capabilities, ResultData
from hybrid_runtime.protocol.reqrep import Requester
from hybrid_runtime.quantum.counts_text import read_counts
from hybrid_runtime.quantum.cqasm_writer import Register, by_qubit, write_cqasm1, write_cqasm3
from hybrid_runtime.quantum.driver import ALL_OPERATIONS, Batch, ProgramHandle

if TYPE_CHECKING:
    from collections.abc import Iterator

_LANGUAGES = {"cqasm1": write_cqasm1, "cqasm3": write_cqasm3}
_PLACE = "{circuit}"
# Registers that are kept ready; a driver is not told when a program is forgotten.
_MAX_KEPT = 4096
_GOODBYE_S = 1.0


class ReqRepTextDriver:
    """Text backend over REQ/REP, such as the paper's `quantum_runtime.py`; use it as reqrep-text:tcp://HOST:PORT.

    Args:
        address: Where it listens.
        language: `cqasm1` or `cqasm3`.
        request: What is sent for a circuit: a text with `{circuit}` in it, and `{shots}` and `{seed}` where the
            backend wants them; or an object with such texts in it, which is sent as JSON.
        initialize: Sent before the first circuit, and after a break; None for nothing.
        terminate: Sent at the end; None for nothing.
        one_line: Whether a circuit's lines are joined by `; `.
        timing: Whether `barrier` and `wait` are sent; emulators do not need them, and QX 0.6 dies of them.
        repeat: Whether to ask again while fewer shots have come back than were asked for.
        first_bit_left: Whether the backend writes qubit 0 on the left.
        timeout_s: Longest wait for one answer.
        qubits: How many the backend has.
        max_shots: Most shots for one circuit.

    Raises:
        InvalidInput: for an option that cannot be used.
        BackendUnknown: when the address names no host.
    """

    def __init__(
        self,
        *,
        address: str,
        language: str = "cqasm1",
        request: str | dict[str, Any] = "{circuit}",
        initialize: str | None = None,
        terminate: str | None = None,
        one_line: bool = True,
        timing: bool = False,
        repeat: bool = True,
        first_bit_left: bool = False,
        timeout_s: float = 60.0,
        qubits: int = 20,
        max_shots: int = 1_000_000,
    ) -> None:
        if language not in _LANGUAGES:
            raise InvalidInput(f"option language is {' or '.join(_LANGUAGES)}, not {language!r}")
        template = request if isinstance(request, str) else json.dumps(request)
        if _PLACE not in template:
            raise InvalidInput(f"option request has {_PLACE} in it, unlike {template!r}")
        if not isinstance(timeout_s, int | float) or not 0 < timeout_s < math.inf:
            raise InvalidInput(f"option timeout_s is a number of seconds above 0, not {timeout_s!r}")
        parsed = parse_address(address)
        resolve(parsed)
        self._write = _LANGUAGES[language]
        self._request = template
        self._as_json = not isinstance(request, str)
        self._initialize = initialize
        self._terminate = terminate
        self._one_line = one_line
        self._timing = timing
        self._repeat = repeat
        self._first_bit_left = first_bit_left
        self._timeout_s = timeout_s
        self._capabilities = Capabilities(
            name="reqrep-text",
            driver="reqrep-text",
            qubits=qubits,
            max_shots=max_shots,
            operations=ALL_OPERATIONS,
            raw=False,
            mid_circuit=False,
        )
        self._registers: dict[ProgramHandle, Register] = {}
        self._requester = Requester(parsed)

    def capabilities(self) -> Capabilities:
        """As configured: a text backend does not say."""
        return self._capabilities

    def execute(self, batch: Batch) -> Iterator[ResultData]:
        """Send each row as text."""
        self._requester.clear_interrupt()
        register = self._register(batch.handle)
        for row, seed in enumerate(batch.seeds):
            circuit = self._write(register.program, batch.row(row), timing=self._timing)
            if self._one_line:
                circuit = "; ".join(circuit.splitlines())
            started = time.monotonic()
            found = self._shots(self._question(circuit, batch.shots, seed), batch, register)
            counts: Counter[str] = Counter()
            for bits, count in found.items():
                counts[register.bits(bits[::-1] if self._first_bit_left else bits)] += count
            yield ResultData(dict(counts), counts.total(), time.monotonic() - started, seed)

    def _register(self, handle: ProgramHandle) -> Register:
        register = self._registers.get(handle)
        if register is None:
            if len(self._registers) >= _MAX_KEPT:
                self._registers.clear()
            register = self._registers[handle] = by_qubit(handle.program)
        return register

    def _question(self, circuit: str, shots: int, seed: int) -> str:
        question = self._request
        for place, value in (("{shots}", shots), ("{seed}", seed), (_PLACE, circuit)):
            if self._as_json:
                # A text that is nothing but the place becomes the value itself: a number stays one.
                question = question.replace(f'"{place}"', json.dumps(value))
                question = question.replace(place, json.dumps(str(value))[1:-1])
            else:
                question = question.replace(place, str(value))
        return question

    def _shots(self, question: str, batch: Batch, register: Register) -> Counter[str]:
        """Counts by qubit, gathered from as many answers as it takes."""
        found: Counter[str] = Counter()
        while found.total() < batch.shots:
            answer = self._ask(question, batch.deadline)
            found.update(read_counts(answer, batch.shots - found.total(), register.program.qubits))
            if not self._repeat:
                break
        return found

    def _ask(self, question: str, deadline: float) -> str:
        if self._initialize is not None and self._requester.fresh:
            self._requester.ask(self._initialize, self._within(deadline))
        return self._requester.ask(question, self._within(deadline))

    def _within(self, deadline: float) -> float:
        return min(deadline, time.monotonic() + self._timeout_s)

    def interrupt(self) -> None:
        """Stop waiting for an answer; the backend itself cannot be told."""
        self._requester.interrupt()

    def close(self) -> None:
        """Say goodbye where that is wanted, and close the connection."""
        try:
            if self._terminate is not None and not self._requester.fresh:
                self._requester.clear_interrupt()
                self._requester.ask(self._terminate, time.monotonic() + _GOODBYE_S)
        except BackendFailed:
            return  # it is gone, and has nothing to give back
        finally:
            self._requester.close()
