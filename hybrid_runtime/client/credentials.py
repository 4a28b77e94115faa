"""Which job manager is asked, with which token: given, from the environment, or as `qi-run login` keeps it.

The file is `hybrid-runtime/servers.json` in the user's configuration folder. Only its owner can read it, from the
moment it exists, and one that others can read is not used.
"""

from __future__ import annotations

import os
import secrets
import stat
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

import msgspec

from hybrid_runtime import config
from hybrid_runtime.errors import InvalidInput, Unauthenticated

if TYPE_CHECKING:
    from pathlib import Path

DEFAULT_URL = "http://127.0.0.1:8470"
_MOST_BYTES = 1024 * 1024
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


class Server(msgspec.Struct, frozen=True):
    """A job manager that the user has logged in to."""

    url: str
    token: str


class Servers(msgspec.Struct):
    """All of them, by name, and the one that is asked where none is named."""

    default: str | None = None
    servers: dict[str, Server] = {}


class Credentials(NamedTuple):
    """Where to ask, and as whom."""

    url: str
    token: str


def choose(url: str | None = None, token: str | None = None) -> Credentials:
    """What a client uses: what it is given, else `QI_RUN_URL` and `QI_RUN_TOKEN`, else what the file holds.

    Args:
        url: A URL, or the name of a server that the user has logged in to.
        token: A secret; one in the file is for the very URL that it is kept with.

    Raises:
        InvalidInput: the URL is none, no server has that name, or the file cannot be used.
        Unauthenticated: there is no token.
    """
    url = url or config.server_url()
    token = token or config.server_token()
    if url is not None and "://" in url:
        url = checked_url(url)
        if token:
            return Credentials(url, token)  # the file has no part in it, and may be unusable
        kept = next((server for server in load().servers.values() if server.url == url), None)
        if kept is None:
            raise Unauthenticated(f"there is no token for {url}: log in with qi-run login {url}", reason="missing")
        return Credentials(url, kept.token)
    server = _named(load(), url)
    return Credentials(server.url, token or server.token)


def _named(servers: Servers, name: str | None) -> Server:
    if name is None and servers.default is None:
        raise Unauthenticated(
            "you are not logged in to a job manager: qi-run login URL, or set QI_RUN_URL and QI_RUN_TOKEN",
            reason="missing",
        )
    wanted = name if name is not None else servers.default
    found = servers.servers.get(wanted or "")
    if found is None:
        known = ", ".join(servers.servers) or "none"
        raise InvalidInput(f"no server is named {wanted!r:.80}: those logged in to are {known}; or give its URL")
    return found


def checked_url(url: str) -> str:
    """The URL in the form that is kept and compared.

    Raises:
        InvalidInput: it is not the URL of a server.
    """
    try:
        parts = urlsplit(url.strip())
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise InvalidInput(f"{url!r:.80} is not a URL: {error}; write for example {DEFAULT_URL}") from None
    if parts.scheme not in ("http", "https") or not host:
        raise InvalidInput(f"{url!r:.80} is not the URL of a server; write for example {DEFAULT_URL}")
    if parts.username is not None or parts.query or parts.fragment:
        raise InvalidInput(f"the URL of a server has no user, query or fragment: {parts.scheme}://{host} is enough")
    shown = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{shown}{f':{port}' if port is not None else ''}{parts.path.rstrip('/')}"


def is_loopback(url: str) -> bool:
    """Whether the server is on this host, by one of its own addresses."""
    return urlsplit(url).hostname in _LOOPBACK


def is_exposed(url: str) -> bool:
    """Whether a token sent there can be read on the way: in plain text, to another host."""
    return urlsplit(url).scheme == "http" and not is_loopback(url)


def default_name(url: str) -> str:
    """The name of a server that was given none: its host and port."""
    return urlsplit(url).netloc


def place() -> Path:
    """The file."""
    return config.configuration_folder() / "hybrid-runtime" / "servers.json"


def load() -> Servers:
    """The servers that are kept; none when there is no file.

    Raises:
        InvalidInput: it cannot be read, is not such a file, or others can read it.
    """
    path = place()
    try:
        # Not opened for long where it is a pipe that nobody writes to.
        fd = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0))
    except FileNotFoundError:
        return Servers()
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read: {error.strerror}; it holds the servers logged in to") from error
    with os.fdopen(fd, "rb") as file:
        # What was opened is looked at, not what may meanwhile stand under its name.
        _check_private(path, os.fstat(file.fileno()))
        content = file.read(_MOST_BYTES)
    try:
        return msgspec.json.decode(content, type=Servers)
    except (msgspec.DecodeError, RecursionError) as error:
        raise InvalidInput(f"{path} is damaged ({error}): delete it and log in again") from None


def _check_private(path: Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise InvalidInput(f"{path} is not a file: remove it and log in again")
    if os.name != "posix":
        return  # permissions are kept elsewhere, and a user's own folder is closed to others there
    if status.st_uid not in (os.getuid(), 0):
        raise InvalidInput(f"{path} belongs to another user and is not used: remove it and log in again")
    if status.st_mode & 0o077:
        raise InvalidInput(
            f"{path} holds tokens and others can read it: close it with chmod 600 {path}, and revoke "
            "the tokens (qi-run token revoke) if somebody may have read them"
        )


def save(servers: Servers) -> Path:
    """Keep these servers; the file.

    Raises:
        InvalidInput: it cannot be written.
    """
    path = place()
    # Under a name of its own until it is complete: a reader sees the old file or the new one.
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fd = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(fd, "wb") as file:
                file.write(msgspec.json.format(msgspec.json.encode(servers), indent=2) + b"\n")
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise InvalidInput(f"{path} cannot be written: {error.strerror}; set QI_RUN_URL and QI_RUN_TOKEN") from error
    return path
