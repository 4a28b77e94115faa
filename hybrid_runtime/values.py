"""User data in transit: parameters on their way in, an algorithm's value on its way out.

The encoding is MessagePack with three extension types, so that decoding never runs a user's code:
1 is a numpy array (dtype, shape, bytes), 2 a complex number, 3 an integer beyond 64 bits.
numpy is imported only when an array appears.
"""

from __future__ import annotations

import datetime
import enum
import math
import re
import struct
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import fields, is_dataclass
from decimal import Decimal
from numbers import Integral, Real
from pathlib import PurePath
from typing import Any

import msgspec

from hybrid_runtime.errors import ProtocolError, ResultNotEncodable

MAX_DEPTH = 64
MAX_VALUE_BYTES = 16 * 1024 * 1024
MAX_ITEMS = 5_000_000

_ARRAY, _COMPLEX, _BIG = 1, 2, 3
_ARRAY_KINDS = frozenset("biufcSU")
# Extended precision: its width differs between processors, so it travels as double precision.
_NO_PYTHON_TYPE = ("f12", "f16", "c24", "c32")
_ARRAY_DTYPE = re.compile(r"[<|][biufcSU][0-9]{1,4}")
_complex = struct.Struct("<dd")


def encode_value(value: Any, what: str = "value") -> bytes:
    """Encode numbers, text, bytes, lists, dicts, sets, dataclasses, enums, dates and numpy values.

    Args:
        value: What to encode.
        what: How errors call it.

    Raises:
        ResultNotEncodable: it holds something else, refers to itself, or is too large; the text gives the
            path to the culprit, such as `value['psi'][3]`.
    """
    budget = [MAX_ITEMS]
    try:
        data = msgspec.msgpack.encode(_plain(value, what, 0, budget))
    except UnicodeEncodeError as error:
        raise ResultNotEncodable(f"{what} holds text that is not valid Unicode: {error.reason}") from None
    except OverflowError as error:
        raise ResultNotEncodable(f"{what} holds a number that is too large: {error}") from None
    if len(data) > MAX_VALUE_BYTES:
        raise ResultNotEncodable(f"{what} takes {len(data)} bytes; at most {MAX_VALUE_BYTES} are kept")
    return data


def _plain(value: Any, path: str, depth: int, budget: list[int]) -> Any:
    kind = type(value)
    budget[0] -= 1
    if budget[0] < 0:
        raise ResultNotEncodable(f"{path}: more than {MAX_ITEMS} items; keep large data in numpy arrays")
    if kind in (float, bool, str, bytes) or value is None:
        return value
    if kind is int:
        return _integer(value)
    if depth >= MAX_DEPTH:
        raise ResultNotEncodable(f"{path:.80}…: nested deeper than {MAX_DEPTH} levels, or containing itself")
    if isinstance(value, Mapping):
        return {_key(key, path): _plain(item, f"{path}[{key!r:.40}]", depth + 1, budget) for key, item in value.items()}
    if isinstance(value, list | tuple):
        if hasattr(value, "_asdict"):
            return _plain(value._asdict(), path, depth, budget)
        return [_plain(item, f"{path}[{index}]", depth + 1, budget) for index, item in enumerate(value)]
    if isinstance(value, Set):
        items = [_plain(item, f"{path}{{…}}", depth + 1, budget) for item in value]
        return sorted(items, key=repr)
    return _special(value, path, depth, budget)


def _special(value: Any, path: str, depth: int, budget: list[int]) -> Any:
    if isinstance(value, enum.Enum):
        return _plain(value.value, path, depth + 1, budget)
    if type(value).__module__ == "numpy" or hasattr(value, "__array_interface__"):
        return _from_numpy(value, path, depth, budget)
    if isinstance(value, Integral):
        return _integer(int(value))
    if isinstance(value, Real | Decimal):
        return float(value)
    if isinstance(value, complex):
        return msgspec.msgpack.Ext(_COMPLEX, _complex.pack(value.real, value.imag))
    if isinstance(value, bytearray | memoryview):
        return bytes(value)
    if isinstance(value, str):
        return str(value)
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, PurePath):
        return str(value)
    if is_dataclass(value) and not isinstance(value, type):
        members = {field.name: getattr(value, field.name) for field in fields(value)}
        return _plain(members, path, depth, budget)
    names = getattr(type(value), "PLAIN", None) or getattr(type(value), "__slots__", None)
    if type(value).__module__.startswith("hybrid_runtime.") and names:
        return _plain({name: getattr(value, name) for name in names}, path, depth, budget)
    if hasattr(value, "todense"):
        # scipy's L-BFGS-B returns its inverse Hessian as a linear operator: keep it as the matrix it stands for.
        return _from_numpy(value.todense(), path, depth, budget)
    if isinstance(value, Sequence):
        return _plain(list(value), path, depth, budget)
    raise ResultNotEncodable(
        f"{path} is of type {type(value).__module__}.{type(value).__qualname__}, which cannot be sent back; "
        "return numbers, text, lists, dicts or numpy arrays"
    )


def _from_numpy(value: Any, path: str, depth: int, budget: list[int]) -> Any:
    import numpy as np

    if isinstance(value, np.generic):
        if value.dtype.kind not in _ARRAY_KINDS:
            return str(value)
        if value.dtype.str[1:] in _NO_PYTHON_TYPE:
            value = value.astype(np.complex128 if value.dtype.kind == "c" else np.float64)
        return _plain(value.item(), path, depth + 1, budget)
    if isinstance(value, np.ma.MaskedArray):
        return _plain(value.tolist(), path, depth + 1, budget)
    array = np.asarray(value)
    if array.dtype.str[1:] in _NO_PYTHON_TYPE:
        array = array.astype(np.complex128 if array.dtype.kind == "c" else np.float64)
    if array.ndim == 0:
        return _plain(array.item(), path, depth + 1, budget)
    if array.dtype.kind not in _ARRAY_KINDS or array.dtype.itemsize > 1024:
        return _plain(array.tolist(), path, depth + 1, budget)
    if array.nbytes > MAX_VALUE_BYTES:
        raise ResultNotEncodable(f"{path} is an array of {array.nbytes} bytes; at most {MAX_VALUE_BYTES} are kept")
    array = np.ascontiguousarray(array.astype(array.dtype.newbyteorder("<")))
    return msgspec.msgpack.Ext(_ARRAY, msgspec.msgpack.encode((array.dtype.str, list(array.shape), array.tobytes())))


def _integer(value: int) -> Any:
    if -(1 << 63) <= value < 1 << 64:
        return value
    if value.bit_length() > 4096:
        raise ResultNotEncodable(f"an integer of {value.bit_length()} bits; at most 4096 are kept")
    return msgspec.msgpack.Ext(_BIG, value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True))


def _key(key: Any, path: str) -> Any:
    if isinstance(key, enum.Enum):
        return _key(key.value, path)
    if isinstance(key, str | bool | float | bytes) and type(key).__module__ == "builtins":
        return key
    if isinstance(key, Integral):
        return _integer(int(key)) if abs(int(key)) < 1 << 63 else str(key)
    if isinstance(key, Real):
        return float(key)
    if isinstance(key, str):
        return str(key)
    if isinstance(key, tuple) or key is None:
        return str(key)
    raise ResultNotEncodable(f"{path} has a key of type {type(key).__name__}; keys are text or numbers")


def decode_value(data: bytes) -> Any:
    """What `encode_value` encoded; arrays come back as numpy arrays.

    Raises:
        ProtocolError: the bytes are not such an encoding.
    """
    try:
        value = msgspec.msgpack.decode(data, ext_hook=_extension, strict=False)
    except (msgspec.DecodeError, ValueError, TypeError, RecursionError, struct.error, OverflowError) as error:
        raise ProtocolError(f"malformed value: {error}") from None
    _check_depth(value)
    return value


def _check_depth(value: Any) -> None:
    """Refuse what `encode_value` never nests so deep: it would end whoever goes through it by recursion."""
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        level = [inner for one in level for inner in _contents(one)]
        if not level:
            return
    raise ProtocolError(f"malformed value: nested deeper than {MAX_DEPTH} levels")


def _contents(value: Any) -> Iterable[Any]:
    if type(value) is list:
        return value
    if type(value) is not dict:
        return ()
    if any(type(key) is tuple for key in value):
        raise ProtocolError("malformed value: a key that is a list")
    return value.values()


def _extension(code: int, data: memoryview) -> Any:
    if code == _COMPLEX:
        return complex(*_complex.unpack(data))
    if code == _BIG and len(data) <= 520:
        return int.from_bytes(data, "little", signed=True)
    if code == _ARRAY:
        dtype, shape, content = msgspec.msgpack.decode(data, type=tuple[str, list[int], bytes])
        # Zeros in a shape make the array small but not the list of lists that it is shown as.
        rooms = math.prod(max(length, 1) for length in shape)
        if not _ARRAY_DTYPE.fullmatch(dtype) or len(shape) > 32 or rooms > max(len(content), MAX_ITEMS):
            raise ProtocolError("malformed array")
        import numpy as np

        return np.frombuffer(content, dtype=np.dtype(dtype)).reshape(shape).copy()
    raise ProtocolError(f"unknown extension type {code}")


def to_json(value: Any) -> Any:
    """The same value in JSON's terms: arrays as lists, complex as {re, im}, NaN and infinities as null."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, complex):
        return {"re": to_json(value.real), "im": to_json(value.imag)}
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    if isinstance(value, dict):
        return {str(key) if not isinstance(key, bytes) else to_json(key): to_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_json(item) for item in value]
    if hasattr(value, "tolist"):
        return to_json(value.tolist())
    return value
