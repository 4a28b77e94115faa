"""Limits as they are written in Python and on the command line."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import numpy as np
import pytest

from hybrid_runtime import Limits
from hybrid_runtime.errors import InvalidInput
from hybrid_runtime.limits import MAX_PLATEAU_WINDOW, parse_duration, parse_limits


def test_nothing_is_limited_but_thinking_and_finalizing():
    limits = Limits()
    assert (limits.steps, limits.shots, limits.wall_s, limits.qpu_s, limits.plateau) == (None,) * 5
    assert (limits.think_s, limits.finalize_s) == (600.0, 10.0)


@pytest.mark.parametrize("name", ["steps", "shots"])
@pytest.mark.parametrize("value", [0, -1, 1.5, 1e3, "3", True, 1 << 63, 10**30, math.nan])
def test_counts_are_whole_numbers_from_1(name, value):
    with pytest.raises(InvalidInput, match=f"limit {name} is a whole number from 1"):
        Limits(**{name: value})


@pytest.mark.parametrize("name", ["wall_s", "qpu_s", "think_s", "finalize_s"])
@pytest.mark.parametrize("value", [0, -1.0, math.nan, math.inf, "3", True, 10**400, 1j])
def test_durations_are_seconds_above_0(name, value):
    with pytest.raises(InvalidInput, match=f"limit {name} is a number of seconds above 0"):
        Limits(**{name: value})


def test_the_time_to_finalize_cannot_be_unlimited():
    with pytest.raises(InvalidInput, match="finalize_s"):
        Limits(finalize_s=None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "plateau",
    [
        "energy",
        ("energy", 0.1),
        ("energy", -0.1, 3),
        ("energy", math.nan, 3),
        ("energy", 0.1, 1),
        ("energy", 0.1, MAX_PLATEAU_WINDOW + 1),
        ("energy", 0.1, math.inf),
        ("energy", "x", 3),
        7,
    ],
)
def test_a_plateau_is_a_metric_a_tolerance_and_a_window(plateau):
    with pytest.raises(InvalidInput, match="limit plateau"):
        Limits(plateau=plateau)


def test_numpy_numbers_are_taken_and_travel_as_plain_ones():
    given: dict[str, Any] = {
        "steps": np.int64(5),
        "wall_s": np.float32(0.5),
        "plateau": ["e", np.float64(0.1), np.int8(3)],
    }
    limits = Limits(**given)
    assert limits == Limits(steps=5, wall_s=0.5, plateau=("e", 0.1, 3))
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(limits), type=Limits) == limits


def test_limits_that_arrive_are_checked_like_those_that_are_made():
    with pytest.raises(msgspec.ValidationError, match="whole number from 1"):
        msgspec.msgpack.decode(msgspec.msgpack.encode({"steps": 0}), type=Limits)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 90.0),
        ("60s", 60.0),
        ("1.5h", 5400.0),
        ("200ms", 0.2),
        ("5 m", 300.0),
        ("5min", 300.0),
        ("2d", 172800.0),
        ("7us", 7e-6),
        (" 1e-3s ", 1e-3),
        ("1e2", 100.0),
    ],
)
def test_durations_are_read_with_their_units(text, seconds):
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "s", "-1s", "1.2.3", ".", "1 year", "1s2", "0x10", "nan", "inf", "1e", "1S"])
def test_what_is_no_duration_is_refused_with_examples(text):
    with pytest.raises(InvalidInput, match="not a duration; write for example 90"):
        parse_duration(text)


def test_the_command_lines_limits_are_those_of_python():
    texts = ["steps=200", "shots=1e6", "wall=60s", "qpu=5", "think_s=30s", "finalize=1m", "plateau=energy,1e-4,10"]
    assert parse_limits(texts) == Limits(
        steps=200, shots=1_000_000, wall_s=60, qpu_s=5, think_s=30, finalize_s=60, plateau=("energy", 1e-4, 10)
    )
    assert parse_limits([]) == Limits()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("steps", "NAME=VALUE"),
        ("stepz=3", "is not known"),
        ("steps=many", "whole number"),
        ("steps=1.5", "whole number"),
        ("steps=inf", "whole number"),
        ("steps=nan", "whole number"),
        ("steps=0", "from 1"),
        ("wall=soon", "not a duration"),
        ("wall=1e999", "above 0"),
        ("plateau=energy", "metric, tolerance, window"),
    ],
)
def test_a_limit_that_cannot_be_read_is_refused(text, why):
    with pytest.raises(InvalidInput, match=why):
        parse_limits([text])


def test_a_limit_given_twice_is_refused():
    with pytest.raises(InvalidInput, match="wall is given twice"):
        parse_limits(["wall=1s", "wall_s=2s"])
