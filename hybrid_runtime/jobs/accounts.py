"""Users and their tokens."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from hybrid_runtime.errors import Conflict, InvalidInput, NotFound, QuotaExceeded, Unauthenticated
from hybrid_runtime.jobs import checks
from hybrid_runtime.jobs.access import Principal, memberships, require
from hybrid_runtime.jobs.schema import members, projects, tokens, users
from hybrid_runtime.jobs.trail import entry, note
from hybrid_runtime.resources.accounts import (
    NewToken,
    ProjectRole,
    Role,
    Token,
    TokenRequest,
    User,
    UserRequest,
    Whoami,
)

if TYPE_CHECKING:
    import builtins

    from hybrid_runtime.jobs.database import Database
    from hybrid_runtime.jobs.policy import Policy

FIRST_USER = "operator"
FIRST_PROJECT = "default"
# How exactly `last_used_at` is kept: each request of a busy client would else be a change of the database.
_USED_WITHIN_S = 60.0
_WHY = {
    "missing": "there is no token; log in with `qi-run login`, or set QI_RUN_TOKEN",
    "unknown": "this token is not known here; log in with `qi-run login`",
    "expired": "this token has expired; ask for a new one",
    "revoked": "this token was revoked; ask for a new one",
    "disabled": "the user of this token is disabled; ask an admin",
}


def _refused(reason: str) -> Unauthenticated:
    return Unauthenticated(_WHY[reason], reason=reason)


def _digest(random: str) -> str:
    # It is random and long, so that nobody finds it by trying: a slow hash would protect nothing and cost each request.
    return hashlib.sha256(random.encode("utf-8", "replace")).hexdigest()


class Accounts:
    """Who may use the job manager."""

    def __init__(self, database: Database, policy: Policy) -> None:
        self._database = database
        self._policy = policy

    def bootstrap(self) -> str | None:
        """Make the first user, an admin, with a project; its secret, or None when there are users already."""
        now = self._database.now()
        with self._database.write() as connection:
            if connection.scalar(sa.select(users.c.name).limit(1)) is not None:
                return None
            _add_user(connection, now, "first start", FIRST_USER, Role.ADMIN, FIRST_PROJECT)
            return _add_token(connection, now, "first start", FIRST_USER, "first start", None).secret

    def authenticate(self, secret: str) -> Principal:
        """Who holds this secret.

        Raises:
            Unauthenticated: nobody, or nobody any more.
        """
        if not secret:
            raise _refused("missing")
        scheme, _, rest = secret.partition("_")
        token_id, _, random = rest.partition("_")
        now = self._database.now()
        with self._database.read() as connection:
            row = connection.execute(
                sa.select(tokens, users.c.role, users.c.disabled)
                .join(users, users.c.name == tokens.c.user)
                .where(tokens.c.id == token_id)
            ).one_or_none()
        # Compared in a time that does not tell how much of it was right, and compared in any case.
        same = hmac.compare_digest(_digest(random), row.digest if row is not None else _digest(""))
        if row is None or not same or scheme != "qir":
            raise _refused("unknown")
        if row.revoked:
            raise _refused("revoked")
        if row.expires_at is not None and row.expires_at <= now:
            raise _refused("expired")
        if row.disabled:
            raise _refused("disabled")
        if row.last_used_at is None or row.last_used_at <= now - _USED_WITHIN_S:
            with self._database.write() as connection:
                connection.execute(sa.update(tokens).where(tokens.c.id == token_id).values(last_used_at=now))
        return Principal(row.user, Role(row.role), token_id)

    def whoami(self, who: Principal) -> Whoami:
        """The user, the user's projects and the token that was used."""
        with self._database.read() as connection:
            token = connection.execute(sa.select(tokens).where(tokens.c.id == who.token_id)).one_or_none()
            user = connection.execute(sa.select(users).where(users.c.name == who.user)).one_or_none()
            if token is None or user is None:
                raise _refused("unknown")
            return Whoami(user=_user(user), projects=list(memberships(connection, who.user)), token=_token(token))

    def users(self, who: Principal) -> list[User]:
        """All users; for admins.

        Raises:
            Forbidden: the user is none.
        """
        require(who, Role.ADMIN)
        with self._database.read() as connection:
            return [_user(row) for row in connection.execute(sa.select(users).order_by(users.c.name))]

    def add_user(self, who: Principal, request: UserRequest) -> User:
        """Make a user, and a project of the same name that the user owns; for admins.

        Raises:
            Forbidden: the user who asks is none.
            Conflict: a user or a project has that name.
        """
        require(who, Role.ADMIN)
        checks.name("a user's name", request.name)
        with self._database.write() as connection:
            # A user who was given a project that exists would find other people's jobs in it.
            return _add_user(connection, self._database.now(), who.user, request.name, request.role, request.name)

    def set_user(self, who: Principal, name: str, *, role: Role | None = None, disabled: bool | None = None) -> User:
        """Change a user's role, or disable the user: then no token of the user is valid; for admins.

        Raises:
            Forbidden: the user who asks is none.
            NotFound: there is no such user.
            Conflict: nobody would be left who can undo it.
        """
        require(who, Role.ADMIN)
        with self._database.write() as connection:
            row = connection.execute(sa.select(users).where(users.c.name == name)).one_or_none()
            if row is None:
                raise NotFound(f"there is no user {name!r:.80}")
            after: dict[str, Any] = {
                "role": row.role if role is None else str(role),
                "disabled": row.disabled if disabled is None else disabled,
            }
            connection.execute(sa.update(users).where(users.c.name == name).values(**after))
            left = sa.select(users.c.name).where(users.c.role == str(Role.ADMIN), ~users.c.disabled).limit(1)
            if connection.scalar(left) is None:
                raise Conflict(f"{name} is the last admin; make another one first")
            action = f"role {after['role']}, {'disabled' if after['disabled'] else 'enabled'}"
            note(connection, entry(self._database.now(), who.user, "user", name, action))
        return User(name=name, role=Role(after["role"]), created_at=row.created_at, disabled=after["disabled"])

    def tokens(self, who: Principal, user: str | None = None) -> builtins.list[Token]:
        """The user's tokens, without their secrets; those of other users are for admins.

        Raises:
            Forbidden: they are another user's.
            NotFound: there is no such user.
        """
        name = who.user if user is None else user
        if name != who.user:
            require(who, Role.ADMIN)
        query = sa.select(tokens).where(tokens.c.user == name).order_by(tokens.c.created_at, tokens.c.id)
        with self._database.read() as connection:
            _require_user(connection, name)
            return [_token(row) for row in connection.execute(query)]

    def add_token(self, who: Principal, request: TokenRequest) -> NewToken:
        """Make a token; its secret is in the answer and nowhere else. Those of other users are for admins.

        Raises:
            Forbidden: it would be another user's.
            NotFound: there is no such user.
            QuotaExceeded: the user has too many.
        """
        name = who.user if request.user is None else request.user
        if name != who.user:
            require(who, Role.ADMIN)
        checks.text("a token's label", request.label)
        if request.expires_in_s is not None and checks.seconds("expires_in_s", request.expires_in_s) <= 0:
            raise InvalidInput("expires_in_s is a number of seconds above 0")
        now = self._database.now()
        valid = sa.and_(~tokens.c.revoked, sa.or_(tokens.c.expires_at.is_(None), tokens.c.expires_at > now))
        count = sa.select(sa.func.count()).where(tokens.c.user == name, valid)
        with self._database.write() as connection:
            _require_user(connection, name)
            if (connection.scalar(count) or 0) >= self._policy.tokens_per_user:
                raise QuotaExceeded(f"{name} has {self._policy.tokens_per_user} tokens; revoke one first")
            return _add_token(connection, now, who.user, name, request.label, request.expires_in_s)

    def revoke_token(self, who: Principal, token_id: str) -> None:
        """Make a token invalid for ever; those of other users are for admins.

        Raises:
            NotFound: there is no such token, or it is another user's.
        """
        query = sa.select(tokens.c.user).where(tokens.c.id == token_id)
        with self._database.write() as connection:
            owner = connection.scalar(query)
            if owner is None or (owner != who.user and not who.has(Role.ADMIN)):
                raise NotFound(f"{who.user} has no token {token_id!r:.40}")
            connection.execute(sa.update(tokens).where(tokens.c.id == token_id).values(revoked=True))
            note(connection, entry(self._database.now(), who.user, "token", token_id, "revoked", f"of {owner}"))


def _require_user(connection: sa.Connection, name: str) -> None:
    if connection.scalar(sa.select(users.c.name).where(users.c.name == name)) is None:
        raise NotFound(f"there is no user {name!r:.80}")


def _add_user(connection: sa.Connection, now: float, by: str, name: str, role: Role, project: str) -> User:
    if connection.scalar(sa.select(users.c.name).where(users.c.name == name)) is not None:
        raise Conflict(f"there is a user {name} already")
    if connection.scalar(sa.select(projects.c.name).where(projects.c.name == project)) is not None:
        raise Conflict(f"there is a project {project}, and each user gets one of the same name; choose another name")
    user = User(name=name, role=role, created_at=now)
    connection.execute(sa.insert(users).values(name=name, role=str(role), created_at=now, disabled=False))
    connection.execute(sa.insert(projects).values(name=project, created_at=now))
    connection.execute(sa.insert(members).values(user=name, project=project, role=str(ProjectRole.OWNER)))
    note(
        connection,
        entry(now, by, "user", name, f"added, role {role}"),
        entry(now, by, "project", project, "added", f"owned by {name}"),
    )
    return user


def _add_token(
    connection: sa.Connection, now: float, by: str, user: str, label: str, expires_in_s: float | None
) -> NewToken:
    # The number has no `_`, which parts it from the random part.
    token_id, random = secrets.token_hex(8), secrets.token_urlsafe(32)
    token = Token(
        id=token_id,
        user=user,
        label=label,
        created_at=now,
        expires_at=None if expires_in_s is None else now + expires_in_s,
        last_used_at=None,
    )
    connection.execute(
        sa.insert(tokens).values(
            id=token.id,
            user=user,
            label=label,
            digest=_digest(random),
            created_at=now,
            expires_at=token.expires_at,
            last_used_at=None,
            revoked=False,
        )
    )
    note(connection, entry(now, by, "token", token_id, "added", f"for {user}"))
    return NewToken(token=token, secret=f"qir_{token_id}_{random}")


def _user(row: sa.Row[Any]) -> User:
    return User(name=row.name, role=Role(row.role), created_at=row.created_at, disabled=row.disabled)


def _token(row: sa.Row[Any]) -> Token:
    return Token(
        id=row.id,
        user=row.user,
        label=row.label,
        created_at=row.created_at,
        expires_at=row.expires_at,
        last_used_at=row.last_used_at,
        revoked=row.revoked,
    )
