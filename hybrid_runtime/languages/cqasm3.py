"""Reads cQASM 3 (https://qutech-delft.github.io/cQASM-spec).

Work is divided: numbers are read here, the language is judged by libqasm. Each statement is written out
again for libqasm with plain integers for indices and a marker for each parameter, the parameter's number.
So libqasm never sees arithmetic (a division by zero would end the process), angles may be open, and each
of its messages can be traced to a token of the user's text. Its answer is then walked into operations.
Where nothing is left to judge, `plain3` gives the same answer at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hybrid_runtime.errors import InternalError
from hybrid_runtime.languages import libqasm3, plain3
from hybrid_runtime.languages.builder import Builder, Compilation
from hybrid_runtime.languages.gates import Gate, Modifiers
from hybrid_runtime.languages.libqasm3 import Problem, analyze
from hybrid_runtime.languages.messages3 import explain
from hybrid_runtime.languages.statements3 import Statement, Statements

if TYPE_CHECKING:
    from hybrid_runtime.languages.expressions import Expression
    from hybrid_runtime.languages.inputs import Inputs
    from hybrid_runtime.languages.source import Source
    from hybrid_runtime.languages.tokens import Cursor

# Statements that libqasm is given at once: its answer takes about a kilobyte for each.
_CHUNK = 1000


def read(cursor: Cursor, inputs: Inputs) -> Compilation:
    """Read a program whose version statement is behind the cursor.

    Raises:
        CircuitRejected: it is not a cQASM 3 program, or one that no backend could run.
    """
    statements = Statements(cursor, inputs)
    walk = _Walk(cursor.source, inputs, statements)
    while chunk := statements.read(_CHUNK):
        asked = [statement for statement in chunk if not statement.declares]
        # In front of each part stand the declarations of the parts before it.
        earlier = statements.declarations[: len(statements.declarations) - len(chunk) + len(asked)]
        answers = plain3.instructions(earlier + chunk)
        if answers is None:
            answers = _analyze(cursor.source, earlier + chunk, statements)
        if len(answers) != len(asked):
            raise InternalError("libqasm answered for other statements than it was asked about")
        for answer, statement in zip(answers, asked, strict=True):
            walk.take(answer, statement.offset)
    return walk.builder.finish(statements.qubits, statements.bits, "b = measure q")


def _analyze(source: Source, chunk: list[Statement], statements: Statements) -> list[libqasm3.Instruction]:
    """The instructions among these statements, as libqasm understands them."""
    answer = analyze("\n".join(["version 3.0", *(statement.text for statement in chunk), ""]))
    if not isinstance(answer, Problem):
        return answer
    place = answer.range.start
    statement = chunk[min(max(place.line - 2, 0), len(chunk) - 1)]
    raise source.rejected(*explain(answer.message, statement, place.character, statements.registers))


class _Walk:
    """Turns libqasm's instructions into operations."""

    def __init__(self, source: Source, inputs: Inputs, statements: Statements) -> None:
        self.builder = Builder(source, inputs)
        self._source = source
        self._modifiers = Modifiers(source, inputs)
        self._inputs = inputs
        self._statements = statements

    def take(self, instruction: libqasm3.Instruction, offset: int) -> None:
        """Add the operations of one instruction."""
        if instruction.gate_instruction is not None:
            self._gate(instruction.gate_instruction, offset)
        elif instruction.non_gate_instruction is not None:
            self._other(instruction.non_gate_instruction, offset)

    def _gate(self, instruction: libqasm3.GateInstruction, offset: int) -> None:
        node = instruction.gate.gate
        control = node.name == "ctrl" and isinstance(node.gate, libqasm3.Gate)
        gate = self._lowered(node, controlled=control)
        gates = self._modifiers.controlled(gate) if control else [gate]
        # One gate on many qubits: the k-th application takes the k-th qubit of each operand.
        for qubits in zip(*map(self._indices, instruction.operands), strict=True):
            self.builder.check_distinct(qubits, offset)
            for one in gates:
                self.builder.gate(one, qubits, offset)

    def _lowered(self, node: libqasm3.GateNode, *, controlled: bool) -> Gate:
        """The gate without its control; libqasm lets `ctrl` be the outermost modifier only."""
        parameters = self._values(node.parameters)
        if isinstance(node.gate, str):
            if node.name == "CRk":
                return Gate("CR", (self._modifiers.phase_of_k(parameters[0]),))
            return self._modifiers.named(node.name, parameters)
        inner = self._lowered(node.gate.gate, controlled=controlled)
        if node.name == "inv":
            return self._modifiers.inverse(inner)
        if node.name == "pow":
            return self._modifiers.power(inner, parameters[0], controlled=controlled)
        return inner

    def _other(self, instruction: libqasm3.OtherInstruction, offset: int) -> None:
        name, operands = instruction.name, [self._indices(operand) for operand in instruction.operands]
        parameters = self._values(instruction.parameters)
        if name == "measure":
            axis = self._modifiers.unit_axis(parameters) if parameters else (0.0, 0.0, 1.0)
            for bit, qubit in zip(*operands, strict=True):
                self.builder.measure(qubit, bit, offset, axis=axis)
        elif name in ("reset", "init"):
            for qubit in operands[0]:
                self.builder.reset(qubit, offset)
        elif name == "barrier":
            self.builder.barrier(operands[0], offset)
        else:
            self.builder.wait(int(parameters[0].value), operands[0], offset)

    def _values(self, markers: list[libqasm3.Constant]) -> tuple[Expression, ...]:
        return tuple(self._statements.parameters[int(marker.text)] for marker in markers)

    def _indices(self, operand: libqasm3.Operand) -> list[int]:
        """Places of an operand's qubits or bits among all of the program."""
        reference = operand.reference
        register = self._statements.registers[reference.variable.variable.name]
        if reference.indices is not None:
            return [register.start + int(index.text) for index in reference.indices]
        return list(range(register.start, register.start + register.size))
