"""What an algorithm sends to a quantum runtime, and what it gets back."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import TYPE_CHECKING, Any, TypeAlias

from hybrid_runtime.errors import CircuitRejected

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

ParameterValue: TypeAlias = "float | Sequence[float] | npt.NDArray[np.float64] | None"

LANGUAGES = ("cqasm3", "cqasm1")


class Template:
    """The part of a circuit that stays when its parameters change: parsed once, whatever is bound later.

    Compared by identity in caches, so every `Circuit.bind` of one circuit shares one template.
    `origin` is the file and line where the circuit was made, for error messages.
    """

    __slots__ = ("__weakref__", "language", "names", "origin", "source")

    def __init__(
        self, source: str, names: frozenset[str], language: str | None, origin: tuple[str, int] | None = None
    ) -> None:
        self.source = source
        self.names = names
        self.language = language
        self.origin = origin

    def __reduce__(self) -> tuple[Any, ...]:
        return (Template, (self.source, self.names, self.language, self.origin))


class Circuit:
    """A quantum circuit in text form, with or without named parameters. Immutable.

    Args:
        source: Circuit text. `{theta}` is a placeholder when `theta` is among the parameters, and
            `{theta[3]}` is one element of a sequence; other braces are left alone. Placeholders may stand
            inside arithmetic (`Rx(2*{theta} + pi)`).
        parameters: Names with values (`{"theta": 0.3}`; None leaves one open), or names alone.
        shots: How often to run it; the job's default when None.
        language: `cqasm3` or `cqasm1`; told from the text when None.
        name: Shown in progress, errors and results.

    Raises:
        CircuitRejected: for a source that is not text or a parameter that is not a real number.
    """

    __slots__ = ("language", "name", "parameters", "shots", "source", "template")

    source: str
    parameters: Mapping[str, ParameterValue]
    shots: int | None
    language: str | None
    name: str | None
    template: Template

    def __init__(
        self,
        source: str,
        *,
        parameters: Mapping[str, ParameterValue] | Sequence[str] | None = None,
        shots: int | None = None,
        language: str | None = None,
        name: str | None = None,
    ) -> None:
        if not isinstance(source, str):
            raise CircuitRejected(f"a circuit's source is text, not {type(source).__name__}")
        if language is not None and language not in LANGUAGES:
            raise CircuitRejected(f"unknown circuit language {language!r}; choose {' or '.join(LANGUAGES)}")
        if parameters is None:
            values: dict[str, ParameterValue] = {}
        elif isinstance(parameters, Mapping):
            values = {_name(key): _checked(key, value) for key, value in parameters.items()}
        else:
            names = [parameters] if isinstance(parameters, str) else parameters
            values = {_name(key): None for key in names}
        caller = sys._getframe(1)
        origin = (caller.f_code.co_filename, caller.f_lineno)
        self._set(source, values, shots, language, name, Template(source, frozenset(values), language, origin))

    def _set(
        self,
        source: str,
        parameters: Mapping[str, ParameterValue],
        shots: int | None,
        language: str | None,
        name: str | None,
        template: Template,
    ) -> None:
        put = object.__setattr__
        put(self, "source", source)
        put(self, "parameters", parameters)
        put(self, "shots", shots)
        put(self, "language", language)
        put(self, "name", name)
        put(self, "template", template)

    def bind(self, **parameters: ParameterValue) -> Circuit:
        """A new circuit with these parameter values; nothing is parsed again.

        Raises:
            CircuitRejected: for a name that this circuit does not have, or a value that is not a real number.
        """
        merged = dict(self.parameters)
        for key, value in parameters.items():
            if key not in merged:
                known = ", ".join(sorted(merged)) or "none"
                raise CircuitRejected(f"this circuit has no parameter {key!r}; its parameters: {known}")
            merged[key] = _checked(key, value)
        bound = Circuit.__new__(Circuit)
        bound._set(self.source, merged, self.shots, self.language, self.name, self.template)
        return bound

    def with_shots(self, shots: int) -> Circuit:
        """A new circuit, the same but for its number of shots."""
        other = Circuit.__new__(Circuit)
        other._set(self.source, self.parameters, shots, self.language, self.name, self.template)
        return other

    def __setattr__(self, key: str, value: object) -> None:
        raise AttributeError(f"a Circuit cannot be changed; use bind() or with_shots() to make another (tried {key})")

    def __delattr__(self, key: str) -> None:
        raise AttributeError(f"a Circuit cannot be changed (tried to delete {key})")

    def __reduce__(self) -> tuple[Any, ...]:
        return (_restore, (self.source, self.parameters, self.shots, self.language, self.name, self.template))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Circuit):
            return NotImplemented
        return self._identity() == other._identity()

    def __hash__(self) -> int:
        return hash(self._identity())

    def _identity(self) -> tuple[Any, ...]:
        values = tuple((key, _hashable(value)) for key, value in sorted(self.parameters.items()))
        return (self.source, values, self.shots, self.language, self.name)

    def __repr__(self) -> str:
        lines = self.source.strip().splitlines()
        text = self.name or (lines[0] + (f" … {len(lines)} lines" if len(lines) > 1 else "") if lines else "empty")
        values = ", ".join(f"{key}={value}" for key, value in self.parameters.items())
        return f"<Circuit {text}{': ' + values if values else ''}>"


def _restore(
    source: str,
    parameters: Mapping[str, ParameterValue],
    shots: int | None,
    language: str | None,
    name: str | None,
    template: Template,
) -> Circuit:
    circuit = Circuit.__new__(Circuit)
    circuit._set(source, parameters, shots, language, name, template)
    return circuit


def _name(key: object) -> str:
    if not isinstance(key, str) or not key.isidentifier():
        raise CircuitRejected(f"a circuit parameter's name is an identifier, not {key!r}")
    return key


def _checked(key: str, value: Any) -> ParameterValue:
    """The value as a float, or a tuple of floats; numpy scalars and arrays are accepted."""
    if value is None or type(value) is float:
        return value
    try:
        if isinstance(value, Real):
            return float(value)
        if isinstance(value, str | bytes):
            raise CircuitRejected(f"parameter {key!r} is a real number or a sequence of them, not text")
        if hasattr(value, "tolist"):
            value = value.tolist()
            if isinstance(value, float | int):
                return float(value)
        if isinstance(value, Sequence) and all(isinstance(item, Real) or hasattr(item, "__float__") for item in value):
            return tuple(float(item) for item in value)
    except OverflowError as error:
        raise CircuitRejected(f"parameter {key!r} is too large: {error}") from None
    raise CircuitRejected(f"parameter {key!r} is a real number or a sequence of them, not {type(value).__name__}")


def _hashable(value: ParameterValue) -> Any:
    return value if value is None or isinstance(value, float) else tuple(value)


class QuantumResult:
    """What came back for one circuit.

    Attributes:
        counts: How often each value of the classical bit register was seen; keys are bit strings, the most
            significant bit (the last declared) on the left.
        shots_requested: Shots asked for.
        shots_done: Shots that ran.
        raw: One bit string a shot, in order, where the circuit was run with raw data; else None.
        duration_s: Seconds the backend spent on this circuit.
        seed: Seed the backend used, where it has one.
        backend: Name of the backend that ran it.
    """

    __slots__ = ("backend", "counts", "duration_s", "raw", "seed", "shots_done", "shots_requested")

    def __init__(
        self,
        *,
        counts: dict[str, int],
        shots_requested: int,
        shots_done: int | None = None,
        raw: list[str] | None = None,
        duration_s: float = 0.0,
        seed: int | None = None,
        backend: str = "",
    ) -> None:
        self.counts = counts
        self.shots_requested = shots_requested
        self.shots_done = shots_requested if shots_done is None else shots_done
        self.raw = raw
        self.duration_s = duration_s
        self.seed = seed
        self.backend = backend

    @property
    def probabilities(self) -> dict[str, float]:
        """Relative frequencies of `counts`."""
        total = sum(self.counts.values())
        return {bits: count / total for bits, count in self.counts.items()} if total else {}

    def expectation(self, pauli_z: str) -> float:
        """Mean of a product of Z (and I) over the measured bits, between -1 and 1.

        Args:
            pauli_z: One letter, `Z` or `I`, a bit; leftmost the most significant, as in `counts`.

        Raises:
            ValueError: for another letter, another length or a result without counts.
        """
        letters = pauli_z.upper()
        if set(letters) - {"Z", "I"}:
            raise ValueError(
                f"expectation() takes the letters Z and I, not {pauli_z!r}: rotate the basis in the circuit"
            )
        total = signed = 0
        places = [index for index, letter in enumerate(letters) if letter == "Z"]
        for bits, count in self.counts.items():
            if len(bits) != len(letters):
                raise ValueError(f"{pauli_z!r} has {len(letters)} letters, the bit register has {len(bits)} bits")
            ones = 0
            for index in places:
                ones += bits[index] == "1"
            signed += -count if ones & 1 else count
            total += count
        if not total:
            raise ValueError("this result has no counts")
        return signed / total

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, QuantumResult):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in self.__slots__)

    __hash__ = None  # type: ignore[assignment]

    def __reduce__(self) -> tuple[Any, ...]:
        return (_restore_result, tuple(getattr(self, name) for name in self.__slots__))

    def __repr__(self) -> str:
        shown = dict(sorted(self.counts.items(), key=lambda item: -item[1])[:4])
        more = "" if len(shown) == len(self.counts) else f" … {len(self.counts)} values"
        return f"<QuantumResult {shown}{more}, {self.shots_done} shots on {self.backend or 'unknown'}>"


def _restore_result(*values: Any) -> QuantumResult:
    result = QuantumResult.__new__(QuantumResult)
    for name, value in zip(QuantumResult.__slots__, values, strict=True):
        setattr(result, name, value)
    return result
