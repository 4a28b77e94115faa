"""Which files of the host a worker is shown."""

from __future__ import annotations

import os
import sys
import sysconfig
from pathlib import Path

import pytest

import hybrid_runtime
from hybrid_runtime.classical.roots import closed_folders, is_below, outermost, readable_roots


def covered(path: str, roots: list[str]) -> bool:
    return any(is_below(os.path.realpath(path), root) for root in roots)


def test_the_interpreter_its_packages_and_the_system_libraries_are_readable():
    roots = readable_roots()
    for path in (sysconfig.get_path("stdlib"), pytest.__file__, hybrid_runtime.__file__, "/etc/ld.so.cache"):
        assert covered(path, roots), path
    libraries = {line.split()[-1] for line in Path("/proc/self/maps").read_text().splitlines() if ".so" in line}
    assert [path for path in libraries if path.startswith("/") and not covered(path, roots)] == []


def test_the_rest_of_the_host_is_not():
    roots = readable_roots()
    for path in ("/", "/etc", "/etc/passwd", "/home", "/var", "/proc", os.path.expanduser("~"), "/usr/bin"):
        assert not any(is_below(path, root) for root in roots), path


def test_directories_that_are_merely_searched_are_not_shown(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    assert not covered(str(tmp_path), readable_roots())


def test_the_directory_of_the_script_that_runs_is_not_shown_although_it_is_the_interpreters(monkeypatch):
    scripts = sysconfig.get_path("scripts")
    monkeypatch.setattr(sys, "path", [scripts, *sys.path])
    assert scripts not in readable_roots()


def test_folders_that_not_every_user_may_enter_are_found(tmp_path):
    open_folder, closed = tmp_path / "open", tmp_path / "closed"
    (open_folder / "a").mkdir(parents=True)
    (closed / "b").mkdir(parents=True)
    for folder in (tmp_path, open_folder):
        folder.chmod(0o755)
    closed.chmod(0o700)
    found = set(closed_folders([str(open_folder / "a"), str(closed / "b"), str(closed / "b" / "c")]))
    assert str(closed) in found
    assert not {str(open_folder), str(open_folder / "a"), "/"} & found


def test_packages_named_by_the_environment_are_shown(tmp_path):
    assert str(tmp_path) in readable_roots((str(tmp_path),))


def test_a_package_directory_that_is_missing_is_an_error():
    with pytest.raises(FileNotFoundError, match="/no/such/packages"):
        readable_roots(("/no/such/packages",))


def test_both_names_of_a_linked_directory_are_shown(tmp_path):
    real = tmp_path / "real"
    real.mkdir()
    (tmp_path / "link").symlink_to(real)
    roots = readable_roots((str(tmp_path / "link"),))
    assert {str(tmp_path / "link"), str(real)} <= set(roots)


def test_no_root_lies_below_another():
    roots = readable_roots((sys.prefix,))
    assert [a for a in roots for b in roots if a != b and is_below(a, b)] == []


def test_outermost_compares_whole_names():
    assert outermost({"/lib/a", "/lib", "/lib-x", "/lib-x/b", "/lib64"}) == ["/lib", "/lib-x", "/lib64"]
    assert outermost({"/", "/etc"}) == ["/"]
