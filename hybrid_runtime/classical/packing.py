"""So that what a worker writes to lies together, and not in gaps between what it shares with its fork server.

A page that is shared is copied as a whole when the first byte of it is written. A heap in which much was allocated and
freed has gaps everywhere, and allocators give those away first: each of a worker's small objects would cost it a page.
So the fork server takes all gaps itself, before it forks, and never gives them back. What gaps a fork server has is
known to the allocators alone; with others than CPython's and the GNU C library's nothing is gained and nothing lost.
"""

from __future__ import annotations

import ctypes
import gc
import sys
from typing import Final

# Of CPython's allocator: the sizes that it has pools for, a pool's size, and where in it the first object is.
_SIZES: Final = range(512, 0, -16)
_POOL_BYTES: Final = 1 << 14
_FIRST_IN_POOL: Final = 48
# What is given up where it works otherwise.
_MOST_BYTES_OF_A_SIZE: Final = 1 << 20
# Sizes of the C library's chunks, less the eight bytes that it has for itself; larger ones have mappings of their own.
_CHUNKS: Final = (
    *(1024 * 2**power * part // 8 - 8 for power in range(6, -1, -1) for part in range(15, 7, -1)),
    *range(1000, 8, -16),
)


class _HeapInfo(ctypes.Structure):
    """What `mallinfo2` says, whose last number is the room at the heap's end: no gap."""

    _fields_ = (("others", ctypes.c_size_t * 9), ("at_the_end", ctypes.c_size_t))


def pack(*, forget_lookups: bool = True) -> None:
    """Collect garbage, and take every gap that there is then.

    Args:
        forget_lookups: Forget where attributes of types were found, too. Whoever looks up another one in that place
            lets go the old one's name, at the cost of a page.
    """
    gc.collect()
    if forget_lookups:
        getattr(sys, "_clear_internal_caches", sys._clear_type_cache)()
    _fill_pools()
    _fill_heap()


def _fill_pools() -> None:
    allocate = ctypes.pythonapi.PyObject_Malloc
    allocate.argtypes, allocate.restype = (ctypes.c_size_t,), ctypes.c_void_p
    for size in _SIZES:
        for _ in range(_MOST_BYTES_OF_A_SIZE // size):
            place = allocate(size)
            if place is None or place % _POOL_BYTES == _FIRST_IN_POOL:
                break  # in a pool that was empty: none that is in use has room for this size


def _fill_heap() -> None:
    library = ctypes.CDLL(None)
    if not hasattr(library, "mallinfo2"):
        return
    library.mallinfo2.restype = _HeapInfo
    library.malloc.argtypes, library.malloc.restype = (ctypes.c_size_t,), ctypes.c_void_p
    library.free.argtypes, library.free.restype = (ctypes.c_void_p,), None
    library.sbrk.argtypes, library.sbrk.restype = (ctypes.c_ssize_t,), ctypes.c_void_p
    top = library.sbrk(0) - library.mallinfo2().at_the_end
    for size in _CHUNKS:
        while (place := library.malloc(size)) is not None and place < top:
            pass
        library.free(place)
