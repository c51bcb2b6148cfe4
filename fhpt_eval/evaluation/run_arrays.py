"""Whether the arrays of a run are what `Score.arrays` says they are: a run may come from a stranger."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from fhpt_eval.records import Record

_OF_PAIRS = ("total", "count", "influence")
"""A finite number for each pair."""

_OF_RANKINGS = ("nearest", "relevant")
"""A row for each pair."""


def check_arrays(arrays: Mapping[str, Record], pairs: int) -> None:
    """Refuse arrays that whatever reads them would stumble over.

    Args:
        arrays: By metric and name.
        pairs: How many pairs the run has.

    Raises:
        ValueError: One has another shape or other values than its name promises.
    """
    for metric, found in arrays.items():
        for name in _OF_PAIRS:
            if name in found:
                array = found[name]
                if array.shape != (pairs,) or array.dtype.kind not in "iuf" or not np.isfinite(array).all():
                    raise ValueError(f"{metric}/{name} is not a finite number for each of {pairs} pairs")
        if ("count" in found and (found["count"] < 0).any()) or ("total" in found) != ("count" in found):
            raise ValueError(f"{metric}/total and count do not belong together")
        for name in _OF_RANKINGS:
            if name in found and (found[name].ndim != 2 or len(found[name]) != pairs):
                raise ValueError(f"{metric}/{name} is not a row for each of {pairs} pairs")
        if "nearest" in found:
            nearest = found["nearest"]
            if nearest.dtype.kind not in "iu" or (nearest < -1).any() or (nearest >= pairs).any():
                raise ValueError(f"{metric}/nearest names other pairs than there are")
            if found.get("relevant", nearest).shape != nearest.shape:
                raise ValueError(f"{metric}/nearest and relevant do not belong together")
        if "distance" in found:
            _check_points(metric, found, pairs)


def _check_points(metric: str, found: Record, pairs: int) -> None:
    """Refuse the points behind a curve where they are not one list."""
    distance = found["distance"]
    if distance.ndim != 1 or distance.dtype.kind != "f" or np.isnan(distance).any() or (distance < 0).any():
        raise ValueError(f"{metric}/distance is not a list of distances")
    for name, array in found.items():
        if name in {*_OF_PAIRS, *_OF_RANKINGS}:
            continue
        if array.shape[:1] != distance.shape:
            raise ValueError(f"{metric}/{name} has not as many entries as its distances")
    if "pair" in found:
        pair = found["pair"]
        if pair.dtype.kind not in "iu" or (pair < 0).any() or (pair >= pairs).any():
            raise ValueError(f"{metric}/pair names other pairs than there are")
