"""What a step would cost without any of the runtime: `floor.c`, compiled on the spot."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from hybrid_runtime.bench.placement import confined, elsewhere, in_order
from hybrid_runtime.bench.quantiles import Quantiles, of_nanoseconds
from hybrid_runtime.config import child_environment
from hybrid_runtime.placement import Placement

if TYPE_CHECKING:
    from collections.abc import Iterator

SOURCE = Path(__file__).with_name("floor.c")
MODES = ("seqpacket", "futex", "spin")
# A step's request and its answer are of about this size.
_MESSAGE_BYTES = 64
_COMPILERS = ("cc", "gcc", "clang")
_TIMEOUT_S = 60.0


class NoFloor(Exception):
    """The floor cannot be measured here; the text says why."""


def measure(rounds: int) -> dict[str, dict[str, Quantiles]]:
    """Quantiles by mode and placement.

    Raises:
        NoFloor: there is no compiler, or it cannot compile the program.
    """
    with compiled() as program:
        return {
            mode: {
                placement.value: of_nanoseconds(take(program, mode, placement, rounds))
                for placement in elsewhere()
                if sensible(mode, placement)
            }
            for mode in MODES
        }


@contextmanager
def compiled() -> Iterator[Path]:
    """The program, in a folder that is removed afterwards.

    Raises:
        NoFloor: there is no compiler, or it cannot compile the program.
    """
    compiler = next(filter(None, map(shutil.which, _COMPILERS)), None)
    if compiler is None:
        raise NoFloor(f"there is no C compiler: none of {', '.join(_COMPILERS)} is installed")
    with tempfile.TemporaryDirectory(prefix="hybrid-runtime-") as folder:
        program = Path(folder) / "floor"
        _call([compiler, "-O2", "-std=gnu11", "-o", str(program), str(SOURCE)])
        yield program


def sensible(mode: str, placement: Placement) -> bool:
    """Whether it is worth measuring: on one core, whoever spins keeps the core from the one it waits for."""
    return mode != "spin" or placement is not Placement.SAME_CORE


def take(program: Path, mode: str, placement: Placement, rounds: int) -> list[int]:
    """Nanoseconds of each round.

    Raises:
        NoFloor: the program failed.
    """
    cores = map(str, in_order(placement))
    with confined(placement):
        printed = _call([str(program), mode, str(rounds), str(rounds // 10), str(_MESSAGE_BYTES), *cores])
    return [int(line) for line in printed.split()]


def _call(command: list[str]) -> str:
    try:
        done = subprocess.run(
            command, env=child_environment(), capture_output=True, text=True, timeout=_TIMEOUT_S, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        said = getattr(error, "stderr", None) or str(error)
        raise NoFloor(f"{Path(command[0]).name} failed: {said.strip().splitlines()[-1]}") from error
    return done.stdout
