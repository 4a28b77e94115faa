from __future__ import annotations

import json

import pytest

from hybrid_runtime.classical.isolation import available

ALGORITHM = "from hybrid_runtime import hybrid\n\n@hybrid\ndef algorithm(context):\n    return 1\n"
LEVELS = [level.value for level, why in available().items() if why is None]


@pytest.mark.parametrize("level", LEVELS)
def test_the_level_asked_for_is_in_force_and_told(qi_run, level):
    ran = qi_run("run", qi_run.file("a.py", ALGORITHM), "--isolation", level, "--json", "--backend", "null")
    assert (ran.code, ran.told["isolation"]) == (0, level)


def test_without_one_the_strictest_is_used(qi_run):
    ran = qi_run("run", qi_run.file("a.py", ALGORITHM), "--json", "--backend", "null")
    assert ran.told["isolation"] == LEVELS[0]


def test_a_level_that_is_not_known_is_refused_with_those_that_are(qi_run):
    ran = qi_run("run", qi_run.file("a.py", ALGORITHM), "--isolation", "loose", "--backend", "null")
    assert ran.code == 2
    assert "'loose' is not known; choose one of strict, landlock, process" in ran.err


def test_doctor_tells_the_same_as_a_run(qi_run):
    ran = qi_run("doctor", "--json")
    assert json.loads(ran.out)["default"] == LEVELS[0]
    assert ran.code == 0
