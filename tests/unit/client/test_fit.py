from __future__ import annotations

import pytest

from hybrid_runtime.client.fit import differences, fits, others_that_fit
from hybrid_runtime.protocol.bundles import Bundle
from hybrid_runtime.resources.backends import Environment


def environment(name="default", python="3.11.7", **packages):
    return Environment(name=name, python=python, packages=packages or {"numpy": "2.1.0", "scikit-learn": "1.5.0"})


def sources(**fields):
    return Bundle(python="3.11", entry="a.py", files={"a.py": b""}, **fields)


def said(bundle, where):
    return [(one.severity, one.text) for one in differences(bundle, where)]


def test_what_is_the_same_is_not_told():
    assert said(sources(packages={"numpy": "2.1.0", "scikit_learn": "1.5.0"}), environment()) == []


def test_another_version_of_a_package_is_a_warning():
    ((severity, text),) = said(sources(packages={"numpy": "2.4.1"}), environment())
    assert severity == "warning"
    assert text == "numpy is 2.4.1 here and 2.1.0 in the environment default"


def test_sources_run_on_every_python():
    assert fits(sources(), environment(python="3.13.1"))


def test_a_pickle_runs_on_the_python_that_made_it_only():
    bundle = Bundle(python="3.11", pickle=b"x")
    assert fits(bundle, environment(python="3.11.9"))
    ((severity, text),) = said(bundle, environment(python="3.13.1"))
    assert severity == "error"
    assert "pickled by Python 3.11, and the environment default has Python 3.13.1" in text
    assert "use Python 3.13 here" in text


@pytest.mark.parametrize(
    ("requires", "says"),
    [
        ("numpy>=2.2", "it requires numpy>=2.2, and the environment default has numpy 2.1.0"),
        ("networkx", "it requires networkx, and the environment default lacks networkx"),
        ("Scikit.Learn<1", "has Scikit.Learn 1.5.0"),
    ],
)
def test_a_requirement_that_is_not_met_is_an_error(requires, says):
    ((severity, text),) = said(sources(requires=[requires]), environment())
    assert severity == "error"
    assert says in text


def test_a_requirement_that_is_met_settles_the_difference_of_versions():
    assert said(sources(requires=["numpy>=2"], packages={"numpy": "2.4.1"}), environment()) == []


def test_a_requirement_for_another_python_is_left_out():
    assert fits(sources(requires=["tomli; python_version < '3.11'"]), environment())
    assert not fits(sources(requires=["tomli; python_version >= '3.11'"]), environment())


def test_the_python_that_a_file_requires_is_looked_at():
    assert fits(sources(requires_python=">=3.11"), environment())
    ((_, text),) = said(sources(requires_python=">=3.12"), environment())
    assert text == "it requires Python >=3.12, and the environment default has Python 3.11.7"


def test_environments_that_would_fit_are_named():
    bundle = Bundle(python="3.13", pickle=b"x")
    old, new = environment("old"), environment("new", python="3.13.1")
    assert others_that_fit(bundle, [old, new]) == "it would fit new"
    assert others_that_fit(bundle, [old]) == "it fits no environment of this server"
