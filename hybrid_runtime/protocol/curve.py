"""CURVE keys as files: who may talk to a remote quantum runtime.

::

    DIR/server.secret   the server's own secret (0600)          stays on the server's host
    DIR/server.public   what clients check the server by        copied to clients
    DIR/client.secret   a client's own secret (0600)            stays on the client's host
    DIR/client.public   what the server knows the client by     copied into the server's DIR/clients
    DIR/clients/*.public  the clients that the server lets in

A key is 40 characters of Z85 (https://rfc.zeromq.org/spec/32/) on a line of its own; lines with `#` are comments.
"""

from __future__ import annotations

import os
import re
import stat
from typing import TYPE_CHECKING, NamedTuple

from hybrid_runtime.errors import InvalidInput
from hybrid_runtime.protocol.zeromq import ClientKeys, ServerKeys, new_key_pair, public_key

if TYPE_CHECKING:
    from pathlib import Path

_KEY = re.compile(r"[0-9A-Za-z.\-:+=^!/*?&<>()\[\]{}@%$#]{40}")
_ALLOWED = "clients"


class _File(NamedTuple):
    name: str
    comment: str
    mode: int


_SERVER_SECRET = _File("server.secret", "secret key of a quantum runtime: it stays on its host", 0o600)
_SERVER_PUBLIC = _File("server.public", "public key of a quantum runtime: clients need it in their folder", 0o644)
_CLIENT_SECRET = _File("client.secret", "secret key of a client: it stays on its host", 0o600)
_CLIENT_PUBLIC = _File("client.public", "public key of a client: a server needs it in its folder's clients/", 0o644)
_ALLOWED_CLIENT = _File(f"{_ALLOWED}/client.public", _CLIENT_PUBLIC.comment, 0o644)


def make_keys(folder: Path) -> list[Path]:
    """Make a server's and a client's pair of keys in `folder`, the client being let in; the files made.

    Raises:
        InvalidInput: one of the files exists, so that nothing was made, or the folder cannot be written.
    """
    server_public, server_secret = new_key_pair()
    client_public, client_secret = new_key_pair()
    files = [
        (_SERVER_SECRET, server_secret),
        (_SERVER_PUBLIC, server_public),
        (_CLIENT_SECRET, client_secret),
        (_CLIENT_PUBLIC, client_public),
        (_ALLOWED_CLIENT, client_public),
    ]
    existing = [name for (name, _, _), _ in files if os.path.lexists(folder / name)]
    if existing:
        raise InvalidInput(f"{folder / existing[0]} exists, and keys are never overwritten; name another folder")
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        (folder / _ALLOWED).mkdir(mode=0o700, exist_ok=True)
        return [_write(folder, file, key) for file, key in files]
    except OSError as error:
        raise InvalidInput(f"keys cannot be written to {folder}: {error.strerror or error}") from error


def _write(folder: Path, file: _File, key: bytes) -> Path:
    path = folder / file.name
    # O_EXCL: also a file that appeared since the check is not overwritten.
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, file.mode)
    with os.fdopen(descriptor, "w", encoding="ascii") as stream:
        stream.write(f"# Hybrid Runtime: {file.comment}\n{key.decode('ascii')}\n")
    return path


def load_server_keys(folder: Path) -> ServerKeys:
    """A server's secret and the clients that it lets in.

    Raises:
        InvalidInput: a file is missing or is not a key, its secret can be read by others, or no client is let in.
    """
    secret = _read_secret(folder / _SERVER_SECRET.name)
    allowed = {_read(path): path.stem for path in sorted((folder / _ALLOWED).glob("*.public"))}
    if not allowed:
        text = f"no client is let in: copy the client.public of each client to {folder / _ALLOWED}/NAME.public"
        raise InvalidInput(text)
    return ServerKeys(secret, allowed)


def load_client_keys(folder: Path) -> ClientKeys:
    """A client's pair of keys and the public key of the server it talks to.

    Raises:
        InvalidInput: a file is missing or is not a key, or the secret can be read by others.
    """
    secret = _read_secret(folder / _CLIENT_SECRET.name)
    return ClientKeys(secret, public_key(secret), _read(folder / _SERVER_PUBLIC.name))


def _read_secret(path: Path) -> bytes:
    key = _read(path)
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise InvalidInput(f"{path} can be read by other users: chmod 600 {path}, or make new keys with qi-run keys")
    return key


def _read(path: Path) -> bytes:
    try:
        lines = [line.strip() for line in path.read_text(encoding="ascii").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise InvalidInput(f"key {path} cannot be read: {reason}; make keys with qi-run keys") from error
    keys = [line for line in lines if line and not line.startswith("# ")]
    if len(keys) != 1 or not _KEY.fullmatch(keys[0]):
        raise InvalidInput(f"{path} does not hold a key of 40 characters; make keys with qi-run keys")
    return keys[0].encode("ascii")
