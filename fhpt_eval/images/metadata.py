"""What of an image file concerns its pixels, so that nothing else in it can keep a picture from being read.

Texts, colour profiles, thumbnails and previews are written by many tools, are at times large or damaged, and are
never looked at here. They are taken out before the file reaches a decoder that would stumble over them; the
orientation stays.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

from fhpt_eval.images.formats import ImageError


def pixels_alone(name: str, data: bytes) -> bytes:
    """Return a file of the format ``name`` without its metadata; what is broken stays for the decoder to find.

    Raises:
        ImageError: It holds several pictures.
    """
    if name == "PNG":
        return b"".join(_of_png(data))
    if name == "JPEG":
        return b"".join(_of_jpeg(data))
    return _of_tiff(data) if name == "TIFF" else data


def _of_png(data: bytes) -> Iterator[bytes]:
    """Keep the critical chunks, transparency, and an orientation that is whole (PNG 3rd edition, 5 and 11)."""
    yield data[:8]
    at = 8
    while at + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        kind, end = data[at + 4 : at + 8], at + 12 + length
        if not kind.isalpha() or end > len(data):
            break
        if kind == b"fdAT":
            raise ImageError("an animated PNG, which has no one picture: give one frame of it")
        if not kind[:1].islower() or kind == b"tRNS" or (kind == b"eXIf" and _is_whole(data[at:end])):
            yield data[at:end]
        at = end
        if kind == b"IEND":
            return
    yield data[at:]


def _is_whole(chunk: bytes) -> bool:
    return zlib.crc32(chunk[4:-4]) == int.from_bytes(chunk[-4:], "big")


def _of_jpeg(data: bytes) -> Iterator[bytes]:
    """Keep every segment before the first scan but comments and those of applications that tell no colours."""
    yield data[:2]
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF or marker == 0x01 or 0xD0 <= marker <= 0xD8:  # fill bytes, and markers without a length
            at += 1 if marker == 0xFF else 2
            continue
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        if marker == 0xDA or end < at + 4 or end > len(data):
            break
        application = 0xE0 <= marker <= 0xEF or marker == 0xFE
        if not application or _tells_colours(marker, data[at + 4 : end]):
            yield data[at:end]
        at = end
    yield data[at:]


def _tells_colours(marker: int, content: bytes) -> bool:
    """Whether libjpeg looks at a segment to know the colours (JFIF, Adobe), or it holds the orientation."""
    if marker == 0xE0:
        return content.startswith(b"JFIF\0") and len(content) >= 14
    if marker == 0xEE:
        return content.startswith(b"Adobe") and len(content) >= 12
    return marker == 0xE1 and content.startswith(b"Exif\0\0")


_ONE_VALUE = frozenset({256, 257, 259, 262, 266, 277, 278, 284, 317, 322, 323})
"""Tags of a TIFF (TIFF 6.0, 8): width, height, compression, colours, order of bits, layout, predictor, tile size."""
_VALUES = {258: (3,), 273: (3, 4), 279: (3, 4), 320: (3,), 324: (3, 4), 325: (3, 4), 338: (3,), 339: (3,)}
"""Tags with a value a sample, a strip or a tile, and the types that they may have: depth, places, palette, alpha."""
_BYTES = {3: 2, 4: 4}
_COMPRESSIONS = frozenset({1, 5, 8, 32773, 32946})
"""None, LZW, deflate, PackBits and deflate by its old number: lossless, and in every build of Pillow."""


def _of_tiff(data: bytes) -> bytes:
    """Return the file with only that in its directory what concerns the pixels."""
    order = "<" if data[:2] == b"II" else ">"
    try:
        (start,) = struct.unpack_from(f"{order}I", data, 4)
        (count,) = struct.unpack_from(f"{order}H", data, start)
        entries = [struct.unpack_from(f"{order}HHI4s", data, start + 2 + 12 * i) for i in range(count)]
        (following,) = struct.unpack_from(f"{order}I", data, start + 2 + 12 * count)
    except struct.error:
        raise ImageError("truncated TIFF") from None
    if following:
        raise ImageError("a TIFF of several pages: give one of them")
    kept: dict[int, bytes] = {}
    for tag, kind, values, content in entries:
        if tag not in _ONE_VALUE and tag not in _VALUES:
            continue
        size = _BYTES.get(kind, 0) * values
        if not size or (tag in _ONE_VALUE and values != 1) or (tag in _VALUES and kind not in _VALUES[tag]):
            raise ImageError(f"broken TIFF (tag {tag})")
        (offset,) = struct.unpack(f"{order}I", content)
        if size > 4 and offset + size > len(data):
            raise ImageError("truncated TIFF")
        kept.setdefault(tag, struct.pack(f"{order}HHI4s", tag, kind, values, content))
        if tag == 259:
            compression = struct.unpack(f"{order}{'H' if kind == 3 else 'I'}", content[:size])[0]
            if compression not in _COMPRESSIONS:
                raise ImageError(f"a TIFF of compression {compression}, which is not read: save it as PNG")
    # Not longer than what it replaces: nothing moves, and a file that is cut short stays so.
    directory = struct.pack(f"{order}H", len(kept)) + b"".join(kept[tag] for tag in sorted(kept)) + b"\0" * 4
    return data[:start] + directory + data[start + len(directory) :]
