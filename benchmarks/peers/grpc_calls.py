"""Unary calls of gRPC over TCP: each side is a server in a process of its own; messages are JSON, without protobuf."""

from __future__ import annotations

import json
import multiprocessing
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from exchange import Classical, Quantum, take

_METHOD = "/peer.Side/Execute"


def serve(side: type, ready: Any) -> None:
    """Serve one object until the process is ended."""
    execute = side().execute
    handler = grpc.unary_unary_rpc_method_handler(
        lambda request, _context: execute(request), request_deserializer=json.loads, response_serializer=encoded
    )
    server = grpc.server(ThreadPoolExecutor(1))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("peer.Side", {"Execute": handler}),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    ready.send(port)
    server.wait_for_termination()


def encoded(value: Any) -> bytes:
    """A message on the wire."""
    return json.dumps(value).encode()


def main() -> None:
    """Start both and be the dispatcher."""
    context = multiprocessing.get_context("spawn")
    calls, channels, processes = [], [], []
    for side in (Classical, Quantum):
        ours, theirs = context.Pipe()
        process = context.Process(target=serve, args=(side, theirs), daemon=True)
        process.start()
        processes.append(process)
        channel = grpc.insecure_channel(f"127.0.0.1:{ours.recv()}")
        channels.append(channel)
        calls.append(channel.unary_unary(_METHOD, request_serializer=encoded, response_deserializer=json.loads))
    classical, quantum = calls
    take(lambda results: quantum(classical(results)), grpc.__version__)
    for channel, process in zip(channels, processes, strict=True):
        channel.close()
        process.terminate()
        process.join()


if __name__ == "__main__":
    main()
