"""Results as bytes: safetensors for a record, a marked phrase for what is missing. Nothing is unpickled."""

from __future__ import annotations

import numpy as np
from safetensors.numpy import load, save

from fhpt_eval.records import Missing, Result

_RECORD, _FINDING = b"R", b"M"


def dump(result: Result) -> bytes:
    """Serialise a result. Faults are not stored: whoever fixes the file or the machine gets another chance."""
    if isinstance(result, Missing):
        if result.fault:
            raise ValueError(f"a fault is not stored: {result.reason}")
        return _FINDING + result.reason.encode()
    return _RECORD + save({k: np.require(v, requirements="C") for k, v in result.items()})


def parse(data: bytes) -> Result:
    """Read what `dump` wrote."""
    if data[:1] == _FINDING:
        return Missing(data[1:].decode(), "finding")
    return load(data[1:])
