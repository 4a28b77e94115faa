"""What an algorithm gets back from a quantum runtime."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_Number = TypeVar("_Number", int, float)


class Rows(Generic[_Number]):
    """Numbers of many results that have the same outcomes, made into a dictionary for each only when asked for.

    Args:
        labels: The outcomes.
        numbers: One number an outcome, row after row.
    """

    __slots__ = ("_labels", "_numbers")

    def __init__(self, labels: Sequence[str], numbers: Sequence[_Number]) -> None:
        self._labels = labels
        self._numbers: Sequence[_Number] = numbers

    def row(self, index: int) -> dict[str, _Number]:
        """The numbers of one row by their outcomes, those that are 0 left out."""
        width = len(self._labels)
        numbers = self._numbers[index * width : (index + 1) * width]
        return {label: number for label, number in zip(self._labels, numbers, strict=True) if number}


# A row of many that nobody has looked at yet.
Unread: TypeAlias = tuple[Rows[_Number], int]


_PLAIN = ("backend", "duration_s", "raw", "seed", "shots_done", "shots_requested", "value")


class QuantumResult:
    """What came back for one circuit.

    Attributes:
        shots_requested: Shots asked for; 0 for an exact result.
        shots_done: Shots that ran.
        value: The exact expectation value, where the circuit was run with an observable; else None.
        raw: One bit string a shot, in order, where the circuit was run with raw data; else None.
        duration_s: Seconds the backend spent on this circuit.
        seed: Seed the backend used, where it has one.
        backend: Name of the backend that ran it.
    """

    __slots__ = ("_counts", "_exact", *_PLAIN)

    # What a result is made of where a job gives one as its value.
    PLAIN = ("counts", "probabilities", *_PLAIN)

    def __init__(
        self,
        *,
        counts: dict[str, int] | Unread[int],
        shots_requested: int,
        shots_done: int | None = None,
        raw: list[str] | None = None,
        duration_s: float = 0.0,
        seed: int | None = None,
        backend: str = "",
        value: float | None = None,
        probabilities: dict[str, float] | Unread[float] | None = None,
    ) -> None:
        self._counts = counts
        self._exact = probabilities
        self.shots_requested = shots_requested
        self.shots_done = shots_requested if shots_done is None else shots_done
        self.value = value
        self.raw = raw
        self.duration_s = duration_s
        self.seed = seed
        self.backend = backend

    @property
    def counts(self) -> dict[str, int]:
        """How often each value of the classical bit register was seen; empty for an exact result.

        Keys are bit strings, the most significant bit (the last declared) on the left.
        """
        counts = self._counts
        if isinstance(counts, tuple):
            rows, index = counts
            counts = self._counts = rows.row(index)
        return counts

    @property
    def probabilities(self) -> dict[str, float]:
        """The exact probability of each value of the register where these were asked for, else relative frequencies."""
        exact = self._exact
        if isinstance(exact, tuple):
            rows, index = exact
            exact = self._exact = rows.row(index)
        if exact is not None:
            return dict(exact)
        total = sum(self.counts.values())
        return {bits: count / total for bits, count in self.counts.items()} if total else {}

    def expectation(self, pauli_z: str) -> float:
        """Mean of a product of Z (and I) over the measured bits, between -1 and 1.

        Args:
            pauli_z: One letter, `Z` or `I`, a bit; leftmost the most significant, as in `counts`.

        Raises:
            ValueError: for another letter, another length or a result without counts and probabilities.
        """
        letters = pauli_z.upper()
        if set(letters) - {"Z", "I"}:
            raise ValueError(
                f"expectation() takes the letters Z and I, not {pauli_z!r}: rotate the basis in the circuit"
            )
        total: float = 0
        signed: float = 0
        places = [index for index, letter in enumerate(letters) if letter == "Z"]
        weights: Mapping[str, float] = self.counts if self._exact is None else self.probabilities
        for bits, weight in weights.items():
            if len(bits) != len(letters):
                raise ValueError(f"{pauli_z!r} has {len(letters)} letters, the bit register has {len(bits)} bits")
            ones = 0
            for index in places:
                ones += bits[index] == "1"
            signed += -weight if ones & 1 else weight
            total += weight
        if not total:
            raise ValueError("this result has no counts" + ("; it has a value" if self.value is not None else ""))
        return signed / total

    def _contents(self) -> tuple[Any, ...]:
        exact = None if self._exact is None else self.probabilities
        return (self.counts, exact, *(getattr(self, name) for name in _PLAIN))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, QuantumResult):
            return NotImplemented
        return self._contents() == other._contents()

    __hash__ = None  # type: ignore[assignment]

    def __reduce__(self) -> tuple[Any, ...]:
        return (_restore, self._contents())

    def __repr__(self) -> str:
        where = f"on {self.backend or 'unknown'}"
        if self.value is not None:
            return f"<QuantumResult {self.value:.6g}, exact {where}>"
        exact = self._exact is not None
        found: Mapping[str, float] = self.probabilities if exact else self.counts
        shown = dict(sorted(found.items(), key=lambda item: -item[1])[:4])
        more = "" if len(shown) == len(found) else f" … {len(found)} values"
        return f"<QuantumResult {shown}{more}, {'exact' if exact else f'{self.shots_done} shots'} {where}>"


def _restore(*contents: Any) -> QuantumResult:
    result: QuantumResult = object.__new__(QuantumResult)
    for name, value in zip(QuantumResult.__slots__, contents, strict=True):
        setattr(result, name, value)
    return result
