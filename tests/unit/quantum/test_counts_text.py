from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybrid_runtime.errors import BackendFailed
from hybrid_runtime.quantum.counts_text import read_counts

QX_OBJECT = "Shots requested: 10\nShots done: 10\nResults: {'00': 4, '11': 6}\nState: {'01': (1+0j)}"
QX_JSON = """{"info": {"shots_requested": 10, "shots_done": 10},
"results": {"00": 4, "11": 6}, "state": {"01": {"real": 1.00000000, "imag": 0.00000000, "norm": 1.00000000}}}"""


@pytest.mark.parametrize(
    "text",
    [
        '{"00": 4, "11": 6}',
        "{'00': 4, '11': 6}",
        "  {'00': 4, '11': 6}\n",
        "{'00': 4.0, '01': 0, '11': 6.0}",
        QX_OBJECT,
        QX_JSON,
        '{"counts": {"00": 4, "11": 6}, "shots_done": 10}',
        "done; counts = {'00': 4, '11': 6}",
        '{"0": 4, "3": 6}',
        "{0: 4, 3: 6}",
        '["00", "11", "11", "00", "11", "11", "11", "00", "00", "11"]',
        "00 11 11 00 11 11 11 00 00 11",
        '{"00": 0.4, "11": 0.6}',
        '{"results": {"00": 0.4, "01": 0.0, "11": 0.6}}',
        "[0.4, 0.0, 0.0, 0.6]",
        "[4, 0, 0, 6]",
    ],
)
def test_counts_are_found_however_they_are_written(text):
    assert read_counts(text, 10, 2) == {"00": 4, "11": 6}


def test_probabilities_become_as_many_counts_as_there_are_shots():
    assert read_counts('{"0": 0.3333, "1": 0.6667}', 100, 1) == {"0": 33, "1": 67}
    assert read_counts("{'1': 1.0}", 7, 1) == {"1": 7}


def test_a_single_shot_is_a_single_count():
    assert read_counts("{'01': 1}", 1, 2) == {"01": 1}
    assert read_counts("01", 1, 2) == {"01": 1}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ok",
        "Error: unknown gate",
        "{}",
        "[]",
        "null",
        '{"00": -1}',
        '{"00": "many"}',
        '{"00": true, "11": false}',
        '{"00": 0}',
        '{"00": 0.2}',
        '{"00": NaN}',
        '{"000": 5}',
        '{"5": 1}',
        '{"0": 4, "1": 6}',
        '{"00": 4, "3": 6}',
        "__import__('os').system('true')",
        "(" * 100_000,
        "[" * 100_000,
    ],
)
def test_what_holds_no_counts_is_refused_and_shown(text):
    with pytest.raises(BackendFailed, match="holds no counts of 2 qubits") as raised:
        read_counts(text, 10, 2)
    assert len(str(raised.value)) < 1000


@given(
    st.integers(1, 6).flatmap(
        lambda qubits: st.tuples(
            st.just(qubits),
            st.dictionaries(
                st.integers(0, 2**qubits - 1).map(lambda number: format(number, f"0{qubits}b")),
                st.integers(1, 10**9),
                min_size=1,
            ),
        )
    )
)
def test_any_counts_survive_as_json_and_as_python(case):
    qubits, counts = case
    assert read_counts(json.dumps(counts), 1, qubits) == counts
    assert read_counts(repr(counts), 1, qubits) == counts


@given(st.lists(st.floats(0.01, 1.0), min_size=2, max_size=8), st.integers(1, 10_000))
def test_probabilities_always_give_all_the_shots(weights, shots):
    total = sum(weights)
    shares = {format(index, "03b"): weight / total for index, weight in enumerate(weights)}
    counts = read_counts(repr(shares), shots, 3)
    assert sum(counts.values()) == shots
    assert all(abs(counts.get(bits, 0) - share * shots) <= 1 + shots * 1e-9 for bits, share in shares.items())
