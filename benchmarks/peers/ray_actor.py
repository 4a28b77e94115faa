"""Actors of Ray: each side is an actor in a process of its own, on a cluster on this machine."""

from __future__ import annotations

import ray
from exchange import Classical, Quantum, take


def main() -> None:
    """Start both and be the dispatcher."""
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="error")
    classical, quantum = (ray.remote(side).remote() for side in (Classical, Quantum))

    def step(results: dict[str, int]) -> dict[str, int]:
        # The reference is passed on: Ray fetches what it stands for on its own.
        counts: dict[str, int] = ray.get(quantum.execute.remote(classical.execute.remote(results)))
        return counts

    take(step, ray.__version__)
    ray.shutdown()


if __name__ == "__main__":
    main()
