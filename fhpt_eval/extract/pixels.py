"""Pixel by pixel: structural similarity and mean differences; and the size of an image."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from fhpt_eval.extract.extractor import (
    Context,
    Encoded,
    ImageExtractor,
    PairExtractor,
    PairModel,
    Pixels,
    size_mismatch,
)
from fhpt_eval.records import Missing, Result

Window = Literal["gaussian", "uniform"]
Covariance = Literal["population", "sample"]
Border = Literal["cut", "kept"]
DataRange = Literal["255", "1", "generated"]
Arithmetic = Literal["float64", "float32", "float32-pytorch-msssim"]
AnyFloats = npt.NDArray[np.floating[Any]]
Filter: TypeAlias = Callable[[AnyFloats], AnyFloats]


@dataclass(frozen=True, kw_only=True)
class StructuralSimilarity(PairExtractor):
    """Records ``ssim`` (float64 scalar, ≤ 1), as scikit-image's ``structural_similarity`` computes it.

    Also ``constant``, where ``data_range=generated`` is 0; ``ssim`` may be NaN then.

    Wang et al., IEEE TIP 2004, with K1 = 0.01 and K2 = 0.03; the map is cropped by half a window and averaged over
    pixels and channels. See `fhpt_eval.protocols.ssim` for what the fields mean and who uses which.
    """

    name: ClassVar[str] = "ssim"
    libraries: ClassVar[tuple[str, ...]] = ("opencv", "scipy")
    one_size: ClassVar[bool] = True
    bytes_per_pixel: ClassVar[int] = 200
    bytes_per_encoded_pixel: ClassVar[int] = 72
    window: Window = "gaussian"
    sigma: float = 1.5
    taps: int = 11
    covariance: Covariance = "population"
    data_range: DataRange = "255"
    arithmetic: Arithmetic = "float64"
    border: Border = "cut"

    def load(self, context: Context) -> PairModel:
        """Return the model; nothing is loaded."""
        return _Ssim(self, reference_math=context.reference_math)


class _Ssim(PairModel):
    def __init__(self, spec: StructuralSimilarity, *, reference_math: bool) -> None:
        self._spec = spec
        self._by_formula = reference_math
        # scikit-image filters by SciPy.
        scipys = reference_math and spec.arithmetic == "float64"
        self._filter = (_filter_scipy if scipys else _FILTERS[spec.arithmetic])(spec)
        # scikit-image crops by its nominal window, which for σ = 1.5 is 11 taps whatever the truncation.
        nominal = spec.window == "gaussian" and spec.arithmetic != "float32-pytorch-msssim"
        self._crop = (gaussian_taps(spec.sigma) if nominal else spec.taps) // 2
        count = (2 * self._crop + 1) ** 2
        self._unbias = count / (count - 1) if spec.covariance == "sample" else 1.0

    def encode(self, images: Sequence[Pixels]) -> list[Encoded]:
        encoded: list[Encoded] = []
        for image in images:
            x: AnyFloats = image.astype("float64" if self._spec.arithmetic == "float64" else "float32")
            if self._spec.data_range == "1":
                x /= 255
            elif self._spec.arithmetic == "float32":
                # By way of [0, 1], as scripts in float32 do: where digits cancel, this rounding is seen.
                x = x / 255 * 255
            encoded.append((x, *_moments(x, self._filter)))
        return encoded

    def compare(self, pairs: Sequence[tuple[Encoded, Encoded]]) -> list[Result]:
        return [self._similarity(first, second) for first, second in pairs]

    def _similarity(self, first: Encoded, second: Encoded) -> Result:
        x, y = first[0], second[0]
        if mismatch := size_mismatch(x.shape[1::-1], y.shape[1::-1]):
            return mismatch
        side = 2 * self._crop + 1
        if min(x.shape[:2]) < side:
            return Missing(f"smaller than the {side}×{side} window")
        span = float(x.max() - x.min()) if self._spec.data_range == "generated" else float(self._spec.data_range)
        if span == 0:
            return self._constant(x, y)
        return {"ssim": np.array(self._mean(first, second, self._filter, span))}

    def _constant(self, x: AnyFloats, y: AnyFloats) -> Result:
        """Return what is left where nothing keeps 0 from being divided by 0: scikit-image's own rounding decides."""
        scipys = _filter_scipy(self._spec)
        first, second = ((image, *_moments(image, scipys)) for image in (x, y))
        with np.errstate(invalid="ignore", divide="ignore"):
            similarity = self._mean(first, second, scipys, 0.0)
        return {"ssim": np.array(similarity), "constant": np.array(True)}

    def _mean(self, first: Encoded, second: Encoded, filtered: Filter, span: float) -> np.float64:
        """Return the mean of the similarity's map."""
        c1, c2 = (0.01 * span) ** 2, (0.03 * span) ** 2
        similarity = (_map_by_formula if self._by_formula else _map)(first, second, filtered, self._unbias, c1, c2)
        c = self._crop
        if self._spec.border == "cut":
            similarity = similarity[c : similarity.shape[0] - c, c : similarity.shape[1] - c]
        return np.float64(similarity.mean(dtype=np.float64))


def _map_by_formula(
    first: Encoded, second: Encoded, filtered: Filter, unbias: float, c1: float, c2: float
) -> AnyFloats:
    """Return the similarity at each pixel (Wang et al., equation 13)."""
    (x, mean_x, var_x), (y, mean_y, var_y) = first, second
    covariance = unbias * (filtered(x * y) - mean_x * mean_y)
    found: AnyFloats = ((2 * mean_x * mean_y + c1) * (2 * covariance + c2)) / (
        (mean_x * mean_x + mean_y * mean_y + c1) * (unbias * (var_x + var_y) + c2)
    )
    return found


def _map(first: Encoded, second: Encoded, filtered: Filter, unbias: float, c1: float, c2: float) -> AnyFloats:
    """Return `_map_by_formula`, to the bit, in three arrays: new memory takes as long as the arithmetic."""
    (x, mean_x, var_x), (y, mean_y, var_y) = first, second
    below = x * y
    found = filtered(below)
    cross = mean_x * mean_y
    found -= cross
    found *= unbias
    found *= 2
    found += c2
    cross *= 2
    cross += c1
    found *= cross
    np.multiply(mean_x, mean_x, out=below)
    np.multiply(mean_y, mean_y, out=cross)
    below += cross
    below += c1
    np.add(var_x, var_y, out=cross)
    cross *= unbias
    cross += c2
    below *= cross
    found /= below
    return found


def _moments(x: AnyFloats, filtered: Filter) -> tuple[AnyFloats, AnyFloats]:
    """Return mean and variance about each pixel."""
    mean, square = filtered(x), x * x
    variance = filtered(square)
    variance -= np.multiply(mean, mean, out=square)
    return mean, variance


def _filter_cv2(spec: StructuralSimilarity) -> Filter:
    import cv2

    kernel = _gaussian(spec.sigma, spec.taps) if spec.window == "gaussian" else np.full(spec.taps, 1 / spec.taps)
    edge = cv2.BORDER_REFLECT if spec.border == "cut" else cv2.BORDER_REFLECT_101
    return lambda x: np.asarray(cv2.sepFilter2D(x, cv2.CV_64F, kernel, kernel, borderType=edge), np.float64)


def _filter_scipy(spec: StructuralSimilarity) -> Filter:
    """SciPy's filters, as in scikit-image: where E[x²] − E[x]² cancels, their rounding decides."""
    from scipy.ndimage import gaussian_filter, uniform_filter

    edge = "reflect" if spec.border == "cut" else "mirror"
    if spec.window == "uniform":
        return lambda x: np.asarray(uniform_filter(x, spec.taps, axes=(0, 1), mode=edge))
    return lambda x: np.asarray(gaussian_filter(x, spec.sigma, radius=spec.taps // 2, axes=(0, 1), mode=edge))


def _filter_torch(spec: StructuralSimilarity) -> Filter:
    """PyTorch's convolutions by a Gaussian in float32, as in pytorch-msssim; what lies beyond the edge is cut off."""
    import torch

    line = torch.exp(-((torch.arange(spec.taps, dtype=torch.float32) - spec.taps // 2) ** 2) / (2 * spec.sigma**2))
    line /= line.sum()
    down, across = line.view(1, 1, -1, 1), line.view(1, 1, 1, -1)
    half = spec.taps // 2

    def mean(x: AnyFloats) -> AnyFloats:
        channels = torch.from_numpy(np.ascontiguousarray(x.transpose(2, 0, 1)))[:, None]
        with torch.inference_mode():
            rows = torch.nn.functional.conv2d(channels, down, padding=(half, 0))
            smooth = torch.nn.functional.conv2d(rows, across, padding=(0, half))
        return np.asarray(smooth[:, 0].numpy().transpose(1, 2, 0))

    return mean


_FILTERS: Mapping[Arithmetic, Callable[[StructuralSimilarity], Filter]] = {
    "float64": _filter_cv2,
    "float32": _filter_scipy,
    "float32-pytorch-msssim": _filter_torch,
}


def gaussian_taps(sigma: float) -> int:
    """Width of scikit-image's Gaussian window: 11 for σ 1.5, 9 for σ 1.2 (truncated at 3.5σ, since 0.15)."""
    return 2 * int(3.5 * sigma + 0.5) + 1


def _gaussian(sigma: float, taps: int) -> AnyFloats:
    x = np.arange(taps) - taps // 2
    weights = np.exp(-0.5 * (x / sigma) ** 2)
    return np.asarray(weights / weights.sum())


DifferenceArithmetic = Literal["float64", "uint8"]


@dataclass(frozen=True, kw_only=True)
class PixelDifference(PairExtractor):
    """Records of two H×W×3 images, over pixels and channels, as float64 scalars.

    ``mse`` (0…255²) and ``mae`` (0…255), means of the squared and the absolute second less first; ``sum`` (0…510), the
    mean of first plus second; ``area``, H·W.

    Attributes:
        arithmetic: ``float64``, or ``uint8``, in which the difference and its square wrap around: NumPy without a cast,
            on pixels that have to be uint8.
    """

    name: ClassVar[str] = "pixel-difference"
    libraries: ClassVar[tuple[str, ...]] = ("opencv",)
    one_size: ClassVar[bool] = True
    bytes_per_pixel: ClassVar[int] = 100
    bytes_per_encoded_pixel: ClassVar[int] = 12
    arithmetic: DifferenceArithmetic = "float64"

    def load(self, context: Context) -> PairModel:
        """Return the model; nothing is loaded."""
        return _Difference(self.arithmetic, reference_math=context.reference_math)


class _Difference(PairModel):
    def __init__(self, arithmetic: DifferenceArithmetic, *, reference_math: bool) -> None:
        self._dtype = np.dtype(arithmetic)
        self._by_formula = reference_math

    def encode(self, images: Sequence[Pixels]) -> list[Encoded]:
        return [(image,) for image in images]

    def compare(self, pairs: Sequence[tuple[Encoded, Encoded]]) -> list[Result]:
        return [self._difference(first, second) for first, second in pairs]

    def _difference(self, first: Encoded, second: Encoded) -> Result:
        x: Any = first[0]
        y: Any = second[0]
        if mismatch := size_mismatch(x.shape[1::-1], y.shape[1::-1]):
            return mismatch
        if not (np.can_cast(x.dtype, self._dtype) and np.can_cast(y.dtype, self._dtype)):
            return Missing("pixels with fractions in uint8 arithmetic: end the geometry with round or truncate")
        if x.dtype == y.dtype == np.uint8 and self._dtype == np.float64 and not self._by_formula:
            return self._of_bytes(x, y)
        difference = y.astype(self._dtype) - x.astype(self._dtype)
        return {
            "mse": np.array(np.square(difference).mean()),
            "mae": np.array(np.abs(difference).mean()),
            "sum": np.array(np.add(x, y, dtype=np.float64).mean()),
            "area": np.array(float(x.shape[0] * x.shape[1])),
        }

    def _of_bytes(self, x: Any, y: Any) -> Result:
        """Return the same, to the bit, by fewer sums: those of whole numbers are exact in float64, in any order."""
        import cv2

        difference = cv2.absdiff(x, y).astype(np.float64).ravel()
        return {
            "mse": np.array(difference @ difference / x.size),
            "mae": np.array(difference.sum() / x.size),
            "sum": np.array((sum(cv2.sumElems(x)) + sum(cv2.sumElems(y))) / x.size),
            "area": np.array(float(x.shape[0] * x.shape[1])),
        }


@dataclass(frozen=True, kw_only=True)
class FrameSize(ImageExtractor):
    """Records ``size`` (width, height; int32): of the image as the geometry leaves it, in pixels."""

    name: ClassVar[str] = "frame-size"
    bytes_per_pixel: ClassVar[int] = 0

    def load(self, context: Context) -> Callable[[Sequence[Pixels]], list[Result]]:  # noqa: ARG002 - runs on the CPU
        """Return the measurement; nothing is loaded."""
        return lambda images: [{"size": np.array(image.shape[1::-1], np.int32)} for image in images]
