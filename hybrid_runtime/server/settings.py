"""Everything that can be set for `qi-run serve`: one frozen tree, which is also its own reference.

Each setting's meaning stands beside its type and default, where `qi-run config explain` and the reference page take
it from. `reading` makes the tree from a file, the environment and the command line.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, TypeAlias

import msgspec
from msgspec import Meta

from hybrid_runtime.errors import InvalidInput
from hybrid_runtime.limits import Limits
from hybrid_runtime.protocol.bundles import MAX_BUNDLE_BYTES

DEFAULT_PORT = 8470
# Names become parts of file names, addresses and metrics.
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")

_Count: TypeAlias = Annotated[int, Meta(ge=1)]
_Positive: TypeAlias = Annotated[float, Meta(gt=0)]


def _says(description: str, **bounds: Any) -> Meta:
    return Meta(description=description, **bounds)


class _Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class Listen(_Table, frozen=True):
    """Where the REST API is served."""

    host: Annotated[str, _says("Address of the network interface to listen at; 0.0.0.0 for all of them.")] = "127.0.0.1"
    port: Annotated[int, _says("Port to listen at; 0 takes one that is free.", ge=0, le=65535)] = DEFAULT_PORT


class BackendSettings(_Table, frozen=True):
    """A QPU or an emulator, under the name that users give."""

    driver: Annotated[str, _says("What runs the circuits: a driver of qi-run backends, or tcp://HOST:PORT.")]
    options: Annotated[dict[str, Any], _says("Options of the driver.")] = {}
    jobs: Annotated[int, _says("Jobs that may run at the same time.", ge=1, le=64)] = 4
    isolation: Annotated[
        Literal["strict", "landlock", "process"] | None,
        _says(
            "How algorithms are kept apart; the strictest that this host can give when left out.", examples=["strict"]
        ),
    ] = None
    warm: Annotated[int, _says("Workers kept ready for jobs to come.", ge=0, le=64)] = 1
    environment: Annotated[str, _says("Name of the environment that its algorithms run in.")] = "default"
    placement: Annotated[
        Literal["auto", "inline", "spin", "same-core", "free", "spread"],
        _says("How its processes share the cores; auto, inline and spin suit a host with cores to spare for one job."),
    ] = "free"
    failover: Annotated[
        tuple[str, ...], _says("Backends, by name, whose quantum runtime takes over when this one's is lost.")
    ] = ()
    fsync: Annotated[
        Literal["step", "group", "never"], _says("When journals are forced to the disk; see Resume a job.")
    ] = "group"


class EnvironmentSettings(_Table, frozen=True):
    """What algorithms find installed."""

    python: Annotated[
        str | None,
        _says(
            "Interpreter that has hybrid-runtime and the packages for users; the server's own when left out.",
            examples=["/opt/environments/default/bin/python"],
        ),
    ] = None
    preload: Annotated[
        tuple[str, ...] | None,
        _says(
            "Modules that workers are born with; those of qi-run run when left out.",
            examples=[["numpy", "scipy.optimize", "cloudpickle"]],
        ),
    ] = None


class LimitSettings(_Table, frozen=True):
    """Bounds on jobs, by the names that `Limits` has."""

    steps: Annotated[_Count | None, _says("Steps of one job.", examples=[100000])] = None
    shots: Annotated[_Count | None, _says("Shots of one job.", examples=[1000000000])] = None
    wall_s: Annotated[_Positive | None, _says("Seconds from a job's start.", examples=[86400.0])] = None
    qpu_s: Annotated[_Positive | None, _says("Seconds that a backend executes for one job.", examples=[3600.0])] = None
    think_s: Annotated[
        _Positive | None, _says("Seconds that an algorithm may compute between two steps.", examples=[600.0])
    ] = None
    finalize_s: Annotated[
        _Positive | None, _says("Seconds that a stopped algorithm has to finalize.", examples=[10.0])
    ] = None


class LimitsSettings(_Table, frozen=True):
    """What jobs get that ask for no limit, and what nobody gets more of."""

    defaults: Annotated[LimitSettings, _says("Limits of jobs that name none.")] = LimitSettings()
    maxima: Annotated[LimitSettings, _says("The most that a job may ask for; it is held to these if it asks.")] = (
        LimitSettings()
    )


class Caps(_Table, frozen=True):
    """Bounds on what users may ask of the service."""

    queued_per_user: Annotated[
        int, _says("Jobs that one user may have planned, queued or paused; more are refused.", ge=1)
    ] = 200_000
    running_per_user: Annotated[int, _says("Jobs of one user that may run on one backend at once.", ge=1)] = 4
    batch: Annotated[int, _says("Jobs in one batch.", ge=1, le=10_000)] = 1000
    body_bytes: Annotated[int, _says("Largest bundle, or batch of jobs, in bytes.", ge=65_536)] = MAX_BUNDLE_BYTES
    requests_per_s: Annotated[float, _says("Requests a second that one token may make for long.", gt=0)] = 1000.0
    burst: Annotated[int, _says("Requests that one token may make at once before that rate holds.", ge=1)] = 2000
    watchers: Annotated[int, _says("Event streams that may be open at once.", ge=1)] = 2000


class Retention(_Table, frozen=True):
    """How long things are kept."""

    jobs_days: Annotated[float, _says("Days after which an ended job is removed with all that it left.", gt=0)] = 90.0
    audit_days: Annotated[
        float, _says("Days after which entries of the audit log that are not about jobs are removed.", gt=0)
    ] = 730.0


class LogSettings(_Table, frozen=True):
    """The service's own log, on stderr."""

    level: Annotated[Literal["debug", "info", "warning", "error"], _says("The least important lines to write.")] = (
        "info"
    )
    access: Annotated[bool, _says("Whether every request to the API is a line, at the level info.")] = False
    format: Annotated[Literal["text", "json"], _says("Lines for people, or one JSON object a line.")] = "text"


class Settings(_Table, frozen=True):
    """All of it."""

    data: Annotated[
        str, _says("Folder for everything that is kept; hybrid-runtime in the user's state folder when empty.")
    ] = ""
    database: Annotated[
        str,
        _says(
            "The database, as postgresql://USER:PASSWORD@HOST/NAME; SQLite in the data folder when empty.",
            extra={"secret": True},
        ),
    ] = ""
    trust_users: Annotated[
        bool, _says("Whether every user may do what the service may; allows the isolation level process.")
    ] = False
    listen: Listen = Listen()
    backends: dict[str, BackendSettings] = msgspec.field(
        default_factory=lambda: {"qulacs": BackendSettings(driver="qulacs")}
    )
    environments: dict[str, EnvironmentSettings] = msgspec.field(
        default_factory=lambda: {"default": EnvironmentSettings()}
    )
    limits: LimitsSettings = LimitsSettings()
    caps: Caps = Caps()
    metrics_networks: Annotated[
        tuple[str, ...], _says("Networks, as 10.0.0.0/8, from which /metrics is read without a token.")
    ] = ()
    retention: Retention = Retention()
    log: LogSettings = LogSettings()


def check(settings: Settings) -> None:
    """Refuse what no single value shows.

    Raises:
        InvalidInput: two settings do not go together; the text names both.
    """
    if not settings.backends:
        raise InvalidInput('backends is empty: name at least one, as [backends.qulacs] with driver = "qulacs"')
    for kind, names in (("backends", settings.backends), ("environments", settings.environments)):
        for name in names:
            if not _NAME.fullmatch(name):
                raise InvalidInput(
                    f"{kind}.{name}: a name has up to 63 of a-z, 0-9, '_' and '-', and begins with a letter or digit"
                )
    for name, backend in settings.backends.items():
        _check_backend(settings, name, backend)


def _check_backend(settings: Settings, name: str, backend: BackendSettings) -> None:
    if backend.environment not in settings.environments:
        known = ", ".join(settings.environments) or "none"
        raise InvalidInput(f"backends.{name}.environment is {backend.environment!r}, but environments are: {known}")
    for other in backend.failover:
        if other not in settings.backends or other == name:
            raise InvalidInput(f"backends.{name}.failover names {other!r}, which is no other backend of this service")
    if backend.isolation == "process" and not settings.trust_users:
        raise InvalidInput(
            f"backends.{name}.isolation is 'process', which hides nothing from algorithms: choose strict or landlock, "
            "or set trust_users = true where all users are one"
        )


def bounded(asked: dict[str, Any], settings: LimitsSettings) -> Limits:
    """The limits of a job that asked for these.

    Raises:
        InvalidInput: they are no limits.
    """
    unknown = [name for name in asked if name not in Limits.__struct_fields__]
    if unknown:
        known = ", ".join(Limits.__struct_fields__)
        raise InvalidInput(f"limit {unknown[0]!r} is not known; there are {known}")
    given: dict[str, Any] = {**_set(settings.defaults), **asked}
    for name, most in _set(settings.maxima).items():
        wanted = given.get(name)
        given[name] = most if wanted is None else min(wanted, most)
    return Limits(**given)


def _set(limits: LimitSettings) -> dict[str, Any]:
    values = {name: getattr(limits, name) for name in limits.__struct_fields__}
    return {name: value for name, value in values.items() if value is not None}
