"""Reads counts out of whatever a text backend answers.

JSON, a Python literal, and the way in which QX prints a result are all understood. The counts may be the answer
itself, or be in it under `results` or a like name. They may be a dictionary by bit string or by number, or a list
of the shots; probabilities, by name or in order, are understood as such.
"""

from __future__ import annotations

import ast
import json
import math
import re
from collections import Counter
from typing import Any

from hybrid_runtime.errors import BackendFailed

_SHOWN = 200
_NAMES = ("results", "result", "counts", "measurements", "histogram", "probabilities")
_BITS = re.compile(r"[01]+")
_NUMBER = re.compile(r"0|[1-9]\d{0,18}")
_SHOTS = re.compile(r"\s*[01]+(?:[\s,;]+[01]+)*\s*")
# `Results: {'00': 5}` as QX prints it; then any other dictionary.
_NAMED = re.compile(r"\b(?:results?|counts)\b['\"]?\s*[:=]\s*(\{[^{}]*\})", re.IGNORECASE)
_ANY = re.compile(r"\{[^{}]*\}")
_NOT_THAT = (ValueError, SyntaxError, TypeError, MemoryError, RecursionError)


def read_counts(text: str, shots: int, qubits: int) -> dict[str, int]:
    """The counts in an answer, by qubit; of probabilities, the counts that `shots` shots come closest to.

    Raises:
        BackendFailed: there are none in it; the text shows what there is.
    """
    for candidate in _candidates(text):
        numbers = _by_bits(candidate, qubits)
        counts = _counts(numbers, shots) if numbers else None
        if counts:
            return counts
    shown = text if len(text) <= _SHOWN else text[:_SHOWN] + "…"
    raise BackendFailed(f"the backend answered {shown!r}, which holds no counts of {qubits} qubits")


def _candidates(text: str) -> list[Any]:
    """What may be the counts, likeliest first."""
    whole = text.replace(",", " ").replace(";", " ").split() if _SHOTS.fullmatch(text) else _parse(text)
    found = [whole[name] for name in _NAMES if isinstance(whole, dict) and name in whole]
    found.append(whole)
    found += [_parse(match[1]) for match in _NAMED.finditer(text)]
    found += [_parse(match[0]) for match in _ANY.finditer(text)]
    return found


def _parse(text: str) -> Any:
    """The value that the text writes, as JSON or as a Python literal; None where it does neither."""
    for read in (json.loads, ast.literal_eval):
        try:
            return read(text.strip())
        except _NOT_THAT:
            continue
    return None


def _by_bits(given: Any, qubits: int) -> dict[str, Any] | None:
    """Numbers by bit string, whichever way they are written."""
    if isinstance(given, dict):
        return _dictionary(given, qubits)
    if not isinstance(given, list) or not given:
        return None
    if all(isinstance(shot, str) and len(shot) == qubits and _BITS.fullmatch(shot) for shot in given):
        return dict(Counter(given))
    if len(given) == 1 << qubits:
        return {format(index, f"0{qubits}b"): value for index, value in enumerate(given)}
    return None


def _dictionary(given: dict[Any, Any], qubits: int) -> dict[str, Any] | None:
    keys = [str(key) for key in given]
    if all(len(key) == qubits and _BITS.fullmatch(key) for key in keys):
        return dict(zip(keys, given.values(), strict=True))
    if all(isinstance(key, str) for key in given) and not any(set(key) - {"0", "1"} for key in keys):
        return None  # bit strings of another length, rather than the numbers 0, 1, 10 and so on
    numbers = [int(key) if _NUMBER.fullmatch(key) else -1 for key in keys]
    if all(0 <= number < 1 << qubits for number in numbers):
        return {format(number, f"0{qubits}b"): value for number, value in zip(numbers, given.values(), strict=True)}
    return None


def _counts(numbers: dict[str, Any], shots: int) -> dict[str, int] | None:
    """The counts, if the numbers are counts or probabilities."""
    if not all(_is_share_or_count(value) for value in numbers.values()):
        return None
    whole = all(float(value).is_integer() for value in numbers.values())
    if whole and (sum(numbers.values()) > 1 or all(isinstance(value, int) for value in numbers.values())):
        return {bits: int(count) for bits, count in numbers.items() if count}
    if math.isclose(sum(numbers.values()), 1.0, abs_tol=1e-3):
        return _apportioned(numbers, shots)
    return None


def _is_share_or_count(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value >= 0


def _apportioned(shares: dict[str, float], shots: int) -> dict[str, int]:
    """Whole counts that add up to `shots`, by largest remainders."""
    total = sum(shares.values())
    exact = {bits: share / total * shots for bits, share in shares.items()}
    counts = {bits: int(value) for bits, value in exact.items()}
    by_remainder = sorted(exact, key=lambda bits: (counts[bits] - exact[bits], bits))
    for bits in by_remainder[: shots - sum(counts.values())]:
        counts[bits] += 1
    return {bits: count for bits, count in counts.items() if count}
