from __future__ import annotations

import pytest

from hybrid_runtime.cli.preload import preload_of
from hybrid_runtime.protocol.bundles import Bundle


def preload(text, **others):
    files = {"a.py": text.encode(), **{name: content.encode() for name, content in others.items()}}
    return preload_of(Bundle(python="3.11", entry="a.py", files=files))


def test_a_file_without_numbers_waits_for_nothing_but_the_circuit_parser():
    assert preload("import math\nfrom hybrid_runtime import Circuit, hybrid\n") == ("cqasm.v3x",)


@pytest.mark.parametrize(
    "text",
    [
        "import numpy as np\n",
        "def f():\n    from numpy import pi\n",
        "def a(context):\n    return context.rng.normal()\n",
        "import pandas\n",
        "import importlib\n",
        "x = __import__('num' + 'py')\n",
    ],
)
def test_numpy_is_there_before_the_seed_wherever_it_may_be_imported(text):
    assert "numpy" in preload(text)


@pytest.mark.parametrize(
    "text", ["from scipy.optimize import minimize\n", "from hybrid_runtime.optimize import SPSA\n"]
)
def test_optimizers_are_loaded_with_scipy(text):
    assert {"numpy", "scipy.optimize"} <= {*preload(text)}


def test_local_modules_count_as_the_algorithms_own():
    assert preload("import helper\n", **{"helper.py": "import math\n"}) == ("cqasm.v3x",)
    assert "numpy" in preload("import helper\n", **{"helper.py": "import numpy\n"})
