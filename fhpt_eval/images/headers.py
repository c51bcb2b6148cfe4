"""What the header of an image file tells: how the picture is stored, without its pixels."""

from __future__ import annotations

import io
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType

from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile, get_sampling

from fhpt_eval.images.decoding import is_16_bit, opened

_SAMPLING = {0: "4:4:4", 1: "4:2:2", 2: "4:2:0"}


@dataclass(frozen=True)
class Header:
    """How a picture is stored.

    Attributes:
        format: Such as ``JPEG`` or ``PNG``, by the file's content.
        mode: Colours as Pillow calls them: ``RGB``, ``RGBA``, ``L``, ``P``, ``CMYK`` …
        size: Width and height as it is decoded: upright.
        wide: Whether samples have 16 bits.
        turned: Whether an EXIF orientation turns or mirrors it.
        lossy: Whether it is stored with a loss.
        quality: Of a JPEG, 1 to 100 as libjpeg counts; None for other formats and for other tables than libjpeg's.
        sampling: Of a JPEG's colours: ``4:4:4``, ``4:2:2`` or ``4:2:0``; None for others.
    """

    format: str
    mode: str
    size: tuple[int, int]
    wide: bool = False
    turned: bool = False
    lossy: bool = False
    quality: int | None = None
    sampling: str | None = None

    @property
    def dimensions(self) -> str:
        """The size in words: ``176×256``."""
        return f"{self.size[0]}×{self.size[1]}"

    @property
    def stored(self) -> str:
        """The format in words, with what is known of its loss."""
        quality = self.quality and f"quality {self.quality}"
        return ", ".join(part for part in (self.format, quality, self.sampling) if part)


def header_of(data: bytes) -> Header:
    """Read the header of a file's bytes.

    Raises:
        ImageError: It is no picture that is read, as far as the header tells.
    """
    name, image, orientation = opened(data, sys.maxsize)
    size = image.size[::-1] if orientation in range(5, 9) else image.size
    jpeg = image if isinstance(image, JpegImageFile) else None
    return Header(
        format=name,
        mode=image.mode,
        size=size,
        wide=is_16_bit(image),
        turned=orientation in range(2, 9),
        lossy=jpeg is not None or (name == "WebP" and b"VP8L" not in data),
        quality=None if jpeg is None else _qualities().get(_tables(jpeg)),
        sampling=None if jpeg is None else _SAMPLING.get(get_sampling(jpeg)),
    )


def _tables(image: JpegImageFile) -> tuple[int, ...]:
    """Return the quantisation table of brightness."""
    return tuple(image.quantization.get(0, ()))


@cache
def _qualities() -> Mapping[tuple[int, ...], int]:
    """Return the quality of each table, as libjpeg makes them."""
    found = {}
    for quality in range(1, 101):
        stream = io.BytesIO()
        Image.new("L", (8, 8)).save(stream, "JPEG", quality=quality)
        stream.seek(0)
        found[_tables(JpegImageFile(stream))] = quality
    return MappingProxyType(found)
