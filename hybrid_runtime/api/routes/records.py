"""What a job leaves: its result, steps, log lines, metrics and events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Annotated

from fastapi import APIRouter, Header, Path, Query
from fastapi.responses import Response
from starlette.concurrency import run_in_threadpool

from hybrid_runtime.api.answers import answer, page_after
from hybrid_runtime.api.guard import Guarded, Who
from hybrid_runtime.api.parts import MOST, After, JobId, Limit, Parts, TheParts, TheStore
from hybrid_runtime.api.problems import refusals
from hybrid_runtime.api.streams import EventStream
from hybrid_runtime.errors import Conflict, InternalError, JournalError
from hybrid_runtime.jobs.access import Principal
from hybrid_runtime.resources.pages import Page
from hybrid_runtime.resources.records import LogLine, MetricPoint, Result, Step

router = APIRouter(prefix="/v1/jobs/{job_id}", tags=["results"], route_class=Guarded)

_LONGEST_WAIT_S = 60.0
_FIRST_LOOK_S = 0.05
_LAST_LOOK_S = 0.5
_BINARY = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
_STREAM = {
    "text/event-stream": {
        "schema": {"type": "string"},
        "example": 'id: 7\nevent: progress\ndata: {"steps":12,"shots":12288}\n\n: still here\n\n',
    }
}


@router.get(
    "/result",
    operation_id="getResult",
    summary="Get a job's result",
    response_model=Result,
    response_description="The result: there is exactly one, and it does not change.",
    responses=refusals(404, 409),
)
async def result(
    who: Who,
    parts: TheParts,
    job_id: JobId,
    wait: Annotated[
        float, Query(description="Seconds to wait for it while the job runs.", ge=0, le=_LONGEST_WAIT_S)
    ] = 0.0,
) -> Response:
    """The final result, of a failed or cancelled job, too. 409 while there is none."""
    until = asyncio.get_running_loop().time() + wait
    look = _FIRST_LOOK_S
    while True:
        found = await run_in_threadpool(parts.store.jobs.result, who, job_id)
        left = until - asyncio.get_running_loop().time()
        if found is not None:
            return answer(found)
        if left <= 0 or parts.hub.closed:
            raise Conflict(f"job {job_id} has not ended: it has no result yet; wait for it with `?wait=30`")
        await asyncio.sleep(min(look, left))
        look = min(2 * look, _LAST_LOOK_S)


@router.get(
    "/steps",
    operation_id="listSteps",
    summary="List a job's steps",
    response_model=Page[Step],
    response_description="A page of the steps that were answered, in order.",
    responses=refusals(404),
)
def steps(who: Who, parts: TheParts, job_id: JobId, after: After = 0, limit: Limit = 100) -> Response:
    """What was asked and what came back; `after` is the number of a step."""
    parts.store.jobs.get(who, job_id)
    with _Readable(job_id):
        found = parts.journals.steps(job_id, after, limit)
    return page_after(found, limit, lambda step: step.number)


@router.get(
    "/steps/{number}/raw",
    operation_id="getStepRaw",
    summary="Get a step's results as they were recorded",
    response_class=Response,
    response_description="The results in MessagePack, one for each circuit, as the journal has them.",
    responses={200: {"content": _BINARY}, **refusals(404)},
)
def raw(
    who: Who,
    parts: TheParts,
    job_id: JobId,
    number: Annotated[int, Path(description="Number of the step, from 1.", ge=1, le=MOST)],
) -> Response:
    """The step's results without a conversion; raw shots are in them if they were asked for."""
    parts.store.jobs.get(who, job_id)
    with _Readable(job_id):
        content = parts.journals.raw(job_id, number)
    return Response(content, media_type="application/octet-stream")


class _Readable:
    """Says that a journal of ours cannot be read, without its place on the disk."""

    def __init__(self, job_id: str) -> None:
        self._job_id = job_id

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, JournalError):
            raise InternalError(f"the journal of job {self._job_id} cannot be read") from error


@router.get(
    "/logs",
    operation_id="listLogs",
    summary="List a job's log lines",
    response_model=Page[LogLine],
    response_description="A page of what it printed and logged, in order.",
    responses=refusals(404),
)
def logs(who: Who, store: TheStore, job_id: JobId, after: After = 0, limit: Limit = 1000) -> Response:
    """What the job printed and logged; `after` is the sequence of a line."""
    return page_after(store.jobs.logs(who, job_id, after, limit), limit, lambda line: line.sequence)


@router.get(
    "/metrics",
    operation_id="listMetrics",
    summary="List a job's metrics",
    response_model=Page[MetricPoint],
    response_description="A page of the values that it reported, in order.",
    responses=refusals(404),
)
def metrics(
    who: Who,
    store: TheStore,
    job_id: JobId,
    name: Annotated[
        str | None, Query(description="Only the metric of this name.", max_length=200, pattern=r"^[^\x00]*$")
    ] = None,
    after: After = 0,
    limit: Limit = 1000,
) -> Response:
    """Every value reported; `after` is the sequence of a point."""
    return page_after(store.jobs.metrics(who, job_id, after, limit, name), limit, lambda point: point.sequence)


@router.get(
    "/events",
    operation_id="watchJob",
    summary="Watch a job",
    response_class=Response,
    response_description="The events, as they happen; the stream ends with the event `ended`.",
    responses={
        200: {"content": _STREAM},
        204: {"description": "The job has ended, and there are no events after the one named."},
        **refusals(404),
    },
)
async def events(
    who: Who,
    parts: TheParts,
    job_id: JobId,
    after: After = 0,
    last: Annotated[
        int | None,
        Header(alias="Last-Event-ID", description="As `after`; browsers send it when they come back.", ge=0, le=MOST),
    ] = None,
) -> Response:
    """Server-Sent Events: changes of state, progress, metrics and log lines. A stream that broke, or was dropped
    because it took nothing, is resumed by the id of the last event.
    """
    return await _watch(who, parts, job_id, after if last is None else last)


async def _watch(who: Principal, parts: Parts, job_id: str, after: int) -> Response:
    hub = parts.hub
    job = await run_in_threadpool(parts.store.jobs.get, who, job_id)
    await hub.check(job_id, after)
    if not job.state.final:
        return EventStream(hub.watch(job_id, after), parts.settings.stall_s)
    past = hub.past(job_id, after)
    first = await anext(past, None)
    if first is None:
        return Response(status_code=204)
    return EventStream(_beginning_with(first, past), parts.settings.stall_s)


async def _beginning_with(first: bytes, rest: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    yield first
    async for piece in rest:
        yield piece
