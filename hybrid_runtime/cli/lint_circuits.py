"""Checks that the circuits which a file spells out can be parsed."""

from __future__ import annotations

import re
import signal
import subprocess
from collections.abc import Iterator, Sequence

import msgspec

from hybrid_runtime.cli.circuit_check import Answer, Question
from hybrid_runtime.cli.circuit_texts import CircuitText
from hybrid_runtime.cli.findings import Finding, Severity
from hybrid_runtime.config import child_environment
from hybrid_runtime.errors import InternalError
from hybrid_runtime.process import interpreter

# For all circuits of a file together: a circuit of the largest size takes about a second to parse.
_TIMEOUT_S = 60.0
_PLACE = re.compile(r"line (\d+), column \d+: ")


def check_circuits(texts: Sequence[CircuitText]) -> Iterator[Finding]:
    """What is wrong with these circuits."""
    for text, problem in zip(texts, problems(texts), strict=True):
        if problem is None:
            continue
        place = _PLACE.match(problem)
        inside = int(place[1]) - 1 if place and text.lines_match else 0
        severity: Severity = "error" if text.certain else "warning"
        guess = "" if text.certain else "with numbers put in for what is inserted: "
        yield Finding(text.file, text.line + inside, severity, f"circuit: {guess}{problem}")


def problems(texts: Sequence[CircuitText], command: Sequence[str] = ()) -> list[str | None]:
    """What is wrong with each circuit; one that kills the parser does not keep the others from their answers.

    Args:
        texts: The circuits.
        command: Another command to ask than `circuit_check`, with the same promises.

    Raises:
        InternalError: the command failed by itself.
    """
    command = command or interpreter("hybrid_runtime.cli.circuit_check")
    found: list[str | None] = []
    while len(found) < len(texts):
        answers, end = _ask(texts[len(found) :], command)
        found += answers
        if len(found) < len(texts):
            found.append(f"the parser did not survive this circuit ({end}): simplify it")
    return found


def _ask(texts: Sequence[CircuitText], command: Sequence[str]) -> tuple[list[str | None], str]:
    """Answers up to the circuit, if any, on which the process died; and how it died."""
    questions = b"".join(
        msgspec.json.encode(Question(text.source, text.parameters, text.language)) + b"\n" for text in texts
    )
    try:
        done = subprocess.run(
            command, input=questions, env=child_environment(), capture_output=True, timeout=_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        return _answers(error.stdout or b""), f"no answer in {_TIMEOUT_S:g} s"
    if done.returncode > 0:
        last = done.stderr.decode(errors="replace").strip().split("\n")[-1]
        raise InternalError(f"the circuits could not be checked: {last or f'exit code {done.returncode}'}")
    return _answers(done.stdout), signal.Signals(-done.returncode).name if done.returncode else "it ended"


def _answers(output: bytes) -> list[str | None]:
    """The answers in this output; one that was cut short is none."""
    return [msgspec.json.decode(line, type=Answer).problem for line in output.split(b"\n")[:-1]]
