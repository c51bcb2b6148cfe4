"""Images as arrays, and the same as files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from PIL import Image

from fhpt_eval.evaluation.run import Run

Arrays = npt.NDArray[np.uint8]
NAMES = ["a.png", "b.png", "c-d.png", "e.png", "f/g.png"]


def drawn(seed: int, count: int = 5) -> Arrays:
    return np.random.default_rng(seed).integers(0, 256, (count, 64, 48, 3), dtype=np.uint8)


def written(folder: str, images: Mapping[str, Arrays]) -> None:
    for name, pixels in images.items():
        path = Path(folder, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)


def assert_same_numbers(one: Run, other: Run) -> None:
    assert list(one.scores) == list(other.scores)
    assert one.scores == other.scores
    columns = [c for c in one.per_pair.columns if c not in {"generated", "target", "source"}]
    pd.testing.assert_frame_equal(one.per_pair[columns], other.per_pair[columns], check_exact=True)
    assert one.missing.to_dict() == other.missing.to_dict()
    for metric, arrays in one.arrays.items():
        for name, array in arrays.items():
            np.testing.assert_array_equal(array, other.arrays[metric][name])
    assert one.record.pairs.hash == other.record.pairs.hash
    assert one.record.pairs.known == other.record.pairs.known
