"""Remote objects of Pyro5: each side is a daemon in a process of its own."""

from __future__ import annotations

import multiprocessing
from typing import Any

import Pyro5
import Pyro5.api
from exchange import Classical, Quantum, take


def serve(side: type, ready: Any) -> None:
    """Serve one object over TCP."""
    daemon = Pyro5.api.Daemon(host="127.0.0.1")
    ready.send(str(daemon.register(Pyro5.api.expose(side))))
    daemon.requestLoop()


def main() -> None:
    """Start both and be the dispatcher."""
    context = multiprocessing.get_context("spawn")
    proxies, processes = [], []
    for side in (Classical, Quantum):
        ours, theirs = context.Pipe()
        process = context.Process(target=serve, args=(side, theirs), daemon=True)
        process.start()
        processes.append(process)
        proxies.append(Pyro5.api.Proxy(ours.recv()))
    classical, quantum = proxies
    take(lambda results: quantum.execute(classical.execute(results)), Pyro5.__version__)
    for process in processes:
        process.terminate()
        process.join()


if __name__ == "__main__":
    main()
