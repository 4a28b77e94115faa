from __future__ import annotations

import pytest

from hybrid_runtime import Limits
from hybrid_runtime.declared import Declared, declared_in, merged_limits
from hybrid_runtime.errors import BundleError


def block(*lines: str) -> str:
    return "\n".join(["# /// script", *(f"# {line}".rstrip() for line in lines), "# ///", "", "import numpy", ""])


def test_a_file_without_a_block_declares_nothing():
    assert declared_in("# /// other\n# a = 1\n# ///\nprint('# /// script')\n", "a.py") == Declared()


def test_everything_that_can_be_declared():
    declared = declared_in(
        block(
            'requires-python = ">=3.11"',
            'dependencies = ["numpy>=2", "networkx"]',
            "",
            "[tool.other]",
            "a = 1",
            "[tool.hybrid-runtime]",
            'include = ["data/*.csv"]',
            'parameters = { layers = 2, start = [0.1, 0.2], method = "SPSA" }',
            'limits = { steps = 200, wall = "60s", plateau = ["energy", 1e-4, 10] }',
        ),
        "a.py",
    )
    assert declared == Declared(
        requires_python=">=3.11",
        requires=["numpy>=2", "networkx"],
        include=["data/*.csv"],
        parameters={"layers": 2, "start": [0.1, 0.2], "method": "SPSA"},
        limits={"steps": 200, "wall_s": 60.0, "plateau": ("energy", 1e-4, 10)},
    )


def test_lines_may_end_as_they_do_on_windows():
    assert declared_in(block("dependencies = ['a']").replace("\n", "\r\n"), "a.py").requires == ["a"]


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        (["dependencies = ["], "is not TOML"),
        (["a = " + "[" * 5000], "is not TOML"),
        (["dependencies = 'numpy'"], "dependencies is a list of texts"),
        (["dependencies = [1]"], "dependencies is a list of texts"),
        (["requires-python = 3.11"], "requires-python is a text"),
        (["[tool]", "hybrid-runtime = 1"], "tool.hybrid-runtime is a table"),
        (["[tool.hybrid-runtime]", "limit = {}"], "has no 'limit'"),
        (["[tool.hybrid-runtime]", "limits = { stepz = 1 }"], "stepz"),
        (["[tool.hybrid-runtime]", "limits = { steps = true }"], "steps"),
        (["[tool.hybrid-runtime]", "parameters = { day = 2026-01-01 }"], "no dates"),
        (["[tool.hybrid-runtime]", "parameters = { x = inf }"], "no infinities"),
    ],
)
def test_a_block_that_cannot_be_used_is_refused(lines, says):
    with pytest.raises(BundleError, match=r"a\.py") as caught:
        declared_in(block(*lines), "a.py")
    assert says in str(caught.value)


def test_two_blocks_are_one_too_many():
    with pytest.raises(BundleError, match="join them"):
        declared_in(block("dependencies = []") + block("dependencies = []"), "a.py")


def test_given_limits_are_laid_over_declared_ones():
    declared = {"steps": 200, "wall_s": 60.0}
    assert merged_limits(declared, Limits(steps=5)) == Limits(steps=5, wall_s=60.0)
    assert merged_limits(declared, None) == Limits(steps=200, wall_s=60.0)
    assert merged_limits({}, None) == Limits()
