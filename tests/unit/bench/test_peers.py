from __future__ import annotations

import time
from pathlib import Path

import msgspec
import pytest

from hybrid_runtime.bench import peers
from hybrid_runtime.bench.peers import Candidate, PeerFailed
from hybrid_runtime.bench.plan import FULL, QUICK
from hybrid_runtime.placement import Placement

PLAN = msgspec.structs.replace(QUICK, peer_steps=20)


@pytest.fixture
def program(tmp_path):
    """A peer whose program has this text."""

    def write(text):
        path = tmp_path / "peer.py"
        path.write_text(text)
        return Candidate("a peer", "json", str(path))

    return write


def test_every_candidate_has_its_program():
    folder = peers.folder()
    assert folder is not None
    assert [candidate.program for candidate in peers.CANDIDATES if not (folder / candidate.program).is_file()] == []


def test_every_program_is_a_candidate_of_some_name():
    folder = peers.folder()
    assert folder is not None
    programs = {path.name for path in folder.glob("*.py")} - {"exchange.py"}
    assert programs == {candidate.program for candidate in peers.CANDIDATES}


@pytest.mark.parametrize("name", ["multiprocessing.Manager", "ProcessPoolExecutor", "Appendix A over pyzmq, ipc"])
def test_a_peer_does_as_many_steps_as_it_is_asked_for(name):
    (candidate,) = [candidate for candidate in peers.CANDIDATES if candidate.name == name]
    printed = peers.take(candidate, Placement.FREE, steps=20, seconds=60)
    assert len(printed.samples_ns) == 20
    assert min(printed.samples_ns) > 0
    assert printed.version


def test_a_peer_without_its_package_is_listed_as_not_installed():
    found = peers.measure(Candidate("none", "no_such_package", "manager.py"), PLAN)
    assert (found.status, found.reason) == ("not installed", "no_such_package is not installed")
    assert found.step_s == {}


def test_a_slow_peer_is_left_out_of_a_quick_run():
    slow = Candidate("slow", "json", "manager.py", slow=True)
    assert peers.measure(slow, QUICK).status == "left out"


def test_a_slow_peer_is_measured_once_in_a_full_run(program):
    candidate = program('print(\'{"samples_ns": [1, 2], "version": "1"}\')')
    slow = msgspec.structs.replace(candidate, slow=True)
    assert list(peers.measure(slow, FULL).step_s) == ["free"]
    assert list(peers.measure(candidate, FULL).step_s) == ["same-core", "free"]


def test_a_peer_that_fails_is_listed_with_its_last_words(program):
    found = peers.measure(program("raise ValueError('the cluster is gone')"), PLAN)
    assert (found.status, found.reason) == ("failed", "ValueError: the cluster is gone")


def test_a_peer_that_prints_no_figures_has_failed(program):
    with pytest.raises(PeerFailed, match="printed no figures"):
        peers.take(program("print('nothing')"), Placement.FREE, steps=1, seconds=1)


def test_a_peer_that_hangs_is_ended_with_all_that_it_started(program, monkeypatch, tmp_path):
    monkeypatch.setattr(peers, "_TIMEOUT_S", 1.0)
    candidate = program(
        "import pathlib, subprocess, sys\n"
        "child = subprocess.Popen([sys.executable, '-c', 'input()'], stdin=subprocess.PIPE, start_new_session=True)\n"
        f"pathlib.Path({str(tmp_path / 'pid')!r}).write_text(str(child.pid))\n"
        "child.wait()\n"
    )
    with pytest.raises(PeerFailed, match="more than 1 s"):
        peers.take(candidate, Placement.FREE, steps=1, seconds=1)
    child = Path("/proc") / (tmp_path / "pid").read_text()
    deadline = time.monotonic() + 10
    while runs(child):
        assert time.monotonic() < deadline


def runs(process):
    """Whether a process is there, and is not merely waiting to be reaped."""
    try:
        return (process / "stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False
