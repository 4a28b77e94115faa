"""Which job runs next: a decision without input or output.

The queue of a backend is seen through its heads: the first queued job of each user in each priority class. So a
decision costs as much as there are users, however many jobs wait. Other policies take the place of `pick`; what they go
by besides (shares, reservations) is in what they are given.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from hybrid_runtime.resources.jobs import Priority

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from hybrid_runtime.jobs.policy import Policy

RANKS = {Priority.HIGH: 0, Priority.NORMAL: 1, Priority.LOW: 2}
PRIORITIES = {rank: priority for priority, rank in RANKS.items()}


class Head(NamedTuple):
    """The first queued job of one user in one priority class.

    Attributes:
        rank: Of the class; the lowest is served first.
        number: The job's, lower for one that was accepted earlier.
        user: Whose it is.
    """

    rank: int
    number: int
    user: str


def pick(heads: Iterable[Head], running: Mapping[str, int], policy: Policy) -> Head | None:
    """The job to run next, or None: first in, first out within a class, passing over users at their cap.

    Args:
        heads: In any order.
        running: How many jobs of each user run on this backend.
        policy: The caps.
    """
    most = policy.running_per_user
    return min((head for head in heads if running.get(head.user, 0) < most), default=None)
