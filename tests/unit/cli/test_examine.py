from __future__ import annotations

import textwrap

import pytest

from hybrid_runtime.cli.examine import examine

LIFECYCLE = """\
from hybrid_runtime import Circuit, Done, HybridAlgorithm


class Algo(HybridAlgorithm):
    def initialize(self, context):
        return Circuit(self.text)

    def execute(self, results):
        return Done(1)
"""


@pytest.fixture
def check(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def report(text, name="", **others):
        (tmp_path / "a.py").write_text(textwrap.dedent(text))
        for module, content in others.items():
            (tmp_path / f"{module}.py").write_text(textwrap.dedent(content))
        return examine(f"a.py:{name}" if name else "a.py")

    return report


@pytest.fixture
def findings(check):
    """What is found, as `line severity text`."""

    def report(text, name="", **others):
        found = check(text, name, **others).findings
        return [f"{finding.file}:{finding.line} {finding.severity} {finding.text}" for finding in found]

    return report


def lifecycle(old, new):
    assert old in LIFECYCLE
    return LIFECYCLE.replace(old, new)


def only(found, start):
    """The one finding there is, which starts like this."""
    assert len(found) == 1, found
    assert found[0].startswith(start)
    return found[0]


# ------------------------------------------------------------------ the file and its algorithms


def test_a_sound_file_has_no_findings_and_its_parts_are_listed(check):
    report = check(LIFECYCLE)
    assert report.findings == []
    assert report.algorithms == {"Algo": "lifecycle"}
    assert report.files == ["a.py"]
    assert report.bundle_bytes > len(LIFECYCLE)


def test_local_modules_are_part_of_the_bundle(check):
    report = check("import helper\n" + LIFECYCLE, helper="import deeper\n", deeper="")
    assert report.files == ["a.py", "deeper.py", "helper.py"]


def test_a_file_that_is_not_python_is_reported_at_its_line(findings):
    only(findings("x = 1\ndef f(:\n"), "a.py:2 error")


def test_a_file_that_does_not_exist_is_an_error(tmp_path):
    report = examine(str(tmp_path / "no.py"))
    assert report.errors == 1
    assert "does not exist" in report.to_text()


def test_a_file_without_an_algorithm_is_an_error(findings):
    only(findings("x = 1\n"), "a.py:1 error no algorithm")


def test_hooks_without_the_base_class_are_told_what_they_lack(findings):
    text = lifecycle("(HybridAlgorithm)", "")
    assert "Algo has hooks but does not derive from HybridAlgorithm" in only(findings(text), "a.py:4 error")


def test_a_function_without_its_mark_is_told_what_it_lacks(findings):
    text = "def algo(context):\n    return 1\n"
    assert "mark algo with @hybrid" in only(findings(text), "a.py:1 error")


def test_a_base_class_from_elsewhere_leaves_a_doubt(findings):
    text = "from collections import UserDict\n\n\nclass Algo(UserDict):\n    pass\n"
    assert "cannot tell whether Algo is an algorithm" in only(findings(text), "a.py:4 warning")


@pytest.mark.parametrize(
    "text",
    [
        "from hybrid_runtime import hybrid as mark\n@mark\ndef algo(context):\n    return 1\n",
        "import hybrid_runtime as hr\n@hr.hybrid()\ndef algo(context):\n    return 1\n",
        "from hybrid_runtime import *\n@hybrid\ndef algo(context):\n    return 1\n",
        "from hybrid_runtime.algorithm import hybrid\nif 1:\n    @hybrid\n    def algo(context):\n        return 1\n",
        "from hybrid_runtime import hybrid\ndef one(context):\n    return 1\nalgo = hybrid(one)\n",
    ],
)
def test_marked_functions_are_found_however_they_are_marked(check, text):
    report = check(text)
    assert report.findings == []
    assert report.algorithms == {"algo": "blocking"}


def test_the_style_of_a_function_is_told(check):
    text = "from hybrid_runtime import hybrid\n@hybrid\ndef algo(context):\n    x = yield context\n    return x\n"
    assert check(text).algorithms == {"algo": "generator"}


TWO = """\
from hybrid_runtime import hybrid
@hybrid
def one(context): return 1
@hybrid
def two(context): return 2
"""


def test_several_algorithms_have_to_be_named(findings):
    assert "a.py:one (one, two)" in only(findings(TWO), "a.py:1 error several algorithms")


def test_a_named_algorithm_is_checked_alone(findings):
    text = TWO.replace("two(context)", "two()")
    assert findings(text, "one") == []
    only(findings(text, "two"), "a.py:5 error two() is called as two(context)")


def test_a_name_that_is_not_there_gets_the_nearest(findings):
    assert "did you mean one?" in only(findings(TWO, "on"), "a.py:1 error no algorithm is named 'on'")


def test_a_base_class_and_a_private_one_are_not_algorithms_to_choose_from(check):
    text = LIFECYCLE + "\n\nclass Special(Algo):\n    pass\n\n\nclass _Hidden(Algo):\n    pass\n"
    report = check(text)
    assert report.findings == []
    assert report.algorithms == {"Special": "lifecycle"}


def test_a_base_class_in_another_file_brings_its_hooks(findings):
    text = "from base import Algo\n\n\nclass Mine(Algo):\n    pass\n"
    assert findings(text, base=LIFECYCLE) == []
    broken = lifecycle("def execute(self, results)", "def execute(self)")
    only(findings(text, base=broken), "base.py:8 error execute(self) is called as execute(self, results)")


def test_a_base_class_that_is_handed_on_by_a_file_is_followed(findings):
    text = "from between import Algo\n\n\nclass Mine(Algo):\n    pass\n"
    assert findings(text, between="from base import Algo\n", base=LIFECYCLE) == []


# ------------------------------------------------------------------ hooks


@pytest.mark.parametrize("name", ["initialise", "Initialize", "intialize"])
def test_a_misspelt_hook_is_recognized(findings, name):
    text = lifecycle("def initialize", f"def {name}")
    only(findings(text), f"a.py:5 error {name} is never called: it is spelt initialize")


def test_a_misspelt_optional_hook_is_a_warning(findings):
    text = LIFECYCLE + "\n    def finalise(self, history):\n        return 1\n"
    only(findings(text), "a.py:11 warning finalise is never called: it is spelt finalize")


def test_a_helper_named_like_a_hook_that_exists_is_no_mistake(findings):
    text = LIFECYCLE + "\n    def executes(self):\n        return 1\n\n    def execute_all(self):\n        return 1\n"
    assert findings(text) == []


def test_a_missing_hook_is_reported_at_the_class(findings):
    text = "from hybrid_runtime import HybridAlgorithm\n\n\nclass Algo(HybridAlgorithm):\n    pass\n"
    assert findings(text) == [
        "a.py:4 error Algo has no execute(self, results)",
        "a.py:4 error Algo has no initialize(self, context)",
    ]


def test_a_hook_that_cannot_be_called_is_reported(findings):
    text = lifecycle("def initialize(self, context)", "def initialize(self)")
    only(findings(text), "a.py:5 error initialize(self) is called as initialize(self, context)")


@pytest.mark.parametrize("call", ["def initialize(context)", "def initialize(*args)"])
def test_a_static_hook_is_called_without_the_instance(findings, call):
    text = lifecycle("    def initialize(self, context)", f"    @staticmethod\n    {call}")
    assert findings(text.replace("self.text", "'text'").replace("Circuit('text')", "[]")) == []


def test_an_async_hook_is_an_error(findings):
    text = lifecycle("def execute", "async def execute")
    only(findings(text), "a.py:8 error execute is async")


def test_an_async_function_is_an_error(findings):
    text = "from hybrid_runtime import hybrid\n@hybrid\nasync def algo(context): return 1\n"
    only(findings(text), "a.py:3 error algo is async")


def test_a_hook_that_yields_is_an_error(findings):
    text = lifecycle("return Done(1)", "yield Done(1)")
    only(findings(text), "a.py:8 error execute yields")


def test_a_hook_that_returns_nothing_is_an_error(findings):
    text = lifecycle("return Done(1)", "self.done = Done(1)")
    only(findings(text), "a.py:8 error execute returns nothing")


def test_a_hook_that_may_return_nothing_is_a_warning(findings):
    text = lifecycle("return Done(1)", "if results:\n            return Done(1)")
    only(findings(text), "a.py:10 warning execute may end here without a value")


def test_a_constructor_with_arguments_is_an_error(findings):
    text = LIFECYCLE + "\n    def __init__(self, depth):\n        self.depth = depth\n"
    only(findings(text), "a.py:11 error __init__ needs arguments")


# ------------------------------------------------------------------ imports


def test_a_package_that_is_not_installed_is_an_error_at_its_line(findings):
    only(findings("import json\nimport no_such_package.part\n" + LIFECYCLE), "a.py:2 error the package 'no_such_")


def test_a_package_that_a_function_imports_is_a_warning(findings):
    text = LIFECYCLE + "\n    def finalize(self, history):\n        import no_such_package\n"
    only(findings(text), "a.py:12 warning the package 'no_such_package'")


@pytest.mark.parametrize(
    "guard",
    [
        "try:\n    import no_such_package\nexcept ImportError:\n    pass\n",
        "try:\n    import no_such_package\nexcept (KeyError, ModuleNotFoundError):\n    pass\n",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import no_such_package\n",
    ],
)
def test_an_import_that_may_fail_unharmed_is_no_finding(findings, guard):
    assert findings(guard + LIFECYCLE) == []


def test_a_relative_import_in_the_entry_file_is_an_error(findings):
    found = findings("from .helper import x\n" + LIFECYCLE, helper="x = 1\n")
    assert found[0].startswith("a.py:1 error a relative import")


# ------------------------------------------------------------------ circuits


CIRCUIT = '''Circuit(
            """
            version 3.0
            qubit[2] q
            bit[2] b
            HH q[0]
            b = measure q
            """
        )'''


def test_a_circuit_with_a_typo_is_reported_at_its_line(findings):
    text = lifecycle("Circuit(self.text)", CIRCUIT)
    assert "unknown gate 'HH'; did you mean H?" in only(findings(text), "a.py:11 error circuit: line 5")


def test_circuits_of_local_modules_are_checked(findings):
    helper = f"from hybrid_runtime import Circuit\nif True:\n    if True:\n        bad = {CIRCUIT}\n"
    only(findings("import helper\n" + LIFECYCLE, helper=helper), "helper.py:9 error circuit: line 5")


def test_the_report_counts_what_it_found(check):
    report = check(lifecycle("return Done(1)", "self.done = 1"))
    assert report.errors == 1
    assert report.to_text().endswith("a.py: 1 error")
    assert report.to_dict()["ok"] is False
    assert report.to_dict()["findings"][0]["line"] == 8


# ------------------------------------------------------------------ what is not the same in every run


@pytest.mark.parametrize(
    ("call", "instead"),
    [
        ("time.time()", "context.time()"),
        ("datetime.now()", "context.now()"),
        ("uuid.uuid4()", "context.uuid4()"),
        ("os.urandom(4)", "context.urandom()"),
        ("secrets.token_hex()", "context.urandom()"),
        ("np.random.default_rng()", "context.rng"),
    ],
)
def test_what_differs_from_run_to_run_is_warned_of(findings, call, instead):
    imports = "import os, secrets, time, uuid\nimport numpy as np\nfrom datetime import datetime\n"
    found = only(findings(imports + LIFECYCLE.replace("return Done(1)", f"return Done({call})")), "a.py:12 warning ")
    assert f"use {instead}, else the job cannot be resumed" in found


def test_generators_with_a_seed_and_clocks_of_the_context_are_no_matter(findings):
    text = LIFECYCLE.replace("return Done(1)", "return Done(np.random.default_rng(5).random() + self.context.time())")
    assert findings("import numpy as np\n" + text) == []
