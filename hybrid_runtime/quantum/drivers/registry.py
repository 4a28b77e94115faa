"""Drivers by name: the built-in ones and those that other packages register.

::

    [project.entry-points."hybrid_runtime.drivers"]
    my-device = "my_package.driver:MyDriver"

Nothing is imported until it is opened, so an emulator that is not installed costs nothing.
"""

from __future__ import annotations

import inspect
from difflib import get_close_matches
from importlib import import_module
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

from hybrid_runtime.errors import BackendFailed, BackendUnknown, HybridRuntimeError, InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from hybrid_runtime.quantum.driver import QuantumDriver

ENTRY_POINTS = "hybrid_runtime.drivers"

_HERE = "hybrid_runtime.quantum.drivers"
_BUILT_IN: dict[str, tuple[str, str]] = {
    "faulty": (f"{_HERE}.faulty", "FaultyDriver"),
    "null": (f"{_HERE}.scripted", "NullDriver"),
    "paced": (f"{_HERE}.paced", "PacedDriver"),
    "qi-v3": (f"{_HERE}.qi_v3", "QiV3Driver"),
    "qulacs": (f"{_HERE}.qulacs", "QulacsDriver"),
    "reqrep-text": (f"{_HERE}.reqrep_text", "ReqRepTextDriver"),
    "scripted": (f"{_HERE}.scripted", "ScriptedDriver"),
}
# Built-in ones that compute by themselves. (`paced` may have any other driver behind it.)
SELF_CONTAINED = frozenset({"null", "qulacs", "scripted"})


def names() -> list[str]:
    """The drivers that can be opened, sorted."""
    return sorted({*_BUILT_IN, *(point.name for point in entry_points(group=ENTRY_POINTS))})


def describe(name: str) -> str:
    """What a driver is, by the first line of its docstring; why it cannot be opened, where that is so.

    Raises:
        BackendUnknown: no driver has that name.
    """
    try:
        text = inspect.getdoc(_factory(name)) or "no description"
    except ImportError as error:
        return f"not usable here: {error}"
    return text.split("\n")[0].rstrip(".")


def open(name: str, options: Mapping[str, Any] | None = None) -> QuantumDriver:
    """A new driver, made with `options` as its keyword arguments. A built-in one wins over others of its name.

    Raises:
        BackendUnknown: no driver has that name.
        InvalidInput: it does not take these options.
        BackendFailed: it cannot be imported, or it failed to start.
    """
    try:
        factory = _factory(name)
        _check_options(name, factory, options or {})
        return factory(**(options or {}))
    except HybridRuntimeError:
        raise
    except ImportError as error:
        raise BackendFailed(f"driver {name!r} cannot be imported ({error}); install the package it needs") from error
    except Exception as error:
        raise BackendFailed(f"driver {name!r} failed to start: {type(error).__name__}: {error}") from error


def _factory(name: str) -> Callable[..., QuantumDriver]:
    if name in _BUILT_IN:
        module, attribute = _BUILT_IN[name]
        factory: Callable[..., QuantumDriver] = getattr(import_module(module), attribute)
        return factory
    for point in entry_points(group=ENTRY_POINTS, name=name):
        factory = point.load()
        return factory
    near = get_close_matches(name, names(), n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    raise BackendUnknown(f"no driver is named {name!r}; {hint}available: {', '.join(names())}")


def _check_options(name: str, factory: Callable[..., QuantumDriver], options: Mapping[str, Any]) -> None:
    signature = inspect.signature(factory)
    try:
        signature.bind(**options)
    except TypeError as error:
        known = ", ".join(signature.parameters) or "none"
        raise InvalidInput(f"driver {name!r}: {error}; its options: {known}") from None
