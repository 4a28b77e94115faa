"""`concurrent.futures.ProcessPoolExecutor`: each side is a pool of one process, each call a submitted task."""

from __future__ import annotations

import multiprocessing
import platform
from concurrent.futures import ProcessPoolExecutor

from exchange import Classical, Quantum, take


def next_circuit(results: dict[str, int]) -> str:
    """The task of the classical side."""
    return Classical().execute(results)


def counts_of(circuit: str) -> dict[str, int]:
    """The task of the quantum side."""
    return Quantum().execute(circuit)


def main() -> None:
    """Start both and be the dispatcher."""
    context = multiprocessing.get_context("spawn")
    with (
        ProcessPoolExecutor(1, mp_context=context) as classical,
        ProcessPoolExecutor(1, mp_context=context) as quantum,
    ):

        def step(results: dict[str, int]) -> dict[str, int]:
            return quantum.submit(counts_of, classical.submit(next_circuit, results).result()).result()

        take(step, platform.python_version())


if __name__ == "__main__":
    main()
