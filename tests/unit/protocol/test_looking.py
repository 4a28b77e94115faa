from __future__ import annotations

from hybrid_runtime.protocol.looking import Looking


def left_out(looking: Looking) -> int:
    """How often looking is left out from here on."""
    times = 0
    while not looking.wanted():
        times += 1
    return times


def test_at_first_it_is_looked():
    assert left_out(Looking()) == 0


def test_looking_that_finds_nothing_is_left_out_more_and_more_often_up_to_a_bound():
    looking = Looking()
    found = []
    for _ in range(10):
        looking.found_nothing()
        found.append(left_out(looking))
    assert found[:4] == [1, 3, 7, 15]
    assert found[-1] == found[-2] == 64


def test_one_message_that_was_found_is_enough_to_look_again():
    looking = Looking()
    for _ in range(10):
        looking.found_nothing()
    looking.paid()
    looking.found_nothing()
    assert left_out(looking) == 1


def test_after_others_wanted_the_processor_it_is_left_out_for_long_and_for_longer_each_time():
    looking = Looking()
    found = []
    for _ in range(8):
        looking.was_held_up()
        found.append(left_out(looking))
    assert found[:3] == [4, 16, 64]
    assert found[-1] == found[-2] == 4096


def test_others_are_forgotten_after_many_messages_that_were_found_without_them():
    looking = Looking()
    for _ in range(3):
        looking.was_held_up()
    left_out(looking)
    for _ in range(4 + 16 + 64 + 256):
        looking.paid()
    looking.was_held_up()
    assert left_out(looking) == 4
