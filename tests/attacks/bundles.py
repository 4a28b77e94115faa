"""Attacks by bundles: what is uploaded before any code runs."""

from __future__ import annotations

from typing import Any

# A bundle's files, entry and what else is forged, by title; each must be refused as a `BundleError`.
FORGED: dict[str, dict[str, Any]] = {
    "an absolute path": {"files": {"/etc/cron.d/x": b""}},
    "a path that leads out": {"files": {"../../out.py": b""}},
    "a path that leads out inside": {"files": {"a/../../out.py": b""}},
    "a backslash path": {"files": {"..\\out.py": b""}},
    "a drive": {"files": {"C:out.py": b""}},
    "an empty part": {"files": {"a//b.py": b""}},
    "a zero byte": {"files": {"a\0b.py": b""}},
    "a line break": {"files": {"a\nb.py": b""}},
    "names that clash by case": {"files": {"a.py": b"", "A.py": b""}},
    "names that clash by composition": {"files": {"\u00e9.py": b"", "e\u0301.py": b""}},
    "a file that is also a folder": {"files": {"a": b"", "a/b.py": b""}},
    "a very long name": {"files": {"a" * 300: b""}},
    "too many files": {"files": {f"f{number}": b"" for number in range(2001)}},
    "an entry that is not there": {"entry": "other.py"},
    "an entry that leads out": {"entry": "../main.py"},
    "no entry at all": {"entry": ""},
    "both an entry and a pickle": {"pickle": b"x"},
    "an unknown format": {"format": 99},
}
