"""Attacks by what travels: words in shared memory, records for the journal, requests of every kind in excess."""

from __future__ import annotations

import gc
import mmap
import os
import random
import struct
import threading
import time
from typing import Any

from tests.attacks.toolbox import attack, part, say, send, the_runtime, tried

KILLED = ("AlgorithmTimeout", "WorkerLost")
SHORT = {"think_s": 0.6, "finalize_s": 0.3}
DECODED = "every message is decoded into a declared type with size limits"
BELL = "version 3.0\nqubit[2] q\nbit[2] b\nH q[0]\nCNOT q[0], q[1]\nb = measure q"
WIDE = "version 3.0\nqubit[18] q\nbit[18] b\nH q\nb = measure q"
TAGS = ("ready", "note", "step", "finalizing", "finished", "failed", "more", "diverged", "drawn")


def _memory() -> mmap.mmap:
    """The memory that the worker shares with the dispatcher."""
    return next(one for one in gc.get_objects() if type(one) is mmap.mmap and len(one) == 32 * 1024)


@attack(
    175,
    "Fill the shared memory with noise: lengths, numbers, who sleeps, for how long to look",
    "lengths are checked and read once; only the next number counts; both ends keep their own patience",
    ends=("refused", "ProtocolError", *KILLED),
    limits=SHORT,
)
def write_noise(context: Any) -> Any:
    memory, noise = _memory(), random.Random(1)
    ends = time.monotonic() + 0.4
    while time.monotonic() < ends:
        place = 4 * noise.choice((0, 1, 16, 32)) + noise.choice((0, 16 * 1024))
        memory[place : place + 4] = struct.pack("<I", noise.choice((0, 1, 2, 3, 0xFFFF_FFFF, noise.getrandbits(32))))


@attack(
    176,
    "Change a message in shared memory while the dispatcher reads it",
    "it is copied before anything of it is looked at",
    ends=("refused", "ProtocolError", "CircuitRejected", *KILLED),
    limits={"think_s": 3.0, "finalize_s": 0.3, "wall_s": 3.0},
    steps=200,
)
def change_messages(context: Any) -> Any:
    from hybrid_runtime import Circuit

    memory = _memory()
    going = True

    def disturb() -> None:
        noise = random.Random(2)
        while going:
            for start in (192, 16 * 1024 + 192):
                memory[start + noise.randrange(200)] = noise.randrange(256)

    thread = threading.Thread(target=disturb)
    thread.start()
    try:
        for _ in range(200):
            context.run(Circuit(BELL, shots=1))
    finally:
        going = False
        thread.join()


@attack(
    177,
    "Say that one looks at the shared memory, and never look",
    "think limit; the dispatcher never waits for room in it",
    ends=KILLED,
    limits=SHORT,
)
def never_look(context: Any) -> Any:
    memory = _memory()
    while True:
        try:
            for start in (0, 16 * 1024):
                memory[start + 64 : start + 68] = struct.pack("<I", 1)
            time.sleep(0.001)
        except BaseException:  # noqa: BLE001 - the stop is to be ignored
            continue


@attack(
    178, "Ring the bell of the shared memory a hundred thousand times", "so many are taken in one turn, and no more"
)
def ring_bells(context: Any) -> Any:
    for _ in range(100_000):
        send(b"\xc0")


@attack(179, "Shrink the shared memory under the dispatcher's hands", "it is sealed; its descriptor is closed")
def shrink_memory(context: Any) -> Any:
    memory = _memory()
    gained = []
    for size in (4096, 0, 1 << 20):
        try:
            memory.resize(size)
        except (OSError, ValueError, BufferError, SystemError):
            continue
        gained.append(size)
    return gained + tried(range(3, 64), lambda fd: os.ftruncate(fd, 4096))


@attack(
    180,
    "Fill the disk by the journal: a gigabyte of what was drawn",
    "a limit on a job's journal",
    ends=("refused", "JournalFull", "ProtocolError", *KILLED),
    limits={"think_s": 20.0},
    steps=800,
)
def draw_without_end(context: Any) -> Any:
    for _ in range(32):
        say("drawn", [bytes(1 << 20)] * 32)


@attack(
    181,
    "Ask for exact probabilities of as many qubits as may be, many times in a step",
    "limits on the size of a step's results and on the backend's qubits",
    ends=("refused", "CircuitRejected", "ProtocolError", "DriverError", *KILLED),
    limits={"wall_s": 5.0, "finalize_s": 0.5},
    steps=300,
)
def ask_for_probabilities(context: Any) -> Any:
    from hybrid_runtime import Circuit

    context.run([Circuit(WIDE, exact=True)] * 200)


@attack(
    182,
    "Ask for every single shot, millions of them",
    "limits on the shots of a step and on the size of its results",
    ends=("refused", "CircuitRejected", "ProtocolError", "DriverError", *KILLED),
    limits={"wall_s": 5.0, "finalize_s": 0.5},
    steps=300,
)
def ask_for_raw_shots(context: Any) -> Any:
    from hybrid_runtime import Circuit

    context.run([Circuit(WIDE, raw=True, shots=1_000_000)] * 50)


@attack(
    183,
    "Observables of a hundred thousand terms, of strange letters and weights",
    "limits on terms, in the worker and by the dispatcher",
    ends=("refused", "CircuitRejected", "ProtocolError", "DriverError", "InvalidInput", "TypeError", *KILLED),
    limits={"wall_s": 5.0, "finalize_s": 0.5},
    steps=300,
)
def ask_for_huge_observables(context: Any) -> Any:
    from hybrid_runtime import Circuit

    words = [format(number, "018b").replace("0", "X").replace("1", "Z") for number in range(100_000)]
    context.run([Circuit(WIDE, observable=dict.fromkeys(words, 1e308))] * 20)


@attack(
    184,
    "A hundred thousand rows of a costly circuit in one step",
    "limits on time; other jobs' circuits go in between",
    ends=("refused", "CircuitRejected", "ProtocolError", "DriverError", *KILLED),
    limits={"wall_s": 2.0, "finalize_s": 0.5},
    steps=150,
)
def ask_for_many_rows(context: Any) -> Any:
    from hybrid_runtime import Circuit

    text = "version 3.0\nqubit[12] q\nbit[12] b\nRx({a}) q\nb = measure q"
    circuit = Circuit(text, parameters={"a": 0.0}, shots=1)
    context.run([circuit.bind(a=number * 1e-5) for number in range(100_000)])


@attack(
    185,
    "Forget programs that were never sent, again and again, and use those forgotten",
    "programs are known by job and number",
    ends=("refused", "ProtocolError"),
)
def forget_strangers(context: Any) -> Any:
    say("step", 1, [[1, 1, 1, b"", False]], [], [], [], [*range(50_000), *([1] * 50_000)])
    the_runtime()._channel.receive(2.0)


@attack(186, "Announce four thousand million entries in every kind of message", DECODED, ends=("ProtocolError",))
def announce_billions(context: Any) -> Any:
    for tag in TAGS:
        head = bytes([0xA0 | len(tag)]) + tag.encode()
        for kind in (b"\xdd", b"\xdf", b"\xdb", b"\xc6", b"\xc9"):
            send(b"\x98" + head + kind + b"\xff\xff\xff\xff")


@attack(187, "Send extension types, timestamps and huge integers as every field", DECODED, ends=("ProtocolError",))
def send_extensions(context: Any) -> Any:
    for tag in TAGS:
        head = bytes([0xA0 | len(tag)]) + tag.encode()
        for value in (
            b"\xd6\xff\x00\x00\x00\x00",
            b"\xc7\x0c\xff" + b"\xff" * 12,
            b"\xcf" + b"\xff" * 8,
            b"\xd4\x2a\x00",
        ):
            send(b"\x98" + head + value * 7)


@attack(
    188,
    "Begin ten thousand messages of several parts, and end none",
    "parts of one message at a time are kept",
    ends=("ProtocolError", "refused", *KILLED),
    limits=SHORT,
)
def begin_without_end(context: Any) -> Any:
    for _ in range(10_000):
        send(part(60 << 20, b"x" * 60_000))
