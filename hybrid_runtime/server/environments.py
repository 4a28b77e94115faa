"""What algorithms find installed: asked of the environment's own interpreter, in a process of its own."""

from __future__ import annotations

import logging
import platform
import subprocess
import sys
from typing import TYPE_CHECKING

import msgspec

from hybrid_runtime.config import child_environment
from hybrid_runtime.resources.backends import Environment

if TYPE_CHECKING:
    from hybrid_runtime.server.settings import EnvironmentSettings

_TIMEOUT_S = 60.0
# Run by the other interpreter, which need not have this package.
_PROGRAM = """
import json, platform
from importlib.metadata import distributions
found = {d.metadata["Name"]: d.version for d in distributions() if d.metadata["Name"]}
print(json.dumps({"python": platform.python_version(), "packages": dict(sorted(found.items()))}))
"""

_log = logging.getLogger(__name__)


class _Found(msgspec.Struct):
    python: str
    packages: dict[str, str]


def published(name: str, settings: EnvironmentSettings) -> Environment:
    """An environment as users are told of it; without packages where its interpreter does not answer."""
    command = [settings.python or sys.executable, "-I", "-c", _PROGRAM]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            timeout=_TIMEOUT_S,
            check=True,
            env=child_environment(),
            stdin=subprocess.DEVNULL,
        )
        found = msgspec.json.decode(done.stdout, type=_Found)
    except (OSError, subprocess.SubprocessError, msgspec.DecodeError) as error:
        _log.error("the interpreter of environment %s does not say what it has: %s", name, error)
        return Environment(name=name, python=platform.python_version(), packages={})
    return Environment(name=name, python=found.python, packages=found.packages)
