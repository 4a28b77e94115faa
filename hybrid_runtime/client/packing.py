"""From what a user wants run to the request that queues it, checked as far as that can be done here."""

from __future__ import annotations

import math
import re
import secrets
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple, TypedDict, TypeVar

from hybrid_runtime.bundle import as_bundle, split_target
from hybrid_runtime.circuit import Circuit
from hybrid_runtime.declared import limits_by_name
from hybrid_runtime.errors import InvalidInput, ResultNotEncodable
from hybrid_runtime.limits import MAX_SEED, MAX_SHOTS, Limits, whole
from hybrid_runtime.protocol.bundles import Bundle, content_hash, encode_bundle
from hybrid_runtime.resources.jobs import ForkRequest, JobRequest, Priority
from hybrid_runtime.values import decode_value, encode_value, to_json

CIRCUIT_SUFFIXES = (".cq", ".cqasm", ".qasm", ".qasm3")
_MOST_CIRCUIT_BYTES = 4 * 1024 * 1024
_SET_OTHERWISE = frozenset({"backend", "bundle", "algorithm", "circuit", "language"})
_REGISTERED = re.compile(r"[\w.-]+(@\d+)?")


E = TypeVar("E", bound=StrEnum)


class SharedOptions(TypedDict, total=False):
    """What a job is given besides its algorithm, backend and parameters.

    Attributes:
        shots: Shots of circuits that name none; None for exact results.
        seed: Makes the run repeatable; drawn at random when left out, and told in the result.
        limits: When to stop.
        priority: `low`, `normal` or `high`.
        project: The project it belongs to; needed by those who have several.
        name: What lists call it.
        environment: What its algorithm finds installed; the backend's own when left out.
        start_after: Seconds since 1970 before which it is not started.
        keep_requests: Whether its journal keeps the circuits, too, and not only what they gave.
    """

    shots: int | None
    seed: int | None
    limits: Limits | Mapping[str, Any] | None
    priority: Priority | str
    project: str | None
    name: str
    environment: str | None
    start_after: float | None
    keep_requests: bool


class Options(SharedOptions, total=False):
    """What a job is given besides its algorithm and backend: `SharedOptions`, and `parameters`.

    Attributes:
        parameters: What the algorithm sees as `context.parameters`.
    """

    parameters: Mapping[str, Any] | None


class Packed(NamedTuple):
    """A job ready to be sent: the request, and the bundle it needs, if it needs one."""

    request: JobRequest
    bundle: Bundle | None
    data: bytes | None


def pack(algorithm: Any, backend: str, options: Options | SharedOptions) -> Packed:
    """The job that runs this: an algorithm in any form, a circuit, or a named one that the server has.

    Raises:
        InvalidInput: it cannot be used.
    """
    checked = _checked(options)
    circuit = circuit_of(algorithm)
    if circuit is not None:
        _refuse_for_circuits(checked)
        return Packed(JobRequest(backend=backend, circuit=circuit, **checked), None, None)
    if is_registered(algorithm):
        return Packed(JobRequest(backend=backend, algorithm=algorithm, **checked), None, None)
    bundle = as_bundle(algorithm)
    data = encode_bundle(bundle)
    # What the algorithm declares is written into the request: the server shows what holds.
    checked["parameters"] = {**bundle.parameters, **checked.get("parameters", {})}
    checked["limits"] = {**bundle.limits, **checked.get("limits", {})}
    return Packed(JobRequest(backend=backend, bundle=content_hash(data), **checked), bundle, data)


def is_registered(algorithm: Any) -> bool:
    """Whether this names an algorithm that the server has: `NAME` or `NAME@VERSION`, which no file here is called."""
    return (
        isinstance(algorithm, str)
        and _REGISTERED.fullmatch(algorithm) is not None
        and not algorithm.endswith(".py")
        and not Path(split_target(algorithm)[0]).exists()
    )


def circuit_of(algorithm: Any) -> str | None:
    """The text of a circuit, or of the file that holds one; None for an algorithm.

    Raises:
        InvalidInput: the circuit still has open parameters, or the file cannot be read.
    """
    if isinstance(algorithm, Circuit):
        if algorithm.parameters:
            names = ", ".join(algorithm.parameters)
            raise InvalidInput(
                f"this circuit has the parameters {names}, and a job of one circuit takes none: "
                "write the values into its text, or run it from an algorithm"
            )
        return algorithm.source
    if isinstance(algorithm, str | Path) and str(algorithm).endswith(CIRCUIT_SUFFIXES):
        return _read_circuit(Path(algorithm))
    return None


def _read_circuit(path: Path) -> str:
    if not path.is_file():
        raise InvalidInput(f"{path} {'is not a file' if path.exists() else 'does not exist'}: give a circuit's file")
    try:
        if path.stat().st_size > _MOST_CIRCUIT_BYTES:
            raise InvalidInput(f"{path} has more than {_MOST_CIRCUIT_BYTES} bytes: that is not one circuit")
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise InvalidInput(f"{path} is not text in UTF-8: a circuit is written in cQASM or OpenQASM") from None
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read: {error.strerror}") from error


def _refuse_for_circuits(checked: dict[str, Any]) -> None:
    given = [name for name in ("parameters", "environment") if checked.get(name)]
    if given:
        raise InvalidInput(f"{given[0]} is for algorithms: a circuit runs as it stands, straight on the backend")


def _checked(options: SharedOptions) -> dict[str, Any]:
    """The fields of a request that the options fill."""
    known = [name for name in JobRequest.__dataclass_fields__ if name not in _SET_OTHERWISE]
    unknown = set(options) - set(known)
    if unknown:
        raise InvalidInput(f"{min(unknown)!r} is no option of a job; there are {', '.join(known)}")
    # None leaves an option out, except that of shots: it asks for exact results.
    given: dict[str, Any] = {name: value for name, value in options.items() if value is not None or name == "shots"}
    if "parameters" in given:
        given["parameters"] = json_parameters(given["parameters"])
    if "limits" in given:
        given["limits"] = json_limits(given["limits"])
    if "priority" in given:
        given["priority"] = choice(Priority, given["priority"], "priority")
    for name, least, most in (("shots", 1, MAX_SHOTS), ("seed", 0, MAX_SEED)):
        if given.get(name) is not None:
            given[name] = whole(name, given[name], least, most)
    return given


def choice(kind: type[E], given: Any, name: str) -> E:
    """The member of an enumeration that has this value.

    Raises:
        InvalidInput: there is none.
    """
    try:
        return kind(given)
    except ValueError:
        raise InvalidInput(f"{name} is one of {', '.join(kind)}, not {given!r:.60}") from None


def json_parameters(parameters: Any) -> dict[str, Any]:
    """Parameters as JSON has them: arrays become lists.

    Raises:
        InvalidInput: they are no dictionary of plain data, or hold a NaN or an infinity, which JSON lacks.
    """
    if not isinstance(parameters, Mapping):
        raise InvalidInput(f"parameters are given as a dictionary, not as {type(parameters).__name__}")
    try:
        plain = to_json_strictly(decode_value(encode_value(dict(parameters), "parameters")), "parameters")
    except ResultNotEncodable as error:
        raise InvalidInput(str(error)) from None
    assert isinstance(plain, dict)
    return plain


def to_json_strictly(value: Any, path: str) -> Any:
    """As `to_json`, which lets what is not finite become null.

    Raises:
        InvalidInput: something is not finite; the text names its place.
    """
    if isinstance(value, float) and not math.isfinite(value):
        raise InvalidInput(f"{path} is {value}, which JSON has no word for: send a text or null instead")
    if isinstance(value, dict):
        return {str(key): to_json_strictly(item, f"{path}[{key!r:.40}]") for key, item in value.items()}
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, list):
        return [to_json_strictly(item, f"{path}[{index}]") for index, item in enumerate(value)]
    return to_json(value)


def json_limits(limits: Any) -> dict[str, Any]:
    """Limits by name, those that were given.

    Raises:
        InvalidInput: they are none.
    """
    if isinstance(limits, Mapping):
        try:
            limits = Limits(**limits)
        except TypeError as error:
            known = ", ".join(Limits.__struct_fields__)
            raise InvalidInput(f"limits have the names {known}: {error}") from None
    if not isinstance(limits, Limits):
        raise InvalidInput(f"limits are given as Limits(steps=…, …), not as {type(limits).__name__}")
    return limits_by_name(limits)


def fork_request(
    step: int,
    *,
    parameters: Mapping[str, Any] | None,
    backend: str | None,
    limits: Limits | Mapping[str, Any] | None,
    name: str | None,
) -> ForkRequest:
    """The request for a fork, checked; the arguments are those of `Job.fork`.

    Raises:
        InvalidInput: one of them cannot be used.
    """
    return ForkRequest(
        step=whole("step", step, 0, MAX_SEED),
        parameters=None if parameters is None else json_parameters(parameters),
        backend=backend,
        limits=None if limits is None else json_limits(limits),
        name=name,
    )


def new_key() -> str:
    """A key by which the server knows a submission that it gets twice."""
    return secrets.token_hex(16)
