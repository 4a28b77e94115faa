"""The tables of the job manager's database. `migrations/` makes them; a test holds the two against each other.

Times are seconds since 1970. A job has two names: `id` is the one that people see, and `number` counts all jobs in the
order in which they were accepted, so that it is also their order in a queue and the key of all that belongs to them.

Four tables count what would take too long to count anew. They change in the transaction that changes a job's state, in
`ledger.py` only:

* `lanes`: one row for each user and priority class with queued jobs on a backend, with the first of these jobs. The
  scheduler reads them in place of the queue.
* `blocks`: how many of 512 consecutive jobs are queued, so that a position is a sum over few rows.
* `loads`: how many jobs of each user wait for a backend or run on it, for the caps on both.
* `usage`: what each user used in each project on each day.
"""

from __future__ import annotations

from typing import Any

import msgspec
import sqlalchemy as sa

from hybrid_runtime.job import JobState

metadata = sa.MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    }
)

# So many jobs with consecutive numbers are a block; it is named by the first of these numbers.
BLOCK = 512

# In words, because an index on some of the rows is used by queries with the same words only.
ACTIVE_STATES = (JobState.STARTING, JobState.RUNNING, JobState.PAUSING, JobState.FINALIZING)
_QUEUED = f"state = '{JobState.QUEUED}'"
_PLANNED = f"state = '{JobState.PLANNED}'"
_ACTIVE = "state IN ({})".format(", ".join(f"'{state}'" for state in ACTIVE_STATES))
QUEUED, PLANNED, ACTIVE = (sa.text(f"jobs.{words}") for words in (_QUEUED, _PLANNED, _ACTIVE))


def _where(words: str) -> dict[str, Any]:
    return {"sqlite_where": sa.text(words), "postgresql_where": sa.text(words)}


class Text(sa.types.TypeDecorator[str]):
    """Any text: what a database could not hold (zero bytes, lone surrogates) is replaced."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: sa.Dialect) -> str | None:
        """The text as the database takes it."""
        if value is None:
            return None
        return str(value).replace("\0", "\ufffd").encode("utf-8", "replace").decode()


class Json(sa.types.TypeDecorator[Any]):
    """Plain data, kept as JSON text."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: sa.Dialect) -> str | None:
        """The data as JSON."""
        return None if value is None else msgspec.json.encode(value).decode()

    def process_result_value(self, value: Any, dialect: sa.Dialect) -> Any:
        """The data again."""
        return None if value is None else msgspec.json.decode(value)


class Shots(sa.types.TypeDecorator[int]):
    """A number of shots, or None for exact results, which is kept as 0."""

    impl = sa.BigInteger
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: sa.Dialect) -> int:
        """The shots as the database takes them."""
        return value or 0

    def process_result_value(self, value: Any, dialect: sa.Dialect) -> int | None:
        """The shots again."""
        return value or None


def _text(name: str, **options: Any) -> sa.Column[str]:
    return sa.Column(name, Text, nullable=options.pop("nullable", False), **options)


def _time(name: str, **options: Any) -> sa.Column[float]:
    return sa.Column(name, sa.Double, nullable=options.pop("nullable", False), **options)


def _count(name: str, **options: Any) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=options.pop("nullable", False), **options)


def _key(name: str, to: str, **options: Any) -> sa.Column[str]:
    return sa.Column(name, Text, sa.ForeignKey(to), nullable=False, **options)


# Grows by itself: SQLite does that for a column of exactly the type INTEGER.
_NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")

users = sa.Table(
    "users",
    metadata,
    _text("name", primary_key=True),
    _text("role"),
    _time("created_at"),
    sa.Column("disabled", sa.Boolean, nullable=False),
)

tokens = sa.Table(
    "tokens",
    metadata,
    _text("id", primary_key=True),
    _key("user", "users.name", index=True),
    _text("label"),
    _text("digest"),
    _time("created_at"),
    _time("expires_at", nullable=True),
    _time("last_used_at", nullable=True),
    sa.Column("revoked", sa.Boolean, nullable=False),
)

projects = sa.Table("projects", metadata, _text("name", primary_key=True), _time("created_at"))

members = sa.Table(
    "members",
    metadata,
    _key("user", "users.name", primary_key=True),
    _key("project", "projects.name", primary_key=True, index=True),
    _text("role"),
)

bundles = sa.Table(
    "bundles",
    metadata,
    _text("sha256", primary_key=True),
    _count("size"),
    _text("python"),
    _text("entry"),
    _text("name"),
    sa.Column("packages", Json, nullable=False),
    sa.Column("pure_source", sa.Boolean, nullable=False),
    _time("uploaded_at"),
)

# Who may use a bundle: the user who uploaded it, and each project in which it was used.
holders = sa.Table(
    "holders",
    metadata,
    _key("bundle", "bundles.sha256", primary_key=True),
    _text("kind", primary_key=True),  # user or project
    _text("holder", primary_key=True),
    sa.Index(None, "kind", "holder"),
)

algorithms = sa.Table(
    "algorithms",
    metadata,
    _key("project", "projects.name", primary_key=True),
    _text("name", primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
    _key("bundle", "bundles.sha256", index=True),
    _time("created_at"),
    _text("created_by"),
)

environments = sa.Table(
    "environments",
    metadata,
    _text("name", primary_key=True),
    _text("python"),
    sa.Column("packages", Json, nullable=False),
    _time("announced_at"),
)

backends = sa.Table(
    "backends",
    metadata,
    _text("name", primary_key=True),
    # What its runner says.
    _text("status"),
    _text("reason"),
    _time("since"),
    _time("last_heartbeat", nullable=True),
    sa.Column("capabilities", Json, nullable=False),
    sa.Column("environments", Json, nullable=False),
    # What an operator says, which goes before it.
    _text("set_status", nullable=True),
    _text("set_reason"),
    _time("set_since", nullable=True),
    sa.Column("accepting", sa.Boolean, nullable=False),
    sa.Column("calibration", Json, nullable=False),
)

# One row each; the next number of a job is taken from here, so that no number is given twice when jobs are deleted.
counters = sa.Table("counters", metadata, _text("name", primary_key=True), _count("value"))

jobs = sa.Table(
    "jobs",
    metadata,
    sa.Column("number", _NUMBER, primary_key=True, autoincrement=False),
    _text("id", unique=True),
    _text("kind"),
    _text("name"),
    _text("project"),
    _text("user"),
    _text("backend"),
    _text("state"),
    sa.Column("rank", sa.SmallInteger, nullable=False),  # of the priority class; the lowest is served first
    _count("seed"),
    sa.Column("shots", Shots, nullable=False),
    _text("environment", nullable=True),
    _text("bundle", nullable=True, index=True),
    _text("algorithm", nullable=True),
    _text("forked_from", nullable=True, index=True),
    _count("fork_step", nullable=True),
    sa.Column("keep_requests", sa.Boolean, nullable=False),
    _time("created_at", index=True),
    _time("start_after", nullable=True),
    _time("started_at", nullable=True),
    _time("ended_at", nullable=True, index=True),
    _time("state_since"),
    _text("reason"),
    _count("steps"),
    _count("shots_done"),
    sa.Column("qpu_s", sa.Double, nullable=False),
    _text("stop_reason", nullable=True),
    sa.Column("error", Json, nullable=True),
    # Who runs it. A write with another fence than this one comes from a runner that has lost it.
    sa.Column("attempts", sa.Integer, nullable=False),
    _count("fence"),
    _text("lease_owner", nullable=True),
    _time("lease_until", nullable=True),
    # How many of each it has had, which numbers the next one.
    _count("events"),
    _count("logs"),
    _count("log_bytes"),
    _count("metrics"),
    # Last, because they may be large.
    sa.Column("limits", Json, nullable=False),
    _text("language", nullable=True),
    sa.Column("parameters", Json, nullable=False),
    _text("circuit", nullable=True),
    sa.Index(None, "project", "number"),
    sa.Index(None, "project", "state", "number"),
    sa.Index(None, "name", "number"),
    sa.Index(None, "backend", "number"),
    sa.Index(None, "backend", "state", "number"),
    sa.Index(None, "state", "number"),
    sa.Index(None, "user", "number"),
    sa.Index(None, "user", "state", "number"),
    sa.Index("ix_jobs_queue", "backend", "rank", "number", **_where(_QUEUED)),
    sa.Index("ix_jobs_lane", "backend", "rank", "user", "number", **_where(_QUEUED)),
    sa.Index("ix_jobs_planned", "start_after", **_where(_PLANNED)),
)

lanes = sa.Table(
    "lanes",
    metadata,
    _text("backend", primary_key=True),
    _text("user", primary_key=True),
    sa.Column("rank", sa.SmallInteger, primary_key=True, autoincrement=False),
    _count("queued"),
    _count("head"),
    sa.Index(None, "user"),
)

blocks = sa.Table(
    "blocks",
    metadata,
    _text("backend", primary_key=True),
    sa.Column("rank", sa.SmallInteger, primary_key=True, autoincrement=False),
    sa.Column("block", sa.BigInteger, primary_key=True, autoincrement=False),
    _count("queued"),
)

loads = sa.Table(
    "loads",
    metadata,
    _text("backend", primary_key=True),
    _text("user", primary_key=True),
    _count("waiting"),
    _count("running"),
    sa.Index(None, "user"),
)

usage = sa.Table(
    "usage",
    metadata,
    sa.Column("day", sa.Integer, primary_key=True, autoincrement=False),  # since 1970, UTC
    _text("user", primary_key=True),
    _text("project", primary_key=True),
    _count("jobs"),
    _count("steps"),
    _count("shots"),
    sa.Column("qpu_s", sa.Double, nullable=False),
    sa.Column("wall_s", sa.Double, nullable=False),
    sa.Index(None, "project"),
)

keys = sa.Table(
    "keys",
    metadata,
    _text("user", primary_key=True),
    _text("key", primary_key=True),
    _text("digest"),
    sa.Column("jobs", Json, nullable=False),
    _time("created_at", index=True),
)

commands = sa.Table(
    "commands",
    metadata,
    sa.Column("id", _NUMBER, primary_key=True),
    _count("job", index=True),
    _text("backend", index=True),
    _text("kind"),
    _text("by"),
    _time("at"),
)

audit = sa.Table(
    "audit",
    metadata,
    sa.Column("id", _NUMBER, primary_key=True),
    _time("at"),
    _text("by"),
    _text("subject"),
    _text("name"),
    _text("action"),
    _text("reason"),
    sa.Index(None, "subject", "name", "id"),
)

results = sa.Table(
    "results",
    metadata,
    sa.Column("job", sa.BigInteger, primary_key=True, autoincrement=False),
    _time("at"),
    sa.Column("result", sa.Text, nullable=False),
)

events = sa.Table(
    "events",
    metadata,
    sa.Column("job", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=False),
    _time("at"),
    _text("type"),
    sa.Column("data", Json, nullable=False),
)

logs = sa.Table(
    "logs",
    metadata,
    sa.Column("job", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("sequence", sa.BigInteger, primary_key=True, autoincrement=False),
    _time("at"),
    _text("stream"),
    _text("text"),
)

metrics = sa.Table(
    "metrics",
    metadata,
    sa.Column("job", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("sequence", sa.BigInteger, primary_key=True, autoincrement=False),
    _time("at"),
    _text("name"),
    sa.Column("value", sa.Double, nullable=True),
    sa.Index(None, "job", "name", "sequence"),
)
