"""What published scripts do to pixels, against scikit-image, SciPy, OpenCV, Pillow and NumPy used as those scripts do.

SSIM in float32 agrees to 1e-6, everything else to 1e-9 or better.
"""

from __future__ import annotations

import math
from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
import pytorch_msssim
import skimage
import torch
from PIL import Image as PillowImage
from scipy.ndimage import gaussian_filter
from torchmetrics.image import PeakSignalNoiseRatio
from toys import StubRecords, compare_two, record_of
from windows import WINDOWS, each_window

from fhpt_eval import Pairs, evaluate
from fhpt_eval.engine.cache import Cache
from fhpt_eval.engine.engine import open_engine
from fhpt_eval.errors import UserError
from fhpt_eval.extract.extractor import Context, PairExtractor
from fhpt_eval.extract.pixels import DataRange, PixelDifference, StructuralSimilarity
from fhpt_eval.images.decoding import ImageRef, decode
from fhpt_eval.images.geometry import Geometry
from fhpt_eval.measuring.protocol import PairedProtocol, Score, configure
from fhpt_eval.pairing.pairs import Pair, PairReport
from fhpt_eval.protocols.l1 import BLACK, L1
from fhpt_eval.protocols.psnr import IDENTICAL, WRAPPED_TO_ZERO, Psnr
from fhpt_eval.protocols.ssim import Ssim
from fhpt_eval.records import Missing, Record, Result

Image = npt.NDArray[Any]
# Any, because scikit-image is typed in part only.
data: Any = skimage.data
metrics: Any = skimage.metrics


def jpeg(image: Image) -> bytes:
    buffer = BytesIO()
    PillowImage.fromarray(image).save(buffer, "JPEG", quality=75)
    return buffer.getvalue()


def resized(image: Image, name: str, width: int = 61, height: int = 90) -> Image:
    return Geometry.parse(f"resize(width={width}, height={height}, filter={name})").apply(image)


def pictures() -> dict[str, tuple[Image, Image]]:
    """Pairs of images, generated and target: odd sizes, a JPEG, hardly any contrast, fractions and overshoot."""
    rng = np.random.default_rng(1)
    first, second = data.astronaut()[:101, :67], data.coffee()[100:201, 100:167]
    flat = np.full((83, 60, 3), 128, np.uint8)
    return {
        "photographs": (first, second),
        "JPEG": (decode(jpeg(first)).pixels, second),
        "nearly constant": (flat + rng.integers(0, 2, flat.shape, dtype=np.uint8), flat),
        "nearly constant and bright": (flat + 87 + rng.integers(0, 2, flat.shape, dtype=np.uint8), flat + 87),
        "float": (resized(first, "cv2-float-cubic"), resized(second, "cv2-float-cubic")),
    }


each_picture = pytest.mark.parametrize("picture", pictures())


def compared(extractor: PairExtractor, first: Image, second: Image) -> Result:
    model = extractor.load(Context())
    return compare_two(model, first, second)


def ssim(first: Image, second: Image, **fields: Any) -> float:
    return float(record_of(compared(StructuralSimilarity(**fields), first, second))["ssim"])


def peer_ssim(generated: Image, target: Image, data_range: DataRange, dtype: type, **settings: Any) -> float:
    """scikit-image on pixels of this type, in 0…1 for the data range 1."""
    divisor = dtype(255 if data_range == "1" else 1)
    x, y = (image.astype(dtype) / divisor for image in (generated, target))
    assert x.dtype == dtype
    span = float(x.max() - x.min()) if data_range == "generated" else float(data_range)
    return float(metrics.structural_similarity(x, y, channel_axis=2, data_range=span, **settings))


@each_picture
@each_window
def test_ssim_is_scikit_images_in_either_arithmetic_and_every_range(window: str, picture: str) -> None:
    generated, target = pictures()[picture]
    ours, theirs = WINDOWS[window]
    for data_range in ("255", "1", "generated"):
        for covariance in ("population", "sample"):
            fields = {**ours, "covariance": covariance, "data_range": data_range}
            settings = {**theirs, "use_sample_covariance": covariance == "sample"}
            expected = peer_ssim(generated, target, data_range, np.float32, **settings)
            assert ssim(generated, target, arithmetic="float32", **fields) == pytest.approx(expected, abs=1e-6)
            expected = peer_ssim(generated, target, data_range, np.float64, **settings)
            assert ssim(generated, target, **fields) == pytest.approx(expected, abs=1e-9)


@each_picture
@pytest.mark.parametrize("taps", [7, 11, 21])
def test_ssim_by_convolutions_is_that_of_pytorch_msssim(picture: str, taps: int) -> None:
    images = pictures()[picture]
    x, y = (torch.from_numpy(i.astype(np.float32) / np.float32(255)).permute(2, 0, 1)[None] for i in images)
    expected = float(pytorch_msssim.ssim(x, y, data_range=1, win_size=taps))
    ours = ssim(*images, arithmetic="float32-pytorch-msssim", data_range="1", taps=taps)
    assert ours == pytest.approx(expected, abs=1e-6)
    if picture == "nearly constant and bright" and taps == 11:
        assert abs(ssim(*images, arithmetic="float32", data_range="1") - expected) > 1e-5


@each_window
def test_the_range_1_is_255_in_exact_arithmetic(window: str) -> None:
    for generated, target in pictures().values():
        one, other = (ssim(generated, target, data_range=span, **WINDOWS[window][0]) for span in ("1", "255"))
        assert one == pytest.approx(other, abs=1e-10)


def test_float32_loses_digits_where_an_image_is_nearly_constant() -> None:
    settings: dict[str, Any] = {"window": "uniform", "taps": 51, "data_range": "generated"}
    lost = {
        picture: abs(ssim(*images, arithmetic="float32", **settings) - ssim(*images, **settings))
        for picture, images in pictures().items()
    }
    assert lost["nearly constant and bright"] > 1e-3
    assert lost["photographs"] < 1e-6


def test_13_taps_in_float32_are_scipys_default_truncation() -> None:
    generated, target = pictures()["photographs"]
    x, y = generated.astype(np.float32), target.astype(np.float32)

    def mean(values: Image) -> Any:
        return np.stack([gaussian_filter(values[:, :, c], 1.5, truncate=4.0) for c in range(3)], axis=2)

    ux, uy = mean(x), mean(y)
    vx, vy, vxy = mean(x * x) - ux * ux, mean(y * y) - uy * uy, mean(x * y) - ux * uy
    c1, c2 = 2.55**2, 7.65**2
    values = ((2 * ux * uy + c1) * (2 * vxy + c2)) / ((ux**2 + uy**2 + c1) * (vx + vy + c2))
    expected = float(values[5:-5, 5:-5].mean(dtype=np.float64))
    assert ssim(generated, target, taps=13, arithmetic="float32") == pytest.approx(expected, abs=1e-6)


def test_ssim_of_a_cubic_resize_in_floats_is_that_of_pcdms() -> None:
    generated, target = pictures()["photographs"]
    # PCDMs: cv2.resize of the float32 image by INTER_CUBIC, divided and multiplied by 255; σ 1.2, range of the first.
    x, y = (
        cv2.resize(image.astype(np.float32), (88, 128), interpolation=cv2.INTER_CUBIC) / np.float32(255)
        for image in (generated, target)
    )
    x, y = x * np.float32(255), y * np.float32(255)
    assert x.min() < 0
    expected = metrics.structural_similarity(
        x,
        y,
        channel_axis=2,
        gaussian_weights=True,
        sigma=1.2,
        use_sample_covariance=False,
        data_range=float(x.max() - x.min()),
    )
    protocol = Ssim(
        sigma=1.2,
        data_range="generated",
        arithmetic="float32",
        generated_geometry=Geometry.parse("resize(width=88, height=128, filter=cv2-float-cubic)"),
        target_geometry=Geometry.parse("resize(width=88, height=128, filter=cv2-float-cubic)"),
    )
    first, second = protocol.generated_geometry.apply(generated), protocol.target_geometry.apply(target)
    actual = record_of(compared(protocol.extractor(), first, second))["ssim"]
    assert float(actual) == pytest.approx(float(expected), abs=1e-6)


DEGRADED = {
    "astronaut": data.astronaut()[:256, 100:276],
    "coffee": data.coffee()[100:356, 100:276],
    "cup": data.coffee()[100:356, 300:476],
    "cat": data.chelsea()[20:276, 250:426],
    "rocket": data.rocket()[100:356, 200:376],
}
"""Photographs of 256×176."""


def degraded(image: Image, sigma: float, shift: int) -> Image:
    """Blurred, moved by some pixels and with less contrast, as generated images are."""
    blurred = np.roll(gaussian_filter(image.astype(np.float64), (sigma, sigma, 0)), shift, axis=1)
    return np.clip(blurred * 0.92, 0, 255).astype(np.uint8)


@pytest.mark.parametrize(("sigma", "shift"), [(1.5, 3), (3, 6)])
@pytest.mark.parametrize("photograph", DEGRADED)
def test_white_padding_lifts_ssim_by_the_share_of_white_columns(photograph: str, sigma: float, shift: int) -> None:
    target = DEGRADED[photograph]
    generated = degraded(target, sigma, shift)
    pad = Geometry.parse("pad(width=256, height=256, colour=white)").apply
    plain, padded = ssim(generated, target), ssim(pad(generated), pad(target))
    assert padded > plain + 0.03
    # The crop takes 10 of the 80 columns away and windows across the border are mixed, so the rule is a little high.
    assert -0.02 < padded - (80 / 256 + 176 / 256 * plain) < 0.001


def of_pairs(protocol: PairedProtocol, results: list[Result], names: list[str] | None = None) -> Score:
    """The score of a protocol on what its extractor found for each pair."""
    names = names or [f"{i}.png" for i in range(len(results))]
    rows = tuple(Pair(str(i), ImageRef(Path(name), name=name), None, None) for i, name in enumerate(names))
    pairs = Pairs(rows, PairReport(len(rows)), "csv")
    return protocol.score(pairs, StubRecords({("generated", "target"): results}))[0]


def alone(protocol: PairedProtocol, generated: Image, target: Image) -> float | Missing:
    return of_pairs(protocol, [compared(protocol.extractor(), generated, target)]).per_pair[0]


def wrapped(values: Image) -> Image:
    """What is left of whole numbers in uint8, without uint8."""
    return np.mod(values, 256)


@pytest.mark.parametrize("picture", ["photographs", "JPEG", "nearly constant"])
def test_psnr_in_uint8_wraps_around_twice_as_pises_does(picture: str) -> None:
    generated, target = (image.astype(np.int64) for image in pictures()[picture])
    mse = wrapped(wrapped(target - generated) ** 2).mean()
    expected = 20 * math.log10(255) - 10 * math.log10(mse)
    protocol = Psnr(arithmetic="uint8")
    assert alone(protocol, *pictures()[picture]) == pytest.approx(expected, rel=1e-12)
    score = of_pairs(protocol, [compared(protocol.extractor(), *pictures()[picture])])
    assert (score.metric, score.unit) == ("psnr_uint8", "dB")


@pytest.mark.parametrize("photograph", DEGRADED)
def test_wrapped_psnr_is_about_the_same_whatever_the_images(photograph: str) -> None:
    target = DEGRADED[photograph]
    for generated in (degraded(target, 1.5, 3), degraded(target, 3, 6)):
        true, wrong = alone(Psnr(), generated, target), alone(Psnr(arithmetic="uint8"), generated, target)
        assert isinstance(true, float)
        assert isinstance(wrong, float)
        assert 14 < true < 25
        assert 27 < wrong < 31
    other = DEGRADED["cat" if photograph != "cat" else "cup"]
    wrong = alone(Psnr(arithmetic="uint8"), other, target)
    assert isinstance(wrong, float)
    assert 27 < wrong < 31


def test_pixels_with_fractions_do_not_wrap() -> None:
    protocol = Psnr(arithmetic="uint8")
    fractions, whole = pictures()["float"][0], np.zeros((90, 61, 3), np.uint8)
    for first, second in ((fractions, whole), (whole, fractions)):
        missing = compared(protocol.extractor(), first, second)
        assert missing == Missing("pixels with fractions in uint8 arithmetic: end the geometry with round or truncate")


def batch_of_pairs(count: int) -> list[tuple[Image, Image]]:
    """Targets, and copies of them with more and more noise."""
    rng = np.random.default_rng(4)
    targets = [data.coffee()[10 * i : 10 * i + 33, 50:71] for i in range(count)]
    noisy = [np.clip(t + rng.normal(0, 4 + 5 * i, t.shape), 0, 255).astype(np.uint8) for i, t in enumerate(targets)]
    return list(zip(noisy, targets, strict=True))


NAMES = ["b.png", "e.png", "a.png", "d.png", "c.png"]
"""Generated files of five pairs whose ids have another order."""


def test_psnr_pools_errors_over_batches_in_the_order_of_file_names() -> None:
    images = dict(zip(NAMES, batch_of_pairs(5), strict=True))
    expected: dict[str, float] = {}
    for batch in (["a.png", "b.png"], ["c.png", "d.png"], ["e.png"]):
        x, y = (np.stack([images[name][side] for name in batch]) for side in (0, 1))
        decibel = float(metrics.peak_signal_noise_ratio(y / 255, x / 255, data_range=1))
        expected |= dict.fromkeys(batch, decibel)
    protocol = Psnr(batch=2)
    score = of_pairs(protocol, [compared(protocol.extractor(), *images[name]) for name in NAMES], NAMES)
    assert list(score.per_pair) == pytest.approx([expected[name] for name in NAMES], rel=1e-9)
    assert score.value == pytest.approx(np.mean(list(expected.values())), rel=1e-9)
    assert score.metric == "psnr"
    assert score.interval is None
    assert of_pairs(Psnr(), [compared(Psnr().extractor(), *images[name]) for name in NAMES], NAMES).interval
    whole = Psnr(batch=100)
    one = of_pairs(whole, [compared(whole.extractor(), *images[name]) for name in NAMES], NAMES)
    x, y = (np.stack([pair[side] for pair in images.values()]) for side in (0, 1))
    assert one.value == pytest.approx(float(metrics.peak_signal_noise_ratio(y, x, data_range=255)), rel=1e-9)


def test_psnr_of_batches_is_torchmetrics_weighted_by_their_size() -> None:
    images = batch_of_pairs(5)
    psnr = PeakSignalNoiseRatio(data_range=1.0)
    total = 0.0
    for start in (0, 2, 4):
        x, y = (
            torch.stack([torch.from_numpy(pair[side]) for pair in images[start : start + 2]]).permute(0, 3, 1, 2) / 255
            for side in (0, 1)
        )
        total += psnr(x, y).item() * len(x)
    protocol = Psnr(batch=2)
    score = of_pairs(protocol, [compared(protocol.extractor(), *pair) for pair in images])
    assert score.value == pytest.approx(total / 5, rel=1e-6)


def test_a_pair_that_is_missing_has_no_place_in_a_batch() -> None:
    images = batch_of_pairs(4)
    protocol = Psnr(batch=2)
    results = [compared(protocol.extractor(), *pair) for pair in images]
    gap = Missing("no target image")
    whole, with_gap = of_pairs(protocol, results), of_pairs(protocol, [results[0], gap, *results[1:]])
    assert with_gap.per_pair == (whole.per_pair[0], gap, *whole.per_pair[1:])
    assert with_gap.missing == {"no target image": 1}


def test_identical_images_have_the_decibels_that_are_set() -> None:
    image = data.chelsea()[:40, :41]
    assert alone(Psnr(), image, image) == IDENTICAL
    assert alone(Psnr(identical=100), image, image) == 100
    assert alone(Psnr(identical=100, arithmetic="uint8"), image, image) == 100
    # Differences of 16 square to 256, which is 0.
    assert alone(Psnr(arithmetic="uint8"), image // 2 + 16, image // 2) == WRAPPED_TO_ZERO
    different = np.where(image < 128, image + 1, image - 1)
    protocol = Psnr(identical=100, batch=2)
    results = [compared(protocol.extractor(), *pair) for pair in ((image, image), (different, image), (image, image))]
    assert of_pairs(protocol, results).per_pair == pytest.approx([10 * math.log10(255**2 / 0.5)] * 2 + [100])


def expected_l1(generated: Image, target: Image) -> dict[str, tuple[L1, str, float]]:
    """What published scripts compute, each written as it stands there; ``(protocol, metric, value)``."""
    x, y = generated.astype(np.float64), target.astype(np.float64)
    count = x.shape[0] * x.shape[1] * x.shape[2]
    patn = np.abs(2 * (y / 255 - 0.5) - 2 * (x / 255 - 0.5)).mean()
    return {
        "today's": (L1(), "l1", np.abs(x / 255 - y / 255).mean()),
        "PATN": (L1(scale="2"), "l1", patn),
        "PG2 L1": (L1(scale="255"), "l1", np.abs(x - y).sum() / count),
        "PG2 L2": (L1(form="root", scale="255"), "l2_root", math.sqrt(((x - y) ** 2).sum()) / count),
        "root on [0, 1]": (L1(form="root"), "l2_root", math.sqrt(((x / 255 - y / 255) ** 2).sum()) / count),
        "DisCo": (L1(scale="per-pixel"), "l1", (np.abs(x - y) / (x.shape[0] * x.shape[1])).mean()),
        "HR-VITON's MSE": (L1(form="squared"), "mse", ((x / 255 - y / 255) ** 2).mean()),
        "GFLA's mae": (L1(form="relative"), "l1_relative", np.abs(y / 255 - x / 255).sum() / (y / 255 + x / 255).sum()),
    }


@each_picture
@pytest.mark.parametrize("script", expected_l1(*pictures()["photographs"]))
def test_l1_is_that_of_each_script(script: str, picture: str) -> None:
    generated, target = pictures()[picture]
    protocol, metric, expected = expected_l1(generated, target)[script]
    assert alone(protocol, generated, target) == pytest.approx(expected, rel=1e-9)
    assert of_pairs(protocol, [compared(protocol.extractor(), generated, target)]).metric == metric


def test_two_black_images_have_no_relative_difference() -> None:
    black = np.zeros((9, 7, 3), np.uint8)
    assert alone(L1(form="relative"), black, black) == BLACK
    assert alone(L1(form="relative"), black, black + 1) == 1


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"form": "relative", "scale": "255"}, "a relative difference has no scale"),
        ({"form": "root", "scale": "per-pixel"}, "scale=per-pixel goes with form=mean"),
        ({"form": "squared", "scale": "2"}, r"a squared difference is on \[0, 1\]: leave scale out"),
    ],
)
def test_what_makes_no_sense_together_is_refused(options: dict[str, str], sentence: str) -> None:
    with pytest.raises(UserError, match=f"protocol 'l1': {sentence}\\.$"):
        configure(L1, "paper", options)


@pytest.mark.parametrize("option", ["nan", "-inf", "1e999"])
def test_identical_images_have_a_number_or_are_inf(option: str) -> None:
    with pytest.raises(UserError, match=r"option 'psnr\.identical' cannot be"):
        configure(Psnr, "paper", {"identical": option})


def test_folders_of_jpeg_and_png_score_as_discos_script_would(tmp_path: Path) -> None:
    stored: dict[str, list[Image]] = {"generated": [], "target": []}
    for i, pair in enumerate(batch_of_pairs(3)):
        for role, image in zip(("generated", "target"), pair, strict=True):
            file = tmp_path / role / f"{i}.{'jpg' if role == 'generated' else 'png'}"
            file.parent.mkdir(exist_ok=True)
            PillowImage.fromarray(image).save(file)
            stored[role].append(np.asarray(PillowImage.open(file)))
    grey = Geometry.parse("expect(width=21, height=33) > grey")
    protocols = [
        Ssim(window="uniform", taps=7, covariance="sample", generated_geometry=grey, target_geometry=grey),
        Psnr(identical=100),
        L1(scale="per-pixel"),
    ]
    pairs = Pairs.from_folders(tmp_path / "generated", tmp_path / "target", naming="same-name")
    with Cache(tmp_path / "cache") as cache:
        run = evaluate(pairs, protocols, engine=open_engine("local", cache, device="cpu"))
    greys = {role: [cv2.cvtColor(i, cv2.COLOR_RGB2GRAY) for i in images] for role, images in stored.items()}
    both = list(zip(stored["generated"], stored["target"], strict=True))
    expected = {
        "ssim": [metrics.structural_similarity(x, y) for x, y in zip(*greys.values(), strict=True)],
        "psnr": [metrics.peak_signal_noise_ratio(y, x) for x, y in both],
        "l1": [(np.abs(x.astype(float) - y.astype(float)) / (33 * 21)).mean() for x, y in both],
    }
    for metric, values in expected.items():
        assert run.scores[metric].value == pytest.approx(float(np.mean(values)), rel=1e-9)


def test_records_of_a_pair_are_scalars_of_float64() -> None:
    record: Record = record_of(compared(PixelDifference(), *pictures()["photographs"]))
    assert record.keys() == {"mse", "mae", "sum", "area"}
    assert all(value.shape == () and value.dtype == np.float64 for value in record.values())
    assert float(record["area"]) == 101 * 67
