"""Only what concerns pixels can make a picture unreadable."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps

from fhpt_eval.images.decoding import MAX_PIXELS, decode
from fhpt_eval.images.formats import ImageError

PIXELS = np.random.default_rng(0).integers(0, 256, (24, 20, 3), dtype=np.uint8)


def encoded(file_format: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(PIXELS).save(stream, file_format, **options)
    return stream.getvalue()


def chunk(kind: bytes, body: bytes, *, whole: bool = True) -> bytes:
    check = zlib.crc32(kind + body) ^ (0 if whole else 1)
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", check)


PNG = encoded("PNG")
HEADER = 8 + 25
LARGE = b"k\0\0\0\0\0" + b"x" * 3_000_000


def in_png(*chunks: bytes) -> Iterator[bytes]:
    """The picture with chunks before and after its pixels."""
    more = b"".join(chunks)
    yield PNG[:HEADER] + more + PNG[HEADER:]
    yield PNG[:-12] + more + PNG[-12:]


@pytest.mark.parametrize(
    "extra",
    [
        chunk(b"iTXt", LARGE),
        chunk(b"tEXt", LARGE),
        chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(20_000_000))),
        chunk(b"zTXt", b"k\0\0not deflated"),
        chunk(b"zTXt", b""),
        chunk(b"iTXt", b"no end"),
        chunk(b"iTXt", b"k\0\1\0\0\0not deflated"),
        chunk(b"iCCP", b"name\0\0not deflated"),
        chunk(b"iCCP", b""),
        chunk(b"iCCP", b"name\0\0" + zlib.compress(bytes(10_000_000))),
        chunk(b"gAMA", b""),
        chunk(b"gAMA", b"\0"),
        chunk(b"cHRM", b"\0"),
        chunk(b"sRGB", b""),
        chunk(b"pHYs", b"\0"),
        chunk(b"tIME", b"\xff"),
        chunk(b"acTL", b"\0"),
        chunk(b"eXIf", b"II*\0\xff\xff\xff\xff"),
        chunk(b"eXIf", b""),
        chunk(b"prVt", b"of a tool"),
        *(chunk(kind, b"damaged", whole=False) for kind in (b"iTXt", b"zTXt", b"tEXt", b"iCCP", b"gAMA", b"eXIf")),
    ],
    ids=lambda extra: f"{extra[4:8].decode()}-{len(extra)}",
)
def test_a_png_is_read_whatever_stands_beside_its_pixels(extra: bytes) -> None:
    for data in in_png(extra):
        decoded = decode(data)
        np.testing.assert_array_equal(decoded.pixels, PIXELS)
        assert decoded.notes == frozenset()


def test_what_concerns_pixels_still_makes_a_png_unreadable() -> None:
    damaged = bytearray(PNG)
    damaged[PNG.index(b"IDAT") + 40] ^= 1
    bomb = PNG[:8] + chunk(b"IHDR", struct.pack(">IIBBBBB", 20_000, 20_000, 8, 2, 0, 0, 0)) + PNG[HEADER:]
    for data, reason in (
        (bytes(damaged), "broken PNG"),
        (PNG[:HEADER] + chunk(b"tRNS", bytes(6), whole=False) + PNG[HEADER:], "broken PNG"),
        (PNG[:-40] + chunk(b"tEXt", b"k\0v"), "PNG"),
        (bomb[:33] + chunk(b"iTXt", LARGE) + bomb[33:], f"over the limit of {MAX_PIXELS}"),
    ):
        with pytest.raises(ImageError, match=reason):
            decode(data)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "WEBP", "TIFF"])
def test_the_orientation_stays_beside_large_metadata(file_format: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(file_format, exif=exif, icc_profile=bytes(200_000))
    if file_format == "PNG":
        data = data[:-12] + chunk(b"iTXt", LARGE) + data[-12:]
    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(encoded(file_format, exif=exif)))).convert("RGB")
    np.testing.assert_array_equal(decode(data).pixels, np.asarray(upright))


SEGMENTS = (
    (0xE0, b""),
    (0xE0, b"JFIF\0"),
    (0xE0, b"JFXX\0\x10"),
    (0xE1, b"Exif\0\0II*\0\xff\xff\xff\xff"),
    (0xE1, b"Exif\0\0MM\0*\0\0\0\x08\xff\xff"),
    (0xE1, b"http://ns.adobe.com/xap/1.0/\0" + b"<x:xmpmeta>" * 5000),
    (0xE2, b"ICC_PROFILE\0"),
    (0xE2, b"ICC_PROFILE\0\x05\x02"),
    (0xE2, b"MPF\0"),
    (0xED, b"Photoshop 3.0\x008BIM\x03\xed"),
    (0xED, b"Photoshop 3.0\x008BIM\x03\xed\0\0\xff\xff\xff\xff"),
    (0xEE, b"Adobe"),
    (0xEF, bytes(65_000)),
    (0xFE, b"a comment" * 7000),
)


@pytest.mark.parametrize(("marker", "content"), SEGMENTS, ids=lambda value: str(value)[:24])
def test_a_jpeg_is_read_whatever_applications_wrote_into_it(marker: int, content: bytes) -> None:
    plain = encoded("JPEG")
    segment = struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content
    for times in (1, 40):
        decoded = decode(plain[:2] + segment * times + plain[2:])
        np.testing.assert_array_equal(decoded.pixels, decode(plain).pixels)
        assert decoded.notes == frozenset()


def test_colours_of_jpegs_are_told_as_before() -> None:
    for mode in ("L", "CMYK", "RGB"):
        stream = io.BytesIO()
        Image.fromarray(PIXELS).convert(mode).save(stream, "JPEG", comment=b"x" * 60_000, icc_profile=bytes(100_000))
        expected = np.asarray(Image.open(io.BytesIO(stream.getvalue())).convert("RGB"))
        np.testing.assert_array_equal(decode(stream.getvalue()).pixels, expected)


def test_a_webp_is_read_with_metadata_of_no_meaning() -> None:
    data = encoded("WEBP", lossless=True, exif=b"Exif\0\0garbage", icc_profile=b"x" * 2_000_000, xmp=b"y" * 2_000_000)
    np.testing.assert_array_equal(decode(data).pixels, PIXELS)


def with_tags(data: bytes, *tags: tuple[int, int, int, int]) -> bytes:
    """A TIFF (as Pillow writes it, little-endian) with more tags: number, type, count, value or place."""
    (start,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, start)
    entries = [data[start + 2 + 12 * i : start + 14 + 12 * i] for i in range(count)]
    entries = sorted((*entries, *(struct.pack("<HHII", *tag) for tag in tags)), key=lambda entry: entry[:2][::-1])
    directory = struct.pack("<H", len(entries)) + b"".join(entries) + bytes(4)
    return data[:4] + struct.pack("<I", len(data)) + data[8:] + directory


@pytest.mark.parametrize("compression", [None, "tiff_lzw", "tiff_adobe_deflate", "packbits"])
@pytest.mark.parametrize(
    "tag",
    [
        (270, 2, 4_000_000_000, 4_000_000_000),  # a description beyond the end
        (282, 5, 1, 0xFFFFFFF0),  # resolution
        (34665, 4, 1, 0xFFFFFFF0),  # EXIF
        (34675, 7, 900_000_000, 8),  # colour profile
        (700, 1, 77_777_777, 0),  # XMP
        (65000, 99, 1, 0),  # a tool's own
    ],
)
def test_a_tiff_is_read_whatever_else_its_directory_holds(compression: str | None, tag: Any) -> None:
    data = encoded("TIFF", compression=compression)
    np.testing.assert_array_equal(decode(with_tags(data, tag)).pixels, PIXELS)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"compression": "jpeg"}, "a TIFF of compression 7, which is not read"),
        ({"compression": "zstd"}, "a TIFF of compression 50000, which is not read"),
        ({"save_all": True, "append_images": [Image.new("RGB", (4, 4))]}, "a TIFF of several pages"),
    ],
)
def test_tiffs_that_are_not_read_are_named(options: dict[str, Any], reason: str) -> None:
    try:
        data = encoded("TIFF", **options)
    except OSError:
        pytest.skip("this Pillow cannot write such a TIFF")
    with pytest.raises(ImageError, match=reason):
        decode(data)


@pytest.mark.parametrize(
    ("mode", "reason"), [("F", "other samples"), ("I", "other samples"), ("LAB", "other samples"), ("I;16", None)]
)
def test_samples_of_unknown_range_are_refused(mode: str, reason: str | None) -> None:
    stream = io.BytesIO()
    grey = PIXELS[:, :, 0].astype(np.uint16) * 256
    pictures = {
        "F": Image.fromarray(grey.astype(np.float32)),
        "I": Image.fromarray(grey.astype(np.int32)),
        "LAB": Image.merge("LAB", Image.fromarray(PIXELS).split()),
        "I;16": Image.fromarray(grey),
    }
    pictures[mode].save(stream, "TIFF")
    if reason is None:
        np.testing.assert_array_equal(decode(stream.getvalue()).pixels[:, :, 0], PIXELS[:, :, 0])
        return
    with pytest.raises(ImageError, match=reason):
        decode(stream.getvalue())


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"P6\n2 1\n255\n\1\2\3\4\5\6", [[1, 2, 3], [4, 5, 6]]),
        (b"P5\n# a comment\n2 1\n255\n\7\x08", [[7] * 3, [8] * 3]),
        (b"P3 2 1 255 1 2 3 4 5 6\n", [[1, 2, 3], [4, 5, 6]]),
        (b"P2 2 1 255 7 8\n", [[7] * 3, [8] * 3]),
        (b"P1 2 1 0 1\n", [[255] * 3, [0] * 3]),
        (b"P4\n2 1\n\x40", [[255] * 3, [0] * 3]),
        (b"P5\n2 1\n15\n\7\x08", None),
        (b"P2\n2 1\n15\n7 8\n", None),
        (b"P5\n2 1\n65535\n\1\2\3\4", None),
        (b"P6\n99999 99999\n255\n", None),
        (b"P6\n2 2\n255\n123", None),
        (b"P6\n2\n", None),
    ],
)
def test_portable_maps_are_read_where_their_samples_are_bytes(data: bytes, expected: list[list[int]] | None) -> None:
    if expected is None:
        with pytest.raises(ImageError):
            decode(data)
    else:
        assert decode(data).pixels[0].tolist() == expected
