from __future__ import annotations

import ast
import runpy
from itertools import product
from math import sqrt
from pathlib import Path

import numpy as np
import pytest

from hybrid_runtime import LocalRuntime
from hybrid_runtime.cli.new import find_templates

TEMPLATES = find_templates()
VQE = ("vqe_h2", "vqe_h2_scipy", "spsa_noisy")
# Electronic ground-state energy of H2 at 0.735 angstrom in the STO-3G basis, in hartree.
EXACT = -1.857275030


@pytest.fixture
def template(qi_run):
    """Run a template as it is: what `--json` tells."""

    def run(name, *arguments):
        ran = qi_run("run", qi_run.file(f"{name}.py", TEMPLATES[name]), "--json", *arguments)
        assert ran.code == 0, ran
        assert ran.told["state"] == "completed"
        return ran.told

    return run


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_template_is_short_and_explains_itself(name):
    text = TEMPLATES[name]
    assert len(text.splitlines()) <= 80
    assert f"qi-run run {name}.py" in (ast.get_docstring(ast.parse(text)) or "")


def test_bell_counts_are_a_fair_coin_for_two_bits_that_agree(template):
    counts = template("bell", "--shots", "10000")["result"]
    assert set(counts) == {"00", "11"}
    assert abs(counts["00"] - 5000) < 5 * sqrt(10000) / 2


def test_the_templates_energy_is_that_of_h2(tmp_path):
    (tmp_path / "vqe_h2.py").write_text(TEMPLATES["vqe_h2"])
    hamiltonian = runpy.run_path(str(tmp_path / "vqe_h2.py"))["matrix"]()
    assert np.linalg.eigvalsh(hamiltonian)[0] == pytest.approx(EXACT, abs=1e-7)


@pytest.mark.parametrize("name", VQE)
def test_vqe_ends_within_2_millihartree_of_the_exact_energy(template, name):
    told = template(name)
    found = told["result"]
    assert found["exact"] == pytest.approx(EXACT, abs=1e-7)
    assert found["difference"] == pytest.approx(found["energy"] - found["exact"], abs=1e-12)
    assert abs(found["difference"]) < 0.002
    assert told["metrics"]["energy"][-1] == found["energy"]


def test_the_styles_of_vqe_agree_to_shot_noise(tmp_path):
    energies = {}
    with LocalRuntime() as client:
        for name in VQE:
            path = tmp_path / f"{name}.py"
            path.write_text(TEMPLATES[name])
            results = [client.run(path, seed=seed).raise_for_error() for seed in range(5)]
            energies[name] = [result.value["energy"] for result in results]
    # The last measurement has a noise of 0.2 millihartree or less, and the optimizer's own is about as large.
    assert all(abs(energy - EXACT) < 0.002 for series in energies.values() for energy in series)
    means = [sum(series) / len(series) for series in energies.values()]
    assert max(means) - min(means) < 0.001


def test_the_same_seed_gives_blocking_and_lifecycle_style_the_same_energy(template):
    lifecycle, blocking = (template(name, "--seed", "5") for name in ("vqe_h2", "vqe_h2_scipy"))
    assert lifecycle["metrics"] == blocking["metrics"]


def test_vqe_that_is_stopped_early_still_has_a_result(template):
    told = template("vqe_h2", "--limit", "steps=3")
    assert told["stop_reason"] == "steps"
    assert told["result"]["energy"] == told["metrics"]["energy"][-1]


def test_vqe_that_is_stopped_before_its_first_step_has_none(template):
    assert template("vqe_h2", "--limit", "shots=10")["result"] is None


def best_cut(edges):
    vertices = 1 + max(max(edge) for edge in edges)
    return max(sum(side[a] != side[b] for a, b in edges) for side in product((0, 1), repeat=vertices))


def test_qaoa_cuts_at_least_nine_tenths_of_what_can_be_cut(template, tmp_path):
    found = template("qaoa_maxcut")["result"]
    (tmp_path / "qaoa.py").write_text(TEMPLATES["qaoa_maxcut"])
    edges = runpy.run_path(str(tmp_path / "qaoa.py"))["EDGES"]
    assert found["optimum"] == best_cut(edges)
    assert found["cut"] >= 0.9 * best_cut(edges)
    side = found["division"][::-1]
    assert found["cut"] == sum(side[a] != side[b] for a, b in edges)
    # A random division cuts half of the edges; the optimized state does much better on average, too.
    assert found["mean_cut"] > 0.7 * len(edges)


def test_qaoa_takes_a_graph_of_ones_own(template):
    ring = "[[0,1],[1,2],[2,3],[3,4],[4,5],[5,0]]"
    found = template("qaoa_maxcut", "--param", f"edges={ring}", "--param", "layers=1")["result"]
    assert (found["cut"], found["optimum"]) == (6, 6)
    assert found["division"] in ("010101", "101010")


def test_the_readme_lists_every_template():
    readme = Path(__file__).parents[2] / "user_templates" / "README.md"
    assert all(f"[{name}.py]({name}.py)" in readme.read_text() for name in TEMPLATES)
