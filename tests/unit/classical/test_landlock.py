"""Landlock rules, in processes of their own."""

from __future__ import annotations

PRELUDE = """
import json, os, tempfile
from hybrid_runtime.classical import landlock, syscalls
from hybrid_runtime.classical.landlock import READ, USE_DEVICE, Landlock

def tried(action, *arguments):
    try:
        action(*arguments)
    except OSError as error:
        return type(error).__name__
    return "done"

def inside(rules):
    syscalls.prctl(syscalls.PR_SET_NO_NEW_PRIVS, 1, "PR_SET_NO_NEW_PRIVS")
    rules.restrict(scratch)

with tempfile.TemporaryDirectory() as folder:
    scratch, shown, hidden = (os.path.join(folder, name) for name in ("scratch", "shown", "hidden"))
    for path in (scratch, shown, hidden):
        os.mkdir(path)
        with open(os.path.join(path, "file"), "w") as file:
            file.write("text")
    pid = os.fork()
    if pid == 0:
        try:
            body()
        finally:
            os._exit(0)
    os.waitpid(pid, 0)
"""


def run(host, body: str):
    lines = "\n".join("    " + line for line in body.strip().splitlines())
    return host.python(f"def body():\n{lines}\n{PRELUDE}").value


def test_only_what_a_rule_names_can_be_opened(nobody):
    body = """
inside(Landlock([(shown, READ)]))
print(json.dumps([
    tried(open, shown + "/file"), tried(os.listdir, shown), tried(open, hidden + "/file"), tried(os.listdir, hidden),
    tried(os.listdir, "/"), tried(open, "/etc/passwd"),
]), flush=True)
"""
    assert run(nobody, body) == ["done", "done", *["PermissionError"] * 4]


def test_only_the_scratch_directory_can_be_written(nobody):
    body = """
inside(Landlock([(shown, READ)]))
print(json.dumps([
    tried(open, scratch + "/new", "w"), tried(os.remove, scratch + "/file"), tried(os.mkdir, scratch + "/folder"),
    tried(open, shown + "/new", "w"), tried(open, shown + "/file", "a"), tried(os.remove, shown + "/file"),
    tried(os.truncate, shown + "/file", 0), tried(os.rename, shown + "/file", scratch + "/moved"),
]), flush=True)
"""
    found = run(nobody, body)
    assert found[:3] == ["done"] * 3
    assert "done" not in found[3:]


def test_no_links_devices_or_pipes_are_made_in_the_scratch_directory(host):
    body = """
inside(Landlock([]))
os.chdir(scratch)
print(json.dumps([
    tried(os.symlink, "/etc/passwd", "link"), tried(os.mkfifo, "pipe"),
    tried(os.mknod, "device", 0o20600, os.makedev(1, 3)),
]), flush=True)
"""
    assert run(host, body) == ["PermissionError"] * 3


def test_devices_can_be_read_and_written_but_nothing_beside_them(nobody):
    body = """
inside(Landlock([("/dev/null", USE_DEVICE)]))
print(json.dumps([tried(open, "/dev/null", "w"), tried(open, "/dev/zero")]), flush=True)
"""
    assert run(nobody, body) == ["done", "PermissionError"]


def test_a_rule_stays_with_its_directory_when_another_takes_the_name(nobody):
    body = """
rules = Landlock([(shown, READ)])
os.rename(shown, folder + "/renamed")
os.rename(hidden, shown)
inside(rules)
print(json.dumps([tried(open, folder + "/renamed/file"), tried(open, shown + "/file")]), flush=True)
"""
    assert run(nobody, body) == ["done", "PermissionError"]


def test_signals_and_connections_to_others_are_cut(nobody):
    body = """
import socket
server = socket.create_server(("127.0.0.1", 0))
inside(Landlock([]))
print(json.dumps([
    landlock.abi(), tried(os.kill, os.getppid(), 0), tried(socket.create_connection, server.getsockname()),
    tried(socket.create_server, ("127.0.0.1", 0)),
]), flush=True)
"""
    abi, signalled, connected, served = run(nobody, body)
    assert (connected, served) == (("PermissionError",) * 2 if abi >= 4 else ("done",) * 2)
    assert signalled == ("PermissionError" if abi >= 6 else "done")


def test_a_missing_path_is_an_error_that_names_it(nobody):
    ended = nobody.python("from hybrid_runtime.classical.landlock import *\nLandlock([('/no/such/path', READ)])")
    assert "FileNotFoundError: [Errno 2] No such file or directory: '/no/such/path'" in ended.err


def test_a_kernel_without_landlock_is_an_error_that_names_the_call(host_with):
    host = host_with("--nobody", "--refuse", "landlock_create_ruleset:EOPNOTSUPP")
    ended = host.python("from hybrid_runtime.classical import landlock\nlandlock.abi()")
    assert "landlock_create_ruleset: Operation not supported" in ended.err


def test_it_says_what_it_holds(nobody):
    ended = nobody.python("from hybrid_runtime.classical.landlock import *\nprint(abi(), Landlock([('/usr', READ)]))")
    abi, _, text = ended.out.partition(" ")
    assert text == f"<Landlock ABI {abi} [1 paths]>\n"
