"""Which job runs next."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from hybrid_runtime.jobs.policy import Policy
from hybrid_runtime.jobs.scheduler import RANKS, Head, pick
from hybrid_runtime.resources.jobs import Priority

HIGH, NORMAL, LOW = (RANKS[priority] for priority in (Priority.HIGH, Priority.NORMAL, Priority.LOW))
POLICY = Policy(running_per_user=2)


def test_the_earliest_job_of_the_highest_class_is_next():
    heads = [Head(NORMAL, 1, "ann"), Head(HIGH, 9, "bob"), Head(HIGH, 7, "cid"), Head(LOW, 0, "dan")]
    assert pick(heads, {}, POLICY) == Head(HIGH, 7, "cid")


def test_a_user_at_the_cap_is_passed_over():
    heads = [Head(NORMAL, 1, "ann"), Head(NORMAL, 2, "bob")]
    assert pick(heads, {"ann": 2}, POLICY) == Head(NORMAL, 2, "bob")
    assert pick(heads, {"ann": 1}, POLICY) == Head(NORMAL, 1, "ann")


def test_nothing_is_next_when_nobody_may():
    assert pick([], {}, POLICY) is None
    assert pick([Head(HIGH, 1, "ann")], {"ann": 2}, POLICY) is None


HEADS = st.lists(
    st.builds(Head, st.sampled_from([HIGH, NORMAL, LOW]), st.integers(1, 1000), st.sampled_from("abcde")),
    unique_by=lambda head: head.number,
)
RUNNING = st.dictionaries(st.sampled_from("abcde"), st.integers(0, 3))


@given(HEADS, RUNNING, st.randoms(use_true_random=False))
def test_the_order_in_which_heads_are_given_does_not_matter(heads, running, chance: random.Random):
    shuffled = heads[:]
    chance.shuffle(shuffled)
    assert pick(shuffled, running, POLICY) == pick(heads, running, POLICY)


@given(HEADS, RUNNING)
def test_nobody_who_may_run_is_overtaken_from_behind(heads, running):
    chosen = pick(heads, running, POLICY)
    may = [head for head in heads if running.get(head.user, 0) < POLICY.running_per_user]
    assert (chosen is None) == (not may)
    assert all(chosen is not None and chosen[:2] <= head[:2] for head in may)
