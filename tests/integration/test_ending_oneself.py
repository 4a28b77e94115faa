"""Algorithms that end their own process: the job fails, and its error names the line."""

import pytest

from hybrid_runtime import LocalRuntime
from hybrid_runtime.errors import exit_code

SOURCE = """
import os, signal
from hybrid_runtime import hybrid

@hybrid
def algorithm(context):
    {line}
    return "survived"
"""


@pytest.fixture(scope="module", params=["strict", "process"])
def client(request):
    with LocalRuntime("null", isolation=request.param) as client:
        yield client


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("os.kill(os.getpid(), signal.SIGKILL)", "SIGKILL"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", "SIGSEGV"),
        ("os.kill(0, signal.SIGTERM)", "SIGTERM"),
        ("signal.raise_signal(signal.SIGABRT)", "SIGABRT"),
        ("os.abort()", "SIGABRT"),
        ("os._exit(0)", "exit code 0"),
        ("os._exit(3)", "exit code 3"),
    ],
)
def test_an_algorithm_that_ends_its_process_is_lost_at_that_line(client, tmp_path, line, words):
    file = tmp_path / "ends.py"
    file.write_text(SOURCE.format(line=line))

    result = client.run(str(file))

    assert result.error is not None
    assert (result.error.kind, exit_code(result.error)) == ("WorkerLost", 1)
    assert words in result.error.text
    assert "ends.py, line 7, in algorithm" in result.error.text


def test_an_algorithm_may_handle_signals_that_it_sends_itself(client, tmp_path):
    file = tmp_path / "handles.py"
    line = "got = []; signal.signal(signal.SIGTERM, lambda *_: got.append(1)); os.kill(os.getpid(), 15); assert got"
    file.write_text(SOURCE.format(line=line))

    assert client.run(str(file)).value == "survived"
