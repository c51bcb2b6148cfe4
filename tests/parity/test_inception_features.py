"""Inception's features, FID, KID and IS against pytorch-fid and torch-fidelity, on one file of seeded weights.

The canonical weights are not needed for this: what is compared is the pipeline, and the weights are scaled so that
every layer is alive. Features and logits agree to 1e-5 of their length, FID to the digits that the tests state.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import pytorch_fid.inception
import skimage
import torch
from PIL import Image
from pytorch_fid.fid_score import calculate_frechet_distance, get_activations, save_fid_stats
from seeded import SeededStore, enlivened
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
from torch_fidelity.metric_isc import isc_features_to_metric
from torch_fidelity.metric_kid import kid_features_to_metric

from fhpt_eval import Pairs, evaluate
from fhpt_eval.engine.cache import Cache
from fhpt_eval.engine.engine import open_engine
from fhpt_eval.evaluation.reference_npz import use_npz
from fhpt_eval.extract.extractor import Context
from fhpt_eval.extract.inception import INCEPTION_2015, Inception, Preprocess, build_network
from fhpt_eval.protocols.fid import Fid
from fhpt_eval.protocols.inception_score import InceptionScore
from fhpt_eval.protocols.kid import Kid
from fhpt_eval.records import Missing

Image8 = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.floating[Any]]

# Any, because scikit-image is typed in part only.
data: Any = skimage.data

WAYS: list[Preprocess] = ["pytorch-fid", "torch-fidelity", "clean-fid"]
SIZES = [(176, 128), (299, 299), (63, 157), (300, 330)]


def crops(sizes: list[tuple[int, int]], seed: int) -> list[Image8]:
    """Crops of photographs, of these heights and widths."""
    photographs = [data.astronaut(), data.chelsea(), data.coffee(), data.rocket()]
    rng = np.random.default_rng(seed)
    cropped = []
    for i, (height, width) in enumerate(sizes):
        whole = photographs[i % len(photographs)]
        top, left = int(rng.integers(whole.shape[0] - height + 1)), int(rng.integers(whole.shape[1] - width + 1))
        cropped.append(np.ascontiguousarray(whole[top : top + height, left : left + width]))
    return cropped


@pytest.fixture(scope="module")
def images() -> list[Image8]:
    return crops(SIZES, seed=1)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    network = enlivened(build_network(), 2015, np.stack(crops([(299, 299)] * 8, seed=0)))
    file = tmp_path_factory.mktemp("weights") / INCEPTION_2015.filename
    torch.save(network.state_dict(), file)
    return file


@pytest.fixture(scope="module")
def pytorch_fid_network(weights: Path) -> Iterator[Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            pytorch_fid.inception,
            "load_state_dict_from_url",
            lambda url, progress: torch.load(weights, weights_only=True),
        )
        yield pytorch_fid.inception.InceptionV3([3]).eval()


@pytest.fixture(scope="module")
def torch_fidelity_network(weights: Path) -> Any:
    return FeatureExtractorInceptionV3(
        "inception-v3-compat", ["2048", "logits_unbiased"], feature_extractor_weights_path=str(weights)
    )


@pytest.fixture(scope="module")
def extracted(weights: Path, images: list[Image8]) -> dict[Preprocess, dict[str, Floats]]:
    """What our extractor gives, by preprocessing and key, one row an image."""
    found: dict[Preprocess, dict[str, Floats]] = {}
    for way in WAYS:
        results = Inception(preprocess=way).load(Context(weights={"inception-2015": weights}))(images)
        records = [result for result in results if not isinstance(result, Missing)]
        found[way] = {key: np.stack([record[key] for record in records]) for key in ("pool3", "logits")}
    return found


def tensor(image: Image8) -> torch.Tensor:
    return torch.from_numpy(image).permute(2, 0, 1)[None]


def assert_close(actual: Floats, expected: Floats) -> None:
    """Each vector is off by less than 1e-5 of its length."""
    assert actual.shape == expected.shape
    assert actual.dtype == np.float32
    error = np.linalg.norm(actual.astype(np.float64) - expected, axis=1) / np.linalg.norm(expected, axis=1)
    assert error.max() < 1e-5


def logits_of(weights: Path, pool3: Floats) -> Floats:
    """The head in float64, without its bias."""
    head = torch.load(weights, weights_only=True)["fc.weight"].double().numpy()
    logits: Floats = pool3.astype(np.float64) @ head.T
    return logits


def test_seeded_weights_tell_images_apart(extracted: dict[Preprocess, dict[str, Floats]]) -> None:
    pool3 = extracted["pytorch-fid"]["pool3"].astype(np.float64)
    assert (pool3 >= 0).all()
    assert (pool3.max(axis=0) > 0).mean() > 0.99
    assert 0.1 < pool3.mean() < 10
    unit = pool3 / np.linalg.norm(pool3, axis=1, keepdims=True)
    assert (unit @ unit.T)[~np.eye(len(pool3), dtype=bool)].max() < 0.99


def test_features_are_pytorch_fids(
    weights: Path, images: list[Image8], extracted: dict[Preprocess, dict[str, Floats]], pytorch_fid_network: Any
) -> None:
    expected = np.concatenate([pytorch_fid_network(tensor(i) / 255)[0].flatten(1).numpy() for i in images])
    actual = extracted["pytorch-fid"]
    assert_close(actual["pool3"], expected)
    assert_close(actual["logits"], logits_of(weights, expected))


def test_features_are_torch_fidelitys(
    images: list[Image8], extracted: dict[Preprocess, dict[str, Floats]], torch_fidelity_network: Any
) -> None:
    expected = [torch_fidelity_network(tensor(i)) for i in images]
    actual = extracted["torch-fidelity"]
    assert_close(actual["pool3"], torch.cat([pool3 for pool3, _ in expected]).numpy())
    assert_close(actual["logits"], torch.cat([logits for _, logits in expected]).numpy())


def test_features_are_clean_fids(
    weights: Path, images: list[Image8], extracted: dict[Preprocess, dict[str, Floats]], pytorch_fid_network: Any
) -> None:
    pytorch_fid_network.resize_input = pytorch_fid_network.normalize_input = False

    # clean-fid's documented way: each channel by Pillow's bicubic in floats, clipped, never rounded; (x − 128)/128.
    def resized(image: Image8) -> torch.Tensor:
        channels = [Image.fromarray(np.ascontiguousarray(image[:, :, c]).astype(np.float32)) for c in range(3)]
        planes = [np.asarray(c.resize((299, 299), Image.Resampling.BICUBIC)).clip(0, 255) for c in channels]
        return torch.from_numpy(np.stack(planes))[None]

    try:
        expected = [pytorch_fid_network((resized(i) - 128) / 128)[0].flatten(1).numpy() for i in images]
    finally:
        pytorch_fid_network.resize_input = pytorch_fid_network.normalize_input = True
    actual = extracted["clean-fid"]
    assert_close(actual["pool3"], np.concatenate(expected))
    assert_close(actual["logits"], logits_of(weights, np.concatenate(expected)))


def test_the_three_ways_to_299_pixels_differ(extracted: dict[Preprocess, dict[str, Floats]]) -> None:
    first, second, third = (extracted[way]["pool3"][0] for way in WAYS)
    apart = [np.linalg.norm(a - b) / np.linalg.norm(a) for a, b in ((first, second), (first, third), (second, third))]
    assert min(apart) > 1e-3


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """12 generated images, and 10 targets under the names of the first 10."""
    root = tmp_path_factory.mktemp("folders")
    for folder, count, seed in (("generated", 12, 5), ("target", 10, 6)):
        (root / folder).mkdir()
        for i, image in enumerate(crops([(128, 88)] * count, seed)):
            Image.fromarray(image).save(root / folder / f"{i:02}.png")
    return root / "generated", root / "target"


@pytest.fixture(scope="module")
def activations(folders: tuple[Path, Path], pytorch_fid_network: Any) -> tuple[Floats, Floats]:
    generated, target = (
        get_activations(sorted(folder.iterdir()), pytorch_fid_network, batch_size=4, num_workers=0)
        for folder in folders
    )
    return generated, target


@pytest.fixture(scope="module")
def scores(
    weights: Path, folders: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, float | None]:
    """What the whole way from folders to scores gives."""
    generated, target = folders
    pairs = Pairs.from_folders(generated, target, naming="same-name")
    with Cache(tmp_path_factory.mktemp("cache")) as cache:
        run = evaluate(
            pairs,
            [Fid(), Kid(subsets=5, subset_size=8), InceptionScore(splits=3)],
            engine=open_engine("local", cache, device="cpu"),
            store=SeededStore(weights.parent),
        )
    return {metric: score.value for metric, score in run.scores.items()}


@pytest.mark.filterwarnings("ignore:The `disp` argument is deprecated:DeprecationWarning")
def test_fid_of_two_folders_is_pytorch_fids(
    scores: dict[str, float | None], activations: tuple[Floats, Floats]
) -> None:
    generated, target = (a.astype(np.float64) for a in activations)
    # 22 points lie in 22 dimensions: in coordinates of these nothing changes, and the root takes no half a minute.
    basis = np.linalg.qr(np.concatenate([generated, target]).T)[0]
    a, b = generated @ basis, target @ basis
    expected = calculate_frechet_distance(
        a.mean(0), np.cov(a, rowvar=False), b.mean(0), np.cov(b, rowvar=False), eps=1e-6
    )
    assert scores["fid"] == pytest.approx(expected, rel=1e-4)


def test_kid_of_two_folders_is_torch_fidelitys_of_pytorch_fids_features(
    scores: dict[str, float | None], activations: tuple[Floats, Floats]
) -> None:
    generated, target = (torch.from_numpy(a.astype(np.float64)) for a in activations)
    expected = kid_features_to_metric(generated, target, kid_subsets=5, kid_subset_size=8, verbose=False)
    assert scores["kid"] == pytest.approx(expected["kernel_inception_distance_mean"], rel=1e-4)


def test_inception_score_of_a_folder_is_torch_fidelitys_of_pytorch_fids_features(
    scores: dict[str, float | None], weights: Path, activations: tuple[Floats, Floats]
) -> None:
    logits = torch.from_numpy(logits_of(weights, activations[0]))
    expected = isc_features_to_metric(logits, splits=3, shuffle=False)["inception_score_mean"]
    assert expected > 1.05
    assert scores["is"] == pytest.approx(expected, rel=1e-5)


@pytest.mark.usefixtures("pytorch_fid_network")
def test_statistics_that_pytorch_fid_saved_give_the_fid_of_the_folder(
    folders: tuple[Path, Path], weights: Path, tmp_path: Path, scores: dict[str, float | None]
) -> None:
    generated, target = folders
    save_fid_stats([str(target), str(tmp_path / "target.npz")], 1, "cpu", 2048, num_workers=0)
    file = tmp_path / "target.safetensors"
    file.write_bytes(use_npz([tmp_path / "target.npz"], Fid().reference_need(), None).data)
    with Cache(tmp_path / "cache") as cache:
        run = evaluate(
            Pairs.from_folders(generated, target, naming="same-name"),
            [Fid()],
            reference=file,
            engine=open_engine("local", cache, device="cpu"),
            store=SeededStore(weights.parent),
        )
    assert run.scores["fid"].value == pytest.approx(scores["fid"], rel=1e-5)
