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
    from importlib import metadata  # takes longer to import than everything else here

    found = {}
    for module in foreign:
        for package in packages_of(module):
            try:
                found[package] = metadata.version(package)
            except (metadata.PackageNotFoundError, ValueError):
                continue  # not installed here: the environment it goes to is what counts
    return found


def packages_of(module: str) -> list[str]:
    """The packages that bring this module, by the names they are installed under; its own name where none does."""
    from importlib import metadata

    try:
        metadata.version(module)
    except (metadata.PackageNotFoundError, ValueError):
        # It is called otherwise, as scikit-learn brings sklearn: this takes a look at every package there is.
        return list(dict.fromkeys(_by_module().get(module, [module])))
    return [module]


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
