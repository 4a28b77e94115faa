"""What a fork server goes through, so that every worker is born with it: short jobs at its start, a long one later.

It is imported in the fork server's own root directory, as all that workers use.
"""

from __future__ import annotations

import gc
import sys
from typing import TYPE_CHECKING

from hybrid_runtime.classical import packing
from hybrid_runtime.classical.rehearsal import LONG, SHORT
from hybrid_runtime.classical.worker import rehearse
from hybrid_runtime.languages import libqasm3

if TYPE_CHECKING:
    from pathlib import Path

# For a job's first circuit that is not plain, and another.
_TEXTS_AHEAD = 2
# The interpreter rewrites a function in its first eight calls; more rehearsals gain nothing.
_REHEARSALS = 8


def learn(folder: Path) -> None:
    """Go through short jobs, below this folder, when all modules have been imported."""
    libqasm3.learn()
    packing.pack()
    for _ in range(_REHEARSALS):
        rehearse(folder, *SHORT)
    libqasm3.make_ahead(_TEXTS_AHEAD)
    # Everything that exists now is shared with every worker: the collector must not touch (and so copy) it.
    packing.pack(forget_lookups=False)
    gc.freeze()


def learn_more(folder: Path) -> bool:
    """Go through a job that optimizes: later workers copy 400 pages less when they do for the first time.

    Returns:
        Whether there was anything to go through.
    """
    if "scipy.optimize" not in sys.modules:
        return False
    rehearse(folder, LONG)
    libqasm3.make_ahead(_TEXTS_AHEAD)
    packing.pack(forget_lookups=False)
    gc.freeze()
    return True
