"""Which processes the settings ask for, and what a change of settings means for those that run. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

if TYPE_CHECKING:
    from hybrid_runtime.server.settings import Settings

API = "api"
MANAGER = "manager"


def runner_name(backend: str) -> str:
    """What the runner of a backend is called."""
    return f"runner-{backend}"


class Part(NamedTuple):
    """One process.

    Attributes:
        name: How logs call it.
        module: What it runs.
        arguments: Its own arguments.
        depends: The settings that it was started with; it is started anew when they change.
    """

    name: str
    module: str
    arguments: tuple[str, ...]
    depends: bytes


def parts(settings: Settings) -> dict[str, Part]:
    """The processes of a service, by name."""
    everything = {
        "database": settings.database,
        "log": settings.log,
    }
    made = [
        Part(
            API,
            "hybrid_runtime.server.api",
            (),
            _told(everything, settings.caps, settings.metrics_networks, settings.limits, settings.backends),
        ),
        Part(MANAGER, "hybrid_runtime.server.manager", (), _told(everything, settings.retention)),
    ]
    for name, backend in settings.backends.items():
        environment = settings.environments[backend.environment]
        others = {other: settings.backends[other] for other in backend.failover}
        depends = _told(everything, settings.limits, settings.caps, backend, environment, others)
        made.append(Part(runner_name(name), "hybrid_runtime.server.runner", ("--backend", name), depends))
    return {part.name: part for part in made}


def _told(*settings: Any) -> bytes:
    return msgspec.json.encode(settings)


class Change(NamedTuple):
    """What is to be done about the processes that run.

    Attributes:
        stop: Those that are not wanted any more.
        renew: Those whose settings changed: to be stopped, then started.
        start: Those that are new.
    """

    stop: list[str]
    renew: list[str]
    start: list[str]


def change(old: dict[str, Part], new: dict[str, Part]) -> Change:
    """How to come from these processes to those, touching no other."""
    return Change(
        stop=[name for name in old if name not in new],
        renew=[name for name in new if name in old and old[name] != new[name]],
        start=[name for name in new if name not in old],
    )


def refused(old: Settings, new: Settings) -> list[str]:
    """Settings that cannot change while the service runs, of those that did."""
    return [name for name in ("data", "database", "listen") if getattr(old, name) != getattr(new, name)]
