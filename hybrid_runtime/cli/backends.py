"""`qi-run backends`: where circuits can run on this machine."""

from __future__ import annotations

from hybrid_runtime.cli.codes import ExitCode
from hybrid_runtime.cli.streams import write


def backends() -> int:
    """List the backends of this machine."""
    from hybrid_runtime.quantum.drivers import registry  # not needed by the other commands, which load this module too

    names = registry.names()
    width = max(map(len, names))
    write("\n".join(f"{name:{width}}  {registry.describe(name)}" for name in names))
    return ExitCode.COMPLETED
