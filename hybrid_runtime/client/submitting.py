"""Submitting as one flow: choose the backend, pack, see whether it fits, upload, queue."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hybrid_runtime.bundle import as_bundle
from hybrid_runtime.client import calls
from hybrid_runtime.client.fit import differences, others_that_fit
from hybrid_runtime.client.packing import Options, Packed, SharedOptions, json_parameters, new_key, pack
from hybrid_runtime.errors import BundleError, InvalidInput
from hybrid_runtime.protocol.bundles import Bundle, content_hash, encode_bundle
from hybrid_runtime.resources.algorithms import Algorithm, AlgorithmRequest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hybrid_runtime.client.exchange import Flow
    from hybrid_runtime.resources.backends import Environment
    from hybrid_runtime.resources.jobs import Job


def submit(algorithm: Any, backend: str | None, options: Options) -> Flow[Job]:
    """Queue a job."""
    packed = yield from prepared(algorithm, backend, options)
    return (yield from send(packed))


def send(packed: Packed) -> Flow[Job]:
    """Queue a job that is ready."""
    return calls.submit(packed.request, packed.data, new_key())


def submit_many(
    algorithm: Any, backend: str | None, parameters: Sequence[Mapping[str, Any]], options: SharedOptions
) -> Flow[list[Job]]:
    """Queue a job for each set of parameters."""
    packed = yield from prepared(algorithm, backend, options)
    requests = [
        replace(packed.request, parameters=packed.request.parameters | json_parameters(one)) for one in parameters
    ]
    return (yield from calls.submit_many(requests, packed.data, new_key()))


def prepared(algorithm: Any, backend: str | None, options: SharedOptions) -> Flow[Packed]:
    """A job that is ready to be sent.

    Raises:
        InvalidInput: it cannot be run there, or nothing says where.
    """
    where = backend if backend is not None else (yield from only_backend())
    packed = pack(algorithm, where, options)
    bundle = packed.bundle
    # Sources that declare nothing run wherever their imports work, which is found out there.
    if bundle is not None and (bundle.pickle or bundle.requires or bundle.requires_python):
        environments = yield from calls.environments()
        chosen = yield from environment_of(where, options.get("environment"), environments)
        if chosen is not None:
            _refuse_misfit(bundle, chosen, environments)
    return packed


def only_backend() -> Flow[str]:
    """The backend of a server that has just one.

    Raises:
        InvalidInput: it has several, or none.
    """
    names = [backend.name for backend in (yield from calls.backends())]
    if len(names) == 1:
        return names[0]
    if not names:
        raise InvalidInput("this server has no backend yet: ask its operator")
    raise InvalidInput(f"name a backend: this server has {', '.join(names)}")


def environment_of(backend: str, wanted: str | None, environments: list[Environment]) -> Flow[Environment | None]:
    """The environment in which a job for this backend runs; None while the server does not know it yet.

    Raises:
        InvalidInput: no environment has the name wanted.
    """
    name = wanted
    if name is None:
        offered = (yield from calls.backend(backend)).environments
        name = offered[0] if offered else None
    found = next((one for one in environments if one.name == name), None)
    if found is None and wanted is not None:
        known = ", ".join(one.name for one in environments) or "none"
        raise InvalidInput(f"there is no environment {wanted!r:.80}; this server has {known}")
    return found


def _refuse_misfit(bundle: Bundle, environment: Environment, environments: list[Environment]) -> None:
    wrong = [one.text for one in differences(bundle, environment) if one.severity == "error"]
    if wrong:
        raise BundleError(f"{'; '.join(wrong)}; {others_that_fit(bundle, environments)}")


def add_algorithm(name: str, algorithm: Any, project: str | None) -> Flow[Algorithm]:
    """Upload an algorithm under a name."""
    data = encode_bundle(as_bundle(algorithm))
    return calls.add_algorithm(AlgorithmRequest(name=name, bundle=content_hash(data), project=project), data)
