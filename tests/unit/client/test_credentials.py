from __future__ import annotations

import os
import stat

import pytest

from hybrid_runtime.client.credentials import Server, Servers, checked_url, choose, is_exposed, load, place, save
from hybrid_runtime.errors import InvalidInput, Unauthenticated

URL = "https://qpu.example"
TWO = Servers(default="lab", servers={"lab": Server(URL, "secret"), "desk": Server("http://127.0.0.1:8470", "other")})


@pytest.fixture(autouse=True)
def _home(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("QI_RUN_URL", raising=False)
    monkeypatch.delenv("QI_RUN_TOKEN", raising=False)


def test_what_is_given_needs_no_file():
    place().parent.mkdir(parents=True)
    place().write_text("damaged")
    assert choose(URL, "mine") == (URL, "mine")


def test_the_environment_comes_before_the_file(monkeypatch):
    save(TWO)
    monkeypatch.setenv("QI_RUN_URL", "http://localhost:1/")
    monkeypatch.setenv("QI_RUN_TOKEN", "from-there")
    assert choose() == ("http://localhost:1", "from-there")


def test_without_anything_the_server_logged_in_to_last_is_asked():
    save(TWO)
    assert choose() == (URL, "secret")


def test_a_server_can_be_named():
    save(TWO)
    assert choose("desk") == ("http://127.0.0.1:8470", "other")


def test_a_token_goes_to_no_other_server_than_its_own():
    save(TWO)
    with pytest.raises(Unauthenticated, match=r"qi-run login https://qpu\.example:444"):
        choose("https://qpu.example:444")


def test_an_unknown_name_is_told_with_the_known_ones():
    save(TWO)
    with pytest.raises(InvalidInput, match="lab, desk"):
        choose("lap")


def test_who_never_logged_in_is_told_how_to():
    with pytest.raises(Unauthenticated, match="qi-run login URL, or set QI_RUN_URL and QI_RUN_TOKEN") as caught:
        choose()
    assert caught.value.reason == "missing"


def test_the_file_is_its_owners_alone_from_the_beginning(monkeypatch):
    before = os.umask(0)
    modes = []
    opened = os.open

    def watched(path, *arguments, **keywords):
        fd = opened(path, *arguments, **keywords)
        modes.append(stat.S_IMODE(os.fstat(fd).st_mode))
        return fd

    monkeypatch.setattr(os, "open", watched)
    try:
        path = save(TWO)
    finally:
        os.umask(before)
    assert modes == [0o600]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [entry.name for entry in path.parent.iterdir()] == ["servers.json"]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o622, 0o611])
def test_a_file_that_others_can_reach_is_not_used(mode):
    path = save(TWO)
    path.chmod(mode)
    with pytest.raises(InvalidInput, match=f"chmod 600 {path}"):
        load()


def test_a_pipe_in_its_place_is_not_waited_for():
    place().parent.mkdir(parents=True)
    os.mkfifo(place(), 0o600)
    with pytest.raises(InvalidInput, match="is not a file"):
        load()


@pytest.mark.parametrize("text", ["", "[]", '{"servers": {"a": {"url": 3}}}', "[" * 100_000])
def test_a_damaged_file_is_told_as_such(text):
    path = save(TWO)
    path.write_text(text)
    with pytest.raises(InvalidInput, match="is damaged"):
        load()


def test_a_folder_that_cannot_be_made_is_told_with_another_way(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "file"))
    with pytest.raises(InvalidInput, match="set QI_RUN_URL and QI_RUN_TOKEN"):
        save(TWO)


def test_a_file_of_somebody_else_is_not_used(monkeypatch):
    path = save(TWO)
    monkeypatch.setattr(os, "getuid", lambda: path.stat().st_uid + 1)
    if path.stat().st_uid == 0:
        pytest.skip("files of root are trusted, and here everything is root's")
    with pytest.raises(InvalidInput, match="belongs to another user"):
        load()


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("http://127.0.0.1:8470/", "http://127.0.0.1:8470"),
        ("HTTPS://QPU.example", "https://qpu.example"),
        (" https://qpu.example/runtime// ", "https://qpu.example/runtime"),
        ("http://[::1]:8470", "http://[::1]:8470"),
    ],
)
def test_a_url_has_one_form(given, kept):
    assert checked_url(given) == kept


@pytest.mark.parametrize(
    "url",
    [
        "qpu.example",
        "ftp://a",
        "http://",
        "file:///etc",
        "http://me:pw@a",
        "http://a?b=c",
        "http://a#b",
        "http://a:99999",
        "http://[::1",
        "",
    ],
)
def test_what_is_no_url_of_a_server_is_refused(url):
    with pytest.raises(InvalidInput, match="URL"):
        checked_url(url)


def test_plain_text_over_a_network_is_noticed():
    assert is_exposed("http://qpu.example:8470")
    assert not is_exposed("https://qpu.example")
    assert not is_exposed("http://localhost:8470")
    assert not is_exposed("http://[::1]:8470")
