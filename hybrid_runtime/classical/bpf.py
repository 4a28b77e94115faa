"""An assembler for the filters that seccomp(2) takes: rules per system call in, classic BPF bytes out.

A filter reads the call's number and arguments and ends in a verdict. Blocks of code are lists of instructions
without outside jumps, so that they can be put one after another; a binary search over the numbers keeps the way to
any verdict to about eight comparisons. (For a call whose verdict does not depend on its arguments the kernel, from
5.11 on, computes the verdict once and skips the filter afterwards.)
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final, NamedTuple

# Instruction codes of <linux/bpf_common.h>, as combined for seccomp: 32-bit loads at fixed offsets of seccomp_data.
LOAD: Final = 0x20  # BPF_LD | BPF_W | BPF_ABS
AND: Final = 0x54  # BPF_ALU | BPF_AND | BPF_K
JUMP: Final = 0x05  # BPF_JMP | BPF_JA
JUMP_IF_EQUAL: Final = 0x15  # BPF_JMP | BPF_JEQ | BPF_K
JUMP_IF_AT_LEAST: Final = 0x35  # BPF_JMP | BPF_JGE | BPF_K
RETURN: Final = 0x06  # BPF_RET | BPF_K

# Offsets in struct seccomp_data; both processors are little-endian, so an argument's low word comes first.
NUMBER_AT: Final = 0
ARCHITECTURE_AT: Final = 4
_ARGUMENTS_AT = 16

ALLOW: Final = 0x7FFF_0000
KILL_PROCESS: Final = 0x8000_0000
_ERRNO = 0x0005_0000

_WORD = 0xFFFF_FFFF
_FARTHEST_BRANCH = 255
_LONGEST_PROGRAM = 4096  # BPF_MAXINSNS


class Instruction(NamedTuple):
    """One instruction; `is_pid` marks that `value` is to become the process's own pid."""

    code: int
    if_true: int = 0
    if_false: int = 0
    value: int = 0
    is_pid: bool = False


Block = list[Instruction]


def refuse(number: int) -> int:
    """The verdict that makes a call fail with the error `number`."""
    return _ERRNO | number


@dataclass(frozen=True, slots=True)
class OneOf:
    """Argument `index`, an int, is one of `values`; with `or_own_pid`, or the caller's own pid."""

    index: int
    values: tuple[int, ...] = ()
    or_own_pid: bool = False

    def block(self, otherwise: int) -> Block:
        """Fall through where it holds, return `otherwise` where not."""
        tests = [(value & _WORD, False) for value in self.values] + [(0, True)] * self.or_own_pid
        jumps = [
            Instruction(JUMP_IF_EQUAL, if_true=len(tests) - place, value=value, is_pid=is_pid)
            for place, (value, is_pid) in enumerate(tests)
        ]
        return [_load_low(self.index), *jumps, Instruction(RETURN, value=otherwise)]


@dataclass(frozen=True, slots=True)
class Bits:
    """The bits `mask` of argument `index` equal `value`; with `unequal`, differ from it."""

    index: int
    mask: int
    value: int = 0
    unequal: bool = False

    def block(self, otherwise: int) -> Block:
        """Fall through where it holds, return `otherwise` where not."""
        return [
            _load_low(self.index),
            Instruction(AND, value=self.mask & _WORD),
            Instruction(JUMP_IF_EQUAL, if_true=not self.unequal, if_false=self.unequal, value=self.value),
            Instruction(RETURN, value=otherwise),
        ]


@dataclass(frozen=True, slots=True)
class Null:
    """Argument `index`, a pointer, is null: both of its words are looked at."""

    index: int

    def block(self, otherwise: int) -> Block:
        """Fall through where it holds, return `otherwise` where not."""
        return [
            _load_low(self.index),
            Instruction(JUMP_IF_EQUAL, if_false=2),
            Instruction(LOAD, value=_ARGUMENTS_AT + 8 * self.index + 4),
            Instruction(JUMP_IF_EQUAL, if_true=1),
            Instruction(RETURN, value=otherwise),
        ]


Condition = OneOf | Bits | Null


def _load_low(index: int) -> Instruction:
    return Instruction(LOAD, value=_ARGUMENTS_AT + 8 * index)


@dataclass(frozen=True, slots=True)
class Rule:
    """What becomes of a system call: `verdict` where all conditions hold, `otherwise` where one does not."""

    verdict: int
    conditions: tuple[Condition, ...] = ()
    otherwise: int = KILL_PROCESS

    def block(self) -> Block:
        """The code that ends in the verdict."""
        tests = [step for condition in self.conditions for step in condition.block(self.otherwise)]
        return [*tests, Instruction(RETURN, value=self.verdict)]


@dataclass(frozen=True, slots=True)
class Program:
    """An assembled filter; the places that hold the process's own pid are filled by `for_pid`."""

    code: bytes
    pid_at: tuple[int, ...]

    def for_pid(self, pid: int) -> bytes:
        """The filter for the process with this pid."""
        code = bytearray(self.code)
        for offset in self.pid_at:
            struct.pack_into("=I", code, offset, pid)
        return bytes(code)


_INSTRUCTION = struct.Struct("=HBBI")


def assemble(architecture: int, rules: dict[int, Rule], default: Rule, *, foreign_from: int | None = None) -> Program:
    """The filter that applies `rules` by call number.

    Calls made for another architecture kill the process, and so do numbers from `foreign_from` on.
    """
    block = [
        Instruction(LOAD, value=ARCHITECTURE_AT),
        Instruction(JUMP_IF_EQUAL, if_true=1, value=architecture),
        Instruction(RETURN, value=KILL_PROCESS),
        Instruction(LOAD, value=NUMBER_AT),
    ]
    if foreign_from is not None:
        block += [
            Instruction(JUMP_IF_AT_LEAST, if_false=1, value=foreign_from),
            Instruction(RETURN, value=KILL_PROCESS),
        ]
    block += _search(_ranges(rules, default))
    if len(block) > _LONGEST_PROGRAM:
        raise ValueError(f"a filter of {len(block)} instructions; the kernel takes {_LONGEST_PROGRAM}")
    code = b"".join(_INSTRUCTION.pack(step.code, step.if_true, step.if_false, step.value) for step in block)
    value_at = _INSTRUCTION.size - 4
    pid_at = tuple(place * _INSTRUCTION.size + value_at for place, step in enumerate(block) if step.is_pid)
    return Program(code, pid_at)


def _ranges(rules: dict[int, Rule], default: Rule) -> list[tuple[int, Rule]]:
    """First number and rule of each run of neighbouring numbers that share a rule."""
    found = [(0, rules.get(0, default))]
    for number in sorted({edge for given in rules for edge in (given, given + 1)}):
        rule = rules.get(number, default)
        if rule != found[-1][1]:
            found.append((number, rule))
    return found


def _search(ranges: list[tuple[int, Rule]]) -> Block:
    """A binary search for the range that holds the number just loaded."""
    if len(ranges) == 1:
        return ranges[0][1].block()
    middle = len(ranges) // 2
    below, above = _search(ranges[:middle]), _search(ranges[middle:])
    pivot = ranges[middle][0]
    if len(below) <= _FARTHEST_BRANCH:
        return [Instruction(JUMP_IF_AT_LEAST, if_true=len(below), value=pivot), *below, *above]
    far = [Instruction(JUMP_IF_AT_LEAST, if_false=1, value=pivot), Instruction(JUMP, value=len(below))]
    return [*far, *below, *above]
