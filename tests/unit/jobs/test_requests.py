"""What can be told from a submission alone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hybrid_runtime.errors import InvalidInput
from hybrid_runtime.jobs.requests import MAX_CIRCUIT_CHARACTERS, check_key, check_request, digest, new_job_id
from hybrid_runtime.resources.jobs import JobRequest

GOOD = JobRequest(backend="emulator", circuit="version 3.0\nqubit q")


def test_a_request_in_order_passes():
    check_request(GOOD)
    check_request(JobRequest(backend="b", bundle="0" * 64, parameters={"x": [1, 2.5, None]}, limits={"steps": 3}))
    check_request(
        replace(GOOD, limits={"plateau": ["energy", 1e-3, 5], "wall_s": 60}, start_after=0.0, seed=0, shots=None)
    )


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        ({"circuit": None}, "exactly one of"),
        ({"bundle": "0" * 64}, "exactly one of"),
        ({"circuit": ""}, "circuit is a text"),
        ({"circuit": "x" * (MAX_CIRCUIT_CHARACTERS + 1)}, "circuit is a text"),
        ({"circuit": "a\0b"}, "zero bytes"),
        ({"circuit": "\ud800"}, "halves of characters"),
        ({"language": "qasm9"}, "language is one of"),
        ({"circuit": None, "bundle": "0" * 64, "language": "cqasm3"}, "language belongs to a circuit"),
        ({"name": "x" * 201}, "name is a text"),
        ({"name": "two\nlines"}, "one line"),
        ({"name": "\udcff"}, "one line"),
        ({"project": "../etc"}, "project is"),
        ({"shots": 0}, "shots is a whole number"),
        ({"shots": True}, "shots is a whole number"),
        ({"shots": 1.5}, "shots is a whole number"),
        ({"seed": -1}, "seed is a whole number"),
        ({"seed": 1 << 63}, "seed is a whole number"),
        ({"limits": {"stepz": 3}}, "limit 'stepz' is not known"),
        ({"limits": {"steps": 0}}, "limit steps"),
        ({"limits": {"steps": "many"}}, "limit steps"),
        ({"limits": {"wall_s": float("nan")}}, "limit wall_s"),
        ({"limits": {"plateau": 7}}, "limit plateau"),
        ({"start_after": float("inf")}, "start_after"),
        ({"start_after": -1}, "start_after"),
        ({"parameters": {"x": float("nan")}}, "not finite"),
        ({"parameters": {"x": "\ud800"}}, "plain JSON"),
        ({"parameters": {"x": "y" * 1024 * 1024}}, "leave data out"),
        ({"parameters": [1]}, "an object with names"),
    ],
)
def test_what_cannot_be_used_is_named(change, cause):
    with pytest.raises(InvalidInput, match=cause):
        check_request(replace(GOOD, **change))


def test_parameters_of_any_depth_are_answered():
    nested: dict = {}
    for _ in range(100_000):
        nested = {"x": nested}
    with pytest.raises(InvalidInput, match="plain JSON"):
        check_request(replace(GOOD, parameters=nested))


@pytest.mark.parametrize("key", ["", "x" * 201, "a\nb", "\0"])
def test_what_is_no_idempotency_key_is_refused(key):
    with pytest.raises(InvalidInput, match="idempotency key"):
        check_key(key)


def test_the_same_request_has_the_same_digest_and_another_one_another():
    same = JobRequest(circuit=GOOD.circuit, backend="emulator", parameters={})
    assert digest([GOOD], False) == digest([same], False)
    turned = [replace(GOOD, parameters={"a": 1, "b": 2}), replace(GOOD, parameters={"b": 2, "a": 1})]
    assert digest(turned[:1], False) == digest(turned[1:], False)
    others = [digest([GOOD], True), digest([GOOD, GOOD], True), digest([replace(GOOD, shots=7)], False)]
    others.append(digest([replace(GOOD, shots=None)], False))
    assert len({digest([GOOD], False), *others}) == 5


def test_names_of_jobs_differ_within_one_moment_and_sort_by_time():
    assert len({new_job_id(1e9) for _ in range(10_000)}) == 10_000
    assert new_job_id(1e9) < new_job_id(1e9 + 1)
