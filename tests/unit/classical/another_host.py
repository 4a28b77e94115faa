"""Run a command as if it had been started on another host.

    another_host.py [--nobody] [--no-user-namespaces] [--refuse CALL:ERRNO]... -- COMMAND...

`--nobody` drops to an unprivileged user, `--no-user-namespaces` switches them off for the command only, `--refuse`
has a system call fail as on a kernel without it. What is changed is private to the command and gone with it.
"""

from __future__ import annotations

import argparse
import errno
import os
import platform
import stat
import sys
from pathlib import Path

import hybrid_runtime
from hybrid_runtime.classical import seccomp, syscalls
from hybrid_runtime.classical.bpf import ALLOW, Rule, assemble, refuse
from hybrid_runtime.classical.seccomp_tables import ARCHITECTURES

NOBODY = 65534
CALLS = {
    "x86_64": {"unshare": 272, "seccomp": 317, "landlock_create_ruleset": 444, "open_tree": 428},
    "aarch64": {"unshare": 97, "seccomp": 277, "landlock_create_ruleset": 444, "open_tree": 428},
}


def switch_user_namespaces_off() -> None:
    """Go on in a user namespace that has all users, but may not have another one inside."""
    ready, may_go_on = os.pipe(), os.pipe()
    child = os.fork()
    if child:
        os.read(ready[0], 1)
        for name in ("uid_map", "gid_map"):
            Path(f"/proc/{child}/{name}").write_text("0 0 4294967295")
        os.write(may_go_on[1], b"x")
        os._exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    syscalls.unshare(syscalls.CLONE_NEWUSER | syscalls.CLONE_NEWNS)
    os.write(ready[1], b"x")
    os.read(may_go_on[0], 1)
    Path("/proc/sys/user/max_user_namespaces").write_text("0")


def open_the_way() -> None:
    """Let any user come to this interpreter, where it lies below a directory that only root may enter."""
    needed = {sys.prefix, sys.base_prefix, *hybrid_runtime.__path__}
    closed: dict[Path, list[tuple[str, int]]] = {}
    for path in needed:
        for folder in reversed(Path(path).parents):
            if not folder.stat().st_mode & stat.S_IXOTH:
                closed.setdefault(folder, []).append((path, syscalls.clone_mount(path)))
                break
    syscalls.unshare(syscalls.CLONE_NEWNS)
    syscalls.mount("", "/", syscalls.MS_REC | syscalls.MS_PRIVATE)
    for folder, mounts in closed.items():
        syscalls.mount("tmpfs", str(folder), 0, "mode=755,size=1m")
        for path, fd in mounts:
            os.makedirs(path)
            syscalls.attach_mount(fd, path)
            os.close(fd)


def become_nobody() -> None:
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)
    os.chdir("/")


def refuse_calls(texts: list[str]) -> None:
    machine = platform.machine()
    rules = {}
    for text in texts:
        call, _, name = text.partition(":")
        rules[CALLS[machine][call]] = Rule(refuse(getattr(errno, name)))
    syscalls.prctl(syscalls.PR_SET_NO_NEW_PRIVS, 1, "PR_SET_NO_NEW_PRIVS")
    seccomp.install(assemble(ARCHITECTURES[machine], rules, Rule(ALLOW)).code)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--nobody", action="store_true")
    parser.add_argument("--no-user-namespaces", action="store_true")
    parser.add_argument("--refuse", action="append", default=[])
    parser.add_argument("command", nargs="+")
    arguments = parser.parse_args()
    if arguments.no_user_namespaces:
        switch_user_namespaces_off()
    if arguments.nobody and os.geteuid() == 0:
        open_the_way()
        become_nobody()
    if arguments.refuse:
        refuse_calls(arguments.refuse)
    os.execv(arguments.command[0], arguments.command)


main()
