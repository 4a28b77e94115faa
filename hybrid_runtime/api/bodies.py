"""Bodies of requests: the resources, with what is refused before anything looks at them.

Numbers are numbers (not texts of them), bounded by what the database can hold; a field that is not known is refused, so
that a misspelt one does not go unnoticed.
"""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from hybrid_runtime.api.parts import MOST
from hybrid_runtime.resources import accounts, algorithms, backends, jobs

# Dataclasses take what they know by name, and call the rest unexpected.
_STRICT = ConfigDict(extra="forbid")
_LATEST_S = 1e11
_LONGEST_CIRCUIT = 4 * 1024 * 1024

_Name: TypeAlias = Annotated[str, Field(min_length=1, max_length=128)]
_Text: TypeAlias = Annotated[str, Field(max_length=200)]
_Reason: TypeAlias = Annotated[str, Field(max_length=1000)]
_Seconds: TypeAlias = Annotated[float, Field(strict=True, gt=0, le=_LATEST_S)]
_Time: TypeAlias = Annotated[float, Field(strict=True, ge=0, le=_LATEST_S)]
_Count: TypeAlias = Annotated[int, Field(strict=True, ge=1, le=MOST)]
_Flag: TypeAlias = Annotated[bool, Field(strict=True)]
_Sha256: TypeAlias = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


def _like(**example: Any) -> ConfigDict:
    return ConfigDict(extra="forbid", json_schema_extra={"example": example})


@dataclass(frozen=True, kw_only=True, config=_like(backend="qulacs", algorithm="vqe", parameters={"bond": 0.74}))
class JobRequest(jobs.JobRequest):
    __doc__ = jobs.JobRequest.__doc__

    backend: _Name
    bundle: _Sha256 | None = None
    algorithm: _Name | None = None
    circuit: Annotated[str, Field(min_length=1, max_length=_LONGEST_CIRCUIT)] | None = None
    language: _Name | None = None
    project: _Name | None = None
    name: _Text = ""
    shots: _Count | None = 1024
    seed: Annotated[int, Field(strict=True, ge=0, le=MOST)] | None = None
    environment: _Name | None = None
    start_after: _Time | None = None
    keep_requests: _Flag = True


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class JobBatch:
    """Jobs to queue together: all of them are accepted, or none."""

    jobs: Annotated[list[JobRequest], Field(min_length=1)]


@dataclass(frozen=True, kw_only=True, config=_like(step=40, parameters={"rate": 0.1}))
class ForkRequest(jobs.ForkRequest):
    __doc__ = jobs.ForkRequest.__doc__

    step: Annotated[int, Field(strict=True, ge=0, le=MOST)]
    backend: _Name | None = None
    name: _Text | None = None


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class CancelRequest(jobs.CancelRequest):
    __doc__ = jobs.CancelRequest.__doc__

    kill: _Flag = False


@dataclass(frozen=True, kw_only=True, config=_like(name="ada"))
class UserRequest(accounts.UserRequest):
    __doc__ = accounts.UserRequest.__doc__

    name: _Name


@dataclass(frozen=True, kw_only=True, config=_like(disabled=True))
class UserChange:
    """What an admin sets of a user; None leaves it as it is."""

    role: accounts.Role | None = None
    disabled: _Flag | None = None


@dataclass(frozen=True, kw_only=True, config=_like(label="laptop", expires_in_s=2592000.0))
class TokenRequest(accounts.TokenRequest):
    __doc__ = accounts.TokenRequest.__doc__

    label: _Text = ""
    expires_in_s: _Seconds | None = None
    user: _Name | None = None


@dataclass(frozen=True, kw_only=True, config=_like(name="chemistry"))
class ProjectRequest(accounts.ProjectRequest):
    __doc__ = accounts.ProjectRequest.__doc__

    name: _Name


@dataclass(frozen=True, kw_only=True, config=_like(role="member"))
class MemberRequest:
    """What a user is to be within a project."""

    role: accounts.ProjectRole = accounts.ProjectRole.MEMBER


@dataclass(frozen=True, kw_only=True, config=_like(accepting=False, reason="cooling down"))
class BackendChange(backends.BackendChange):
    __doc__ = backends.BackendChange.__doc__

    accepting: _Flag | None = None
    reason: _Reason | None = None


@dataclass(frozen=True, kw_only=True, config=_like(name="vqe", bundle="9f" * 32))
class AlgorithmRequest(algorithms.AlgorithmRequest):
    __doc__ = algorithms.AlgorithmRequest.__doc__

    name: _Name
    bundle: _Sha256
    project: _Name | None = None
