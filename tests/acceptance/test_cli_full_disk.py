"""A disk that is full: a small file system in memory, mounted where nobody else sees it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

SOURCE = """
from hybrid_runtime import Circuit, hybrid
TURN = Circuit("version 3.0; qubit q; bit b; Rx({t}) q; b = measure q", parameters=["t"])

@hybrid
def walk(context):
    ones = 0
    for _ in range(context.parameters["steps"]):
        ones = (ones + context.run(TURN.bind(t=0.01 * ones + 0.1)).counts.get("1", 0)) % 1000
        context.metric("ones", ones)
    return [ones, "x" * context.parameters["long"]]
"""
OTHERS = "-p long=0 --seed 5 --shots 5"
RUN = "python -m hybrid_runtime run a.py -q --json --out small"

Shell = Callable[[str], subprocess.CompletedProcess[str]]
# A user of his own may mount where he is root of his own namespaces.
WAYS = (["unshare", "--mount"], ["unshare", "--user", "--map-root-user", "--mount"])


@pytest.fixture(scope="module")
def apart() -> list[str]:
    """What runs a command in a mount namespace of its own, in which it may mount."""
    for way in WAYS:
        command = [*way, "sh", "-c", "mount -t tmpfs none /mnt"]
        if shutil.which("unshare") and subprocess.run(command, capture_output=True).returncode == 0:
            return way
    pytest.skip("no file system can be mounted here, neither as root nor in a user namespace")


@pytest.fixture
def shell(qi_run, apart) -> Iterator[Shell]:
    """Runs a script with a file system of 400 kB at `small`; nothing of it is left when the script ends."""
    qi_run.file("a.py", SOURCE)
    (qi_run.folder / "small").mkdir()
    environment = {**os.environ, **(qi_run.environment or {})}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"

    def run(script: str) -> subprocess.CompletedProcess[str]:
        script = f"mount -t tmpfs -o size=400k none small\n{script}"
        command = [*apart, "sh", "-c", script]
        return subprocess.run(command, cwd=qi_run.folder, env=environment, capture_output=True, text=True, timeout=120)

    yield run
    assert list((qi_run.folder / "small").iterdir()) == []


def told(done: subprocess.CompletedProcess[str], count: int) -> list[Any]:
    """The objects that the script's commands printed."""
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(lines) == count, done.stderr
    return lines


def test_a_disk_that_fills_ends_the_job_and_it_goes_on_when_there_is_space(shell):
    done = shell(f"""
        {RUN} -p steps=3000 {OTHERS}; echo $?
        python -m hybrid_runtime journal verify --json small/*; echo $?
        {RUN} --resume $(ls small); echo $?
        python -m hybrid_runtime journal verify --json small/*
        mount -o remount,size=9m small
        {RUN} --resume $(ls small); echo $?
        python -m hybrid_runtime run a.py -q --json -p steps=3000 {OTHERS}
    """)
    full, code, verified, whole, again, code_again, still, resumed, code_resumed, undisturbed = told(done, 10)
    assert (code, whole, code_again, code_resumed) == (2, 0, 2, 0)
    assert (full["error"]["kind"], again["error"]["kind"]) == ("JournalFull", "JournalFull")
    assert "No space left on device; make space, then resume the job" in full["error"]["text"]
    assert 0 < full["steps"] == verified["steps"] == still["steps"] < 3000
    assert (resumed["result"], resumed["metrics"]) == (undisturbed["result"], undisturbed["metrics"])
    assert (resumed["steps"], resumed["shots"]) == (3000, 15000)


def test_a_disk_that_is_full_is_refused_before_anything_runs(shell):
    done = shell(f"head -c 1m /dev/zero > small/fill; {RUN} -p steps=3 {OTHERS}; echo $?; ls small")
    assert done.stdout.splitlines()[-2:] == ["2", "fill"]
    assert "cannot be written: No space left on device; choose another folder" in done.stderr


def test_a_result_that_found_no_space_is_written_when_there_is_some(shell):
    done = shell(f"""
        {RUN} -p steps=3 -p long=220000 --seed 5 --shots 5; echo $?
        ls -A small/* | grep partial
        mount -o remount,size=9m small
        {RUN} --resume $(ls small); echo $?
        cat small/*/result.json | tr -d '\\n'; echo
        {RUN} --resume $(ls small)
    """)
    first, code, again, code_again, kept, refused = told(done, 6)
    assert (code, code_again) == (2, 0)
    assert "make space, then write it by --resume" in done.stderr
    assert again == kept
    for name in ("result", "metrics", "steps", "shots", "seed", "state", "stop_reason", "job_id"):
        assert again[name] == first[name]
    assert "has completed: there is nothing to resume" in refused["error"]["text"]
