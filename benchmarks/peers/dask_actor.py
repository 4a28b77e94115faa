"""Actors of Dask: each side lives on a worker process of a cluster on this machine."""

from __future__ import annotations

import distributed
from exchange import Classical, Quantum, take


def main() -> None:
    """Start both and be the dispatcher."""
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster,
        distributed.Client(cluster) as client,
    ):
        first, second = list(client.scheduler_info()["workers"])
        classical = client.submit(Classical, actor=True, workers=[first]).result()
        quantum = client.submit(Quantum, actor=True, workers=[second]).result()
        take(
            lambda results: quantum.execute(classical.execute(results).result()).result(),
            distributed.__version__,
        )


if __name__ == "__main__":
    main()
