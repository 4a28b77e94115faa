"""Backends that speak version 3 of the Quantum Inspire runtime protocol: JSON over REQ/REP, states over PUB/SUB.

::

    driver ──{"session_id", "command", "payload"}──▶ control software (port 4203)
    driver ◀─{"session_id", "status", "payload"}──── control software
    driver ◀─{"command": "publish_state", …}──────── control software (port 4204)

A session locks the control software from `initialize` to `terminate`. The protocol has no way to stop an
execution and no error codes, so every failure is the backend's, with the text it gives.
"""

from __future__ import annotations

import json
import time
import uuid
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from hybrid_runtime.errors import BackendFailed, BackendTimeout, ChannelClosed, InvalidInput
from hybrid_runtime.protocol.address import Address, parse_address, resolve
from hybrid_runtime.protocol.messages import Capabilities, ResultData
from hybrid_runtime.protocol.reqrep import Requester
from hybrid_runtime.protocol.sessions import BackendState
from hybrid_runtime.protocol.zeromq import Kind, Station
from hybrid_runtime.quantum.cqasm_writer import Register, by_qubit, write_cqasm3
from hybrid_runtime.quantum.driver import ALL_OPERATIONS, Batch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

VERSION = 3
_GOODBYE_S = 2.0
_MAX_STATE_BYTES = 1 << 20
_MAX_SHOWN = 500

_T = TypeVar("_T")


class _Reply(msgspec.Struct, frozen=True):
    session_id: str
    status: str
    payload: dict[str, Any] | None = None


class _Static(msgspec.Struct, frozen=True):
    """What is used of the answer to `get_static`."""

    protocol_version: int
    nqubits: int
    name: str
    supports_raw_data: bool = False


class _Executed(msgspec.Struct, frozen=True):
    """What is used of the answer to `execute`."""

    job_id: int
    results: dict[str, int]
    raw_data: list[str] | None = None


class _Published(msgspec.Struct, frozen=True):
    """What is used of a publication."""

    command: str = ""
    payload: dict[str, Any] = {}


class QiV3Driver:
    """Quantum Inspire control software, protocol version 3; use it as qi-v3:tcp://HOST:4203.

    Args:
        address: Where it takes requests.
        status: Where it publishes its state; the next port when None.
        lock_each_step: Whether to lock it for each step only, in place of from the first step to the end.
        connect_s: Longest wait for the answers that take no time.
        max_shots: Most shots for one circuit; the protocol does not say.
        simulator: Whether it is an emulator; the protocol does not say.

    Raises:
        InvalidInput: for an option that cannot be used.
        BackendUnknown: when the address names no host.
        BackendFailed: when it does not answer, or speaks another version.
    """

    def __init__(
        self,
        *,
        address: str,
        status: str | None = None,
        lock_each_step: bool = False,
        connect_s: float = 10.0,
        max_shots: int = 1_000_000,
        simulator: bool = False,
    ) -> None:
        if not isinstance(connect_s, int | float) or connect_s <= 0:
            raise InvalidInput(f"option connect_s is a number of seconds above 0, not {connect_s!r}")
        parsed = parse_address(address)
        resolve(parsed)
        self._lock_each_step = lock_each_step
        self._connect_s = connect_s
        self._session = str(uuid.uuid4())
        self._locked = False
        self._tell: Callable[[BackendState], None] = lambda _state: None
        self._jobs = 0
        self._requester = Requester(parsed)
        self._states = _States(Address(parsed.host, parsed.port + 1) if status is None else parse_address(status))
        try:
            static = self._static()
        except Exception:
            self._states.close()
            self._requester.close()
            raise
        self._capabilities = Capabilities(
            name=static.name,
            driver="qi-v3",
            qubits=static.nqubits,
            max_shots=max_shots,
            operations=ALL_OPERATIONS,
            simulator=simulator,
            raw=static.supports_raw_data,
            mid_circuit=False,
        )

    def _static(self) -> _Static:
        static = self._checked(self._ask("get_static", None, self._soon()), _Static)
        if static.protocol_version != VERSION:
            raise BackendFailed(f"the backend speaks protocol {static.protocol_version}; this driver speaks {VERSION}")
        return static

    def capabilities(self) -> Capabilities:
        """What the backend says of itself."""
        return self._capabilities

    def watch(self, tell: Callable[[BackendState], None]) -> None:
        """Tell of calibrations that a step has to wait for."""
        self._tell = tell

    def execute(self, batch: Batch) -> Iterator[ResultData]:
        """Send each row as cQASM 3."""
        self._requester.clear_interrupt()
        register = by_qubit(batch.handle.program)
        self._wait_until_usable(batch.deadline)
        self._lock()
        try:
            for row, seed in enumerate(batch.seeds):
                yield self._run(batch, row, seed, register)
        finally:
            if self._lock_each_step:
                self._unlock()

    def _run(self, batch: Batch, row: int, seed: int, register: Register) -> ResultData:
        self._jobs += 1
        payload = {
            "job_id": self._jobs,
            "circuit": write_cqasm3(register.program, batch.row(row)),
            "number_of_shots": batch.shots,
            "include_raw_data": batch.raw,
        }
        started = time.monotonic()
        answer = self._checked(self._ask("execute", payload, batch.deadline), _Executed)
        if answer.job_id != self._jobs:
            raise BackendFailed(f"the backend answered job {answer.job_id} in place of job {self._jobs}")
        counts: Counter[str] = Counter()
        for bits, count in answer.results.items():
            counts[_translate(bits, register)] += count
        raw = None
        if batch.raw:
            raw = [_translate(bits, register) for bits in answer.raw_data or []]
        return ResultData(dict(counts), counts.total(), time.monotonic() - started, seed, raw)

    # ------------------------------------------------------------------ the lock

    def _wait_until_usable(self, deadline: float) -> None:
        """Hold while the backend calibrates."""
        held = False
        while self._states.latest() == "CALIBRATING":
            if not held:
                self._tell(BackendState.CALIBRATING)
                held = True
            if not self._requester.wait_readable(self._states.fileno(), deadline):
                raise BackendTimeout("the backend was calibrating for all the time given")
        if self._states.latest() == "OFFLINE":
            raise BackendFailed("the backend says that it is offline; try again later")
        if held:
            self._tell(BackendState.EXECUTING)

    def _lock(self) -> None:
        if self._locked and self._requester.fresh:
            # The connection broke. Whether our lock outlived it is not known, so it is given back first.
            self._locked = False
            with suppress(BackendFailed):
                self._ask("terminate", None, self._soon())
        if not self._locked:
            self._ask("initialize", None, self._soon())
            self._locked = True

    def _unlock(self) -> None:
        if self._locked:
            self._locked = False
            self._ask("terminate", None, time.monotonic() + _GOODBYE_S)

    def _soon(self) -> float:
        return time.monotonic() + self._connect_s

    # ------------------------------------------------------------------ requests

    def _ask(self, command: str, payload: dict[str, Any] | None, deadline: float) -> dict[str, Any]:
        question: dict[str, Any] = {"session_id": self._session, "command": command}
        if payload is not None:
            question["payload"] = payload
        answer = self._requester.ask(json.dumps(question), deadline)
        try:
            reply = msgspec.json.decode(answer, type=_Reply)
        except msgspec.DecodeError as error:
            raise BackendFailed(f"the backend's answer to {command} is not of its protocol: {error}") from error
        if reply.session_id != self._session:
            raise BackendFailed(f"the backend's answer to {command} is for another session")
        if reply.status != "success":
            text = str((reply.payload or {}).get("error_msg", "no reason given"))[:_MAX_SHOWN]
            raise BackendFailed(f"the backend refused {command}: {text}")
        return reply.payload or {}

    def _checked(self, payload: dict[str, Any], kind: type[_T]) -> _T:
        try:
            return msgspec.convert(payload, kind)
        except msgspec.ValidationError as error:
            raise BackendFailed(f"the backend's answer is not of its protocol: {error}") from error

    def interrupt(self) -> None:
        """Stop waiting for an answer; the protocol has no way to tell the backend."""
        self._requester.interrupt()

    def close(self) -> None:
        """Unlock the backend, and close the connections."""
        self._requester.clear_interrupt()
        try:
            self._unlock()
        except BackendFailed:
            return  # it is gone or in trouble, and the lock with it
        finally:
            self._states.close()
            self._requester.close()


class _States:
    """What the control software publishes of itself."""

    def __init__(self, address: Address) -> None:
        self._station = Station(max_message_bytes=_MAX_STATE_BYTES)
        self._wire = self._station.connect(Kind.SUBSCRIBE, address)
        self._state = ""

    def fileno(self) -> int:
        """The descriptor that is readable when there are news."""
        return self._station.fileno()

    def latest(self) -> str:
        """The state published last; empty while none was."""
        while (frames := self._receive()) is not None:
            try:
                published = msgspec.json.decode(frames[0], type=_Published)
            except msgspec.DecodeError:
                continue  # other software may publish other things there
            if published.command == "publish_state":
                self._state = str(published.payload.get("state", "")).upper()
        return self._state

    def _receive(self) -> list[bytes] | None:
        try:
            return self._wire.receive()
        except ChannelClosed:
            return None

    def close(self) -> None:
        """Stop listening."""
        self._station.close()


def _translate(bits: str, register: Register) -> str:
    if len(bits) != register.program.qubits or set(bits) - {"0", "1"}:
        qubits = register.program.qubits
        raise BackendFailed(f"the backend answered the bit string {bits[:80]!r} for a circuit of {qubits} qubits")
    return register.bits(bits)
