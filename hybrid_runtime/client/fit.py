"""Whether a bundle fits an environment: its Python, and the packages that the algorithm asks for. All of it pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal, NamedTuple

from hybrid_runtime.packages import normalized

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hybrid_runtime.protocol.bundles import Bundle
    from hybrid_runtime.resources.backends import Environment


class Difference(NamedTuple):
    """Something that is otherwise where the job would run: an `error` fails it, a `warning` may."""

    severity: Literal["error", "warning"]
    text: str


def differences(bundle: Bundle, environment: Environment) -> list[Difference]:
    """All that differs between what a bundle was made with, or asks for, and an environment; errors first."""
    return sorted([*_python(bundle, environment), *_required(bundle, environment), *_versions(bundle, environment)])


def fits(bundle: Bundle, environment: Environment) -> bool:
    """Whether nothing is known that would fail the job."""
    return not any(one.severity == "error" for one in differences(bundle, environment))


def others_that_fit(bundle: Bundle, environments: Iterable[Environment]) -> str:
    """A sentence about the environments that would fit."""
    names = [environment.name for environment in environments if fits(bundle, environment)]
    return f"it would fit {', '.join(names)}" if names else "it fits no environment of this server"


def _python(bundle: Bundle, environment: Environment) -> Iterable[Difference]:
    from packaging.specifiers import SpecifierSet

    if bundle.pickle and minor(environment.python) != minor(bundle.python):
        # Code objects are pickled as bytecode, which another minor version cannot run. Sources have no such bound.
        yield Difference(
            "error",
            f"it was pickled by Python {bundle.python}, and the environment {environment.name} has Python "
            f"{environment.python}: run the file itself (its sources fit any version), or use Python "
            f"{minor(environment.python)} here",
        )
    if bundle.requires_python and not SpecifierSet(bundle.requires_python).contains(environment.python, True):
        yield Difference(
            "error",
            f"it requires Python {bundle.requires_python}, and the environment {environment.name} has "
            f"Python {environment.python}",
        )


def _required(bundle: Bundle, environment: Environment) -> Iterable[Difference]:
    """Requirements that the file declares."""
    from packaging.requirements import Requirement

    there = installed(environment)
    for text in bundle.requires:
        need = Requirement(text)
        if need.marker is not None and not need.marker.evaluate(_marker_values(environment)):
            continue
        version = there.get(normalized(need.name))
        if version is None:
            yield Difference("error", f"it requires {text}, and the environment {environment.name} lacks {need.name}")
        elif not need.specifier.contains(version, prereleases=True):
            yield Difference(
                "error", f"it requires {text}, and the environment {environment.name} has {need.name} {version}"
            )


def _marker_values(environment: Environment) -> dict[str, str]:
    return {"python_version": minor(environment.python), "python_full_version": environment.python}


def _versions(bundle: Bundle, environment: Environment) -> Iterable[Difference]:
    """Packages that have another version here, where no requirement of the file settles it."""
    there = installed(environment)
    declared = {normalized(re.split(r"[^\w.-]", text, maxsplit=1)[0]) for text in bundle.requires}
    for name, version in bundle.packages.items():
        other = there.get(normalized(name))
        if other is not None and other != version and normalized(name) not in declared:
            yield Difference("warning", f"{name} is {version} here and {other} in the environment {environment.name}")


def installed(environment: Environment) -> dict[str, str]:
    """Versions of an environment's packages, by the names as they are compared."""
    return {normalized(name): version for name, version in environment.packages.items()}


def minor(python: str) -> str:
    """`3.11` of `3.11.7`."""
    return ".".join(python.split(".")[:2])
