"""What the job manager does from time to time: starts what is planned, and removes what nobody needs any more."""

from __future__ import annotations

import shutil
from contextlib import suppress
from typing import TYPE_CHECKING

import sqlalchemy as sa

from hybrid_runtime.job import JobState
from hybrid_runtime.jobs.ledger import ledger
from hybrid_runtime.jobs.schema import (
    PLANNED,
    algorithms,
    audit,
    bundles,
    events,
    jobs,
    keys,
    logs,
    metrics,
    results,
    tokens,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from hybrid_runtime.jobs.bundles import Bundles
    from hybrid_runtime.jobs.database import Database
    from hybrid_runtime.jobs.policy import Policy

# In one transaction: what remains is done by the next one, and others get their turn in between.
_AT_ONCE = 500
# Longer than any upload takes.
_STRAY_S = 86400.0
_ENDED = [str(state) for state in JobState if state.final]


class Housekeeping:
    """Runs in the manager process.

    Args:
        folder: Holds a folder for each job.
    """

    def __init__(self, database: Database, policy: Policy, kept: Bundles, folder: Path) -> None:
        self._database = database
        self._policy = policy
        self._bundles = kept
        self._folder = folder
        self._removed = folder / ".removed"

    def promote(self) -> int:
        """Queue the jobs that were planned for a time that has come; how many."""
        with self._database.read() as connection:
            if not connection.execute(self._due()).first():
                return 0
        with ledger(self._database) as book:
            rows = [row._asdict() for row in book.connection.execute(self._due())]
            for row in rows:
                book.move(row, JobState.QUEUED, by="manager", reason="its time to start has come")
        return len(rows)

    def _due(self) -> sa.Select[tuple[object, ...]]:
        due = sa.select(jobs).where(PLANNED, jobs.c.start_after <= self._database.now())
        return due.order_by(jobs.c.number).limit(_AT_ONCE)

    def sweep(self) -> None:
        """Remove a part of what has been kept for long enough."""
        self._sweep_jobs()
        now = self._database.now()
        with self._database.write() as connection:
            connection.execute(sa.delete(keys).where(keys.c.created_at < now - self._policy.keep_keys_s))
            old = now - self._policy.keep_tokens_s
            connection.execute(
                sa.delete(tokens).where(
                    sa.or_(tokens.c.expires_at < old, sa.and_(tokens.c.revoked, tokens.c.created_at < old))
                )
            )
            old = now - self._policy.keep_audit_s
            connection.execute(sa.delete(audit).where(audit.c.at < old, audit.c.subject != "job"))
            self._bundles.remove(connection, self._unneeded(connection, now))
        self._bundles.remove_strays(now - _STRAY_S)

    def _sweep_jobs(self) -> None:
        old = self._old_jobs()
        with self._database.read() as connection:
            due = connection.execute(old).first()
        if due is not None:
            with self._database.write() as connection:
                self._forget(connection, connection.execute(old).all())
        # Not within the transaction: it may take long. What a crash leaves is removed by the next sweep.
        shutil.rmtree(self._removed, ignore_errors=True)

    def _old_jobs(self) -> sa.Select[tuple[int, str]]:
        later = jobs.alias("later")
        # A fork reads the other job's journal when it starts.
        needed = sa.exists().where(later.c.forked_from == jobs.c.id, later.c.state.not_in(_ENDED))
        ended = jobs.c.ended_at < self._database.now() - self._policy.keep_jobs_s
        return sa.select(jobs.c.number, jobs.c.id).where(ended, ~needed).order_by(jobs.c.ended_at).limit(_AT_ONCE)

    def _forget(self, connection: sa.Connection, rows: Sequence[sa.Row[tuple[int, str]]]) -> None:
        # First the files: what is left after a crash in between is a row that is found again.
        self._removed.mkdir(parents=True, exist_ok=True)
        for row in rows:
            with suppress(FileNotFoundError):
                (self._folder / row.id).rename(self._removed / row.id)
        numbers, ids = [row.number for row in rows], [row.id for row in rows]
        for table in (events, logs, metrics, results):
            connection.execute(sa.delete(table).where(table.c.job.in_(numbers)))
        connection.execute(sa.delete(audit).where(audit.c.subject == "job", audit.c.name.in_(ids)))
        connection.execute(sa.delete(jobs).where(jobs.c.number.in_(numbers)))

    def _unneeded(self, connection: sa.Connection, now: float) -> Sequence[str]:
        named = sa.exists().where(algorithms.c.bundle == bundles.c.sha256)
        used = sa.exists().where(jobs.c.bundle == bundles.c.sha256)
        old = bundles.c.uploaded_at < now - self._policy.keep_bundles_s
        return connection.scalars(sa.select(bundles.c.sha256).where(old, ~named, ~used).limit(_AT_ONCE)).all()
