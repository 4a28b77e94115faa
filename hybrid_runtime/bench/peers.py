"""The same step by other means, run side by side with ours: programs in `benchmarks/peers`, one for each peer."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from importlib import resources, util
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from hybrid_runtime.bench.placement import confined, descendants, elsewhere
from hybrid_runtime.bench.quantiles import Quantiles, of_nanoseconds
from hybrid_runtime.config import child_environment
from hybrid_runtime.placement import Placement

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hybrid_runtime.bench.plan import Plan

_TIMEOUT_S = 60.0
# Peers make Unix sockets in their scratch folder, and the path of one has 107 bytes at most.
_SHORT = "/tmp"


class Candidate(msgspec.Struct, frozen=True):
    """A peer that can be measured.

    Attributes:
        name: What it is called in reports.
        package: The package that it needs.
        program: Its file in `benchmarks/peers`.
        arguments: For the program.
        slow: Whether it takes many seconds to start: then it is measured once, where the kernel puts it.
    """

    name: str
    package: str
    program: str
    arguments: tuple[str, ...] = ()
    slow: bool = False


CANDIDATES = (
    Candidate("Appendix A over pyzmq, tcp", "zmq", "pyzmq_loop.py", ("--transport", "tcp")),
    Candidate("Appendix A over pyzmq, ipc", "zmq", "pyzmq_loop.py", ("--transport", "ipc")),
    Candidate("multiprocessing.Manager", "multiprocessing", "manager.py"),
    Candidate("ProcessPoolExecutor", "concurrent.futures", "process_pool.py"),
    Candidate("Pyro5", "Pyro5", "pyro.py"),
    Candidate("gRPC", "grpc", "grpc_calls.py"),
    Candidate("rpcq", "rpcq", "rpcq_calls.py"),
    Candidate("Dask actor", "distributed", "dask_actor.py", slow=True),
    Candidate("Ray actor", "ray", "ray_actor.py", slow=True),
)


class Peer(msgspec.Struct, frozen=True, kw_only=True):
    """A peer in a report.

    Attributes:
        package: The package that it needs.
        status: `measured`, `not installed`, `left out` or `failed`.
        reason: Why it was not measured.
        version: Version of the package.
        step_s: Quantiles of a step, by placement.
    """

    package: str
    status: str
    reason: str | None = None
    version: str | None = None
    step_s: dict[str, Quantiles] = {}


class Printed(msgspec.Struct):
    """What a peer's program prints."""

    samples_ns: list[int]
    version: str


class PeerFailed(Exception):
    """A peer's program did not come to its end; the text says why."""


def folder() -> Path | None:
    """Where the programs of the peers are; None where this installation lacks them."""
    installed = Path(str(resources.files("hybrid_runtime.bench"))) / "peers"
    # In a checkout they are at its top, with the other benchmarks; the wheel holds a copy inside the package.
    checkout = Path(__file__).parents[2] / "benchmarks" / "peers"
    return next((path for path in (installed, checkout) if (path / "exchange.py").is_file()), None)


def missing(candidate: Candidate) -> str | None:
    """Why a peer cannot be measured here; None where it can."""
    if folder() is None:
        return "this installation lacks benchmarks/peers"
    return None if util.find_spec(candidate.package) else f"{candidate.package} is not installed"


def measure(candidate: Candidate, plan: Plan) -> Peer:
    """Run one peer, where its package is installed."""
    reason = missing(candidate)
    if reason is not None:
        return Peer(package=candidate.package, status="not installed", reason=reason)
    if candidate.slow and not plan.slow_peers:
        return Peer(package=candidate.package, status="left out", reason="it takes long to start; the full run has it")
    once = candidate.slow or not plan.every_placement
    placements = [Placement.FREE] if once else [one for one in elsewhere() if one is not Placement.SPREAD]
    found, version = {}, None
    try:
        for placement in placements:
            printed = take(candidate, placement, steps=plan.peer_steps, seconds=plan.peer_s)
            found[placement.value] = of_nanoseconds(printed.samples_ns)
            version = printed.version
    except PeerFailed as error:
        return Peer(package=candidate.package, status="failed", reason=str(error))
    return Peer(package=candidate.package, status="measured", version=version, step_s=found)


def take(candidate: Candidate, placement: Placement, *, steps: int, seconds: float) -> Printed:
    """Run a peer's program for so many steps, or as many as it does in so many seconds.

    Raises:
        PeerFailed: it did not come to its end.
    """
    programs = folder()
    if programs is None:
        raise PeerFailed("this installation lacks benchmarks/peers")
    command = [sys.executable, "-s", "-B", str(programs / candidate.program), *candidate.arguments]
    command += ["--steps", str(steps), "--seconds", str(seconds)]
    with confined(placement):
        return _run(command)


def _run(command: Sequence[str]) -> Printed:
    """Run a peer's program in a folder of its own, and leave neither file nor process of it."""
    with tempfile.TemporaryDirectory(prefix="peer-", dir=_SHORT, ignore_cleanup_errors=True) as scratch:
        places = {"HOME": scratch, "TMPDIR": scratch, "RAY_TMPDIR": scratch}
        with subprocess.Popen(
            command,
            cwd=scratch,
            env=child_environment() | places,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        ) as process:
            try:
                out, err = process.communicate(timeout=_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                raise PeerFailed(f"it took more than {_TIMEOUT_S:g} s") from None
            finally:
                if process.returncode is None:
                    _kill_tree(process.pid)
    if process.returncode != 0:
        said = err.decode(errors="replace").strip().splitlines()
        raise PeerFailed(said[-1] if said else f"it ended with status {process.returncode}")
    try:
        return msgspec.json.decode(out.splitlines()[-1], type=Printed)
    except (IndexError, msgspec.DecodeError) as error:
        raise PeerFailed(f"it printed no figures: {error}") from None


def _kill_tree(pid: int) -> None:
    for one in [pid, *descendants(pid)]:
        try:
            os.kill(one, signal.SIGKILL)
        except ProcessLookupError:
            continue  # it has ended
