"""SSIM and PSNR against scikit-image: the same to 1e-10, which is more than the 1e-6 that is promised."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import skimage
from scipy.ndimage import gaussian_filter
from toys import StubRecords, compare_two
from windows import WINDOWS, each_window

from fhpt_eval import Pairs
from fhpt_eval.extract.extractor import Context, PairExtractor
from fhpt_eval.extract.pixels import Covariance, DataRange, PixelDifference, StructuralSimilarity
from fhpt_eval.pairing.pairs import Pair, PairReport
from fhpt_eval.protocols.psnr import IDENTICAL, Psnr
from fhpt_eval.records import Missing, Record

Image = npt.NDArray[Any]
# Any, because scikit-image is typed in part only.
data: Any = skimage.data
metrics: Any = skimage.metrics

each_covariance = pytest.mark.parametrize("covariance", ["population", "sample"])
each_range = pytest.mark.parametrize("data_range", ["255", "generated"])


def pictures() -> dict[str, tuple[Image, Image]]:
    """Pairs of uint8 images, generated and target, of even and odd sizes."""
    rng = np.random.default_rng(1)
    astronaut, coffee = data.astronaut(), data.coffee()
    flat = np.full((53, 60, 3), 128, np.uint8)
    return {
        "another photograph": (astronaut[:101, :67], coffee[100:201, 100:167]),
        "noise on a photograph": (
            np.clip(astronaut[50:114, 90:141] + rng.normal(0, 20, (64, 51, 3)), 0, 255).astype(np.uint8),
            astronaut[50:114, 90:141],
        ),
        "moved by a pixel": (coffee[100:356, 101:277], coffee[100:356, 100:276]),
        "least": (astronaut[60:111, 200:251], astronaut[61:112, 200:251]),
        "nearly constant": (flat + rng.integers(0, 2, flat.shape, dtype=np.uint8), flat),
        "nearly constant, bright against dark": (255 - rng.integers(0, 2, flat.shape, dtype=np.uint8), flat // 128),
    }


each_picture = pytest.mark.parametrize("picture", pictures())


def compared(extractor: PairExtractor, first: Image, second: Image) -> Record:
    model = extractor.load(Context())
    result = compare_two(model, first, second)
    assert not isinstance(result, Missing)
    return result


def ssim(first: Image, second: Image, **fields: Any) -> float:
    return float(compared(StructuralSimilarity(**fields), first, second)["ssim"])


def span(data_range: DataRange, generated: Image) -> float:
    return 255.0 if data_range == "255" else float(generated.max()) - float(generated.min())


@each_picture
@each_range
@each_covariance
@each_window
def test_ssim_of_bytes_is_scikit_images(
    window: str, covariance: Covariance, data_range: DataRange, picture: str
) -> None:
    generated, target = pictures()[picture]
    ours, theirs = WINDOWS[window]
    expected = metrics.structural_similarity(
        generated,
        target,
        channel_axis=2,
        use_sample_covariance=covariance == "sample",
        data_range=span(data_range, generated),
        **theirs,
    )
    assert ssim(generated, target, covariance=covariance, data_range=data_range, **ours) == pytest.approx(
        expected, abs=1e-10
    )


@each_range
@each_covariance
@each_window
def test_ssim_of_floats_is_scikit_images(window: str, covariance: Covariance, data_range: DataRange) -> None:
    noise = np.random.default_rng(2).normal(0, 3, (256, 176, 3))
    generated, target = ((image + noise).astype(np.float32) for image in pictures()["moved by a pixel"])
    ours, theirs = WINDOWS[window]
    settings = {"use_sample_covariance": covariance == "sample", "data_range": span(data_range, generated)} | theirs
    actual = ssim(generated, target, covariance=covariance, data_range=data_range, **ours)
    in_float64 = metrics.structural_similarity(
        generated.astype(np.float64), target.astype(np.float64), channel_axis=2, **settings
    )
    assert actual == pytest.approx(in_float64, abs=1e-10)
    # scikit-image itself keeps float32 and loses digits in E[x²] − E[x]².
    assert actual == pytest.approx(
        float(metrics.structural_similarity(generated, target, channel_axis=2, **settings)), abs=1e-4
    )


@each_range
@each_covariance
@each_picture
def test_ssim_of_13_taps_is_that_of_scikit_image_before_0_15(
    covariance: Covariance, data_range: DataRange, picture: str
) -> None:
    generated, target = pictures()[picture]
    total = 0.0
    for channel in range(3):
        x, y = (image[:, :, channel].astype(np.float64) for image in (generated, target))

        # scikit-image ≤ 0.14, compare_ssim: SciPy's default truncation, but still a nominal window of 11.
        def mean(values: Image) -> Image:
            return np.asarray(gaussian_filter(values, 1.5, truncate=4.0))

        unbias = 121 / 120 if covariance == "sample" else 1
        c1, c2 = (0.01 * span(data_range, generated)) ** 2, (0.03 * span(data_range, generated)) ** 2
        ux, uy = mean(x), mean(y)
        vx, vy, vxy = (unbias * (mean(a * b) - mean(a) * mean(b)) for a, b in ((x, x), (y, y), (x, y)))
        values = ((2 * ux * uy + c1) * (2 * vxy + c2)) / ((ux**2 + uy**2 + c1) * (vx + vy + c2))
        total += values[5:-5, 5:-5].mean()
    actual = ssim(generated, target, taps=13, covariance=covariance, data_range=data_range)
    assert actual == pytest.approx(total / 3, abs=1e-10)


@each_window
def test_ssim_of_identical_images_is_one(window: str) -> None:
    image = data.chelsea()[:60, :71]
    assert ssim(image, image, **WINDOWS[window][0]) == 1


@pytest.mark.parametrize(
    ("fields", "side"),
    [({}, 11), ({"taps": 13}, 11), ({"sigma": 1.2, "taps": 9}, 9), ({"window": "uniform", "taps": 7}, 7)],
)
def test_ssim_takes_the_sizes_that_scikit_image_takes(fields: dict[str, Any], side: int) -> None:
    image = data.chelsea()
    assert ssim(image[:side, : side + 5], image[1 : side + 1, : side + 5], **fields) < 1
    model = StructuralSimilarity(**fields).load(Context())
    small = model.encode([image[: side + 5, : side - 1]])[0]
    assert model.compare([(small, small)])[0] == Missing(f"smaller than the {side}×{side} window")
    if fields.get("taps") != 13:
        theirs = next(theirs for ours, theirs in WINDOWS.values() if ours == fields)
        with pytest.raises(ValueError, match="win_size exceeds image extent"):
            metrics.structural_similarity(*[image[: side + 5, : side - 1]] * 2, channel_axis=2, **theirs)


def test_ssim_by_the_range_of_a_constant_generated_image_is_what_rounding_leaves() -> None:
    flat, image = np.full((20, 20, 3), 7, np.uint8), data.chelsea()[:20, :20]
    model = StructuralSimilarity(data_range="generated").load(Context())
    result = compare_two(model, flat, image)
    assert not isinstance(result, Missing)
    assert result["constant"]
    assert abs(result["ssim"]) < 1e-9
    assert "constant" not in compare_two(model, image, flat)


@pytest.mark.parametrize("extractor", [StructuralSimilarity(), PixelDifference()])
def test_images_of_different_sizes_are_missing(extractor: PairExtractor) -> None:
    model = extractor.load(Context())
    narrow, wide = np.zeros((30, 20, 3), np.uint8), np.zeros((30, 21, 3), np.uint8)
    assert compare_two(model, narrow, wide) == Missing("sizes differ: 20×30 against 21×30 (width×height)")


def psnr(first: Image, second: Image) -> float | Missing:
    pair = Pair(pair="a", generated=None, target=None, source=None)
    pairs = Pairs(rows=(pair,), report=PairReport(matched=1), naming="csv")
    records = StubRecords({("generated", "target"): [compared(PixelDifference(), first, second)]})
    value: float | Missing = Psnr().score(pairs, records)[0].per_pair[0]
    return value


@each_picture
def test_psnr_and_mean_differences_are_scikit_images(picture: str) -> None:
    generated, target = pictures()[picture]
    assert psnr(generated, target) == pytest.approx(
        metrics.peak_signal_noise_ratio(target, generated, data_range=255), rel=1e-12
    )
    record = compared(PixelDifference(), generated, target)
    assert float(record["mse"]) == pytest.approx(metrics.mean_squared_error(target, generated), rel=1e-12)
    assert float(record["mae"]) == pytest.approx(np.abs(generated.astype(int) - target.astype(int)).mean(), rel=1e-12)


def test_psnr_of_bytes_does_not_wrap_around() -> None:
    black, white = np.zeros((8, 8, 3), np.uint8), np.full((8, 8, 3), 255, np.uint8)
    # Wrapped, 0 − 255 is 1, and the PSNR 48 dB.
    assert psnr(black, white) == pytest.approx(0)
    assert psnr(white, black) == pytest.approx(0)
    assert psnr(black + 10, black) == pytest.approx(20 * math.log10(255 / 10))


def test_psnr_of_identical_images_is_counted_apart() -> None:
    image = data.chelsea()[:40, :40]
    assert psnr(image, image) == IDENTICAL
