"""A program's observable, reduced to the qubits that are simulated; the others are in |0>."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hybrid_runtime.observable import Terms

Amplitudes = npt.NDArray[np.complex128]
Values = npt.NDArray[np.float64]


class Term(NamedTuple):
    """A coefficient, and the letter of each qubit that is not left alone, by the simulation's numbers."""

    coefficient: float
    letters: tuple[tuple[int, str], ...]


def reduced(observable: Terms, index: Mapping[int, int]) -> list[Term]:
    """The terms on the simulated qubits, each once.

    Args:
        observable: Of all qubits, the highest on the left.
        index: The simulation's number of each simulated qubit.
    """
    found: dict[tuple[tuple[int, str], ...], float] = {}
    for coefficient, text in observable:
        letters = []
        for qubit, letter in enumerate(reversed(text)):
            if letter == "I":
                continue
            if qubit in index:
                letters.append((index[qubit], letter))
            elif letter != "Z":
                break  # in |0>, X and Y have the mean 0
        else:
            key = tuple(letters)
            found[key] = found.get(key, 0.0) + coefficient
    return [Term(coefficient, letters) for letters, coefficient in found.items()]


class Observer:
    """Means of an observable in many small states at once.

    A product of Pauli operators takes each basis state to one other, up to a phase. Terms that flip the same qubits
    are added up before any state is looked at.
    """

    def __init__(self, terms: list[Term], qubits: int) -> None:
        size = 1 << qubits
        states = np.arange(size)
        weights: dict[int, Amplitudes] = {}
        for coefficient, letters in terms:
            flipped = sum(1 << qubit for qubit, letter in letters if letter != "Z")
            phased = sum(1 << qubit for qubit, letter in letters if letter != "X")
            turns = sum(letter == "Y" for _, letter in letters)
            signs = 1.0 - 2.0 * (np.bitwise_count(states & phased) & 1)
            added = coefficient * 1j**turns * signs
            weights[flipped] = weights.get(flipped, np.zeros(size, np.complex128)) + added
        self._weights = [(states ^ flipped, weight) for flipped, weight in weights.items()]

    def __call__(self, states: Amplitudes) -> Values:
        """The mean in each state; one column a state."""
        means = np.zeros(states.shape[1])
        for images, weight in self._weights:
            means += (weight @ (states[images].conj() * states)).real
        return means
