"""Which format the bytes of a file are in, and in a few words why they are no picture that can be read."""

from __future__ import annotations

import re
import struct

from PIL import Image, ImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.PpmImagePlugin import PpmImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from fhpt_eval.memory import out_of_memory

NO_MEMORY = "not enough memory for this image"


class ImageError(Exception):
    """Why an image cannot be used: one short phrase, without the path, which only the caller knows."""


class _JpegFile(JpegImageFile):
    """A JPEG whose EXIF block Pillow does not look into for the resolution: it warns when the block is broken."""

    def getexif(self) -> Image.Exif:
        return Image.Exif()


class _TiffFile(TiffImageFile):
    """A TIFF of one page, whose orientation is not Pillow's business either."""

    def getexif(self) -> Image.Exif:
        return Image.Exif()


_READERS: tuple[tuple[str, re.Pattern[bytes], type[ImageFile.ImageFile]], ...] = (
    ("JPEG", re.compile(rb"\xff\xd8\xff"), _JpegFile),
    ("PNG", re.compile(rb"\x89PNG\r\n\x1a\n"), PngImageFile),
    ("WebP", re.compile(rb"RIFF....WEBP", re.DOTALL), WebPImageFile),
    ("BMP", re.compile(rb"BM"), BmpImageFile),
    ("TIFF", re.compile(rb"II\*\0|MM\0\*"), _TiffFile),
    ("PPM", re.compile(rb"P[1-6][ \t\r\n#]"), PpmImageFile),
)

_OTHER_CONTENT = (
    (b"GIF8", "GIF"),
    (b"II+\x00", "BigTIFF"),
    (b"MM\x00+", "BigTIFF"),
    (b"\xff\x0a", "JPEG XL"),
    (b"\0\0\0\x0cJXL ", "JPEG XL"),
    (b"\0\0\0\x0cjP  ", "JPEG 2000"),
    (b"\xff\x4f\xff\x51", "JPEG 2000"),
    (b"8BPS", "Photoshop"),
    (b"v/1\x01", "OpenEXR"),
    (b"DDS ", "DDS"),
    (b"\0\0\1\0", "ICO"),
)
"""Pictures that are not read, by their first bytes."""

_NO_PICTURES = (
    (b"%PDF", "PDF"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"\x1f\x8b", "gzip data"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"version https://git-lfs", "a Git LFS pointer; the image itself was not downloaded"),
)

_BRANDS = {b"heic": "HEIC", b"heix": "HEIC", b"mif1": "HEIC", b"avif": "AVIF", b"avis": "AVIF"}

HEAD = 16
"""Bytes by which `picture_format` tells a format."""


def picture_format(head: bytes) -> str | None:
    """Return the format of the picture that a file begins as, whether it can be read or not; None for anything else."""
    for name, magic, _ in _READERS:
        # Two letters of text are no sign.
        if name != "BMP" and magic.match(head):
            return name
    for start, what in _OTHER_CONTENT:
        if head.startswith(start):
            return what
    return _BRANDS.get(head[8:12]) if head[4:8] == b"ftyp" else None


def reader_of(data: bytes) -> tuple[str, type[ImageFile.ImageFile]]:
    """Return the name of a format and Pillow's reader of it.

    Raises:
        ImageError: It is not one that is read.
    """
    for name, magic, reader in _READERS:
        if magic.match(data):
            return name, reader
    raise ImageError(_not_an_image(data))


def _not_an_image(data: bytes) -> str:
    if not data:
        return "empty file"
    for magic, what in (*_OTHER_CONTENT, *_NO_PICTURES):
        if data.startswith(magic):
            return f"not an image in a supported format (found {what})"
    if data[4:8] == b"ftyp":
        return f"not an image in a supported format (found {_BRANDS.get(data[8:12], 'HEIC, AVIF or a video')})"
    if not any(data):
        return "not an image (found only zero bytes)"
    head = data[:256].decode("utf-8", errors="replace").strip()
    if head.lower().startswith(("<!doctype html", "<html")):
        return "not an image (found an HTML page)"
    if all((c.isprintable() and c != "\ufffd") or c.isspace() for c in head.rstrip("\ufffd")):
        return "not an image (found text)"
    return "not a JPEG, PNG, WebP, BMP, TIFF or PPM image"


def why_broken(name: str, data: bytes, error: Exception) -> str:
    """Return what an error of Pillow's reader says of a file, in a few words."""
    if out_of_memory(error):
        return NO_MEMORY
    message = str(error).removeprefix("broken PNG file ").strip("()")
    # Only the container of a WebP file tells truncation from damage: its decoder says the same for both.
    short_webp = name == "WebP" and len(data) < 8 + int.from_bytes(data[4:8], "little")
    short_header = isinstance(error.__cause__, struct.error)
    if short_webp or short_header or "truncated" in message.lower() or "reached eof" in message.lower():
        return f"truncated {name}"
    return f"broken {name} ({message or type(error).__name__})"
