"""Images to measure on: the packaged rendered people, repeated with seeded noise so that every file differs.

As in DeepFashion's test list, a target stands in 2.7 pairs. The folders are as users of the peers have them: `targets`
has a file for each generated image.
"""

from __future__ import annotations

import csv
import math
import multiprocessing
import os
from collections import defaultdict
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from fhpt_eval.sample import IMAGES, PAIRS, SAMPLE

PAIRS_A_TARGET = 2.726
"""8,570 pairs of 3,144 targets."""

REAL_NOISE, GENERATED_NOISE = 3.0, 10.0
METHODS = (1, 2)
"""Two methods with the same targets."""


@dataclass(frozen=True)
class Images:
    """Folders of one number and size of images.

    Attributes:
        folder: Where all of it lies.
        count: Of pairs.
        size: Height and width.
    """

    folder: Path
    count: int
    size: tuple[int, int]

    @property
    def targets(self) -> Path:
        """JPEG, one for each generated image, under its number."""
        return self.folder / "targets"

    @property
    def sources(self) -> Path:
        """JPEG, the different real images."""
        return self.folder / "sources"

    @property
    def pairs(self) -> Path:
        """A CSV: generated, target, source, item."""
        return self.folder / "pairs.csv"

    def generated(self, method: int = METHODS[0]) -> Path:
        """PNG, by number."""
        return self.folder / f"generated-{method}"

    def read_once(self) -> None:
        """Read all files, so that nobody is the first to wait for the disk."""
        for path in self.folder.rglob("*.*g"):
            path.read_bytes()


def make(folder: Path, count: int, size: tuple[int, int]) -> Images:
    """Write the images, unless a call before did."""
    images = Images(folder / f"{size[0]}x{size[1]}-{count}", count, size)
    if images.pairs.exists():
        return images
    for each in (images.targets, images.sources, *map(images.generated, METHODS)):
        each.mkdir(parents=True, exist_ok=True)
    real = math.ceil(count / PAIRS_A_TARGET)
    people, items = _sample()
    of_item = defaultdict(list)
    for j in range(real):
        of_item[items[j % len(people)]].append(j)
    rows = []
    for i in range(count):
        target = i * real // count
        item = items[target % len(people)]
        others = of_item[item]
        source = others[(others.index(target) + 1) % len(others)]
        rows.append((f"{i:06}.png", f"{i:06}.jpg", f"{source:06}.jpg", item, target))
    with multiprocessing.get_context("spawn").Pool() as pool:
        pool.map(partial(_write_real, images), range(real), chunksize=16)
        pool.map(partial(_write_generated, images), [(i, row[-1]) for i, row in enumerate(rows)], chunksize=16)
    for _, name, _, _, target in rows:
        (images.targets / name).unlink(missing_ok=True)
        os.link(images.sources / f"{target:06}.jpg", images.targets / name)
    with (folder / "pairs.part").open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([("generated", "target", "source", "item"), *(row[:4] for row in rows)])
    (folder / "pairs.part").rename(images.pairs)
    return images


@cache
def _sample() -> tuple[list[Path], list[str]]:
    """Return the rendered pictures, and the item of each."""
    with (SAMPLE / PAIRS).open(encoding="utf-8", newline="") as stream:
        item_of = {row["from"]: row["item"] for row in csv.DictReader(stream)}
    return [SAMPLE / IMAGES / name for name in sorted(item_of)], [item_of[name] for name in sorted(item_of)]


@cache
def _picture(index: int, size: tuple[int, int]) -> npt.NDArray[np.float32]:
    people, _ = _sample()
    with Image.open(people[index % len(people)]) as picture:
        resized = picture.convert("RGB").resize((size[1], size[0]), Image.Resampling.BICUBIC)
    return np.asarray(resized, dtype=np.float32)


def _noisy(index: int, size: tuple[int, int], noise: float, seed: tuple[int, int]) -> Image.Image:
    random = np.random.default_rng(seed)
    picture = _picture(index, size)
    picture = picture + noise * random.standard_normal(picture.shape, dtype=np.float32)
    return Image.fromarray(picture.round().clip(0, 255).astype(np.uint8))


def _write_real(images: Images, j: int) -> None:
    _noisy(j, images.size, REAL_NOISE, (0, j)).save(images.sources / f"{j:06}.jpg", quality=95)


def _write_generated(images: Images, pair: tuple[int, int]) -> None:
    i, target = pair
    for method in METHODS:
        # Fast to write; noise does not get smaller by looking harder.
        path = images.generated(method) / f"{i:06}.png"
        _noisy(target, images.size, GENERATED_NOISE, (method, i)).save(path, compress_level=1)
