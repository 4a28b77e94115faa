"""The rules about the source that no linter knows."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "hybrid_runtime"
MODULES = {str(path.relative_to(PACKAGE)): ast.parse(path.read_text()) for path in sorted(PACKAGE.rglob("*.py"))}

MOST_LINES = 400
RUNS_USER_CODE = re.compile(r"classical/(worker|loader)\w*\.py")


def offenders(rule: Callable[[ast.AST], bool]) -> dict[str, list[int]]:
    """Lines that break a rule, by module."""
    found: dict[str, list[int]] = {}
    for name, tree in MODULES.items():
        lines = [getattr(node, "lineno", 0) for node in ast.walk(tree) if rule(node)]
        if lines:
            found[name] = lines
    return found


def names(node: ast.AST, module: str, *members: str) -> bool:
    """Whether the node is `module.member` or imports the member from the module."""
    if isinstance(node, ast.Attribute):
        return isinstance(node.value, ast.Name) and node.value.id == module and node.attr in members
    if isinstance(node, ast.ImportFrom):
        return node.module == module and any(alias.name in members for alias in node.names)
    return False


# ------------------------------------------------------------------ the package


def test_modules_stay_short_enough_to_hold_one_idea() -> None:
    lengths = {name: len((PACKAGE / name).read_text().splitlines()) for name in MODULES}
    assert {name: length for name, length in lengths.items() if length > MOST_LINES} == {}


def test_sub_packages_import_nothing_by_themselves() -> None:
    # `testing` is for users: its names are their imports, and nothing that starts a worker imports it.
    facades = {
        name: [ast.unparse(statement) for statement in tree.body[1:]]
        for name, tree in MODULES.items()
        if name.endswith("/__init__.py") and (len(tree.body) != 1 or ast.get_docstring(tree) is None)
        if name != "testing/__init__.py"
    }
    assert facades == {}


def test_modules_start_with_a_docstring() -> None:
    assert [name for name, tree in MODULES.items() if not ast.get_docstring(tree)] == []


def test_modules_postpone_their_annotations() -> None:
    without = [
        name
        for name, tree in MODULES.items()
        if len(tree.body) > 2 and not any(names(node, "__future__", "annotations") for node in tree.body)
    ]
    assert without == []


def test_only_config_reads_environment_variables() -> None:
    # Setting one, for a child or for a library that is about to be loaded, is not reading it.
    setters = ("clear", "pop", "setdefault", "update")
    allowed = {
        id(node.value)
        for tree in MODULES.values()
        for node in ast.walk(tree)
        if (isinstance(node, ast.Subscript) and not isinstance(node.ctx, ast.Load))
        or (isinstance(node, ast.Attribute) and node.attr in setters)
    }
    found = offenders(
        lambda node: names(node, "os", "environ", "environb", "getenv", "getenvb") and id(node) not in allowed
    )
    assert set(found) <= {"config.py"}


def test_only_the_fork_server_forks() -> None:
    def forks(node: ast.AST) -> bool:
        return names(node, "os", "fork", "forkpty", "posix_spawn") or names(node, "syscalls", "fork")

    found = offenders(forks)
    assert set(found) <= {"classical/forkserver.py"}


def test_only_the_sandbox_loads_pickles() -> None:
    def loads(node: ast.AST) -> bool:
        return any(names(node, module, "load", "loads", "Unpickler") for module in ("pickle", "cloudpickle", "marshal"))

    assert [name for name in offenders(loads) if not RUNS_USER_CODE.fullmatch(name)] == []


def test_only_the_sandbox_runs_code_from_text() -> None:
    def runs(node: ast.AST) -> bool:
        return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("eval", "exec")

    assert [name for name in offenders(runs) if not RUNS_USER_CODE.fullmatch(name)] == []


@pytest.mark.parametrize(
    "module",
    [
        "hybrid_runtime",
        "hybrid_runtime.classical.forkserver",
        "hybrid_runtime.context",
        "hybrid_runtime.dispatcher.loop",
        "hybrid_runtime.optimize",
    ],
)
def test_importing_it_loads_no_heavy_package(module: str) -> None:
    heavy = {"cqasm", "numpy", "qulacs", "rich", "scipy", "typer", "zmq"}
    program = f"import {module}, sys; print(*sorted({heavy!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


# ------------------------------------------------------------------ packaging


def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def locked(name: str) -> dict[str, list[str]]:
    """Versions by package of a lock file."""
    versions: dict[str, list[str]] = {}
    for line in (ROOT / "requirements" / name).read_text().splitlines():
        if re.match("[a-z0-9]", line):
            pin = Requirement(line.removesuffix("\\"))
            versions.setdefault(pin.name, []).append(str(pin.specifier).removeprefix("=="))
    return versions


@pytest.mark.parametrize(
    ("lock", "extras"), [("runtime.lock", ()), ("dev.lock", ("test", "lint", "docs"))], ids=["runtime", "dev"]
)
def test_locks_pin_every_dependency_within_its_range(lock: str, extras: tuple[str, ...]) -> None:
    table = project()["project"]
    texts = [*table["dependencies"], *project()["build-system"]["requires"]]
    texts += [text for extra in extras for text in table["optional-dependencies"][extra]]
    pins = locked(lock)
    wrong = [
        text
        for text, need in ((text, Requirement(text)) for text in texts)
        if not pins.get(need.name) or not all(need.specifier.contains(version) for version in pins[need.name])
    ]
    assert wrong == [], "run: make lock"


def test_both_locks_agree() -> None:
    runtime, dev = locked("runtime.lock"), locked("dev.lock")
    assert {name: versions for name, versions in runtime.items() if dev.get(name) != versions} == {}


@pytest.mark.parametrize("lock", ["runtime.lock", "dev.lock"])
def test_locks_name_hashes_and_no_place(lock: str) -> None:
    text = (ROOT / "requirements" / lock).read_text()
    pins = re.findall(r"^[a-z0-9].*(?:\n    --hash=sha256:[0-9a-f]{64}.*)+", text, re.MULTILINE)
    assert len(pins) == sum(len(versions) for versions in locked(lock).values())
    assert not re.search(r"https?:|file:|--index|--extra-index|--find-links", text)


def test_the_build_backend_is_locked_as_the_build_asks_for_it() -> None:
    assert project()["dependency-groups"]["build"] == project()["build-system"]["requires"]
