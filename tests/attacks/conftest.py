"""Runtimes at every level that hides the host, as root and as an unprivileged user, and a way to attack them."""

from __future__ import annotations

import base64
import json
import os
import platform
import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import hybrid_runtime
from hybrid_runtime.classical import isolation
from hybrid_runtime.protocol.bundles import Bundle, encode_bundle
from tests.attacks.toolbox import Attack

HERE = Path(__file__).parent
AS_ANOTHER_USER = HERE.parent / "unit" / "classical" / "another_host.py"
ENVIRONMENT = {"PYTHONPATH": str(Path(hybrid_runtime.__file__).parents[1]), "PYTHONDONTWRITEBYTECODE": "1"}
PYTHON = ".".join(platform.python_version_tuple()[:2])
MODULES = ("toolbox", "files", "kernel", "processes", "protocol", "corners", "sweeps", "flows")


class Runtime:
    """A runtime in a process of its own, with a neighbour for every attack."""

    def __init__(self, level: str, user: str) -> None:
        self.level = level
        self.user = user
        command = [sys.executable, str(HERE / "runner.py"), level]
        if user == "nobody":
            command = [sys.executable, str(AS_ANOTHER_USER), "--nobody", "--", *command]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, env=ENVIRONMENT, stdin=pipe, stdout=pipe, text=True, cwd="/")

        self._found: list[Any] = []

    def expect(self, found: Any) -> Any:
        """What every neighbour finds in as many steps: what an earlier one did, for they all have the same seed."""
        if len(found) > len(self._found):
            assert found[: len(self._found)] == self._found
            self._found = found
        return self._found[: len(found)]

    def attack(self, bundle: Bundle, limits: dict[str, float] | None = None, steps: int = 25) -> dict[str, Any]:
        """What became of the attack's job and of its neighbour's."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        secret = f"TENANT-SECRET-{secrets.token_hex(8)}"
        data = base64.b64encode(encode_bundle(bundle)).decode()
        asked = {"bundle": data, "limits": limits or {}, "neighbour": {"secret": secret, "steps": steps}}
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, f"the runtime itself has ended with status {self._process.poll()}"
        ran: dict[str, Any] = json.loads(answer)
        assert secret not in json.dumps(ran["attack"])
        return ran

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()


def bundle_of(attack: Attack) -> Bundle:
    """The attack as its author would upload it: all modules of attacks, and a main file that runs one."""
    module = attack.function.__module__.rpartition(".")[2]
    main = f"""{attack.top_level}
from hybrid_runtime import hybrid
from tests.attacks.{module} import {attack.name} as function
from tests.attacks.toolbox import outcome


@hybrid
def job(context):
    return outcome(function, context)
"""
    files = {f"tests/attacks/{name}.py": (HERE / f"{name}.py").read_bytes() for name in MODULES}
    return Bundle(python=PYTHON, entry="main.py", files={"main.py": main.encode(), **files})


RUNTIMES = [(level, user) for level in ("strict", "landlock") for user in ("root", "nobody")]


@pytest.fixture(scope="session", params=RUNTIMES, ids=lambda one: "-".join(one))
def runtime(request: pytest.FixtureRequest) -> Iterator[Runtime]:
    """A runtime of this level, run by this user."""
    level, user = request.param
    if user == "root" and os.geteuid() != 0:
        pytest.skip("the tests are not run by root")
    lacking = isolation.available()[level]
    if lacking is not None:
        pytest.skip(f"level {level} cannot be had here: {lacking}")
    started = Runtime(level, user)
    yield started
    started.close()
