"""Parses circuits in a process of its own, because a parser may crash: `python -m hybrid_runtime.cli.circuit_check`.

It reads one circuit a line as JSON on stdin and answers each with one line on stdout, at once: what it has
not answered when it dies is what killed it.
"""

from __future__ import annotations

import sys

import msgspec

from hybrid_runtime.circuit import Circuit
from hybrid_runtime.errors import CircuitRejected
from hybrid_runtime.languages.compiler import Compiler


class Question(msgspec.Struct, frozen=True):
    """A circuit to parse: the arguments of `Circuit`."""

    source: str
    parameters: dict[str, float | list[float]]
    language: str | None


class Answer(msgspec.Struct, frozen=True):
    """What is wrong with it; None when nothing is."""

    problem: str | None


def main() -> None:
    """Answer until stdin ends."""
    compiler = Compiler()
    for line in sys.stdin.buffer:
        answer = Answer(parse(compiler, msgspec.json.decode(line, type=Question)))
        sys.stdout.buffer.write(msgspec.json.encode(answer) + b"\n")
        sys.stdout.buffer.flush()


def parse(compiler: Compiler, question: Question) -> str | None:
    """What is wrong with this circuit; None when nothing is."""
    try:
        compiler.compile(Circuit(question.source, parameters=question.parameters, language=question.language))
    except CircuitRejected as error:
        return str(error)
    return None


if __name__ == "__main__":
    main()
