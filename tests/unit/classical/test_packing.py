"""What is allocated after packing lies together."""

from __future__ import annotations

import subprocess
import sys

# In a process of its own: the gaps of the one that runs the tests would be taken for good.
_PROGRAM = """
import ctypes
import resource

from hybrid_runtime.classical import packing

PAGE = resource.getpagesize()


def pages(places):
    return len({place // PAGE for place in places})


if KIND == "objects":
    kept = [bytes(200) for _ in range(20_000)]
    del kept[::8]
    packing.pack()
    places = [id(one) for one in [bytes(200) for _ in range(100)]]
else:
    library = ctypes.CDLL(None)
    library.malloc.restype, library.free.argtypes = ctypes.c_void_p, (ctypes.c_void_p,)
    for place in [library.malloc(2000) for _ in range(2_000)][::2]:
        library.free(place)
    packing.pack()
    places = [library.malloc(2000) for _ in range(100)]
print(pages(places))
"""


def _pages(kind: str) -> int:
    ran = subprocess.run(
        [sys.executable, "-c", f"KIND = {kind!r}\n{_PROGRAM}"], capture_output=True, text=True, check=True, timeout=60
    )
    return int(ran.stdout)


def test_new_objects_lie_together_although_there_were_gaps_between_old_ones():
    # A hundred objects of 240 bytes; in the gaps between those of the same size they would take fifty pages.
    assert _pages("objects") <= 12


def test_new_memory_lies_together_although_there_were_gaps_between_old_memory():
    # A hundred chunks of 2016 bytes, which in the gaps would take a page for each.
    assert _pages("memory") <= 55
