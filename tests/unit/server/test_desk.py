"""The jobs in a runner's hands, with a real database, and a dispatcher that says what each test wants."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from hybrid_runtime.dispatcher.journal import Began, Fsync, Journal, Noted, Over, Stepped
from hybrid_runtime.errors import Conflict, ErrorData
from hybrid_runtime.job import JobState
from hybrid_runtime.jobs.access import Principal
from hybrid_runtime.jobs.store import Store
from hybrid_runtime.limits import Limits, StopReason
from hybrid_runtime.protocol.bundles import Bundle, content_hash, encode_bundle
from hybrid_runtime.protocol.control import Cancel, Ended, FromDispatcher, Log, Pause, Paused, Progress, Submit
from hybrid_runtime.protocol.messages import Capabilities
from hybrid_runtime.resources.accounts import Role
from hybrid_runtime.resources.algorithms import AlgorithmRequest
from hybrid_runtime.resources.backends import Environment
from hybrid_runtime.resources.jobs import Job, JobRequest
from hybrid_runtime.server.beginning import Beginning
from hybrid_runtime.server.desk import Desk
from hybrid_runtime.server.folder import DataFolder
from hybrid_runtime.server.settings import LimitsSettings
from hybrid_runtime.timing import Timing
from hybrid_runtime.values import decode_value, encode_value

OPERATOR = Principal(user="operator", role=Role.ADMIN, token_id="")
CAPABILITIES = Capabilities(name="b", driver="null", qubits=2, max_shots=10, operations=())


class Dispatcher:
    """Keeps what it is told, and says what it is given to say."""

    def __init__(self) -> None:
        self.told: list[Submit | Cancel | Pause] = []
        self.says: list[FromDispatcher] = []
        self.serving = self.present = True
        self.capabilities = CAPABILITIES
        self.failing = False
        self.why = "it died"

    def send(self, message: Submit | Cancel | Pause) -> None:
        self.told.append(message)

    def messages(self) -> Iterator[FromDispatcher]:
        while self.says:
            yield self.says.pop(0)

    def close(self) -> None:
        self.serving = self.present = self.failing = False


class Bench:
    """A desk with all around it."""

    def __init__(self, folder: Path) -> None:
        self.folder = DataFolder(folder)
        self.folder.prepare()
        self.now = 1_000_000.0
        self.store = Store(f"sqlite:///{folder}/jobs.sqlite", data=folder, clock=lambda: self.now)
        self.store.migrate()
        self.store.accounts.bootstrap()
        self.store.runs.announce("b", {}, Environment(name="default", python="3.11.2", packages={}))
        self.start()

    def start(self) -> None:
        """A runner starts, after a former one was killed or not."""
        self.dispatcher = Dispatcher()
        self.desk = Desk(
            "b",
            2,
            store=self.store,
            folder=self.folder,
            beginning=Beginning(LimitsSettings(), Fsync.NEVER, self.store.bundles.read),
            dispatching=self.dispatcher,  # type: ignore[arg-type]
            owner="me",
        )
        self.desk.take_over()
        self.desk.hand()

    def submit(self, **request: Any) -> str:
        """A job that the desk has claimed and handed over."""
        job = self.store.jobs.submit(OPERATOR, JobRequest(backend="b", circuit="version 3.0", seed=5, **request)).id
        self.desk.claim()
        return job

    def say(self, *messages: FromDispatcher) -> None:
        """The dispatcher says this, and the desk hears it and writes it down."""
        self.dispatcher.says += messages
        self.desk.hear()
        self.desk.write()

    def job(self, job_id: str) -> Job:
        return self.store.jobs.get(OPERATOR, job_id)

    def journal(self, job_id: str) -> Journal:
        """The journal of a job, as its dispatcher begins it."""
        folder = self.folder.job(job_id)
        folder.mkdir(exist_ok=True)
        journal = Journal(folder / "journal.bin", Fsync.NEVER)
        journal.append(Began(job_id, "", "", 5, 10, Limits(), b"\x80", CAPABILITIES))
        return journal


@pytest.fixture
def bench(tmp_path) -> Iterator[Bench]:
    made = Bench(tmp_path / "data")
    yield made
    made.store.close()


def ended(job_id: str, value: object = 7, state: JobState = JobState.COMPLETED) -> Ended:
    return Ended(job_id, state, StopReason.DONE, encode_value(value), 3, 30, Timing(quantum_s=0.5), None, "strict")


def running(job_id: str, steps: int = 1, metrics: list[tuple[str, float]] | None = None) -> Progress:
    return Progress(job_id, JobState.RUNNING, steps, steps * 10, metrics or [])


# ------------------------------------------------------------------ the usual way


def test_a_claimed_job_is_handed_over_with_its_journal(bench):
    job = bench.submit()
    (submit,) = bench.dispatcher.told
    assert (submit.job_id, submit.seed, submit.resume) == (job, 5, "")
    assert submit.journal == str(bench.folder.job(job) / "journal.bin")
    assert (bench.folder.job(job) / "bundle.bin").read_bytes() == submit.bundle
    assert bench.job(job).state is JobState.STARTING


def test_what_an_algorithm_declares_holds_for_those_who_only_name_it(bench):
    parameters, limits = {"a": 1, "b": 2}, {"steps": 7, "shots": 50}
    bundle = Bundle(python="3.11", entry="a.py", files={"a.py": b""}, parameters=parameters, limits=limits)
    data = encode_bundle(bundle)
    bench.store.bundles.put(OPERATOR, data)
    bench.store.algorithms.add(OPERATOR, AlgorithmRequest(name="mine", bundle=content_hash(data)))
    request = JobRequest(backend="b", algorithm="mine", parameters={"b": 3}, limits={"shots": 9})
    bench.store.jobs.submit(OPERATOR, request)
    bench.desk.claim()
    (submit,) = bench.dispatcher.told
    assert decode_value(submit.parameters) == {"a": 1, "b": 3}
    assert (submit.limits.steps, submit.limits.shots) == (7, 9)


def test_no_more_jobs_are_claimed_than_may_run(bench):
    jobs = [bench.submit() for _ in range(3)]
    assert [submit.job_id for submit in bench.dispatcher.told] == jobs[:2]
    bench.say(ended(jobs[0]))
    bench.desk.claim()
    assert bench.dispatcher.told[-1].job_id == jobs[2]


def test_what_the_dispatcher_says_is_written_down(bench):
    job = bench.submit()
    bench.say(running(job, 2, [("e", 1.5)]), Log(job, "stdout", ["hello"]))
    assert (bench.job(job).state, bench.job(job).steps, bench.job(job).shots_done) == (JobState.RUNNING, 2, 20)
    assert [line.text for line in bench.store.jobs.logs(OPERATOR, job)] == ["hello"]
    assert [point.value for point in bench.store.jobs.metrics(OPERATOR, job)] == [1.5]
    kinds = [event.type for event in bench.store.jobs.events(OPERATOR, job)]
    assert kinds == ["state", "state", "progress", "metrics", "log", "state"]


def test_a_job_ends_with_its_result(bench):
    job = bench.submit()
    bench.say(running(job, 2, [("e", 1.5)]), ended(job, {"x": [1, 2]}))
    result = bench.store.jobs.result(OPERATOR, job)
    assert (result.state, result.result, result.metrics) == (JobState.COMPLETED, {"x": [1, 2]}, {"e": [1.5]})
    assert (bench.job(job).state, bench.job(job).qpu_s) == (JobState.COMPLETED, 0.5)
    assert not bench.desk.busy
    assert not bench.desk.ended


# ------------------------------------------------------------------ commands


def test_a_command_is_passed_on_once_and_kept_until_it_has_had_its_effect(bench):
    job = bench.submit()
    bench.store.jobs.cancel(OPERATOR, job)
    bench.desk.obey()
    bench.desk.obey()
    assert bench.dispatcher.told[1:] == [Cancel(job, False)]
    # The runner is killed before the job has stopped: the next one finds the command again.
    bench.journal(job).close()
    bench.start()
    bench.desk.obey()
    assert bench.dispatcher.told[1:] == [Cancel(job, False)]
    bench.say(ended(job))
    assert bench.store.runs.commands("b") == []


def test_a_job_is_paused_and_goes_on_later(bench):
    job = bench.submit()
    bench.journal(job).close()
    bench.say(running(job))
    bench.store.jobs.pause(OPERATOR, job)
    bench.desk.obey()
    assert bench.dispatcher.told[-1] == Pause(job)
    bench.say(Progress(job, JobState.PAUSING, 1, 10, []), Paused(job, 1, None))
    assert bench.job(job).state is JobState.PAUSED
    assert bench.store.runs.commands("b") == []
    bench.store.jobs.resume(OPERATOR, job)
    bench.desk.claim()
    assert isinstance(bench.dispatcher.told[-1], Submit)
    assert bench.dispatcher.told[-1].resume


def test_a_runner_that_ends_puts_its_jobs_back_into_the_queue(bench):
    job = bench.submit()
    bench.say(running(job))
    bench.desk.stop("the service was stopped")
    bench.say(Progress(job, JobState.PAUSING, 1, 10, []), Paused(job, 1, None))
    assert bench.job(job).state is JobState.QUEUED
    assert not bench.desk.busy


# ------------------------------------------------------------------ what goes wrong


def test_a_new_runner_goes_on_from_the_journal_and_takes_back_what_was_told(bench):
    job = bench.submit()
    bench.journal(job).close()
    bench.say(running(job, 2, [("e", 1.0)]), Log(job, "log", ["once"]))
    bench.start()
    (submit,) = bench.dispatcher.told
    assert submit.resume
    bench.say(running(job, 1, [("e", 1.0)]), Log(job, "log", ["again"]))
    assert [point.value for point in bench.store.jobs.metrics(OPERATOR, job)] == [1.0]
    assert [line.text for line in bench.store.jobs.logs(OPERATOR, job)] == ["again"]
    bench.say(ended(job))
    assert bench.store.jobs.result(OPERATOR, job).metrics == {"e": [1.0]}


def test_a_job_whose_journal_says_how_it_ended_is_not_run_again(bench):
    job = bench.submit()
    journal = bench.journal(job)
    journal.append(Noted([("e", 2.0)], []))
    journal.append(Stepped(1, b"", b"\x90", 10, 0.25))  # type: ignore[arg-type]
    journal.append(Over("completed", "done", encode_value("the value"), None))
    journal.close()
    bench.start()
    bench.desk.write()
    assert bench.dispatcher.told == []
    result = bench.store.jobs.result(OPERATOR, job)
    assert (result.result, result.steps, result.shots, result.metrics) == ("the value", 1, 10, {"e": [2.0]})


def test_a_job_waits_while_the_last_dispatcher_still_has_its_journal(bench):
    job = bench.submit()
    journal = bench.journal(job)
    bench.start()
    assert bench.dispatcher.told == []
    journal.close()
    (held,) = bench.desk._held.values()
    held.hand_at = 0.0  # its time to be tried again has come
    bench.desk.hand()
    assert [submit.job_id for submit in bench.dispatcher.told] == [job]


def test_jobs_of_a_dispatcher_that_died_are_given_to_the_next_one(bench):
    job = bench.submit()
    bench.journal(job).close()
    bench.dispatcher.present = bench.dispatcher.serving = False
    bench.desk.hear()
    bench.dispatcher.present = bench.dispatcher.serving = True
    bench.desk.hand()
    first, second = bench.dispatcher.told
    assert (first.resume, second.job_id) == ("", job)
    assert second.resume


def test_a_job_that_no_dispatcher_survives_fails(bench):
    job = bench.submit()
    for _ in range(3):
        bench.dispatcher.present = False
        bench.desk.hear()
        bench.dispatcher.present = True
        bench.desk.hand()
    bench.desk.write()
    assert bench.job(job).state is JobState.FAILED
    assert "died 3 times under this job (it died)" in bench.job(job).error.text


def test_a_job_that_a_failing_dispatcher_never_began_is_given_to_the_next_one(bench):
    job = bench.submit()
    bench.dispatcher.failing = True
    error = ErrorData(kind="BackendFailed", text="the quantum runtime is gone")
    bench.dispatcher.says = [replace(ended(job, state=JobState.FAILED), isolation="", error=error)]
    bench.desk.hear()
    assert not bench.dispatcher.present
    bench.dispatcher.present = bench.dispatcher.serving = True
    bench.desk.hand()
    assert [submit.job_id for submit in bench.dispatcher.told] == [job, job]


def test_a_runner_whose_job_was_taken_over_writes_nothing_more_of_it(bench):
    job = bench.submit()
    bench.say(running(job))
    other = bench.store.runs.take_over("b", "other", 30.0)
    bench.desk.renew()
    assert bench.dispatcher.told[-1] == Pause(job)
    bench.say(running(job, 5), ended(job, "wrong"))
    assert bench.store.jobs.result(OPERATOR, job) is None
    assert bench.job(job).steps == 1
    assert other[0].job_id == job
    assert not bench.desk.busy


def test_a_result_without_a_lease_is_dropped(bench):
    job = bench.submit()
    bench.store.runs.take_over("b", "other", 30.0)
    bench.say(ended(job, "wrong"))
    assert bench.store.jobs.result(OPERATOR, job) is None
    assert not bench.desk.ended


def test_one_report_that_cannot_be_does_not_keep_others_from_being_written(bench):
    jobs = [bench.submit(), bench.submit()]
    bench.say(Progress(jobs[0], JobState.FINALIZING, 1, 10, []))
    with pytest.raises(Conflict):
        bench.store.runs.report(jobs[0], 1, state=JobState.RUNNING)
    bench.say(running(jobs[0]), running(jobs[1], 4))
    assert bench.job(jobs[1]).steps == 4


def test_a_job_that_cannot_be_run_fails_with_the_reason(bench):
    job = bench.store.jobs.submit(OPERATOR, JobRequest(backend="b", circuit="version 3.0")).id
    bench.folder.job(job).mkdir()
    (bench.folder.job(job) / "journal.bin").write_bytes(b"no journal at all")
    bench.desk.claim()
    bench.desk.write()
    assert bench.job(job).state is JobState.FAILED
    assert "is not a journal" in bench.job(job).error.text


# ------------------------------------------------------------------ what is said of the backend


def test_a_backend_is_as_its_dispatcher_is(bench):
    def told() -> tuple[str, str]:
        bench.desk.beat()
        backend = bench.store.backends.get(OPERATOR, "b")
        return backend.status, backend.reason

    assert told() == ("idle", "")
    job = bench.submit()
    assert told() == ("executing", "")
    bench.say(ended(job))
    assert told() == ("idle", "")
    bench.dispatcher.serving, bench.dispatcher.why = False, "its driver does not start"
    assert told() == ("offline", "its driver does not start")


def test_a_paused_job_keeps_what_is_left_of_its_wall_limit(bench):
    job = bench.submit(limits={"wall_s": 60.0})
    bench.journal(job).close()
    bench.store.jobs.pause(OPERATOR, job)
    bench.desk.obey()
    bench.say(Paused(job, 1, 12.5))
    bench.store.jobs.resume(OPERATOR, job)
    bench.desk.claim()
    assert [submit.limits.wall_s for submit in bench.dispatcher.told if isinstance(submit, Submit)] == [60.0, 12.5]


def test_a_job_waits_while_its_folder_cannot_be_made(bench):
    job = bench.store.jobs.submit(OPERATOR, JobRequest(backend="b", circuit="version 3.0")).id
    # Its folder cannot be made.
    bench.folder.job(job).touch()
    bench.desk.claim()
    assert bench.dispatcher.told == []
    assert bench.desk.busy
    bench.folder.job(job).unlink()
    (held,) = bench.desk._held.values()
    held.hand_at = 0.0  # its time to be tried again has come
    bench.desk.hand()
    assert [submit.job_id for submit in bench.dispatcher.told] == [job]
