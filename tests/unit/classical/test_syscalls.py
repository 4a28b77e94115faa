"""System calls that the standard library lacks."""

from __future__ import annotations

import ctypes
import os
import platform

import pytest

from hybrid_runtime.classical import syscalls


def test_a_failure_names_the_call_and_its_arguments():
    with pytest.raises(OSError, match=r"setns\(CLONE_NEWPID\): Bad file descriptor"):
        syscalls.setns(-1, syscalls.CLONE_NEWPID)
    with pytest.raises(OSError, match=r"prctl\(PR_SET_NOTHING\): Invalid argument"):
        syscalls.prctl(0x7FFF_FFFF, 0, "PR_SET_NOTHING")
    with pytest.raises(FileNotFoundError, match="open_tree: No such file or directory: '/no/such/path'"):
        syscalls.clone_mount("/no/such/path")


def test_refused_namespaces_are_named(host_with):
    host = host_with("--nobody", "--refuse", "unshare:EPERM")
    program = """
        from hybrid_runtime.classical.syscalls import *
        unshare(CLONE_NEWUSER | CLONE_NEWPID)
    """
    assert "PermissionError: [Errno 1] unshare(CLONE_NEWUSER|CLONE_NEWPID)" in host.python(program).err


def test_descriptors_are_closed_but_for_those_kept(nobody):
    program = """
        import json, os
        from hybrid_runtime.classical import syscalls
        kept = os.dup(0)
        os.dup2(0, 200)
        os.dup2(0, 201)
        syscalls.close_all_but({1, 2, kept, 200})
        found = []
        for fd in range(300):
            try:
                os.fstat(fd)
                found.append(fd)
            except OSError:
                pass
        print(json.dumps([found, kept]))
    """
    found, kept = nobody.python(program).value
    assert found == [1, 2, kept, 200]


def test_capabilities_are_gone_for_good(host_with):
    program = """
        import json, os
        from hybrid_runtime.classical import syscalls
        syscalls.unshare(syscalls.CLONE_NEWUSER)
        had = syscalls.effective_capabilities()
        syscalls.lock_capabilities(syscalls.highest_capability())
        syscalls.set_capabilities(syscalls.CAP_SETUID)
        kept = syscalls.effective_capabilities()
        syscalls.set_capabilities()
        try:
            syscalls.set_capabilities(syscalls.CAP_SETUID)
        except PermissionError:
            print(json.dumps([had > 0, kept == syscalls.CAP_SETUID, syscalls.effective_capabilities()]))
    """
    assert host_with("--nobody").python(program).value == [True, True, 0]


def test_a_processor_without_tables_is_refused(monkeypatch):
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    syscalls.machine.cache_clear()
    try:
        with pytest.raises(OSError, match="no system-call table for processor 'riscv64'"):
            syscalls.machine()
    finally:
        syscalls.machine.cache_clear()


def test_integers_and_pointers_reach_the_kernel_whole():
    # statx on an empty path with AT_EMPTY_PATH needs five arguments of both kinds.
    buffer = ctypes.create_string_buffer(256)
    read, write = os.pipe()
    number = {"x86_64": 332, "aarch64": 291}[syscalls.machine()]
    try:
        assert syscalls.syscall("statx", number, read, b"", 0x1000, 0x7FF, buffer) == 0
    finally:
        os.close(read)
        os.close(write)
    assert buffer.raw.strip(b"\0")
