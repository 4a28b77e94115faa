"""Where the service listens, and who is told."""

from __future__ import annotations

import json
import logging
import socket

import pytest

from hybrid_runtime.errors import InvalidInput
from hybrid_runtime.server.listening import notify, open_socket, parse_listen, url_of
from hybrid_runtime.server.logs import begin_log
from hybrid_runtime.server.settings import LogSettings


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("127.0.0.1:8470", ("127.0.0.1", 8470)),
        (":0", ("127.0.0.1", 0)),
        ("[::1]:80", ("::1", 80)),
        ("host.example:1", ("host.example", 1)),
    ],
)
def test_a_place_is_a_host_and_a_port(text, place):
    assert parse_listen(text) == place


@pytest.mark.parametrize("text", ["", "host", "host:", "host:x", "host:70000", "host:-1", "host:1.5", "host:\u0661"])
def test_what_is_no_place_is_refused(text):
    with pytest.raises(InvalidInput, match="HOST:PORT"):
        parse_listen(text)


def test_an_address_is_written_as_clients_take_it():
    assert url_of("127.0.0.1", 80) == "http://127.0.0.1:80"
    assert url_of("::1", 80) == "http://[::1]:80"


def test_port_0_takes_one_that_is_free():
    with open_socket("127.0.0.1", 0) as one, open_socket("127.0.0.1", 0) as other:
        assert 0 != one.getsockname()[1] != other.getsockname()[1] != 0


def test_a_port_in_use_is_refused_with_the_option_that_chooses_another():
    with open_socket("127.0.0.1", 0) as one:
        port = one.getsockname()[1]
        with pytest.raises(InvalidInput, match=f"cannot listen at http://127.0.0.1:{port}: .*--listen"):
            open_socket("127.0.0.1", port)


def test_a_host_that_is_none_is_refused():
    with pytest.raises(InvalidInput, match=r"listen\.host"):
        open_socket("no such host", 0)


def test_a_service_manager_is_told(tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        notify("READY=1", str(tmp_path / "notify"))
        assert manager.recv(100) == b"READY=1"


def test_a_service_manager_with_an_abstract_address_is_told():
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind("")
        name = manager.getsockname()
        notify("READY=1", "@" + name[1:].decode())
        assert manager.recv(100) == b"READY=1"


def test_a_service_manager_that_is_gone_or_was_never_there_is_no_trouble(tmp_path):
    notify("READY=1", None)
    notify("READY=1", str(tmp_path / "none"))


@pytest.fixture
def lines(capsys):
    """Logs a message; the lines on stderr."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level

    def log(settings: LogSettings, message: str) -> list[str]:
        begin_log(settings, "runner-a")
        logging.getLogger("x").info(message)
        return capsys.readouterr().err.splitlines()

    yield log
    root.handlers[:] = handlers
    root.setLevel(level)
    for name in ("hybrid_runtime.access", "alembic", "uvicorn"):
        logging.getLogger(name).setLevel(logging.NOTSET)


def test_a_message_is_one_line_whatever_is_in_it(lines):
    (line,) = lines(LogSettings(), "two\nlines")
    assert line.endswith("INFO    runner-a: two\\nlines")


def test_a_line_may_be_json(lines):
    (line,) = lines(LogSettings(format="json"), "two\nlines")
    told = json.loads(line)
    assert (told["process"], told["level"], told["message"]) == ("runner-a", "info", "two\nlines")


def test_less_important_lines_are_left_out(lines):
    assert lines(LogSettings(level="warning"), "x") == []
