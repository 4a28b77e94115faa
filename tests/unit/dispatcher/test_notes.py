"""Metrics, log lines and errors of a worker that keeps to no bounds of its own."""

from __future__ import annotations

import pytest

from hybrid_runtime.dispatcher import notes as module
from hybrid_runtime.dispatcher.notes import Notes, presentable
from hybrid_runtime.errors import ErrorData


def test_what_is_fresh_is_given_once():
    notes = Notes()
    notes.take([("x", 1.0)], ["a"])
    notes.take([("x", 2.0)], ["b"])
    assert notes.waiting
    assert notes.fresh() == ([("x", 1.0), ("x", 2.0)], ["a", "b"])
    assert not notes.waiting
    assert notes.fresh() == ([], [])
    assert notes.last == {"x": 2.0}


def test_values_are_bounded_but_the_newest_is_known(monkeypatch):
    monkeypatch.setattr(module, "MAX_METRICS", 3)
    notes = Notes()
    notes.take([("x", float(value)) for value in range(10)], [])
    metrics, lines = notes.fresh()
    assert metrics == [("x", 0.0), ("x", 1.0), ("x", 2.0)]
    assert lines == ["… metrics cut: 3 values under 10000 names are kept"]
    assert notes.last == {"x": 9.0}


def test_names_are_bounded(monkeypatch):
    monkeypatch.setattr(module, "MAX_METRIC_NAMES", 2)
    notes = Notes()
    notes.take([(f"x{value}", 1.0) for value in range(10)], [])
    assert set(notes.last) == {"x0", "x1"}
    assert notes.fresh()[1] == ["… metrics cut: 1000000 values under 2 names are kept"]


@pytest.mark.parametrize("name", ["", "a" * 129, "\x1b[2J", "two\nlines"])
def test_odd_names_are_left_out(name):
    notes = Notes()
    notes.take([(name, 1.0)], [])
    assert (notes.last, notes.fresh()) == ({}, ([], []))


def test_lines_are_cleaned_and_split():
    notes = Notes()
    notes.take([], ["one\ntwo", "\x1b[31mred", "x" * 100_000])
    lines = notes.fresh()[1]
    assert lines[:3] == ["one", "two", "\\x1b[31mred"]
    assert len(lines[3]) == 8192


def test_lines_are_bounded_also_when_one_text_holds_many(monkeypatch):
    monkeypatch.setattr(module, "MAX_LOG_LINES", 5)
    notes = Notes()
    notes.take([], ["\n" * 1000])
    notes.take([], ["more"])
    assert notes.fresh()[1] == ["", "", "", "", "… log cut: 5 lines of 4194304 characters in all are kept"]


def test_characters_are_bounded(monkeypatch):
    monkeypatch.setattr(module, "MAX_LOG_KEPT", 100)
    notes = Notes()
    notes.take([], ["x" * 60] * 5)
    assert notes.fresh()[1] == ["x" * 60, "… log cut: 20000 lines of 100 characters in all are kept"]


def test_an_error_keeps_what_is_fit_to_be_shown():
    error = ErrorData(kind="ValueError", text="two\nlines", traceback='File "a.py"\n\tx', family="UserCodeError")
    assert presentable(error) == error
