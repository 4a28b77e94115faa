"""Plain cQASM 3 statements, as libqasm answers for them: most circuits hold nothing else.

libqasm takes a third of a millisecond to say that `H q[0]` is what it seems to be, and twice that in a process that
has slept. Nothing is refused here, and nothing is accepted that leaves anything to judge: such a statement, right or
wrong, has libqasm read the whole. A test holds the answers against libqasm's own.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from hybrid_runtime.languages.gates import FIXED
from hybrid_runtime.languages.libqasm3 import (
    Constant,
    Gate,
    GateInstruction,
    GateNode,
    Instruction,
    Name,
    Operand,
    OtherInstruction,
    Reference,
    Value,
    Variable,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hybrid_runtime.languages.statements3 import Statement

# How many parameters and qubits each takes.
_GATES = {
    **dict.fromkeys(FIXED, (0, 1)),
    **dict.fromkeys(("Rx", "Ry", "Rz"), (1, 1)),
    **dict.fromkeys(("CNOT", "CZ", "SWAP"), (0, 2)),
    "CR": (1, 2),
}
# Names that no word of the language is like.
_NAME = re.compile(r"[a-z]|[a-z]+[0-9_][a-z0-9_]*|qr|cr|reg|qreg|creg|qubits|bits|data|ancilla|result|results")
_WITHOUT_GATE = ("reset", "init", "barrier")
_QUBIT, _BIT = "qubit", "bit"


class _Place(NamedTuple):
    """What an instruction is applied to: so many qubits or bits, one by its index or a whole register."""

    kind: str
    size: int
    indexed: bool
    operand: Operand


def instructions(statements: Iterable[Statement]) -> list[Instruction] | None:
    """What libqasm would answer for these statements; None where one of them is not plain."""
    registers: dict[str, tuple[str, int]] = {}
    found = []
    for statement in statements:
        words = statement.words
        if statement.declares:
            if len(words) != 5 or words[1] != "[" or words[4] in registers or not _NAME.fullmatch(words[4]):
                return None
            registers[words[4]] = words[0], int(words[2])
            continue
        if words[0] in _GATES:
            instruction = _gate(words, registers)
        elif words[0] in _WITHOUT_GATE:
            instruction = _other(words, registers)
        else:
            instruction = _measurement(words, registers)
        if instruction is None:
            return None
        found.append(instruction)
    return found


def _gate(words: list[str], registers: dict[str, tuple[str, int]]) -> Instruction | None:
    name = words[0]
    parameters, qubits = _GATES[name]
    markers = []
    rest = words[1:]
    if parameters:
        if rest[:1] != ["("] or rest[2:3] != [")"]:
            return None
        markers = [Constant(const_float=Value(rest[1].removesuffix(".")))]
        rest = rest[3:]
    if qubits == 1:
        places = [_place(rest, registers)]
    elif len(rest) == 9 and rest[4] == ",":
        places = [_place(rest[:4], registers), _place(rest[5:], registers)]
    else:
        return None
    operands = [place.operand for place in places if place is not None and place.kind == _QUBIT]
    if len(operands) != qubits:
        return None
    return Instruction(gate_instruction=GateInstruction(Gate(GateNode(name, "-", markers)), operands))


def _other(words: list[str], registers: dict[str, tuple[str, int]]) -> Instruction | None:
    place = _place(words[1:], registers)
    if place is None or place.kind != _QUBIT:
        return None
    return Instruction(non_gate_instruction=OtherInstruction(words[0], [place.operand], []))


def _measurement(words: list[str], registers: dict[str, tuple[str, int]]) -> Instruction | None:
    middle = words.index("=") if "=" in words else 0
    if words[middle : middle + 2] != ["=", "measure"]:
        return None
    bits, qubits = _place(words[:middle], registers), _place(words[middle + 2 :], registers)
    if bits is None or qubits is None or (bits.kind, qubits.kind) != (_BIT, _QUBIT):
        return None
    if bits.indexed != qubits.indexed or bits.size != qubits.size:
        return None
    measure = OtherInstruction("measure", [bits.operand, qubits.operand], [])
    return Instruction(non_gate_instruction=measure)


def _place(words: list[str], registers: dict[str, tuple[str, int]]) -> _Place | None:
    """A register, or one element of it."""
    kind, size = registers.get(words[0], ("", 0)) if words else ("", 0)
    if not kind:
        return None
    variable = Variable(Name(words[0]))
    if len(words) == 1:
        return _Place(kind, size, False, Operand(variable_ref=Reference(variable)))
    if len(words) != 4 or words[1] != "[" or words[3] != "]" or int(words[2]) >= size:
        return None
    index = Constant(const_int=Value(words[2]))
    return _Place(kind, 1, True, Operand(index_ref=Reference(variable, [index])))
