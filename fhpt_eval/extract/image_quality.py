"""Image quality by metrics of pyiqa: of one image, or of an image and its reference."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from fhpt_eval.extract.extractor import (
    Context,
    Encoded,
    ImageExtractor,
    PairExtractor,
    PairModel,
    Pixels,
    size_mismatch,
)
from fhpt_eval.extract.numerics import Precision
from fhpt_eval.files.given import GivenFolder
from fhpt_eval.records import Missing, Result

if TYPE_CHECKING:
    from fhpt_eval.extract.pyiqa_library import Measure

_LIBRARIES = ("torch", "torchvision", "timm", "scipy", "pyiqa")


@dataclass(frozen=True, kw_only=True)
class ImageQuality(ImageExtractor):
    """Records ``value`` (float64 scalar): a metric without reference of an image, [0, 1] RGB, one image at a time.

    Attributes:
        metric: Pyiqa's name.
        files: The folder of its weights; None where it has none.
    """

    name: ClassVar[str] = "image-quality"
    libraries: ClassVar[tuple[str, ...]] = _LIBRARIES
    extra: ClassVar[str] = "iqa"
    precisions: ClassVar[tuple[Precision, ...]] = ("float32", "tf32")
    metric: str = "piqe"
    files: GivenFolder | None = None

    def load(self, context: Context) -> Callable[[Sequence[Pixels]], list[Result]]:
        """Import pyiqa and build the metric."""
        measure = _loaded(self.metric, self.files, context)
        return lambda images: [_value(measure, self.metric, context.device, image) for image in images]


@dataclass(frozen=True, kw_only=True)
class ImageFidelity(PairExtractor):
    """Records ``value`` (float64 scalar): a metric of the first image with the second as its reference, [0, 1] RGB.

    Attributes:
        metric: Pyiqa's name.
        files: The folder of its weights; None where it has none.
    """

    name: ClassVar[str] = "image-fidelity"
    libraries: ClassVar[tuple[str, ...]] = _LIBRARIES
    extra: ClassVar[str] = "iqa"
    precisions: ClassVar[tuple[Precision, ...]] = ("float32", "tf32")
    one_size: ClassVar[bool] = True
    bytes_per_encoded_pixel: ClassVar[int] = 12
    metric: str = "fsim"
    files: GivenFolder | None = None

    def load(self, context: Context) -> PairModel:
        """Import pyiqa and build the metric."""
        return _Pairs(_loaded(self.metric, self.files, context), self.metric, context.device)


class _Pairs(PairModel):
    def __init__(self, measure: Measure, metric: str, device: str) -> None:
        self._measure = measure
        self._metric = metric
        self._device = device

    def encode(self, images: Sequence[Pixels]) -> list[Encoded]:
        return [(image,) for image in images]

    def compare(self, pairs: Sequence[tuple[Encoded, Encoded]]) -> list[Result]:
        return [
            size_mismatch((x.shape[1], x.shape[0]), (y.shape[1], y.shape[0]))
            or _value(self._measure, self._metric, self._device, x, y)
            for (x,), (y,) in pairs
        ]


def _loaded(metric: str, files: GivenFolder | None, context: Context) -> Measure:
    from fhpt_eval.extract._torch import set_tf32
    from fhpt_eval.extract.pyiqa_library import load

    set_tf32(context)
    return load(metric, files, context.device)


def _value(measure: Measure, metric: str, device: str, *images: Pixels) -> Result:
    import torch

    from fhpt_eval.extract._torch import upload

    try:
        found = measure(*((upload([image], device).float().clamp(0, 255) / 255).contiguous() for image in images))
    except torch.OutOfMemoryError:
        raise
    except (AssertionError, IndexError, RuntimeError, ValueError) as error:
        # Mostly an image that is too small for the metric's scales or patches; each metric says so in its own way.
        return Missing(
            f"pyiqa's {metric} takes no image of {images[0].shape[1]}×{images[0].shape[0]} ({type(error).__name__})"
        )
    value = float(found.reshape(()))
    if not np.isfinite(value):
        return Missing(f"pyiqa's {metric} gives no finite number")
    return {"value": np.array(value)}
