"""The "FID" of GFLA and its kin: torchvision's Inception v3 behind the normalisation of 2018, from folders to scores.

On the other side stand torchvision's blocks one after the other, torch's ``interpolate``, NumPy's covariance and
SciPy's matrix square root, on one file of seeded weights. Features agree to 1e-5 of their length, scores to 1e-4.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import numpy as np
import numpy.typing as npt
import pytest
import skimage
import torch
from PIL import Image
from scipy import linalg
from seeded import SeededStore, blocks_of, enlivened
from torch.nn import functional
from torchvision import models
from toys import record_of

from fhpt_eval import Pairs, evaluate
from fhpt_eval.engine.cache import Cache
from fhpt_eval.engine.engine import open_engine
from fhpt_eval.evaluation.run import Run
from fhpt_eval.extract.extractor import Context
from fhpt_eval.extract.inception import (
    INCEPTION_2015,
    INCEPTION_V3_IMAGENET,
    ImageNetInception,
    Inception,
    Preprocess,
    build_network,
)
from fhpt_eval.images.geometry import Geometry
from fhpt_eval.pairing.pairs import list_images
from fhpt_eval.protocols.fid import Fid
from fhpt_eval.protocols.kid import Kid

Pixels = npt.NDArray[Any]
Floats = npt.NDArray[np.floating[Any]]

# Any, because scikit-image is typed in part only.
data: Any = skimage.data

PHOTOGRAPHS = [data.astronaut(), data.chelsea(), data.coffee(), data.rocket()]


def crop(index: int, height: int, width: int) -> Pixels:
    """Cut out a piece that no other index has."""
    whole = PHOTOGRAPHS[index % len(PHOTOGRAPHS)]
    top, left = (17 * index) % (whole.shape[0] - height), (29 * index) % (whole.shape[1] - width)
    return np.ascontiguousarray(whole[top : top + height, left : left + width])


def crops() -> Pixels:
    """N×299×299×3."""
    return np.stack([crop(i, 299, 299) for i in range(4)])


class Peer:
    """Torchvision's network with all that its weights file has, and the file."""

    def __init__(self, folder: Path) -> None:
        whole = enlivened(models.inception_v3(weights=None, init_weights=False), 2018, crops())
        self.file = folder / INCEPTION_V3_IMAGENET.filename
        torch.save(whole.state_dict(), self.file)
        self.blocks = blocks_of(whole)

    def features(self, image: Pixels) -> Floats:
        """GFLA's way: [0, 1], bilinear to 299×299, then what would undo ImageNet's normalisation."""
        with torch.inference_mode():
            x = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255
            x = functional.interpolate(x, size=(299, 299), mode="bilinear")
            red = x[:, 0] * (0.229 / 0.5) + (0.485 - 0.5) / 0.5
            green = x[:, 1] * (0.224 / 0.5) + (0.456 - 0.5) / 0.5
            blue = x[:, 2] * (0.225 / 0.5) + (0.406 - 0.5) / 0.5
            features: Floats = self.blocks(torch.stack([red, green, blue], dim=1)).flatten().numpy()
        return features


@pytest.fixture(scope="module")
def peer(tmp_path_factory: pytest.TempPathFactory) -> Peer:
    return Peer(tmp_path_factory.mktemp("weights"))


def extracted(peer: Peer, preprocess: Preprocess, images: list[Pixels]) -> Floats:
    context = Context(weights={INCEPTION_V3_IMAGENET.name: peer.file})
    results = ImageNetInception(preprocess=preprocess).load(context)(images)
    return np.stack([record_of(result)["pool3"] for result in results])


def relative_error(actual: Floats, expected: Floats) -> float:
    """Largest error of a row, as a share of its length."""
    error = np.linalg.norm(actual.astype(np.float64) - expected, axis=1) / np.linalg.norm(expected, axis=1)
    return float(error.max())


def test_features_are_those_of_torchvisions_blocks(peer: Peer) -> None:
    cubic = Geometry.parse("resize(width=88, height=128, filter=cv2-float-cubic)").apply(crop(4, 101, 67))
    nearly_constant = np.random.default_rng(0).integers(127, 129, (65, 51, 3), dtype=np.uint8)
    images = [crop(0, 256, 176), crop(1, 101, 67), crop(2, 299, 299), cubic, nearly_constant]
    actual = extracted(peer, "pytorch-fid-2018", images)
    assert actual.shape == (5, 2048)
    assert actual.dtype == np.float32
    assert (actual >= 0).all()
    assert (actual.max(axis=0) > 0).mean() > 0.9
    expected = np.stack([peer.features(image) for image in images])
    assert relative_error(actual, expected) < 1e-5
    unit = expected / np.linalg.norm(expected, axis=1, keepdims=True)
    assert (unit @ unit.T)[~np.eye(5, dtype=bool)].max() < 0.999


def test_every_way_to_299_pixels_is_a_different_one(peer: Peer) -> None:
    images = [crop(0, 128, 88)]
    ways = {way: extracted(peer, way, images) for way in get_args(Preprocess)}
    # The four ways of torchvision's network lie apart from each other, whichever is taken for the right one.
    for way, features in ways.items():
        others = [relative_error(features, other) for name, other in ways.items() if name != way]
        assert min(others) > 1e-3


def test_torchvisions_own_normalisation_is_not_applied_on_top(peer: Peer) -> None:
    whole: Any = models.inception_v3(weights=None, init_weights=False, transform_input=True)
    whole.load_state_dict(torch.load(peer.file, weights_only=True))
    whole.fc = torch.nn.Identity()
    image = crop(0, 299, 299)
    unit = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255
    with torch.inference_mode():
        once = whole.eval()(unit).numpy()
    # Given [0, 1], torchvision's own transform is the one of 2018: made once here as there.
    assert relative_error(extracted(peer, "pytorch-fid-2018", [image]), once) < 1e-5


def test_the_normalisation_of_2018_is_available_to_the_network_of_2015(tmp_path: Path) -> None:
    network = enlivened(build_network(), 2015, crops())
    torch.save(network.state_dict(), tmp_path / "2015.pth")
    image = crop(3, 101, 67)
    with torch.inference_mode():
        x = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255
        x = functional.interpolate(x, size=(299, 299), mode="bilinear", align_corners=False)
        mean, std = (torch.tensor(v).view(3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
        expected = network(x * (std / 0.5) + (mean - 0.5) / 0.5).numpy()
    context = Context(weights={INCEPTION_2015.name: tmp_path / "2015.pth"})
    (result,) = Inception(preprocess="pytorch-fid-2018").load(context)([image])
    assert relative_error(record_of(result)["pool3"][None], expected) < 1e-5


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """11 generated images of GFLA's names, their targets, and 9 training images: JPEG of 128×88 and larger."""
    root = tmp_path_factory.mktemp("folders")
    names = {
        "generated": [f"from{i:02}_2_to{i:02}_vis.jpg" for i in range(11)],
        "target": [f"to{i:02}.jpg" for i in range(11)],
        "train": [f"{i}.jpg" for i in (10, 2, 33, 4, 51, 6, 7, 8, 9)],
    }
    for start, (folder, files) in enumerate(names.items()):
        (root / folder).mkdir()
        for i, file in enumerate(files):
            Image.fromarray(crop(20 * start + i, 128 + start, 88)).save(root / folder / file)
    return {folder: root / folder for folder in names}


@pytest.fixture(scope="module")
def features(peer: Peer, folders: dict[str, Path]) -> dict[str, Floats]:
    """One row an image, in the order of names."""
    rows = {
        role: [peer.features(np.array(Image.open(file))) for file in sorted(folders[role].iterdir())]
        for role in ("generated", "train")
    }
    return {role: np.stack(found).astype(np.float64) for role, found in rows.items()}


def whole_batches(rows: Floats, batch: int) -> Floats:
    """As pytorch-fid of 2018 cut them: a batch is never larger than what there is."""
    batch = min(batch, len(rows))
    return rows[: len(rows) // batch * batch]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def run(peer: Peer, folders: dict[str, Path], cache: Path, *protocols: Fid | Kid) -> Run:
    pairs = Pairs.from_folders(folders["generated"], folders["target"], naming="a_2_b_vis")
    with Cache(cache) as opened:
        return evaluate(
            pairs,
            protocols,
            reference=list_images(folders["train"]),
            engine=open_engine("local", opened, device="cpu"),
            store=SeededStore(peer.file.parent),
        )


def frechet(a: Floats, b: Floats) -> float:
    """By NumPy's covariance and SciPy's square root, in coordinates of the rows' own few dimensions."""
    basis = np.linalg.qr(np.concatenate([a, b]).T)[0]
    a, b = a @ basis, b @ basis
    first, second = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    offset = 1e-9 * np.eye(len(first))
    root = np.real(linalg.sqrtm((first + offset) @ (second + offset)))
    return float(np.square(a.mean(0) - b.mean(0)).sum() + np.trace(first + second - 2 * root))


@pytest.mark.parametrize("tail", [0, 4, 64])
def test_the_fid_of_gflas_script(
    peer: Peer, folders: dict[str, Path], cache: Path, features: dict[str, Floats], tail: int
) -> None:
    settings: dict[str, Any] = {
        "network": "inception-v3-imagenet",
        "preprocess": "pytorch-fid-2018",
        "reference": "given",
        "tail": tail,
    }
    result = run(peer, folders, cache, Fid(**settings), Kid(**settings))
    # The script lowers its batch to the number of training images, and keeps that for the generated ones.
    batch = min(tail or 1, len(features["train"]))
    generated, train = (whole_batches(features[role], batch) for role in ("generated", "train"))
    assert (len(generated), len(train)) == {0: (11, 9), 4: (8, 8), 64: (9, 9)}[tail]
    score = result.scores["fd_inception_v3_imagenet"]
    assert (score.n, score.details["reference_n"]) == (len(generated), len(train))
    assert score.value == pytest.approx(frechet(generated, train), rel=1e-4)
    kernel = (generated @ train.T / 2048 + 1) ** 3
    own = [(rows @ rows.T / 2048 + 1) ** 3 for rows in (generated, train)]
    expected = sum((k.sum() - np.trace(k)) / (len(k) * (len(k) - 1)) for k in own) - 2 * kernel.mean()
    assert result.scores["kd_inception_v3_imagenet"].value == pytest.approx(expected, rel=1e-4)
