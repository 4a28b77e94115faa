"""Reads cQASM 1.0, the language of the first hybrid programs (https://arxiv.org/abs/1805.09607).

A subset by a reader of our own: libqasm has dropped the language. What would need feedback from
measurements to gates within one shot (`cond`, `c-x`, `not`) is refused. `measure q[3]` sets bit 3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hybrid_runtime.languages.arithmetic import read_expression
from hybrid_runtime.languages.builder import Builder, Compilation, check_sizes
from hybrid_runtime.languages.expressions import INT, Expression
from hybrid_runtime.languages.gates import Axis, Gate, Modifiers
from hybrid_runtime.languages.source import nearest
from hybrid_runtime.languages.tokens import END, NAME, NEWLINE, Cursor, Mark, Token

if TYPE_CHECKING:
    from collections.abc import Callable

    from hybrid_runtime.languages.inputs import Inputs

# Name in cQASM 1 -> name in `program.GATES`, operands, parameters.
_GATES: dict[str, tuple[str, int, int]] = {
    **{
        name.lower(): (name, 1, 0)
        for name in ["I", "H", "X", "Y", "Z", "S", "Sdag", "T", "Tdag", "X90", "Y90", "mX90", "mY90"]
    },
    **{name.lower(): (name, 1, 1) for name in ("Rx", "Ry", "Rz")},
    **{name.lower(): (name, 2, 0) for name in ("CNOT", "CZ", "SWAP")},
    "cr": ("CR", 2, 1),
    "crk": ("CR", 2, 1),
    "toffoli": ("TOFFOLI", 3, 0),
}
_AXES: dict[str, Axis] = {
    "measure": (0.0, 0.0, 1.0),
    "measure_z": (0.0, 0.0, 1.0),
    "measure_x": (1.0, 0.0, 0.0),
    "measure_y": (0.0, 1.0, 0.0),
}
# After a reset, the gates that bring the qubit to where it is wanted.
_PREPARATIONS = {"prep": (), "prep_z": (), "prep_x": ("H",), "prep_y": ("H", "S")}
_FEEDBACK = ("cond", "not", "c")
_OTHERS = ("measure_all", "barrier", "wait", "skip", "map", "display", "display_binary", "qubits")
_SYNONYMS = {
    "hadamard": "h",
    "cx": "cnot",
    "ccx": "toffoli",
    "ccnot": "toffoli",
    "id": "i",
    "identity": "i",
    "sdg": "sdag",
    "tdg": "tdag",
    "reset": "prep_z",
    "init": "prep_z",
}


def read(cursor: Cursor, inputs: Inputs) -> Compilation:
    """Read a program whose version statement is behind the cursor.

    Raises:
        CircuitRejected: it is not of this subset of cQASM 1.0, or one that no backend could run.
    """
    return _Reader(cursor, inputs).read()


class _Reader:
    def __init__(self, cursor: Cursor, inputs: Inputs) -> None:
        self._cursor = cursor
        self._inputs = inputs
        self._builder = Builder(cursor.source, inputs)
        self._modifiers = Modifiers(cursor.source, inputs)
        self._qubits = 0
        self._aliases: dict[str, list[int]] = {}
        # By offset: a loop reads the same expression many times, which then is one slot.
        self._expressions: dict[int, tuple[Expression, Mark]] = {}
        # Qubits used so far inside `{ ... | ... }`.
        self._bundle: set[int] | None = None
        self._statements: dict[str, Callable[[Token], None]] = {
            **dict.fromkeys(_GATES, self._gate),
            **dict.fromkeys(_AXES, self._measure),
            **dict.fromkeys(_PREPARATIONS, self._prepare),
            **dict.fromkeys(("display", "display_binary"), self._skip_statement),
            "measure_all": self._measure_all,
            "barrier": self._barrier,
            "wait": self._wait,
            "skip": self._wait,
            "map": self._map,
        }

    def read(self) -> Compilation:
        """Read all statements."""
        cursor = self._cursor
        if not cursor.at_separator():
            raise cursor.unexpected("a new line or ';' after the version")
        self._skip_separators()
        self._declare_qubits()
        self._section()
        while cursor.token.kind != END:
            self._loop()
        return self._builder.finish(self._qubits, self._qubits, "measure_all")

    def _skip_separators(self) -> None:
        while self._cursor.token.kind == NEWLINE:
            self._cursor.next()

    def _declare_qubits(self) -> None:
        cursor = self._cursor
        if cursor.token.text.lower() != "qubits":
            raise cursor.unexpected("`qubits` and how many the circuit has")
        offset = cursor.next().offset
        size = self._integer("the number of qubits")
        if size < 1:
            raise cursor.source.rejected(offset, f"a circuit has at least 1 qubit, not {size}")
        check_sizes(cursor.source, qubits=size, bits=size, offset=offset)
        self._qubits = size
        self._end_statement()

    # -------------------------------------------------------------- structure

    def _loop(self) -> None:
        """A subcircuit `.name` or `.name(times)` and its statements, as often as it says."""
        cursor = self._cursor
        cursor.expect(".", "before a subcircuit's name")
        if cursor.token.kind != NAME:
            raise cursor.unexpected("a subcircuit's name")
        cursor.next()
        times = 1
        if cursor.accept("("):
            times = self._integer("how often a subcircuit runs")
            cursor.expect(")", "after the number of runs")
        self._end_statement()
        start = cursor.mark
        if times < 1:
            raise cursor.rejected(f"a subcircuit runs at least once, not {times} times")
        for _ in range(times):
            cursor.go_back(start)
            count = self._builder.count
            self._section()
            if self._builder.count == count:
                break  # it does nothing, and would do nothing the next time

    def _section(self) -> None:
        """Statements up to the next subcircuit or the end."""
        cursor = self._cursor
        while True:
            self._skip_separators()
            if cursor.token.kind == END or cursor.token.text == ".":
                return
            if cursor.accept("{"):
                self._parallel()
            else:
                self._statement()
            self._end_statement()

    def _parallel(self) -> None:
        cursor = self._cursor
        self._bundle = set()
        while True:
            self._skip_separators()
            self._statement()
            self._skip_separators()
            if not cursor.accept("|"):
                break
        cursor.expect("}", "or '|' after a statement that runs in parallel")
        self._bundle = None

    def _statement(self) -> None:
        cursor = self._cursor
        token = cursor.token
        name = token.text.lower()
        if token.kind != NAME:
            hint = " (in cQASM 1 a comment begins with #)" if token.text == "/" else ""
            raise cursor.unexpected(f"a gate{hint}")
        if name in _FEEDBACK and (name != "c" or cursor.peek().text == "-"):
            raise cursor.rejected("gates that depend on a measurement of the same shot are not supported")
        if name == "error_model":
            raise cursor.rejected("error_model is not supported: noise belongs to the backend")
        statement = self._statements.get(name)
        if statement is None:
            known = [*_GATES, *_AXES, *_PREPARATIONS, *_OTHERS]
            hint = f"; did you mean {_SYNONYMS[name]}?" if name in _SYNONYMS else nearest(name, known)
            raise cursor.rejected(f"unknown gate '{token.text[:40]}'{hint}")
        statement(cursor.next())

    def _end_statement(self) -> None:
        if not self._cursor.at_separator():
            raise self._cursor.unexpected("the end of the statement")
        self._cursor.next()

    def _skip_statement(self, _token: Token) -> None:
        while not self._cursor.at_separator() and self._cursor.token.text not in ("|", "}"):
            self._cursor.next()

    # -------------------------------------------------------------- statements

    def _gate(self, token: Token) -> None:
        name, operands, parameters = _GATES[token.text.lower()]
        cursor = self._cursor
        qubits = [self._operand()]
        for _ in range(operands - 1):
            cursor.expect(",", f"and {operands} operands of {token.text}")
            qubits.append(self._operand())
        angles: tuple[Expression, ...] = ()
        if parameters:
            cursor.expect(",", f"and the parameter of {token.text}")
            angles = (self._angle(token.text.lower() == "crk"),)
        if len(set(map(len, qubits))) > 1:
            raise cursor.source.rejected(token.offset, "the operands have different numbers of qubits")
        gate = Gate(name, angles)
        for each in zip(*qubits, strict=True):
            self._builder.gate(gate, each, token.offset)

    def _angle(self, is_k: bool) -> Expression:
        offset = self._cursor.token.offset
        known = self._expressions.get(offset)
        if known is not None:
            self._cursor.go_back(known[1])
            return known[0]
        expression = read_expression(self._cursor, self._inputs, real_division=True)
        if is_k:
            k = self._inputs.settle_integer(expression)
            if k.kind != INT:
                raise self._cursor.source.rejected(offset, "crk takes an integer")
            expression = self._modifiers.phase_of_k(k)
        self._expressions[offset] = (expression, self._cursor.mark)
        return expression

    def _measure(self, token: Token) -> None:
        axis = _AXES[token.text.lower()]
        for qubit in self._operand():
            self._builder.measure(qubit, qubit, token.offset, axis=axis)

    def _measure_all(self, token: Token) -> None:
        for qubit in self._together(list(range(self._qubits)), token):
            self._builder.measure(qubit, qubit, token.offset)

    def _prepare(self, token: Token) -> None:
        for qubit in self._operand():
            self._builder.reset(qubit, token.offset)
            for name in _PREPARATIONS[token.text.lower()]:
                self._builder.gate(Gate(name), (qubit,), token.offset)

    def _barrier(self, token: Token) -> None:
        everything = list(range(self._qubits))
        at_end = self._cursor.at_separator() or self._cursor.token.text in ("|", "}")
        self._builder.barrier(everything if at_end else self._operand(), token.offset)

    def _wait(self, token: Token) -> None:
        """`wait q[0], 3`, `wait 3` or `skip 3`."""
        qubits = list(range(self._qubits))
        if self._cursor.token.kind == NAME and self._cursor.token.text.lower() in ("q", *self._aliases):
            qubits = self._operand()
            self._cursor.expect(",", "and a number of cycles")
        self._builder.wait(self._integer("a number of cycles"), qubits, token.offset)

    def _map(self, _token: Token) -> None:
        """`map q[0], data` makes `data` another name for the qubit."""
        cursor = self._cursor
        if cursor.token.text.lower() == "b":
            raise cursor.rejected("names for bits are not supported: nothing here could use them")
        qubits = self._indices_or_alias()
        cursor.expect(",", "and a name")
        if cursor.token.kind != NAME:
            raise cursor.unexpected("a name")
        self._aliases[cursor.next().text.lower()] = qubits

    # -------------------------------------------------------------- operands

    def _operand(self) -> list[int]:
        token = self._cursor.token
        return self._together(self._indices_or_alias(), token)

    def _together(self, qubits: list[int], token: Token) -> list[int]:
        """The same qubits, unless a statement that runs in parallel uses one of them."""
        if self._bundle is not None:
            if not self._bundle.isdisjoint(qubits):
                raise self._cursor.source.rejected(token.offset, "statements in parallel use the same qubit")
            self._bundle.update(qubits)
        return qubits

    def _indices_or_alias(self) -> list[int]:
        cursor = self._cursor
        token = cursor.token
        if token.kind != NAME:
            raise cursor.unexpected("a qubit, such as q[0]")
        name = token.text.lower()
        if name in self._aliases:
            cursor.next()
            return self._aliases[name]
        if name != "q":
            raise cursor.rejected(f"'{token.text[:40]}' is no qubit{nearest(name, self._aliases) or '; write q[0]'}")
        cursor.next()
        if not cursor.accept("["):
            return list(range(self._qubits))
        indices = self._range()
        while cursor.accept(","):
            indices += self._range()
        cursor.expect("]", "after the indices")
        return indices

    def _range(self) -> list[int]:
        first = last = self._index()
        offset = self._cursor.token.offset
        if self._cursor.accept(":"):
            last = self._index()
        if last < first:
            raise self._cursor.source.rejected(offset, "a range goes from its lower to its higher index")
        return list(range(first, last + 1))

    def _index(self) -> int:
        offset = self._cursor.token.offset
        index = self._integer("an index")
        if not 0 <= index < self._qubits:
            raise self._cursor.source.rejected(offset, f"there is no qubit {index}: the circuit has {self._qubits}")
        return index

    def _integer(self, what: str) -> int:
        token = self._cursor.token
        settled = self._inputs.settle_integer(read_expression(self._cursor, self._inputs, real_division=True))
        if settled.kind != INT:
            raise self._cursor.source.rejected(token.offset, f"{what} is a whole number, not {settled.value}")
        return int(settled.value)
