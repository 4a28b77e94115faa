from __future__ import annotations

import os
import socket

import pytest

from hybrid_runtime import files
from hybrid_runtime.bundle import bundle_file
from hybrid_runtime.errors import BundleError
from hybrid_runtime.protocol.bundles import decode_bundle, encode_bundle


@pytest.fixture
def algorithm(tmp_path):
    folder = tmp_path / "project"
    (folder / "data" / "deep").mkdir(parents=True)
    (folder / "vqe.py").write_text("import helper\n")
    (folder / "helper.py").write_text("")
    for name in ("data/a.csv", "data/b.csv", "data/deep/c.json", "data/.env"):
        (folder / name).write_text(name)
    return folder / "vqe.py"


def taken(algorithm, *patterns):
    return sorted(bundle_file(str(algorithm), patterns).files)


def test_nothing_but_modules_comes_along_unasked(algorithm):
    assert taken(algorithm) == ["helper.py", "vqe.py"]


@pytest.mark.parametrize(
    ("pattern", "more"),
    [
        ("data/*.csv", ["data/a.csv", "data/b.csv"]),
        ("data/**", ["data/a.csv", "data/b.csv", "data/deep/c.json"]),
        ("**/*.json", ["data/deep/c.json"]),
        ("data/a.csv", ["data/a.csv"]),
        ("helper.py", []),
    ],
)
def test_data_comes_along_by_pattern(algorithm, pattern, more):
    assert taken(algorithm, pattern) == sorted(["helper.py", "vqe.py", *more])


def test_data_can_be_declared_in_the_file(algorithm):
    algorithm.write_text("# /// script\n# [tool.hybrid-runtime]\n# include = ['data/a.csv']\n# ///\n")
    assert taken(algorithm, "data/b.csv") == ["data/a.csv", "data/b.csv", "vqe.py"]


def test_a_bundle_with_data_is_one_that_may_be_unpacked(algorithm):
    bundle = bundle_file(str(algorithm), ["data/**"])
    assert decode_bundle(encode_bundle(bundle)) == bundle


@pytest.mark.parametrize("pattern", ["../*", "data/../../x", "/etc/passwd", ""])
def test_a_pattern_that_leads_out_of_the_folder_is_refused(algorithm, pattern):
    with pytest.raises(BundleError, match="leads out of the folder"):
        taken(algorithm, pattern)


def test_a_pattern_that_matches_nothing_is_a_mistake(algorithm):
    with pytest.raises(BundleError, match=r"matches 'data/\*\.txt': correct the pattern"):
        taken(algorithm, "data/*.txt")


def test_a_link_that_leads_out_of_the_folder_is_refused(algorithm, tmp_path):
    (tmp_path / "secret").write_text("secret")
    (algorithm.parent / "data" / "link.csv").symlink_to(tmp_path / "secret")
    with pytest.raises(BundleError, match=r"link\.csv is a link that leads out of"):
        taken(algorithm, "data/*.csv")


def test_a_linked_folder_that_leads_out_is_refused(algorithm, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "x.csv").write_text("")
    (algorithm.parent / "more").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BundleError, match="leads out of"):
        taken(algorithm, "more/*.csv")


def test_a_linked_module_that_leads_out_is_refused(algorithm, tmp_path):
    (tmp_path / "other.py").write_text("")
    (algorithm.parent / "helper.py").unlink()
    (algorithm.parent / "helper.py").symlink_to(tmp_path / "other.py")
    with pytest.raises(BundleError, match=r"helper\.py is a link that leads out of"):
        taken(algorithm)


def test_a_link_within_the_folder_is_followed(algorithm):
    (algorithm.parent / "data" / "same.csv").symlink_to("a.csv")
    assert bundle_file(str(algorithm), ["data/same.csv"]).files["data/same.csv"] == b"data/a.csv"


def test_the_algorithms_own_file_may_be_a_link(algorithm, tmp_path):
    (tmp_path / "named").mkdir()
    (tmp_path / "named" / "vqe.py").symlink_to(algorithm)
    assert taken(tmp_path / "named" / "vqe.py") == ["vqe.py"]


def test_a_pipe_is_refused_and_not_waited_for(algorithm):
    os.mkfifo(algorithm.parent / "data" / "pipe")
    with pytest.raises(BundleError, match="is a device, a pipe or a socket"):
        taken(algorithm, "data/pipe")


def test_a_socket_is_refused(algorithm, monkeypatch):
    monkeypatch.chdir(algorithm.parent)
    with socket.socket(socket.AF_UNIX) as one:
        one.bind("data/sock")
        with pytest.raises(BundleError, match="data/sock"):
            taken(algorithm, "data/sock")


def test_too_much_data_is_refused_without_being_read_whole(algorithm, monkeypatch):
    monkeypatch.setattr(files, "MAX_BUNDLE_BYTES", 1000)
    with (algorithm.parent / "data" / "large").open("wb") as large:
        large.truncate(1 << 40)
    with pytest.raises(BundleError, match="more than 1000 bytes"):
        taken(algorithm, "data/large")


def test_too_many_files_are_refused(algorithm, monkeypatch):
    monkeypatch.setattr(files, "MAX_FILES", 3)
    with pytest.raises(BundleError, match="more than 3 files"):
        taken(algorithm, "data/**")
