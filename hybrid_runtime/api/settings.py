"""What an operator can set about the API."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path

from hybrid_runtime.errors import InvalidInput
from hybrid_runtime.protocol.bundles import MAX_BUNDLE_BYTES


@dataclass(frozen=True, kw_only=True)
class ApiSettings:
    """What an operator can set about the API.

    Attributes:
        data: The data folder of the job manager, where the journals of jobs are.
        rate_per_s: Requests a second that one token may make for long.
        burst: Requests that one token may make at once, before `rate_per_s` counts.
        max_json_bytes: The largest body of a request, except for bundles and batches.
        max_body_bytes: The largest bundle or batch of jobs.
        max_batch: Jobs in one batch.
        max_watchers: Event streams that are open at a time.
        heartbeat_s: How long an event stream is silent before it shows that it lives.
        stall_s: How long a watcher may take nothing before it is dropped.
        poll_s: How often the events of watched jobs are looked for.
        stale_s: A runner that was silent for so long is not counted on.
        metrics_networks: Networks whose hosts may read `/metrics` without a token: `10.0.0.0/8`.
    """

    data: Path
    rate_per_s: float = 1000.0
    burst: int = 2000
    max_json_bytes: int = 4 * 1024 * 1024
    max_body_bytes: int = MAX_BUNDLE_BYTES
    max_batch: int = 1000
    max_watchers: int = 2000
    heartbeat_s: float = 15.0
    stall_s: float = 30.0
    poll_s: float = 0.1
    stale_s: float = 30.0
    metrics_networks: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        for name in (
            "rate_per_s",
            "burst",
            "max_json_bytes",
            "max_body_bytes",
            "max_batch",
            "max_watchers",
            "heartbeat_s",
            "stall_s",
            "poll_s",
            "stale_s",
        ):
            if not getattr(self, name) > 0:
                raise InvalidInput(f"the API's {name} is a number above 0, not {getattr(self, name)!r}")
        self.networks()

    def networks(self) -> list[IPv4Network | IPv6Network]:
        """`metrics_networks`, understood.

        Raises:
            InvalidInput: one of them is not a network.
        """
        try:
            return [ip_network(text) for text in self.metrics_networks]
        except ValueError as error:
            raise InvalidInput(f"metrics_networks: {error}; write for example 10.0.0.0/8") from error
