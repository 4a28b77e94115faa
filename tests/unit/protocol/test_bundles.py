"""Bundles from anywhere: what must not be unpacked is refused before it is."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybrid_runtime.errors import BundleError
from hybrid_runtime.protocol import bundles
from hybrid_runtime.protocol.bundles import Bundle, content_hash, decode_bundle, encode_bundle


def bundle(**changes) -> Bundle:
    return Bundle(**{"python": "3.11", "entry": "a.py", "files": {"a.py": b"x = 1"}} | changes)


def files(*paths: str) -> Bundle:
    return bundle(files={"a.py": b""} | dict.fromkeys(paths, b""))


def test_a_bundle_comes_back_as_it_was():
    one = bundle(name="Algo", packages={"numpy": "2.1"}, files={"a.py": b"x", "lib/b.py": b"\xff"})
    assert decode_bundle(encode_bundle(one)) == one


def test_the_same_content_has_the_same_bytes_and_the_same_name():
    one = bundle(files={"a.py": b"", "b.py": b""})
    other = bundle(files={"b.py": b"", "a.py": b""})
    assert encode_bundle(one) == encode_bundle(other)
    assert content_hash(encode_bundle(one)) == content_hash(encode_bundle(other))
    assert len(content_hash(b"")) == 64


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "../up.py",
        "lib/../../up.py",
        "lib//b.py",
        "./b.py",
        "lib/.",
        "lib/",
        "",
        "..",
        "lib\\b.py",
        "C:b.py",
        "b.py:stream",
        "nul\0.py",
        "two\nlines.py",
        "del\x7f.py",
        "x" * 201,
        "x/" * 200 + "y",
    ],
    ids=lambda path: repr(path[:20]),
)
def test_paths_that_lead_out_or_are_odd_are_refused(path):
    with pytest.raises(BundleError, match="the bundle has a file with the path") as caught:
        decode_bundle(encode_bundle(files(path)))
    assert len(str(caught.value)) < 300


def test_a_name_that_is_no_text_is_refused():
    with pytest.raises(BundleError, match="not valid Unicode"):
        encode_bundle(files("\udcff.py"))


@pytest.mark.parametrize("path", ["b.py", "lib/b.py", "...", ".hidden", "über/größe.py", "a b.py", "x" * 200])
def test_plain_relative_paths_are_taken(path):
    assert path in decode_bundle(encode_bundle(files(path))).files


@pytest.mark.parametrize(
    "paths", [("b.py", "B.py"), ("\u00e9.py", "e\u0301.py"), ("stra\u00dfe.py", "strasse.py"), ("lib/x", "LIB/X")]
)
def test_names_that_one_file_system_takes_for_one_are_refused(paths):
    with pytest.raises(BundleError, match="names clash"):
        decode_bundle(encode_bundle(files(*paths)))


@pytest.mark.parametrize("paths", [("lib", "lib/b.py"), ("lib/b.py", "LIB"), ("x/y/z", "x/y")])
def test_a_name_cannot_be_a_file_and_a_folder(paths):
    with pytest.raises(BundleError, match="both as a file and as a folder"):
        decode_bundle(encode_bundle(files(*paths)))


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (bundle(format=2), "format 2 is not known"),
        (bundle(entry=""), "either an entry file or a pickled algorithm"),
        (bundle(pickle=b"x"), "either an entry file or a pickled algorithm"),
        (bundle(entry="b.py"), "entry file 'b.py' is not in it"),
        (bundle(files={"a.py": b""} | {f"{n}.py": b"" for n in range(bundles.MAX_FILES)}), "at most 2000 are taken"),
    ],
)
def test_a_bundle_that_makes_no_sense_is_refused(wrong, why):
    with pytest.raises(BundleError, match=why):
        decode_bundle(encode_bundle(wrong))


def test_a_bundle_that_is_too_large_is_refused_on_both_sides(monkeypatch):
    data = encode_bundle(bundle(files={"a.py": bytes(1000)}))
    monkeypatch.setattr(bundles, "MAX_BUNDLE_BYTES", 500)
    with pytest.raises(BundleError, match="leave data out"):
        encode_bundle(bundle(files={"a.py": bytes(1000)}))
    with pytest.raises(BundleError, match="at most 500 are taken"):
        decode_bundle(data)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"PK\x03\x04",
        b"\x91" * 50_000,
        msgspec.msgpack.encode({"python": 3}),
        msgspec.msgpack.encode({"python": "3.11", "files": {"a.py": "text"}}),
        msgspec.msgpack.encode({}),
    ],
    ids=lambda data: repr(data[:12]),
)
def test_bytes_that_are_no_bundle_are_refused(data):
    with pytest.raises(BundleError, match="not a bundle"):
        decode_bundle(data)


@given(st.lists(st.text(max_size=12), max_size=4))
def test_every_accepted_path_stays_inside(paths):
    try:
        accepted = decode_bundle(encode_bundle(files(*paths))).files
    except BundleError:
        return
    for path in accepted:
        assert not path.startswith("/")
        assert not {"", ".", ".."} & set(path.split("/"))
