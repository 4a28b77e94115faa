"""A rehearsal is a whole job, and leaves nothing behind that a real one could meet."""

import sys

import pytest

from hybrid_runtime.classical import rehearsal
from hybrid_runtime.classical.worker import Worker, rehearse
from hybrid_runtime.protocol.messages import Finished, FromWorker, Step, decode, decoder

JOBS = {"lifecycle": rehearsal.LIFECYCLE, "function": rehearsal.FUNCTION, "long": rehearsal.LONG}


@pytest.mark.parametrize("job", JOBS.values(), ids=JOBS)
def test_a_rehearsal_comes_to_its_end(tmp_path, monkeypatch, job):
    heard: list[bytes] = []
    with rehearsal.staged(tmp_path / "rehearsal", job) as stage:
        monkeypatch.setattr(stage, "send", heard.append)
        Worker(stage, tmp_path / "rehearsal").take(stage.receive())

    first, last = (decode(decoder(FromWorker), data) for data in (heard[0], heard[-1]))
    assert isinstance(first, Step)
    assert isinstance(last, Finished)


@pytest.mark.parametrize("job", JOBS.values(), ids=JOBS)
def test_a_rehearsal_leaves_no_file_no_module_and_no_import_path(tmp_path, job):
    modules, paths, folder = set(sys.modules), list(sys.path), tmp_path / "rehearsal"

    rehearse(folder, job)

    assert sys.path == paths
    assert not [name for name in set(sys.modules) - modules if "rehearsal" in name]
    assert not folder.exists()
