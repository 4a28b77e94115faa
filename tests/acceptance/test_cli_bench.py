"""The benchmarks run on any machine, whatever they find there."""

from __future__ import annotations

import json

import pytest

from hybrid_runtime.bench.peers import CANDIDATES

# A busy machine needs longer than a run takes by itself; nothing here depends on how long.
TIMEOUT_S = 400


def quantiles_in(found, path=()):
    """Every set of quantiles below here, with the way to it."""
    if isinstance(found, dict):
        if "p999" in found:
            yield path, found
        else:
            for key, value in found.items():
                yield from quantiles_in(value, (*path, key))


@pytest.mark.timeout(TIMEOUT_S)
def test_a_quick_run_measures_everything_and_its_figures_make_sense(qi_run):
    process = qi_run.start("bench", "--quick", "--json", "--markdown", "report.md")
    out, err = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 0, err
    found = json.loads(out)

    assert (qi_run.folder / "report.md").read_text().startswith("# Latency report\n")
    for key in ("initialize_warm_s", "initialize_cold_s", "terminate_s", "vqe", "qaoa", "refill"):
        assert found[key], key
    for path, figures in quantiles_in(found):
        assert 0 < figures["p50"] <= figures["p99"] <= figures["p999"] <= figures["max"] < 600, path
        assert figures["samples"] > 0, path
    assert {"seqpacket", "zeromq"} == set(found["step_s"])
    assert "free" in found["step_s"]["zeromq"]
    assert "same-core" in found["step_s"]["seqpacket"]
    assert set(found["floor_c_s"]) == {"seqpacket", "futex", "spin"} or found["absent"]["floor_c_s"]
    assert set(found["payload"]) == {"0", "8", "64", "512"}
    assert set(found["journal"]) == {"none", "own", "group"}
    assert set(found["batch"]) == {"null", "qulacs"}
    assert found["batch"]["null"]["speedup"] > 0
    assert set(found["emulator"]) == {"2", "5", "10"}
    assert found["initialize_warm_s"]["p50"] < found["initialize_cold_s"]["p50"]
    for loop in ("vqe", "qaoa"):
        assert found[loop]["same_result"] is True
        assert 100 <= found[loop]["evaluations"] <= 200
        assert found[loop]["alone_s"] > 0
    assert found["ratios"]["paper/step"] > 0

    assert list(found["peers"]) == [candidate.name for candidate in CANDIDATES]
    statuses = {name: peer["status"] for name, peer in found["peers"].items()}
    assert statuses["multiprocessing.Manager"] == statuses["Appendix A over pyzmq, tcp"] == "measured"
    assert set(statuses.values()) <= {"measured", "not installed", "left out"}

    machine = found["machine"]
    assert machine["isolation"] in ("strict", "landlock", "process")
    assert all(machine[key] for key in ("cpu", "cores", "kernel", "python", "versions", "load_before", "load_after"))


def test_a_name_that_cannot_be_measured_is_refused_with_those_that_can(qi_run):
    ran = qi_run("bench", "--only", "steps")
    assert ran.code == 2
    assert "there are: floor, step, warm" in ran.err
    assert ran.out == ""


def test_a_file_that_cannot_be_written_is_refused_before_anything_is_measured(qi_run):
    ran = qi_run("bench", "--quick", "--markdown", "no/such/folder.md")
    assert ran.code == 2
    assert "no/such/folder.md cannot be written" in ran.err
    assert "measuring" not in ran.err


def test_tables_for_a_person_go_to_stdout_and_progress_to_stderr(qi_run):
    ran = qi_run("bench", "--quick", "--only", "emulator,floor")
    assert ran.code == 0
    assert "measuring: The emulator by itself" in ran.err
    assert "The emulator alone" in ran.out
    assert "a quick run" in ran.out
    assert "measuring" not in ran.out
