"""What every process below the supervisor does first: die with it, read the settings, and open the database."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from hybrid_runtime.jobs.store import Store
from hybrid_runtime.process import die_with_parent, ignore_interrupts
from hybrid_runtime.server.folder import DataFolder
from hybrid_runtime.server.logs import begin_log
from hybrid_runtime.server.mapping import policy_of
from hybrid_runtime.server.plan import runner_name
from hybrid_runtime.server.settings import Settings

if TYPE_CHECKING:
    import argparse


# A tenth of the processor for this process where it is contended.
_NICE = 10


class Start(NamedTuple):
    """What a process of the service begins with."""

    name: str
    settings: Settings
    folder: DataFolder
    arguments: argparse.Namespace

    def say_ready(self) -> None:
        """Tell the supervisor that this process does its work."""
        os.write(self.arguments.ready_fd, f"{self.name}\n".encode())


def yield_to_steps() -> None:
    """Let whatever steps jobs on this host go first: who reads and waits can do so a little longer."""
    os.nice(_NICE)


def begin(parser: argparse.ArgumentParser, name: str = "") -> Start:
    """Take the command line of a process of the service, which is called `name`, or after the backend that it runs."""
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--parent", type=int, required=True)
    parser.add_argument("--ready-fd", type=int, required=True)
    arguments = parser.parse_args()
    ignore_interrupts()
    # A hangup is for the supervisor, which reads the settings again.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    die_with_parent(arguments.parent)
    folder = DataFolder(arguments.data)
    settings = msgspec.json.decode(folder.settings.read_bytes(), type=Settings)
    name = name or runner_name(arguments.backend)
    begin_log(settings.log, name)
    return Start(name, settings, folder, arguments)


def open_store(start: Start) -> Store:
    """The database, as the processes of one service use it."""
    return store_of(start.settings, start.folder)


def store_of(settings: Settings, folder: DataFolder) -> Store:
    """The database that is set, or SQLite in the data folder.

    Raises:
        InvalidInput: there is none, or its driver is not installed.
    """
    url = settings.database or f"sqlite:///{folder.path / 'jobs.sqlite'}"
    return Store(url, data=folder.path, policy=policy_of(settings))
