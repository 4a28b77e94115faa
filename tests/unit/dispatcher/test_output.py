"""What a worker prints, cut into lines and kept within bounds."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybrid_runtime.dispatcher import output as module
from hybrid_runtime.dispatcher.output import MAX_KEPT_BYTES, MAX_LINE_BYTES, Output, clean, fault_traceback


@pytest.fixture
def pipe() -> Iterator[tuple[Output, int]]:
    """An output, and the descriptor that a worker writes to."""
    read, write = os.pipe()
    yield Output("stdout", read), write
    os.close(read)
    os.close(write)


def flood(output: Output, write: int, size: int) -> list[str]:
    """The lines that came of so many bytes, written and read in turns."""
    lines = []
    block = b"x" * 63 + b"\n"
    for _ in range(size // 65536):
        os.write(write, block * 1024)
        lines += output.read()[0]
    return lines


def test_lines_are_given_as_they_are_complete(pipe):
    output, write = pipe
    assert output.read() == ([], True)
    os.write(write, b"one\ntw")
    assert output.read() == (["one"], True)
    os.write(write, b"o\n\nthree")
    assert output.read() == (["two", ""], True)
    assert output.drain() == ["three"]
    assert output.drain() == []


def test_the_end_gives_the_unfinished_line():
    read, write = os.pipe()
    output = Output("stdout", read)
    os.write(write, b"almost")
    os.close(write)
    assert output.read() == ([], True)
    assert output.read() == (["almost"], False)
    os.close(read)


def test_a_flood_is_read_to_its_end_but_not_kept(pipe):
    output, write = pipe
    lines = flood(output, write, 8 * MAX_KEPT_BYTES)
    assert sum(len(line) + 1 for line in lines) == MAX_KEPT_BYTES
    (note,) = output.drain()
    assert note == f"… output cut: {MAX_KEPT_BYTES} bytes of stdout are kept, {7 * MAX_KEPT_BYTES} were dropped"


def test_the_cut_is_told_once(pipe):
    output, write = pipe
    flood(output, write, 2 * MAX_KEPT_BYTES)
    assert len(output.drain()) == 1
    os.write(write, b"more\n")
    assert output.drain() == []


def test_draining_does_not_go_on_for_as_long_as_somebody_writes(monkeypatch):
    endless = Output("stdout", os.open("/dev/zero", os.O_RDONLY))
    lines = endless.drain()
    assert len("".join(lines)) < 10 * MAX_KEPT_BYTES
    os.close(endless.fd)


def test_the_newest_lines_are_known_also_when_they_were_dropped(pipe):
    output, write = pipe
    flood(output, write, 2 * MAX_KEPT_BYTES)
    os.write(write, b"the last words\n")
    output.drain()
    assert "the last words" in output.last_lines()


def test_a_long_line_is_cut_into_several_and_nothing_of_it_is_lost(pipe):
    output, write = pipe
    text = "".join(chr(ord("a") + index % 26) for index in range(3 * MAX_LINE_BYTES + 5))
    os.write(write, text.encode() + b"\nnext\n")
    *pieces, following = output.read()[0]
    assert "".join(pieces) == text
    assert max(map(len, pieces)) == MAX_LINE_BYTES
    assert following == "next"


def test_a_line_that_never_ends_is_given_in_pieces(pipe):
    output, write = pipe
    os.write(write, b"y" * (2 * MAX_LINE_BYTES + 7))
    assert output.read()[0] == ["y" * MAX_LINE_BYTES] * 2
    assert output.drain() == ["y" * 7]


def test_no_character_is_cut_in_two(pipe):
    output, write = pipe
    text = "a" + "€" * MAX_LINE_BYTES
    os.write(write, text.encode() + b"\n")
    assert "".join(output.read()[0]) == text


@given(st.lists(st.binary(max_size=40), max_size=20), st.integers(4, 12))
def test_whatever_is_written_in_whatever_pieces_the_text_is_the_same(blocks, longest):
    read, write = os.pipe()
    before = module.MAX_LINE_BYTES
    module.MAX_LINE_BYTES = longest
    try:
        output = Output("stdout", read)
        lines = []
        for block in blocks:
            os.write(write, block)
            lines += output.read()[0]
        lines += output.drain()
    finally:
        module.MAX_LINE_BYTES = before
        os.close(read)
        os.close(write)
    printable = b"".join(blocks).decode("ascii", "ignore").isprintable()
    if printable and b"".join(blocks).isascii():
        assert "".join(lines) == b"".join(blocks).decode()
    assert all(clean(line) == line for line in lines)


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        (b"plain", "plain"),
        (b"windows\r", "windows"),
        ("grüße €".encode(), "grüße €"),
        (b"\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"),
        (b"a\tb", "a\tb"),
        (b"10%\r20%", "10%\\x0d20%"),
        (b"bell\x07", "bell\\x07"),
        (b"\xff\xfe", "\ufffd\ufffd"),
        ("right\u202eleft", "right\\x202eleft"),
        ("\x9b31m", "\\x9b31m"),
        ("", ""),
    ],
)
def test_a_line_is_safe_on_a_terminal(line, shown):
    assert clean(line) == shown


# ------------------------------------------------------------------ what faulthandler leaves

CRASH = """\
Fatal Python error: Segmentation fault

Current thread 0x00007f (most recent call first):
  File "/usr/lib/python3.11/ctypes/__init__.py", line 519 in string_at
  File "/scratch/job-1/bundle/vqe.py", line 21 in energy
  File "/scratch/job-1/bundle/vqe.py", line 30 in algo
  File "/opt/x/hybrid_runtime/classical/styles.py", line 147 in _drive_function
  File "<frozen runpy>", line 88 in _run_code

Extension modules: numpy._core, scipy (total: 63)
"""
DUMP = """\
Stack (most recent call first):
  File "/home/me/vqe.py", line 7 in loop
  File "/opt/x/hybrid_runtime/classical/worker.py", line 90 in run
"""


def found(lines: list[str]) -> tuple[str, str]:
    fault = fault_traceback(lines)
    assert fault is not None
    return fault


def test_a_crash_is_put_down_to_the_users_line():
    where, text = found(["before", *CRASH.splitlines()])
    assert where == "vqe.py, line 21, in energy"
    assert text.splitlines() == [
        "Fatal Python error: Segmentation fault",
        "",
        "Current thread 0x00007f (most recent call first):",
        '  File "/usr/lib/python3.11/ctypes/__init__.py", line 519 in string_at',
        '  File "vqe.py", line 21 in energy',
        '  File "vqe.py", line 30 in algo',
    ]


def test_a_dump_of_a_pickled_algorithm_names_its_file():
    assert found(DUMP.splitlines())[0] == "/home/me/vqe.py, line 7, in loop"


def test_the_last_of_several_dumps_counts():
    lines = [*DUMP.splitlines(), *DUMP.replace("line 7", "line 9").splitlines()]
    assert found(lines)[0] == "/home/me/vqe.py, line 9, in loop"


def test_a_crash_in_a_library_without_lines_of_the_users_names_the_library():
    text = 'Fatal Python error: Aborted\n\nCurrent thread 0x1:\n  File "/usr/lib/python3.11/x.py", line 1 in f\n'
    assert found(text.splitlines())[0] == "/usr/lib/python3.11/x.py, line 1, in f"


@pytest.mark.parametrize(
    "lines", [[], ["nothing of note"], ["Fatal Python error: Aborted", ""], ['  File "a", line 1 in f']]
)
def test_where_faulthandler_left_nothing_there_is_nothing(lines):
    assert fault_traceback(lines) is None


def test_lines_about_the_runtime_itself_are_not_shown(pipe):
    output, write = pipe
    os.write(write, CRASH.encode())
    shown = "\n".join(output.read()[0])
    assert "vqe.py" in shown
    assert not any(word in shown for word in ("hybrid_runtime", "runpy", "Extension modules"))
    assert found(output.last_lines())[0] == "vqe.py, line 21, in energy"


def test_a_users_own_traceback_is_shown_whole(pipe):
    output, write = pipe
    line = '  File "/opt/x/hybrid_runtime/context.py", line 5, in run\n    pass\n'
    os.write(write, line.encode())
    assert len(output.read()[0]) == 2
