"""Results as bytes: safetensors for a record, a marked phrase for what is missing. Nothing is unpickled."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from fhpt_eval.records import Missing, Result

_RECORD, _FINDING = b"R", b"M"

_TYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1",
    "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "u1", "BOOL": "?", "C64": "<c8",
}  # fmt: skip
"""NumPy's names of the types that safetensors writes."""


def dump(result: Result) -> bytes:
    """Serialise a result. Faults are not stored: whoever fixes the file or the machine gets another chance."""
    if isinstance(result, Missing):
        if result.fault:
            raise ValueError(f"a fault is not stored: {result.reason}")
        return _FINDING + result.reason.encode()
    return _RECORD + save({k: np.require(v, requirements="C") for k, v in result.items()})


def parse(data: bytes | memoryview) -> Result:
    """Read what `dump` wrote."""
    kind, stored = data[:1], data[1:]
    if kind == _FINDING:
        return Missing(bytes(stored).decode(), "finding")
    start = 8 + int.from_bytes(stored[:8], "little")
    # A copy: in the cache's bytes, numbers are aligned for no type.
    values = bytearray(stored[start:])
    return {
        name: np.ndarray(shape, dtype, values, offset) for name, dtype, shape, offset in _layout(bytes(stored[8:start]))
    }


def parse_strictly(data: bytes) -> Result:
    """Read what `dump` may have written, wherever it comes from.

    Raises:
        ValueError: It did not, or LookupError, TypeError or RecursionError.
    """
    if data[:1] == _RECORD:
        try:
            # Looks at all of the header, which `parse` believes.
            load(data[1:])
        except SafetensorError as error:
            raise ValueError("no record") from error
    elif data[:1] != _FINDING or len(data) > _LONGEST_REASON:
        raise ValueError("no result")
    return parse(data)


_LONGEST_REASON = 4096
"""Bytes of a finding: a short phrase."""


@lru_cache(maxsize=1024)
def _layout(header: bytes) -> tuple[tuple[str, np.dtype[Any], tuple[int, ...], int], ...]:
    """Return name, type, shape and place of each array; the records of an extractor mostly have one layout.

    safetensors' own reader looks at the header of each record again, which takes longer than its few numbers.
    """
    arrays = {name: about for name, about in json.loads(header).items() if name != "__metadata__"}
    return tuple(
        (name, np.dtype(_TYPES[about["dtype"]]), tuple(about["shape"]), about["data_offsets"][0])
        for name, about in arrays.items()
    )
