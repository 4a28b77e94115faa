"""The job manager's housekeeping: what happens because time has passed.

`python -m hybrid_runtime.server.manager --data DIR --parent PID --ready-fd N`
"""

from __future__ import annotations

import argparse
import select
import signal
import time

from hybrid_runtime.server.attempts import Attempts
from hybrid_runtime.server.child import begin, open_store, yield_to_steps
from hybrid_runtime.server.signals import Signals

PROMOTE_EVERY_S = 1.0
SWEEP_EVERY_S = 60.0

_now = time.monotonic


def main() -> None:
    """Keep house until told to end."""
    start = begin(argparse.ArgumentParser(prog="hybrid-runtime-manager"), "manager")
    yield_to_steps()
    store = open_store(start)
    attempt = Attempts()
    sweep_at = _now() + SWEEP_EVERY_S
    with Signals(signal.SIGTERM) as signals:
        start.say_ready()
        while not signals.take():
            attempt(store.housekeeping.promote)
            if _now() >= sweep_at:
                sweep_at = _now() + SWEEP_EVERY_S
                attempt(store.housekeeping.sweep)
            select.select([signals], [], [], PROMOTE_EVERY_S)
    store.close()


if __name__ == "__main__":
    main()
