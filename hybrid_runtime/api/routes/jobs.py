"""Jobs: submitting them, finding them, and what can be done with one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Body, Header, Query
from fastapi.responses import Response

from hybrid_runtime.api.answers import answer
from hybrid_runtime.api.bodies import CancelRequest, ForkRequest, JobBatch, JobRequest
from hybrid_runtime.api.guard import Guarded, Who
from hybrid_runtime.api.parts import (
    ByBackend,
    ByName,
    ByProject,
    ByUser,
    Cursor,
    JobId,
    Limit,
    Since,
    TheParts,
    TheStore,
)
from hybrid_runtime.api.problems import refusals
from hybrid_runtime.errors import InvalidInput
from hybrid_runtime.job import JobState
from hybrid_runtime.resources.jobs import Job, JobChange
from hybrid_runtime.resources.pages import Page

router = APIRouter(prefix="/v1/jobs", tags=["jobs"], route_class=Guarded)

_Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        description="Any text of your own for this submission: sent again with the same body, for example after the "
        "answer was lost, it makes no second job but is answered with the first one.",
        min_length=1,
        max_length=200,
        pattern=r"^[!-~]+$",
    ),
]


@dataclass(frozen=True, kw_only=True)
class Jobs:
    """Jobs that were accepted together, in the order in which they were sent."""

    jobs: list[Job]


@router.post(
    "",
    operation_id="submitJob",
    summary="Submit a job",
    status_code=201,
    response_model=Job,
    response_description="The job, accepted: it is not lost from here on.",
    responses=refusals(400, 403, 404, 409, 413, 415),
)
async def submit(who: Who, parts: TheParts, body: JobRequest, key: _Key = None) -> Response:
    """Queue one job. What it runs was uploaded before, or is a circuit."""
    return answer(await parts.submitted.ask((who, body, key)), 201)


@router.post(
    "/batch",
    operation_id="submitJobs",
    summary="Submit many jobs",
    status_code=201,
    response_model=Jobs,
    response_description="The jobs, accepted.",
    responses=refusals(400, 403, 404, 409, 413, 415),
)
def submit_many(who: Who, parts: TheParts, body: JobBatch, key: _Key = None) -> Response:
    """Queue jobs together: all of them are accepted, or none."""
    most = parts.settings.max_batch
    if len(body.jobs) > most:
        raise InvalidInput(f"the batch holds {len(body.jobs)} jobs; at most {most} are taken at a time")
    return answer(Jobs(jobs=parts.store.jobs.submit_many(who, list(body.jobs), key)), 201)


@router.get(
    "",
    operation_id="listJobs",
    summary="List jobs",
    response_model=Page[Job],
    response_description="A page of the jobs that you may see, the newest first.",
    responses=refusals(404),
)
def find(
    who: Who,
    store: TheStore,
    project: ByProject = None,
    backend: ByBackend = None,
    state: Annotated[JobState | None, Query(description="Only those in this state.")] = None,
    user: ByUser = None,
    name: ByName = None,
    since: Since = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Response:
    """The jobs of your projects, the newest first."""
    found = store.jobs.list(
        who,
        project=project,
        backend=backend,
        state=state,
        user=user,
        name=name,
        since=since,
        cursor=cursor,
        limit=limit,
    )
    return answer(found)


@router.get(
    "/{job_id}",
    operation_id="getJob",
    summary="Get a job",
    response_model=Job,
    response_description="The job as it stands.",
    responses=refusals(404),
)
def get(who: Who, store: TheStore, job_id: JobId) -> Response:
    """How a job stands: its state, its place in the queue, its progress."""
    return answer(store.jobs.get(who, job_id))


@router.post(
    "/{job_id}/cancel",
    operation_id="cancelJob",
    summary="Cancel a job",
    response_model=Job,
    response_description="The job; one that was running ends soon.",
    responses=refusals(400, 403, 404, 409, 413, 415),
)
def cancel(who: Who, store: TheStore, job_id: JobId, body: Annotated[CancelRequest | None, Body()] = None) -> Response:
    """Stop a job: gracefully, so that it finalizes and has a result, or at once with `kill`."""
    return answer(store.jobs.cancel(who, job_id, kill=body is not None and body.kill))


@router.post(
    "/{job_id}/pause",
    operation_id="pauseJob",
    summary="Pause a job",
    response_model=Job,
    response_description="The job; one that was running pauses after its step.",
    responses=refusals(403, 404, 409),
)
def pause(who: Who, store: TheStore, job_id: JobId) -> Response:
    """Take a job off its backend; its journal keeps every step."""
    return answer(store.jobs.pause(who, job_id))


@router.post(
    "/{job_id}/resume",
    operation_id="resumeJob",
    summary="Resume a job",
    response_model=Job,
    response_description="The job, queued again.",
    responses=refusals(403, 404, 409),
)
def resume(who: Who, store: TheStore, job_id: JobId) -> Response:
    """Queue a paused job again; it goes on where it was."""
    return answer(store.jobs.resume(who, job_id))


@router.post(
    "/{job_id}/fork",
    operation_id="forkJob",
    summary="Fork a job",
    status_code=201,
    response_model=Job,
    response_description="The new job.",
    responses=refusals(400, 403, 404, 409, 413, 415),
)
def fork(who: Who, store: TheStore, job_id: JobId, body: ForkRequest) -> Response:
    """Queue a new job that begins with the first steps of another one, without spending them again."""
    return answer(store.jobs.fork(who, job_id, body), 201)


@router.get(
    "/{job_id}/history",
    operation_id="getJobHistory",
    summary="Get a job's history",
    response_model=Page[JobChange],
    response_description="Every state it entered, the oldest first.",
    responses=refusals(404),
)
def history(who: Who, store: TheStore, job_id: JobId) -> Response:
    """When the job entered each state, by whom, and why."""
    return answer(Page(items=store.jobs.history(who, job_id)))
