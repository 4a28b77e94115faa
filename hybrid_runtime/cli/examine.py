"""All checks of a file together, and what they say."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from hybrid_runtime.bundle import bundle_file, split_target
from hybrid_runtime.cli.algorithms import Algorithms
from hybrid_runtime.cli.circuit_texts import CircuitText, circuit_texts
from hybrid_runtime.cli.findings import Finding
from hybrid_runtime.cli.lint_algorithms import check_algorithms
from hybrid_runtime.cli.lint_circuits import check_circuits
from hybrid_runtime.cli.lint_draws import check_draws
from hybrid_runtime.cli.lint_imports import check_imports
from hybrid_runtime.cli.sources import Project
from hybrid_runtime.errors import BundleError
from hybrid_runtime.protocol.bundles import Bundle, encode_bundle

if TYPE_CHECKING:
    from hybrid_runtime.resources.backends import Environment


class Report(msgspec.Struct):
    """What the check found, and what it looked at."""

    target: str
    findings: list[Finding]
    algorithms: dict[str, str] = {}
    files: list[str] = []
    packages: dict[str, str] = {}
    bundle_bytes: int | None = None
    circuits: int = 0

    @property
    def errors(self) -> int:
        """How many findings are errors."""
        return sum(finding.severity == "error" for finding in self.findings)

    def to_dict(self) -> dict[str, Any]:
        """The object that `--json` prints."""
        return {"ok": not self.errors, **msgspec.to_builtins(self)}

    def to_text(self) -> str:
        """One finding a line, then what was looked at and the verdict."""
        lines = [str(finding) for finding in self.findings]
        if self.bundle_bytes is not None:
            named = ", ".join(f"{name} ({style})" for name, style in self.algorithms.items()) or "none"
            lines.append(f"algorithms: {named}")
            lines.append(f"bundle: {self.bundle_bytes} bytes, {', '.join(self.files)}; circuits: {self.circuits}")
        warnings = len(self.findings) - self.errors
        verdict = ", ".join(
            [_count(self.errors, "error")] * bool(self.errors) + [_count(warnings, "warning")] * bool(warnings)
        )
        return "\n".join([*lines, f"{self.target}: {verdict or 'nothing wrong was found'}"])


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("s" if number != 1 else "")


def examine(target: str, there: Environment | None = None, include: Sequence[str] = ()) -> Report:
    """Check `FILE` or `FILE:NAME`, as it would run here, or in an environment of a server."""
    path, name = split_target(target)
    try:
        bundle = bundle_file(target, include)
        size = len(encode_bundle(bundle))
        project = Project(bundle, Path(path).parent)
    except BundleError as error:
        return Report(target, [Finding(path, _syntax_error_line(path), "error", str(error))])
    return _examine(bundle, size, project, name, there)


def _syntax_error_line(path: str) -> int:
    """The line at which a file stops being Python; 1 where that is not what is wrong with it."""
    try:
        ast.parse(Path(path).read_bytes())
    except SyntaxError as error:
        return error.lineno or 1
    except (OSError, ValueError, RecursionError, MemoryError):
        return 1
    return 1


def _examine(bundle: Bundle, size: int, project: Project, name: str, there: Environment | None) -> Report:
    algorithms = Algorithms(project)
    texts = [text for module in project.modules.values() for text in circuit_texts(module)]
    return Report(
        target=project.entry.file + (f":{name}" if name else ""),
        findings=sorted([*_findings(project, algorithms, texts, name, there), *_misfits(bundle, project, there)]),
        algorithms={one: algorithms.style(one) for one in algorithms.names()},
        files=sorted(bundle.files),
        packages=bundle.packages,
        bundle_bytes=size,
        circuits=len(texts),
    )


def _findings(
    project: Project, algorithms: Algorithms, texts: list[CircuitText], name: str, there: Environment | None
) -> Iterator[Finding]:
    yield from check_algorithms(algorithms, project.entry, name)
    yield from check_imports(project, there)
    yield from check_draws(project)
    yield from check_circuits(texts)


def _misfits(bundle: Bundle, project: Project, there: Environment | None) -> Iterator[Finding]:
    """What differs between this interpreter and an environment, or between it and what the file requires."""
    if there is None:
        return
    from hybrid_runtime.client.fit import differences

    for one in differences(bundle, there):
        yield Finding(project.entry.file, 1, one.severity, one.text)
