"""Packing an algorithm on its author's machine, from a file or from an object."""

from __future__ import annotations

import pickle
import sys
import threading
from types import ModuleType

import cloudpickle
import pytest

from hybrid_runtime import Circuit, HybridAlgorithm, files, hybrid
from hybrid_runtime.bundle import bundle_file, bundle_object, split_target
from hybrid_runtime.errors import BundleError
from hybrid_runtime.protocol.bundles import decode_bundle, encode_bundle

ALGORITHM = "from hybrid_runtime import hybrid\n\n@hybrid\ndef algo(context):\n    return 1\n"


def write(folder, **files: str) -> None:
    for name, text in files.items():
        path = folder / f"{name.replace('__in__', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


# ------------------------------------------------------------------ files


def test_a_file_is_packed_under_its_name(tmp_path):
    write(tmp_path, vqe=ALGORITHM)
    packed = bundle_file(str(tmp_path / "vqe.py"))
    assert (packed.entry, packed.name, list(packed.files)) == ("vqe.py", "", ["vqe.py"])
    assert packed.files["vqe.py"] == ALGORITHM.encode()
    assert decode_bundle(encode_bundle(packed)) == packed


def test_a_name_after_the_file_chooses_the_algorithm(tmp_path):
    write(tmp_path, vqe=ALGORITHM)
    assert bundle_file(f"{tmp_path / 'vqe.py'}:algo").name == "algo"


@pytest.mark.parametrize(
    ("target", "parts"),
    [
        ("a.py", ("a.py", "")),
        ("a.py:Algo", ("a.py", "Algo")),
        ("odd:name.py", ("odd:name.py", "")),
        ("a.py:", ("a.py:", "")),
        (":Algo", (":Algo", "")),
        ("a.py:not a name", ("a.py:not a name", "")),
    ],
)
def test_a_target_is_split_at_the_name(target, parts):
    assert split_target(target) == parts


def test_nothing_of_the_file_is_run(tmp_path):
    write(tmp_path, evil="raise SystemExit('it was run')")
    assert bundle_file(str(tmp_path / "evil.py")).entry == "evil.py"


def test_local_modules_that_it_imports_come_along(tmp_path):
    write(
        tmp_path,
        main="import helper\nfrom tools import gates\nfrom tools.deep.down import x\nimport numpy\n",
        helper="def f():\n    import later\n",
        later="",
        tools__in____init__="from . import angles",
        tools__in__gates="",
        tools__in__angles="from .deep import down",
        tools__in__deep__in____init__="",
        tools__in__deep__in__down="x = 1",
        unused="",
    )
    packed = bundle_file(str(tmp_path / "main.py"))
    assert set(packed.files) == {
        "main.py",
        "helper.py",
        "later.py",
        "tools/__init__.py",
        "tools/gates.py",
        "tools/angles.py",
        "tools/deep/__init__.py",
        "tools/deep/down.py",
    }
    assert "numpy" in packed.packages


def test_an_import_counts_in_whatever_statement_it_stands(tmp_path):
    places = {
        "a": "if x:\n    pass\nelif y:\n    import a",
        "b": "for x in y:\n    pass\nelse:\n    import b",
        "c": "while x:\n    import c",
        "d": "try:\n    pass\nexcept E:\n    import d",
        "e": "try:\n    pass\nfinally:\n    import e",
        "f": "try:\n    pass\nexcept* E:\n    pass\nelse:\n    import f",
        "g": "with x:\n    import g",
        "h": "match x:\n    case 1:\n        import h",
        "i": "class C:\n    def m(self):\n        async def n():\n            async with x:\n                import i",
        "j": "async def f():\n    async for x in y:\n        import j",
    }
    write(tmp_path, main="\n".join(places.values()), **dict.fromkeys(places, ""))
    bundle = bundle_file(str(tmp_path / "main.py"))
    assert set(bundle.files) == {"main.py", *(f"{name}.py" for name in places)}


def test_a_file_that_has_changed_is_read_anew(tmp_path):
    write(tmp_path, main="import one", one="", two="")
    assert set(bundle_file(str(tmp_path / "main.py")).files) == {"main.py", "one.py"}
    write(tmp_path, main="import two")
    assert set(bundle_file(str(tmp_path / "main.py")).files) == {"main.py", "two.py"}


def test_modules_that_import_each_other_come_along_once(tmp_path):
    write(tmp_path, main="import other", other="import main")
    assert set(bundle_file(str(tmp_path / "main.py")).files) == {"main.py", "other.py"}


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("missing.py", None, "missing.py does not exist: give the Python file"),
        ("notes.txt", b"x", "not a Python file"),
        ("broken.py", b"def f(:\n  pass", r"broken.py, line 1: .*\n    def f\("),
        ("nul.py", b"x = 1\0", "nul.py"),
        ("binary.py", b"\xff\xfe\x00", "binary.py"),
        ("deep.py", b"(" * 5000 + b")" * 5000, "deep.py"),
    ],
)
def test_a_file_that_cannot_be_packed_is_refused(tmp_path, name, content, why):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(BundleError, match=why):
        bundle_file(str(tmp_path / name))


def test_a_folder_is_refused_as_one(tmp_path):
    with pytest.raises(BundleError, match="is a folder"):
        bundle_file(str(tmp_path))


def test_a_broken_helper_is_named_with_its_line(tmp_path):
    write(tmp_path, main="import helper", helper="x = 1\ny = = 2\n")
    with pytest.raises(BundleError, match=r"helper.py, line 2"):
        bundle_file(str(tmp_path / "main.py"))


def test_versions_of_a_pickles_packages_are_in_the_manifest():
    import numpy

    @hybrid
    def algorithm(context):
        return numpy.zeros(1)

    assert bundle_object(algorithm).packages["numpy"] == numpy.__version__


def test_files_beyond_the_size_of_a_bundle_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "MAX_BUNDLE_BYTES", 100)
    write(tmp_path, main="import helper", helper="#" * 200)
    with pytest.raises(BundleError, match="more than 100 bytes"):
        bundle_file(str(tmp_path / "main.py"))


def test_what_the_file_declares_is_in_the_manifest(tmp_path):
    block = [
        'requires-python = ">=3.11"',
        "dependencies = ['numpy>=2']",
        "[tool.hybrid-runtime]",
        "parameters = {a = 1}",
    ]
    write(tmp_path, main="\n".join(["# /// script", *(f"# {line}" for line in block), "# ///"]))
    bundle = bundle_file(str(tmp_path / "main.py"))
    assert (bundle.requires_python, bundle.requires, bundle.parameters) == (">=3.11", ["numpy>=2"], {"a": 1})


@pytest.mark.parametrize("line", ["dependencies = ['numpy >>']", "requires-python = 'new'"])
def test_a_requirement_that_is_none_is_refused(tmp_path, line):
    write(tmp_path, main=f"# /// script\n# {line}\n# ///\n")
    with pytest.raises(BundleError, match=r"'numpy >>' is no requirement|'new' is no range of versions"):
        bundle_file(str(tmp_path / "main.py"))


# ------------------------------------------------------------------ objects


@hybrid
def function(context):
    return context.run(Circuit("x")).counts


class Lifecycle(HybridAlgorithm):
    def initialize(self, context):
        return Circuit("x")


@pytest.mark.parametrize("algorithm", [function, Lifecycle, Lifecycle(), function.function])
def test_every_kind_of_algorithm_is_pickled_with_its_source(algorithm):
    packed = bundle_object(algorithm)
    assert packed.entry == ""
    assert packed.pickle
    assert list(packed.sources) == [__file__]
    assert "def test_every_kind_of_algorithm" in packed.sources[__file__]


@pytest.mark.parametrize("wrong", [None, 3, int, HybridAlgorithm.initialize.__name__, print, object()])
def test_what_is_no_algorithm_is_refused(wrong):
    with pytest.raises(BundleError, match="is not an algorithm: give a HybridAlgorithm subclass"):
        bundle_object(wrong)


def test_what_cannot_be_pickled_is_refused_with_advice():
    lock = threading.Lock()

    @hybrid
    def locked(context):
        return lock

    with pytest.raises(BundleError, match=r"'locked' cannot be sent to a worker: .*lock.*inside the algorithm"):
        bundle_object(locked)


@pytest.fixture
def helper_module(tmp_path, monkeypatch) -> ModuleType:
    """A module of the user's own, imported from their folder."""
    write(tmp_path, helper_of_a_test="def half(x):\n    return x / 2\n", unrelated_of_a_test="secret = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    modules = [__import__(name) for name in ("helper_of_a_test", "unrelated_of_a_test")]
    for module in modules:
        monkeypatch.delitem(sys.modules, module.__name__)
        monkeypatch.setitem(sys.modules, module.__name__, module)
    return modules[0]


def test_a_users_own_modules_go_by_value_with_their_source(helper_module, monkeypatch):
    half = helper_module.half

    @hybrid
    def halves(context):
        return half(context)

    packed = bundle_object(halves)
    assert set(packed.sources) == {__file__, helper_module.__file__}
    # A worker has no such module.
    monkeypatch.delitem(sys.modules, "helper_of_a_test")
    monkeypatch.setattr(sys, "path", [])
    assert pickle.loads(packed.pickle).function(3) == 1.5


def test_sources_of_modules_that_it_does_not_use_stay_at_home(helper_module):
    packed = bundle_object(function)
    assert list(packed.sources) == [__file__]


def test_how_others_pickle_is_as_it_was_before(helper_module):
    cloudpickle.register_pickle_by_value(helper_module)
    try:
        bundle_object(function)
        assert cloudpickle.list_registry_pickle_by_value() == {"helper_of_a_test"}
    finally:
        cloudpickle.unregister_pickle_by_value(helper_module)


def test_a_module_with_two_names_does_no_harm(helper_module, monkeypatch):
    monkeypatch.setitem(sys.modules, "alias_of_a_test", helper_module)
    monkeypatch.setitem(sys.modules, "strange_of_a_test", object())
    monkeypatch.delitem(sys.modules, "helper_of_a_test")
    assert bundle_object(function).pickle


def test_an_algorithm_without_a_file_can_be_packed():
    names: dict[str, object] = {}
    exec("from hybrid_runtime import hybrid\n@hybrid\ndef made(context):\n    return 1\n", names)
    assert bundle_object(names["made"]).sources == {}
