"""FID, KID and Inception Score of every dialect against its script, written again, with seeded Inceptions on both
sides.

On the one side torchvision's blocks (GFLA and its kin), pytorch-fid's network and torch-fidelity's, NumPy's covariance
and SciPy's matrix square root; on the other the evaluation of the same files. Numbers agree to 1e-4 of their value.

Folders hold twenty files of four different pictures: a picture costs a third of a second on either side, and is
computed once. Covariances are singular with twenty images as with four. A root of zero that is rounded to 1e-16 of the
largest eigenvalue is off by 1e-8 of it, so dimensions in which there is no image are left out before the square root:
2048 of them would add up to 1e-5.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import pytorch_fid.inception
import torch
from dialect_files import (
    COUNT,
    CROP,
    LARGE,
    ODD,
    Floats,
    Folders,
    Pixels,
    bilinear,
    crops_saved_again,
    cubic,
    images_of,
    lay_out,
    pool,
    references_of,
    small,
    white_at_the_sides,
)
from dialect_people import masks
from dialect_runs import Runs, assert_number, measured, named, runs_in
from PIL import Image
from scipy import linalg
from seeded import blocks_of, enlivened
from torch.nn import functional
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
from torch_fidelity.metric_isc import isc_features_to_metric
from torchvision import models

from fhpt_eval.measuring.dialects import FOLDER, Dialect, dialect_named, find_dialects

PROTOCOLS = ("fid", "kid", "is")
DIGITS = {"rel": 1e-4, "abs": 0}
DIFFERENT = 4
"""Pictures of a folder."""


def inception(seed: int, **options: Any) -> Any:
    """Torchvision's network, seeded."""
    pictures = [cv2.resize(picture.pixels, (299, 299)) for picture in pool(CROP, "target")[:4]]
    network = models.inception_v3(weights=None, init_weights=False, **options)
    return enlivened(network, seed, np.stack(pictures))


class Peers:
    """The networks of others, on files of seeded weights that we get, too; a row of features for each image."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.known: dict[tuple[str, bytes], Floats] = {}
        self.whole = whole = inception(2018)
        torch.save(whole.state_dict(), folder / "inception_v3_google-0cc3c7bd.pth")
        self.imagenet = blocks_of(whole)
        # FID's network has other poolings than torchvision's, and the same weights.
        weights = inception(2015, num_classes=1008, aux_logits=False).state_dict()
        self.head = weights["fc.weight"].double().numpy()
        file = folder / "pt_inception-2015-12-05-6726825d.pth"
        torch.save(weights, file)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(pytorch_fid.inception, "load_state_dict_from_url", lambda url, progress: weights)
            self.fid = pytorch_fid.inception.InceptionV3([3]).eval()
            self.fid_as_given = pytorch_fid.inception.InceptionV3([3], resize_input=False, normalize_input=False).eval()
        self.fidelity = FeatureExtractorInceptionV3(
            "inception-v3-compat", ["logits_unbiased"], feature_extractor_weights_path=str(file)
        )
        for network in (self.whole, self.imagenet, self.fid, self.fid_as_given, self.fidelity):
            network.to(memory_format=torch.channels_last)

    def rows(self, way: str, images: list[Pixels]) -> Floats:
        """Features or logits of images, each different one computed once."""
        found = []
        for image in images:
            key = (way, image.tobytes())
            if key not in self.known:
                tensor = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)[None]
                with torch.inference_mode():
                    self.known[key] = getattr(self, way)(tensor).flatten().double().numpy()
            found.append(self.known[key])
        return np.stack(found)

    def of_2018(self, image: torch.Tensor) -> torch.Tensor:
        """GFLA's: [0, 1], bilinear to 299×299, then what would undo ImageNet's normalisation."""
        x = functional.interpolate(image.float() / 255, size=(299, 299), mode="bilinear")
        std, mean = (torch.tensor(v)[:, None, None] for v in ((0.229, 0.224, 0.225), (0.485, 0.456, 0.406)))
        features: torch.Tensor = self.imagenet(x * (std / 0.5) + (mean - 0.5) / 0.5)
        return features

    def of_pytorch_fid(self, image: torch.Tensor) -> torch.Tensor:
        features: torch.Tensor = self.fid(image / 255)[0]
        return features

    def of_clean_fid(self, image: torch.Tensor) -> torch.Tensor:
        """Each channel by Pillow's bicubic in floats, clipped, never rounded; (x − 128)/128."""
        planes = [Image.fromarray(plane.float().numpy()) for plane in image[0]]
        resized = [np.asarray(p.resize((299, 299), Image.Resampling.BICUBIC)).clip(0, 255) for p in planes]
        features: torch.Tensor = self.fid_as_given((torch.from_numpy(np.stack(resized))[None] - 128) / 128)[0]
        return features

    def of_tensorflow(self, image: torch.Tensor) -> torch.Tensor:
        """Logits without bias, behind the 2015 graph's own resize."""
        logits: torch.Tensor = self.fidelity(image)[0]
        return logits

    def of_torchvision(self, image: torch.Tensor) -> torch.Tensor:
        """HR-VITON's: torchvision's classifier on [-1, 1]; images are 299×299 already."""
        logits: torch.Tensor = self.whole((image / 255 - 0.5) / 0.5)
        return logits

    def logits(self, images: list[Pixels]) -> Floats:
        """Ours: logits without bias of pytorch-fid's features."""
        logits: Floats = self.rows("of_pytorch_fid", images) @ self.head.T
        return logits


@dataclass(frozen=True)
class Distance:
    """How a script measures a Fréchet distance.

    Attributes:
        way: To features.
        generated: What is done to generated images.
        real: The same for the others.
        targets: Whether these are the targets.
        batch: Size of batches; the last one that is not full is dropped.
        cropped: Whether generated images are SPGNet's crops.
    """

    way: str = "of_2018"
    generated: Callable[[Pixels], Pixels] = np.asarray
    real: Callable[[Pixels], Pixels] = np.asarray
    targets: bool = False
    batch: int = 1
    cropped: bool = False

    def features(self, peers: Peers, folders: Folders) -> list[Floats]:
        """Of generated and real images, in the order of file names."""
        images = crops_saved_again(folders) if self.cropped else images_of(folders)
        real = [target for _, target in images] if self.targets else references_of(folders)
        sides = [self.generated(image) for image, _ in images], [self.real(image) for image in real]
        found, batch = [], self.batch
        for side in reversed(sides):  # what one side lowers stays so for the next
            batch = min(batch, len(side))
            found.append(peers.rows(self.way, side[: len(side) // batch * batch]))
        return found[::-1]


def bicubic(size: tuple[int, int], image: Pixels) -> Pixels:
    """MCLD's training images: torchvision's resize of a Pillow image, which is Pillow's."""
    return np.array(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC))


CUBIC_256, CUBIC_512 = partial(cubic, (176, 256)), partial(cubic, (352, 512))
BILINEAR = partial(bilinear, (176, 256))
DISTANCES = {
    ("clean", "fid"): Distance("of_pytorch_fid"),
    ("cfld", "fid"): Distance(),
    ("dior", "fid"): Distance(real=partial(bilinear, (256, 256)), batch=64),
    ("disco", "fid"): Distance("of_pytorch_fid", targets=True),
    ("dptn", "fid"): Distance(batch=64),
    ("dptn-market", "fid"): Distance(batch=64),
    ("gfla", "fid"): Distance(batch=64),
    ("gfla-market", "fid"): Distance(batch=64),
    ("leffa", "fid"): Distance("of_pytorch_fid", targets=True),
    ("leffa", "clean_fid"): Distance("of_clean_fid", targets=True),
    ("catvton", "fid"): Distance("of_clean_fid", targets=True),
    ("disco", "clean_fid"): Distance("of_clean_fid", targets=True),
    ("ladi-vton", "fid"): Distance("of_clean_fid", targets=True),
    ("mcld", "fid"): Distance(real=partial(bicubic, CROP)),
    ("mcld-512", "fid"): Distance(real=partial(bicubic, LARGE)),
    ("pcdm", "fid"): Distance(generated=CUBIC_256, real=CUBIC_256, batch=128),
    ("pcdm-512", "fid"): Distance(generated=CUBIC_512, real=CUBIC_512, batch=128),
    ("pidm", "fid"): Distance(generated=BILINEAR, real=BILINEAR, batch=64),
    ("pocold", "fid"): Distance(batch=64),
    ("pose-with-style", "fid"): Distance(batch=64),
    ("scfm", "fid"): Distance(generated=BILINEAR, real=BILINEAR, batch=64),
    ("upgpt", "fid"): Distance("of_pytorch_fid", targets=True),
}
WHOLE_BATCHES = {
    ("spgnet", "fid"): Distance(batch=8, cropped=True),
    ("spgnet-market", "fid"): Distance(batch=8),
}
"""Scripts that fail on less than a batch: of 8 here, for fewer images."""
KERNELS = {
    ("catvton", "kid"): 1000,
    ("ladi-vton", "kid"): 1,
    ("leffa", "clean_kid"): 1000,
}
"""What scripts multiply clean-fid's KID with."""
SCORES = [
    ("clean", "is"),
    ("dsc", "is"),
    ("hr-viton", "is"),
    ("ladi-vton", "is"),
    ("dsc", "mask_is"),
    ("patn", "is"),
    ("patn-market", "is"),
    ("patn-market", "mask_is"),
    ("pg2", "is"),
]


@pytest.fixture(scope="module")
def peers(tmp_path_factory: pytest.TempPathFactory) -> Peers:
    return Peers(tmp_path_factory.mktemp("weights"))


@pytest.fixture(scope="module")
def runs(peers: Peers, tmp_path_factory: pytest.TempPathFactory) -> Runs:
    """Each dialect on its own files, once."""

    def laid_out(root: Path, dialect: Dialect) -> Folders:
        return lay_out(root, dialect, size=ODD if dialect.key == "disco" else None, different=DIFFERENT)

    return runs_in(tmp_path_factory.mktemp("dialects"), laid_out, PROTOCOLS, peers.folder / "cache", peers.folder)


def frechet(a: Floats, b: Floats) -> float:
    """By NumPy's covariance and SciPy's square root, in coordinates of those dimensions in which there are images."""
    _, lengths, axes = np.linalg.svd(np.concatenate([a, b]), full_matrices=False)
    a, b = (rows @ axes[lengths > 1e-9 * lengths[0]].T for rows in (a, b))
    first, second = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    root = linalg.sqrtm(first @ second).real
    return float(np.square(a.mean(0) - b.mean(0)).sum() + np.trace(first) + np.trace(second) - 2 * np.trace(root))


def test_every_inception_metric_of_every_dialect_is_compared() -> None:
    for key, dialect in find_dialects().items():
        own = {(key, metric.name) for metric in dialect.metrics if metric.protocol in PROTOCOLS}
        own_kinds = (*DISTANCES, *KERNELS, *SCORES, ("clean", "kid"), *WHOLE_BATCHES)
        assert own == {pair for pair in own_kinds if pair[0] == key}


@pytest.mark.parametrize(("key", "metric"), DISTANCES)
def test_frechet_distance_agrees_to_4_digits(runs: Runs, peers: Peers, key: str, metric: str) -> None:
    folders, run = runs(key)
    generated, real = DISTANCES[key, metric].features(peers, folders)
    expected = frechet(generated, real)
    assert_number(run, named(dialect_named(key), metric), expected, COUNT, **DIGITS)
    assert expected > 0.1 * np.square(generated.mean(0)).sum() ** 0.5, "the sides must not be alike"


def test_kid_agrees_to_4_digits(runs: Runs, peers: Peers) -> None:
    folders, run = runs("clean")
    a, b = DISTANCES["clean", "fid"].features(peers, folders)

    def kernel(x: Floats, y: Floats) -> Floats:
        return (x @ y.T / x.shape[1] + 1) ** 3

    own = [kernel(rows, rows)[~np.eye(len(rows), dtype=bool)].mean() for rows in (a, b)]
    assert_number(run, "kid", sum(own) - 2 * kernel(a, b).mean(), COUNT, **DIGITS)


@pytest.mark.parametrize(("key", "metric"), KERNELS)
def test_kid_of_clean_fid_agrees_to_4_digits(runs: Runs, peers: Peers, key: str, metric: str) -> None:
    """By random subsets without a seed, which twenty images on both sides fill."""
    folders, run = runs(key)
    a, b = Distance("of_clean_fid", targets=True).features(peers, folders)
    random, m, total = np.random.default_rng(), COUNT, 0.0
    for _ in range(100):
        x, y = a[random.choice(COUNT, m, replace=False)], b[random.choice(COUNT, m, replace=False)]
        own = (x @ x.T / x.shape[1] + 1) ** 3 + (y @ y.T / x.shape[1] + 1) ** 3
        total += (own.sum() - np.trace(own)) / (m - 1) - ((x @ y.T / x.shape[1] + 1) ** 3).sum() * 2 / m
    expected = KERNELS[key, metric] * total / 100 / m
    assert_number(run, named(dialect_named(key), metric), expected, COUNT, **DIGITS)
    assert abs(expected) > 1e-3 * KERNELS[key, metric], "the sides must not be alike"


@pytest.mark.parametrize(("key", "metric"), SCORES)
def test_inception_score_agrees_to_4_digits(runs: Runs, peers: Peers, key: str, metric: str) -> None:
    folders, run = runs(key)
    images = [generated for generated, _ in images_of(folders)]
    if metric == "mask_is":
        images = [image * mask for image, mask in zip(images, masks(folders), strict=True)]
    if key == "patn":
        images = [white_at_the_sides(image) for image in images]
    if key == "ladi-vton":
        images = [small((384, 512), image) for image in images]
    if key == "hr-viton":
        logits = peers.rows("of_torchvision", [small((299, 299), image) for image in images])
    else:
        logits = peers.logits(images) if key == "clean" else peers.rows("of_tensorflow", images)
    splits = 1 if key == "hr-viton" else 10
    expected = isc_features_to_metric(torch.from_numpy(logits), splits=splits, shuffle=False)
    assert_number(run, named(dialect_named(key), metric), expected["inception_score_mean"], COUNT, **DIGITS)
    assert expected["inception_score_mean"] > 1.05


def test_frechet_distance_with_a_tail_of_8_takes_the_first_16_names(runs: Runs, peers: Peers, tmp_path: Path) -> None:
    folders, whole = runs("gfla")
    text = (FOLDER / "gfla.toml").read_text(encoding="utf-8")
    (tmp_path / "gfla-8.toml").write_text(text.replace("tail = 64", "tail = 8"), encoding="utf-8")
    dialect = dialect_named(str(tmp_path / "gfla-8.toml"))
    run = measured(dialect, folders, ("fid",), peers.folder / "cache", peers.folder)
    generated, real = Distance(batch=8).features(peers, folders)
    assert len(generated) == len(real) == 16
    assert_number(run, "gfla-8@2:fid", frechet(generated, real), 16, **DIGITS)
    assert whole.scores["gfla@2:fid"].value != pytest.approx(frechet(generated, real), rel=1e-3)


def test_with_fewer_references_than_a_batch_generated_images_are_cut_to_a_multiple_of_these(
    peers: Peers, tmp_path: Path
) -> None:
    dialect = dialect_named("gfla")
    folders = lay_out(tmp_path / "files", dialect, different=DIFFERENT)
    for file in sorted(folders.reference.iterdir())[8:]:
        file.unlink()
    run = measured(dialect, folders, ("fid",), peers.folder / "cache", peers.folder)
    generated, real = DISTANCES["gfla", "fid"].features(peers, folders)
    assert (len(generated), len(real)) == (16, 8)
    assert_number(run, "gfla@2:fid", frechet(generated, real), 16, **DIGITS)
    told = "dropped: in the last incomplete batch of 8 (64, lowered to the number of reference images)"
    assert run.scores["gfla@2:fid"].missing == {told: 4}


@pytest.mark.parametrize(("key", "metric"), WHOLE_BATCHES)
def test_spgnet_takes_whole_batches_or_nothing(peers: Peers, tmp_path: Path, key: str, metric: str) -> None:
    folders = lay_out(tmp_path / "files", dialect_named(key), different=DIFFERENT)
    text = (FOLDER / f"{key}.toml").read_text(encoding="utf-8")
    (tmp_path / f"{key}-8.toml").write_text(text.replace("tail = 64, fewer", "tail = 8, fewer"), encoding="utf-8")
    dialect = dialect_named(str(tmp_path / f"{key}-8.toml"))
    run = measured(dialect, folders, ("fid",), peers.folder / "cache", peers.folder)
    generated, real = WHOLE_BATCHES[key, metric].features(peers, folders)
    assert len(generated) == len(real) == 16
    assert_number(run, f"{dialect.id}:fid", frechet(generated, real), 16, **DIGITS)
    run = measured(dialect_named(key), folders, ("fid",), peers.folder / "cache", peers.folder, done=False)
    (record,) = run.record.protocols
    assert record.status == "unavailable"
    assert record.reason == (
        "the original's script takes whole batches of 64 and fails on fewer: here are 20 generated and 20 reference"
        " images"
    )
