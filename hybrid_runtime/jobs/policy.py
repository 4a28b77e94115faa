"""What a job manager allows, and how long it keeps things."""

from __future__ import annotations

from dataclasses import dataclass

_HOUR_S = 3600.0
_DAY_S = 24 * _HOUR_S


@dataclass(frozen=True, kw_only=True)
class Policy:
    """Caps and times of one job manager; the defaults suit one node.

    Attributes:
        queued_per_user: Jobs that one user may have planned, queued or paused. A job takes about 2 kB.
        running_per_user: Jobs of one user that may run on one backend at a time.
        bundle_bytes_per_user: Bytes of all bundles that one user has uploaded.
        batch: Jobs in one batch.
        tokens_per_user: Valid tokens of one user.
        log_bytes_per_job: Characters of a job's log lines; what comes after is counted, not kept.
        points_per_job: Metric values of a job that are kept, and as many events.
        heartbeat_s: A backend whose runner has not been heard of for that long is offline.
        keep_keys_s: How long an idempotency key is remembered.
        keep_jobs_s: How long a job that has ended is kept, with its results.
        keep_bundles_s: How long a bundle is kept that no algorithm and no job refers to.
        keep_tokens_s: How long a token is listed after it has expired or was revoked.
        keep_audit_s: How long changes are kept that are not about jobs.
    """

    queued_per_user: int = 200_000
    running_per_user: int = 4
    bundle_bytes_per_user: int = 2 * 1024**3
    batch: int = 10_000
    tokens_per_user: int = 100
    log_bytes_per_job: int = 16 * 1024**2
    points_per_job: int = 1_000_000
    heartbeat_s: float = 10.0
    keep_keys_s: float = 48 * _HOUR_S
    keep_jobs_s: float = 90 * _DAY_S
    keep_bundles_s: float = 7 * _DAY_S
    keep_tokens_s: float = 90 * _DAY_S
    keep_audit_s: float = 730 * _DAY_S
