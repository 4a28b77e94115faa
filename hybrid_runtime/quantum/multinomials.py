"""How often each outcome is drawn, for many rows, each from the stream of its own seed.

What numpy does around a draw takes as long as the draw itself: it sets the generator, takes in the arguments and looks
at each probability. Here each row has a copy of the generator, and the draws are made by the C function that
`Generator.multinomial` calls, which numpy exports for such uses. Where it cannot be found, or gives something else
than numpy does, numpy draws: the numbers are the same.
"""

from __future__ import annotations

import ctypes
import sys
from collections import deque
from itertools import repeat
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hybrid_runtime.quantum.streams import State, Stream

Weights: TypeAlias = npt.NDArray[np.float64]
Integers: TypeAlias = npt.NDArray[np.int64]
# Of lines of probabilities, one a seed.
Draw: TypeAlias = "Callable[[int, Weights, Sequence[int]], Integers]"

_ROWS_TOGETHER = 256
# What the C function keeps between two draws takes a third of it.
_SCRATCH_BYTES = 512
# The address of the state, and four functions that take it.
_BIT_GENERATOR_WORDS = 5


def multinomials(stream: Stream) -> Draw:
    """The quickest way there is here to draw as `stream.generator.multinomial` does after each `stream.restart`."""

    def by_numpy(shots: int, probabilities: Weights, seeds: Sequence[int]) -> Integers:
        restart, multinomial = stream.restart, stream.generator.multinomial
        counts = np.empty(probabilities.shape, np.int64)
        for row, seed in enumerate(seeds):
            restart(seed)
            counts[row] = multinomial(shots, probabilities[row])
        return counts

    try:
        function = ctypes.PyDLL(sys.modules[np.random.Generator.__module__].__file__).random_multinomial
    except (AttributeError, KeyError, OSError):
        return by_numpy
    if stream.state is None:
        return by_numpy
    direct = _Direct(function, stream.generator, stream.state)
    sample = np.array([[0.1, 0.0, 0.3, 0.6], [0.25, 0.7, 0.05, 0.0]])
    same = np.array_equal(direct(1000, sample, (3, 4)), by_numpy(1000, sample, (3, 4)))
    return direct if same else by_numpy


class _Direct:
    def __init__(self, function: Any, generator: np.random.Generator, state: State) -> None:
        function.restype = None
        self._function = function
        self._generator = generator
        self._state = state
        # By the number of outcomes, a power of 2 of which a few occur.
        self._areas: dict[int, _Area] = {}
        self._scratch = ctypes.create_string_buffer(_SCRATCH_BYTES)

    def __call__(self, shots: int, probabilities: Weights, seeds: Sequence[int]) -> Integers:
        rows, width = probabilities.shape
        area = self._areas.get(width)
        if area is None:
            area = self._areas[width] = _Area(width, self._generator, self._state)
        counts = np.empty((rows, width), np.int64)
        for first in range(0, rows, _ROWS_TOGETHER):
            some = slice(first, first + _ROWS_TOGETHER)
            counts[some] = area.draw(self._function, shots, probabilities[some], seeds[some], self._scratch)
        return counts


class _Area:
    """Memory for rows of one width: their generators, their probabilities and their counts, and the way to each."""

    def __init__(self, width: int, generator: np.random.Generator, state: State) -> None:
        bits = generator.bit_generator.ctypes.bit_generator
        words = np.array(state.words, np.uint64)
        self._key = state.key
        self._states = np.tile(words, (_ROWS_TOGETHER, 1))
        addresses = self._states.ctypes.data + np.arange(_ROWS_TOGETHER, dtype=np.uint64) * np.uint64(words.nbytes)
        for place, word in enumerate(state.words):
            # What points to a place within the state points to that place within each copy.
            if state.address <= word < state.address + words.nbytes:
                self._states[:, place] = addresses + np.uint64(word - state.address)
        self._start = self._states.copy()
        self._generators = np.tile(_words_at(bits, _BIT_GENERATOR_WORDS), (_ROWS_TOGETHER, 1))
        self._generators[:, 0] = addresses
        self._probabilities = np.empty((_ROWS_TOGETHER, width))
        self._counts = np.empty((_ROWS_TOGETHER, width), np.int64)
        # Made once: a number would be turned into one of these at each call.
        self._width = ctypes.c_ssize_t(width)
        self._to_generators, self._to_probabilities, self._to_counts = map(
            _pointers, (self._generators, self._probabilities, self._counts)
        )

    def draw(self, function: Any, shots: int, probabilities: Weights, seeds: Sequence[int], scratch: Any) -> Integers:
        """The counts, in memory that the next call uses again."""
        rows = len(seeds)
        self._states[:rows] = self._start[:rows]
        self._states[:rows, self._key] = seeds
        self._probabilities[:rows] = probabilities
        counts = self._counts[:rows]
        counts[:] = 0
        # A loop in Python would add a quarter to what the draws take.
        calls = map(
            function,
            self._to_generators[:rows],
            repeat(ctypes.c_int64(shots)),
            self._to_counts,
            self._to_probabilities,
            repeat(self._width),
            repeat(scratch),
        )
        deque(calls, maxlen=0)
        return counts


def _words_at(pointer: Any, words: int) -> npt.NDArray[np.uint64]:
    address = ctypes.cast(pointer, ctypes.c_void_p).value
    assert address is not None
    return np.array((ctypes.c_uint64 * words).from_address(address), np.uint64)


def _pointers(lines: npt.NDArray[Any]) -> list[ctypes.c_void_p]:
    """To each line."""
    first, size = lines.ctypes.data, lines.strides[0]
    return list(map(ctypes.c_void_p, range(first, first + len(lines) * size, size)))
