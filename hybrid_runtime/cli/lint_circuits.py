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


def problems(texts: Sequence[CircuitText]) -> list[str | None]:
    """What is wrong with each circuit; one that ends the parser's process does not keep the others from theirs."""
    found: list[str | None] = []
    while len(found) < len(texts):
        answers, end = _ask(texts[len(found) :])
        found += answers
        if len(found) < len(texts):
            found.append(f"the parser did not survive this circuit ({end}): simplify it")
    return found


def _ask(texts: Sequence[CircuitText]) -> tuple[list[str | None], str]:
    """Answers up to the circuit, if any, on which the process ended; and how it ended."""
    questions = b"".join(
        msgspec.json.encode(Question(text.source, text.parameters, text.language)) + b"\n" for text in texts
    )
    command = interpreter("hybrid_runtime.cli.circuit_check")
    try:
        done = subprocess.run(
            command, input=questions, env=child_environment(), capture_output=True, timeout=_TIMEOUT_S, check=False
        )
        output, end = done.stdout, _end(done.returncode)
    except subprocess.TimeoutExpired as error:
        output, end = error.stdout or b"", f"no answer in {_TIMEOUT_S:g} s"
    lines = [line for line in output.split(b"\n") if line]
    return [msgspec.json.decode(line, type=Answer).problem for line in lines], end


def _end(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"
