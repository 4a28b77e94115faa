"""From a circuit to a program and the values of its slots, parsing each distinct text once.

::

    circuit ──template or skeleton──▶ plan ──values of structural numbers──▶ program
                                       └──all other numbers──▶ values

A *plan* knows how to line up a circuit's open numbers. Those that decide about the program itself (an
index, an exponent of `pow`) choose among the plan's programs; the others become the values of its slots.
"""

from __future__ import annotations

import struct
from collections import OrderedDict
from itertools import starmap, takewhile
from math import isfinite
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from hybrid_runtime.errors import CircuitRejected
from hybrid_runtime.languages import cqasm1, cqasm3
from hybrid_runtime.languages.inputs import Getter, Inputs, Layout, getter
from hybrid_runtime.languages.skeleton import split, without_comments
from hybrid_runtime.languages.source import Source, detect
from hybrid_runtime.languages.tokens import FLOAT, PLACEHOLDER, Cursor, Mark, Token, tokens
from hybrid_runtime.program import MAX_OPERATIONS, Program, all_finite

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from hybrid_runtime.circuit import Circuit, Template
    from hybrid_runtime.languages.builder import Compilation
    from hybrid_runtime.languages.expressions import Expression
    from hybrid_runtime.observable import Terms

# How many circuits are looked at together to see whether they are rows of one program; each time twice as many.
_FIRST_LOOKED_AT = 8
_READERS = {"cqasm3": cqasm3.read, "cqasm1": cqasm1.read}

# What binding raises when a parameter is open, of another shape than before, or where an expression has no
# value. The slow path then says what is wrong and where.
_BINDING_FAILED = (TypeError, LookupError, ArithmeticError, ValueError, struct.error)


class Compiled(msgspec.Struct, frozen=True, gc=False):
    """A circuit ready to run.

    Attributes:
        key: The program's number in this compiler; never given to another program.
        program: The program.
        values: One float64 a slot, little-endian.
    """

    key: int
    program: Program
    values: bytes


class Statistics(NamedTuple):
    """What a compiler has done: texts parsed, circuits that needed no parsing, programs held."""

    parses: int
    hits: int
    size: int


class _Ready:
    """One program of a plan, and how to fill its slots from the open numbers."""

    __slots__ = ("fill", "key", "pack", "program")

    def __init__(self, key: int, compilation: Compilation, numbers: int) -> None:
        self.key = key
        self.program = compilation.program
        self.fill = _filler(compilation.slots, numbers)
        self.pack = struct.Struct(f"<{len(compilation.slots)}d").pack


def _filler(slots: Sequence[Expression], numbers: int) -> Callable[[Sequence[Any]], Sequence[Any]] | None:
    """The function from open numbers to slot values; None where they are the same."""
    indices = [slot.index for slot in slots]
    if indices == list(range(numbers)):
        return None
    if not slots:
        return lambda _numbers: ()
    if -1 not in indices:
        return getter(indices)
    functions = [slot.evaluate for slot in slots if slot.evaluate is not None]
    return lambda numbers: [function(numbers) for function in functions]


def _open_tokens(stream: Iterable[Token]) -> tuple[list[str], list[Token]]:
    """The texts of all floats, and all placeholders."""
    floats, placeholders = [], []
    for token in stream:
        if token.kind == FLOAT:
            floats.append(token.text)
        elif token.kind == PLACEHOLDER:
            placeholders.append(token)
    return floats, placeholders


class _Plan:
    """What is known about a template or a skeleton: see the module's docstring."""

    __slots__ = ("choose", "key", "layout", "ready", "structural")

    def __init__(self, key: tuple[Any, ...], inputs: Inputs) -> None:
        self.key = key
        self.layout: Layout = inputs.layout
        self.structural = sorted(inputs.structural)
        self.choose: Getter | None = getter(self.structural) if self.structural else None
        # By the values of the structural numbers, and the observable.
        self.ready: dict[tuple[Any, ...], _Ready] = {}

    def choice(self, numbers: Sequence[Any], observable: Terms | None) -> tuple[Any, ...]:
        """The key of `ready` for these open numbers and this observable."""
        chosen = () if self.choose is None else self.choose(numbers)
        return (*chosen, observable) if observable else chosen


def _alike(circuits: Sequence[Circuit], first: int) -> list[Mapping[str, Any]]:
    """The parameters of the circuit at `first` and of those after it that have its template and its settings."""
    template, settings = circuits[first].template, circuits[first].settings
    rows: list[Mapping[str, Any]] = []
    size = _FIRST_LOOKED_AT
    while True:
        # Looked at in pieces, for others may follow soon, and then again such as these.
        some = circuits[first + len(rows) : first + len(rows) + size]
        alike = [one.parameters for one in some if one.template is template and one.settings is settings]
        if len(alike) < len(some):
            whole = takewhile(lambda one: one.template is template and one.settings is settings, some)
            return rows + [one.parameters for one in whole]
        if not some:
            return rows
        rows += alike
        size *= 2


def _pack_rows(layout: Layout, ready: _Ready, rows: Sequence[Mapping[str, Any]]) -> bytes | None:
    """The values of all these rows; None where one of them does not fit, or a number is not finite.

    Everything is done to all rows at once: in a loop, each would take several times as long.
    """
    try:
        numbers = layout.line_up_rows(rows)
        if ready.fill is not None:
            numbers = [*numbers]
            if not all(map(isfinite, map(sum, numbers))):
                return None
            numbers = map(ready.fill, numbers)
        values = b"".join(starmap(ready.pack, numbers))
    except _BINDING_FAILED:
        return None
    return values if all_finite(values) else None


class _Held(NamedTuple):
    """Where a program is, and how much it counts."""

    plan: _Plan
    choice: tuple[Any, ...]
    weight: int


class Compiler:
    """Compiles the circuits of one job.

    Args:
        max_programs: Programs to keep; those not used for longest are dropped first.
        max_weight: Size to keep, in operations; 25 characters of source count as one.
    """

    def __init__(self, *, max_programs: int = 4096, max_weight: int = 2 * MAX_OPERATIONS) -> None:
        self._max_programs = max_programs
        self._max_weight = max_weight
        # By skeleton for texts with open numerals, by source for those whose numerals are constants.
        self._plans: dict[tuple[Any, ...], _Plan] = {}
        # A short cut for circuits made by `bind`; it may lead to plans that are no longer used.
        self._by_template: dict[Template, _Plan] = {}
        # Skeletons of texts whose numerals were read as constants.
        self._seen: set[tuple[Any, ...]] = set()
        self._held: OrderedDict[int, _Held] = OrderedDict()
        self._weight = 0
        self._evicted: list[int] = []
        self._next_key = 0
        self._parses = self._hits = 0

    def statistics(self) -> Statistics:
        """Counts since the compiler was made."""
        return Statistics(self._parses, self._hits, len(self._held))

    def take_evicted(self) -> list[int]:
        """Keys of programs dropped since the last call: after the present step nobody needs to keep them."""
        evicted = self._evicted
        if evicted:
            self._evicted = []
        return evicted

    def compile(self, circuit: Circuit) -> Compiled:
        """The circuit's program and the values of its slots.

        Raises:
            CircuitRejected: the text is no circuit, or a parameter has no value that can be used; the
                message names the place in the text.
        """
        template = circuit.template
        plan = self._by_template.get(template) if template.names else None
        literals: list[str] = []
        compiled = None
        try:
            if plan is None:
                plan, literals = self._known(circuit)
            if plan is not None:
                compiled = self._bind(plan, literals, circuit)
        except _BINDING_FAILED:
            compiled = None  # parsing again finds the reason
        if compiled is None:
            return self._parse_safely(circuit)
        self._hits += 1
        return compiled

    def compile_rows(self, circuits: Sequence[Circuit], first: int) -> tuple[Compiled, int]:
        """The circuit at `first` and those after it that `bind` made of the same one, as rows of one program.

        Returns:
            The program, with the values of row after row, and how many circuits these are: the rest may go on with
            another program, or begin with a circuit that is refused.

        Raises:
            CircuitRejected: as `compile` does, for the circuit at `first`.
        """
        compiled = self.compile(circuits[first])
        if first + 1 == len(circuits):
            return compiled, 1
        template, settings = circuits[first].template, circuits[first].settings
        plan = self._by_template.get(template)
        if plan is None or plan.choose is not None:
            return compiled, 1
        ready = plan.ready.get(plan.choice((), settings.observable))
        if ready is None or ready.key != compiled.key:
            return compiled, 1
        rows = _alike(circuits, first)
        # A row that does not fit is left to a later call, which says why: here it is only kept out.
        count = len(rows)
        while count > 1:
            values = _pack_rows(plan.layout, ready, rows[:count])
            if values is not None:
                self._hits += count - 1
                return Compiled(ready.key, ready.program, values), count
            count //= 2
        return compiled, 1

    def _known(self, circuit: Circuit) -> tuple[_Plan | None, list[str]]:
        """The plan for this text, if there is one, and its open numerals."""
        source, names = circuit.source, circuit.template.names
        if names:
            plan = self._plans.get((source, circuit.language, names))
            if plan is not None:
                self._remember_template(circuit.template, plan)
                return plan, []
        # Looking for one character is much quicker than for two, and few texts without comments have it.
        if "/" in source or "#" in source:
            source = without_comments(source)
        parts = split(source)
        return self._plans.get((*parts[::2], circuit.language, names)), parts[1::2]

    def _remember_template(self, template: Template, plan: _Plan) -> None:
        if len(self._by_template) >= 2 * self._max_programs:
            self._by_template.clear()
        self._by_template[template] = plan

    def _bind(self, plan: _Plan, literals: list[str], circuit: Circuit) -> Compiled | None:
        """Fill in this circuit's numbers; None where its program is not there or a number is not finite."""
        numbers = plan.layout.line_up(literals, circuit.parameters)
        # One test for all: a sum is finite unless a term is not.
        if not isfinite(sum(numbers)):
            return None
        ready = plan.ready.get(plan.choice(numbers, circuit.settings.observable))
        if ready is None:
            return None
        values: Sequence[Any] = numbers
        if ready.fill is not None:
            values = ready.fill(numbers)
            if not isfinite(sum(values)):
                return None
        self._held.move_to_end(ready.key)
        return Compiled(ready.key, ready.program, ready.pack(*values))

    # -------------------------------------------------------------- parsing

    def _parse_safely(self, circuit: Circuit) -> Compiled:
        try:
            return self._parse(circuit)
        except RecursionError:
            raise CircuitRejected(
                "the circuit is nested too deeply to be read, or the algorithm that sends it is deep in a recursion"
            ) from None

    def _parse(self, circuit: Circuit) -> Compiled:
        source, names = Source(circuit.source), circuit.template.names
        language, start = detect(source, circuit.language)
        floats, placeholders = _open_tokens(tokens(source, Mark(start, 0), language, names))
        parts = split(without_comments(circuit.source))
        key, open_numerals = self._key(circuit, parts, floats)
        numerals = (parts[1::2], len(parts) // 2 - len(floats)) if open_numerals else None
        inputs = Inputs(source, placeholders, circuit.parameters, numerals, circuit.settings.observable or ())
        self._parses += 1
        compilation = _READERS[language](Cursor(source, start, language, names), inputs)
        plan = self._plans.get(key)
        if plan is None or plan.structural != sorted(inputs.structural):
            plan = self._plans[key] = _Plan(key, inputs)
        if names and not open_numerals:
            self._remember_template(circuit.template, plan)
        ready = self._ready(plan, inputs, compilation, len(circuit.source))
        values = inputs.numbers if ready.fill is None else ready.fill(inputs.numbers)
        return Compiled(ready.key, ready.program, ready.pack(*values))

    def _key(self, circuit: Circuit, parts: list[str], floats: list[str]) -> tuple[tuple[Any, ...], bool]:
        """Under which key a text is kept, and whether its numerals are open.

        In a template the numerals are constants: what varies are its parameters. Only if another template
        with the same skeleton comes along do the numerals seem to vary as well.
        """
        names = circuit.template.names
        exact = (circuit.source, circuit.language, names)
        skeleton = (*parts[::2], circuit.language, names)
        literals = parts[1::2]
        # The tokens leave out comments in their own way. Should they ever differ, then nothing is open.
        if len(floats) > len(literals) or literals[len(literals) - len(floats) :] != floats or exact in self._plans:
            return exact, False
        if not names or skeleton in self._seen:
            return skeleton, True
        if len(self._seen) >= self._max_programs:
            self._seen.clear()
        self._seen.add(skeleton)
        return exact, False

    def _ready(self, plan: _Plan, inputs: Inputs, compilation: Compilation, characters: int) -> _Ready:
        """The program for these structural numbers, kept from before or from now on."""
        choice = plan.choice(inputs.numbers, inputs.observable)
        ready = plan.ready.get(choice)
        if ready is not None:
            self._held.move_to_end(ready.key)
            return ready
        ready = plan.ready[choice] = _Ready(self._next_key, compilation, len(inputs.numbers))
        self._next_key += 1
        weight = len(compilation.program.operations) + characters // 25
        self._held[ready.key] = _Held(plan, choice, weight)
        self._weight += weight
        while len(self._held) > self._max_programs or (self._weight > self._max_weight and len(self._held) > 1):
            self._evict()
        return ready

    def _evict(self) -> None:
        """Drop the program that was not used for longest."""
        key, (plan, choice, weight) = self._held.popitem(last=False)
        self._evicted.append(key)
        self._weight -= weight
        del plan.ready[choice]
        if not plan.ready:
            self._by_template.clear()
            if self._plans.get(plan.key) is plan:
                del self._plans[plan.key]
