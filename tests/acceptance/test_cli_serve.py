"""`qi-run serve` and `qi-run config`, as whoever types them meets them."""

from __future__ import annotations

import json
import socket

import pytest


def test_a_second_service_on_the_same_data_is_refused(service, qi_run):
    ran = qi_run("serve", "--data", str(service.data), "--listen", ":0")
    assert ran.code == 2
    assert f"is in use by another qi-run serve (process {service.pid})" in ran.err


def test_a_port_that_is_taken_is_refused(qi_run, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        ran = qi_run("serve", "--data", str(tmp_path / "data"), "--listen", listen)
    assert ran.code == 2
    assert f"cannot listen at http://{listen}: Address already in use" in ran.err


def test_a_data_folder_that_cannot_be_made_is_refused(qi_run, tmp_path):
    (tmp_path / "file").touch()
    ran = qi_run("serve", "--data", str(tmp_path / "file" / "data"), "--listen", ":0")
    assert ran.code == 2
    assert "cannot be written: Not a directory" in ran.err


def test_a_database_that_is_none_is_refused(qi_run, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "jobs.sqlite").write_text("this is not a database, but it is longer than a header" * 100)
    ran = qi_run("serve", "--data", str(tmp_path / "data"), "--listen", ":0", "--json")
    assert ran.code != 0
    assert "not a database" in ran.told["error"]["text"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--listen", "nowhere"], "--listen is HOST:PORT"),
        (["--backend", "qulacs"], "--backend is NAME=DRIVER"),
        (["--config", "none.toml"], "qi-run config init writes one"),
    ],
)
def test_wrong_options_are_refused(qi_run, arguments, told):
    ran = qi_run("serve", *arguments)
    assert ran.code == 2
    assert told in ran.err


# ------------------------------------------------------------------ settings


def test_a_file_is_written_once_and_then_left_alone(qi_run):
    ran = qi_run("config", "init", "serve.toml")
    assert (ran.code, ran.out) == (0, "serve.toml\n")
    assert (qi_run.folder / "serve.toml").stat().st_mode & 0o077 == 0
    assert qi_run("config", "show", "--config", "serve.toml").code == 0
    again = qi_run("config", "init", "serve.toml")
    assert again.code == 2
    assert "exists and is left as it is" in again.err


def test_what_holds_is_shown_with_where_it_comes_from(qi_run):
    qi_run.file("serve.toml", "[listen]\nport = 5")
    qi_run.environment["QI_RUN_SERVE_LISTEN_HOST"] = "::1"
    told = json.loads(qi_run("config", "show", "--config", "serve.toml", "--json").out)
    assert told["listen.port"] == {"value": 5, "source": "serve.toml"}
    assert told["listen.host"] == {"value": "::1", "source": "environment variable QI_RUN_SERVE_LISTEN_HOST"}
    assert told["caps.batch"]["source"] == "default"


def test_a_setting_is_explained(qi_run):
    ran = qi_run("config", "explain", "listen.port")
    assert ran.out.splitlines() == [
        "listen.port",
        "  Port to listen at; 0 takes one that is free.",
        "  kind      whole number",
        "  default   8470",
        "  variable  QI_RUN_SERVE_LISTEN_PORT",
        "  now       8470, from default",
    ]


def test_a_setting_that_is_none_is_refused_with_the_nearest(qi_run):
    ran = qi_run("config", "explain", "listen.prot")
    assert ran.code == 2
    assert "did you mean listen.port?" in ran.err
