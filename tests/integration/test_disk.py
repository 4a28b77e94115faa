"""What becomes of a job that takes more of the disk than a scratch directory may hold."""

from __future__ import annotations

import pytest

from hybrid_runtime import LocalRuntime


def takes_too_many_files(context):
    import time

    for number in range(6000):
        open(f"file{number}", "w").close()
    time.sleep(60)


@pytest.mark.parametrize(
    ("level", "kind", "text"),
    [
        ("strict", "OSError", "No space left on device"),
        ("landlock", "WorkerLost", "its files took more of the disk than a scratch directory may"),
    ],
)
def test_it_fails_by_name_and_others_go_on(level, kind, text):
    with LocalRuntime("null", isolation=level) as client:
        result = client.run(takes_too_many_files)
        assert client.run(lambda context: 5).value == 5
    assert result.error is not None
    assert result.error.kind == kind
    assert text in result.error.text
