"""The whole service: one data folder, one lock, one database, one listening socket, and the supervisor over it all."""

from __future__ import annotations

from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from hybrid_runtime.config import notify_socket
from hybrid_runtime.errors import InvalidInput
from hybrid_runtime.resources.accounts import Role, TokenRequest
from hybrid_runtime.server.folder import DataFolder, Lock, holder
from hybrid_runtime.server.listening import notify, open_socket, url_of
from hybrid_runtime.server.logs import begin_log

if TYPE_CHECKING:
    from collections.abc import Callable

    from hybrid_runtime.server.settings import Settings

# What the supervisor of a service that was killed leaves behind needs a moment to be gone.
_LOCK_PATIENCE_S = 1.0
_PACKAGES = ("alembic", "fastapi", "prometheus_client", "sqlalchemy", "uvicorn")


class Listening(msgspec.Struct, frozen=True):
    """What is told once the service answers.

    Attributes:
        url: Where.
        token: The operator's token, when the service is started for the first time or was asked for another.
        data: The data folder.
    """

    url: str
    token: str | None
    data: str


def serve(
    settings: Settings,
    reread: Callable[[], Settings],
    ready: Callable[[Listening], None],
    *,
    new_token: bool = False,
) -> None:
    """Run the service until it is told to end.

    Args:
        settings: What to run.
        reread: Reads the settings again, when told to by SIGHUP.
        ready: Called once, when it answers.
        new_token: Whether the operator needs another token.

    Raises:
        InvalidInput: it cannot be run like this; the text says why.
        Unavailable: the database does not answer.
    """
    _check_installed()
    from hybrid_runtime.jobs.access import Principal
    from hybrid_runtime.jobs.accounts import FIRST_USER
    from hybrid_runtime.server.child import store_of
    from hybrid_runtime.server.mapping import api_settings_of
    from hybrid_runtime.server.supervisor import Supervisor

    begin_log(settings.log, "serve")
    folder = DataFolder(Path(settings.data))
    folder.prepare()
    with ExitStack() as held:
        held.enter_context(_locked(folder))
        api_settings_of(settings, folder.path)  # refused here, and not in a process that starts again and again
        listening = held.enter_context(open_socket(settings.listen.host, settings.listen.port))
        store = store_of(settings, folder)
        try:
            store.migrate()
            token = store.accounts.bootstrap()
            if new_token and token is None:
                operator = Principal(user=FIRST_USER, role=Role.ADMIN, token_id="")
                token = store.accounts.add_token(operator, TokenRequest(label="made on the host")).secret
        finally:
            store.close()
        url = url_of(settings.listen.host, listening.getsockname()[1])

        def answers() -> None:
            ready(Listening(url, token, str(folder.path)))
            notify("READY=1", notify_socket())

        Supervisor(settings, folder, listening, reread=reread, ready=answers).run()


def _locked(folder: DataFolder) -> Lock:
    path = folder.run / "serve.lock"
    try:
        return Lock.patiently(path, _LOCK_PATIENCE_S)
    except BlockingIOError:
        raise InvalidInput(
            f"the data folder {folder.path} is in use by another qi-run serve (process {holder(path)}): "
            "stop that one, or give this one another folder with --data"
        ) from None


def _check_installed() -> None:
    missing = [name for name in _PACKAGES if find_spec(name) is None]
    if missing:
        raise InvalidInput(
            f"qi-run serve needs packages that are not installed ({', '.join(missing)}): "
            "pip install 'hybrid-runtime[server]'"
        )
