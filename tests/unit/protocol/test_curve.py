from __future__ import annotations

import stat

import pytest

from hybrid_runtime.errors import InvalidInput
from hybrid_runtime.protocol.curve import load_client_keys, load_server_keys, make_keys
from hybrid_runtime.protocol.zeromq import public_key


def test_keys_that_were_made_fit_each_other(tmp_path):
    make_keys(tmp_path / "keys")
    server, client = load_server_keys(tmp_path / "keys"), load_client_keys(tmp_path / "keys")
    assert client.server == public_key(server.secret)
    assert dict(server.clients) == {client.public: "client"}


def test_secrets_can_be_read_by_their_owner_only(tmp_path):
    for path in make_keys(tmp_path / "keys"):
        shared = stat.S_IMODE(path.stat().st_mode) & 0o077
        assert bool(shared) is (path.suffix == ".public")
    assert stat.S_IMODE((tmp_path / "keys").stat().st_mode) == 0o700


def test_keys_are_never_overwritten(tmp_path):
    made = {path: path.read_text() for path in make_keys(tmp_path)}
    with pytest.raises(InvalidInput, match="never overwritten"):
        make_keys(tmp_path)
    assert {path: path.read_text() for path in made} == made


def test_nothing_is_made_where_a_single_key_exists(tmp_path):
    (tmp_path / "client.public").write_text("precious")
    with pytest.raises(InvalidInput, match=r"client\.public exists"):
        make_keys(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["client.public"]


def test_a_folder_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidInput, match="cannot be written"):
        make_keys(tmp_path / "file" / "keys")


def test_a_secret_that_others_can_read_is_refused(tmp_path):
    make_keys(tmp_path)
    (tmp_path / "client.secret").chmod(0o640)
    with pytest.raises(InvalidInput, match="chmod 600"):
        load_client_keys(tmp_path)


def test_further_clients_are_let_in_by_their_public_keys(tmp_path):
    make_keys(tmp_path / "server")
    make_keys(tmp_path / "guest")
    guest = (tmp_path / "guest/client.public").read_text()
    (tmp_path / "server/clients/guest.public").write_text(guest)
    keys = load_server_keys(tmp_path / "server")
    assert keys.clients[load_client_keys(tmp_path / "guest").public] == "guest"


def test_a_server_that_lets_nobody_in_is_refused(tmp_path):
    make_keys(tmp_path)
    (tmp_path / "clients/client.public").unlink()
    with pytest.raises(InvalidInput, match="no client is let in"):
        load_server_keys(tmp_path)


@pytest.mark.parametrize("content", ["", "short\n", "# only a comment\n", "x" * 40 + "\n" + "y" * 40, "~" * 40, "\xff"])
def test_what_is_no_key_is_refused_by_the_name_of_its_file(tmp_path, content):
    make_keys(tmp_path)
    (tmp_path / "server.public").write_bytes(content.encode("latin-1"))
    with pytest.raises(InvalidInput, match=r"server\.public"):
        load_client_keys(tmp_path)


def test_a_missing_key_is_named(tmp_path):
    with pytest.raises(InvalidInput, match=r"server\.secret.*qi-run keys"):
        load_server_keys(tmp_path)
