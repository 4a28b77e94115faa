from __future__ import annotations

from hybrid_runtime.cli.codes import MEANINGS, ExitCode, epilog
from hybrid_runtime.errors import error_classes


def test_every_error_exits_with_a_code_that_has_a_meaning():
    assert {cls.exit_code for cls in error_classes().values()} == {*ExitCode} - {ExitCode.COMPLETED}


def test_the_epilog_names_every_code():
    assert set(MEANINGS) == set(ExitCode)
    assert all(f"{code.value}: {meaning}" in epilog() for code, meaning in MEANINGS.items())
