"""The assembler's programs, run by a small machine for the instructions that they use."""

from __future__ import annotations

import errno

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybrid_runtime.classical.bpf import ALLOW, KILL_PROCESS, Bits, Null, OneOf, Program, Rule, assemble, refuse

ARCHITECTURE = 0xC000003E
REFUSED = refuse(errno.EPERM)
DENY = Rule(REFUSED)


def checked(*conditions) -> dict[int, Rule]:
    return {7: Rule(ALLOW, conditions, otherwise=REFUSED)}


def test_a_call_without_a_rule_gets_the_default(verdict):
    program = assemble(ARCHITECTURE, {1: Rule(ALLOW), 5: Rule(ALLOW)}, DENY)
    assert [verdict(program, ARCHITECTURE, n) for n in range(7)] == [REFUSED, ALLOW] + [REFUSED] * 3 + [ALLOW, REFUSED]


def test_a_call_of_another_architecture_kills(verdict):
    program = assemble(ARCHITECTURE, {1: Rule(ALLOW)}, DENY)
    assert verdict(program, 0x40000003, 1) == KILL_PROCESS


def test_numbers_from_the_foreign_range_on_kill(verdict):
    program = assemble(ARCHITECTURE, {1: Rule(ALLOW)}, DENY, foreign_from=1000)
    assert [verdict(program, ARCHITECTURE, n) for n in (999, 1000, 0xFFFFFFFF)] == [REFUSED, KILL_PROCESS, KILL_PROCESS]


@given(st.dictionaries(st.integers(0, 500), st.sampled_from([ALLOW, refuse(1), refuse(38)]), max_size=300))
def test_every_number_gets_the_verdict_of_its_own_rule(verdict, verdicts):
    program = assemble(ARCHITECTURE, {number: Rule(what) for number, what in verdicts.items()}, DENY)
    for number in range(502):
        assert verdict(program, ARCHITECTURE, number) == verdicts.get(number, REFUSED)


def test_rules_longer_than_a_branch_reaches_are_jumped_over(verdict):
    many = OneOf(0, tuple(range(200)))
    rules = {number: Rule(ALLOW, (many, OneOf(1, (number,))), otherwise=REFUSED) for number in range(8)}
    program = assemble(ARCHITECTURE, rules, DENY)
    for number in range(8):
        assert verdict(program, ARCHITECTURE, number, 199, number) == ALLOW
        assert verdict(program, ARCHITECTURE, number, 200, number) == REFUSED
        assert verdict(program, ARCHITECTURE, number, 199, number + 1) == REFUSED


def test_a_program_beyond_the_kernels_limit_is_an_error():
    rules = {number: Rule(ALLOW, (OneOf(0, tuple(range(number, number + 250))),)) for number in range(20)}
    with pytest.raises(ValueError, match="the kernel takes 4096"):
        assemble(ARCHITECTURE, rules, DENY)


@pytest.mark.parametrize(("argument", "wanted"), [(3, ALLOW), (5, ALLOW), (4, REFUSED), (1 << 32 | 3, ALLOW)])
def test_an_int_is_compared_by_its_low_word_as_the_kernel_does(verdict, argument, wanted):
    program = assemble(ARCHITECTURE, checked(OneOf(2, (3, 5))), DENY)
    assert verdict(program, ARCHITECTURE, 7, 0, 0, argument) == wanted


def test_a_pid_is_filled_in_for_each_process(verdict):
    program = assemble(ARCHITECTURE, checked(OneOf(0, (0,), or_own_pid=True)), DENY)
    code = Program(program.for_pid(4321), ())
    assert [verdict(code, ARCHITECTURE, 7, pid) for pid in (0, 4321, 4322, 1)] == [ALLOW, ALLOW, REFUSED, REFUSED]


def test_bits_are_compared_under_their_mask(verdict):
    equal = assemble(ARCHITECTURE, checked(Bits(0, 0xF0, 0x30)), DENY)
    unequal = assemble(ARCHITECTURE, checked(Bits(0, 0xF0, 0x30, unequal=True)), DENY)
    assert [verdict(equal, ARCHITECTURE, 7, value) for value in (0x30, 0x3F, 0x70)] == [ALLOW, ALLOW, REFUSED]
    assert [verdict(unequal, ARCHITECTURE, 7, value) for value in (0x30, 0x3F, 0x70)] == [REFUSED, REFUSED, ALLOW]


@pytest.mark.parametrize(("pointer", "wanted"), [(0, ALLOW), (1, REFUSED), (1 << 32, REFUSED), (7 << 40 | 1, REFUSED)])
def test_a_pointer_is_null_only_if_both_words_are(verdict, pointer, wanted):
    program = assemble(ARCHITECTURE, checked(Null(1)), DENY)
    assert verdict(program, ARCHITECTURE, 7, 0, pointer) == wanted


def test_all_conditions_must_hold(verdict):
    program = assemble(ARCHITECTURE, checked(OneOf(0, (1,)), Null(1), Bits(2, 1)), DENY)
    assert verdict(program, ARCHITECTURE, 7, 1, 0, 2) == ALLOW
    for arguments in ((2, 0, 2), (1, 5, 2), (1, 0, 3)):
        assert verdict(program, ARCHITECTURE, 7, *arguments) == REFUSED
