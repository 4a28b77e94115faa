"""What an algorithm sends to a quantum runtime."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from numbers import Real
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from hybrid_runtime.errors import CircuitRejected
from hybrid_runtime.observable import Terms, pauli_sum

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

ParameterValue: TypeAlias = "float | Sequence[float] | npt.NDArray[np.float64] | None"
Observable: TypeAlias = "Mapping[str, float] | Iterable[tuple[float, str]] | Iterable[tuple[str, float]] | str"

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


class Settings(NamedTuple):
    """How a circuit is to be run; those made of one circuit by `bind` share one object.

    Attributes:
        shots: As given; the job's default when None.
        exact: Whether exact probabilities are wanted in place of shots.
        observable: What the exact expectation value is wanted of.
        raw: Whether each shot's bits are wanted.
        name: The circuit's name.
    """

    shots: Any = None
    exact: bool = False
    observable: Terms | None = None
    raw: bool = False
    name: str | None = None

    def shots_asked(self, default: int | None) -> Any:
        """The shots, not checked yet; None for an exact result. `default` is the job's, None for exact results."""
        if self.exact or self.observable is not None:
            return None
        return default if self.shots is None else self.shots


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
        exact: Ask for the exact probabilities in place of shots, of a backend that can compute them.
        observable: Ask for the exact expectation value of this sum of Pauli terms, of a backend that can compute
            it: `{"ZI": 0.5, "XX": 0.2}`, a list of `(0.5, "ZI")`, or the letters of one term. There is one letter a
            qubit, the highest qubit on the left. Shots do not matter then, and neither do measurements, which may
            be left out and have to be at the end.
        raw: Ask for each shot's bits as well, of a backend that can give them.

    Raises:
        CircuitRejected: for a source that is not text, a parameter that is not a real number, an observable that is
            none, or settings that contradict each other.
    """

    __slots__ = ("parameters", "settings", "template")

    # What a circuit is made of where a job gives one as its value.
    PLAIN = ("source", "parameters", "shots", "language", "name", "exact", "observable", "raw")

    parameters: Mapping[str, ParameterValue]
    settings: Settings
    template: Template

    def __init__(
        self,
        source: str,
        *,
        parameters: Mapping[str, ParameterValue] | Sequence[str] | None = None,
        shots: int | None = None,
        language: str | None = None,
        name: str | None = None,
        exact: bool = False,
        observable: Observable | None = None,
        raw: bool = False,
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
        terms = None if observable is None else pauli_sum(observable)
        settings = _consistent(Settings(shots, bool(exact), terms, bool(raw), name))
        caller = sys._getframe(1)
        origin = (caller.f_code.co_filename, caller.f_lineno)
        _make(self, values, settings, Template(source, frozenset(values), language, origin))

    def bind(self, **parameters: ParameterValue) -> Circuit:
        """A new circuit with these parameter values; nothing is parsed again.

        Raises:
            CircuitRejected: for a name that this circuit does not have, or a value that is not a real number.
        """
        merged = {**self.parameters}
        for key, value in parameters.items():
            if key not in merged:
                known = ", ".join(sorted(merged)) or "none"
                raise CircuitRejected(f"this circuit has no parameter {key!r}; its parameters: {known}")
            merged[key] = value if type(value) is float else _checked(key, value)
        bound: Circuit = _new(Circuit)
        _put(bound, "parameters", merged)
        _put(bound, "settings", self.settings)
        _put(bound, "template", self.template)
        return bound

    def with_shots(self, shots: int | None) -> Circuit:
        """A new circuit, the same but for its number of shots; with None, it asks for exact probabilities.

        Raises:
            CircuitRejected: exact probabilities are asked for together with raw shots.
        """
        return self._with(shots=shots, exact=shots is None)

    def with_observable(self, observable: Observable) -> Circuit:
        """A new circuit, the same but that it asks for the exact expectation value of this.

        Raises:
            CircuitRejected: it is no observable, or each shot's bits are wanted of this circuit.
        """
        return self._with(observable=pauli_sum(observable))

    def with_raw(self, raw: bool = True) -> Circuit:
        """A new circuit, the same but for whether each shot's bits are wanted.

        Raises:
            CircuitRejected: an exact result is wanted of this circuit.
        """
        return self._with(raw=bool(raw))

    def _with(self, **changes: Any) -> Circuit:
        settings = _consistent(self.settings._replace(**changes))
        return _make(_new(Circuit), self.parameters, settings, self.template)

    @property
    def source(self) -> str:
        """The circuit's text."""
        return self.template.source

    @property
    def language(self) -> str | None:
        """The language that was named, if one was."""
        return self.template.language

    @property
    def shots(self) -> int | None:
        """The shots that were named, if any were."""
        shots: int | None = self.settings.shots
        return shots

    @property
    def name(self) -> str | None:
        """The name it was given, if any."""
        return self.settings.name

    @property
    def exact(self) -> bool:
        """Whether exact probabilities are wanted."""
        return self.settings.exact

    @property
    def observable(self) -> Terms | None:
        """What the exact expectation value is wanted of, as (coefficient, letters) pairs."""
        return self.settings.observable

    @property
    def raw(self) -> bool:
        """Whether each shot's bits are wanted."""
        return self.settings.raw

    def __setattr__(self, key: str, value: object) -> None:
        raise AttributeError(f"a Circuit cannot be changed; use bind() or with_shots() to make another (tried {key})")

    def __delattr__(self, key: str) -> None:
        raise AttributeError(f"a Circuit cannot be changed (tried to delete {key})")

    def __reduce__(self) -> tuple[Any, ...]:
        return (_restore, (self.parameters, tuple(self.settings), self.template))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Circuit):
            return NotImplemented
        return self._identity() == other._identity()

    def __hash__(self) -> int:
        return hash(self._identity())

    def _identity(self) -> tuple[Any, ...]:
        values = tuple((key, _hashable(value)) for key, value in sorted(self.parameters.items()))
        return (self.source, values, self.language, self.settings)

    def __repr__(self) -> str:
        lines = self.source.strip().splitlines()
        text = self.name or (lines[0] + (f" … {len(lines)} lines" if len(lines) > 1 else "") if lines else "empty")
        values = ", ".join(f"{key}={value}" for key, value in self.parameters.items())
        return f"<Circuit {text}{': ' + values if values else ''}>"


_new = object.__new__
_put = object.__setattr__


def _make(
    circuit: Circuit, parameters: Mapping[str, ParameterValue], settings: Settings, template: Template
) -> Circuit:
    _put(circuit, "parameters", parameters)
    _put(circuit, "settings", settings)
    _put(circuit, "template", template)
    return circuit


def _restore(parameters: Mapping[str, ParameterValue], settings: tuple[Any, ...], template: Template) -> Circuit:
    return _make(_new(Circuit), parameters, Settings(*settings), template)


def _consistent(settings: Settings) -> Settings:
    if settings.exact and settings.shots is not None:
        raise CircuitRejected("exact probabilities take no shots: leave out shots, or exact")
    if settings.raw and (settings.exact or settings.observable is not None):
        raise CircuitRejected("an exact result has no shots that could be given raw: leave out raw")
    return settings


_FLOATS = frozenset({float})


def _name(key: object) -> str:
    if not isinstance(key, str) or not key.isidentifier():
        raise CircuitRejected(f"a circuit parameter's name is an identifier, not {key!r}")
    return key


def _checked(key: str, value: Any) -> ParameterValue:
    """The value as a float, or a tuple of floats; numpy scalars and arrays are accepted."""
    if value is None or type(value) is float:
        return value
    if hasattr(value, "tolist"):
        value = value.tolist()
    # Most sequences hold floats alone, and this is said of all of them at once.
    if type(value) in (list, tuple) and _FLOATS.issuperset(map(type, value)):
        return tuple(value)
    try:
        if isinstance(value, Real):
            return float(value)
        if isinstance(value, str | bytes):
            raise CircuitRejected(f"parameter {key!r} is a real number or a sequence of them, not text")
        if isinstance(value, Sequence) and all(isinstance(item, Real) or hasattr(item, "__float__") for item in value):
            return tuple(float(item) for item in value)
    except OverflowError as error:
        raise CircuitRejected(f"parameter {key!r} is too large: {error}") from None
    raise CircuitRejected(f"parameter {key!r} is a real number or a sequence of them, not {type(value).__name__}")


def _hashable(value: ParameterValue) -> Any:
    return value if value is None or isinstance(value, float) else tuple(value)
