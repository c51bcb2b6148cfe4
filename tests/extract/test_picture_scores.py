"""Scores in batches on a device are those of the protocols."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from fhpt_eval import sample
from fhpt_eval.extract.extractor import Context, PairExtractor
from fhpt_eval.extract.picture_scores import WEIGHTS, PictureScores
from fhpt_eval.extract.weights import Store
from fhpt_eval.protocols.l1 import L1
from fhpt_eval.protocols.lpips import Lpips
from fhpt_eval.protocols.ssim import Ssim
from fhpt_eval.records import Missing


def images() -> tuple[np.ndarray, np.ndarray]:
    """Six pairs of different poses of rendered people."""
    pairs = pd.read_csv(sample.SAMPLE / sample.PAIRS).head(6)
    sides = [
        np.stack([np.asarray(Image.open(sample.SAMPLE / sample.IMAGES / name)) for name in pairs[side]])
        for side in ("from", "to")
    ]
    return sides[0], sides[1]


def by_protocol(extractor: PairExtractor, name: str, first: np.ndarray, second: np.ndarray) -> list[float]:
    weights = {WEIGHTS.name: Store().get(WEIGHTS)}
    model = extractor.load(Context(weights=weights))
    sides = (model.encode(list(side)) for side in (first, second))
    values = []
    for result in model.compare(list(zip(*sides, strict=True))):
        assert not isinstance(result, Missing)
        values.append(float(result[name]))
    return values


def test_they_are_what_the_protocols_say_by_default() -> None:
    first, second = images()
    scores = PictureScores(Store().get(WEIGHTS), "cpu")(torch.from_numpy(first), torch.from_numpy(second))
    distance = Lpips(net="efficientnet_lite0").extractor()
    expected = {
        "l1": [v / 255 for v in by_protocol(L1().extractor(), "mae", first, second)],
        "ssim": by_protocol(Ssim().extractor(), "ssim", first, second),
        "pd_efficientnet_lite0": by_protocol(distance, "distance", first, second),
    }
    assert list(scores) == list(expected)
    for name, values in expected.items():
        assert scores[name] == pytest.approx(values, abs=1e-6), name
        assert np.ptp(values) > 0.01, name


def test_of_equal_pictures_they_are_perfect() -> None:
    _, second = images()
    scores = PictureScores(Store().get(WEIGHTS), "cpu")(*[torch.from_numpy(second[:2])] * 2)
    assert scores == {
        "l1": [0, 0],
        "ssim": pytest.approx([1, 1], abs=1e-12),
        "pd_efficientnet_lite0": [0, 0],
    }
