"""The operator's settings, in the terms of the parts that they are about."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from hybrid_runtime.api.settings import ApiSettings
    from hybrid_runtime.jobs.policy import Policy
    from hybrid_runtime.server.settings import Settings

_DAY_S = 86400.0


def policy_of(settings: Settings) -> Policy:
    """What the job manager allows, and how long it keeps things."""
    from hybrid_runtime.jobs.policy import Policy

    return Policy(
        queued_per_user=settings.caps.queued_per_user,
        running_per_user=settings.caps.running_per_user,
        batch=settings.caps.batch,
        keep_jobs_s=settings.retention.jobs_days * _DAY_S,
        keep_audit_s=settings.retention.audit_days * _DAY_S,
    )


def api_settings_of(settings: Settings, data: Path) -> ApiSettings:
    """What the API allows.

    Raises:
        InvalidInput: the API refuses one of them.
    """
    from hybrid_runtime.api.settings import ApiSettings

    return ApiSettings(
        data=data,
        rate_per_s=settings.caps.requests_per_s,
        burst=settings.caps.burst,
        max_body_bytes=settings.caps.body_bytes,
        max_batch=settings.caps.batch,
        max_watchers=settings.caps.watchers,
        metrics_networks=list(settings.metrics_networks),
    )
