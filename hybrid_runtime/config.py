"""The only module that reads environment variables."""

from __future__ import annotations

import os
from pathlib import Path

# What the processes of the runtime may inherit: an environment is a place where secrets live, and workers
# see the one their fork server was started with.
_INHERITED = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "PYTHONPATH", "VIRTUAL_ENV", "LD_LIBRARY_PATH")
# Linear algebra libraries read these when they are imported. One thread each: jobs share the node's cores, and a
# process that has started threads cannot be forked safely.
_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")


def cache_folder() -> Path:
    """Where what can be found out again is kept."""
    return Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "hybrid-runtime")


def child_environment() -> dict[str, str]:
    """Environment for the processes of the runtime: allow-listed variables, one thread a library."""
    inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    return inherited | dict.fromkeys(_ONE_THREAD, "1")


def serve_variables(prefix: str) -> dict[str, str]:
    """The variables whose names begin like this, which set something of `qi-run serve`."""
    return {name: value for name, value in os.environ.items() if name.startswith(prefix)}


def state_folder() -> Path:
    """The folder for what programs of this user keep."""
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")


def configuration_folder() -> Path:
    """The folder for what this user sets."""
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")


def server_url() -> str | None:
    """The job manager that clients ask where none is named."""
    return os.environ.get("QI_RUN_URL") or None


def server_token() -> str | None:
    """The secret with which clients ask it."""
    return os.environ.get("QI_RUN_TOKEN") or None


def notify_socket() -> str | None:
    """Where the service manager that started this process wants to be told that it is ready."""
    return os.environ.get("NOTIFY_SOCKET") or None


def worker_environment() -> dict[str, str]:
    """The whole environment of workers, besides their scratch directory: the same on every host."""
    constant = {
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
        "PATH": "/usr/bin:/bin",
        # Without it, the order of sets, and so a user's results, would differ from run to run.
        "PYTHONHASHSEED": "0",
    }
    return constant | dict.fromkeys(_ONE_THREAD, "1")
