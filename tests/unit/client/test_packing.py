from __future__ import annotations

import math

import numpy as np
import pytest

from hybrid_runtime import Circuit, Limits, hybrid
from hybrid_runtime.client.packing import fork_request, is_registered, json_parameters, pack
from hybrid_runtime.errors import BundleError, InvalidInput
from hybrid_runtime.protocol.bundles import content_hash, decode_bundle

SOURCE = "from hybrid_runtime import hybrid\n\n@hybrid\ndef algorithm(context):\n    return 1\n"
BELL = "version 3.0; qubit[2] q; bit[2] b; H q[0]; CNOT q[0], q[1]; b = measure q"


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "vqe.py"
    path.write_text(SOURCE)
    return path


def test_a_file_becomes_a_bundle_named_by_its_content(file):
    packed = pack(str(file), "qulacs", {"shots": 10})
    assert packed.data is not None
    assert packed.request.bundle == content_hash(packed.data)
    assert decode_bundle(packed.data).entry == "vqe.py"
    assert (packed.request.backend, packed.request.shots) == ("qulacs", 10)


def test_no_shots_ask_for_exact_results_and_shots_left_out_for_the_usual_ones(file):
    assert pack(str(file), "qulacs", {"shots": None}).request.shots is None
    assert pack(str(file), "qulacs", {"seed": None}).request.shots == 1024


def test_the_same_file_always_has_the_same_name(file):
    assert pack(str(file), "a", {}).request.bundle == pack(file, "b", {"seed": 1}).request.bundle


def test_a_function_becomes_a_pickle():
    @hybrid
    def algorithm(context):
        return 1

    bundle = pack(algorithm, "qulacs", {}).bundle
    assert bundle is not None
    assert bundle.pickle


def test_a_circuit_and_its_file_become_a_pure_quantum_job(tmp_path):
    path = tmp_path / "bell.cq"
    path.write_text(BELL)
    for given in (Circuit(BELL), path, str(path)):
        packed = pack(given, "qulacs", {"shots": 100, "name": "bell"})
        assert (packed.request.circuit, packed.request.bundle, packed.data) == (BELL, None, None)


@pytest.mark.parametrize("options", [{"parameters": {"a": 1}}, {"environment": "default"}])
def test_a_circuit_takes_nothing_that_is_for_algorithms(options):
    with pytest.raises(InvalidInput, match="is for algorithms"):
        pack(Circuit(BELL), "qulacs", options)


def test_a_circuit_with_open_parameters_is_refused():
    circuit = Circuit("version 3.0; qubit q; bit b; Rx({theta}) q; b = measure q", parameters=["theta"])
    with pytest.raises(InvalidInput, match="parameters theta"):
        pack(circuit, "qulacs", {})


@pytest.mark.parametrize(("name", "content"), [("missing.cq", None), ("binary.cq", b"\xff\xfe\x00")])
def test_a_circuits_file_that_cannot_be_used_is_told(tmp_path, name, content):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InvalidInput, match=name):
        pack(tmp_path / name, "qulacs", {})


@pytest.mark.parametrize("name", ["vqe", "vqe@3", "h2-vqe"])
def test_a_name_is_an_algorithm_that_the_server_has(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert is_registered(name)
    assert pack(name, "qulacs", {}).request.algorithm == name


@pytest.mark.parametrize("name", ["vqe.py", "vqe.py:Name", "a/b", "vqe@", "@3", ""])
def test_what_looks_like_a_file_is_none(name):
    assert not is_registered(name)


def test_a_file_that_is_missing_is_told_before_anything_is_sent():
    with pytest.raises(BundleError, match=r"missing\.py does not exist"):
        pack("missing.py", "qulacs", {})


def test_parameters_become_what_json_has():
    given = {"x": np.array([[1.0, 2.0]]), "n": np.int64(3), "z": 1 + 2j, "t": (1, 2), "s": "text"}
    assert json_parameters(given) == {
        "x": [[1.0, 2.0]],
        "n": 3,
        "z": {"re": 1.0, "im": 2.0},
        "t": [1, 2],
        "s": "text",
    }


@pytest.mark.parametrize(
    ("given", "place"),
    [
        ({"x": math.nan}, r"\['x'\]"),
        ({"x": {"y": [0.0, math.inf]}}, r"\['y'\]\[1\]"),
        ({"x": np.array([np.nan])}, r"\[0\]"),
    ],
)
def test_a_number_that_json_lacks_is_refused_with_its_place(given, place):
    with pytest.raises(InvalidInput, match=place):
        json_parameters(given)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"parameters": [1]}, "as a dictionary"),
        ({"parameters": {"f": print}}, "cannot be sent"),
        ({"shots": 0}, "shots is a whole number from 1"),
        ({"seed": 1.5}, "seed is a whole number from 0"),
        ({"limits": {"step": 3}}, "limits have the names steps"),
        ({"limits": {"steps": -1}}, "steps"),
        ({"limits": 3}, r"limits are given as Limits"),
        ({"priority": "urgent"}, "priority is one of low, normal, high"),
        ({"prority": "high"}, "'prority' is no option"),
    ],
)
def test_options_that_cannot_be_used_are_refused(file, options, says):
    with pytest.raises(InvalidInput, match=says):
        pack(str(file), "qulacs", options)


def test_limits_travel_by_name(file):
    request = pack(str(file), "qulacs", {"limits": Limits(steps=3, plateau=("e", 0.1, 5), think_s=None)}).request
    assert request.limits == {"steps": 3, "think_s": None, "plateau": ("e", 0.1, 5)}


def test_what_the_file_declares_holds_where_the_job_says_nothing(tmp_path):
    path = tmp_path / "vqe.py"
    table = ["[tool.hybrid-runtime]", "parameters = { layers = 2, x = 1 }", "limits = { steps = 5, wall = 9 }"]
    path.write_text("\n".join(["# /// script", *(f"# {line}" for line in table), "# ///", SOURCE]))
    request = pack(str(path), "qulacs", {"parameters": {"x": 7}, "limits": Limits(steps=3)}).request
    assert request.parameters == {"layers": 2, "x": 7}
    assert request.limits == {"steps": 3, "wall_s": 9.0}


def test_a_fork_keeps_what_it_is_not_given():
    request = fork_request(4, parameters=None, backend=None, limits=None, name=None)
    assert (request.step, request.parameters, request.limits) == (4, None, None)


@pytest.mark.parametrize("step", [-1, 1.5, "4", True])
def test_a_fork_begins_at_a_step(step):
    with pytest.raises(InvalidInput, match="step is a whole number"):
        fork_request(step, parameters=None, backend=None, limits=None, name=None)
