"""What many requests ask of the store at once is done by one call in one thread.

A call from the event loop into a thread and back costs more than most questions to the store, and threads that take
turns with the interpreter hold each other up. So what is asked while a call is under way waits, and goes together.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from starlette.concurrency import run_in_threadpool

Asked = TypeVar("Asked")
Answer = TypeVar("Answer")


class Together(Generic[Asked, Answer]):
    """Calls `work` with all that was asked for while it was busy.

    Args:
        work: Takes what was asked and returns as many answers; an answer that is an exception is raised where it was
            asked for. An exception that it raises itself is everybody's.
    """

    def __init__(self, work: Callable[[Sequence[Asked]], Sequence[Answer | Exception]]) -> None:
        self._work = work
        self._waiting: list[tuple[Asked, asyncio.Future[Answer]]] = []
        self._working: asyncio.Task[None] | None = None

    async def ask(self, asked: Asked) -> Answer:
        """The answer, once it is there."""
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((asked, future))
        if self._working is None or self._working.done():
            self._working = asyncio.create_task(self._work_off())
        return await future

    async def _work_off(self) -> None:
        while self._waiting:
            calls, self._waiting = self._waiting, []
            answers: Sequence[Answer | Exception]
            try:
                answers = await run_in_threadpool(self._work, [asked for asked, _ in calls])
            except Exception as error:  # noqa: BLE001 (it is raised again, where the answers are waited for)
                answers = [error] * len(calls)
            for (_, future), answer in zip(calls, answers, strict=True):
                if future.cancelled():
                    continue  # who asked has left
                if isinstance(answer, Exception):
                    future.set_exception(answer)
                else:
                    future.set_result(answer)
