"""The real command, in processes of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

# For one command on a busy machine; the tests do not depend on how long it takes.
TIMEOUT_S = 60.0


class Ran:
    """A command that has ended."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code = code
        self.out = out
        self.err = err

    @property
    def told(self) -> dict[str, Any]:
        """The JSON object on stdout; there must be nothing else."""
        told = json.loads(self.out)
        assert isinstance(told, dict)
        assert self.out.count("\n") == 1
        return told

    def __repr__(self) -> str:
        return f"<exit code {self.code}>\n{self.out}\n--- stderr\n{self.err}"


class Command:
    """Runs `qi-run` in a folder of its own, with marks by which whatever it leaves behind is found."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "work"
        self.scratch = folder / "scratch"
        self.folder.mkdir()
        self.scratch.mkdir()
        # PATH goes to the runtime's processes, but for those of the sandbox; their scratch folder is an argument.
        self._marks = [os.fsencode(folder / "mark"), os.fsencode(self.scratch)]
        self.environment = os.environ | {
            "TMPDIR": str(self.scratch),
            "PATH": f"{os.environ.get('PATH', '/usr/bin')}:{folder / 'mark'}",
            "NO_COLOR": "1",
        }
        if "PYTHONPATH" in os.environ:
            places = os.environ["PYTHONPATH"].split(os.pathsep)
            self.environment["PYTHONPATH"] = os.pathsep.join(str(Path(place).resolve()) for place in places if place)

    def file(self, name: str, text: str) -> str:
        """Write a file into the command's folder; its name."""
        (self.folder / name).write_text(text)
        return name

    def command(self, *arguments: str) -> list[str]:
        """The command line of `qi-run` with these arguments."""
        return [sys.executable, "-m", "hybrid_runtime", *arguments]

    def start(self, *arguments: str, **streams: Any) -> subprocess.Popen[str]:
        """Start the command."""
        pipes: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen(
            self.command(*arguments),
            cwd=self.folder,
            env=self.environment,
            text=True,
            errors="backslashreplace",
            **pipes | streams,
        )

    def __call__(self, *arguments: str, **streams: Any) -> Ran:
        """Run the command to its end."""
        process = self.start(*arguments, **streams)
        return self.end(process)

    def end(self, process: subprocess.Popen[str]) -> Ran:
        """Wait for a command that was started."""
        try:
            out, err = process.communicate(timeout=TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            pytest.fail(f"the command did not end in {TIMEOUT_S} s\n{out}\n--- stderr\n{err}")
        return Ran(process.returncode, out, err)

    def processes(self) -> list[int]:
        """Processes of the command, or of the runtime it started, that are there now."""
        return [int(process.name) for process in Path("/proc").glob("[0-9]*") if self._is_ours(process)]

    def _is_ours(self, process: Path) -> bool:
        try:
            text = (process / "environ").read_bytes() + (process / "cmdline").read_bytes()
        except OSError:
            return False  # it has ended, or belongs to somebody else
        return any(mark in text for mark in self._marks)


@pytest.fixture
def qi_run(tmp_path: Path) -> Iterator[Command]:
    """The command; fails a test after which a process or a scratch folder of the runtime is left."""
    command = Command(tmp_path)
    yield command
    assert command.processes() == []
    assert list(command.scratch.iterdir()) == []
