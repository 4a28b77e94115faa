"""Databases for tests: SQLite, and a PostgreSQL server private to them, on a Unix socket, gone when they have ended."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

# What a store may be kept in.
KINDS = ("sqlite", "postgresql")


def _programs() -> Path | None:
    """The folder with PostgreSQL's server, the newest version first."""
    found = shutil.which("initdb")
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name), reverse=True)
    return next((folder for folder in [*folders, *([Path(found).parent] if found else [])] if folder.is_dir()), None)


@contextmanager
def running_postgres() -> Iterator[Path | None]:
    """A server without a port: the folder with its socket; None where there is no PostgreSQL."""
    programs = _programs()
    if programs is None:
        yield None
        return
    # Not in pytest's own folder: that may be private, and its path too long for a socket.
    folder = Path(tempfile.mkdtemp(prefix="pg-"))
    # PostgreSQL does not run as root.
    user = pwd.getpwnam("nobody") if os.geteuid() == 0 else None
    if user is not None:
        os.chown(folder, user.pw_uid, user.pw_gid)
    identity: dict[str, Any] = {} if user is None else {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    log = (folder / "log").open("w")
    data = str(folder / "data")
    make = [str(programs / "initdb"), "-D", data, "-U", "tests", "-E", "UTF8", "--locale=C", "-A", "trust", "--no-sync"]
    subprocess.run(make, check=True, stdout=log, stderr=log, cwd=folder, **identity)
    settings = {
        "listen_addresses": "",
        "unix_socket_directories": str(folder),
        "fsync": "off",
        "max_connections": "100",
        "shared_buffers": "64MB",
    }
    options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    server = subprocess.Popen(
        [programs / "postgres", "-D", data, *options], stdout=log, stderr=log, cwd=folder, **identity
    )
    try:
        ready = [str(programs / "pg_isready"), "-q", "-h", str(folder), "-t", "1"]
        while subprocess.run(ready, check=False).returncode:
            assert server.poll() is None, (folder / "log").read_text()
        yield folder
    finally:
        server.send_signal(signal.SIGINT)  # a fast shutdown
        server.wait()
        log.close()
        shutil.rmtree(folder)


class Databases:
    """Gives empty databases of each kind.

    Args:
        server: The folder with the socket of a PostgreSQL server; None where there is none.
    """

    def __init__(self, server: Path | None) -> None:
        self._server = server

    @contextmanager
    def empty(self, kind: str, folder: Path) -> Iterator[str]:
        """The URL of a database that is there for the time of the block.

        Args:
            kind: One of `KINDS`; where there is no PostgreSQL, its tests are skipped.
            folder: Where a file may be put.
        """
        if kind == "sqlite":
            yield f"sqlite:///{folder}/jobs.sqlite"
            return
        if self._server is None:
            reason = "there is no PostgreSQL server on this machine"
            # What is to be tested everywhere before a change is taken must not be left out without notice.
            pytest.fail(reason) if os.environ.get("CI") == "true" else pytest.skip(reason)
        name = f"test_{uuid.uuid4().hex}"
        engine = sa.create_engine(self._url("postgres"), isolation_level="AUTOCOMMIT")
        try:
            with engine.connect() as connection:
                connection.exec_driver_sql(f"CREATE DATABASE {name}")
            try:
                yield self._url(name)
            finally:
                with engine.connect() as connection:
                    connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")
        finally:
            engine.dispose()

    def _url(self, name: str) -> str:
        return f"postgresql+pg8000://tests@/{name}?unix_sock={self._server}/.s.PGSQL.5432"
