"""Random streams by their seeds: one generator of numpy that is set to another seed for each row.

Everything random comes from Philox (Salmon et al. 2011), whose key is the seed: different keys are independent
streams, and a key is set quickly where a new generator takes microseconds.
"""

from __future__ import annotations

import ctypes
import sys
from array import array
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

_WORD_BYTES = 8
_LARGEST_KEY = (1 << 64) - 1


class Stream:
    """A generator that can be set to a seed; the same seed and calls give the same draws.

    Attributes:
        generator: What draws.
        state: Its state in memory; None where that is not as expected.
        restart: Begins the stream of the seed that it is given.
    """

    restart: Callable[[int], None]

    def __init__(self) -> None:
        self._philox = np.random.Philox(key=0)
        self.generator = np.random.Generator(self._philox)
        # In lists, which numpy takes in twice as quickly as the arrays that it gives.
        self._key = [0, 0]
        changed = {"state": {"counter": [0] * 4, "key": self._key}, "buffer": [0] * 4}
        self._start: Any = {**self._philox.state, **changed}
        self.state = self._in_memory()
        self.restart = self._restart if self.state is None else self.state.restart

    def _restart(self, seed: int) -> None:
        self._key[0] = seed
        self._philox.state = self._start

    def _in_memory(self) -> State | None:
        """The state in memory, where its key is one word of it, and streams that begin there are the same."""
        if sys.implementation.name != "cpython":
            return None  # elsewhere an object's identity is not its place
        self._restart(_LARGEST_KEY)
        last = State(self._philox)
        self._restart(0)
        state = State(self._philox)
        differing = [place for place, word in enumerate(state.words) if word != last.words[place]]
        if len(differing) != 1:
            return None
        state.key = differing[0]
        found = []
        for begin in (self._restart, state.restart):
            begin(7)
            # An odd number of halves of a word: the other half must not be left for the next stream.
            self.generator.integers(9, size=3, dtype=np.uint32)
            begin(12345)
            found += [self.generator.integers(9, size=3, dtype=np.uint32).tolist(), self._philox.random_raw(9).tolist()]
        return state if found[:2] == found[2:] else None


class State:
    """The memory that holds the state of a generator, and what is in it now, as the beginning of a stream.

    Attributes:
        address: Where it begins.
        words: What was in it when this was made.
        key: Which of the words is the key.
    """

    def __init__(self, philox: np.random.Philox) -> None:
        self._philox = philox  # so that the memory stays where it is
        self.address: int = philox.ctypes.state_address
        # The state is a part of the object, and so is all that it points to.
        size = (id(philox) + type(philox).__basicsize__ - self.address) // _WORD_BYTES
        self._memory = memoryview((ctypes.c_uint64 * size).from_address(self.address)).cast("B").cast("Q")
        self.words = memoryview(array("Q", self._memory))
        self.key = 0

    def restart(self, seed: int) -> None:
        """Begin the stream of this seed."""
        self.words[self.key] = seed
        self._memory[:] = self.words
