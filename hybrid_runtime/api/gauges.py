"""What Prometheus reads: how the service does, in numbers."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from hybrid_runtime.jobs.access import Principal
from hybrid_runtime.resources.accounts import Role
from hybrid_runtime.resources.backends import BackendStatus

if TYPE_CHECKING:
    from hybrid_runtime.api.hub import Hub
    from hybrid_runtime.jobs.store import Store

CONTENT_TYPE = CONTENT_TYPE_LATEST
# For what the service looks up of itself, whoever asks.
SERVICE = Principal("service", Role.OPERATOR, "")
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Gauges:
    """The numbers of one application, in a registry of its own.

    Args:
        store: Asked when the numbers are read: what is counted there outlives restarts.
        hub: Knows how many watch.
    """

    def __init__(self, store: Store, hub: Hub) -> None:
        self._registry = CollectorRegistry(auto_describe=False)
        self._requests = Histogram(
            "hybrid_runtime_http_request_duration_seconds",
            "Time from a request to the end of its answer.",
            ["method", "path", "status"],
            registry=self._registry,
            buckets=_BUCKETS,
        )
        self._registry.register(_Service(store, hub))

    def request(self, method: str, path: str, status: int, seconds: float) -> None:
        """Count one request. Event streams last as long as somebody watches, which is no delay."""
        if not path.endswith("/events"):
            self._requests.labels(method, path, str(status)).observe(seconds)

    def render(self) -> bytes:
        """All numbers in Prometheus' text format."""
        return generate_latest(self._registry)


class _Service(Collector):
    """What the store knows, asked when it is read."""

    def __init__(self, store: Store, hub: Hub) -> None:
        self._store = store
        self._hub = hub

    def collect(self) -> Iterator[Metric]:
        """All numbers that are not counted in this process."""
        now = time.time()
        found = self._store.statistics()
        jobs = _gauge("jobs", "Jobs that are planned, queued or at work, by backend and state.", ["backend", "state"])
        for (backend, state), count in found.jobs.items():
            jobs.add_metric([backend, state], count)
        yield jobs
        oldest = _gauge("queue_oldest_age_seconds", "Age of the queued job that has waited longest.", ["backend"])
        for backend, at in found.oldest_queued.items():
            oldest.add_metric([backend], max(0.0, now - at))
        yield oldest
        for name, text, value in (
            ("jobs_submitted", "Jobs that were accepted.", found.submitted),
            ("jobs_claimed", "Jobs that a runner took from the queue.", found.claims),
            ("steps", "Steps that were answered.", found.steps),
            ("shots", "Shots that were done.", found.shots),
            ("qpu_seconds", "Time that backends spent executing.", found.qpu_s),
        ):
            total = _counter(name, text, [])
            total.add_metric([], value)
            yield total
        ended = _counter("jobs_ended", "Jobs that have ended, by their final state.", ["state"])
        for state, count in found.ended.items():
            ended.add_metric([state], count)
        yield ended
        yield from self._backends(now)
        watchers = _gauge("event_streams", "Event streams that are open.", [])
        watchers.add_metric([], self._hub.watchers)
        yield watchers

    def _backends(self, now: float) -> Iterator[Metric]:
        status = _gauge("backend_status", "1 for the status that a backend has, 0 for others.", ["backend", "status"])
        accepting = _gauge("backend_accepting", "0 while a backend is drained.", ["backend"])
        heartbeats = _gauge("runner_heartbeat_age_seconds", "Time since a backend's runner was heard of.", ["backend"])
        for backend in self._store.backends.list(SERVICE):
            accepting.add_metric([backend.name], backend.accepting)
            for one in BackendStatus:
                status.add_metric([backend.name, one], one is backend.status)
            if backend.last_heartbeat is not None:
                heartbeats.add_metric([backend.name], max(0.0, now - backend.last_heartbeat))
        yield from (status, accepting, heartbeats)


def _gauge(name: str, text: str, labels: list[str]) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"hybrid_runtime_{name}", text, labels=labels)


def _counter(name: str, text: str, labels: list[str]) -> CounterMetricFamily:
    return CounterMetricFamily(f"hybrid_runtime_{name}", text, labels=labels)
