"""From outcome probabilities to counts and shots, reproducibly."""

from __future__ import annotations

import math
from functools import lru_cache
from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hybrid_runtime.quantum.multinomials import Integers, Weights, multinomials
from hybrid_runtime.quantum.streams import Stream

if TYPE_CHECKING:
    from collections.abc import Sequence

# A multinomial draw costs about 50 ns an outcome, a search about 25 ns a shot: measured, 2 to 15 qubits.
_SHOTS_PER_OUTCOME = 4
# Below it, a probability is the rounding error of an impossible outcome.
_IMPOSSIBLE = 1e-15
# Beyond this many shots the search would need more memory than the state itself.
_MOST_SEARCHED = 1 << 20
# An outcome's text is kept when the whole table stays below this many characters.
_MOST_KEPT_CHARACTERS = 1 << 16


class Draw(NamedTuple):
    """`counts[i]` of the shots gave `outcomes[i]`; outcomes ascend."""

    outcomes: Integers
    counts: Integers


def tabled(outcomes: int, shots: int) -> bool:
    """Whether outcomes are drawn by how often each occurs, rather than shot by shot."""
    return outcomes * _SHOTS_PER_OUTCOME <= shots or shots > _MOST_SEARCHED


def cleaned(weights: Weights) -> Weights:
    """The weights of each column as probabilities, without those that are rounding errors of 0.

    Two ways to the same state differ in these. A draw would take another course for each.
    """
    probabilities: Weights = weights / np.add.reduce(weights, axis=0)
    probabilities *= probabilities > _IMPOSSIBLE
    return probabilities


class Sampler:
    """Draws from probability distributions; the same seed and calls give the same draws.

    Attributes:
        restart: Begins the stream of the seed that it is given.
    """

    def __init__(self) -> None:
        stream = Stream()
        self.restart = stream.restart
        self._generator = stream.generator
        self._multinomials = multinomials(stream)

    def draw(self, weights: Weights, shots: int) -> Draw:
        """`shots` outcomes; `weights[k]` is in proportion to the probability of outcome `k`."""
        if tabled(weights.size, shots):
            counts = self._generator.multinomial(shots, cleaned(weights))
            outcomes = counts.nonzero()[0]
            return Draw(outcomes, counts[outcomes])
        found = self._search(weights, shots)
        # Equal outcomes stand together: `edges` are where one run of them ends and the next begins.
        edges = np.concatenate(([0], (found[1:] != found[:-1]).nonzero()[0] + 1, [shots]))
        return Draw(found[edges[:-1]], edges[1:] - edges[:-1])

    def table(self, weights: Weights, shots: int, seeds: Sequence[int]) -> Integers:
        """How often each outcome is drawn, one line a seed: as `draw` after `restart` for each, where `tabled`.

        The weights of a seed's outcomes are a column.
        """
        return self._multinomials(shots, cleaned(weights).T, seeds)

    def _search(self, weights: Weights, shots: int) -> Integers:
        """The outcome of each shot, ascending: each shot is a point on a line of which each outcome has its part."""
        ends = np.add.accumulate(weights)
        total = float(ends[-1])
        # Sums of exponential numbers divide a line as sorted uniform numbers do (Devroye 1986, chapter V.3),
        # and points in order are found twice as quickly as others.
        points = np.add.accumulate(self._generator.standard_exponential(shots + 1))
        points *= total / points[-1]
        # Rounding may lift a point onto the total, where no outcome is; below it every point lies in an
        # interval of positive width, so an impossible outcome cannot be drawn.
        inside = np.minimum(points[:-1], math.nextafter(total, 0.0))
        return ends.searchsorted(inside, side="right")

    def split(self, shots: int, probability: float) -> int:
        """How many of `shots` meet an event of this probability."""
        return int(self._generator.binomial(shots, probability))

    def shuffled(self, draw: Draw) -> list[int]:
        """The outcome of each shot, in a random order."""
        order = np.repeat(draw.outcomes, draw.counts)
        self._generator.shuffle(order)
        listed: list[int] = order.tolist()
        return listed

    def shuffle(self, items: list[str]) -> None:
        """Put `items` in a random order."""
        order = np.arange(len(items))
        self._generator.shuffle(order)
        items[:] = [items[index] for index in order.tolist()]


class Marginal:
    """Sums out the qubits that are not measured.

    The outcome that remains is the measured qubits' values as a number, the lowest qubit in its lowest bit.
    """

    def __init__(self, qubits: int, measured: list[int]) -> None:
        self.outcomes = 1 << len(measured)
        # Neighbours that are kept or summed together form one axis, so that numpy sees few of them.
        wanted = [qubit in set(measured) for qubit in range(qubits)]
        sizes: list[int] = []
        kept: list[bool] = []
        for keep in reversed(wanted):
            if kept and kept[-1] == keep:
                sizes[-1] *= 2
            else:
                sizes.append(2)
                kept.append(keep)
        self._shape = tuple(sizes)
        self._summed = tuple(axis for axis, keep in enumerate(kept) if not keep)

    def __call__(self, weights: Weights) -> Weights:
        """The weights of the measured qubits' outcomes, from those of all basis states; further axes stay."""
        if not self._summed:
            return weights
        rest = weights.shape[1:]
        total: Weights = weights.reshape(*self._shape, *rest).sum(axis=self._summed)
        return total.reshape(-1, *rest)


class Labels(dict[int, str]):
    """The text of each outcome: one character a bit of the register, the highest bit on the left.

    Args:
        bits: Width of the register.
        sources: `(bit, position)`: the bit shows the outcome's binary digit of that position; others show 0.
    """

    def __init__(self, bits: int, sources: tuple[tuple[int, int], ...]) -> None:
        super().__init__()
        width = max((position + 1 for _, position in sources), default=0)
        self._format = f"0{width}b"
        self._plain = sources == tuple((bit, bit) for bit in range(bits))
        # The digits are padded by a 0 at index `width` for the bits that nothing writes.
        places = [width] * bits
        for bit, position in sources:
            places[bits - 1 - bit] = width - 1 - position
        self._pick = itemgetter(*places) if len(places) > 1 else None
        self._width = width
        self._bits = bits
        self._kept = bits << width <= _MOST_KEPT_CHARACTERS

    def of(self, outcomes: list[int]) -> list[str]:
        """The text of each outcome."""
        if self._kept:
            return list(map(self.__getitem__, outcomes))
        if self._plain:
            return list(map(f"{{:{self._format}}}".format, outcomes))
        return [self._label(outcome) for outcome in outcomes]

    def __missing__(self, outcome: int) -> str:
        label = self._label(outcome)
        if self._kept:
            self[outcome] = label
        return label

    def _label(self, outcome: int) -> str:
        if not self._width:
            return "0" * self._bits
        digits = format(outcome, self._format)
        if self._plain:
            return digits
        if self._pick is None:
            return digits  # one bit, which has a source
        return "".join(self._pick(digits + "0"))


@lru_cache(maxsize=64)
def labels(bits: int, sources: tuple[tuple[int, int], ...]) -> Labels:
    """The labels of one layout, shared by all programs that have it."""
    return Labels(bits, sources)
