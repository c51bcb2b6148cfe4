"""A renderer that takes milliseconds: coloured noise, with points that cover every case."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fhpt_eval.synthetic.rendering import Renderer
from fhpt_eval.synthetic.shots import VIEWS

LABELS = ("background", "skin", "top")
CATEGORIES = {"MEN": ("Pants", "Tees_Tanks", "Denim"), "WOMEN": ("Dresses", "Skirts", "Tees_Tanks")}


@dataclass(frozen=True)
class Item:
    category: str


@dataclass(frozen=True)
class Identity:
    number: int
    gender: str
    items: tuple[Item, ...]


@dataclass(frozen=True)
class Photograph:
    """As the renderer's, whose module takes long to import."""

    pixels: np.ndarray
    labels: np.ndarray
    body: np.ndarray
    face: np.ndarray
    hands: np.ndarray
    face_box: tuple[float, float, float, float] | None
    pose: str
    view: str


def sample_identity(seed: int, number: int) -> Identity:
    gender = ("MEN", "WOMEN")[(seed + number) % 2]
    return Identity(number, gender, tuple(Item(category) for category in CATEGORIES[gender]))


def photograph(identity: Identity, item: int, view: str, seed: int, size: tuple[int, int]) -> Photograph:
    random = np.random.default_rng(seed)
    height, width = size

    def points(count: int) -> np.ndarray:
        inside = random.uniform(0, 1, (count, 2)) * (width - 1, height - 1)
        seen = random.integers(0, 3, count)
        # Points out of the frame are still somewhere.
        return np.column_stack([inside + np.where(seen == 0, width + height, 0)[:, None], seen])

    back = view == "back"
    return Photograph(
        pixels=random.integers(0, 256, (*size, 3), dtype=np.uint8),
        labels=random.integers(0, len(LABELS), size, dtype=np.uint8),
        body=points(18),
        face=np.column_stack([points(68)[:, :2], np.ones(68)]) if back else points(68),
        hands=np.stack([points(21), points(21)]),
        face_box=None if back else (10.5, 1.25, 20.0, 12.0),
        pose=f"kind {VIEWS.index(view) % 2}",
        view=view,
    )


def slow(identity: Identity, item: int, view: str, seed: int, size: tuple[int, int]) -> Photograph:
    time.sleep(0.2)
    return photograph(identity, item, view, seed, size)


def without_room(identity: Identity, item: int, view: str, seed: int, size: tuple[int, int]) -> Photograph:
    if identity.number == 2:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
    return photograph(identity, item, view, seed, size)


def deadly(identity: Identity, item: int, view: str, seed: int, size: tuple[int, int]) -> Photograph:
    if identity.number == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return photograph(identity, item, view, seed, size)


def stuck(identity: Identity, item: int, view: str, seed: int, size: tuple[int, int]) -> Photograph:
    Path(os.environ["AT_WORK"], str(os.getpid())).touch()
    while True:
        ctypes.PyDLL(None).pause()


def alone(identity: Identity, item: int, view: str, seed: int, size: tuple[int, int]) -> Photograph:
    """Differs with the number of threads that the process's sums use."""
    drawn = photograph(identity, item, view, seed, size)
    drawn.pixels[:] = int(os.environ["OPENBLAS_NUM_THREADS"])
    drawn.pixels[0, :, 0] = np.random.default_rng(seed).integers(0, 256, size[1])
    return drawn


def _renderer(take: Any) -> Renderer:
    # The toy has only those attributes of people and photographs that the data set reads.
    sample: Any = sample_identity
    return Renderer(sample, take, LABELS)


TOY, SLOW, WITHOUT_ROOM, DEADLY, STUCK = map(_renderer, (photograph, slow, without_room, deadly, stuck))


if __name__ == "__main__":
    # The data set that the tests kill.
    import sys

    from synthetic import toy_people

    from fhpt_eval.synthetic.dataset import make

    make(Path(sys.argv[1]), identities=4, views=5, seed=3, size=(48, 32), workers=2, renderer=toy_people.SLOW)
