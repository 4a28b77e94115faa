"""Hybrid quantum-classical programs next to the quantum computer.

Read in this order: `algorithm` (what users write), `dispatcher.loop` (what happens to it),
`protocol.messages` (what travels), `classical.worker` and `quantum.runtime` (who answers).
The layers, lowest first:

- errors, program, circuit, limits, algorithm, context, values, timing, job: plain data and contracts
- protocol, languages, config
- dispatcher, classical, quantum, bundle: siblings that know only the protocol
- client: a job manager, as seen by those who use it
- local, testing, cli: where the parts are put together
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hybrid_runtime._version import __version__

if TYPE_CHECKING:
    from hybrid_runtime.algorithm import Done, History, HybridAlgorithm, StopExecution, hybrid
    from hybrid_runtime.circuit import Circuit
    from hybrid_runtime.client.aio import AsyncClient
    from hybrid_runtime.client.sync import Client
    from hybrid_runtime.context import Context
    from hybrid_runtime.job import JobResult
    from hybrid_runtime.limits import Limits, StopReason
    from hybrid_runtime.local import LocalRuntime, run
    from hybrid_runtime.result import QuantumResult

# Where each public name lives. They are loaded on first use, so that importing the package in a
# fresh interpreter, or in a worker, costs next to nothing.
_HOMES = {
    "AsyncClient": "client.aio",
    "Circuit": "circuit",
    "Client": "client.sync",
    "LocalRuntime": "local",
    "Context": "context",
    "Done": "algorithm",
    "History": "algorithm",
    "HybridAlgorithm": "algorithm",
    "JobResult": "job",
    "Limits": "limits",
    "QuantumResult": "result",
    "StopExecution": "algorithm",
    "StopReason": "limits",
    "hybrid": "algorithm",
    "run": "local",
}

__all__ = [
    "AsyncClient",
    "Circuit",
    "Client",
    "Context",
    "Done",
    "History",
    "HybridAlgorithm",
    "JobResult",
    "Limits",
    "LocalRuntime",
    "QuantumResult",
    "StopExecution",
    "StopReason",
    "__version__",
    "hybrid",
    "run",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'hybrid_runtime' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f"hybrid_runtime.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
