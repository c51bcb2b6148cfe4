from __future__ import annotations

import struct
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageOps

from fhpt_eval.images.decoding import MAX_PIXELS, ImageRef, cut_panel, decode
from fhpt_eval.images.formats import ImageError
from fhpt_eval.images.suffixes import READ, SUFFIXES

SHARED = Path(__file__).resolve().parents[2] / "../shared"
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "PPM")


def picture(height: int = 48, width: int = 40, seed: int = 0) -> npt.NDArray[np.uint8]:
    """Blocks of random colour, which compress to small files."""
    blocks = np.random.default_rng(seed).integers(0, 256, (height // 8 + 1, width // 8 + 1, 3), dtype=np.uint8)
    return np.kron(blocks, np.ones((8, 8, 1), dtype=np.uint8))[:height, :width].copy()


def encoded(image: Image.Image, file_format: str, **options: Any) -> bytes:
    buffer = BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width: int, height: int, depth: int, colour_type: int, rows: bytes, transparent: bytes = b"") -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0)
    chunks = [chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")]
    if transparent:
        chunks.insert(1, chunk(b"tRNS", transparent))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def test_suffixes_are_lower_case_and_cover_the_formats() -> None:
    assert {".bmp", ".jpeg", ".jfif", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"} <= READ <= SUFFIXES
    assert {".gif", ".heic", ".avif"} <= SUFFIXES - READ
    assert all(suffix == suffix.lower() for suffix in SUFFIXES)


@pytest.mark.parametrize("file_format", FORMATS)
@pytest.mark.parametrize("size", [(48, 40), (1, 1), (33, 7)])
def test_ordinary_rgb_equals_plain_pillow_and_carries_no_note(file_format: str, size: tuple[int, int]) -> None:
    data = encoded(Image.fromarray(picture(*size)), file_format)
    decoded = decode(data)
    expected = np.asarray(Image.open(BytesIO(data)).convert("RGB"))
    np.testing.assert_array_equal(decoded.pixels, expected)
    assert decoded.notes == frozenset()
    assert decoded.pixels.dtype == np.uint8
    assert decoded.pixels.flags.c_contiguous
    assert decoded.pixels.flags.writeable


def test_real_files_equal_plain_pillow() -> None:
    files = sorted(path for path in SHARED.glob("data/**/*") if path.suffix.lower() in SUFFIXES)[:40]
    if not files:
        pytest.skip("the shared data are not here")
    for path in files:
        with Image.open(path) as image:
            expected = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
        np.testing.assert_array_equal(decode(path.read_bytes()).pixels, expected, err_msg=path.name)


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", range(10))
@pytest.mark.parametrize("byte_order", ["<", ">"])
def test_exif_orientation_equals_pillows_exif_transpose(file_format: str, orientation: int, byte_order: str) -> None:
    exif = Image.Exif()
    exif.endian = byte_order
    exif[0x010E] = "what stands before the orientation"
    exif[0x0112] = orientation
    data = encoded(Image.fromarray(picture()), file_format, exif=exif.tobytes())
    decoded = decode(data)
    expected = ImageOps.exif_transpose(Image.open(BytesIO(data))).convert("RGB")
    np.testing.assert_array_equal(decoded.pixels, np.asarray(expected))
    assert ("EXIF orientation applied" in decoded.notes) == (orientation in range(2, 9))
    assert decoded.pixels.flags.c_contiguous


@pytest.mark.parametrize(
    "exif",
    [
        b"Exif\0\0",
        b"Exif\0\0II*\0\xff\xff\xff\xff",
        b"Exif\0\0MM\0*\0\0\0\x08\xff\xff" + b"\x01\x12\x00\x03\x00",
        b"Exif\0\0II*\0\x08\0\0\0\x05\0" + struct.pack("<HHII", 0x0132, 2, 20, 1 << 30),
    ],
)
def test_broken_exif_leaves_the_picture_as_it_is_without_a_warning(exif: bytes) -> None:
    data = encoded(Image.fromarray(picture()), "JPEG", exif=exif)
    assert decode(data).notes == frozenset()


def test_greyscale_is_repeated_over_three_channels() -> None:
    grey = picture()[:, :, 0]
    decoded = decode(encoded(Image.fromarray(grey), "PNG"))
    np.testing.assert_array_equal(decoded.pixels, np.repeat(grey[:, :, None], 3, axis=2))
    assert decoded.notes == {"greyscale"}


def test_bilevel_png_becomes_black_and_white() -> None:
    decoded = decode(png(8, 1, 1, 0, b"\0\x1b"))
    assert decoded.pixels[0, :, 0].tolist() == [0, 0, 0, 255, 255, 0, 255, 255]
    assert decoded.notes == {"greyscale"}


@pytest.mark.parametrize("file_format", ["PNG", "BMP"])
def test_palette_is_looked_up(file_format: str) -> None:
    indexed = Image.fromarray(picture()).quantize(16)
    decoded = decode(encoded(indexed, file_format))
    np.testing.assert_array_equal(decoded.pixels, np.asarray(indexed.convert("RGB")))
    assert decoded.notes == {"palette"}


def test_transparent_palette_entry_becomes_white() -> None:
    indexed = Image.fromarray(picture()).quantize(16)
    decoded = decode(encoded(indexed, "PNG", transparency=3))
    expected = np.array(indexed.convert("RGB"))
    expected[np.asarray(indexed) == 3] = 255
    np.testing.assert_array_equal(decoded.pixels, expected)
    assert decoded.notes == {"palette", "alpha composited on white"}


@pytest.mark.parametrize("file_format", ["PNG", "WEBP"])
def test_alpha_is_composited_on_white_and_rounded(file_format: str) -> None:
    alpha = np.random.default_rng(1).integers(0, 256, (48, 40), dtype=np.uint8)
    rgba = np.dstack([picture(), alpha])
    decoded = decode(encoded(Image.fromarray(rgba), file_format, lossless=True, exact=True))
    opacity = alpha[:, :, None] / 255
    np.testing.assert_array_equal(decoded.pixels, np.rint(rgba[:, :, :3] * opacity + 255 * (1 - opacity)))
    assert decoded.notes == {"alpha composited on white"}


def test_an_alpha_channel_that_is_opaque_everywhere_is_no_composition() -> None:
    decoded = decode(encoded(Image.fromarray(picture()).convert("RGBA"), "PNG"))
    np.testing.assert_array_equal(decoded.pixels, picture())
    assert decoded.notes == frozenset()


def test_grey_with_alpha_is_composited_too() -> None:
    decoded = decode(png(2, 1, 8, 4, b"\0" + bytes([100, 0, 100, 255])))
    assert decoded.pixels[0].tolist() == [[255] * 3, [100] * 3]
    assert decoded.notes == {"greyscale", "alpha composited on white"}


@pytest.mark.parametrize(
    ("colour_type", "samples", "transparent", "expected", "notes"),
    [
        (0, [1000, 65535], [], [[3] * 3, [255] * 3], {"greyscale"}),
        (0, [1000, 2000], [1000], [[255] * 3, [7] * 3], {"greyscale", "alpha composited on white"}),
        (2, [1000, 2000, 3000, 65535, 257, 255], [], [[3, 7, 11], [255, 1, 0]], set()),
        (2, [1000, 2000, 3000, 9, 9, 9], [1000, 2000, 3000], [[255] * 3, [0] * 3], {"alpha composited on white"}),
        (4, [1000, 65535, 2000, 0], [], [[3] * 3, [255] * 3], {"alpha composited on white"}),
        (6, [1000, 0, 0, 65535, 2000, 0, 0, 0], [], [[3, 0, 0], [255] * 3], {"alpha composited on white"}),
    ],
)
def test_16_bit_samples_keep_their_high_byte(
    colour_type: int, samples: list[int], transparent: list[int], expected: list[list[int]], notes: set[str]
) -> None:
    rows = b"\0" + struct.pack(f">{len(samples)}H", *samples)
    decoded = decode(png(2, 1, 16, colour_type, rows, struct.pack(f">{len(transparent)}H", *transparent)))
    assert decoded.pixels[0].tolist() == expected
    assert decoded.notes == notes | {"16-bit reduced to 8"}


def test_16_bit_grey_and_colour_of_the_same_samples_agree_with_opencvs_file() -> None:
    samples = np.random.default_rng(2).integers(0, 65536, (9, 11), dtype=np.uint16)
    grey = decode(cv2.imencode(".png", samples)[1].tobytes()).pixels
    colour = decode(cv2.imencode(".png", np.dstack([samples] * 3))[1].tobytes()).pixels
    np.testing.assert_array_equal(grey, colour)
    np.testing.assert_array_equal(grey[:, :, 0], samples >> 8)


def test_cmyk_takes_pillows_conversion() -> None:
    data = encoded(Image.fromarray(picture()).convert("CMYK"), "JPEG")
    decoded = decode(data)
    np.testing.assert_array_equal(decoded.pixels, np.asarray(Image.open(BytesIO(data)).convert("RGB")))
    assert decoded.notes == {"CMYK converted"}


@pytest.mark.parametrize("file_format", ["PNG", "WEBP", "TIFF"])
def test_an_animation_is_refused_by_name(file_format: str) -> None:
    frames = [Image.fromarray(picture(seed=seed)) for seed in range(3)]
    data = encoded(frames[0], file_format, save_all=True, append_images=frames[1:], lossless=True)
    with pytest.raises(ImageError, match=r"animated (PNG|WebP)|TIFF of several pages"):
        decode(data)
    alone = encoded(frames[0], file_format, save_all=True, lossless=True)
    np.testing.assert_array_equal(decode(alone).pixels, picture())


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty file"),
        (b"\x89PNG broken", "not a JPEG, PNG, WebP, BMP, TIFF or PPM image"),
        (b"not an image\n" * 9, "not an image (found text)"),
        ("größer\n".encode() * 99, "not an image (found text)"),
        (b"<!DOCTYPE html><html>404</html>", "not an image (found an HTML page)"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00", "Git LFS pointer"),
        (b"\0" * 4096, "not an image (found only zero bytes)"),
        (b"\x7fELF\x01\x02\x03\x04\x90\x91", "not a JPEG, PNG, WebP, BMP, TIFF or PPM image"),
        (b"\0\0\0\x1cftypheic", "HEIC"),
        (encoded(Image.new("RGB", (4, 4)), "GIF"), "found GIF"),
        (b"BM", "truncated BMP"),
        (encoded(Image.new("RGB", (64, 64)), "PNG")[:60], "truncated PNG"),
        (png(0, 3, 8, 2, b""), "broken PNG"),
    ],
)
def test_what_is_no_image_is_named(data: bytes, reason: str) -> None:
    with pytest.raises(ImageError, match=r".") as caught:
        decode(data)
    assert reason in str(caught.value)


@pytest.mark.parametrize("file_format", FORMATS)
def test_an_image_over_the_limit_is_refused_by_its_header(file_format: str) -> None:
    data = encoded(Image.fromarray(picture(30, 20)), file_format)
    with pytest.raises(ImageError, match=r"^20×30 pixels, over the limit of 599$"):
        decode(data, max_pixels=599)
    assert decode(data, max_pixels=600).pixels.shape == (30, 20, 3)


def test_bombs_are_refused_in_threads_without_a_warning_or_a_change_of_pillows_limit() -> None:
    before = Image.MAX_IMAGE_PIXELS
    bomb = png(20_000, 20_000, 8, 2, b"")
    # Between Pillow's limit and ours, Image.open would warn; without rows, it need not be held in memory here.
    large = png(9_700, 10_000, 1, 0, b"")

    def attempt(index: int) -> str:
        try:
            return str(decode(bomb if index % 4 else large).pixels.shape)
        except ImageError as error:
            return str(error)

    with warnings.catch_warnings(record=True) as caught, ThreadPoolExecutor(4) as pool:
        warnings.simplefilter("always")
        answers = list(pool.map(attempt, range(8)))
    assert set(answers) == {f"20000×20000 pixels, over the limit of {MAX_PIXELS}", "truncated PNG"}
    assert not caught
    assert before == Image.MAX_IMAGE_PIXELS


def test_a_webp_beyond_pillows_own_limit_is_refused_too() -> None:
    data = bytearray(encoded(Image.new("RGBA", (4, 4), (1, 2, 3, 4)), "WEBP", save_all=True))
    assert data[12:16] == b"VP8X"
    data[24:30] = (16_382).to_bytes(3, "little") * 2
    with pytest.raises(ImageError, match=r"over the limit of|broken WebP"):
        decode(bytes(data))


SAMPLES = {
    "jpeg": encoded(Image.fromarray(picture()), "JPEG"),
    "jpeg progressive": encoded(Image.fromarray(picture()), "JPEG", progressive=True, exif=b"Exif\0\0II*\0\x08\0\0\0"),
    "jpeg cmyk": encoded(Image.fromarray(picture()).convert("CMYK"), "JPEG"),
    "png": encoded(Image.fromarray(picture()), "PNG"),
    "png palette": encoded(Image.fromarray(picture()).quantize(16), "PNG", transparency=3),
    "png 16-bit": cv2.imencode(".png", picture().astype(np.uint16) * 200)[1].tobytes(),
    "tiff": encoded(Image.fromarray(picture()), "TIFF"),
    "tiff lzw": encoded(Image.fromarray(picture()), "TIFF", compression="tiff_lzw"),
    "tiff deflate": encoded(Image.fromarray(picture()), "TIFF", compression="tiff_adobe_deflate"),
    "ppm": encoded(Image.fromarray(picture()), "PPM"),
    "webp": encoded(Image.fromarray(picture()), "WEBP"),
    "webp lossless": encoded(Image.fromarray(np.dstack([picture(), picture()[:, :, 0]])), "WEBP", lossless=True),
    "bmp": encoded(Image.fromarray(picture(16, 16)), "BMP"),
    "bmp palette": encoded(Image.fromarray(picture(16, 16)).quantize(16), "BMP"),
}


def refused_or_pixels(data: bytes) -> ImageError | npt.NDArray[np.uint8]:
    try:
        return decode(data, max_pixels=1_000_000).pixels
    except ImageError as error:
        return error


@pytest.mark.parametrize("sample", SAMPLES)
def test_a_file_cut_short_is_an_error_or_holds_every_pixel(sample: str) -> None:
    whole = SAMPLES[sample]
    expected = decode(whole).pixels
    answers = [refused_or_pixels(whole[:length]) for length in range(0, len(whole), 3)]
    complete = [answer for answer in answers if not isinstance(answer, ImageError)]
    for pixels in complete:
        np.testing.assert_array_equal(pixels, expected)
    assert len(complete) < len(answers)


@pytest.mark.parametrize("sample", SAMPLES)
def test_two_thirds_of_a_file_are_called_truncated(sample: str) -> None:
    whole = SAMPLES[sample]
    with pytest.raises(ImageError, match=r"^truncated (JPEG|PNG|WebP|BMP|TIFF|PPM)$"):
        decode(whole[: len(whole) * 2 // 3])


def mutate(whole: bytes, reach: int, rng: np.random.Generator) -> bytes:
    mutated = bytearray(whole)
    for position in rng.integers(0, reach, rng.integers(1, 6)).tolist():
        kind = rng.integers(3)
        if kind == 0:
            mutated[position : position + 1] = rng.bytes(1)
        elif kind == 1:
            del mutated[position : position + int(rng.integers(1, 9))]
        else:
            mutated[position:position] = rng.bytes(int(rng.integers(1, 9)))
    return bytes(mutated)


@pytest.mark.parametrize("sample", SAMPLES)
def test_only_image_errors_come_out_of_mutated_files(sample: str) -> None:
    rng = np.random.default_rng(7)
    whole = SAMPLES[sample]
    # Half of the rounds spoil the headers, where most of the parsing is.
    reaches = [len(whole), min(120, len(whole))] * 150
    answers = [refused_or_pixels(mutate(whole, reach, rng)) for reach in reaches]
    reasons = [str(answer) for answer in answers if isinstance(answer, ImageError)]
    assert len(reasons) > 10
    assert all(reasons)
    assert all(answer.shape[2] == 3 for answer in answers if not isinstance(answer, ImageError))


def test_panels_of_a_strip_are_cut_from_left_to_right() -> None:
    panels = [picture(seed=seed) for seed in range(5)]
    strip = np.concatenate(panels, axis=1)
    for index, panel in enumerate(panels):
        cut = cut_panel(strip, index, 5)
        np.testing.assert_array_equal(cut, panel)
        assert cut.flags.c_contiguous


def test_a_strip_that_does_not_divide_evenly_is_an_error() -> None:
    with pytest.raises(ImageError, match=r"^width 881 is not a multiple of the 5 panels that its naming stands for$"):
        cut_panel(np.zeros((2, 881, 3), dtype=np.uint8), 0, 5)


def test_an_image_ref_is_named_after_its_file_unless_told_otherwise() -> None:
    assert ImageRef(Path("a/b.png")).name == str(Path("a/b.png"))
    assert ImageRef(Path("a/b.png"), panel=2, panels=5, name="fashionWOMEN").name == "fashionWOMEN"


def test_image_refs_are_values_that_sort() -> None:
    refs = [ImageRef(Path("b")), ImageRef(Path("a"), 1, 3), ImageRef(Path("a"), 0, 3)]
    assert [(ref.path.name, ref.panel) for ref in sorted(refs)] == [("a", 0), ("a", 1), ("b", None)]
    assert len({ImageRef(Path("a")), ImageRef(Path("a"))}) == 1
    # A generated image and its target have one name, and look-ups of a million of them must not compare paths.
    assert hash(ImageRef(Path("mine/a"), name="a")) != hash(ImageRef(Path("real/a"), name="a"))


@pytest.mark.parametrize(("panel", "panels"), [(0, None), (None, 5), (5, 5), (-1, 5)])
def test_an_image_ref_to_no_panel_is_refused(panel: int | None, panels: int | None) -> None:
    with pytest.raises(ValueError, match=r"panel"):
        ImageRef(Path("a"), panel, panels)
