"""From the bytes of an image file to pixels, bounded in size, never filled in.

Files come from anywhere, so Pillow is held at arm's length: the reader of each format is called directly
(``Image.open`` has one process-wide pixel limit and warns about it, which threads cannot catch), and whatever a broken
file makes it throw becomes an ``ImageError`` with a reason.
"""

from __future__ import annotations

import re
import struct
import sys
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFile
from PIL.TiffImagePlugin import PHOTOMETRIC_INTERPRETATION as _PHOTOMETRIC
from PIL.TiffImagePlugin import TiffImageFile

from fhpt_eval.errors import UserError
from fhpt_eval.files.regular import read_regular
from fhpt_eval.files.remote import path_at
from fhpt_eval.images.formats import NO_MEMORY, ImageError, reader_of, why_broken
from fhpt_eval.images.masks import Mask, Silhouette
from fhpt_eval.images.metadata import pixels_alone

DECODE_VERSION = 2
"""Raised whenever ``decode`` gives other pixels for some file: cached results are then computed again."""

MAX_PIXELS = 100_000_000
"""Width × height above which ``decode`` refuses a file, unless told otherwise."""

Rgb = npt.NDArray[np.uint8]
"""H×W×3 uint8, RGB, 0…255, C-contiguous."""


@dataclass(frozen=True, order=True, slots=True)
class ImageRef:
    """One image under evaluation: a file, or one panel of a strip of equally wide pictures.

    Attributes:
        path: The file, as given.
        panel: Which panel of the strip, from 0 at the left; ``None`` for the whole file.
        panels: How many panels stand side by side in the strip; ``None`` for the whole file.
        name: What the picture shows, whichever file holds it; the path when nothing else is known.
        mask: What of the picture is looked at; ``None`` for all of it.

    Raises:
        ValueError: ``panel`` and ``panels`` are not given together, or ``panel`` is not one of them.
    """

    path: Path
    panel: int | None = None
    panels: int | None = None
    name: str = ""
    mask: Mask | Silhouette | None = None

    def __post_init__(self) -> None:
        given: Any = self.path
        if not isinstance(given, Path):
            object.__setattr__(self, "path", path_at(given))
        if (self.panel is None) != (self.panels is None):
            raise ValueError("panel and panels go together")
        if self.panel is not None and self.panels is not None and not 0 <= self.panel < self.panels:
            raise ValueError(f"panel {self.panel} is not one of {self.panels} (they count from 0)")
        if not self.name:
            object.__setattr__(self, "name", str(self.path))

    def __hash__(self) -> int:
        """Return the path's, which it keeps: a name is that of a generated image and of its target."""
        return hash(self.path)


@dataclass(frozen=True, eq=False)
class Decoded:
    """The pixels of one file and what had to be done to get them.

    Attributes:
        pixels: H×W×3 uint8 RGB, C-contiguous.
        notes: Any of "alpha composited on white", "16-bit reduced to 8", "CMYK converted", "palette", "greyscale",
            "EXIF orientation applied"; empty for an ordinary picture.
        stored_as: The file's format, by its content: ``JPEG``, ``PNG`` …
    """

    pixels: Rgb
    notes: frozenset[str]
    stored_as: str


# EXIF 2.3, table 6: the value of tag 0x0112 → what turns the stored picture upright.
_ORIENTATIONS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


_DECODING = 11
"""Bytes a pixel that decoding takes at once, at most: Pillow's picture (4), a turned or converted one, and ours (3)."""


def decode(data: bytes, max_pixels: int = MAX_PIXELS) -> Decoded:
    """Decode the bytes of a JPEG, PNG, WebP, BMP, TIFF or PPM file; what the file is called does not matter.

    An ordinary RGB file gives what ``np.asarray(Image.open(f).convert("RGB"))`` gives. Beyond that: the EXIF
    orientation is applied; transparency is composited on white and rounded; samples of 16 bits keep their high byte
    (``v >> 8``: libpng's ``png_set_strip_16``, and what Pillow does to 16-bit RGB); CMYK and YCCK take Pillow's
    conversion. Colour profiles are not applied, as nowhere in the field; what else does not concern pixels is not
    looked at, however large or damaged. Safe to call from threads.

    Args:
        data: The whole file.
        max_pixels: Largest width × height that is decoded; larger files are refused by their header alone.

    Returns:
        The pixels, H×W×3 uint8 RGB, and notes on what was done.

    Raises:
        ImageError: The file is empty, in no format that is read, animated, too large, truncated or broken, or memory
            does not suffice.
    """
    name, image, orientation = opened(data, max_pixels)
    notes = {"16-bit reduced to 8"} if is_16_bit(image) else set()
    try:
        _reserve(image)
        image.load()
        upright = _ORIENTATIONS.get(orientation)
        turned = image.transpose(upright) if upright is not None else image
        pixels = _rgb(turned, notes)
    except Exception as error:
        raise ImageError(why_broken(name, data, error)) from error
    if upright is not None:
        notes.add("EXIF orientation applied")
    return Decoded(pixels, frozenset(notes), name)


def opened(data: bytes, max_pixels: int) -> tuple[str, ImageFile.ImageFile, int]:
    """Return the format, the picture by its header, and its EXIF orientation.

    Raises:
        ImageError: As `decode`, as far as the header tells.
    """
    name, reader = reader_of(data)
    try:
        image = reader(BytesIO(pixels_alone(name, data)))
    except ImageError:
        raise
    except Image.DecompressionBombError as error:
        raise ImageError(f"more pixels than Pillow opens, over the limit of {max_pixels}") from error
    except Exception as error:
        raise ImageError(why_broken(name, data, error)) from error
    width, height = image.size
    if width * height > max_pixels:
        raise ImageError(f"{width}×{height} pixels, over the limit of {max_pixels}")
    if getattr(image, "is_animated", False):
        raise ImageError(f"an animated {name}, which has no one picture: give one frame of it")
    if name in _MODES and (image.mode not in _MODES[name] or not _keeps_samples(image)):
        raise ImageError(f"a {name} of other samples than 8-bit ones ({image.mode}), which is not read: save it as PNG")
    return name, image, _orientation(data if name == "TIFF" else image.info.get("exif", b""))


_MODES = {
    "TIFF": frozenset({"1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "I;16", "I;16B"}),
    "PPM": frozenset({"1", "L", "RGB"}),
}
"""What is read of formats that can hold floats, signed and scaled numbers, too."""


_PLAIN = ("1;I", ("L", 255), ("RGB", 255))


def _keeps_samples(image: ImageFile.ImageFile) -> bool:
    """Whether the samples come as they are stored: Pillow scales those of some PPMs, and leaves some TIFFs negative."""
    if isinstance(image, TiffImageFile):
        negative = image.mode == "I;16" and image.tag_v2.get(_PHOTOMETRIC) == 0
        return not negative and all("I;12" not in str(tile[3]) for tile in image.tile)
    return all(tile[0] == "raw" or (tile[0] == "ppm_plain" and tile[3] in _PLAIN) for tile in image.tile)


def _reserve(image: ImageFile.ImageFile) -> None:
    """Raise ``MemoryError`` where decoding would run out: decoders say the same of that as of a broken file."""
    np.empty(image.width * image.height * _DECODING, np.uint8)


def size_of(ref: ImageRef) -> tuple[int, int]:
    """Width and height of a picture as it would be decoded, from the header of its file.

    Raises:
        OSError: The file cannot be opened.
        ImageError: It is not an image, or its panels are not equally wide.
    """
    try:
        _, image, orientation = opened(read_regular(ref.path), sys.maxsize)
    except MemoryError:
        raise ImageError(NO_MEMORY) from None
    width, height = image.size[::-1] if orientation in range(5, 9) else image.size
    panels = ref.panels or 1
    if width % panels:
        raise ImageError(_uneven(width, panels))
    return width // panels, height


def read_image(ref: ImageRef) -> Rgb:
    """Read and decode an image for a caller that cannot go on without it.

    Raises:
        UserError: It cannot be read.
    """
    try:
        pixels = decode(read_regular(ref.path)).pixels
        return pixels if ref.panel is None or ref.panels is None else cut_panel(pixels, ref.panel, ref.panels)
    except (OSError, ImageError, MemoryError) as error:
        why = (error.strerror if isinstance(error, OSError) else None) or str(error) or NO_MEMORY
        raise UserError(f"{ref.path} cannot be read ({why}): fix or remove it.") from None


def cut_panel(pixels: Rgb, panel: int, panels: int) -> Rgb:
    """Cut one panel out of a strip of equally wide pictures.

    Args:
        pixels: H×W×3 uint8.
        panel: Which one, from 0 at the left.
        panels: How many the strip has.

    Returns:
        H×(W / panels)×3 uint8, a contiguous copy.

    Raises:
        ImageError: The width is not a multiple of the number of panels.
    """
    width = pixels.shape[1]
    if width % panels:
        raise ImageError(_uneven(width, panels))
    step = width // panels
    return np.ascontiguousarray(pixels[:, panel * step : (panel + 1) * step])


def _uneven(width: int, panels: int) -> str:
    return f"width {width} is not a multiple of the {panels} panels that its naming stands for"


_WIDE = re.compile(r";16[BLN]?\b")


def is_16_bit(image: ImageFile.ImageFile) -> bool:
    """Tell whether the file, not yet loaded, stores 16 bits a sample: afterwards Pillow's mode may hide it."""
    return image.mode.startswith("I") or any(_WIDE.search(str(tile[3])) for tile in image.tile)


def _orientation(exif: bytes) -> int:
    """Return tag 0x0112 of the first directory of an EXIF block, 1 (upright) where it has none or is broken."""
    tiff = exif.removeprefix(b"Exif\x00\x00")
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None:
        return 1
    try:
        (directory,) = struct.unpack_from(f"{order}I", tiff, 4)
        (count,) = struct.unpack_from(f"{order}H", tiff, directory)
        for entry in range(directory + 2, directory + 2 + 12 * count, 12):
            tag, kind, _, value = struct.unpack_from(f"{order}HHIH", tiff, entry)
            if tag == 0x0112 and kind == 3:
                return int(value)
    except struct.error:
        pass
    return 1


def _rgb(image: Image.Image, notes: set[str]) -> Rgb:
    """Convert a loaded picture of any mode, adding to ``notes`` what that took."""
    if image.mode.startswith("I"):
        notes.add("greyscale")
        return _from_16_bit_grey(image, notes)
    if image.mode in {"1", "L", "LA"}:
        notes.add("greyscale")
    elif image.mode in {"P", "PA"}:
        notes.add("palette")
    elif image.mode == "CMYK":
        notes.add("CMYK converted")
    if image.mode in {"LA", "PA", "RGBA"} or "transparency" in image.info:
        return _on_white(image, notes)
    return np.array(image if image.mode == "RGB" else image.convert("RGB"), order="C")


def _from_16_bit_grey(image: Image.Image, notes: set[str]) -> Rgb:
    samples = np.asarray(image)
    grey = (samples >> 8).astype(np.uint8)
    transparent = samples == image.info.get("transparency", -1)
    if transparent.any():
        notes.add("alpha composited on white")
        grey[transparent] = 255
    return np.repeat(grey[:, :, None], 3, axis=2)


def _on_white(image: Image.Image, notes: set[str]) -> Rgb:
    key = image.info.get("transparency")
    if isinstance(key, tuple) and "16-bit reduced to 8" in notes:
        image.info["transparency"] = tuple(sample >> 8 for sample in key)
    rgba = np.asarray(image.convert("RGBA"))
    colour, alpha = rgba[:, :, :3], rgba[:, :, 3:].astype(np.uint16)
    if alpha.min() == 255:
        return np.ascontiguousarray(colour)
    notes.add("alpha composited on white")
    # 255 · 255 + 127 still fits in 16 bits.
    composited: Rgb = ((colour * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)
    return composited
