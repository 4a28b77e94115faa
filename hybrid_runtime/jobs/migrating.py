"""Bringing the database's tables from one version of this program to the next, with Alembic."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError

from hybrid_runtime.errors import Conflict

if TYPE_CHECKING:
    from hybrid_runtime.jobs.database import Database

_FOLDER = Path(__file__).parent / "migrations"


def migrate(database: Database) -> None:
    """Apply the migrations that the database has not seen, in one transaction under the write lock.

    Raises:
        Conflict: the database is of a later version than this program.
    """
    config = _config()
    with database.write() as connection:
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, "head")
        except CommandError as error:
            raise Conflict(f"the database is not of this version of the program or an earlier one: {error}") from error


def version(database: Database) -> tuple[str | None, str | None]:
    """The version of the database, and that of this program."""
    with database.read() as connection:
        return MigrationContext.configure(connection).get_current_revision(), _newest()


def _newest() -> str | None:
    return ScriptDirectory.from_config(_config()).get_current_head()


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    return config
