"""Many files in a moment: a few encoded pictures, each copied with a comment of its own, so that all bytes differ."""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from fhpt_eval.sample import IMAGES, SAMPLE

NOISE = 3.0


def write(folder: Path, suffix: str, count: int) -> list[Path]:
    """Write so many JPEG or PNG files of 256×176, unless they are there, and return them in order."""
    paths = [folder / f"{suffix}-{i:06}.{suffix}" for i in range(count)]
    if paths[-1].exists():
        return paths
    folder.mkdir(parents=True, exist_ok=True)
    people = sorted((SAMPLE / IMAGES).rglob("*.jpg"))
    with ThreadPoolExecutor() as threads:
        encoded = list(threads.map(lambda path: _encoded(path, suffix), people))
        list(threads.map(lambda i: paths[i].write_bytes(_with_comment(encoded[i % len(encoded)], i)), range(count)))
    return paths


def _encoded(path: Path, suffix: str) -> bytes:
    pixels = np.asarray(Image.open(path).convert("RGB"), dtype=np.float32)
    noise = np.random.default_rng(0).standard_normal(pixels.shape, dtype=np.float32)
    stream = io.BytesIO()
    noisy = Image.fromarray((pixels + NOISE * noise).round().clip(0, 255).astype(np.uint8))
    noisy.save(stream, **({"format": "JPEG", "quality": 95} if suffix == "jpg" else {"format": "PNG"}))
    return stream.getvalue()


def _with_comment(data: bytes, number: int) -> bytes:
    text = f"{number:012}".encode()
    if data.startswith(b"\xff\xd8"):
        return data[:2] + b"\xff\xfe" + (len(text) + 2).to_bytes(2, "big") + text + data[2:]
    head = 8 + 4 + 4 + 13 + 4
    chunk = b"tEXt" + b"Comment\0" + text
    whole = (len(chunk) - 4).to_bytes(4, "big") + chunk + zlib.crc32(chunk).to_bytes(4, "big")
    return data[:head] + whole + data[head:]


def batches(paths: list[Path], size: int) -> Iterator[list[Path]]:
    """Yield the files in groups."""
    for start in range(0, len(paths), size):
        yield paths[start : start + size]
