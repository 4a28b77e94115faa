"""A remote quantum runtime on this machine: `python -m hybrid_runtime.bench.remote DRIVER` prints where it listens."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from hybrid_runtime.config import child_environment
from hybrid_runtime.errors import InternalError
from hybrid_runtime.process import die_with_parent, ignore_interrupts, interpreter

if TYPE_CHECKING:
    from collections.abc import Iterator

_END_S = 10.0


@contextmanager
def listening(driver: str) -> Iterator[str]:
    """Start one and give its address; end it afterwards.

    Raises:
        InternalError: it did not start.
    """
    command = interpreter(__name__, driver)
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, env=child_environment()
    ) as process:
        try:
            assert process.stdout is not None
            address = process.stdout.readline().strip()
            if not address:
                raise InternalError("the remote quantum runtime did not start; what it printed may say why")
            yield address
        finally:
            process.terminate()
            try:
                process.wait(_END_S)
            except subprocess.TimeoutExpired:
                process.kill()


def main() -> None:
    """Serve one driver to this machine until SIGTERM."""
    die_with_parent(os.getppid())
    ignore_interrupts()
    from hybrid_runtime.protocol.address import parse_bind_address
    from hybrid_runtime.quantum.server import Server, ServerSettings
    from hybrid_runtime.quantum.supervisor import Supervisor

    def announce(address: str, _status: str | None) -> None:
        print(address, flush=True)

    settings = ServerSettings(bind=parse_bind_address("tcp://127.0.0.1:0"))
    server = Server(Supervisor(sys.argv[1], {}), settings, announce)
    signal.signal(signal.SIGTERM, lambda *_: server.stop())
    server.run()


if __name__ == "__main__":
    main()
