"""Says in this project's words what libqasm found wrong."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from hybrid_runtime.languages.source import nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from hybrid_runtime.languages.statements3 import Statement

_GATES = (
    *("I", "H", "X", "Y", "Z", "S", "Sdag", "T", "Tdag", "X90", "mX90", "Y90", "mY90", "Z90", "mZ90"),
    *("Rx", "Ry", "Rz", "Rn", "U", "CNOT", "CZ", "CR", "CRk", "SWAP", "inv", "pow", "ctrl"),
    *("qubit", "bit", "measure", "init", "reset", "barrier", "wait"),
)
# What people write who come from another language, and what they mean.
_ELSEWHERE = {
    "measure_all": "; write `b = measure q`",
    "measure_z": "; write `b[0] = measure q[0]`",
    "prep_z": "; write `reset q[0]` or leave it out",
    "qubits": "; write `qubit[2] q`",
    "bits": "; write `bit[2] b`",
    "creg": "; write `bit[2] b`",
    "qreg": "; write `qubit[2] q`",
    "cx": "; did you mean CNOT?",
    "sx": "; did you mean X90?",
    "sdg": "; did you mean Sdag?",
    "tdg": "; did you mean Tdag?",
    "p": "; did you mean Rz?",
    "cp": "; did you mean CR?",
    "u3": "; did you mean U?",
    "hadamard": "; did you mean H?",
    **dict.fromkeys(("if", "for", "while", "cond", "else"), "; cQASM 3.0 has no control flow: use Python around it"),
    **dict.fromkeys(("toffoli", "ccx", "ccnot"), "; cQASM 3.0 has none: build it from CNOT, T and Tdag"),
}


def explain(message: str, statement: Statement, column: int, registers: Collection[str]) -> tuple[int, str]:
    """Where in the source a message of libqasm points, and what it says in words of cQASM.

    Args:
        message: The message.
        statement: The statement that it is about.
        column: Where in the statement's text.
        registers: Names that the program declares.
    """
    offset = statement.offset_of_column(column)
    for pattern, say in _MESSAGES:
        found = pattern.search(message)
        if found:
            return offset, say(found, registers)
    if not _SYNTAX.search(message):
        return offset, f"this is not valid in cQASM 3: {message}"
    first = statement.words[0]
    if first not in _GATES and first not in registers and "=" not in statement.words:
        return statement.offset, _unknown(first)
    return offset, "this is not a cQASM 3 statement"


_SYNTAX = re.compile("mismatched input|no viable alternative|extraneous input|missing .* at|token recognition")


def _unknown(name: str) -> str:
    return f"unknown gate '{name[:40]}'{_ELSEWHERE.get(name.lower()) or nearest(name, _GATES)}"


def _unknown_gate(found: re.Match[str], _registers: Collection[str]) -> str:
    return _unknown(found[1])


def _unknown_register(found: re.Match[str], registers: Collection[str]) -> str:
    declared = nearest(found[1], registers) or f"; declared are {', '.join(sorted(registers)) or 'none'}"
    return f"nothing is declared with the name '{found[1][:40]}'{declared}"


def _fixed(text: str) -> Callable[[re.Match[str], Collection[str]], str]:
    return lambda found, _registers: found.expand(text)


def _plural(found: re.Match[str], _registers: Collection[str]) -> str:
    wanted = "1 parameter" if found[2] == "1" else f"{found[2]} parameters"
    return f"{found[1]} takes {wanted}, not {found[3]}"


_MESSAGES: tuple[tuple[re.Pattern[str], Callable[[re.Match[str], Collection[str]], str]], ...] = tuple(
    (re.compile(pattern), say)
    for pattern, say in (
        (r"couldn't find instruction '(\w+)'", _unknown_gate),
        (r"failed to resolve variable '(\w+)'", _unknown_register),
        (r"instruction '(?:\dq_)?(\w+)' expects (\d+) parameters?, but got (\d+)", _plural),
        (r"instruction '(\w+)' expects no parameters, but got (\d+)", _fixed(r"\1 takes no parameters, not \2")),
        (r"instruction '(\w+)' does not have an overload with (\d+)", _fixed(r"\1 does not take \2 parameters")),
        (
            r"failed to resolve instruction '(?:\dq_)?(\w+)' with argument pack \((.*)\)",
            _fixed(r"\1 cannot be applied to (\2)"),
        ),
        (r"failed to resolve '(\w+)' with parameter type \((\w+)\)", _fixed(r"\1 does not take a \2 for a parameter")),
        (r"trying to redeclare variable '(\w+)'", _fixed(r"the name '\1' is taken already")),
        (r"index (-?\d+) out of range \(size (\d+)\)", _fixed(r"index \1 is outside the register, which has size \2")),
        (r"last index is lower than first", _fixed("a range goes from its lower to its higher index")),
        (r"indexation is not supported for value of type '(\w+)'", _fixed(r"a single \1 takes no index")),
        (r"qubit and bit indices have different sizes", _fixed("there are not as many bits as qubits")),
        (r"qubit operands indices have different sizes", _fixed("the operands have different numbers of qubits")),
        (r"gate modifier to a multi-qubit gate", _fixed("inv, pow and ctrl apply to one-qubit gates only")),
        (r"mismatched input '(\w+)' expecting IDENTIFIER", _fixed(r"'\1' is a word of cQASM and no name")),
    )
)
