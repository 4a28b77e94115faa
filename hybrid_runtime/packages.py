"""Which packages of this interpreter an algorithm uses, and in which versions."""

from __future__ import annotations

import pickletools
import re
import sys
from functools import cache
from typing import TYPE_CHECKING

from hybrid_runtime.errors import BundleError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from hybrid_runtime.resources.backends import Environment

_OURS = "hybrid_runtime"
# Packages that bring a module of another name, for those who have not installed them here.
_KNOWN = {
    "PIL": "pillow",
    "attr": "attrs",
    "bs4": "beautifulsoup4",
    "cqasm": "libqasm",
    "cv2": "opencv-python",
    "dateutil": "python-dateutil",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "yaml": "pyyaml",
    "zmq": "pyzmq",
}


def versions(imported: Iterable[str]) -> dict[str, str]:
    """Versions of the packages behind these top-level modules, by the name that a package is installed under."""
    foreign = sorted(set(imported) - sys.stdlib_module_names - {_OURS})
    if not foreign:
        return {}
    # What is not installed here is left out: the environment it goes to is what counts.
    packages = [package for module in foreign for package in packages_of(module)]
    return {package: version for package in packages if (version := _version(package)) is not None}


# Finding one out takes milliseconds, and a package that was found may be imported: its version stays what it is.
_versions: dict[str, str] = {}


def _version(package: str) -> str | None:
    """The version of a package, None where it is not installed."""
    if package not in _versions:
        from importlib import metadata  # takes longer to import than everything else here

        try:
            _versions[package] = metadata.version(package)
        except (metadata.PackageNotFoundError, ValueError):
            return None
    return _versions[package]


def packages_of(module: str) -> list[str]:
    """The packages that bring this module, by the names they are installed under; its own name where none does."""
    if _version(module) is not None:
        return [module]
    # It is called otherwise, as scikit-learn brings sklearn: this takes a look at every package there is.
    return list(dict.fromkeys(_by_module().get(module, [module])))


@cache
def _by_module() -> Mapping[str, list[str]]:
    from importlib import metadata

    return metadata.packages_distributions()


def is_provided(there: Environment, module: str) -> bool:
    """Whether an environment has a package that brings this top-level module, as far as can be told from its name."""
    names = {normalized(name) for name in [module, _KNOWN.get(module, module), *packages_of(module)]}
    return not names.isdisjoint(map(normalized, there.packages))


def normalized(name: str) -> str:
    """A package's name in the form in which two spellings of it are the same."""
    return re.sub(r"[-_.]+", "-", name).lower()


def check_requirements(requires: Iterable[str], requires_python: str) -> None:
    """Refuse requirements that are none.

    Raises:
        BundleError: one of them is not written as PEP 508 and PEP 440 have it; the text names it.
    """
    from packaging.requirements import InvalidRequirement, Requirement
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    for text in requires:
        try:
            Requirement(text)
        except InvalidRequirement as error:
            first = str(error).split("\n")[0]
            raise BundleError(f"dependencies: {text!r:.80} is no requirement: {first}") from None
    try:
        SpecifierSet(requires_python)
    except InvalidSpecifier:
        raise BundleError(f"requires-python: {requires_python!r:.80} is no range of versions, as '>=3.11'") from None


def modules_in(pickle: bytes) -> set[str]:
    """Top-level modules that a pickle, made a moment ago in this process, will import where it is loaded.

    Every name in it is a text in it, and what is a module here by that name is taken for one.
    """
    texts = (argument for _, argument, _ in pickletools.genops(pickle) if isinstance(argument, str))
    return {text.split(".")[0] for text in texts if text in sys.modules}
