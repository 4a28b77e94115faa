"""The names and signatures that users' programs are written against."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys

import pytest

import hybrid_runtime
from hybrid_runtime import (
    Circuit,
    Context,
    Done,
    History,
    HybridAlgorithm,
    JobResult,
    Limits,
    LocalRuntime,
    QuantumResult,
    StopExecution,
    StopReason,
    errors,
    hybrid,
    run,
)
from hybrid_runtime.errors import HybridRuntimeError
from hybrid_runtime.job import JobState
from hybrid_runtime.timing import Timing


def test_the_public_names_are_the_documented_ones():
    assert hybrid_runtime.__all__ == [
        "AsyncClient",
        "Circuit",
        "Client",
        "Context",
        "Done",
        "History",
        "HybridAlgorithm",
        "JobResult",
        "Limits",
        "LocalRuntime",
        "QuantumResult",
        "StopExecution",
        "StopReason",
        "__version__",
        "hybrid",
        "run",
    ]


def test_every_public_name_can_be_had():
    assert [name for name in hybrid_runtime.__all__ if getattr(hybrid_runtime, name, None) is None] == []
    assert dir(hybrid_runtime) == hybrid_runtime.__all__


def test_a_name_that_does_not_exist_is_told_as_such():
    with pytest.raises(AttributeError, match="no attribute 'Circus'"):
        hybrid_runtime.Circus  # noqa: B018


def parameters(function: object) -> str:
    """A signature without its annotations."""
    assert callable(function)
    signature = inspect.signature(function)
    bare = [one.replace(annotation=inspect.Parameter.empty) for one in signature.parameters.values()]
    return str(signature.replace(parameters=bare, return_annotation=inspect.Signature.empty))


@pytest.mark.parametrize(
    ("function", "signature"),
    [
        (run, "(algorithm, *, parameters=None, backend='qulacs', shots=1024, seed=None, limits=None)"),
        (LocalRuntime.run, "(self, algorithm, **keywords)"),
        (LocalRuntime.submit, "(self, algorithm, *, parameters=None, shots=1024, seed=None, limits=None)"),
        (Circuit, "(source, *, parameters=None, shots=None, language=None, name=None)"),
        (Circuit.bind, "(self, **parameters)"),
        (QuantumResult.expectation, "(self, pauli_z)"),
        (HybridAlgorithm.initialize, "(self, context)"),
        (HybridAlgorithm.execute, "(self, results)"),
        (HybridAlgorithm.finalize, "(self, history)"),
        (Context.run, "(self, circuits)"),
        (Context.metric, "(self, name, value)"),
        (Context.log, "(self, text)"),
        (Done, "(value=None)"),
        (StopExecution, "(value=None)"),
        (hybrid, "(function=None)"),
    ],
    ids=lambda value: getattr(value, "__qualname__", None),
)
def test_signatures_are_the_documented_ones(function, signature):
    # More keywords may follow: a program that was written against these does not see them.
    more = (
        ", isolation=None",
        ", job_id=None, journal=None, fsync='group', keep_requests=True",
        ", exact=False, observable=None, raw=False",
        ", *, shots=Ellipsis, observable=None, raw=None",
    )
    assert re.sub(rf"({'|'.join(map(re.escape, more))})?\)$", ")", parameters(function)) == signature


def test_limits_take_the_documented_names():
    assert Limits.__struct_fields__ == ("steps", "shots", "wall_s", "qpu_s", "think_s", "plateau", "finalize_s")


def test_a_job_result_has_the_documented_fields():
    documented = {"value", "state", "stop_reason", "steps", "shots", "metrics", "timing", "error", "job_id"}
    assert documented <= set(JobResult.__struct_fields__)


def test_stop_reasons_are_the_documented_ones():
    assert [reason.value for reason in StopReason] == [
        "done",
        "steps",
        "shots",
        "wall",
        "qpu",
        "think",
        "plateau",
        "cancelled",
        "error",
    ]


def test_a_quantum_result_has_the_documented_attributes():
    result = QuantumResult(counts={"1": 3}, shots_requested=3)
    names = ("counts", "probabilities", "shots_requested", "shots_done", "raw", "duration_s", "seed", "backend")
    assert [name for name in names if not hasattr(result, name)] == []


def test_a_history_has_the_documented_attributes():
    history = History()
    names = ("results", "requests", "metrics", "steps", "shots", "stop_reason", "done")
    assert [name for name in names if not hasattr(history, name)] == []


def test_the_tree_of_errors_is_the_one_drawn_in_its_module():
    def drawn(cls: type[HybridRuntimeError], depth: int) -> list[str]:
        children = [one for one in cls.__subclasses__() if one.__module__ == errors.__name__]
        return [" " * depth + cls.__name__, *(line for child in children for line in drawn(child, depth + 2))]

    picture = errors.__doc__.split("::\n\n")[1].split("\n\n")[0].splitlines()
    names = [match[1] for line in picture if (match := re.match(r" {4}( *\w+)", line))]
    assert names == drawn(HybridRuntimeError, 0)


def test_importing_the_package_imports_almost_nothing():
    program = (
        "import sys; before = set(sys.modules); import hybrid_runtime; "
        "print(*sorted(name for name in set(sys.modules) - before if name.startswith('hybrid_runtime')))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["hybrid_runtime", "hybrid_runtime._version"]


def test_what_json_shows_has_the_documented_keys():
    result = JobResult(
        value={"energy": float("nan")},
        state=JobState.COMPLETED,
        stop_reason=StopReason.DONE,
        steps=1,
        shots=2,
        metrics={"energy": [1.0]},
        timing=Timing(),
        error=None,
        job_id="x",
        backend="qulacs",
        seed=7,
        isolation="process",
    )
    shown = result.to_dict()
    assert list(shown) == [
        "job_id",
        "state",
        "stop_reason",
        "result",
        "error",
        "steps",
        "shots",
        "metrics",
        "backend",
        "seed",
        "isolation",
        "timing",
    ]
    assert shown["result"] == {"energy": None}
    assert list(shown["timing"]) == [
        "initialize_s",
        "step_s",
        "terminate_s",
        "classical_s",
        "quantum_s",
        "overhead_s",
        "total_s",
    ]
    assert list(shown["timing"]["step_s"]) == ["p50", "p99", "mean"]
