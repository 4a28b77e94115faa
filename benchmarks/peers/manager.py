"""Proxies of `multiprocessing.managers`: each side is an object in a process of its own."""

from __future__ import annotations

import platform
from multiprocessing.managers import BaseManager

from exchange import Classical, Quantum, take


class ClassicalManager(BaseManager):
    """Serves the classical side."""


class QuantumManager(BaseManager):
    """Serves the quantum side."""


ClassicalManager.register("Side", Classical)
QuantumManager.register("Side", Quantum)


def main() -> None:
    """Start both and be the dispatcher."""
    with ClassicalManager() as first, QuantumManager() as second:
        classical, quantum = first.Side(), second.Side()  # type: ignore[attr-defined]  # made by `register`
        take(lambda results: quantum.execute(classical.execute(results)), platform.python_version())


if __name__ == "__main__":
    main()
