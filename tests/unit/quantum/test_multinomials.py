"""However rows are drawn, they are those that numpy draws from the stream of each seed."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import numpy as np
import pytest

from hybrid_runtime.quantum.multinomials import multinomials
from hybrid_runtime.quantum.streams import Stream

SEEDS = [0, 1, 2**31 - 1, 12345]


@pytest.fixture
def stream():
    return Stream()


def numpy_draws(shots, probabilities, seeds):
    return [
        np.random.Generator(np.random.Philox(key=seed)).multinomial(shots, line).tolist()
        for line, seed in zip(probabilities, seeds, strict=True)
    ]


def lines(rows: int, outcomes: int) -> np.ndarray:
    made = np.random.default_rng(rows).dirichlet(np.ones(outcomes), rows)
    made[:, : outcomes // 4] = 0.0
    return made / made.sum(axis=1, keepdims=True)


def test_a_stream_begins_at_its_seed_whatever_was_drawn_before(stream):
    for seed in SEEDS:
        stream.restart(seed)
        fresh = np.random.Generator(np.random.Philox(key=seed))
        for dtype in (np.uint32, np.float64):
            draw = (
                (lambda one: one.random(3))
                if dtype is np.float64
                else (lambda one: one.integers(9, size=3, dtype="u4"))
            )
            assert draw(stream.generator).tolist() == draw(fresh).tolist()


@pytest.mark.parametrize("shots", [1, 64, 1024, 10_000_000])
@pytest.mark.parametrize("outcomes", [1, 2, 16, 64])
def test_each_row_is_drawn_from_the_stream_of_its_seed(stream, outcomes, shots):
    draw, probabilities = multinomials(stream), lines(4, outcomes)
    for _ in range(2):
        assert draw(shots, probabilities, SEEDS).tolist() == numpy_draws(shots, probabilities, SEEDS)


def test_rows_beyond_what_is_drawn_together_are_drawn_alike(stream):
    probabilities, seeds = lines(2500, 4), list(range(2500))
    assert multinomials(stream)(100, probabilities, seeds).tolist() == numpy_draws(100, probabilities, seeds)


def test_lines_may_stand_in_memory_as_columns(stream):
    probabilities = np.asfortranarray(lines(4, 8))
    assert multinomials(stream)(50, probabilities, SEEDS).tolist() == numpy_draws(50, probabilities, SEEDS)


def test_results_of_one_call_stay_when_the_next_is_made(stream):
    draw, probabilities = multinomials(stream), lines(4, 8)
    first = draw(50, probabilities, SEEDS)
    kept = first.tolist()
    draw(60, probabilities, SEEDS)
    assert first.tolist() == kept


def test_without_the_state_in_memory_numpy_draws_the_same(stream):
    probabilities = lines(4, 8)
    expected = numpy_draws(50, probabilities, SEEDS)
    stream.state = None
    assert multinomials(stream)(50, probabilities, SEEDS).tolist() == expected


def test_without_the_function_numpy_draws_the_same(stream, monkeypatch):
    probabilities = lines(4, 8)
    monkeypatch.setitem(sys.modules, np.random.Generator.__module__, SimpleNamespace(__file__="/nowhere.so"))
    assert multinomials(stream)(50, probabilities, SEEDS).tolist() == numpy_draws(50, probabilities, SEEDS)


def test_an_interpreter_whose_objects_have_no_place_sets_the_generator_by_numpy(monkeypatch):
    monkeypatch.setattr(sys, "implementation", SimpleNamespace(name="other"))
    stream = Stream()
    assert stream.state is None
    stream.restart(5)
    assert stream.generator.random() == np.random.Generator(np.random.Philox(key=5)).random()


def test_here_rows_are_drawn_directly(stream):
    assert type(multinomials(stream)).__name__ == "_Direct"
