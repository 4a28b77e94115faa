"""A rehearsal leaves nothing behind that a job could meet."""

import sys

import pytest

from hybrid_runtime.classical.worker import rehearse


@pytest.mark.parametrize("long", [False, True])
def test_a_rehearsal_leaves_no_file_no_module_and_no_import_path(tmp_path, long):
    modules, paths, folder = set(sys.modules), list(sys.path), tmp_path / "rehearsal"

    rehearse(folder, long=long)

    assert sys.path == paths
    assert not [name for name in set(sys.modules) - modules if "rehearsal" in name]
    assert not folder.exists()
