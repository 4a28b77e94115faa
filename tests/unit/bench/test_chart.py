from __future__ import annotations

import sys

import pytest

from hybrid_runtime.bench.chart import bars, draw
from hybrid_runtime.errors import InvalidInput


def test_the_first_panel_sets_ours_beside_the_paper(report):
    first, _ = bars(report).values()
    assert [(bar.label, bar.p50) for bar in first] == [
        ("initialization, paper", 3.000792),
        ("initialization, here warm", 1e-3),
        ("initialization, here cold", 0.5),
        ("execution, paper", 17e-6),
        ("execution, here step", 10e-6),
        ("termination, paper", 200e-6),
        ("termination, here", 100e-6),
    ]


def test_the_second_panel_has_floor_steps_and_measured_peers(report):
    _, second = bars(report).values()
    assert [bar.label for bar in second] == [
        *("C floor, seqpacket, same-core", "C floor, seqpacket, free", "C floor, spin, spread"),
        *("seqpacket, same-core", "seqpacket, free", "seqpacket, spread", "zeromq, free"),
        "Pyro5",
    ]


def test_panels_without_our_figures_are_left_out(report):
    report.step_s = {}
    assert list(bars(report)) == ["One job, beside the paper's Table I"]


def test_a_png_is_drawn(report, tmp_path):
    pytest.importorskip("matplotlib")
    draw(report, tmp_path / "chart.png")
    assert (tmp_path / "chart.png").read_bytes().startswith(b"\x89PNG")


def test_nothing_to_draw_is_refused(report, tmp_path):
    pytest.importorskip("matplotlib")
    report.step_s, report.initialize_warm_s, report.initialize_cold_s, report.terminate_s = {}, None, None, None
    with pytest.raises(InvalidInput, match="nothing to draw"):
        draw(report, tmp_path / "chart.png")


def test_without_matplotlib_it_says_what_to_install(report, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(InvalidInput, match=r"pip install 'hybrid-runtime\[bench\]'"):
        draw(report, tmp_path / "chart.png")
