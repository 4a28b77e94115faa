"""libqasm's judgement of a cQASM 3 text, as typed data.

libqasm answers in JSON, with an object around each node that names its kind: here the structs renamed to
pascal case. What this project does not use has no field, and decoding skips it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from cqasm.v3x import Analyzer


class Value(msgspec.Struct):
    """A number, which JSON holds as text."""

    value: str


class Constant(msgspec.Struct, rename="pascal"):
    """A parameter or an index."""

    const_int: Value | None = None
    const_float: Value | None = None
    const_bool: Value | None = None

    @property
    def text(self) -> str:
        """The number."""
        number = self.const_int or self.const_float or self.const_bool
        return number.value if number else ""


class Name(msgspec.Struct):
    """The name of a register, or of a single qubit or bit."""

    name: str


class Variable(msgspec.Struct, rename="pascal"):
    """What a reference refers to."""

    variable: Name


class Reference(msgspec.Struct):
    """A register, or those of its elements that have these indices."""

    variable: Variable
    indices: list[Constant] | None = None


class Operand(msgspec.Struct, rename="pascal"):
    """What a gate or an instruction is applied to."""

    variable_ref: Reference | None = None
    index_ref: Reference | None = None

    @property
    def reference(self) -> Reference:
        """Whichever it is."""
        reference = self.index_ref or self.variable_ref
        assert reference is not None
        return reference


class GateNode(msgspec.Struct):
    """A named gate, where `gate` is "-", or a modifier of the gate that is in `gate`."""

    name: str
    gate: Gate | str
    parameters: list[Constant]


class Gate(msgspec.Struct, rename="pascal"):
    """Wraps a gate."""

    gate: GateNode


class GateInstruction(msgspec.Struct):
    """A gate and what it is applied to."""

    gate: Gate
    operands: list[Operand]


class OtherInstruction(msgspec.Struct):
    """`measure`, `reset`, `init`, `barrier` or `wait`; a measurement's first operand is its bits."""

    name: str
    operands: list[Operand]
    parameters: list[Constant]


class Instruction(msgspec.Struct, rename="pascal"):
    """Wraps a statement that is not a declaration."""

    gate_instruction: GateInstruction | None = None
    non_gate_instruction: OtherInstruction | None = None


class Instructions(msgspec.Struct):
    """All of them, in the order of the text."""

    statements: list[Instruction]


class Block(msgspec.Struct, rename="pascal"):
    """Wraps the instructions."""

    block: Instructions


class ProgramNode(msgspec.Struct):
    """A program."""

    block: Block


class Place(msgspec.Struct):
    """A place in the text, both counted from 1."""

    line: int = 1
    character: int = 1


class Span(msgspec.Struct):
    """Part of the text."""

    start: Place


class Problem(msgspec.Struct):
    """What is wrong, and where."""

    message: str
    range: Span = msgspec.field(default_factory=lambda: Span(Place()))


class Answer(msgspec.Struct):
    """A program or what is wrong with it."""

    program: ProgramNode | None = msgspec.field(default=None, name="Program")
    errors: list[Problem] = []


_decode = msgspec.json.Decoder(Answer).decode
# Made ahead; and those used since, for taking one apart takes as long as making it.
_ahead: list[Analyzer] = []
_used: list[Analyzer] = []
# All that a program may hold. libqasm learns its language while it reads: the first text that holds something takes
# several times as long as the next.
_LESSON = """version 3.0
qubit[4] q
bit[4] b
qubit r
bit c
I q[0]
H q
X q[0, 1]
Y q[1:3]
Z q[0]
S q[0]
Sdag q[0]
T q[0]
Tdag q[0]
X90 q[0]
mX90 q[0]
Y90 q[0]
mY90 q[0]
Rx(0) q[0]
Ry(1.) q[1]
Rz(23.) q
CNOT q[0], q[1]
CZ q[1], q[2]
CR(45.) q[0], q[1]
CRk(67) q[2], q[3]
SWAP q[0], q[1]
ctrl.X q[0], q[1]
inv.S q[0]
pow(8.).H q[0]
ctrl.inv.Rx(9.) q[0], q[1]
reset q[0]
init q
barrier q
wait(10) q[0]
b[0, 2] = measure q[0, 2]
b[1] = measure q[1]
b = measure q
c = measure r
"""


def learn() -> bool:
    """Read what a program may hold, so that users' texts are not the first to hold it: two milliseconds, once.

    Returns:
        Whether all of it was understood.
    """
    return not isinstance(analyze(_LESSON), Problem)


def make_ahead(count: int) -> None:
    """Have so many analyzers ready for the next texts: each takes a third of a millisecond."""
    from cqasm.v3x import Analyzer

    _ahead.extend(Analyzer() for _ in range(count - len(_ahead)))


def analyze(text: str) -> list[Instruction] | Problem:
    """The instructions of a text, or the first thing that is wrong with it.

    The text must not hold what ends the process instead of giving an answer: a division or remainder by
    zero, or more levels of nesting than the stack has room for.
    """
    if _ahead:
        analyzer = _ahead.pop()
        _used.append(analyzer)
    else:
        from cqasm.v3x import Analyzer  # here, because it takes milliseconds that not every process needs

        # A new analyzer each time: a used one remembers the registers of the text before.
        analyzer = Analyzer()
    answer = _decode(analyzer.analyze_string_to_json(text))
    if answer.program is not None:
        return answer.program.block.block.statements
    nowhere = Problem("libqasm gives no reason")
    return min(
        answer.errors, key=lambda problem: (problem.range.start.line, problem.range.start.character), default=nowhere
    )
