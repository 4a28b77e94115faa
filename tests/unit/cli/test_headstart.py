from __future__ import annotations

import pytest

from hybrid_runtime.bundle import bundle_file
from hybrid_runtime.cli.headstart import HeadStart

TEXT = "from hybrid_runtime import hybrid\n@hybrid\ndef a(context): return context.backend.name\n"


@pytest.fixture
def path(tmp_path):
    file = tmp_path / "a.py"
    file.write_text(TEXT)
    return str(file)


def test_the_runtime_that_was_guessed_runs_the_job(path):
    head_start = HeadStart(["--shots", "3", path, "--backend=null"])
    guessed = head_start._client
    with head_start.client("null", bundle_file(path), {}) as client:
        assert client is guessed
        assert client.run(path).value == "null"


def test_a_wrong_guess_is_ended_and_another_runtime_started(path):
    head_start = HeadStart([path, "-b", "no-such-backend"])
    guessed = head_start._client
    with head_start.client("null", bundle_file(path), {}) as client:
        assert client is not guessed
        assert client.run(path).value == "null"


def test_a_runtime_that_nobody_took_is_ended(path):
    head_start = HeadStart([path])
    head_start.close()
    assert head_start._client is None


@pytest.mark.parametrize("arguments", [[], ["no_such_file.py"], ["{path}", "--help"], ["-h", "{path}"]])
def test_nothing_is_started_where_no_job_will_run(path, arguments):
    head_start = HeadStart([argument.format(path=path) for argument in arguments])
    assert head_start._client is None


def test_a_file_that_cannot_be_packed_is_left_to_the_command(tmp_path):
    (tmp_path / "bad.py").write_text("def f(:\n")
    assert HeadStart([str(tmp_path / "bad.py")])._client is None
