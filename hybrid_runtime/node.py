"""The dispatcher's process: puts a fork server, a quantum runtime and the loop together.

`python -m hybrid_runtime.node --fd N --root DIR --driver NAME --options JSON`; the client holds the other
end of the descriptor, and everything ends when it closes. Exit code 75 says that workers were lost with their fork
server: started anew, the dispatcher takes their jobs up from their journals.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import signal
import sys
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hybrid_runtime import placement
from hybrid_runtime.classical.cleaning import remove_tree
from hybrid_runtime.classical.pool import Pool
from hybrid_runtime.process import ignore_interrupts
from hybrid_runtime.quantum.process import QuantumProcess

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from hybrid_runtime.dispatcher.loop import Dispatcher

EXIT_WORKERS_LOST = os.EX_TEMPFAIL


def main() -> None:
    """Serve jobs until the client is gone."""
    parser = argparse.ArgumentParser(prog="hybrid-runtime-node")
    parser.add_argument("--fd", type=int, required=True)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--driver", required=True)
    parser.add_argument("--options", type=json.loads, default={})
    parser.add_argument("--failover", action="append", default=[])
    parser.add_argument("--failover-options", type=json.loads, action="append", default=[])
    parser.add_argument("--preload", action="append", default=[])
    parser.add_argument("--warm", type=int, default=1)
    parser.add_argument("--isolation")
    parser.add_argument("--python")
    parser.add_argument("--trace", type=Path)
    parser.add_argument("--faults", type=str.encode)
    parser.add_argument("--placement", default=placement.Placement.FREE.value)
    arguments = parser.parse_args()
    ignore_interrupts()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the client decides when the node ends
    try:
        dispatcher = _serve(arguments)
    except FileNotFoundError:
        if arguments.root.exists():
            raise
        return  # interrupted while this process still started, the client took its folder along
    if dispatcher.failed:
        sys.exit(EXIT_WORKERS_LOST)
    # The client, which is gone, does the same unless it was killed. A dispatcher that failed comes not as far as here:
    # its client goes on with what is in the journals.
    remove_tree(str(arguments.root))


def _serve(arguments: argparse.Namespace) -> Dispatcher:
    # Its own: a process that was here before, and lost, may have left something in another.
    scratch = scratch_of(arguments.root, os.getpid())
    scratch.mkdir()
    with ExitStack() as held:
        # Both children start now, so that they load while the rest of this process does.
        place = placement.parse(arguments.placement)
        cores = placement.Cores(place)
        placed = partial(placement.on_core, cores.quantum)
        make = partial(_quantum, placed=placed, inline=place is placement.Placement.INLINE)
        quantum = [make(arguments.driver, arguments.options)]
        for number, name in enumerate(arguments.failover):
            options = arguments.failover_options[number] if number < len(arguments.failover_options) else {}
            quantum.append(make(name, options, started=False))
        for process in quantum:
            held.callback(process.close)
        preload = tuple(arguments.preload)
        with placement.on_core(cores.worker):
            python, level = arguments.python, arguments.isolation
            pool = Pool(scratch, warm=arguments.warm, preload=preload, level=level, python=python)
        held.callback(pool.close)
        from hybrid_runtime.protocol.seqpacket import SeqPacketChannel

        control = SeqPacketChannel.from_fd(arguments.fd)
        placement.stay_on(cores.dispatcher)
        gc.freeze()  # what start-up made stays for good: the collector need not look at it again
        made = _dispatcher(arguments.trace, arguments.faults)
        dispatcher = made(control, pool, quantum, patience_s=place.patience_s)
        dispatcher.run()
    return dispatcher


def scratch_of(root: Path, pid: int) -> Path:
    """The folder of a node's workers."""
    return root / f"node-{pid}"


def _quantum(
    backend: str,
    options: dict[str, Any],
    *,
    placed: Callable[[], AbstractContextManager[None]],
    inline: bool,
    started: bool = True,
) -> QuantumProcess:
    # A relay knows nothing of what its remote backend does at present.
    more = () if backend.startswith("tcp://") else ("--tell-states",)
    return QuantumProcess(backend, options, more, placed=placed, started=started, inline=inline)


def _dispatcher(trace: Path | None, faults: bytes | None) -> Callable[..., Dispatcher]:
    """The class that serves: another one when its work is to be traced, or to break, so that the usual one has no part
    in that.
    """
    if faults is not None:
        from hybrid_runtime.dispatcher.breaking import BreakingDispatcher

        return partial(BreakingDispatcher, plan=faults)
    if trace is None:
        from hybrid_runtime.dispatcher.loop import Dispatcher

        return Dispatcher
    from hybrid_runtime.dispatcher.tracing import TracingDispatcher

    return partial(TracingDispatcher, trace=trace)


if __name__ == "__main__":
    main()
