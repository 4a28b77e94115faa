"""One COBYQA at a time: scipy holds a lock for the whole run, so a second one inside the first waits for ever."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from hybrid_runtime.errors import UserCodeError
from hybrid_runtime.optimizers.methods import COBYQA

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hybrid_runtime.optimizers.problem import Problem

_SUSPENDED = None  # the owner of a run in a generator: it waits for a consumer, whichever thread that is
_owners: list[int | None] = []
_guard = threading.Lock()


@contextmanager
def one_at_a_time(problem: Problem, *, suspended: bool) -> Iterator[None]:
    """Hold the place of a COBYQA run; nothing for the other methods.

    Blocking runs in several threads are let through: scipy makes them wait for each other.

    Args:
        problem: The problem that is about to be solved.
        suspended: Whether the run waits in a generator between its evaluations.

    Raises:
        UserCodeError: when this run would wait for one that cannot go on before it.
    """
    if not _uses_cobyqa(problem):
        yield
        return
    owner = _SUSPENDED if suspended else threading.get_ident()
    with _guard:
        if any(other in (_SUSPENDED, threading.get_ident()) for other in _owners):
            raise UserCodeError(
                "a COBYQA optimization is already under way in this process, and scipy allows one at a time: let it "
                "end or close it (steps.close()) before the next one starts, or use COBYLA"
            )
        _owners.append(owner)
    try:
        yield
    finally:
        with _guard:
            _owners.remove(owner)


def _uses_cobyqa(problem: Problem) -> bool:
    """COBYQA can also be the local search of a global method."""
    if problem.method == COBYQA:
        return True
    options = problem.options if isinstance(problem.options, dict) else {}
    local = options.get("minimizer_kwargs")
    return isinstance(local, dict) and str(local.get("method", "")).upper() == COBYQA
