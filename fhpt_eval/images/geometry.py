"""How a picture's pixels become what a network or a metric looks at: crop, pad, resize, quantise, re-encode.

A ``Geometry`` is a value with one text form, which is part of an extractor's fingerprint:

    crop(left=40, top=0, width=176, height=256) > resize(width=299, height=299, filter=pil-float-bicubic) > clip

Every filter gives, bit for bit, what the library in its name gives; the names keep apart what the libraries call alike.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, fields
from functools import partial
from io import BytesIO
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from PIL import Image
from pydantic_core import CoreSchema, core_schema

from fhpt_eval.errors import UserError, did_you_mean
from fhpt_eval.images.decoding import Rgb, decode
from fhpt_eval.images.formats import ImageError

Array = npt.NDArray[Any]
"""H×W×3, RGB on the scale 0…255: uint8, or float32 after a filter that leaves fractions."""


def _pil(resample: Image.Resampling, pixels: Array, width: int, height: int) -> Array:
    return np.array(Image.fromarray(pixels).resize((width, height), resample))


def _pil_float(resample: Image.Resampling, pixels: Array, width: int, height: int) -> Array:
    channels = np.moveaxis(pixels.astype(np.float32), 2, 0)
    resized = [np.asarray(Image.fromarray(channel).resize((width, height), resample)) for channel in channels]
    return np.stack(resized, axis=2)


def _cv2(interpolation: str, pixels: Array, width: int, height: int) -> Array:
    import cv2

    resized: Array = cv2.resize(pixels, (width, height), interpolation=getattr(cv2, interpolation))
    return resized


def _cv2_float(interpolation: str, pixels: Array, width: int, height: int) -> Array:
    return _cv2(interpolation, pixels.astype(np.float32), width, height)


def _torch(mode: str, antialias: bool, pixels: Array, width: int, height: int) -> Array:
    import torch
    from torch.nn.functional import interpolate

    channels_first = np.array(pixels.transpose(2, 0, 1), dtype=np.float32, order="C")
    align_corners = False if mode in {"bilinear", "bicubic"} else None
    resized = interpolate(
        torch.from_numpy(channels_first)[None],
        size=(height, width),
        mode=mode,
        align_corners=align_corners,
        antialias=antialias,
    )
    return np.ascontiguousarray(resized[0].numpy().transpose(1, 2, 0))


def _tf1(pixels: Array, width: int, height: int) -> Array:
    """Resize as TensorFlow 1's ``resize_bilinear(align_corners=False)``: no half-pixel centres, no antialiasing.

    Columns before rows, all in float32: the order of its kernel, and of torch-fidelity's re-implementation.
    """
    left, right, across = _tf1_neighbours(pixels.shape[1], width)
    above, below, down = _tf1_neighbours(pixels.shape[0], height)
    values = pixels.astype(np.float32)
    columns = values[:, left] + (values[:, right] - values[:, left]) * across[:, None]
    resized: Array = columns[above] + (columns[below] - columns[above]) * down[:, None, None]
    return resized


def _tf1_neighbours(before: int, after: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], Array]:
    position = np.arange(after, dtype=np.float32) * np.float32(before / after)
    low = position.astype(np.int64)
    return low, np.minimum(low + 1, before - 1), position - low.astype(np.float32)


_FILTERS: Mapping[str, Callable[[Array, int, int], Array]] = {
    "pil-nearest": partial(_pil, Image.Resampling.NEAREST),
    "pil-box": partial(_pil, Image.Resampling.BOX),
    "pil-bilinear": partial(_pil, Image.Resampling.BILINEAR),
    "pil-hamming": partial(_pil, Image.Resampling.HAMMING),
    "pil-bicubic": partial(_pil, Image.Resampling.BICUBIC),
    "pil-lanczos": partial(_pil, Image.Resampling.LANCZOS),
    "pil-float-box": partial(_pil_float, Image.Resampling.BOX),
    "pil-float-bilinear": partial(_pil_float, Image.Resampling.BILINEAR),
    "pil-float-bicubic": partial(_pil_float, Image.Resampling.BICUBIC),
    "pil-float-lanczos": partial(_pil_float, Image.Resampling.LANCZOS),
    "cv2-nearest": partial(_cv2, "INTER_NEAREST"),
    "cv2-bilinear": partial(_cv2, "INTER_LINEAR"),
    "cv2-cubic": partial(_cv2, "INTER_CUBIC"),
    "cv2-area": partial(_cv2, "INTER_AREA"),
    "cv2-lanczos4": partial(_cv2, "INTER_LANCZOS4"),
    "cv2-float-bilinear": partial(_cv2_float, "INTER_LINEAR"),
    "cv2-float-cubic": partial(_cv2_float, "INTER_CUBIC"),
    "torch-nearest": partial(_torch, "nearest", False),
    "torch-bilinear": partial(_torch, "bilinear", False),
    "torch-bicubic": partial(_torch, "bicubic", False),
    "torch-area": partial(_torch, "area", False),
    "torch-antialias-bilinear": partial(_torch, "bilinear", True),
    "torch-antialias-bicubic": partial(_torch, "bicubic", True),
    "tf1-bilinear": _tf1,
}
_FLOAT_FILTERS = ("pil-float-", "cv2-float-", "torch-", "tf1-")

FILTERS = tuple(_FILTERS)
"""Names of the resize filters: the library, then what that library calls the filter."""

COLOURS: Mapping[str, int] = {"white": 255, "black": 0, "grey": 128}
"""What ``pad`` can fill with, and the value of its three channels."""

_CHOICES: Mapping[str, tuple[str, ...]] = {
    "filter": FILTERS,
    "colour": tuple(COLOURS),
    "subsampling": ("4:2:0", "4:2:2", "4:4:4"),
}
# 65 500 is the longest side that libjpeg writes; nothing beyond it is a picture of a person.
_LIMITS: Mapping[str, tuple[int, int]] = {
    "left": (0, 65_500),
    "top": (0, 65_500),
    "width": (1, 65_500),
    "height": (1, 65_500),
    "right": (0, 65_500),
    "bottom": (0, 65_500),
    "quality": (1, 100),
}


@dataclass(frozen=True)
class Step:
    """One operation on the pixels; printed as ``keyword(field=value, ...)`` with every field.

    Raises:
        UserError: A value is not one that the field can have.
    """

    keyword: ClassVar[str]

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if name in _CHOICES:
                if value not in _CHOICES[name]:
                    raise UserError(
                        f"{self.keyword} has no {name} '{value}'.{did_you_mean(str(value), _CHOICES[name])}"
                    )
            else:
                low, high = _LIMITS[name]
                if not low <= value <= high:
                    raise UserError(f"{self.keyword}: {name}={value} is out of range; give {low} to {high}.")

    def __call__(self, pixels: Array) -> Array:
        """Apply to H×W×3 pixels; raise ``ImageError`` where the picture's size does not allow it."""
        height, width = pixels.shape[:2]
        if (why := self.refuses(width, height)) is not None:
            raise ImageError(why)
        return self._apply(pixels)

    def _apply(self, pixels: Array) -> Array:
        raise NotImplementedError

    def refuses(self, width: int, height: int) -> str | None:  # noqa: ARG002
        """Return why the step cannot be applied to a picture of this size, in a few words; None where it can."""
        return None

    def leaves(self, width: int, height: int) -> bool:
        """Whether a picture of this size stays as it is: it has the size that the step makes, or asks for."""
        box = {"left": 0, "top": 0, **vars(self)}
        return (box["left"], box["top"], box.get("width"), box.get("height")) == (0, 0, width, height)

    def leaves_stored(self, stored_as: str) -> bool:  # noqa: ARG002
        """Whether a picture stays as it is because its file is of this format."""
        return False

    def size(self, width: int, height: int) -> tuple[int, int]:
        """Width and height of what becomes of a picture of this size."""
        made = vars(self)
        return made.get("width", width), made.get("height", height)

    @property
    def needs_uint8(self) -> bool:
        """Whether pixels with fractions (float32) cannot be taken."""
        return False

    def leaves_float(self, given_float: bool) -> bool:
        """Tell whether the result is float32, given whether the input is."""
        return given_float

    def __str__(self) -> str:
        arguments = ", ".join(f"{name}={value}" for name, value in vars(self).items())
        return f"{self.keyword}({arguments})" if arguments else self.keyword


@dataclass(frozen=True)
class Expect(Step):
    """Change nothing, and refuse a picture of another size: for scripts that never resize what they are given."""

    keyword = "expect"

    width: int
    height: int

    def refuses(self, width: int, height: int) -> str | None:
        """Return that the picture has another size."""
        if (width, height) == (self.width, self.height):
            return None
        return f"the picture is {width}×{height}, and {self} wants {self.width}×{self.height}"

    def _apply(self, pixels: Array) -> Array:
        return pixels


@dataclass(frozen=True)
class Usual(Step):
    """Change nothing: the size that published numbers of a script are of, which takes any and never resizes.

    A run warns of images of another size.
    """

    keyword = "usual"

    width: int
    height: int

    def leaves(self, width: int, height: int) -> bool:  # noqa: ARG002
        """Return True: whatever the size."""
        return True

    def size(self, width: int, height: int) -> tuple[int, int]:
        """Width and height of the picture."""
        return width, height

    def _apply(self, pixels: Array) -> Array:
        return pixels


@dataclass(frozen=True)
class Crop(Step):
    """Cut out a box, given by its corner and size in pixels; it must lie inside the picture."""

    keyword = "crop"

    left: int
    top: int
    width: int
    height: int

    def refuses(self, width: int, height: int) -> str | None:
        """Return that the box does not lie inside."""
        if self.left + self.width <= width and self.top + self.height <= height:
            return None
        box = f"{self.width}×{self.height} at ({self.left}, {self.top})"
        return f"the picture is {width}×{height}, too small for a crop of {box}"

    def _apply(self, pixels: Array) -> Array:
        return _box(pixels, self.left, self.top, self.width, self.height)


@dataclass(frozen=True)
class CentreCrop(Step):
    """Cut out the middle; an odd remainder is cut off at the right and the bottom."""

    keyword = "centre-crop"

    width: int
    height: int

    def refuses(self, width: int, height: int) -> str | None:
        """Return that the picture is smaller."""
        if self.width <= width and self.height <= height:
            return None
        return f"the picture is {width}×{height}, too small for a centre-crop of {self.width}×{self.height}"

    def _apply(self, pixels: Array) -> Array:
        height, width = pixels.shape[:2]
        return _box(pixels, (width - self.width) // 2, (height - self.height) // 2, self.width, self.height)


@dataclass(frozen=True)
class Pad(Step):
    """Put the picture in the middle of a larger one; an odd remainder goes to the right and the bottom.

    PATN and its descendants pad 176×256 with white to 256×256 before they score (``getMetrics_fashion.py``).
    """

    keyword = "pad"

    width: int
    height: int
    colour: str = "white"

    def refuses(self, width: int, height: int) -> str | None:
        """Return that the picture is larger."""
        if self.width >= width and self.height >= height:
            return None
        return f"the picture is {width}×{height}, too large to pad to {self.width}×{self.height}"

    def _apply(self, pixels: Array) -> Array:
        height, width = pixels.shape[:2]
        left, top = (self.width - width) // 2, (self.height - height) // 2
        padded = np.full((self.height, self.width, 3), COLOURS[self.colour], dtype=pixels.dtype)
        padded[top : top + height, left : left + width] = pixels
        return padded


@dataclass(frozen=True)
class Border(Step):
    """Put as many pixels on each side, whatever the picture's size: PATN's ``addBounding`` puts 40 left and right."""

    keyword = "border"

    left: int
    top: int
    right: int
    bottom: int
    colour: str = "white"

    def leaves(self, width: int, height: int) -> bool:  # noqa: ARG002
        """Whether there is no border."""
        return not (self.left or self.top or self.right or self.bottom)

    def size(self, width: int, height: int) -> tuple[int, int]:
        """Width and height with the border."""
        return self.left + width + self.right, self.top + height + self.bottom

    def _apply(self, pixels: Array) -> Array:
        height, width = pixels.shape[:2]
        bordered = np.full((*self.size(width, height)[::-1], 3), COLOURS[self.colour], dtype=pixels.dtype)
        bordered[self.top : self.top + height, self.left : self.left + width] = pixels
        return bordered


@dataclass(frozen=True)
class Resize(Step):
    """Resize to a width and height in pixels; the aspect ratio is not kept.

    * ``pil-*``: ``Image.resize``; always antialiased (except nearest); uint8, rounded and clipped by Pillow.
    * ``pil-float-*``: the same, channel by channel in mode "F"; float32, not clipped. clean-fid's own resize is
      ``pil-float-bicubic`` followed by ``clip``.
    * ``cv2-*``: ``cv2.resize`` with ``INTER_...``; not antialiased (except area); uint8.
    * ``cv2-float-*``: the same of the float32 image, not clipped. PIDM scores its FID and LPIPS on
      ``cv2-float-bilinear``, PCDMs everything on ``cv2-float-cubic``.
    * ``torch-*``: ``torch.nn.functional.interpolate`` on the CPU, ``align_corners=False``; float32, not clipped;
      antialiased only where the name says so.
    * ``tf1-bilinear``: TensorFlow 1's ``resize_bilinear`` with ``align_corners=False``; float32.
    """

    keyword = "resize"

    width: int
    height: int
    filter: str

    def _apply(self, pixels: Array) -> Array:
        return _FILTERS[self.filter](pixels, self.width, self.height)

    @property
    def needs_uint8(self) -> bool:
        """Whether pixels with fractions cannot be taken: so for Pillow's and OpenCV's own way, kept to uint8 here."""
        return not self.filter.startswith(_FLOAT_FILTERS)

    def leaves_float(self, given_float: bool) -> bool:  # noqa: ARG002
        """Tell whether the result is float32, which the filter alone decides."""
        return not self.needs_uint8


@dataclass(frozen=True)
class Jpeg(Step):
    """Encode as JPEG and decode again, with Pillow; the defaults are those of ``Image.save``."""

    keyword = "jpeg"

    quality: int = 75
    subsampling: str = "4:2:0"

    def refuses(self, width: int, height: int) -> str | None:
        """Return that libjpeg writes no such picture."""
        if max(width, height) <= _LIMITS["width"][1]:
            return None
        return f"the picture is {width}×{height}, too large for JPEG"

    def _apply(self, pixels: Array) -> Array:
        height, width = pixels.shape[:2]
        encoded = BytesIO()
        Image.fromarray(pixels).save(encoded, "JPEG", quality=self.quality, subsampling=self.subsampling)
        return decode(encoded.getvalue(), max_pixels=width * height).pixels

    @property
    def needs_uint8(self) -> bool:
        """Whether pixels with fractions cannot be taken: JPEG stores none."""
        return True


@dataclass(frozen=True)
class Resave(Jpeg):
    """Encode as JPEG once more what is a JPEG file, and leave others: ``Image.save`` under the file's own name."""

    keyword = "resave"

    def leaves_stored(self, stored_as: str) -> bool:
        """Whether pictures of a file of this format stay as they are."""
        return stored_as != "JPEG"


@dataclass(frozen=True)
class Grey(Step):
    """Replace all three channels by OpenCV's RGB to grey of uint8 (``cv2.cvtColor``), as DisCo does before SSIM."""

    keyword = "grey"

    def _apply(self, pixels: Array) -> Array:
        import cv2

        return np.repeat(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)[:, :, None], 3, axis=2)

    @property
    def needs_uint8(self) -> bool:
        """Whether pixels with fractions cannot be taken: OpenCV weighs those otherwise."""
        return True


@dataclass(frozen=True)
class Clip(Step):
    """Bring what a filter left below 0 or above 255 to these values, and keep the fractions."""

    keyword = "clip"

    def _apply(self, pixels: Array) -> Array:
        return np.clip(pixels, 0, 255)


@dataclass(frozen=True)
class _Quantise(Step):
    def leaves_float(self, given_float: bool) -> bool:  # noqa: ARG002
        """Tell that the result is uint8, whatever the input."""
        return False


@dataclass(frozen=True)
class Round(_Quantise):
    """Clip to 0…255 and round to uint8; a half goes to the even neighbour, as in ``np.round`` and ``torch.round``."""

    keyword = "round"

    def _apply(self, pixels: Array) -> Array:
        return np.clip(np.rint(pixels), 0, 255).astype(np.uint8)


@dataclass(frozen=True)
class Truncate(_Quantise):
    """Clip to 0…255 and cut the fractions off (``astype(uint8)``), as every descendant of PATN does."""

    keyword = "truncate"

    def _apply(self, pixels: Array) -> Array:
        return np.clip(pixels, 0, 255).astype(np.uint8)


_STEPS: Mapping[str, type[Step]] = {
    step.keyword: step
    for step in (Expect, Usual, Crop, CentreCrop, Pad, Border, Resize, Jpeg, Resave, Grey, Clip, Round, Truncate)
}


@dataclass(frozen=True)
class Geometry:
    """The steps from decoded pixels to what is looked at, in order; none of them: pixels as stored (``native``).

    ``str(geometry)`` is canonical (equal geometries print alike) and ``Geometry.parse`` reads it back. As the type of a
    pydantic field it takes a ``Geometry`` or its text, and is written as text.

    Raises:
        UserError: A step that needs uint8 stands where the steps before leave fractions.
    """

    steps: tuple[Step, ...] = ()

    def __post_init__(self) -> None:
        self.check()

    def check(self, *, given_float: bool = False) -> None:
        """Refuse steps that cannot follow each other.

        Args:
            given_float: Whether the pixels come with fractions, as those under a grey mask.

        Raises:
            UserError: A step that needs uint8 stands where there are fractions.
        """
        is_float = given_float
        for step in self.steps:
            if is_float and step.needs_uint8:
                raise UserError(
                    f"In the geometry '{self}', {step} needs uint8 and what comes before leaves float32; "
                    "put round or truncate in front of it."
                )
            is_float = step.leaves_float(is_float)

    def apply(self, pixels: Rgb, stored_as: str = "PNG") -> Array:
        """Apply all steps.

        Args:
            pixels: H×W×3 uint8 RGB; not changed.
            stored_as: Format of the file that they are from, as `decode` tells it.

        Returns:
            H×W×3 on the scale 0…255, C-contiguous: uint8, or float32 where the last resize left fractions that no
            later step quantised. Bicubic and Lanczos overshoot the scale in float32, unless ``clip`` follows.

        Raises:
            ImageError: The picture is too small for a crop, too large for a pad, or not of the size that is expected.
        """
        result: Array = pixels
        for step in self.steps:
            if not step.leaves_stored(stored_as):
                result = step(result)
        return result

    def size(self, width: int, height: int) -> tuple[int, int] | None:
        """Width and height of what becomes of a picture of this size; None where a step cannot be applied to it."""
        for step in self.steps:
            if step.refuses(width, height) is not None:
                return None
            width, height = step.size(width, height)
        return width, height

    def on(self, width: int, height: int) -> Geometry:
        """Return the same for pictures of one size: without the first steps, as far as they leave these as they are."""
        return Geometry(tuple(itertools.dropwhile(lambda step: step.leaves(width, height), self.steps)))

    @classmethod
    def parse(cls, text: str) -> Geometry:
        """Read the text form; spaces do not matter, fields with a default may be left out.

        Raises:
            UserError: The text is not ``native`` or a chain of known steps with their fields.
        """
        if text.strip() == "native":
            return cls()
        return cls(tuple(_parse_step(part.strip(), text) for part in text.split(">")))

    def __str__(self) -> str:
        return " > ".join(map(str, self.steps)) or "native"

    @classmethod
    def __get_pydantic_core_schema__(cls, source: object, handler: object) -> CoreSchema:
        """Validate from a ``Geometry`` or its text, serialise to text."""

        def read(text: str) -> Geometry:
            try:
                return cls.parse(text)
            except UserError as error:
                raise ValueError(str(error)) from error

        from_text = core_schema.no_info_after_validator_function(read, core_schema.str_schema())

        def read_any(value: object) -> object:
            return read(value) if isinstance(value, str) else value

        return core_schema.json_or_python_schema(
            json_schema=from_text,
            python_schema=core_schema.no_info_before_validator_function(read_any, core_schema.is_instance_schema(cls)),
            serialization=core_schema.to_string_ser_schema(),
        )


def _box(pixels: Array, left: int, top: int, width: int, height: int) -> Array:
    return np.ascontiguousarray(pixels[top : top + height, left : left + width])


def _parse_step(part: str, text: str) -> Step:
    match = re.fullmatch(r"([\w-]*)\s*(?:\((.*)\))?", part, re.DOTALL)
    where = f"In the geometry '{text}'"
    if match is None:
        raise UserError(f"{where}, cannot read '{part}'; write steps like crop(left=40, top=0, width=176, height=256).")
    keyword, inner = match[1], match[2] or ""
    if keyword not in _STEPS:
        alone = " native stands alone." if keyword == "native" else did_you_mean(keyword, _STEPS)
        raise UserError(f"{where}, '{keyword}' is not a step.{alone}")
    step = _STEPS[keyword]
    defaults = {field.name: field.default for field in fields(step)}
    given: dict[str, int | str] = {}
    for argument in filter(None, (argument.strip() for argument in inner.split(","))):
        name, equals, value = (piece.strip() for piece in argument.partition("="))
        if not equals:
            raise UserError(f"{where}, {keyword} takes names with its values: write <name>={argument}.")
        if name not in defaults:
            raise UserError(f"{where}, {keyword} has no '{name}'.{did_you_mean(name, defaults) or ' Leave it out.'}")
        if name in given:
            raise UserError(f"{where}, {keyword} has '{name}' twice; keep one.")
        given[name] = value if name in _CHOICES else _whole(name, value, f"{where}, {keyword}")
    missing = [name for name, default in defaults.items() if default is MISSING and name not in given]
    if missing:
        raise UserError(f"{where}, {keyword} lacks {', '.join(missing)}; give each a value.")
    return step(**given)


def _whole(name: str, value: str, where: str) -> int:
    if not re.fullmatch(r"\d{1,6}", value, re.ASCII):
        raise UserError(f"{where}: {name}='{value}' is not a whole number up to 999999; write one, such as {name}=176.")
    return int(value)
