from __future__ import annotations

import json
import sys

import pytest

from hybrid_runtime import __version__
from hybrid_runtime.cli import app
from hybrid_runtime.cli.main import main


@pytest.fixture
def command(monkeypatch, capsys, tmp_path):
    """Run the command line in this process, as somebody who is logged in nowhere: its exit code, stdout and stderr."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.delenv("QI_RUN_URL", raising=False)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["qi-run", *arguments])
        code = main()
        streams = capsys.readouterr()
        return code, streams.out, streams.err

    return run


@pytest.mark.parametrize("arguments", [["version"], ["--version"]])
def test_the_version_is_told(command, arguments):
    assert command(*arguments) == (0, f"qi-run {__version__}\n", "")


def test_without_a_command_help_is_shown_and_nothing_is_done(command):
    code, out, _ = command()
    assert code == 2
    assert "Usage: qi-run" in out


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["check", "-h"]])
def test_help_ends_with_the_exit_codes(command, arguments):
    code, out, _ = command(*arguments)
    assert code == 0
    assert "70: a fault of Hybrid Runtime" in out


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["chek", "a.py"], "Did you mean 'check'? see qi-run --help"),
        (["run", "a.py", "--shot", "3"], "did you mean --shots? see qi-run run --help"),
        (["run"], "Missing argument"),
        (["run", "a.py", "--shots", "many"], "Invalid value for '--shots'"),
        (["user/a.py", "--json"], "to run a file, write: qi-run run user/a.py"),
        (["new", "a", "b", "c"], "unexpected extra argument"),
        (["run", "no_such_file.py"], "no_such_file.py does not exist"),
    ],
)
def test_wrong_usage_is_refused_in_one_line(command, arguments, reason):
    code, _, err = command(*arguments)
    assert code == 2
    assert reason in err
    assert len(err.splitlines()) == 1


def test_wrong_usage_gives_an_object_where_one_is_wanted(command):
    code, out, err = command("run", "a.py", "--shots", "many", "--json")
    told = json.loads(out)
    assert code == 2
    assert told["state"] == "failed"
    assert told["error"]["kind"] == "InvalidInput"
    assert told["error"]["text"] in err


def test_what_follows_two_dashes_is_no_option(command):
    code, out, _ = command("run", "--", "a.py", "--json")
    assert code == 2
    assert out == ""


@pytest.fixture
def _broken(monkeypatch):
    def command():
        raise ZeroDivisionError("a fault")

    monkeypatch.setattr(app, "command", command)


@pytest.mark.usefixtures("_broken")
def test_a_fault_of_ours_is_one_line_and_a_request_to_report_it(command):
    code, out, err = command("run", "a.py")
    assert code == 70
    assert out == ""
    assert err.splitlines() == [
        "InternalError: ZeroDivisionError: a fault",
        "This is a fault of Hybrid Runtime: please report it with what --debug shows.",
    ]


def test_ctrl_c_before_a_job_runs_cancels_it(command, monkeypatch):
    def interrupted():
        raise KeyboardInterrupt

    monkeypatch.setattr(app, "command", interrupted)
    code, out, err = command("run", "a.py", "--json")
    assert code == 4
    assert (json.loads(out)["state"], json.loads(out)["stop_reason"]) == ("cancelled", "cancelled")
    assert err == "JobCancelled: cancelled before anything was run\n"


@pytest.mark.usefixtures("_broken")
def test_debug_shows_the_traceback_of_a_fault_of_ours(command):
    code, _, err = command("run", "a.py", "--debug")
    assert code == 70
    assert 'raise ZeroDivisionError("a fault")' in err


def test_backends_are_listed_with_a_description(command):
    code, out, _ = command("backends")
    assert code == 0
    listed = dict(line.split(maxsplit=1) for line in out.splitlines())
    assert {"null", "paced", "qulacs", "scripted"} <= listed.keys()
