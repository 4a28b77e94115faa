"""A double of Quantum Inspire control software, protocol version 3, with an emulator behind it.

control_software.py REQUESTS STATES: the two addresses to listen at, which it prints.
"""

from __future__ import annotations

import json
import sys
import time
from array import array
from typing import Any

import zmq

from hybrid_runtime.circuit import Circuit
from hybrid_runtime.errors import CircuitRejected
from hybrid_runtime.languages.compiler import Compiler
from hybrid_runtime.protocol.results import each
from hybrid_runtime.quantum.driver import Batch, ProgramHandle
from hybrid_runtime.quantum.drivers import registry


class Refused(Exception):
    """The command fails, with this text."""


class ControlSoftware:
    """Answers requests. `locked_by` is the session that has initialized it."""

    def __init__(self) -> None:
        self.locked_by: str | None = None
        self._compiler = Compiler()
        self._emulator = registry.open("qulacs")

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """The answer to one request."""
        reply: dict[str, Any] = {"session_id": request["session_id"]}
        try:
            command = getattr(self, f"do_{request['command']}")
            payload = command(request["session_id"], request.get("payload"))
        except (Refused, CircuitRejected) as error:
            return reply | {"status": "failure", "payload": {"error_msg": str(error)}}
        return reply | {"status": "success"} | ({} if payload is None else {"payload": payload})

    def do_initialize(self, session: str, _payload: None) -> None:
        if self.locked_by is not None:
            raise Refused("another session holds the lock")
        self.locked_by = session

    def do_terminate(self, session: str, _payload: None) -> None:
        self._check_lock(session)
        self.locked_by = None

    def do_get_static(self, _session: str, _payload: None) -> dict[str, Any]:
        static = {"protocol_version": 3, "nqubits": 5, "topology": [], "name": "twin", "pgs": []}
        return static | {"starttime": "", "default_compiler_config": {}, "supports_raw_data": True}

    def do_execute(self, session: str, payload: dict[str, Any]) -> dict[str, Any]:
        self._check_lock(session)
        compiled = self._compiler.compile(Circuit(payload["circuit"]))
        values = array("d", compiled.values)
        shots, raw = payload["number_of_shots"], payload["include_raw_data"]
        handle = ProgramHandle(compiled.program)
        (result,) = each(self._emulator.execute(Batch(handle, shots, [7], values, raw, time.monotonic() + 60)))
        return {"job_id": payload["job_id"], "results": result.counts} | ({"raw_data": result.raw} if raw else {})

    def _check_lock(self, session: str) -> None:
        if self.locked_by != session:
            raise Refused("execute and terminate need initialize first")


def main() -> None:
    """Serve until killed."""
    context = zmq.Context()
    requests, states = context.socket(zmq.REP), context.socket(zmq.PUB)
    for socket, address in zip((requests, states), sys.argv[1:], strict=True):
        socket.bind(address)
        print(socket.get_string(zmq.LAST_ENDPOINT), flush=True)
    software = ControlSoftware()
    while True:
        if requests.poll(100):
            requests.send_string(json.dumps(software.answer(json.loads(requests.recv_string()))))
        state = "IDLE" if software.locked_by is None else "EXECUTING"
        payload = {"state": state, "timestamp": time.time()}
        states.send_string(json.dumps({"command": "publish_state", "payload": payload}))


if __name__ == "__main__":
    main()
