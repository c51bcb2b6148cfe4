"""From a file to what extractors see: read, hashed, decoded once, cut, and put into each geometry."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib import metadata
from pathlib import Path

import numpy as np

from fhpt_eval.engine.contract import ImageInfo
from fhpt_eval.errors import Unavailable
from fhpt_eval.extract.extractor import Pixels
from fhpt_eval.files.regular import open_regular, read_regular
from fhpt_eval.images.decoding import DECODE_VERSION, ImageRef, cut_panel, decode
from fhpt_eval.images.formats import NO_MEMORY, ImageError
from fhpt_eval.images.geometry import Geometry
from fhpt_eval.images.masking import masked
from fhpt_eval.libraries import explained
from fhpt_eval.memory import out_of_memory
from fhpt_eval.records import Missing, Record

DECODING = hashlib.sha256(f"decode {DECODE_VERSION}, pillow {metadata.version('pillow')}".encode()).hexdigest()
"""The fingerprint under which the cache keeps what decoding told of an image."""


_BLOCK = 1 << 16
"""Bytes that are hashed at once: of larger blocks, each would be given back to the system."""


@dataclass(frozen=True)
class Opened:
    """One decoded image, in every geometry that is asked for.

    Attributes:
        key: Its content key.
        info: What decoding told, or in bare words why it cannot be read ("truncated JPEG").
        views: The pixels in each geometry, or why there are none, as a result says it ("unreadable: truncated JPEG").
    """

    key: str
    info: ImageInfo | Missing
    views: Mapping[Geometry, Pixels | Missing]


def hash_file(path: Path) -> str | Missing:
    """Return the SHA-256 of a file's bytes, or in bare words why it cannot be opened."""
    try:
        digest = hashlib.sha256()
        with open_regular(path) as stream:
            while block := stream.read(_BLOCK):
                digest.update(block)
    except OSError as error:
        return Missing(error.strerror or type(error).__name__)
    return digest.hexdigest()


def unreadable(why: Missing) -> Missing:
    """Return what is missing of an image that cannot be read, from the bare words of the reason."""
    return replace(why, reason=f"unreadable: {why.reason}") if why.fault else why


def open_image(key: str, ref: ImageRef, geometries: Iterable[Geometry], max_pixels: int) -> Opened:
    """Decode an image and apply each geometry; what goes wrong is told in place of the view it spoils."""
    try:
        data = read_regular(ref.path)
        if hashlib.sha256(data).hexdigest() != key.partition("#")[0]:
            raise ImageError("changed while it was being evaluated")
        decoded = decode(data, max_pixels)
        pixels = decoded.pixels
        if ref.panel is not None and ref.panels is not None:
            pixels = cut_panel(pixels, ref.panel, ref.panels)
        height, width = pixels.shape[:2]
        info = ImageInfo(
            width, height, _shared(decoded.notes), hashlib.sha256(np.ascontiguousarray(pixels).data).hexdigest()
        )
        if ref.mask is not None:
            pixels = masked(ref.mask, pixels, max_pixels)
    except (ImageError, OSError, MemoryError) as error:
        why = Missing(NO_MEMORY if out_of_memory(error) else getattr(error, "strerror", None) or str(error))
        return unopened(key, why, geometries)
    return Opened(key, info, {geometry: _view(geometry, pixels, decoded.stored_as) for geometry in geometries})


def unopened(key: str, why: Missing, geometries: Iterable[Geometry]) -> Opened:
    """Return an image that cannot be read, for this reason in bare words."""
    return Opened(key, why, dict.fromkeys(geometries, unreadable(why)))


def _view(geometry: Geometry, pixels: Pixels, stored_as: str) -> Pixels | Missing:
    try:
        return geometry.apply(pixels, stored_as)
    except ImageError as error:
        return Missing(str(error))
    except Exception as error:
        if isinstance(reason := explained(error), Unavailable):
            return Missing(str(reason))
        if not out_of_memory(error):
            raise
        return Missing(f"not enough memory for the geometry {geometry}")


def dump_info(info: ImageInfo) -> Record:
    """As a record for the cache: ``size`` (width, height), and ``about`` (JSON as bytes)."""
    about = json.dumps({"notes": sorted(info.notes), "pixels": info.pixels}).encode()
    return {"size": np.array([info.width, info.height]), "about": np.frombuffer(about, dtype=np.uint8)}


def parse_info(record: Record) -> ImageInfo:
    """Read what `dump_info` wrote."""
    width, height = (int(v) for v in record["size"])
    about = json.loads(record["about"].tobytes())
    return ImageInfo(width, height, _shared(frozenset(about["notes"])), about["pixels"])


@cache
def _shared(notes: frozenset[str]) -> frozenset[str]:
    """Return the same object for equal notes: there are few different ones, and one for each image."""
    return notes
