"""The pool, in front of a fork server that does what the test has planned."""

from __future__ import annotations

import os
import select
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hybrid_runtime.classical import pool as module
from hybrid_runtime.classical.pool import Pool
from hybrid_runtime.errors import ChannelClosed, HybridRuntimeError, InternalError, InvalidInput, ProtocolError

PATIENCE_S = 20.0

# Answers each request by the next item of its plan. Its workers are nothing but their descriptors.
PLANNED = """
import os, socket, sys
import msgspec
from hybrid_runtime.protocol.forking import Exited, Preloaded, Rest, Rested, Spawned, ToForkServer, Trouble, Unfit

plan = sys.argv[1].split()
control = socket.socket(fileno=int(sys.argv[sys.argv.index("--fd") + 1]))

def tell(message, fds=()):
    socket.send_fds(control, [msgspec.msgpack.encode(message)], list(fds))

def worker(request, pid, count=4):
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    out, err = os.pipe(), os.pipe()
    tell(Spawned(request, pid), [ours.fileno(), out[0], err[0], os.pidfd_open(os.getpid())][:count])
    held.append((theirs, out[1], err[1]))

held = []
pid = 100
while True:
    try:
        packet = control.recv(4096)
    except ConnectionResetError:
        break
    if not packet:
        break
    message = msgspec.msgpack.decode(packet, type=ToForkServer)
    if isinstance(message, Rest):
        tell(Rested())
        continue
    request = message.request
    pid += 1
    step = plan.pop(0) if plan else "worker"
    if step == "worker":
        worker(request, pid)
    elif step == "dead":
        worker(request, pid)
        tell(Exited(pid, -9))
    elif step == "trouble":
        tell(Trouble(request, "cannot start a worker: no processes left"))
    elif step == "few":
        worker(request, pid, 2)
    elif step == "preloaded":
        tell(Preloaded("strict", {"no_such_module": "not installed"}))
        worker(request, pid)
    elif step == "unfit":
        tell(Unfit("isolation level 'strict' cannot be had on this host"))
    elif step == "nonsense":
        control.send(b"nonsense")
    elif step == "end":
        break
"""


@pytest.fixture
def make_pool(monkeypatch, tmp_path) -> Iterator[Callable[..., Pool]]:
    """Makes pools whose fork server follows this plan."""
    made: list[Pool] = []
    package = str(Path(module.__file__).parents[2])

    def make(plan: str = "", **settings) -> Pool:
        command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {package!r})\n{PLANNED}", plan]
        monkeypatch.setattr(module, "interpreter", lambda _, *arguments, python: [*command, *arguments])
        made.append(Pool(tmp_path, **settings))
        return made[-1]

    yield make
    for one in made:
        one.close()


def news(pool: Pool) -> list[tuple[int, int]]:
    """The next message of the fork server, taken in."""
    assert select.select([pool.fileno()], [], [], PATIENCE_S)[0]
    return pool.on_readable()


def lease(pool: Pool) -> module.WorkerHandle:
    """A worker, as soon as there is one."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        worker = pool.lease_nowait()
        if worker is not None:
            return worker
        news(pool)
    raise AssertionError("no worker came")


def test_warm_workers_are_there_before_they_are_wanted(make_pool):
    pool = make_pool(warm=2)
    news(pool)
    news(pool)
    assert repr(pool) == "<Pool [2 warm, 0 busy, 0 starting]>"
    worker = pool.lease_nowait()
    assert worker is not None
    assert repr(pool) == "<Pool [1 warm, 1 busy, 0 starting]>"
    worker.close()


def test_workers_are_replaced_when_there_is_time_for_it(make_pool):
    pool = make_pool(warm=2)
    news(pool)
    news(pool)
    lease(pool).close()
    pool.refill()
    pool.refill()
    assert repr(pool) == "<Pool [1 warm, 1 busy, 1 starting]>"


def test_warm_workers_are_exchanged_for_better_ones_once_there_was_time_to_prepare_for_these(make_pool):
    pool = make_pool(warm=1)
    news(pool)
    pool.rest()
    pool.rest()
    news(pool)
    assert repr(pool) == "<Pool [0 warm, 0 busy, 1 starting]>"
    worker = lease(pool)
    assert worker.pid == 102
    worker.close()


def test_a_worker_that_has_a_job_keeps_it_when_better_ones_can_be_had(make_pool):
    pool = make_pool(warm=1)
    news(pool)
    worker = lease(pool)
    pool.rest()
    news(pool)
    assert repr(pool) == "<Pool [0 warm, 1 busy, 1 starting]>"
    worker.close()


def test_without_warm_workers_one_comes_when_it_is_wanted(make_pool):
    pool = make_pool(warm=0)
    assert repr(pool) == "<Pool [0 warm, 0 busy, 0 starting]>"
    assert pool.lease_nowait() is None
    assert pool.lease_nowait() is None
    assert repr(pool) == "<Pool [0 warm, 0 busy, 1 starting]>"
    lease(pool).close()


def test_a_worker_that_died_while_it_was_warm_is_not_handed_out(make_pool):
    pool = make_pool("dead worker")
    news(pool)
    assert news(pool) == []
    worker = lease(pool)
    assert worker.pid == 102
    worker.close()


def test_the_end_of_a_leased_worker_is_told_with_its_status(make_pool):
    pool = make_pool("dead")
    news(pool)
    worker = pool.lease_nowait()
    assert worker is not None
    assert news(pool) == [(101, -9)]
    worker.close()


def test_there_are_only_so_many_workers_at_a_time(make_pool):
    pool = make_pool(warm=1, most=2)
    workers = [lease(pool), lease(pool)]
    assert pool.lease_nowait() is None
    for worker in workers:
        worker.close()


def test_a_worker_that_could_not_be_started_is_told_where_no_other_will_come(make_pool):
    pool = make_pool("trouble worker", warm=0)
    assert pool.lease_nowait() is None
    with pytest.raises(InternalError, match="no processes left"):
        news(pool)
    lease(pool).close()


def test_a_worker_that_could_not_be_started_is_not_told_where_another_is_on_its_way(make_pool):
    pool = make_pool("trouble worker", warm=2)
    assert news(pool) == []
    lease(pool).close()


def test_a_worker_without_its_descriptors_is_no_worker(make_pool):
    pool = make_pool("few worker", warm=1)
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(InternalError, match="too many files are open"):
        news(pool)
    assert len(os.listdir("/proc/self/fd")) == before
    lease(pool).close()


def test_what_could_not_be_preloaded_is_known(make_pool):
    pool = make_pool("preloaded")
    lease(pool).close()
    assert (pool.isolation, pool.missing) == ("strict", {"no_such_module": "not installed"})


@pytest.mark.parametrize(
    ("plan", "error", "why"),
    [
        ("unfit", InvalidInput, "cannot be had on this host"),
        ("nonsense", ProtocolError, "malformed message from the fork server"),
        ("end", ChannelClosed, "the fork server is gone"),
    ],
)
def test_a_fork_server_that_is_of_no_use_is_told(make_pool, plan, error, why):
    pool = make_pool(plan)
    with pytest.raises(error, match=why):
        news(pool)


def test_a_fork_server_that_left_requests_unread_is_gone_too(make_pool):
    pool = make_pool("worker end", warm=1)
    worker = lease(pool)
    pool.refill()
    # It ends at the second request; sooner or later so is told, whatever was still under way.
    deadline = time.monotonic() + PATIENCE_S
    with pytest.raises(HybridRuntimeError, match="the fork server is gone"):
        until_gone(pool, deadline)
    worker.close()


def until_gone(pool: Pool, deadline: float) -> None:
    while time.monotonic() < deadline:
        pool._fill(pool._requests + 1)
        if select.select([pool.fileno()], [], [], 0.01)[0]:
            pool.on_readable()


def test_signals_after_the_end_reach_nobody(make_pool):
    pool = make_pool()
    worker = lease(pool)
    worker.close()
    worker.close()
    # Its descriptors may be somebody else's by now.
    worker.interrupt()
    worker.dump()
    worker.kill()
    other = lease(pool)
    assert other.pid == 102
    other.close()


def test_more_workers_are_kept_warm_where_jobs_had_to_wait(make_pool):
    pool = make_pool(warm=1)
    held = [lease(pool)]
    while pool.lease_nowait() is not None:
        news(pool)
    held.append(lease(pool))
    statistics = pool.statistics()
    assert statistics.wanted == 2
    assert statistics.missed >= 1
    assert statistics.busy >= 2
    for worker in held:
        worker.close()


def test_fewer_are_kept_warm_again_when_nobody_waits(make_pool):
    pool = make_pool(warm=1)
    lease(pool).close()
    pool._wanted = 2
    pool._calm = 0
    pool.refill()
    for _ in range(module._CALM_LEASES):
        while not pool.statistics().warm:
            news(pool)
        worker = pool.lease_nowait()
        assert worker is not None
        worker.close()
        pool.refill()
    assert pool.statistics().wanted == 1


def test_workers_that_keep_ending_unused_are_not_started_for_ever(make_pool):
    pool = make_pool("dead " * 20, warm=1)
    with pytest.raises(InternalError, match="5 workers in a row ended before they had a job, the last with status -9"):
        all_news(pool)
    assert pool.statistics().starting == 0
    assert pool.lease_nowait() is None
    assert pool.statistics().starting == 1


def all_news(pool: Pool) -> None:
    for _ in range(20):
        news(pool)


def test_an_environment_that_is_not_used_gives_its_workers_up(make_pool):
    pool = make_pool(warm=3)
    for _ in range(3):
        news(pool)
    pool.evict()
    assert repr(pool) == "<Pool [0 warm, 0 busy, 0 starting]>"
    lease(pool).close()


def test_memory_bounds_the_workers_of_a_small_host(make_pool, monkeypatch):
    monkeypatch.setattr(module, "memory_bytes", lambda: 5 * module.WORKER_BYTES)
    assert make_pool(most=64).statistics().most == 2


def test_waiting_for_ready_workers_ends_at_its_time(make_pool):
    pool = make_pool(warm=0)
    with pytest.raises(TimeoutError, match="no worker was ready in time"):
        pool.wait_ready(timeout_s=0.01)  # those of this plan never say so
