"""What a worker should find imported: only what the algorithm uses, because nothing else is worth waiting for."""

from __future__ import annotations

import re
import sys

from hybrid_runtime.protocol.bundles import Bundle

_IMPORT = re.compile(rb"^\s*(?:import|from)\s+([^\W\d]\w*)", re.MULTILINE)
# Words behind which numpy is: the context's generator, optimizers, and imports that no pattern finds.
_WORDS = re.compile(rb"\b(?:rng|numpy|scipy|optimize|importlib|__import__|exec|eval)\b")
_SCIPY = re.compile(rb"\b(?:scipy|optimize|minimize|minimize_steps)\b")
_ALWAYS = ("cqasm.v3x",)


def preload_of(bundle: Bundle) -> tuple[str, ...]:
    """The modules that the fork server imports before it makes the only worker of a `qi-run run`.

    A worker imports what is missing here by itself, a little later. numpy is different: the job's seed goes
    to its global generator when the worker starts, so it is left out only when nothing can import it.
    """
    text = b"\n".join(bundle.files.values())
    if _SCIPY.search(text):
        return (*_ALWAYS, "numpy", "scipy.optimize", "hybrid_runtime.optimize")
    local = {path.split("/")[0].removesuffix(".py") for path in bundle.files}
    known = local | sys.stdlib_module_names | {"hybrid_runtime"}
    foreign = any(name.decode() not in known for name in _IMPORT.findall(text))
    return (*_ALWAYS, "numpy") if foreign or _WORDS.search(text) else _ALWAYS
