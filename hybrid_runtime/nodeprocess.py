"""Starts the dispatcher's process, and starts it again when it was lost."""

from __future__ import annotations

import subprocess
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from hybrid_runtime.classical.cleaning import remove_tree
from hybrid_runtime.config import child_environment
from hybrid_runtime.dispatcher.output import how_it_died
from hybrid_runtime.process import interpreter
from hybrid_runtime.protocol.seqpacket import SeqPacketChannel

if TYPE_CHECKING:
    from collections.abc import Sequence

_PATIENCE_S = 10.0


class NodeProcess:
    """One process tree of a dispatcher, as its client holds it; it ends with this object or with the client.

    Args:
        command: Arguments of `hybrid_runtime.node`, without those that say where it is.

    Attributes:
        root: Folder for everything that the tree needs, gone after `close`.
        journals: Folder in it for journals; it stays when the process is lost.
        channel: Leads to the dispatcher; another one after `restart`.
    """

    def __init__(self, command: Sequence[str]) -> None:
        self._command = list(command)
        with ExitStack() as undo:
            self.root = Path(tempfile.mkdtemp(prefix="hybrid-runtime-"))
            undo.callback(remove_tree, str(self.root))
            self.journals = self.root / "journals"
            self.journals.mkdir()
            self._start()
            undo.pop_all()

    def _start(self) -> None:
        self.channel, theirs = SeqPacketChannel.pair()
        place = ["--fd", str(theirs.fileno()), "--root", str(self.root)]
        try:
            self._process = subprocess.Popen(
                interpreter("hybrid_runtime.node", *place, *self._command),
                pass_fds=[theirs.fileno()],
                env=child_environment(),
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        except OSError:
            self.channel.close()
            raise
        finally:
            theirs.close()

    @property
    def pid(self) -> int:
        """The dispatcher's process."""
        return self._process.pid

    def how_it_was_lost(self) -> str:
        """What became of a process whose channel has closed; it is ended where it has not."""
        try:
            return how_it_died(self._process.wait(timeout=1))
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            return "did not answer any more"

    def restart(self) -> None:
        """Start another process after one that was lost; what that one left for its workers is removed with `root`."""
        self.channel.close()
        self._start()

    def close(self) -> None:
        """End the process with all that it started, and remove its folder. Closing twice is allowed."""
        self.channel.close()
        try:
            self._process.wait(timeout=_PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        remove_tree(str(self.root))
