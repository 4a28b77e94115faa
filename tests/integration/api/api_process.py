"""The API as a process of its own: `python api_process.py URL FOLDER FD SETTINGS`; says `ready` when it answers."""

from __future__ import annotations

import json
import logging
import socket
import sys
from pathlib import Path

from hybrid_runtime.api.serving import serve
from hybrid_runtime.api.settings import ApiSettings
from hybrid_runtime.jobs.store import Store


def main() -> None:
    url, folder, fd, settings = sys.argv[1:]
    logging.basicConfig(level=logging.INFO, filename=Path(folder) / "api.log", format="%(name)s %(message)s")
    store = Store(url, data=Path(folder))
    try:
        serve(
            store,
            ApiSettings(data=Path(folder), **json.loads(settings)),
            socket.socket(fileno=int(fd)),
            lambda: print("ready", flush=True),
        )
    finally:
        store.close()
    print("ended", flush=True)


if __name__ == "__main__":
    main()
