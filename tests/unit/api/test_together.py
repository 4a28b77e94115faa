"""What is asked for while a call is under way goes together in the next one; each gets an answer of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence

import pytest

from hybrid_runtime.api.together import Together

PATIENCE_S = 30.0


class Doubling:
    """Doubles numbers, one call after the other, each when it is let."""

    def __init__(self) -> None:
        self.calls: list[list[int]] = []
        self.let = threading.Semaphore(0)
        self.begun = threading.Semaphore(0)

    def __call__(self, numbers: Sequence[int]) -> list[int | Exception]:
        self.calls.append(list(numbers))
        self.begun.release()
        assert self.let.acquire(timeout=PATIENCE_S)
        return [ValueError(f"{number}") if number < 0 else 2 * number for number in numbers]


async def first_call(together: Together[int, int], doubling: Doubling) -> asyncio.Task[int]:
    """A question whose call is under way."""
    task = asyncio.create_task(together.ask(1))
    assert await asyncio.to_thread(doubling.begun.acquire, timeout=PATIENCE_S)
    return task


def test_what_is_asked_during_a_call_goes_together_in_the_next_one():
    doubling = Doubling()

    async def main() -> list[int]:
        together = Together(doubling)
        first = await first_call(together, doubling)
        others = [asyncio.create_task(together.ask(number)) for number in range(2, 100)]
        await asyncio.sleep(0)
        doubling.let.release(2)
        return await asyncio.gather(first, *others)

    assert asyncio.run(main()) == [2 * number for number in range(1, 100)]
    assert doubling.calls == [[1], list(range(2, 100))]


def test_an_answer_that_is_an_exception_is_raised_for_the_one_who_asked():
    doubling = Doubling()

    async def main() -> list[int | BaseException]:
        together = Together(doubling)
        first = await first_call(together, doubling)
        others = [asyncio.create_task(together.ask(number)) for number in (2, -3, 4)]
        await asyncio.sleep(0)
        doubling.let.release(2)
        return await asyncio.gather(first, *others, return_exceptions=True)

    first, second, third, fourth = asyncio.run(main())
    assert (first, second, fourth) == (2, 4, 8)
    assert isinstance(third, ValueError)


def test_an_exception_of_the_work_is_everybodys_and_the_next_question_is_answered():
    calls = []

    def work(numbers: Sequence[int]) -> list[int]:
        calls.append(list(numbers))
        if len(calls) == 1:
            raise OSError("away")
        return list(numbers)

    async def main() -> int:
        together: Together[int, int] = Together(work)
        answers = await asyncio.gather(together.ask(1), together.ask(2), return_exceptions=True)
        assert [type(answer) for answer in answers] == [OSError, OSError]
        return await together.ask(3)

    assert asyncio.run(main()) == 3


def test_who_leaves_does_not_keep_others_from_their_answers():
    doubling = Doubling()

    async def main() -> int:
        together = Together(doubling)
        first = await first_call(together, doubling)
        second = asyncio.create_task(together.ask(2))
        await asyncio.sleep(0)
        first.cancel()
        doubling.let.release(2)
        with pytest.raises(asyncio.CancelledError):
            await first
        return await second

    assert asyncio.run(main()) == 4
