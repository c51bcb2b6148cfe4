"""What headers tell of a file is what it was saved with."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fhpt_eval.images.formats import ImageError
from fhpt_eval.images.headers import Header, header_of

NOISE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (24, 16, 3), dtype=np.uint8))


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


@pytest.mark.parametrize("quality", [1, 50, 75, 90, 95, 100])
@pytest.mark.parametrize("sampling", ["4:4:4", "4:2:2", "4:2:0"])
def test_quality_and_sampling_of_a_jpeg_are_those_it_was_saved_with(quality: int, sampling: str) -> None:
    header = header_of(saved(NOISE, "JPEG", quality=quality, subsampling=sampling))
    assert (header.quality, header.sampling, header.lossy, header.size) == (quality, sampling, True, (16, 24))
    assert header.stored == f"JPEG, quality {quality}, {sampling}"


def test_of_tables_that_libjpeg_does_not_make_no_quality_is_claimed() -> None:
    header = header_of(saved(NOISE, "JPEG", qtables=[list(range(1, 65))]))
    assert header.quality is None
    assert header.stored == "JPEG, 4:2:0"


@pytest.mark.parametrize(
    ("image", "kind", "options", "expected"),
    [
        (NOISE, "PNG", {}, Header("PNG", "RGB", (16, 24))),
        (NOISE.convert("RGBA"), "PNG", {}, Header("PNG", "RGBA", (16, 24))),
        (NOISE.convert("P"), "PNG", {}, Header("PNG", "P", (16, 24))),
        (Image.new("I;16", (16, 24)), "PNG", {}, Header("PNG", "I;16", (16, 24), wide=True)),
        (NOISE, "WebP", {"lossless": True}, Header("WebP", "RGB", (16, 24))),
        (NOISE, "WebP", {"quality": 80}, Header("WebP", "RGB", (16, 24), lossy=True)),
        (NOISE, "TIFF", {}, Header("TIFF", "RGB", (16, 24))),
        (NOISE, "BMP", {}, Header("BMP", "RGB", (16, 24))),
        (NOISE.convert("L"), "JPEG", {"quality": 90}, Header("JPEG", "L", (16, 24), lossy=True, quality=90)),
    ],
)
def test_formats_colours_and_losses(image: Image.Image, kind: str, options: dict[str, Any], expected: Header) -> None:
    assert header_of(saved(image, kind, **options)) == expected


def test_the_size_is_that_of_the_upright_picture() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    header = header_of(saved(NOISE, "JPEG", exif=exif))
    assert (header.size, header.turned) == ((24, 16), True)


def test_what_is_no_picture_is_an_error() -> None:
    with pytest.raises(ImageError, match="found text"):
        header_of(b"hello")
