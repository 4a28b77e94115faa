from __future__ import annotations

import json

import msgspec
import pytest

from hybrid_runtime.bench import machine
from hybrid_runtime.bench.report import Report, ratios

KEYS = [
    *("version", "taken_at", "quick", "duration_s", "warnings", "machine", "paper"),
    *("initialize_warm_s", "initialize_cold_s", "step_s", "terminate_s", "payload", "journal", "batch", "refill"),
    *("floor_c_s", "ratios", "emulator", "vqe", "qaoa", "peers", "absent"),
]


def test_the_keys_of_the_json_object_are_these(report):
    assert list(report.to_dict()) == KEYS


def test_what_was_not_measured_is_there_all_the_same():
    empty = Report(taken_at="now", quick=True, machine=machine.describe()).to_dict()
    assert list(empty) == KEYS
    assert empty["vqe"] is None
    assert empty["step_s"] == {}


def test_the_paper_is_quoted_as_printed(report):
    assert report.to_dict()["paper"] == {
        "initialization": "3 s 792 us",
        "execution": "17 us",
        "termination": "200 us",
    }


def test_a_report_can_be_read_back(report):
    text = json.dumps(report.to_dict(), allow_nan=False)
    assert msgspec.json.decode(text, type=Report) == report


def test_ratios_are_of_medians(report):
    assert ratios(report) == pytest.approx(
        {
            "step/floor same-core": 2.0,
            "step/floor free": 2.5,
            "step/floor best": 2.0,
            "paper/step": 1.7,
            "paper/terminate": 2.0,
            "peer/step Pyro5": 20.0,
            "cold/warm": 500.0,
        }
    )


def test_there_are_no_ratios_of_what_was_not_measured(report):
    report.floor_c_s = {}
    report.terminate_s = None
    report.initialize_warm_s = None
    assert set(ratios(report)) == {"paper/step", "peer/step Pyro5"}
    report.step_s = {}
    assert ratios(report) == {}
