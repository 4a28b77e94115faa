"""What the command line makes of a report."""

from __future__ import annotations

import msgspec

from hybrid_runtime.bench import machine
from hybrid_runtime.bench.report import Report
from hybrid_runtime.cli.bench_tables import markdown, tables


def by_title(report):
    return {table.title: table for table in tables(report)}


def test_the_first_table_sets_ours_beside_the_paper(report):
    table = tables(report)[0]
    assert table.columns == ("phase", "paper", "p50", "p99", "p99.9", "max", "samples")
    assert table.rows == [
        ("initialization, warm", "3 s 792 us", "1.00 ms", "2.00 ms", "3.00 ms", "4.00 ms", "1000"),
        ("initialization, cold", "3 s 792 us", "500 ms", "1.00 s", "1.50 s", "2.00 s", "1000"),
        ("execution (same-core)", "17 us", "10.0 us", "20.0 us", "30.0 us", "40.0 us", "1000"),
        ("termination", "200 us", "100 us", "200 us", "300 us", "400 us", "1000"),
    ]


def test_steps_stand_below_the_floor(report):
    rows = by_title(report)["One step by channel and placement"].rows
    assert [row[:2] for row in rows] == [
        *(("C floor, seqpacket", "same-core"), ("C floor, seqpacket", "free"), ("C floor, spin", "spread")),
        *(("runtime, seqpacket", "same-core"), ("runtime, seqpacket", "free"), ("runtime, seqpacket", "spread")),
        ("runtime, zeromq", "free"),
    ]


def test_peers_that_were_not_measured_say_why(report):
    rows = by_title(report)["The same step by other means"].rows
    assert rows[0][:3] == ("Pyro5", "free", "200 us")
    assert rows[1][:3] == ("Ray actor", "ray is not installed", "")


def test_a_loop_shows_both_times_and_their_difference(report):
    (row,) = by_title(report)["Whole algorithms beside scipy and the emulator in one process"].rows
    assert row == ("VQE of H2", "200", "110 ms", "100 ms", "+10.0%", "yes")


def test_a_batch_says_how_much_quicker_it_is(report):
    (note,) = by_title(report)["A step by its parameter sets, null"].notes
    assert note == "1000 sets in one step are 20.0 times quicker than 1000 steps of one, by medians."


def test_the_machine_is_in_every_report(report):
    table = by_title(report)["Machine"]
    shown = dict(table.rows)
    assert shown["processor"] == "a processor, 2 cores"
    assert shown["isolation of workers"] == "strict"
    assert shown["load average before, after"] == "0.10 0.20 0.30 / 0.40 0.50 0.60"
    assert table.notes == ("step_s.other: there is no other",)


def test_tables_without_rows_are_left_out():
    empty = Report(taken_at="now", quick=True, machine=machine.describe())
    assert [table.title for table in tables(empty)] == ["Machine"]


def test_every_row_of_a_table_has_all_its_columns(report):
    for table in tables(report):
        assert {len(row) for row in table.rows} == {len(table.columns)}, table.title


def test_markdown_has_the_warnings_and_every_table(report):
    text = markdown(report)
    assert text.startswith("# Latency report\n\n**taken under load: somebody compiled**\n\n## The paper's Table I")
    assert [line for line in text.splitlines() if line.startswith("## ")] == [
        f"## {table.title}" for table in tables(report)
    ]
    assert "| termination | 200 us | 100 us | 200 us | 300 us | 400 us | 1000 |" in text


def test_a_bar_in_a_cell_does_not_end_it(report):
    report.machine = msgspec.structs.replace(report.machine, cpu="one | two")
    assert "one \\| two" in markdown(report)
