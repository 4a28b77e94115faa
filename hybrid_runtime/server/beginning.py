"""How a claimed job begins: from its beginning, from where its journal ends, or not at all because it is over."""

from __future__ import annotations

import platform
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from hybrid_runtime.dispatcher.forking import fork_journal
from hybrid_runtime.dispatcher.journal import BUNDLE_NAME, JOURNAL_NAME, Began
from hybrid_runtime.dispatcher.recorder import environment_here
from hybrid_runtime.errors import InvalidInput, ResultNotEncodable
from hybrid_runtime.jobs.requests import checked_limits
from hybrid_runtime.protocol.bundles import Bundle, content_hash, decode_bundle, encode_bundle
from hybrid_runtime.protocol.control import Ended, Submit
from hybrid_runtime.resources.jobs import JobKind
from hybrid_runtime.server import one_circuit
from hybrid_runtime.server.folder import write_whole
from hybrid_runtime.server.results import Kept
from hybrid_runtime.server.settings import LimitsSettings, bounded
from hybrid_runtime.submission import EXACT
from hybrid_runtime.values import encode_value

if TYPE_CHECKING:
    from collections.abc import Callable

    from hybrid_runtime.jobs.reports import Claimed
    from hybrid_runtime.protocol.messages import Capabilities

# What the journal of a job that goes on says about why.
_WALL_LEFT = "wall_left_s"
RESUMED = "taken up by its runner"


class Beginning:
    """Makes what a dispatcher is given to run a claimed job.

    Args:
        limits: What every job is held to.
        fsync: When journals are forced to the disk.
        bundle: Gives the content of an uploaded bundle by its hash.
    """

    def __init__(self, limits: LimitsSettings, fsync: str, bundle: Callable[[str], bytes]) -> None:
        self._limits = limits
        self._fsync = fsync
        self._bundle = bundle

    def of(self, claimed: Claimed, folder: Path, backend: Capabilities) -> Submit | Ended:
        """What to give to the dispatcher of this backend; the end of a job that has nothing left to do.

        Raises:
            JournalError: its journal, or that of the job that it is forked from, cannot be read.
            InvalidInput: what was accepted cannot be run after all.
            BundleError: its bundle is none.
            NotFound: its bundle is gone.
            Unavailable: the database does not answer.
            OSError: its folder cannot be written.
        """
        journal = folder / JOURNAL_NAME
        folder.mkdir(mode=0o700, exist_ok=True)
        kept = Kept(journal)
        over = kept.ended(claimed.job_id)
        if over is not None:
            return over
        parameters, asked = claimed.parameters, claimed.limits
        if claimed.kind is JobKind.QUANTUM:
            content = circuit_bundle()
            parameters = {"circuit": claimed.circuit, "language": claimed.language}
        elif claimed.bundle is None:
            raise InvalidInput("the job names no bundle")
        else:
            content = self._bundle(claimed.bundle)
            # Most who submit have written these into their request, but not those who only named the algorithm.
            bundle = decode_bundle(content)
            parameters = {**bundle.parameters, **parameters}
            asked = {**checked_limits(bundle.limits), **asked}
        if not (folder / BUNDLE_NAME).exists():
            write_whole(folder / BUNDLE_NAME, content)
        shots = EXACT if claimed.shots is None else claimed.shots
        limits = bounded(asked, self._limits)
        if limits.wall_s is not None:
            limits = replace(limits, wall_s=_wall_left(folder, limits.wall_s))
        try:
            given = encode_value(parameters, "parameters")
        except ResultNotEncodable as error:
            raise InvalidInput(str(error)) from None
        began = kept.began
        if claimed.fork_of is not None and not began:
            origin, steps = claimed.fork_of
            began = True
            record = Began(
                claimed.job_id,
                content_hash(content),
                environment_here(),
                claimed.seed,
                shots,
                limits,
                given,
                backend,
            )
            fork_journal(journal, folder.parent / origin / journal.name, steps, record, origin)
        return Submit(
            job_id=claimed.job_id,
            bundle=content,
            parameters=given,
            seed=claimed.seed,
            shots=shots,
            limits=limits,
            journal=str(journal),
            fsync=self._fsync,
            resume=RESUMED if began else "",
            # A fork is made to become another job than the one that it begins with.
            on_divergence="fail" if claimed.fork_of is None else "live",
            keep_requests=claimed.keep_requests,
        )


def keep_wall_left(folder: Path, seconds: float | None) -> None:
    """Keep what is left of a paused job's wall limit, beside its journal."""
    if seconds is not None:
        write_whole(folder / _WALL_LEFT, str(seconds).encode())


def _wall_left(folder: Path, otherwise: float) -> float:
    try:
        return min(float((folder / _WALL_LEFT).read_bytes()), otherwise)
    except FileNotFoundError:
        return otherwise


@cache
def circuit_bundle() -> bytes:
    """The bundle of pure quantum jobs."""
    source = Path(one_circuit.__file__)
    version = ".".join(platform.python_version_tuple()[:2])
    return encode_bundle(Bundle(python=version, entry=source.name, files={source.name: source.read_bytes()}))
