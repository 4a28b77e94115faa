"""A journal in words, and as lines of JSON."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from hybrid_runtime.dispatcher.journal import (
    Began,
    Defined,
    Noted,
    Over,
    Record,
    Resumed,
    Stepped,
    Turned,
    read,
)
from hybrid_runtime.errors import JournalError
from hybrid_runtime.protocol.replay import decode_canonical
from hybrid_runtime.protocol.results import decode_results
from hybrid_runtime.values import decode_value, to_json

_LABEL = 11


class Summary:
    """What a journal holds, as a whole.

    Raises:
        JournalError: it cannot be read, is corrupt or empty.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.began: Began | None = None
        self.over: Over | None = None
        self.records = self.steps = self.shots = self.refused = self.metrics = 0
        self.qpu_s = 0.0
        self.resumed: Counter[str] = Counter()
        for record in read(path):
            self.records += 1
            self._take(record)
        if self.began is None:
            raise JournalError(f"{path} is empty: its job never began")

    def _take(self, record: Record) -> None:
        if isinstance(record, Stepped):
            self.steps += 1
            self.shots += record.shots
            self.qpu_s += record.duration_s
        elif isinstance(record, Turned):
            self.refused += 1
        elif isinstance(record, Noted):
            self.metrics += len(record.metrics)
        elif isinstance(record, Began):
            self.began = record
        elif isinstance(record, Over):
            self.over = record
        elif isinstance(record, Resumed):
            self.over = None
            self.resumed[record.why] += 1

    @property
    def state(self) -> str:
        """How the job ended; `interrupted` where the journal does not say."""
        return "interrupted" if self.over is None else self.over.state

    def to_dict(self) -> dict[str, Any]:
        """The summary as plain data."""
        began = self.began
        assert began is not None
        return {
            "job_id": began.job_id,
            "state": self.state,
            "stop_reason": self.over and self.over.stop_reason,
            "steps": self.steps,
            "shots": self.shots,
            "qpu_s": self.qpu_s,
            "refused": self.refused,
            "metrics": self.metrics,
            "resumed": dict(self.resumed),
            "backend": began.backend.name,
            "seed": began.seed,
            "parameters": to_json(decode_value(began.parameters)),
            "bundle": began.bundle_hash,
            "environment": began.environment,
            "records": self.records,
        }

    def to_text(self) -> str:
        """The summary for a person."""
        found = self.to_dict()
        resumed = ", ".join(f"{count} times ({why})" for why, count in self.resumed.items()) or "never"
        reason = f" ({found['stop_reason']})" if self.over else f": resume it with --resume {found['job_id']}"
        rows = [
            ("job", found["job_id"]),
            ("state", f"{self.state}{reason}"),
            ("steps", f"{self.steps}, with {self.shots} shots and {self.qpu_s:.3g} s of the backend"),
            ("refused", f"{self.refused} steps"),
            ("resumed", resumed),
            ("backend", f"{found['backend']}, seed {found['seed']}"),
            ("bundle", found["bundle"]),
            ("records", str(self.records)),
        ]
        return "\n".join(f"{label:{_LABEL}}{text}" for label, text in rows)


def lines(path: Path) -> Iterator[str]:
    """Every record as one line of JSON: its kind under `record`, and its fields.

    Raises:
        JournalError: the journal cannot be read, or is corrupt.
    """
    for record in read(path):
        tag = record.__struct_config__.tag
        yield json.dumps({"record": tag} | _fields(record), allow_nan=False)


def _fields(record: Record) -> dict[str, Any]:
    fields = {name: getattr(record, name) for name in record.__struct_fields__}
    if isinstance(record, Stepped):
        fields["results"] = [msgspec.structs.asdict(item) for item in decode_results(fields.pop("items"))]
    if isinstance(record, Stepped | Turned):
        fields["request"] = [call.to_dict() for call in decode_canonical(record.request)]
    if isinstance(record, Began):
        fields["parameters"] = decode_value(record.parameters)
    if isinstance(record, Over):
        fields["value"] = decode_value(record.value)
    if isinstance(record, Defined):
        fields["hash"] = record.hash.hex()
    plain = {name: msgspec.to_builtins(value) if _is_struct(value) else value for name, value in fields.items()}
    return {name: to_json(value) for name, value in plain.items()}


def _is_struct(value: Any) -> bool:
    return isinstance(value, msgspec.Struct)
