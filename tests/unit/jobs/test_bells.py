"""Doorbells wake who waits, and nobody minds when none is there."""

from __future__ import annotations

import select

from hybrid_runtime.jobs.bells import Bell, Bells, bell_of


def rung(bell: Bell) -> bool:
    return bool(select.select([bell], [], [], 0)[0])


def test_whoever_waits_is_woken_until_the_bell_is_answered(tmp_path):
    bell = Bell(bell_of(tmp_path, "b"))
    Bells(tmp_path).ring("b")
    Bells(tmp_path).ring("b")
    assert rung(bell)
    bell.answer()
    assert not rung(bell)
    bell.close()


def test_only_the_runner_of_that_backend_is_woken(tmp_path):
    bell = Bell(bell_of(tmp_path, "b"))
    Bells(tmp_path).ring("c")
    assert not rung(bell)
    bell.close()


def test_ringing_where_nobody_is_does_nothing(tmp_path):
    Bells(tmp_path).ring("b")
    Bells(tmp_path / "none").ring("b")
    Bell(bell_of(tmp_path, "b")).close()
    Bells(tmp_path).ring("b")


def test_a_runner_that_hears_nothing_holds_up_nobody(tmp_path):
    bell = Bell(bell_of(tmp_path, "b"))
    for _ in range(2000):
        Bells(tmp_path).ring("b")
    assert rung(bell)
    bell.close()


def test_a_bell_that_a_killed_runner_left_is_replaced(tmp_path):
    bell_of(tmp_path, "b").touch()
    bell = Bell(bell_of(tmp_path, "b"))
    Bells(tmp_path).ring("b")
    assert rung(bell)
    bell.close()
    assert not bell_of(tmp_path, "b").exists()


def test_a_folder_may_have_a_longer_path_than_an_address(tmp_path):
    deep = tmp_path / ("d" * 120)
    deep.mkdir()
    bell = Bell(bell_of(deep, "b"))
    Bells(deep).ring("b")
    assert rung(bell)
    bell.close()
