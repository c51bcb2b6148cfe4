"""Every resize filter against a direct call of the library that it is named after."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image
from torch.nn import functional
from torch_fidelity.interpolate_compat_tensorflow import interpolate_bilinear_2d_like_tensorflow1x

from fhpt_eval.images.geometry import FILTERS, Geometry

# (height, width) before and after: down, up, both at once, odd sizes, single pixels, nothing to do.
SIZES = [
    ((64, 48), (32, 24)),
    ((17, 23), (41, 57)),
    ((51, 20), (13, 63)),
    ((256, 176), (299, 299)),
    ((1, 1), (5, 3)),
    ((9, 7), (1, 1)),
    ((1, 8), (8, 1)),
    ((31, 29), (31, 29)),
]
PIL_FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "box": Image.Resampling.BOX,
    "bilinear": Image.Resampling.BILINEAR,
    "hamming": Image.Resampling.HAMMING,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
CV2_FILTERS = {
    "nearest": cv2.INTER_NEAREST,
    "bilinear": cv2.INTER_LINEAR,
    "cubic": cv2.INTER_CUBIC,
    "area": cv2.INTER_AREA,
    "lanczos4": cv2.INTER_LANCZOS4,
}
CV2_FLOAT_FILTERS = {"bilinear": cv2.INTER_LINEAR, "cubic": cv2.INTER_CUBIC}
TORCH_FILTERS: dict[str, dict[str, Any]] = {
    "torch-nearest": {"mode": "nearest"},
    "torch-area": {"mode": "area"},
    "torch-bilinear": {"mode": "bilinear", "align_corners": False},
    "torch-bicubic": {"mode": "bicubic", "align_corners": False},
    "torch-antialias-bilinear": {"mode": "bilinear", "align_corners": False, "antialias": True},
    "torch-antialias-bicubic": {"mode": "bicubic", "align_corners": False, "antialias": True},
}
each_size = pytest.mark.parametrize(("before", "after"), SIZES)


def noise(size: tuple[int, int]) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(3).integers(0, 256, (*size, 3), dtype=np.uint8)


def resized(pixels: npt.NDArray[np.uint8], after: tuple[int, int], name: str, then: str = "") -> npt.NDArray[Any]:
    return Geometry.parse(f"resize(width={after[1]}, height={after[0]}, filter={name}){then}").apply(pixels)


def channels_first(pixels: npt.NDArray[np.uint8]) -> torch.Tensor:
    return torch.from_numpy(pixels).permute(2, 0, 1)[None].contiguous().float()


def channels_last(tensor: torch.Tensor) -> npt.NDArray[np.float32]:
    result: npt.NDArray[np.float32] = tensor[0].permute(1, 2, 0).numpy()
    return result


def assert_same(actual: npt.NDArray[Any], expected: npt.NDArray[Any]) -> None:
    assert actual.dtype == expected.dtype
    assert actual.flags.c_contiguous
    np.testing.assert_array_equal(actual, expected)


def test_every_filter_has_a_reference_here() -> None:
    named = {f"pil-{name}" for name in PIL_FILTERS} | {f"cv2-{name}" for name in CV2_FILTERS} | set(TORCH_FILTERS)
    named |= {f"cv2-float-{name}" for name in CV2_FLOAT_FILTERS}
    named |= {f"pil-float-{name}" for name in ("box", "bilinear", "bicubic", "lanczos")} | {"tf1-bilinear"}
    assert named == set(FILTERS)


@each_size
@pytest.mark.parametrize("name", PIL_FILTERS)
def test_pil_filters_are_pillows(name: str, before: tuple[int, int], after: tuple[int, int]) -> None:
    pixels = noise(before)
    expected = Image.fromarray(pixels).resize(after[::-1], PIL_FILTERS[name])
    assert_same(resized(pixels, after, f"pil-{name}"), np.asarray(expected))


@each_size
@pytest.mark.parametrize("name", ["box", "bilinear", "bicubic", "lanczos"])
def test_pil_float_filters_are_pillows_in_mode_f(name: str, before: tuple[int, int], after: tuple[int, int]) -> None:
    pixels = noise(before)
    planes = [Image.fromarray(np.ascontiguousarray(pixels[:, :, channel])).convert("F") for channel in range(3)]
    expected = np.dstack([np.asarray(plane.resize(after[::-1], PIL_FILTERS[name])) for plane in planes])
    assert_same(resized(pixels, after, f"pil-float-{name}"), expected)


@each_size
def test_bicubic_in_float_then_clip_is_clean_fids_resize(before: tuple[int, int], after: tuple[int, int]) -> None:
    pixels = noise(before)

    # clean-fid 0.1.35, resize.py: make_resizer("PIL", quantize_after=False, "bicubic", ...)
    def single_channel(values: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        image = Image.fromarray(values.astype(np.float32)).resize(after[::-1], resample=Image.Resampling.BICUBIC)
        return np.asarray(image).clip(0, 255).reshape(*after, 1)

    expected = np.concatenate([single_channel(pixels[:, :, channel]) for channel in range(3)], axis=2)
    assert_same(resized(pixels, after, "pil-float-bicubic", " > clip"), expected)


@each_size
@pytest.mark.parametrize("name", CV2_FILTERS)
def test_cv2_filters_are_opencvs_in_either_channel_order(
    name: str, before: tuple[int, int], after: tuple[int, int]
) -> None:
    pixels = noise(before)
    bgr = np.ascontiguousarray(pixels[:, :, ::-1])
    expected = cv2.resize(bgr, after[::-1], interpolation=CV2_FILTERS[name])
    assert_same(resized(pixels, after, f"cv2-{name}"), np.ascontiguousarray(expected[:, :, ::-1]))


@each_size
@pytest.mark.parametrize("name", CV2_FLOAT_FILTERS)
def test_cv2_float_filters_are_opencvs_of_float32(name: str, before: tuple[int, int], after: tuple[int, int]) -> None:
    pixels = noise(before)
    # PIDM and PCDMs: cv2.resize(imread(file).astype(np.float32), (width, height), interpolation=...)
    expected = cv2.resize(pixels.astype(np.float32), after[::-1], interpolation=CV2_FLOAT_FILTERS[name])
    assert_same(resized(pixels, after, f"cv2-float-{name}"), expected)


def test_cv2s_bilinear_of_floats_is_that_of_bytes_but_for_the_rounding() -> None:
    pixels = noise((256, 256))
    floats, whole = (resized(pixels, (256, 176), f"cv2-{name}") for name in ("float-bilinear", "bilinear"))
    # Of bytes OpenCV computes in fixed point.
    assert 0.4 < np.abs(floats - whole).max() < 0.6


@pytest.mark.parametrize("size", [(1, 1), (31, 29), (64, 48)])
def test_grey_is_opencvs_in_either_channel_order(size: tuple[int, int]) -> None:
    pixels = noise(size)
    grey = Geometry.parse("grey").apply(pixels)
    bgr = np.ascontiguousarray(pixels[:, :, ::-1])
    assert_same(grey, np.dstack([cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY)] * 3))


@each_size
@pytest.mark.parametrize("name", TORCH_FILTERS)
def test_torch_filters_are_interpolate(name: str, before: tuple[int, int], after: tuple[int, int]) -> None:
    pixels = noise(before)
    expected = functional.interpolate(channels_first(pixels), size=after, **TORCH_FILTERS[name])
    assert_same(resized(pixels, after, name), channels_last(expected))


@each_size
def test_tf1_bilinear_is_torch_fidelitys(before: tuple[int, int], after: tuple[int, int]) -> None:
    pixels = noise(before)
    expected = interpolate_bilinear_2d_like_tensorflow1x(channels_first(pixels), size=after, align_corners=False)
    assert_same(resized(pixels, after, "tf1-bilinear"), channels_last(expected))


def test_tf1_bilinear_of_a_ramp_by_hand() -> None:
    ramp = np.repeat(np.array([[0, 100]], dtype=np.uint8)[:, :, None], 3, axis=2)
    # No half-pixel centres: positions 0, ½, 1, 1½ of the two columns, the last beyond the edge.
    assert resized(ramp, (1, 4), "tf1-bilinear")[0, :, 0].tolist() == [0, 50, 100, 100]


def test_cflds_own_quantisation_is_antialiased_bicubic_then_truncate() -> None:
    pixels = noise((64, 64))
    unit = functional.interpolate(
        channels_first(pixels) / 255, size=(32, 22), mode="bicubic", align_corners=False, antialias=True
    )
    expected = channels_last((unit * 255).clamp(0, 255).to(torch.uint8).float())
    actual = resized(pixels, (32, 22), "torch-antialias-bicubic", " > truncate")
    # Filtering on the scale 0…1 instead of 0…255 rounds differently: a level at most, where a value is nearly whole.
    difference = np.abs(actual.astype(np.float32) - expected)
    assert difference.max() <= 1
    assert (difference > 0).mean() < 0.001
