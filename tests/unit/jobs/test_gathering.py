"""Group commit."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from hybrid_runtime.errors import Conflict, InternalError, Unavailable
from hybrid_runtime.jobs.gathering import Gathering


def test_what_is_asked_while_work_is_under_way_is_done_together():
    begun, go_on, seen = threading.Event(), threading.Event(), []

    def work(asked):
        seen.append(list(asked))
        begun.set()
        assert go_on.wait(30)
        return [one * 10 for one in asked]

    gathering = Gathering(work)
    with ThreadPoolExecutor(8) as pool:
        first = pool.submit(gathering.ask, 1)
        assert begun.wait(30)
        others = [pool.submit(gathering.ask, number) for number in range(2, 7)]
        while len(gathering._waiting) < 5:
            threading.Event().wait(0.001)
        go_on.set()
        assert first.result(30) == 10
        assert sorted(other.result(30) for other in others) == [20, 30, 40, 50, 60]
    assert seen[0] == [1]
    assert sorted(seen[1]) == [2, 3, 4, 5, 6]
    assert len(seen) == 2


def test_every_answer_reaches_the_one_who_asked():
    gathering: Gathering[int, int] = Gathering(lambda asked: [one + 1 for one in asked], most=3)
    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(gathering.ask, range(2000))) == list(range(1, 2001))


def test_a_refusal_is_for_one_alone():
    gathering: Gathering[int, int] = Gathering(
        lambda asked: [Conflict(f"no {one}") if one % 2 else one for one in asked]
    )
    assert gathering.ask(2) == 2
    with pytest.raises(Conflict, match="no 3"):
        gathering.ask(3)
    assert gathering.ask(4) == 4


@pytest.mark.parametrize(
    ("raised", "expected"), [(Unavailable("gone"), Unavailable), (ZeroDivisionError("odd"), InternalError)]
)
def test_a_failure_of_all_reaches_all_and_the_next_one_is_served(raised, expected):
    fails, begun, go_on = [True], threading.Event(), threading.Event()

    def work(asked):
        begun.set()
        assert go_on.wait(30)
        if len(asked) > 1 and fails.pop():
            raise raised
        return list(asked)

    gathering = Gathering(work)
    with ThreadPoolExecutor(8) as pool:
        first = pool.submit(gathering.ask, 0)
        assert begun.wait(30)
        others = [pool.submit(gathering.ask, number) for number in (1, 2, 3)]
        while len(gathering._waiting) < 3:
            threading.Event().wait(0.001)
        go_on.set()
        assert first.result(30) == 0
        kinds = [type(other.exception(30)) for other in others]
    # The one in whose thread it happened has the error itself, with its traceback.
    assert sorted(kinds, key=str) == sorted([type(raised), expected, expected], key=str)
    assert gathering.ask(9) == 9
