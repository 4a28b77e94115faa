"""What the pages show can be run as it stands there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from hybrid_runtime import run

DOCS = Path(__file__).parent.parent.parent / "docs"
PAGES = sorted(str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md"))


def examples(page: str) -> list[str]:
    """The Python examples of a page."""
    return re.findall(r"^```python\n(.*?)^```", (DOCS / page).read_text(), re.MULTILINE | re.DOTALL)


def tutorial_file(name: str, folder: Path) -> str:
    """The path of one of the tutorial's files, written to `folder`: the example that defines `name`."""
    (source,) = [text for text in examples("tutorial/first-hybrid-job.md") if f"def {name}(" in text]
    path = folder / f"{name}.py"
    path.write_text(source)
    return str(path)


@pytest.mark.parametrize("page", PAGES)
def test_python_examples_are_python(page: str) -> None:
    for source in examples(page):
        ast.parse(source)


def test_the_first_circuit_of_the_tutorial_gives_two_outcomes_in_equal_parts(tmp_path: Path) -> None:
    result = run(tutorial_file("bell", tmp_path), shots=1000, seed=7).raise_for_error()
    assert set(result.value) == {"00", "11"}
    # Five standard deviations of a binomial with 1000 trials.
    assert abs(result.value["00"] - 500) < 5 * 15.8


def test_the_loop_of_the_tutorial_finds_the_energy_it_promises(tmp_path: Path) -> None:
    result = run(tutorial_file("ground_state", tmp_path), shots=100_000, seed=1).raise_for_error()
    assert result.value["energy"] == pytest.approx(-1.1456, abs=0.005)
    assert result.value["theta"] == pytest.approx(-0.230, abs=0.1)
