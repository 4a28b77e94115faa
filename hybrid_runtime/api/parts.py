"""What operations are given: the parts of the application, and the kinds of names that paths and queries hold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, TypeAlias

from fastapi import Depends, Path, Query, Request

from hybrid_runtime.api.gauges import Gauges
from hybrid_runtime.api.hub import Hub
from hybrid_runtime.api.rates import Rates
from hybrid_runtime.api.settings import ApiSettings
from hybrid_runtime.api.steps import Journals
from hybrid_runtime.api.together import Together
from hybrid_runtime.jobs.access import Principal
from hybrid_runtime.jobs.store import Store
from hybrid_runtime.resources.jobs import Job, JobRequest

# Who asks for a job, the job, and an idempotency key.
Submitted: TypeAlias = tuple[Principal, JobRequest, str | None]


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What the operations of one application work with; it is kept as the application's `state.parts`.

    Attributes:
        known: Says who holds a secret.
        submitted: Queues a job.
    """

    store: Store
    settings: ApiSettings
    known: Together[str, Principal]
    submitted: Together[Submitted, Job]
    hub: Hub
    rates: Rates
    journals: Journals
    gauges: Gauges


def parts_of(request: Request) -> Parts:
    """The parts of the application that the request came to."""
    parts: Parts = request.app.state.parts
    return parts


def _store(request: Request) -> Store:
    return parts_of(request).store


TheParts = Annotated[Parts, Depends(parts_of)]
TheStore = Annotated[Store, Depends(_store)]

# The largest number that fits into the columns of both databases and that a schema, whose bounds are doubles, can name.
MOST = (1 << 63) - 1024
_MOST_ITEMS = 1000
_MOST_S = 1e11
# Names are checked where they are made; in a URL they are only bounded, so that nothing odd reaches the database.
_BOUNDS: dict[str, Any] = {"pattern": r"^[A-Za-z0-9_][A-Za-z0-9._@+-]*$", "max_length": 128}
_SHA256 = r"^[0-9a-f]{64}$"


def _path(what: str, example: str) -> Any:
    return Path(description=what, examples=[example], **_BOUNDS)


def _filter(what: str, example: str) -> Any:
    return Query(description=what, examples=[example], **_BOUNDS)


JobId: TypeAlias = Annotated[str, _path("Id of a job.", "job-7f3a")]
UserName: TypeAlias = Annotated[str, _path("Name of a user.", "ada")]
ProjectName: TypeAlias = Annotated[str, _path("Name of a project.", "default")]
BackendName: TypeAlias = Annotated[str, _path("Name of a backend.", "qulacs")]
AlgorithmName: TypeAlias = Annotated[str, _path("Name of an algorithm.", "vqe")]
TokenId: TypeAlias = Annotated[str, _path("Id of a token, which is not its secret.", "t1")]
Sha256: TypeAlias = Annotated[str, Path(description="SHA-256 of the bundle, in hex.", pattern=_SHA256)]

ByProject: TypeAlias = Annotated[str | None, _filter("Only those of this project.", "default")]
ByBackend: TypeAlias = Annotated[str | None, _filter("Only those of this backend.", "qulacs")]
ByUser: TypeAlias = Annotated[str | None, _filter("Only those of this user.", "ada")]
ByName: TypeAlias = Annotated[
    str | None, Query(description="Only those of this name.", examples=["scan"], max_length=200, pattern=r"^[^\x00]*$")
]
Since: TypeAlias = Annotated[
    float | None, Query(description="Not before this time, in seconds since 1970.", ge=0, le=_MOST_S)
]
Until: TypeAlias = Annotated[
    float | None, Query(description="Before this time, in seconds since 1970.", ge=0, le=_MOST_S)
]
Cursor: TypeAlias = Annotated[
    str | None,
    Query(description="`next` of the page before; the first page when left out.", max_length=200, pattern=r"^[!-~]*$"),
]
Limit: TypeAlias = Annotated[int, Query(description="Items on a page.", ge=1, le=_MOST_ITEMS)]
After: TypeAlias = Annotated[
    int, Query(description="The last item that is known: those after it are wanted.", ge=0, le=MOST)
]
