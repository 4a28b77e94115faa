"""Uploaded bundles: files named by their content, and who may use each."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from hybrid_runtime.errors import NotFound, QuotaExceeded, Unavailable
from hybrid_runtime.jobs.access import Principal, memberships
from hybrid_runtime.jobs.schema import bundles, holders
from hybrid_runtime.jobs.trail import entry, note
from hybrid_runtime.protocol.bundles import content_hash, decode_bundle
from hybrid_runtime.resources.accounts import Role
from hybrid_runtime.resources.algorithms import Bundle

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from hybrid_runtime.jobs.database import Database
    from hybrid_runtime.jobs.policy import Policy


class Bundles:
    """Keeps bundles in a folder, and what they are in the database.

    Args:
        folder: Is made when the first bundle comes.
    """

    def __init__(self, database: Database, policy: Policy, folder: Path) -> None:
        self._database = database
        self._policy = policy
        self._folder = folder

    def path(self, sha256: str) -> Path:
        """Where a bundle is kept."""
        return self._folder / sha256[:2] / f"{sha256}.bundle"

    def put(self, who: Principal, data: bytes) -> Bundle:
        """Keep a bundle that the user has uploaded; the same content is kept once.

        Raises:
            BundleError: it is no bundle, or one that must not be unpacked.
            QuotaExceeded: the user has uploaded too much.
        """
        content = decode_bundle(data)
        sha256 = content_hash(data)
        row = {
            "sha256": sha256,
            "size": len(data),
            "python": content.python,
            "entry": content.entry,
            "name": content.name,
            "packages": content.packages,
            "pure_source": not content.pickle,
            "uploaded_at": self._database.now(),
        }
        target = self.path(sha256)
        written = _write_beside(target, data)
        try:
            with self._database.write() as connection:
                self._admit(connection, who, row)
                # Here, because what nobody needs any more is removed under the same lock.
                written.replace(target)
                _flush_folder(target.parent)
        except OSError as error:
            raise _cannot_keep(error) from error
        finally:
            written.unlink(missing_ok=True)
        return _bundle(row)

    def _admit(self, connection: sa.Connection, who: Principal, row: dict[str, Any]) -> None:
        used = connection.scalar(
            sa.select(sa.func.coalesce(sa.func.sum(bundles.c.size), 0))
            .join(holders, holders.c.bundle == bundles.c.sha256)
            .where(holders.c.kind == "user", holders.c.holder == who.user, bundles.c.sha256 != row["sha256"])
        )
        most = self._policy.bundle_bytes_per_user
        if int(used or 0) + row["size"] > most:
            raise QuotaExceeded(f"{who.user} has uploaded {used} bytes; at most {most} are kept for one user")
        insert, key = self._database.insert_or(bundles, ("sha256",))
        again = {"uploaded_at": row["uploaded_at"]}
        connection.execute(insert.values(row).on_conflict_do_update(index_elements=key, set_=again))
        if hold(self._database, connection, row["sha256"], "user", who.user):
            note(connection, entry(row["uploaded_at"], who.user, "bundle", row["sha256"], "uploaded"))

    def get(self, who: Principal, sha256: str) -> Bundle:
        """What a bundle is.

        Raises:
            NotFound: there is none, or none that the user or one of the user's projects has.
        """
        with self._database.read() as connection:
            return _bundle(require_bundle(connection, who, sha256)._asdict())

    def read(self, sha256: str) -> bytes:
        """A bundle's content; who may read it is asked of `get` before.

        Raises:
            NotFound: it is not there.
            Unavailable: it cannot be read.
        """
        try:
            return self.path(sha256).read_bytes()
        except FileNotFoundError:
            raise NotFound(f"there is no bundle {sha256!r:.80}") from None
        except OSError as error:
            raise Unavailable(f"the bundle {sha256!r:.80} cannot be read: {error.strerror}") from error

    def remove(self, connection: sa.Connection, unneeded: Iterable[str]) -> None:
        """Forget these bundles, in a transaction that has found that nothing needs them."""
        for sha256 in unneeded:
            # First the file: what is left after a crash in between is a row that is found again.
            with suppress(FileNotFoundError):
                self.path(sha256).unlink()
            connection.execute(sa.delete(holders).where(holders.c.bundle == sha256))
            connection.execute(sa.delete(bundles).where(bundles.c.sha256 == sha256))

    def remove_strays(self, before: float) -> None:
        """Remove files of which the database knows nothing, last written before this time: an upload broke off."""
        old = [path for path in self._folder.glob("??/*") if _written_before(path, before)]
        unfinished = [path for path in old if path.name.startswith(".")]
        for path in unfinished:
            path.unlink(missing_ok=True)
        kept = [path for path in old if not path.name.startswith(".")]
        with self._database.read() as connection:
            strays = [path for path in kept if not _is_known(connection, path.stem)]
        if strays:
            with self._database.write() as connection:
                for path in strays:
                    # Uploaded again meanwhile, it is known, or new.
                    if not _is_known(connection, path.stem) and _written_before(path, before):
                        path.unlink(missing_ok=True)


def _written_before(path: Path, at: float) -> bool:
    try:
        return path.stat().st_mtime < at
    except FileNotFoundError:
        return False


def _is_known(connection: sa.Connection, sha256: str) -> bool:
    return connection.scalar(sa.select(bundles.c.sha256).where(bundles.c.sha256 == sha256)) is not None


def hold(database: Database, connection: sa.Connection, sha256: str, kind: str, holder: str) -> bool:
    """Let a user or a project use a bundle; whether that is new."""
    insert, key = database.insert_or(holders, ("bundle", "kind", "holder"))
    row = {"bundle": sha256, "kind": kind, "holder": holder}
    done = connection.execute(insert.values(row).on_conflict_do_nothing(index_elements=key))
    return bool(done.rowcount > 0)


def require_bundle(connection: sa.Connection, who: Principal, sha256: str) -> sa.Row[Any]:
    """A bundle's row.

    Raises:
        NotFound: there is none, or none that the user or one of the user's projects has.
    """
    row = connection.execute(sa.select(bundles).where(bundles.c.sha256 == sha256)).one_or_none()
    if row is not None:
        if who.has(Role.ADMIN):
            return row
        mine = memberships(connection, who.user)
        found = connection.execute(sa.select(holders.c.kind, holders.c.holder).where(holders.c.bundle == sha256))
        if any(holder == who.user if kind == "user" else holder in mine for kind, holder in found):
            return row
    raise NotFound(f"{who.user} has no bundle {sha256!r:.80}; upload it first")


def _write_beside(target: Path, data: bytes) -> Path:
    """Write what is to be `target` into a file beside it, through to the disk."""
    written = target.with_name(f".{target.name}.{secrets.token_hex(8)}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with open(os.open(written, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        written.unlink(missing_ok=True)
        raise _cannot_keep(error) from error
    return written


def _flush_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _cannot_keep(error: OSError) -> Unavailable:
    return Unavailable(f"the bundle cannot be kept: {error.strerror}; ask an operator to make space")


def _bundle(row: dict[str, Any]) -> Bundle:
    return Bundle(
        sha256=row["sha256"],
        size=row["size"],
        python=row["python"],
        entry=row["entry"],
        name=row["name"],
        packages=row["packages"],
        pure_source=row["pure_source"],
    )
