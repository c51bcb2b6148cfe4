"""Every torch extractor the fast way, by reference, on the device's way of images, and in bfloat16, on odd sizes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from seeded import enlivened
from torchvision import models

from fhpt_eval.errors import UserError
from fhpt_eval.extract._torch import fold_batch_norm, in_bfloat16, set_tf32
from fhpt_eval.extract.efficientnet_lite0 import EFFICIENTNET_LITE0, EfficientNetLite0
from fhpt_eval.extract.embeddings import FILES as EMBEDDINGS
from fhpt_eval.extract.embeddings import Dinov2
from fhpt_eval.extract.extractor import Context, Extractor
from fhpt_eval.extract.gender_classifier import SHIPPED, GenderClassifier
from fhpt_eval.extract.image_quality import ImageQuality
from fhpt_eval.extract.imagenet_features import FILES, ImageNetFeatures
from fhpt_eval.extract.inception import (
    INCEPTION_2015,
    INCEPTION_V3_IMAGENET,
    ImageNetClasses,
    Inception,
    build_network,
)
from fhpt_eval.extract.numerics import Numerics, Precision
from fhpt_eval.extract.perceptual_distance import HEADS, TRUNKS, PerceptualDistance
from fhpt_eval.extract.pixels import StructuralSimilarity
from fhpt_eval.extract.weights import Store
from fhpt_eval.files.given import GivenFile
from fhpt_eval.records import Missing

Image8 = npt.NDArray[np.uint8]

ON_DEVICE = "cpu:0"
"""The CPU under a name that makes images take the way to a GPU: a batch at a time, resized there."""

SIZES = [(33, 47), (64, 64), (176, 256), (64, 64)]


def smooth(height: int, width: int, seed: int) -> Image8:
    """A picture of soft blobs."""
    coarse = torch.rand((1, 3, 9, 7), generator=torch.Generator().manual_seed(seed))
    fine = torch.nn.functional.interpolate(coarse, (height, width), mode="bicubic").clamp(0, 1)
    return (fine[0].permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)


IMAGES = [smooth(height, width, seed) for seed, (height, width) in enumerate(SIZES)]


def _save(network: Any, file: Path) -> Path:
    torch.save(network.state_dict(), file)
    return file


def _seeded(network: Any, *, normalised: bool = False) -> Any:
    """He weights, and for batch normalisation the statistics of the images."""
    torch.manual_seed(5)
    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None
            torch.nn.init.uniform_(module.weight, 0.3, 0.7)
            torch.nn.init.normal_(module.bias, 0.3, 0.2)
    if normalised:
        with torch.inference_mode():
            network.train()(torch.from_numpy(np.stack([smooth(96, 64, s) for s in range(8)])).permute(0, 3, 1, 2) / 255)
    return network.eval()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Seeded weights, and those that come with packages."""
    folder = tmp_path_factory.mktemp("weights")
    seen = np.stack([smooth(299, 299, seed) for seed in range(8)])
    dinov2 = EMBEDDINGS["dinov2-vits14"]
    import timm

    torch.manual_seed(7)
    vit: Any = timm.create_model("vit_small_patch14_dinov2", pretrained=False)
    for block in vit.blocks:
        # As they begin, the blocks add next to nothing.
        torch.nn.init.ones_(block.ls1.gamma)
        torch.nn.init.ones_(block.ls2.gamma)
    found = {
        INCEPTION_2015.name: _save(enlivened(build_network(), 1, seen), folder / "i"),
        INCEPTION_V3_IMAGENET.name: _save(
            enlivened(models.inception_v3(weights=None, aux_logits=False, init_weights=False), 2, seen), folder / "v3"
        ),
        FILES["resnet50"].name: _save(_seeded(models.resnet50(weights=None), normalised=True), folder / "r"),
        TRUNKS["vgg"].name: _save(_seeded(models.vgg16(weights=None, init_weights=False)), folder / "v"),
        TRUNKS["alex"].name: _save(_seeded(models.alexnet(weights=None)), folder / "a"),
        TRUNKS["squeeze"].name: _save(_seeded(models.squeezenet1_1(weights=None)), folder / "s"),
        dinov2.name: _save(vit, folder / "d"),
    }
    packaged = (EFFICIENTNET_LITE0, *HEADS.values())
    return found | {weights.name: Store().get(weights) for weights in packaged}


@dataclass(frozen=True)
class Case:
    """An extractor, and how far its records may be off, relative to their length.

    Attributes:
        fast: Of folded networks in channels-last against the network as published, image by image.
        bfloat16: In bfloat16, which has a step of 2⁻⁸ = 4e-3.
    """

    extractor: Extractor
    fast: float
    bfloat16: float


CASES = [
    Case(Inception(), 1e-5, 5e-2),
    Case(Inception(preprocess="clean-fid"), 1e-5, 5e-2),
    Case(Inception(preprocess="pytorch-fid-2018"), 1e-5, 5e-2),
    Case(ImageNetClasses(), 1e-5, 5e-2),
    Case(ImageNetFeatures(), 1e-5, 5e-2),
    Case(ImageNetFeatures(backbone="vgg16"), 1e-5, 5e-2),
    Case(EfficientNetLite0(), 1e-5, 1e-1),
    Case(Dinov2(network="dinov2-vits14"), 1e-5, 5e-2),
    Case(GenderClassifier(network="efficientnet_lite0", classifier=GivenFile.at(SHIPPED)), 1e-4, 2e-1),
    Case(PerceptualDistance(), 1e-5, 5e-2),
    Case(PerceptualDistance(net="vgg"), 1e-5, 5e-2),
    Case(PerceptualDistance(net="squeeze"), 1e-5, 5e-2),
    Case(PerceptualDistance(net="efficientnet_lite0"), 1e-5, 5e-2),
]
each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.extractor.id)


def records(extractor: Extractor, context: Context) -> list[dict[str, npt.NDArray[Any]]]:
    """What an extractor finds in all images at once: of pairs, with themselves upside down and of two."""
    model = extractor.load(context)
    if isinstance(extractor, PerceptualDistance):
        codes = model.encode(IMAGES)
        turned = model.encode([np.ascontiguousarray(image[::-1]) for image in IMAGES])
        return list(model.compare([*zip(codes, turned, strict=True), (codes[1], codes[3])]))
    return list(model(IMAGES))


def off(found: list[Any], expected: list[Any]) -> float:
    """The largest distance between arrays of one record, relative to the length of the expected."""
    assert len(found) == len(expected)
    worst = 0.0
    for one, other in zip(found, expected, strict=True):
        assert not isinstance(one, Missing), one
        assert one.keys() == other.keys()
        for key, array in one.items():
            assert array.dtype == other[key].dtype
            assert array.shape == other[key].shape
            difference = np.linalg.norm(np.float64(array) - other[key])
            worst = max(worst, float(difference / np.linalg.norm(np.float64(other[key]))))
    return worst


@each_case
def test_fast_reference_device_and_bfloat16_agree(case: Case, files: dict[str, Path]) -> None:
    by_reference = records(case.extractor, Context(reference_math=True, weights=files))
    fast = records(case.extractor, Context(weights=files))
    batched = records(case.extractor, Context(device=ON_DEVICE, weights=files))
    rough = records(case.extractor, Context(precision="bfloat16", weights=files))
    assert off(fast, by_reference) <= case.fast
    assert off(batched, by_reference) <= case.fast
    # Not the same: it was in bfloat16.
    assert off(fast, by_reference) < off(rough, by_reference) <= case.bfloat16


def test_batch_norm_of_resnet_is_folded_and_each_map_is_the_same_to_six_digits() -> None:
    network = _seeded(models.resnet18(weights=None), normalised=True)
    x = torch.from_numpy(smooth(47, 33, 0)).permute(2, 0, 1)[None] / 255
    with torch.inference_mode():
        published = network(x)
        fold_batch_norm(network)
        assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in network.modules())
        assert (network(x) - published).norm() / published.norm() < 3e-6


def test_tf32_is_on_where_it_is_asked_for_and_off_again() -> None:
    flags = torch.backends.cuda.matmul, torch.backends.cudnn
    set_tf32(Numerics("cuda", "tf32"))
    assert [flag.allow_tf32 for flag in flags] == [True, True]
    set_tf32(Numerics("cuda", "bfloat16"))
    assert [flag.allow_tf32 for flag in flags] == [False, False]


def test_bfloat16_is_for_the_forward_pass_alone() -> None:
    layer, x = torch.nn.Linear(2, 2), torch.ones(1, 2)
    kinds: dict[Precision, torch.dtype] = {"float32": torch.float32, "bfloat16": torch.bfloat16}
    for precision, expected in kinds.items():
        with in_bfloat16(Numerics(precision=precision)):
            assert layer(x).dtype == expected
        assert layer(x).dtype == torch.float32


@pytest.mark.parametrize(
    ("extractor", "expected"),
    [
        (EfficientNetLite0(), ["float32", "tf32", "bfloat16"]),
        (ImageQuality(), ["float32", "tf32", "float32"]),
        (StructuralSimilarity(), ["float32"] * 3),
    ],
    ids=["network", "pyiqa", "pixels"],
)
def test_fingerprints_claim_no_precision_that_was_not_used(extractor: Extractor, expected: list[Precision]) -> None:
    asked: list[Precision] = ["float32", "tf32", "bfloat16"]
    assert [extractor.precision(precision) for precision in asked] == expected
    prints = [extractor.fingerprint(Numerics("cuda", precision)) for precision in asked]
    assert len(set(prints)) == len(set(expected))


def test_tf32_is_refused_on_a_cpu() -> None:
    with pytest.raises(UserError, match=r"tf32 is arithmetic of GPUs.*float32 or bfloat16"):
        Numerics(precision="tf32")
