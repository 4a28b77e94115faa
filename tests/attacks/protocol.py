"""Attacks by messages: what the dispatcher is sent, and by printing and results."""

from __future__ import annotations

import math
import os
import struct
import sys
from typing import Any

from tests.attacks.toolbox import LIBC, attack, channel_fd, part, say, send, the_runtime

DECODED = "every message is decoded into a declared type with size limits"
VIOLATION = ("ProtocolError",)
SHORT = {"think_s": 0.6, "finalize_s": 0.3}
BELL = "version 3.0\nqubit[2] q\nbit[2] b\nH q[0]\nCNOT q[0], q[1]\nb = measure q"


@attack(
    80,
    "Send half a message, then fall silent",
    "think limit; parts are kept for this job only",
    ends=("AlgorithmTimeout", "WorkerLost"),
    limits=SHORT,
)
def send_half(context: Any) -> Any:
    send(part(1000, b"x" * 500))
    while True:
        try:
            import time

            time.sleep(1000)
        except BaseException:  # noqa: BLE001 - the stop is to be ignored
            continue


@attack(81, "Announce a message of 2 GiB", "a limit on a message's size", ends=VIOLATION)
def announce_a_huge_message(context: Any) -> Any:
    send(part((1 << 31) - 1, b"x"))
    context.run(_circuit())


@attack(82, "Send parts that do not fit together", "checked when they are put together", ends=VIOLATION)
def send_unfitting_parts(context: Any) -> Any:
    send(part(100, b"x" * 50))
    send(part(200, b"x" * 50))
    context.run(_circuit())


@attack(
    83,
    "Send a message of 64 MiB as fast as can be",
    "the dispatcher reads a few parts and turns to other jobs",
    ends=("ProtocolError", "refused"),
    steps=500,
)
def send_a_large_message(context: Any) -> Any:
    body = b"\xc4" * 65000
    for _ in range((64 << 20) // 65000):
        send(part(64 << 20, body))
    context.run(_circuit())


@attack(84, "Send a pickle", DECODED, ends=VIOLATION)
def send_a_pickle(context: Any) -> Any:
    import pickle

    class Evil:
        def __reduce__(self) -> Any:
            return os.system, ("touch /tmp/owned",)

    send(pickle.dumps(Evil()))
    context.run(_circuit())


@attack(85, "Send data nested ten thousand deep", DECODED, ends=VIOLATION)
def send_deep_nesting(context: Any) -> Any:
    send(b"\x93\xa4note" + b"\x91" * 10_000)
    context.run(_circuit())


@attack(86, "Send huge integers, NaN and invalid UTF-8 where data is expected", DECODED, ends=VIOLATION)
def send_strange_scalars(context: Any) -> Any:
    say("note", [["x", math.nan], ["y", math.inf]], [])
    send(b"\x93\xa4note\x91\x92\xa2\xff\xfe\xcb" + struct.pack(">d", 1.0) + b"\x90")
    context.run(_circuit())


@attack(87, "Send an empty packet, which looks like the end", "taken as the end", ends=("WorkerLost", "ProtocolError"))
def send_an_empty_packet(context: Any) -> Any:
    send(b"")
    context.run(_circuit())


@attack(88, "Send garbage", DECODED, ends=VIOLATION)
def send_garbage(context: Any) -> Any:
    send(bytes(range(200)))
    context.run(_circuit())


@attack(89, "Say Ready again, with another version and level", "a message out of turn ends the job", ends=VIOLATION)
def say_ready_again(context: Any) -> Any:
    say("ready", 1, 1, "strict")
    context.run(_circuit())


@attack(90, "Send a step twice, or out of order", "steps are numbered", ends=VIOLATION)
def send_steps_out_of_turn(context: Any) -> Any:
    say("step", 77, [[1, 10]])
    context.run(_circuit())


@attack(91, "Send two steps without waiting for the first's answer", "one step at a time", ends=VIOLATION)
def send_two_steps(context: Any) -> Any:
    context.run(_circuit())
    key = next(iter(the_runtime()._requests.sent))
    say("step", 2, [[key, 10, 1, b"", False]])
    say("step", 3, [[key, 10, 1, b"", False]])
    context.run(_circuit())


@attack(92, "Call circuits that other jobs have defined", "each job has numbers of its own", ends=VIOLATION)
def call_programs_of_others(context: Any) -> Any:
    say("step", 1, [[number, 10, 1, b"", False] for number in range(1, 50)])
    context.run(_circuit())


@attack(93, "Speak as the quantum runtime or as the client", DECODED, ends=VIOLATION)
def speak_as_another(context: Any) -> Any:
    say("executed", 1, 10, 0.0, [])
    say("submit", "job", b"", b"", 1, 1, {})
    context.run(_circuit())


@attack(94, "Cancel or end another job by its name", DECODED, ends=VIOLATION)
def cancel_another(context: Any) -> Any:
    say("cancel", "another-job", True)
    context.run(_circuit())


@attack(
    95,
    "Give a forged result, then go on",
    "the first result ends the job: it is the tenant's own",
    ends=("refused", "ResultNotEncodable"),
)
def forge_a_result(context: Any) -> Any:
    say("finished", b"\xc7\xff\xff\xff\xff\xff" + b"\x01" * 100)
    context.run(_circuit())


@attack(
    96,
    "Give a result whose arrays claim to be huge",
    "checked when the result is decoded",
    ends=("ResultNotEncodable",),
)
def forge_an_array(context: Any) -> Any:
    import msgspec

    from hybrid_runtime import values

    array = msgspec.msgpack.encode(("<f8", [1 << 40, 0, 1 << 40], b""))
    say("finished", msgspec.msgpack.encode(msgspec.msgpack.Ext(values._ARRAY, array)))
    context.run(_circuit())


@attack(
    97,
    "Give a result nested without end",
    "a limit on depth, in the worker and where it is decoded",
    ends=("ProtocolError", "ResultNotEncodable"),
)
def forge_a_deep_result(context: Any) -> Any:
    say("finished", b"\x91" * 100_000 + b"\x01")
    context.run(_circuit())


@attack(
    98,
    "Return an object whose encoding never ends",
    "a limit on items and depth",
    ends=("refused", "ResultNotEncodable", "AlgorithmTimeout"),
    limits=SHORT,
    steps=300,
)
def return_endless_object(context: Any) -> Any:
    from collections.abc import Iterator, Sequence

    class Endless(Sequence):
        def __len__(self) -> int:
            return 1 << 40

        def __getitem__(self, index: Any) -> Any:
            return Endless()

        def __iter__(self) -> Iterator[Any]:
            while True:
                yield Endless()

    from hybrid_runtime.values import encode_value

    encode_value(Endless())


@attack(
    99,
    "Fail with a forged error: escapes, a foreign family, megabytes",
    "errors are cut, cleaned and re-labelled",
    ends=("Evil\\x1b[31m",),
    steps=100,
)
def forge_an_error(context: Any) -> Any:
    say("failed", "execute", {"kind": "Evil\x1b[31m", "text": "x" * 10_000_000, "family": "InternalError"})
    context.run(_circuit())


@attack(100, "Flood standard output and error", "read in pieces, kept up to a bound, and dropped beyond", steps=300)
def flood_output(context: Any) -> Any:
    block = b"y" * 60_000 + b"\n"
    for _ in range(500):
        os.write(1, block)
        os.write(2, block)


@attack(
    101,
    "Print lines that are costly to look at",
    "lines are looked at in linear time",
    ends=("refused", "WorkerLost"),
    steps=150,
)
def print_costly_lines(context: Any) -> Any:
    path = 'File "' + "/hybrid_runtime/" * 500
    line = ("  " + path + "\n").encode()
    for _ in range(120):
        os.write(2, line)
    os.write(2, b"Fatal Python error: x\n" + b'File "/bundle/' * 2000)
    os.kill(os.getpid(), 9)
    os._exit(3)


@attack(102, "Print control characters and terminal escapes", "made visible before anybody sees them")
def print_escapes(context: Any) -> Any:
    print("\x1b]0;owned\x07\x1b[2J\x1b[31m\x9b31m\u202e\x08\r\x00")
    context.log("\x1b]52;c;b3duZWQ=\x07")


@attack(
    103,
    "Flood metrics and log lines",
    "one message of each job in turn; bounds on what is kept",
    limits={"think_s": 20.0},
    steps=500,
)
def flood_notes(context: Any) -> Any:
    for number in range(3000):
        say("note", [[f"m{number}-{index}", 1.0] for index in range(50)], ["x" * 500] * 5)


@attack(
    104,
    "Send notes of a million entries",
    "a limit on the entries of one message",
    ends=("ProtocolError", "refused"),
    steps=1000,
)
def send_a_huge_note(context: Any) -> Any:
    say("note", [["m", 1.0]] * 4_000_000, [])
    context.run(_circuit())


@attack(105, "Close the channel and go on", "the job ends, the process is killed", ends=("WorkerLost",))
def close_the_channel(context: Any) -> Any:
    os.close(channel_fd())
    while True:
        pass


@attack(106, "Shut the channel down one way", "the job ends, the process is killed", ends=("WorkerLost",))
def shut_the_channel(context: Any) -> Any:
    LIBC.shutdown(channel_fd(), 1)
    while True:
        pass


@attack(107, "Pass descriptors to the dispatcher", "system-call filter; received without room for any")
def pass_descriptors(context: Any) -> Any:
    import array
    import socket

    with socket.socket(fileno=os.dup(channel_fd())) as sock:
        sock.sendmsg([b"\x90"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [0, 1, 2]))])
    return "passed"


@attack(
    108,
    "Ask for circuits without reading the answers",
    "answers wait in bounded buffers; one step at a time",
    ends=("ProtocolError", "AlgorithmTimeout", "WorkerLost", "refused"),
    limits=SHORT,
)
def never_read(context: Any) -> Any:
    worker = the_runtime()
    worker._channel.receive = lambda *_: _forever()
    context.run(_circuit())


def _forever() -> Any:
    import time

    while True:
        try:
            time.sleep(1000)
        except BaseException:  # noqa: BLE001 - the stop is to be ignored
            continue


@attack(
    109,
    "Ask for a million circuits in one step",
    "a limit on the circuits of a step",
    ends=("CircuitRejected",),
    steps=600,
)
def ask_for_a_million(context: Any) -> Any:
    context.run([_circuit()] * 1_000_000)


@attack(
    110,
    "Send a circuit of 100 MB",
    "limits on circuits and messages",
    ends=("CircuitRejected", "refused", "MemoryError", "AlgorithmTimeout"),
    limits={"think_s": 3.0, "finalize_s": 0.3},
    steps=300,
)
def send_a_huge_circuit(context: Any) -> Any:
    from hybrid_runtime import Circuit

    context.run(Circuit(BELL + "\n" + "H q[0]\n" * 14_000_000))


@attack(
    111,
    "Template with a hundred thousand parameters",
    "a limit on parameters and operations",
    ends=("CircuitRejected", "refused", "AlgorithmTimeout"),
    limits=SHORT,
)
def template_bomb(context: Any) -> Any:
    from hybrid_runtime import Circuit

    names = [f"p{number}" for number in range(100_000)]
    text = "version 3.0\nqubit[1] q\nbit[1] b\n" + "".join(f"Rx({{{name}}}) q[0]\n" for name in names) + "b = measure q"
    context.run(Circuit(text, parameters=dict.fromkeys(names, 0.1), shots=1))


@attack(
    112,
    "Circuit texts that kill a parser: Rx(1/0), nesting, zero bytes",
    "parsed in the tenant's own worker",
    ends=("CircuitRejected", "WorkerLost", "refused"),
)
def kill_the_parser(context: Any) -> Any:
    from hybrid_runtime import Circuit, errors

    for text in ("Rx(1/0) q[0]", "Rx(" + "(" * 5000 + "1" + ")" * 5000 + ") q[0]", "\0", "ctrl." * 5000 + "X q[0]"):
        try:
            context.run(Circuit(f"version 3.0\nqubit[1] q\nbit[1] b\n{text}\nb = measure q", shots=1))
        except errors.CircuitRejected:
            continue


@attack(
    113,
    "Programs that a parser would never make: bad qubits, slots, NaN",
    "checked by the dispatcher and by the quantum runtime",
    ends=("ProtocolError", "CircuitRejected", "refused"),
)
def forge_programs(context: Any) -> Any:
    circuit = _circuit()
    context.run(circuit)
    import msgspec

    program = the_runtime()._requests.compiler.compile(circuit).program
    raw = msgspec.msgpack.decode(msgspec.msgpack.encode(program))
    say("step", 2, [[999, 10, 1, b"", False]], [[999, _mutate(raw)]])
    context.run(circuit)


def _mutate(raw: Any) -> Any:
    if isinstance(raw, dict):
        return {key: _mutate(value) for key, value in raw.items()}
    if isinstance(raw, list):
        return [_mutate(value) for value in raw]
    return (1 << 40) if isinstance(raw, int) and not isinstance(raw, bool) else raw


@attack(
    114, "Shots, rows and values out of range", "checked by the dispatcher", ends=("CircuitRejected", "ProtocolError")
)
def ask_out_of_range(context: Any) -> Any:
    context.run(_circuit())
    key = next(iter(the_runtime()._requests.sent))
    say("step", 2, [[key, -5, 1 << 40, b"", True]])
    context.run(_circuit())


@attack(115, "Parameters that are not numbers", "checked by the dispatcher", ends=("CircuitRejected",))
def send_nan_parameters(context: Any) -> Any:
    from hybrid_runtime import Circuit

    text = "version 3.0\nqubit[1] q\nbit[1] b\nRx({x}) q[0]\nb = measure q"
    context.run(Circuit(text, parameters={"x": math.nan}))


@attack(
    116, "More qubits than the emulator's memory holds", "a limit on the backend's qubits", ends=("CircuitRejected",)
)
def too_many_qubits(context: Any) -> Any:
    from hybrid_runtime import Circuit

    context.run(Circuit("version 3.0\nqubit[60] q\nbit[60] b\nH q\nb = measure q"))


@attack(
    117,
    "Replace the runtime's code in the worker, then report as one likes",
    "nothing in the worker is trusted",
    ends=("ProtocolError", "refused", "UserCodeError", "WorkerLost"),
)
def replace_our_code(context: Any) -> Any:
    worker = the_runtime()
    worker._number = 500
    worker._requests.compiler = None
    sys.modules["hybrid_runtime.classical.styles"].drive = lambda *_: "owned"  # type: ignore[attr-defined]
    sys.meta_path.clear()
    worker._requests.sent = {1, 2, 3}
    return None


@attack(118, "Claim steps, shots or time that were not used", "they are counted by the dispatcher")
def forge_the_books(context: Any) -> Any:
    context._qpu_s = -1e9
    context.history.steps = -5
    worker = the_runtime()
    worker._notes.metrics = [("steps", 1e18), ("shots", -1.0)]


@attack(119, "Import hooks, encodings and atexit handlers that stay", "the worker is used by one job only")
def stay_in_the_interpreter(context: Any) -> Any:
    import builtins
    import codecs

    codecs.register(lambda name: None)
    sys.path_hooks.clear()
    builtins.open = lambda *_, **__: None  # type: ignore[assignment]
    sys.settrace(lambda *_: None)


@attack(
    120,
    "Attack while being imported, before anything else",
    "the sandbox is closed before the job arrives",
    top_level="import os\ntry:\n    print(open('/etc/passwd').read(), os.listdir('/home'))\nexcept OSError:\n    pass",
)
def attack_at_import(context: Any) -> Any:
    return None


@attack(
    121,
    "Give a result nested just deep enough to end whoever shows it",
    "a limit on depth where it is decoded",
    ends=("ResultNotEncodable",),
)
def forge_a_result_to_show(context: Any) -> Any:
    say("finished", b"\x91" * 800 + b"\x01")
    context.run(_circuit())


@attack(
    122,
    "Give a result with keys that are nested lists",
    "keys are checked where it is decoded",
    ends=("ResultNotEncodable",),
)
def forge_keys(context: Any) -> Any:
    say("finished", b"\x81" + b"\x91" * 800 + b"\x01" + b"\x01")
    context.run(_circuit())


@attack(
    123,
    "Break off every channel but hold on: close the pipes, stop reading, half-close",
    "the think limit; closed pipes are watched no more",
    ends=("AlgorithmTimeout", "WorkerLost", "ProtocolError"),
    limits=SHORT,
    steps=200,
)
def break_off(context: Any) -> Any:
    os.close(1)
    os.close(2)
    LIBC.shutdown(channel_fd(), 0)
    _forever()


@attack(
    124,
    "Hold as many circuits in the quantum runtime as possible",
    "a limit on the operations that a job may hold there",
    ends=("ProtocolError", "CircuitRejected", "AlgorithmTimeout"),
    limits={"think_s": 5.0, "finalize_s": 0.3},
    steps=300,
)
def hold_circuits(context: Any) -> Any:
    operations = [["H", [0], [], -1]] * 200_000
    for number in range(1, 60):
        say("step", number, [[number, 1, 1, b"", False]], [[number, [1, 1, 0, operations]]])
        the_runtime()._channel.receive(30)


def _circuit() -> Any:
    from hybrid_runtime import Circuit

    return Circuit(BELL, shots=16)
