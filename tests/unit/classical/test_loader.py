"""Finding the algorithm in what was uploaded. Modules are loaded here as a worker loads them."""

from __future__ import annotations

import pickle
import sys
import traceback
from collections.abc import Callable
from typing import Any

import pytest

from hybrid_runtime import HybridAlgorithm, hybrid
from hybrid_runtime.algorithm import HybridFunction
from hybrid_runtime.bundle import bundle_object
from hybrid_runtime.classical.loader import load_algorithm, unpack
from hybrid_runtime.errors import BundleError
from hybrid_runtime.protocol.bundles import Bundle

HEAD = "from hybrid_runtime import *\n"
CLASS = "class {}(HybridAlgorithm):\n    def initialize(self, context): return Done(1)\n"
FUNCTION = "@hybrid\ndef {}(context): return '{}'\n"


@pytest.fixture
def load(tmp_path, monkeypatch) -> Callable[..., Any]:
    """Loads the algorithm of a file with this text, and forgets its modules afterwards."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "modules", dict(sys.modules))

    def load(text: str, name: str = "", **others: str) -> Any:
        files = {"entry.py": (HEAD + text).encode()} | {f"{key}.py": value.encode() for key, value in others.items()}
        return load_algorithm(Bundle(python="3.11", entry="entry.py", name=name, files=files), tmp_path / "bundle")

    return load


def test_the_only_class_is_the_algorithm(load):
    assert load(CLASS.format("Only")).__name__ == "Only"


def test_the_only_function_is_the_algorithm(load):
    found = load(FUNCTION.format("only", "x"))
    assert isinstance(found, HybridFunction)
    assert found(None) == "x"


def test_one_of_several_is_chosen_by_its_name(load):
    assert load(FUNCTION.format("one", "1") + FUNCTION.format("two", "2"), "two")(None) == "2"


def test_of_several_without_a_name_the_choice_is_left_to_the_user(load):
    with pytest.raises(BundleError, match=r"several algorithms; name one, as entry.py:one \(one, two\)"):
        load(FUNCTION.format("one", "1") + FUNCTION.format("two", "2"))


def test_a_file_without_an_algorithm_is_refused_with_what_one_is(load):
    with pytest.raises(BundleError, match="holds no algorithm: define a subclass of HybridAlgorithm, or mark"):
        load("x = 1")


def test_a_name_that_is_not_there_is_refused_with_those_that_are(load):
    with pytest.raises(BundleError, match="no algorithm named 'Two'; its algorithms: One"):
        load(CLASS.format("One"), "Two")


def test_a_name_of_something_else_is_refused(load):
    with pytest.raises(BundleError, match=r"x in entry.py is int, not an algorithm"):
        load("x = 1", "x")


def test_a_plain_function_is_taken_when_it_is_named(load):
    assert load("def plain(context): return 7", "plain")(None) == 7


def test_a_base_class_of_the_file_is_not_meant(load):
    assert load(CLASS.format("Base") + "class Real(Base): pass\n").__name__ == "Real"


def test_an_abstract_class_is_not_meant(load):
    text = "import abc\nclass Base(HybridAlgorithm):\n    @abc.abstractmethod\n    def cost(self): ...\n"
    text = text.replace("(HybridAlgorithm)", "(HybridAlgorithm, abc.ABC)")
    assert load(text + "class Real(Base):\n    def cost(self): return 1\n").__name__ == "Real"


def test_a_private_algorithm_is_not_meant_unless_it_is_named(load):
    text = FUNCTION.format("_hidden", "h") + FUNCTION.format("shown", "s")
    assert load(text)(None) == "s"


def test_an_algorithm_of_another_module_is_not_meant_unless_it_is_named(load):
    other = HEAD + FUNCTION.format("helping", "h")
    text = "from other import helping\n" + FUNCTION.format("mine", "m")
    assert load(text, other=other)(None) == "m"


def test_an_alias_is_no_second_algorithm(load):
    assert load(FUNCTION.format("one", "1") + "again = one\n")(None) == "1"


def test_helpers_beside_the_file_are_imported(load):
    assert load("from helper import value\n@hybrid\ndef f(c): return value\n", helper="value = 5")(None) == 5


def test_a_file_named_like_a_module_of_the_library_does_not_replace_it(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "modules", dict(sys.modules))
    import random

    files = {"random.py": (HEAD + FUNCTION.format("f", "x")).encode()}
    load_algorithm(Bundle(python="3.11", entry="random.py", files=files), tmp_path / "bundle")
    assert sys.modules["random"] is random


def test_what_the_file_raises_is_raised(load):
    with pytest.raises(ZeroDivisionError):
        load("1 / 0")


def test_an_object_is_unpickled_and_its_lines_can_be_shown(tmp_path):
    @hybrid
    def failing(context):
        raise ValueError("shown")  # the line to show

    packed = bundle_object(failing)
    again = load_algorithm(packed, tmp_path)
    with pytest.raises(ValueError, match="shown") as caught:
        again(None)
    assert "# the line to show" in "".join(traceback.format_exception(caught.value))


def test_a_pickle_of_something_else_is_refused(tmp_path):
    with pytest.raises(BundleError, match="the pickled object is dict, not an algorithm"):
        load_algorithm(Bundle(python="3.11", pickle=pickle.dumps({})), tmp_path)


def test_files_are_unpacked_read_only_and_replace_nothing(tmp_path):
    unpack({"a.py": b"1", "lib/b.py": b"2"}, tmp_path)
    assert (tmp_path / "lib" / "b.py").read_bytes() == b"2"
    assert (tmp_path / "a.py").stat().st_mode & 0o222 == 0
    with pytest.raises(FileExistsError):
        unpack({"a.py": b"3"}, tmp_path)


def test_an_instance_can_be_the_algorithm(load):
    assert isinstance(load(CLASS.format("One") + "ready = One()\n", "ready"), HybridAlgorithm)


def test_the_file_is_a_module_as_after_an_import(load):
    text = "import sys\nHERE = sys.modules[__name__]\n@hybrid\ndef algorithm(context): return HERE\n"
    module = load(text)(None)
    assert module.__name__ == module.__spec__.name == "entry"
    assert module.__file__ == module.__spec__.origin
    assert module.__file__.endswith("/bundle/entry.py")
    assert module.__package__ == module.__spec__.parent == ""
    assert module.__loader__.get_source("entry").endswith(text)


@pytest.mark.parametrize("name", ["entry", "entry.so", "entry.pyc", "entry.txt"])
def test_an_entry_that_is_no_python_file_is_refused(tmp_path, monkeypatch, name):
    monkeypatch.setattr(sys, "path", list(sys.path))
    with pytest.raises(BundleError, match="an algorithm is a Python file"):
        load_algorithm(Bundle(python="3.11", entry=name, files={name: b""}), tmp_path / "bundle")
