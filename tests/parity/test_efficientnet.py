"""EfficientNet-Lite0 by what it sees in scikit-image's photographs, and against timm run by itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import skimage
import timm
import torch
from PIL import Image

from fhpt_eval.extract.efficientnet_lite0 import EFFICIENTNET_LITE0, EfficientNetLite0
from fhpt_eval.extract.extractor import Context
from fhpt_eval.extract.weights import Store
from fhpt_eval.records import Missing, Record

# Files that lie inside the package; Any, because scikit-image is typed in part only.
data: Any = skimage.data
PHOTOGRAPHS: dict[str, npt.NDArray[np.uint8]] = {
    "chelsea": data.chelsea(),
    "coffee": data.coffee(),
    "camera": np.repeat(data.camera()[:, :, None], 3, axis=2),
}


@pytest.fixture(scope="module")
def weights() -> Path:
    file = Store(offline=True).find(EFFICIENTNET_LITE0)
    assert file is not None
    return file


@pytest.fixture(scope="module")
def records(weights: Path) -> dict[str, Record]:
    results = EfficientNetLite0().load(Context(weights={EFFICIENTNET_LITE0.name: weights}))(list(PHOTOGRAPHS.values()))
    return {name: r for name, r in zip(PHOTOGRAPHS, results, strict=True) if not isinstance(r, Missing)}


@pytest.mark.parametrize(
    ("photograph", "expected"),
    [
        ("chelsea", 285),  # Egyptian cat
        ("coffee", 967),  # espresso
        ("camera", 872),  # tripod
    ],
)
def test_class_of_a_photograph_is_seen(records: dict[str, Record], photograph: str, expected: int) -> None:
    logits = records[photograph]["logits"]
    assert logits.shape == (1000,)
    assert logits.argmax() == expected


def test_records_are_those_of_timm_by_itself(weights: Path, records: dict[str, Record]) -> None:
    network: Any = timm.create_model("tf_efficientnet_lite0", pretrained=False).eval()
    # Both files list the layers in the order in which an image passes them.
    given = list(torch.load(weights, weights_only=True).values())
    with torch.no_grad():
        for tensor, value in zip(network.state_dict().values(), given, strict=True):
            assert tensor.shape == value.shape
            tensor.copy_(value)
    for name, photograph in PHOTOGRAPHS.items():
        resized: npt.NDArray[np.uint8] = np.asarray(
            Image.fromarray(photograph).resize((224, 224), Image.Resampling.BICUBIC)
        )
        x = (torch.from_numpy(resized.copy()).float().permute(2, 0, 1)[None] - 127) / 128
        with torch.inference_mode():
            logits = network(x)[0].numpy()
            features = network.forward_head(network.forward_features(x), pre_logits=True)[0].numpy()
        for key, expected in (("logits", logits), ("features", features)):
            actual = records[name][key]
            assert actual.dtype == np.float32
            assert np.linalg.norm(actual - expected) < 1e-5 * np.linalg.norm(expected)
