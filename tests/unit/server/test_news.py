"""What is written about running jobs, and when."""

from __future__ import annotations

from hybrid_runtime.job import JobState
from hybrid_runtime.protocol.control import Log, Progress
from hybrid_runtime.server.news import MOST_LINES, MOST_POINTS, News


def progress(state: JobState = JobState.RUNNING, steps: int = 0, metrics: list[tuple[str, float]] | None = None):
    return Progress("j", state, steps, steps * 10, metrics or [])


def events(news: News) -> list[tuple[str, dict]]:
    return [event for report in news.take("j", 1) for event in report.events]


def test_nothing_is_written_when_nothing_is_new():
    news = News()
    assert news.take("j", 1) == []
    news.on_progress(progress(steps=3))
    assert news.take("j", 1) != []
    news.on_progress(progress(steps=3))
    assert news.take("j", 1) == []


def test_one_report_has_all_that_is_new():
    news = News()
    news.on_progress(progress(steps=2, metrics=[("e", 1.0), ("e", 2.0)]))
    news.on_log(Log("j", "stdout", ["a", "b"]))
    (report,) = news.take("j", 7)
    assert (report.job_id, report.fence, report.state, report.steps, report.shots) == ("j", 7, JobState.RUNNING, 2, 20)
    assert (report.metrics, report.logs) == ([("e", 1.0), ("e", 2.0)], [("stdout", "a"), ("stdout", "b")])
    assert report.events == [
        ("progress", {"steps": 2, "shots": 20}),
        ("metrics", {"points": [("e", 1.0), ("e", 2.0)]}),
        ("log", {"stream": "stdout", "lines": ["a", "b"]}),
    ]


def test_every_change_of_state_is_told_in_order():
    news = News()
    for state in (JobState.RUNNING, JobState.FINALIZING):
        news.on_progress(progress(state))
    news.begin_anew("its worker was lost")
    news.on_progress(progress(JobState.RUNNING, steps=1))
    reports = news.take("j", 1)
    told = [JobState.RUNNING, JobState.FINALIZING, JobState.STARTING, JobState.RUNNING]
    assert [report.state for report in reports] == told
    assert [report.reason for report in reports] == ["", "", "its worker was lost", ""]
    assert [report.steps for report in reports] == [None, None, None, 1]


def test_that_a_job_pauses_or_has_ended_is_not_the_runners_to_say():
    news = News()
    for state in (JobState.PAUSING, JobState.PAUSED, JobState.COMPLETED):
        news.on_progress(progress(state))
    assert news.take("j", 1) == []


def test_what_was_told_is_taken_back_when_the_job_begins_anew():
    news = News()
    news.on_progress(progress(steps=2, metrics=[("e", 1.0)]))
    news.on_log(Log("j", "log", ["old"]))
    news.begin_anew("lost")
    news.on_progress(progress(steps=1, metrics=[("e", 5.0)]))
    assert news.metrics == {"e": [5.0]}
    assert [kind for kind, _ in events(news)] == ["restarted", "progress", "metrics"]
    assert events(news) == []


def test_the_result_has_all_metrics_however_often_they_were_taken_out():
    news = News()
    for value in range(3):
        news.on_progress(progress(metrics=[("e", float(value))]))
        news.take("j", 1)
    assert news.metrics == {"e": [0.0, 1.0, 2.0]}


def test_who_watches_gets_a_bounded_part_of_a_flood_and_the_store_all_of_it():
    news = News()
    news.on_progress(progress(metrics=[("e", float(value)) for value in range(10 * MOST_POINTS)]))
    news.on_log(Log("j", "stdout", ["x"] * 10 * MOST_LINES))
    (report,) = news.take("j", 1)
    shown = dict(report.events)
    assert len(shown["metrics"]["points"]) <= MOST_POINTS
    assert shown["metrics"]["points"][-1] == ("e", 10.0 * MOST_POINTS - 1)
    assert len(shown["log"]["lines"]) == MOST_LINES + 1
    assert (len(report.metrics), len(report.logs)) == (10 * MOST_POINTS, 10 * MOST_LINES)


def test_seconds_of_the_backend_are_told_with_the_end():
    news = News()
    news.qpu_s = 2.5
    (report,) = news.take("j", 1)
    assert report.qpu_s == 2.5
    assert news.take("j", 1) == []
