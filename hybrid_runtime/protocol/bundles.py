"""An algorithm made portable: what is uploaded, and what a worker loads."""

from __future__ import annotations

import hashlib
import unicodedata
from typing import Any

import msgspec

from hybrid_runtime.errors import BundleError

BUNDLE_FORMAT = 1
MAX_BUNDLE_BYTES = 32 * 1024 * 1024
MAX_FILES = 2000


class Bundle(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One algorithm with all that it needs from its author's machine.

    Attributes:
        format: `BUNDLE_FORMAT`.
        python: Minor version of the Python that made it, as "3.11".
        packages: Versions of the packages that it imports, on the machine that made it.
        entry: File that holds the algorithm, a key of `files`; empty for a pickled algorithm.
        name: The algorithm's name in that file; empty to take the only one.
        files: Contents by relative path, with `/` between the parts.
        pickle: The algorithm as cloudpickle wrote it, for one that was not read from a file.
        sources: Source text by file name of what is pickled, so that tracebacks show its lines.
        requires_python: Versions of Python that the algorithm asks for, as PEP 440 writes them; empty for any.
        requires: Packages that it asks for, as PEP 508 writes them.
        parameters: What the job's own parameters are laid over.
        limits: Limits, by name, of jobs that are not given others.
    """

    format: int = BUNDLE_FORMAT
    python: str
    packages: dict[str, str] = {}
    entry: str = ""
    name: str = ""
    files: dict[str, bytes] = {}
    pickle: bytes = b""
    sources: dict[str, str] = {}
    requires_python: str = ""
    requires: list[str] = []
    parameters: dict[str, Any] = {}
    limits: dict[str, Any] = {}


_decoder = msgspec.msgpack.Decoder(Bundle)


def encode_bundle(bundle: Bundle) -> bytes:
    """The bundle as bytes: the same content always gives the same bytes.

    Raises:
        BundleError: it is larger than a bundle may be, or a file's name is no text.
    """
    try:
        data = msgspec.msgpack.encode(bundle, order="deterministic")
    except UnicodeEncodeError as error:
        raise BundleError(f"a name in the bundle is not valid Unicode: {error.object!r:.80}") from None
    if len(data) > MAX_BUNDLE_BYTES:
        raise BundleError(f"the bundle has {len(data)} bytes, at most {MAX_BUNDLE_BYTES} are taken: leave data out")
    return data


def decode_bundle(data: bytes) -> Bundle:
    """The bundle in these bytes, checked: no path leads out of it and its entry exists.

    Raises:
        BundleError: the bytes are no bundle, or one that must not be unpacked.
    """
    if len(data) > MAX_BUNDLE_BYTES:
        raise BundleError(f"the bundle has {len(data)} bytes, at most {MAX_BUNDLE_BYTES} are taken")
    try:
        bundle = _decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BundleError(f"this is not a bundle: {error}") from None
    if bundle.format != BUNDLE_FORMAT:
        raise BundleError(f"bundle format {bundle.format} is not known here, only {BUNDLE_FORMAT}: update one side")
    if len(bundle.files) > MAX_FILES:
        raise BundleError(f"the bundle has {len(bundle.files)} files, at most {MAX_FILES} are taken")
    _check_paths(bundle)
    if bool(bundle.entry) == bool(bundle.pickle):
        raise BundleError("a bundle holds either an entry file or a pickled algorithm")
    if bundle.entry and bundle.entry not in bundle.files:
        raise BundleError(f"the bundle's entry file {bundle.entry!r:.80} is not in it")
    return bundle


def _check_paths(bundle: Bundle) -> None:
    seen: dict[str, str] = {}
    for path in bundle.files:
        parts = path.split("/")
        if not path or len(path) > 400 or any(part in ("", ".", "..") or len(part) > 200 for part in parts):
            raise BundleError(f"the bundle has a file with the path {path!r:.80}: only plain relative paths are taken")
        if any(ord(letter) < 32 or letter in "\\:\x7f" for letter in path):
            raise BundleError(f"the bundle has a file with the path {path!r:.80}: its name has a forbidden character")
        # Two names that one file system may take for one would let a later file replace an earlier one.
        folded = unicodedata.normalize("NFC", path).casefold()
        if folded in seen:
            raise BundleError(f"the bundle has two files whose names clash: {seen[folded]!r:.80} and {path!r:.80}")
        seen[folded] = path
    for folded in seen:
        parts = folded.split("/")
        for count in range(1, len(parts)):
            if "/".join(parts[:count]) in seen:
                raise BundleError(f"the bundle has {'/'.join(parts[:count])!r:.80} both as a file and as a folder")


def content_hash(data: bytes) -> str:
    """SHA-256 of an encoded bundle, in hexadecimal: its name in journals and stores."""
    return hashlib.sha256(data).hexdigest()
