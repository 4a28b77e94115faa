"""The process of the REST API, on the supervisor's socket.

`python -m hybrid_runtime.server.api --data DIR --parent PID --ready-fd N --fd M`
"""

from __future__ import annotations

import argparse
import socket

from hybrid_runtime.api.serving import serve
from hybrid_runtime.server.child import begin, open_store, yield_to_steps
from hybrid_runtime.server.mapping import api_settings_of


def main() -> None:
    """Answer until told to end."""
    parser = argparse.ArgumentParser(prog="hybrid-runtime-api")
    parser.add_argument("--fd", type=int, required=True)
    start = begin(parser, "api")
    yield_to_steps()
    store = open_store(start)
    listening = socket.socket(fileno=start.arguments.fd)
    serve(store, api_settings_of(start.settings, start.folder.path), listening, start.say_ready)
    store.close()


if __name__ == "__main__":
    main()
