from __future__ import annotations

import signal
import threading
import time

import pytest

from hybrid_runtime.errors import BackendFailed, BackendTimeout


def test_a_wait_of_no_length_ends_by_itself(pause):
    pause.wait(0.0, time.monotonic() + 60)


def test_a_deadline_before_the_end_is_a_timeout(pause):
    with pytest.raises(BackendTimeout):
        pause.wait(3600.0, time.monotonic())


def test_another_thread_ends_a_wait(pause):
    waiting = threading.Thread(target=pause.interrupt)
    waiting.start()
    with pytest.raises(BackendFailed, match="interrupted"):
        pause.wait_for_ever()
    waiting.join()


def test_a_signal_handler_ends_a_wait_of_its_own_thread(pause):
    before = signal.signal(signal.SIGALRM, lambda *_: pause.interrupt())
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.01)
        with pytest.raises(BackendFailed, match="interrupted"):
            pause.wait(3600.0, time.monotonic() + 3600)
    finally:
        signal.signal(signal.SIGALRM, before)


def test_an_interrupt_that_was_cleared_ends_nothing(pause):
    pause.interrupt()
    pause.clear()
    pause.wait(0.0, time.monotonic() + 60)


def test_closing_twice_is_allowed(pause):
    pause.close()
    pause.close()
