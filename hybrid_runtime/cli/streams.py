"""Writing to stdout and stderr: results to one, everything else to the other, and no fuss when a reader leaves."""

from __future__ import annotations

import json
import os
import sys
from typing import Any, TextIO

from hybrid_runtime.errors import InvalidInput


def write(text: str) -> None:
    """Write a result to stdout. A reader that has gone, as `head` does, is no error.

    Raises:
        InvalidInput: stdout cannot be written, for want of space for example.
    """
    try:
        _put(sys.stdout, text)
    except BrokenPipeError:
        _mute(sys.stdout)
    except OSError as error:
        _mute(sys.stdout)
        raise InvalidInput(f"the result cannot be written to stdout: {error.strerror}") from error


def write_for_person(text: str) -> None:
    """Write a result to stdout, its numbers and words in colour on a terminal."""
    if not on_terminal():
        write(text)
        return
    from rich.console import Console

    Console().print(text, markup=False, emoji=False, soft_wrap=True)


def write_json(value: Any) -> None:
    """Write one JSON object to stdout, on one line."""
    write(json.dumps(value, allow_nan=False))


def say(text: str) -> None:
    """Write a message to stderr; where that cannot be read any more, nobody misses it."""
    try:
        _put(sys.stderr, text)
    except OSError:
        _mute(sys.stderr)


def on_terminal() -> bool:
    """Whether a person watches both streams."""
    return all(stream is not None and stream.isatty() for stream in (sys.stdout, sys.stderr))


def _put(stream: TextIO | None, text: str) -> None:
    # A process may be started with a stream closed: Python then has None in its place.
    if stream is not None:
        stream.write(f"{text}\n")
        stream.flush()


def _mute(stream: TextIO) -> None:
    """Send what is still buffered nowhere: the interpreter flushes it at exit, and would complain."""
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, stream.fileno())
    os.close(devnull)
