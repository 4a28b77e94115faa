"""`AsyncClient`: the same as `Client`, for `asyncio`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self, Unpack

from hybrid_runtime.client import calls, submitting
from hybrid_runtime.client.credentials import choose
from hybrid_runtime.client.follow import Follow
from hybrid_runtime.client.packing import Options, SharedOptions, choice, fork_request
from hybrid_runtime.client.results import awaited, ended, job_result
from hybrid_runtime.client.transport import TIMEOUT_S, AsyncTransport
from hybrid_runtime.resources.accounts import (
    NewToken,
    Project,
    ProjectRequest,
    ProjectRole,
    Role,
    Token,
    TokenRequest,
    Usage,
    User,
    UserRequest,
    Whoami,
)
from hybrid_runtime.resources.backends import Backend, BackendChange, BackendStatus, Environment

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence
    from types import TracebackType

    from hybrid_runtime.job import JobResult, JobState
    from hybrid_runtime.limits import Limits
    from hybrid_runtime.resources import jobs as resources
    from hybrid_runtime.resources.algorithms import Algorithm
    from hybrid_runtime.resources.jobs import JobChange, QueueEntry
    from hybrid_runtime.resources.records import Event, LogLine, MetricPoint, Step


class AsyncClient:
    """A job manager, and what one may ask of it. Use it as a context manager, or call `close`.

    Args:
        url: Its URL, or the name under which `qi-run login` knows it. When None: the environment variable
            `QI_RUN_URL`, else the server that was logged in to last.
        token: The secret. When None: the environment variable `QI_RUN_TOKEN`, else what `qi-run login` keeps.
        timeout_s: Seconds without a sign of the server after which an answer is given up.

    Every method raises `Unavailable` when the server cannot be reached, `Unauthenticated` when it does not know the
    token, `Forbidden` when the token's user may not do this, `NotFound` when there is no such thing, and
    `InvalidInput` when something given cannot be used. Requests that may be repeated are repeated for some seconds.

    Raises:
        InvalidInput: the URL is none, or no server has that name.
        Unauthenticated: there is no token.
    """

    def __init__(self, url: str | None = None, token: str | None = None, *, timeout_s: float = TIMEOUT_S) -> None:
        self._transport = AsyncTransport(choose(url, token), timeout_s)
        self.url = self._transport.url

    async def submit(self, algorithm: Any, backend: str | None = None, **options: Unpack[Options]) -> AsyncJob:
        """Queue a job; returns as soon as the server has it.

        Args:
            algorithm: What `hybrid_runtime.run` takes: a `HybridAlgorithm` subclass, a function marked `@hybrid`, or
                the path of a file that holds one (`"vqe.py"`, `"vqe.py:Name"`). Or a `Circuit`, or the path of a
                file that holds one (`"bell.cq"`). Or the name of an algorithm that the server has: `"vqe"`,
                `"vqe@3"`.
            backend: Where its circuits run; may be left out where there is only one.
            options: `parameters`, `shots`, `seed`, `limits`, `priority`, `project`, `name`, `environment`,
                `start_after` and `keep_requests`: see `hybrid_runtime.client.packing.Options`.

        Raises:
            InvalidInput: one of these cannot be used, or the algorithm does not fit the environment.
            QuotaExceeded: the user has as many jobs queued as are allowed.
        """
        return AsyncJob(self, await self._transport.do(submitting.submit(algorithm, backend, options)))

    async def submit_many(
        self,
        algorithm: Any,
        backend: str | None = None,
        *,
        parameters: Sequence[Mapping[str, Any]],
        **options: Unpack[SharedOptions],
    ) -> list[AsyncJob]:
        """Queue one job for each set of parameters, in one request: all of them, or none."""
        flow = submitting.submit_many(algorithm, backend, parameters, options)
        return [AsyncJob(self, info) for info in await self._transport.do(flow)]

    async def run(self, algorithm: Any, backend: str | None = None, **options: Unpack[Options]) -> JobResult:
        """Submit a job and wait for its result."""
        return await (await self.submit(algorithm, backend, **options)).result()

    async def job(self, job_id: str) -> AsyncJob:
        """The job with this id."""
        return AsyncJob(self, await self._transport.do(calls.job(job_id)))

    async def jobs(
        self,
        *,
        project: str | None = None,
        backend: str | None = None,
        state: JobState | str | None = None,
        user: str | None = None,
        name: str | None = None,
        since: float | None = None,
        limit: int | None = 50,
    ) -> list[AsyncJob]:
        """Jobs, the newest first; None leaves a filter out, and takes all there are for `limit`."""
        flow = calls.jobs(limit, project=project, backend=backend, state=state, user=user, name=name, since=since)
        return [AsyncJob(self, info) for info in await self._transport.do(flow)]

    async def backends(self) -> list[Backend]:
        """All backends with their status."""
        return await self._transport.do(calls.backends())

    async def backend(self, name: str) -> Backend:
        """One backend."""
        return await self._transport.do(calls.backend(name))

    async def queue(self, backend: str, limit: int | None = None) -> list[QueueEntry]:
        """The jobs that wait for a backend, in the order of being served."""
        return await self._transport.do(calls.queue(backend, limit))

    async def environments(self) -> list[Environment]:
        """What algorithms find installed, by environment."""
        return await self._transport.do(calls.environments())

    async def algorithms(self, project: str | None = None) -> list[Algorithm]:
        """The algorithms that the server keeps under a name."""
        return await self._transport.do(calls.algorithms(project))

    async def add_algorithm(self, name: str, algorithm: Any, *, project: str | None = None) -> Algorithm:
        """Upload an algorithm under a name; it becomes the next version of what has that name."""
        return await self._transport.do(submitting.add_algorithm(name, algorithm, project))

    async def usage(
        self, project: str | None = None, *, since: float | None = None, until: float | None = None
    ) -> list[Usage]:
        """What was used, by user and project; times are seconds since 1970."""
        return await self._transport.do(calls.usage(project, since, until))

    async def whoami(self) -> Whoami:
        """Who the token speaks for."""
        return await self._transport.do(calls.whoami())

    async def tokens(self, user: str | None = None) -> list[Token]:
        """Tokens, without their secrets; another user's for admins."""
        return await self._transport.do(calls.tokens(user))

    async def add_token(
        self, label: str = "", *, expires_in_s: float | None = None, user: str | None = None
    ) -> NewToken:
        """Make a token; its secret is told this once."""
        request = TokenRequest(label=label, expires_in_s=expires_in_s, user=user)
        return await self._transport.do(calls.add_token(request))

    async def revoke_token(self, token_id: str) -> None:
        """End a token at once."""
        await self._transport.do(calls.revoke_token(token_id))

    async def projects(self) -> list[Project]:
        """The projects that the user belongs to; all of them for an admin."""
        return await self._transport.do(calls.projects())

    async def add_project(self, name: str) -> Project:
        """Make a project; whoever makes it owns it."""
        return await self._transport.do(calls.add_project(ProjectRequest(name=name)))

    async def set_member(self, project: str, user: str, role: ProjectRole | str = ProjectRole.MEMBER) -> Project:
        """Let a user into a project, or change what the user is there."""
        return await self._transport.do(calls.set_member(project, user, choice(ProjectRole, role, "role")))

    async def remove_member(self, project: str, user: str) -> None:
        """Take a user out of a project."""
        await self._transport.do(calls.remove_member(project, user))

    async def users(self) -> list[User]:
        """All users; for admins."""
        return await self._transport.do(calls.users())

    async def add_user(self, name: str, role: Role | str = Role.USER) -> User:
        """Make a user; for admins."""
        return await self._transport.do(calls.add_user(UserRequest(name=name, role=choice(Role, role, "role"))))

    async def set_user(self, name: str, *, role: Role | str | None = None, disabled: bool | None = None) -> User:
        """Change a user; for admins. None leaves as it is."""
        return await self._transport.do(calls.set_user(name, role and choice(Role, role, "role"), disabled))

    async def set_backend(
        self,
        name: str,
        *,
        status: BackendStatus | str | None = None,
        accepting: bool | None = None,
        reason: str | None = None,
        calibration: dict[str, Any] | None = None,
    ) -> Backend:
        """Set a backend's status, or drain it with `accepting=False`; for operators. None leaves as it is."""
        change = BackendChange(
            status=None if status is None else choice(BackendStatus, status, "status"),
            accepting=accepting,
            reason=reason,
            calibration=calibration,
        )
        return await self._transport.do(calls.change_backend(name, change))

    async def close(self) -> None:
        """Close the connections; jobs go on."""
        await self._transport.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"<AsyncClient of {self.url}>"


class AsyncJob:
    """A job on a server. It goes on whatever becomes of this object.

    Attributes:
        info: The job as it stood when the server was last asked about it.
    """

    def __init__(self, client: AsyncClient, info: resources.Job) -> None:
        self._transport = client._transport
        self._client = client
        self.info = info

    @property
    def id(self) -> str:
        """Its name on the server."""
        return self.info.id

    @property
    def job_id(self) -> str:
        """The same as `id`; jobs of a `LocalRuntime` and results call it so."""
        return self.info.id

    @property
    def state(self) -> JobState:
        """Its state when the server was last asked about it."""
        return self.info.state

    async def status(self) -> resources.Job:
        """How it stands now."""
        return self._told(await self._transport.do(calls.job(self.id)))

    async def wait(self, timeout_s: float | None = None) -> resources.Job:
        """Wait until it has ended; how it stands then.

        Raises:
            TimeoutError: it has not ended after so many seconds; it goes on.
        """
        return self._told(await self._transport.do(ended(self.id, timeout_s)))

    async def result(self, timeout_s: float | None = None) -> JobResult:
        """Wait for its end; its result, whatever its state. Values are as JSON has them: arrays are lists.

        Raises:
            TimeoutError: it has not ended after so many seconds; it goes on.
        """
        return job_result(await self._transport.do(awaited(self.id, timeout_s)))

    def events(self, after: int = 0) -> AsyncIterator[Event]:
        """What happens to it, as it happens, from its beginning or after the event with that id, until it has ended.

        Broken connections are made anew, and no event is told twice.
        """
        return self._transport.follow(Follow(self.id, after))

    async def logs(self, after: int = 0, limit: int | None = None) -> list[LogLine]:
        """What it printed and logged, behind the line with that sequence number."""
        return await self._transport.do(calls.logs(self.id, after, limit))

    async def metrics(self, name: str | None = None, *, after: int = 0, limit: int | None = None) -> list[MetricPoint]:
        """The values it reported, of one metric or of all."""
        return await self._transport.do(calls.metrics(self.id, after, limit, name))

    async def steps(self, after: int = 0, limit: int | None = None) -> list[Step]:
        """What it asked and what came back, behind the step with that number."""
        return await self._transport.do(calls.steps(self.id, after, limit))

    async def raw(self, step: int) -> bytes:
        """The results of one step as its journal has them, in MessagePack."""
        return await self._transport.do(calls.raw(self.id, step))

    async def history(self) -> list[JobChange]:
        """The states it was in, with times and reasons."""
        return await self._transport.do(calls.history(self.id))

    async def cancel(self, *, kill: bool = False) -> resources.Job:
        """Stop it: gracefully, so that `finalize` runs; or at once with `kill`."""
        return self._told(await self._transport.do(calls.cancel(self.id, kill)))

    async def pause(self) -> resources.Job:
        """Let it give up its place after the step under way; `resume` goes on there."""
        return self._told(await self._transport.do(calls.pause(self.id)))

    async def resume(self) -> resources.Job:
        """Queue it again after a pause."""
        return self._told(await self._transport.do(calls.resume(self.id)))

    async def fork(
        self,
        step: int,
        *,
        parameters: Mapping[str, Any] | None = None,
        backend: str | None = None,
        limits: Limits | Mapping[str, Any] | None = None,
        name: str | None = None,
    ) -> AsyncJob:
        """A new job that begins with this one's first `step` steps.

        Parameters and limits are laid over this one's; of the rest, None keeps what this one has.
        """
        request = fork_request(step, parameters=parameters, backend=backend, limits=limits, name=name)
        return AsyncJob(self._client, await self._transport.do(calls.fork(self.id, request)))

    def _told(self, info: resources.Job) -> resources.Job:
        self.info = info
        return info

    def __repr__(self) -> str:
        return f"<AsyncJob {self.id} {self.state.value}>"
