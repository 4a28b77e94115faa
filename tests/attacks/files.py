"""Attacks on files: the host's, other tenants', the interpreter's."""

from __future__ import annotations

import fcntl
import os
import stat
import sys
from pathlib import Path
from typing import Any

from tests.attacks.toolbox import attack, call, calls, channel_fd, descriptors, tried

PATHS = "Landlock; at strict, a root directory without them"
NAMES_SHOW = "names, sizes and times of files that the worker's user could see outside are visible, contents are not"


def _content(path: str) -> str:
    with open(path, "rb") as file:
        return str(file.read(20))


@attack(1, "Read files of the host: passwords, homes, kernel and other processes", PATHS)
def read_host_files(context: Any) -> Any:
    paths = ["/etc/shadow", "/etc/passwd", "/etc/hosts", "/root/.bashrc", "/proc/1/environ", "/proc/self/environ"]
    paths += ["/proc/cpuinfo", "/proc/kallsyms", "/proc/self/maps", "/sys/kernel/notes", "/var/log/syslog", "/boot"]
    return tried(paths, _content)


@attack(2, "List directories of the host", PATHS)
def list_host_directories(context: Any) -> Any:
    paths = ["/home", "/root", "/tmp/..", "/var", "/proc", "/sys", "/dev", "/run", "/etc/ssh", "/var/tmp", "/dev/shm"]
    seen = []
    for path in paths:
        try:
            names = set(os.listdir(path))
        except OSError:
            continue
        # At strict, / and /dev and the way to the packages exist, with nothing else in them.
        if names - {"null", "zero", "random", "urandom"} and not _leads_to_packages(path, names):
            seen.append(f"{path}: {sorted(names)[:5]}")
    return seen


def _leads_to_packages(path: str, names: set[str]) -> bool:
    below = [Path(entry).resolve() for entry in [*sys.path, sys.prefix, sys.base_prefix, "/scratch"] if entry]
    # /tmp is a link, which is listed by its own name.
    below += [Path("/tmp")]
    below += [Path("/usr/lib"), Path("/lib"), Path("/lib64"), Path("/dev"), Path("/etc"), Path("/usr/share")]
    folder = Path(path).resolve()
    return all(any(folder / name in (one, *one.parents) for one in below) for name in names)


@attack(
    3,
    "See that a file of the host exists, and its size",
    "a root directory without it",
    open_at={"landlock": NAMES_SHOW},
)
def see_names(context: Any) -> Any:
    return tried(["/etc/passwd", "/usr/bin", "/proc/1", "/home"], lambda path: os.stat(path).st_size)


@attack(4, "Find another tenant's files by name, by guess or by search", PATHS)
def read_other_tenants(context: Any) -> Any:
    found = []
    for base in {
        "/tmp",
        "/var/tmp",
        "/scratch",
        os.path.dirname(os.getcwd()),
        os.path.dirname(os.path.dirname(os.getcwd())),
    }:
        for folder, _, names in os.walk(base):
            found += [_content(os.path.join(folder, name)) for name in names if name == "secret.txt"]
    return found


@attack(5, "Reach files outside by descriptors of directories and by ..", PATHS)
def climb_by_descriptor(context: Any) -> Any:
    here = os.open(".", os.O_PATH | os.O_DIRECTORY)
    up = "/".join([".."] * 40)
    files = [f"{up}/etc/passwd", f"{up}/etc/shadow", "/proc/1/root/etc/passwd", "/proc/self/cwd/../../etc/passwd"]
    gained = tried(files, lambda path: os.read(os.open(path, os.O_RDONLY, dir_fd=here), 9))
    folders = [f"{up}/home", f"{up}/var", "/proc/1/root", "/proc/self/root/home"]
    return gained + tried(folders, lambda path: os.listdir(os.open(path, os.O_RDONLY, dir_fd=here)))


@attack(6, "Escape by chroot, with and without a directory held open", "system-call filter")
def escape_by_chroot(context: Any) -> Any:
    os.mkdir("jail")
    return calls(("chroot", b"jail"), ("pivot_root", b".", b"."), ("chroot", b"/"))


@attack(7, "Open a file by its handle, past all directories", "system-call filter")
def open_by_handle(context: Any) -> Any:
    handle = bytes([8, 0, 0, 0, 1, 0, 0, 0]) + (2).to_bytes(8, "little") + bytes(120)
    return calls(
        ("open_by_handle_at", -100, handle, os.O_RDONLY),
        ("name_to_handle_at", -100, b"/etc/passwd", bytearray_of(128), bytearray_of(8), 0),
    )


def bytearray_of(size: int) -> Any:
    import ctypes

    return ctypes.create_string_buffer(size)


@attack(8, "Write to the interpreter, its packages and the runtime's own code", "read-only mounts; Landlock")
def write_to_packages(context: Any) -> Any:
    import hybrid_runtime

    paths = [hybrid_runtime.__file__, os.__file__, f"{os.path.dirname(os.__file__)}/sitecustomize.py", sys.executable]
    numpy = sys.modules.get("numpy")
    paths += [str(numpy.__file__)] if numpy else []
    gained = tried(paths, lambda path: open(path, "r+b").close())
    gained += tried(paths, lambda path: open(path, "ab").close())
    gained += tried(paths, os.unlink)
    gained += tried(paths, lambda path: os.rename(path, f"{path}.old"))
    return gained + tried(paths, lambda path: os.truncate(path, 0))


@attack(9, "Leave poisoned byte code (.pyc) for the next worker", "read-only mounts; Landlock")
def poison_byte_code(context: Any) -> Any:
    import py_compile

    Path("evil.py").write_text("print('owned')")
    cache = Path(os.__file__).parent / "__pycache__"
    targets = [cache / "evil.cpython-311.pyc", Path(os.__file__).parent / "evil.pyc"]
    return tried(targets, lambda target: py_compile.compile("evil.py", str(target), doraise=True))


@attack(10, "Change modes, owners, times and attributes of shared files", "read-only mounts; system-call filter")
def change_shared_metadata(context: Any) -> Any:
    path = os.__file__
    fd = os.open(path, os.O_RDONLY)
    changes = {
        "chmod": lambda: os.chmod(path, 0o777),
        "fchmod": lambda: os.fchmod(fd, 0o777),
        "utime": lambda: os.utime(path, (0, 0)),
        "chown": lambda: os.chown(path, os.getuid(), os.getgid()),
        "setxattr": lambda: os.setxattr(path, "user.x", b"1"),
        "truncate": lambda: os.truncate(path, 0),
        "O_TRUNC": lambda: os.open(path, os.O_RDONLY | os.O_TRUNC),
        "fallocate": lambda: os.posix_fallocate(fd, 0, 1),
    }
    return tried(changes, lambda name: changes[name]())


@attack(11, "Make links, devices, sockets and named pipes in the scratch directory", "Landlock; system-call filter")
def make_special_files(context: Any) -> Any:
    kinds = {
        "symlink": lambda: os.symlink("/etc/passwd", "a"),
        "hard link": lambda: os.link(os.__file__, "b"),
        "fifo": lambda: os.mkfifo("c"),
        "character device": lambda: os.mknod("d", stat.S_IFCHR | 0o666, os.makedev(1, 1)),
        "block device": lambda: os.mknod("e", stat.S_IFBLK | 0o666, os.makedev(8, 0)),
        "socket": lambda: os.mknod("f", stat.S_IFSOCK | 0o666),
        "whiteout": lambda: call("renameat2", -100, b"g", -100, b"h", 4),
    }
    Path("g").write_text("")
    return tried(kinds, lambda name: kinds[name]())


@attack(12, "Use descriptors that were inherited", "all but the channel and the pipes are closed; O_PATH ones too")
def use_inherited_descriptors(context: Any) -> Any:
    known = {0, 1, 2, channel_fd()}
    # An epoll or a file that the job itself has opened would be its own: it has opened none.
    others = [fd for fd in descriptors() if fd not in known]
    gained = [f"{fd}: {oct(os.fstat(fd).st_mode)}" for fd in others]
    for fd in (0, 1, 2):
        if stat.S_ISDIR(os.fstat(fd).st_mode) or stat.S_ISBLK(os.fstat(fd).st_mode):
            gained.append(f"{fd} is {oct(os.fstat(fd).st_mode)}")
    return gained


@attack(13, "Use devices: memory, disks, terminals, KVM, FUSE, GPU", PATHS)
def use_devices(context: Any) -> Any:
    names = "mem kmem port sda vda nvme0n1 tty console tty0 ptmx pts/0 kvm fuse net/tun vhost-vsock loop0 loop-control"
    names += " dri/card0 nvidia0 rtc0 watchdog kmsg input/event0 uinput hwrng snapshot userfaultfd mapper/control"
    return tried([f"/dev/{name}" for name in names.split()], lambda path: os.open(path, os.O_RDWR | os.O_NOCTTY))


@attack(14, "Lock files that all workers share", "system-call filter; read-only mounts")
def lock_shared_files(context: Any) -> Any:
    fd = os.open(os.__file__, os.O_RDONLY)
    locks = {
        "flock": lambda: fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB),
        "exclusive": lambda: fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB),
        "lease": lambda: fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_WRLCK),
        "notify": lambda: fcntl.fcntl(fd, fcntl.F_NOTIFY, 1),
        "owner": lambda: fcntl.fcntl(fd, fcntl.F_SETOWN, 1),
    }
    return tried(locks, lambda name: locks[name]())


@attack(15, "Throw shared files out of the page cache, or see which of them others have used", "system-call filter")
def play_with_page_cache(context: Any) -> Any:
    import ctypes
    import mmap

    fd = os.open(os.__file__, os.O_RDONLY)
    area = mmap.mmap(fd, 4096, mmap.MAP_SHARED, mmap.PROT_READ)
    gained = calls(
        ("fadvise64", fd, 0, 0, 4),  # DONTNEED
        ("cachestat", fd, bytes(16), bytearray_of(64), 0),
        ("readahead", fd, 0, 4096),
        ("sync",),
        ("syncfs", fd),
    )
    iovec = ctypes.create_string_buffer(16)
    buffer = ctypes.create_string_buffer(64)
    ctypes.memmove(iovec, (ctypes.addressof(buffer)).to_bytes(8, "little") + (64).to_bytes(8, "little"), 16)
    gained += calls(("preadv2", fd, iovec, 1, 0, 0, 8))  # RWF_NOWAIT says whether the page is in memory
    area.close()
    return gained


@attack(16, "Read through set-user-id programs", "system-call filter: no exec; mounts without set-user-id")
def use_setuid_programs(context: Any) -> Any:
    programs = ["/usr/bin/su", "/usr/bin/sudo", "/bin/mount", "/usr/bin/passwd", "/usr/bin/pkexec", "/bin/sh"]
    return tried(programs, lambda path: os.posix_spawn(path, [path], {}))


@attack(17, "Read configuration and credentials of services near by", PATHS)
def read_service_credentials(context: Any) -> Any:
    paths = [
        "/run/secrets",
        "/var/run/docker.sock",
        "/etc/slurm/slurm.conf",
        "/etc/munge/munge.key",
        "/etc/krb5.keytab",
    ]
    paths += ["/root/.ssh/id_rsa", "/root/.aws/credentials", "/home", "/etc/machine-id", "/etc/resolv.conf"]
    return tried(paths, lambda path: os.listdir(path) if os.path.isdir(path) else _content(path))


@attack(18, "Leave files for a later tenant", "a scratch directory of its own, removed with the worker")
def leave_files(context: Any) -> Any:
    bases = ["/tmp", "/var/tmp", "/dev/shm", "/run", "/", os.path.dirname(os.getcwd())]
    gained = []
    for base in bases:
        if os.path.realpath(base) != os.path.realpath(os.getcwd()):
            gained += tried([f"{base}/left-behind"], lambda path: open(path, "w").close())
            gained += tried([f"{base}/left-directory"], os.mkdir)
    return gained


@attack(
    19,
    "Nest directories so deep that removing them fails",
    "they are removed from the top, one level at a time; at landlock, the fork server ends the worker",
    ends=("refused", "WorkerLost"),
    steps=200,
)
def nest_deeply(context: Any) -> Any:
    for _ in range(3000):
        os.mkdir("d", 0o700)
        os.chdir("d")
    os.mkdir("locked", 0)
    os.umask(0o777)
    os.mkdir("masked")
    return None
