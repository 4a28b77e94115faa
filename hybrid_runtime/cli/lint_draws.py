"""Warns of what is not the same again when a job is taken up: the clock, and randomness that no seed decides."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from hybrid_runtime.cli.findings import Finding
from hybrid_runtime.cli.sources import Project

_INSTEAD = {
    "time.time": "context.time()",
    "time.time_ns": "context.time()",
    "datetime.datetime.now": "context.now()",
    "datetime.datetime.utcnow": "context.now()",
    "datetime.datetime.today": "context.now()",
    "datetime.date.today": "context.now()",
    "os.urandom": "context.urandom()",
    "uuid.uuid1": "context.uuid4()",
    "uuid.uuid4": "context.uuid4()",
    "random.SystemRandom": "context.rng",
    "secrets.choice": "context.rng",
    "secrets.randbelow": "context.rng",
    "secrets.randbits": "context.rng",
    "secrets.token_bytes": "context.urandom()",
    "secrets.token_hex": "context.urandom()",
}
# With a seed they are the same again.
_UNSEEDED = {"numpy.random.default_rng": "context.rng", "numpy.random.RandomState": "context.rng"}


def check_draws(project: Project) -> Iterator[Finding]:
    """Calls that give something else in every run, beside the ones of the context that are recorded."""
    for module in project.modules.values():
        for node in ast.walk(module.tree):
            if not isinstance(node, ast.Call):
                continue
            name = module.resolve(node.func)
            instead = _INSTEAD.get(name)
            if instead is None and not node.args and not node.keywords:
                instead = _UNSEEDED.get(name)
            if instead is not None:
                text = f"{name} differs from run to run: where it decides which circuits are run, use {instead}, else "
                yield Finding(module.file, node.lineno, "warning", text + "the job cannot be resumed after a crash")
