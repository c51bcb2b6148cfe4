"""Named arrays and a JSON card in one file: safetensors, whose header carries the card as text."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import safetensors.numpy as safetensors
from safetensors import SafetensorError

Arrays = dict[str, npt.NDArray[Any]]
Card = dict[str, Any]
"""Plain JSON values."""

CARD = "card"
"""Where the metadata have it."""
_LENGTH = 8
"""Bytes at the head of a safetensors file that say how long its JSON header is, little-endian."""


def dump(arrays: Mapping[str, npt.NDArray[Any]], card: Mapping[str, Any]) -> bytes:
    """Return the file; equal arrays and cards give equal bytes."""
    contiguous = {name: np.require(array, requirements="C") for name, array in arrays.items()}
    return safetensors.save(contiguous, {CARD: json.dumps(card, allow_nan=False)})


def parse(data: bytes) -> tuple[Arrays, Card | None]:
    """Read what `dump` wrote; the card is None in a safetensors file of another origin.

    Raises:
        ValueError: It is no safetensors file, or its card is no JSON object.
    """
    try:
        arrays = safetensors.load(data)
    except (SafetensorError, KeyError, TypeError) as error:
        # A KeyError or TypeError is a number format that NumPy does not have.
        raise ValueError("it is not a safetensors file that NumPy can read") from error
    header = json.loads(data[_LENGTH : _LENGTH + int.from_bytes(data[:_LENGTH], "little")])
    text = header.get("__metadata__", {}).get(CARD)
    if text is None:
        return arrays, None
    try:
        card = json.loads(text)
    except RecursionError as error:
        raise ValueError("its card is nested too deeply to be read") from error
    if not isinstance(card, dict):
        raise ValueError("its card is not a JSON object")
    return arrays, card
