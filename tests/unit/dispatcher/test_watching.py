from __future__ import annotations

import os
import select
import threading
from collections.abc import Callable, Iterator

import pytest

from hybrid_runtime.dispatcher import watching
from hybrid_runtime.dispatcher.watching import Watch
from hybrid_runtime.protocol.seqpacket import SeqPacketChannel
from hybrid_runtime.protocol.watched import WatchedChannel

# Longer than a test's own code takes between two messages, however busy the machine is.
LOOK_S = 0.3
LONG_S = 30.0


class Bench:
    """A watch over pairs of channels; what arrives is kept with the name of the channel it came by."""

    def __init__(self, patience_s: float = LOOK_S) -> None:
        self.epoll = select.epoll()
        self.handlers: dict[int, Callable[[int], None]] = {}
        self.watch = Watch(self.epoll, self.handlers, patience_s, most=1)
        self.seen: list[tuple[str, bytes]] = []
        self.channels: list[WatchedChannel] = []

    def pair(self, name: str) -> tuple[WatchedChannel, WatchedChannel]:
        ours, theirs = WatchedChannel.pair()
        self.channels += [ours, theirs]
        self.epoll.register(ours.fileno(), select.EPOLLIN)
        self.handlers[ours.fileno()] = lambda _events: self._take(name, ours)
        return ours, theirs

    def _take(self, name: str, channel: WatchedChannel) -> None:
        data = channel.receive_nowait()
        if data is not None:
            self.seen.append((name, bytes(data)))

    def until(self, count: int) -> list[tuple[str, bytes]]:
        """Wait, as the loop does, until so much has been seen."""
        while len(self.seen) < count:
            for fd, events in self.watch.wait(LONG_S):
                self.handlers[fd](events)
        return self.seen

    def close(self) -> None:
        for channel in self.channels:
            channel.close()
        self.epoll.close()


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody else wants the processor, whatever else this machine does."""
    monkeypatch.setattr(watching, "HELD_UP_S", LONG_S)


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.close()


def looks(worker: WatchedChannel) -> bool:
    """Whether what a worker sends is looked for, or sent by the socket."""
    return not worker._out.asleep


def test_what_comes_by_a_line_is_handled_while_looking(bench):
    ours, worker = bench.pair("job")
    bench.watch.add_job(ours)
    worker.send(b"by the socket, for nobody looks yet")
    bench.until(1)
    assert bench.watch.wait(0.0) == []
    assert looks(worker)
    worker.send(b"by the line")
    assert bench.until(2)[1] == ("job", b"by the line")


def test_descriptors_are_not_forgotten_while_looking(bench):
    ours, worker = bench.pair("job")
    plain, peer = bench.pair("control")
    bench.watch.add_job(ours)
    stop = threading.Event()

    def flood() -> None:
        while not stop.is_set():
            worker.send(b"again")

    thread = threading.Thread(target=flood)
    thread.start()
    SeqPacketChannel.send(peer, b"now")
    while ("control", b"now") not in bench.seen:
        bench.until(len(bench.seen) + 1)
    stop.set()
    while thread.is_alive():  # until its last message has room
        for fd, events in bench.watch.wait(LOOK_S):
            bench.handlers[fd](events)
    assert plain.receive_nowait() is None


def test_without_a_job_nobody_looks(bench):
    ours, quantum = bench.pair("backend")
    bench.watch.add_backend(ours)
    assert quantum.line.patience_us == 0
    quantum.send(b"hello")
    bench.until(1)
    assert not looks(quantum)


def test_with_a_job_everybody_looks_and_with_too_many_nobody(bench):
    backend, quantum = bench.pair("backend")
    first, worker = bench.pair("first")
    second, _ = bench.pair("second")
    bench.watch.add_backend(backend)
    bench.watch.add_job(first)
    assert quantum.line.patience_us == worker.line.patience_us == LOOK_S * 1e6
    bench.watch.add_job(second)
    assert quantum.line.patience_us == worker.line.patience_us == 0
    bench.watch.drop(second)
    assert worker.line.patience_us == LOOK_S * 1e6
    bench.watch.drop(first)
    assert quantum.line.patience_us == 0


def test_a_message_put_down_before_looking_was_forbidden_is_not_lost(bench):
    first, worker = bench.pair("first")
    second, _ = bench.pair("second")
    bench.watch.add_job(first)
    worker.send(b"hello")
    bench.until(1)
    assert bench.watch.wait(0.0) == []
    worker.send(b"by the line")
    bench.watch.add_job(second)
    assert bench.until(2)[1] == ("first", b"by the line")
    assert not looks(worker)


def test_without_patience_nobody_looks():
    bench = Bench(patience_s=0.0)
    ours, worker = bench.pair("job")
    bench.watch.add_job(ours)
    worker.send(b"hello")
    assert bench.until(1) == [("job", b"hello")]
    assert worker.line.patience_us == 0
    assert not looks(worker)
    bench.close()


def test_a_number_that_no_honest_worker_writes_does_not_keep_it_awake(bench):
    ours, worker = bench.pair("job")
    bench.watch.add_job(ours)
    worker.send(b"hello")
    bench.until(1)
    assert bench.watch.wait(0.0) == []
    assert looks(worker)
    worker._out._words[0] = 77
    while looks(worker):
        assert bench.watch.wait(10 * LOOK_S) == []


def test_it_returns_after_a_message_by_a_line_for_the_sake_of_timers(bench):
    ours, worker = bench.pair("job")
    bench.watch.add_job(ours)
    worker.send(b"wakes it")
    bench.until(1)
    assert bench.watch.wait(0.0) == []
    worker.send(b"by the line")
    assert bench.watch.wait(LONG_S) == []
    assert len(bench.seen) == 2


def test_when_a_timer_is_due_looking_ends(bench):
    ours, _ = bench.pair("job")
    bench.watch.add_job(ours)
    assert bench.watch.wait(0.0) == []
    assert bench.seen == []


def test_channels_without_lines_are_left_to_their_descriptors(bench):
    ours, theirs = SeqPacketChannel.pair()
    bench.watch.add_job(ours)
    bench.watch.drop(ours)
    assert bench.watch.wait(0.0) == []
    ours.close()
    theirs.close()


def test_two_that_take_turns_never_miss_each_other():
    bench = Bench(patience_s=0.00005)  # so short that both fall asleep all the time
    ours, worker = bench.pair("job")
    bench.handlers[ours.fileno()] = lambda _events: give_back()
    bench.watch.add_job(ours)
    rounds = 3000
    done = os.eventfd(0)
    bench.epoll.register(done, select.EPOLLIN)

    def give_back() -> None:
        data = ours.receive_nowait()
        if data is not None:
            ours.send(bytes(data))

    def ask() -> None:
        for number in range(rounds):
            worker.send(b"%d" % number)
            assert worker.receive(LONG_S) == b"%d" % number
        os.eventfd_write(done, 1)

    thread = threading.Thread(target=ask)
    thread.start()
    fds: list[int] = []
    while done not in fds:
        events = bench.watch.wait(LONG_S)
        fds = [fd for fd, _ in events]
        for fd in fds:
            if fd != done:
                bench.handlers[fd](select.EPOLLIN)
    thread.join()
    os.close(done)
    bench.close()


def test_a_thread_goes_to_another_core_and_may_go_anywhere_afterwards(monkeypatch):
    asked: list[set[int]] = []
    monkeypatch.setattr(watching, "_present_core", lambda: 1)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: {0, 1, 2})
    monkeypatch.setattr(os, "sched_setaffinity", lambda _pid, cores: asked.append(set(cores)))
    assert watching.move_to_another_core()
    assert asked == [{0, 2}, {0, 1, 2}]


def test_a_thread_with_one_core_stays_there(monkeypatch):
    monkeypatch.setattr(watching, "_present_core", lambda: 1)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: {1})
    monkeypatch.setattr(os, "sched_setaffinity", lambda _pid, _cores: pytest.fail("it was moved"))
    assert not watching.move_to_another_core()


def test_where_it_may_not_choose_its_core_a_thread_stays_where_it_is(monkeypatch):
    def refuse(_pid: int, _cores: set[int]) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: {0, 1, 2})
    monkeypatch.setattr(os, "sched_setaffinity", refuse)
    assert not watching.move_to_another_core()


def test_moving_leaves_the_affinity_as_it_was():
    before = os.sched_getaffinity(0)
    watching.move_to_another_core()
    assert os.sched_getaffinity(0) == before
