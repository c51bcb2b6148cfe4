"""Image files that are damaged at random, from a seed."""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable, Iterator

import numpy as np
from PIL import Image

SIZE = (48, 64)
"""Width and height of the undamaged images."""

Random = np.random.Generator


def whole_files() -> dict[str, bytes]:
    """A file of every kind that is read, or is refused by its name: noise over a gradient."""
    random = np.random.default_rng(0)
    width, height = SIZE
    gradient = np.linspace(0, 200, width * height * 4).reshape(height, width, 4)
    pixels = (gradient + random.integers(0, 55, (height, width, 4))).astype(np.uint8)
    rgba = Image.fromarray(pixels)
    rgb, grey = rgba.convert("RGB"), rgba.convert("L")
    deep = Image.fromarray(pixels[:, :, 0].astype(np.uint16) * 257)
    exif = Image.Exif()
    exif[0x0112] = 6
    files: dict[str, tuple[Image.Image, str, dict[str, object]]] = {
        "jpeg": (rgb, "JPEG", {"quality": 90}),
        "jpeg progressive": (rgb, "JPEG", {"progressive": True, "exif": exif.tobytes()}),
        "jpeg cmyk": (rgb.convert("CMYK"), "JPEG", {}),
        "png": (rgb, "PNG", {}),
        "png alpha": (rgba, "PNG", {}),
        "png palette": (rgb.convert("P"), "PNG", {"transparency": 3}),
        "png grey": (grey, "PNG", {}),
        "png 16 bits": (deep, "PNG", {}),
        "webp": (rgb, "WEBP", {}),
        "webp lossless": (rgba, "WEBP", {"lossless": True}),
        "webp animated": (rgb, "WEBP", {"save_all": True, "append_images": [rgb.rotate(180)]}),
        "bmp": (rgb, "BMP", {}),
        "bmp palette": (rgb.convert("P"), "BMP", {}),
        "tiff": (rgb, "TIFF", {}),
        "tiff lzw": (rgb, "TIFF", {"compression": "tiff_lzw"}),
        "tiff jpeg": (rgb, "TIFF", {"compression": "jpeg"}),
        "ppm": (rgb, "PPM", {}),
        "pgm": (grey, "PPM", {}),
        "gif": (rgb, "GIF", {}),
    }
    return {name: _saved(image, kind, options) for name, (image, kind, options) in files.items()}


def _saved(image: Image.Image, kind: str, options: dict[str, object]) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def damaged_files(seed: int, count: int) -> Iterator[tuple[str, bytes]]:
    """Yield what was damaged and how, and the file."""
    random = np.random.default_rng(seed)
    whole = whole_files()
    names, ways = list(whole), list(WAYS)
    for number in range(count):
        # Every kind of file meets every way: their numbers have no common divisor.
        name, way = names[number % len(names)], ways[number % len(ways)]
        data = bytearray(WAYS[way](random, bytearray(whole[name]), whole[str(random.choice(names))]))
        if random.random() < 0.5:
            _repair_checksums(data)
        yield f"{name}, {way}", bytes(data)


def _flip(random: Random, data: bytearray, _other: bytes) -> bytearray:
    for _ in range(random.integers(1, 20)):
        data[random.integers(len(data))] ^= 1 << random.integers(8)
    return data


def _flip_header(random: Random, data: bytearray, _other: bytes) -> bytearray:
    for _ in range(random.integers(1, 4)):
        data[random.integers(min(len(data), 100))] = random.integers(256)
    return data


def _cut(random: Random, data: bytearray, _other: bytes) -> bytearray:
    return data[: random.integers(len(data))]


def _splice(random: Random, data: bytearray, other: bytes) -> bytearray:
    return data[: random.integers(min(len(data), 200))] + other[random.integers(min(len(other), 200)) :]


def _extreme(random: Random, data: bytearray, _other: bytes) -> bytearray:
    extremes = (b"\xff" * 4, b"\x00" * 4, b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f", b"\x00\x00\xff\xff", b"\x80" * 4)
    at = random.integers(min(len(data), 120))
    data[at : at + 4] = extremes[random.integers(len(extremes))]
    return data


def _repeat(random: Random, data: bytearray, _other: bytes) -> bytearray:
    start, end = sorted(random.integers(len(data), size=2))
    return data[:end] + data[start:]


def _blank(random: Random, data: bytearray, _other: bytes) -> bytearray:
    start, end = sorted(random.integers(len(data), size=2))
    data[start:end] = bytes(end - start)
    return data


WAYS: dict[str, Callable[[Random, bytearray, bytes], bytearray]] = {
    "bits flipped": _flip,
    "header changed": _flip_header,
    "cut off": _cut,
    "header of another": _splice,
    "number at its limit": _extreme,
    "part repeated": _repeat,
    "part blank": _blank,
}


def _repair_checksums(data: bytearray) -> None:
    """Make the checksums of a PNG's chunks right again, without which no damage gets beyond them."""
    if not data.startswith(b"\x89PNG"):
        return
    at = 8
    while at + 12 <= len(data):
        end = at + 8 + int.from_bytes(data[at : at + 4], "big")
        if end + 4 > len(data):
            return
        data[end : end + 4] = zlib.crc32(data[at + 4 : end]).to_bytes(4, "big")
        at = end + 4
