"""The loop of the paper's Appendix A: three processes, plain strings, REQ/REP sockets of ZeroMQ.

The transport is given as `--transport tcp` or `--transport ipc`.
"""

from __future__ import annotations

import ast
import multiprocessing
import sys
import tempfile
from pathlib import Path
from typing import Any

import zmq
from exchange import Classical, Quantum, take

_END = "end"


def serve(side: str, endpoint: str, ready: Any) -> None:
    """A runtime: answers each string by a string until it is told to end."""
    handlers: dict[str, Any] = {"classical": _classical, "quantum": _quantum}
    socket = zmq.Context().socket(zmq.REP)
    socket.bind(endpoint)
    ready.send(socket.getsockopt_string(zmq.LAST_ENDPOINT))
    while (text := socket.recv_string()) != _END:
        socket.send_string(handlers[side](text))
    socket.send_string(_END)
    socket.close(linger=1000)
    zmq.Context.instance().term()


def _classical(text: str) -> str:
    return Classical().execute(ast.literal_eval(text))


def _quantum(text: str) -> str:
    return str(Quantum().execute(text))


def main() -> None:
    """Start both sides and be the dispatcher."""
    transport = sys.argv.pop(sys.argv.index("--transport") + 1)
    sys.argv.remove("--transport")
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory(prefix="peer-") as folder:
        sockets: dict[str, Any] = {}
        processes = []
        for side in ("classical", "quantum"):
            endpoint = "tcp://127.0.0.1:*" if transport == "tcp" else f"ipc://{Path(folder) / side}"
            ours, theirs = context.Pipe()
            process = context.Process(target=serve, args=(side, endpoint, theirs), daemon=True)
            process.start()
            processes.append(process)
            sockets[side] = zmq.Context.instance().socket(zmq.REQ)
            sockets[side].connect(ours.recv())
        classical, quantum = sockets["classical"], sockets["quantum"]

        def step(results: dict[str, int]) -> dict[str, int]:
            classical.send_string(str(results))
            quantum.send_string(classical.recv_string())
            counts: dict[str, int] = ast.literal_eval(quantum.recv_string())
            return counts

        take(step, zmq.__version__)
        for socket in sockets.values():
            socket.send_string(_END)
            socket.recv_string()
            socket.close()
        for process in processes:
            process.join()


if __name__ == "__main__":
    main()
