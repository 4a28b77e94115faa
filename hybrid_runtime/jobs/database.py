"""The database: connections, transactions, and one writer at a time.

Every change is made by a transaction that holds the write lock of the whole database: SQLite's own, or an advisory lock
on PostgreSQL. So a transaction sees nothing half done, two never wait for each other in a circle, and numbers given
within one are in the order in which others come to see them. Writers are short; many changes that are asked for at once
share a transaction (`gathering.py`).
"""

from __future__ import annotations

import os
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from hybrid_runtime.errors import InternalError, InvalidInput, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator

# Longer than any transaction of ours takes, also on a slow disk; who waits longer finds something broken.
LOCK_PATIENCE_S = 30
_WRITES = "hybrid_runtime_writes"
# Any number, as long as it stays the same: it names the write lock among the advisory locks of one database.
_ADVISORY_LOCK = 7_210_651
# In one INSERT on PostgreSQL: more make it no quicker, since its driver reads the text of each statement in Python.
_ROWS_AT_ONCE = 50


class Database:
    """Connections to one database, for all threads of this process.

    Args:
        url: `sqlite:///PATH` or `postgresql://…`.
        clock: Tells the time; tests give their own.

    Raises:
        InvalidInput: the URL is none of these, or its driver is not installed.
    """

    def __init__(self, url: str, clock: Callable[[], float] = time.time) -> None:
        self.now = clock
        self._turn = threading.Lock()
        self._statements: dict[Hashable, Any] = {}
        self._engine = _engine(url)
        self.dialect = self._engine.dialect.name

    def __repr__(self) -> str:
        return f"<Database {self._engine.url.render_as_string(hide_password=True)}>"

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """A transaction that only reads.

        Raises:
            Unavailable: the database does not answer.
        """
        with translated(), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """A transaction that may change things: it is kept as a whole when its block ends, or not at all.

        Raises:
            Unavailable: the database does not answer.
        """
        # Threads of this process wait here: waiting for SQLite's lock is sleeping and trying again.
        with self._turn, translated(), self._engine.connect() as connection:
            connection.execution_options(**{_WRITES: True})
            with connection.begin():
                yield connection

    def insert_or(self, table: sa.Table, key: tuple[str, ...]) -> tuple[Any, Any]:
        """An INSERT into the table which can say what to do with a row that exists, and that row's key."""
        make = sqlite.insert if self.dialect == "sqlite" else postgresql.insert
        return make(table), [table.c[name] for name in key]

    def add(self, connection: sa.Connection, table: sa.Table, rows: list[dict[str, Any]]) -> None:
        """Add these rows' numbers to those of the rows with the same key, or insert them."""
        if rows:
            names = tuple(rows[0])
            connection.execute(self.once((table.name, names), lambda: self._adding(table, names)), rows)

    def _adding(self, table: sa.Table, names: tuple[str, ...]) -> Any:
        key = tuple(column.name for column in table.primary_key)
        insert, index = self.insert_or(table, key)
        sums = {name: table.c[name] + insert.excluded[name] for name in names if name not in key}
        return insert.on_conflict_do_update(index_elements=index, set_=sums)

    def once(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """A statement that depends on the kind of database, made once: making one takes longer than it takes to run."""
        statement = self._statements.get(key)
        if statement is None:
            statement = self._statements[key] = make()
        return statement

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()


@contextmanager
def translated() -> Iterator[None]:
    """Turn what goes wrong with a database into an error of ours."""
    try:
        yield
    except (sa.exc.OperationalError, sa.exc.InterfaceError, sa.exc.TimeoutError) as error:
        raise Unavailable(f"the job manager's database does not answer: {_cause(error)}; try again later") from error
    except sa.exc.DatabaseError as error:
        if isinstance(error, sa.exc.IntegrityError | sa.exc.DataError | sa.exc.ProgrammingError):
            raise InternalError(f"the job manager's database refused a change: {_cause(error)}") from error
        raise Unavailable(f"the job manager's database is damaged or gone: {_cause(error)}") from error


def _cause(error: sa.exc.SQLAlchemyError) -> str:
    cause = getattr(error, "orig", None) or error
    # The driver of PostgreSQL keeps the server's message among a dozen fields.
    fields = cause.args[0] if cause.args else None
    return str(fields.get("M", cause) if isinstance(fields, dict) else cause)[:300]


def _engine(url: str) -> sa.Engine:
    try:
        parsed = sa.make_url(url)
        if parsed.drivername in ("postgresql", "postgres", "postgresql+pg8000"):
            return _postgresql(parsed.set(drivername="postgresql+pg8000"))
        if parsed.drivername in ("sqlite", "sqlite+pysqlite") and parsed.database not in (None, "", ":memory:"):
            return _sqlite(parsed)
    except sa.exc.ArgumentError:
        pass  # refused below, without the text: it may hold a password
    except ImportError as error:
        hint = "pip install 'hybrid-runtime[postgres]'"
        raise InvalidInput(f"a job manager on PostgreSQL needs a driver ({error}): {hint}") from error
    raise InvalidInput("the database is given as sqlite:///PATH or postgresql://USER:PASSWORD@HOST/NAME")


def _sqlite(url: sa.URL) -> sa.Engine:
    path = Path(str(url.database))
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        # Nobody else on this machine is to read it; what SQLite keeps beside it takes its rights from it.
        os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise InvalidInput(f"the database {path} cannot be written: {error.strerror}") from error
    engine = sa.create_engine(
        url,
        connect_args={"timeout": LOCK_PATIENCE_S, "isolation_level": None},
        pool_size=16,
        max_overflow=48,
        pool_timeout=LOCK_PATIENCE_S,
    )

    @sa.event.listens_for(engine, "connect")
    def _prepare(connection: Any, _record: Any) -> None:
        for pragma in (
            "journal_mode = WAL",
            # What has been acknowledged outlives a power failure, too: one flush for each transaction.
            "synchronous = FULL",
            "foreign_keys = ON",
            "cache_size = -16000",
            "temp_store = MEMORY",
            "journal_size_limit = 67108864",
        ):
            connection.execute(f"PRAGMA {pragma}")

    @sa.event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        # A transaction that reads first and then writes could find that another one was quicker, and fail.
        writes = connection.get_execution_options().get(_WRITES, False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _postgresql(url: sa.URL) -> sa.Engine:
    engine = sa.create_engine(
        url,
        pool_size=16,
        max_overflow=48,
        pool_timeout=LOCK_PATIENCE_S,
        pool_pre_ping=True,
        pool_recycle=1800,
        insertmanyvalues_page_size=_ROWS_AT_ONCE,
    )
    # Otherwise its driver inserts many rows one by one, each a round trip.
    engine.dialect.use_insertmanyvalues_wo_returning = True

    @sa.event.listens_for(engine, "connect")
    def _prepare(connection: Any, _record: Any) -> None:
        cursor = connection.cursor()
        cursor.execute(f"SET lock_timeout = '{LOCK_PATIENCE_S}s'")
        cursor.close()
        connection.commit()

    @sa.event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        if connection.get_execution_options().get(_WRITES, False):
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_ADVISORY_LOCK})")

    return engine
