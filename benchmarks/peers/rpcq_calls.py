"""Remote calls of rpcq (Rigetti): each side is a server in a process of its own, over ZeroMQ and MessagePack."""

from __future__ import annotations

import multiprocessing
import socket
from importlib.metadata import version

from exchange import Classical, Quantum, take
from rpcq import Client, Server


def serve(side: type, endpoint: str) -> None:
    """Serve one object until the process is ended."""
    server = Server()
    execute = side().execute

    @server.rpc_handler  # type: ignore[untyped-decorator]  # rpcq has no types
    def step(argument: object) -> object:
        return execute(argument)

    server.run(endpoint)


def free_endpoint() -> str:
    """An address that nobody listens on now; rpcq cannot choose one itself."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"tcp://127.0.0.1:{probe.getsockname()[1]}"


def main() -> None:
    """Start both and be the dispatcher."""
    context = multiprocessing.get_context("spawn")
    clients, processes = [], []
    for side in (Classical, Quantum):
        endpoint = free_endpoint()
        process = context.Process(target=serve, args=(side, endpoint), daemon=True)
        process.start()
        processes.append(process)
        clients.append(Client(endpoint, timeout=30))
    classical, quantum = clients
    take(lambda results: quantum.call("step", classical.call("step", results)), version("rpcq"))
    for client, process in zip(clients, processes, strict=True):
        client.close()
        process.terminate()
        process.join()


if __name__ == "__main__":
    main()
