"""Worker processes, each of which makes one photograph at a time and writes its files."""

from __future__ import annotations

import functools
import hashlib
import importlib
import io
import multiprocessing
import os
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from fhpt_eval.engine.processes import end_with_parent, without_interrupts
from fhpt_eval.errors import Unavailable, UserError
from fhpt_eval.files.atomic import NO_ROOM, write_atomic
from fhpt_eval.synthetic.dataset_folder import files_of
from fhpt_eval.synthetic.exposure import CLEAN, Exposure, draw_exposure
from fhpt_eval.synthetic.shots import Shot
from fhpt_eval.synthetic.truth import Truth, openpose

if TYPE_CHECKING:
    from fhpt_eval.synthetic.identity import Identity
    from fhpt_eval.synthetic.photograph import Photograph

PICTURES = 2
"""Raised when the same options give other pictures; recipes tell it."""

_QUEUED = 2
"""Photographs a worker that wait or are being made."""


@dataclass(frozen=True)
class Renderer:
    """What makes people and photographs: functions of a module, so that workers find them.

    Attributes:
        sample_identity: From seed and number to a person.
        photograph: From person, index of the garment, view, seed, and size (height, width) to a photograph.
        labels: Names of the classes in the masks, by number.
    """

    sample_identity: Callable[[int, int], Identity]
    photograph: Callable[[Identity, int, str, int, tuple[int, int]], Photograph]
    labels: tuple[str, ...]


def find_renderer() -> Renderer:
    """Return the package's renderer.

    Raises:
        Unavailable: Embree is not here.
    """
    try:
        importlib.import_module("embreex.rtcore_scene")
    except ImportError as error:
        raise Unavailable(
            f"the renderer needs embreex, which cannot be loaded ({error}): pip install 'embreex>=4.4,<5', which is"
            " fhpt-eval's extra [synthetic]."
        ) from None
    from fhpt_eval.synthetic.identity import sample_identity
    from fhpt_eval.synthetic.photograph import LABELS, photograph

    return Renderer(sample_identity, photograph, tuple(LABELS))


@dataclass(frozen=True)
class Shoot:
    """What all photographs have in common.

    Attributes:
        renderer: Makes them.
        folder: Where they go.
        seed: Of the people.
        size: Height and width in pixels.
        photographic: Whether they get the blur, noise and JPEG of real photographs.
    """

    renderer: Renderer
    folder: Path
    seed: int
    size: tuple[int, int]
    photographic: bool = False

    def make(self, shot: Shot) -> str:
        """Make one photograph, write its files, and return its row of the truth.

        Raises:
            UserError: They cannot be written.
        """
        made = self.renderer.photograph(self._person(shot.identity), shot.item, shot.view, shot.seed, self.size)
        exposure = draw_exposure(shot.seed) if self.photographic else CLEAN
        contents = {"masks": _mask(made), "openpose": openpose(made).encode(), "img": _jpeg(made, exposure)}
        for folder, file in files_of(shot.stem).items():
            path = self.folder / file
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                room = "free some room or " if error.errno in NO_ROOM else ""
                raise UserError(
                    f"cannot write {path.parent} ({error.strerror}): {room}choose another folder with -o."
                ) from None
            write_atomic(path, contents[folder])
        hashes = {folder: hashlib.sha256(content).hexdigest() for folder, content in sorted(contents.items())}
        return Truth.of(shot, made, hashes).line()

    def _person(self, number: int) -> Identity:
        return _sampled(self.renderer.sample_identity, self.seed, number)


@functools.lru_cache(maxsize=4)
def _sampled(sample: Callable[[int, int], Identity], seed: int, number: int) -> Identity:
    return sample(seed, number)


def _jpeg(made: Photograph, exposure: Exposure) -> bytes:
    stream = io.BytesIO()
    image = Image.fromarray(exposure.develop(made.pixels))
    image.save(stream, "JPEG", quality=exposure.quality, subsampling=exposure.subsampling)
    return stream.getvalue()


def _mask(made: Photograph) -> bytes:
    image = Image.fromarray(made.labels)
    image.putpalette(label_colours().tobytes())
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return stream.getvalue()


def label_colours() -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    """256×3, the colours that PASCAL VOC gives to classes: bit 3k + c of the number is bit 7 − k of channel c."""
    numbers = np.arange(256)
    colours = np.zeros((256, 3), np.uint8)
    for k in range(8):
        for channel in range(3):
            colours[:, channel] |= ((numbers >> (3 * k + channel) & 1) << (7 - k)).astype(np.uint8)
    return colours


def make_all(shoot: Shoot, shots: Iterable[Shot], workers: int) -> Generator[tuple[str, str], None, None]:
    """Make photographs in worker processes, one maths thread each; yield names and rows as they are done, in any order.

    Raises:
        UserError: Processes cannot start or are killed, or a file cannot be written.
    """
    with _one_maths_thread():
        pool = ProcessPoolExecutor(
            workers, mp_context=multiprocessing.get_context("spawn"), initializer=end_with_parent
        )
        try:
            _first(pool)
            waiting: set[Future[tuple[str, str]]] = set()
            for shot in shots:
                with without_interrupts():
                    waiting.add(pool.submit(_make, shoot, shot))
                if len(waiting) >= _QUEUED * workers:
                    done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                    yield from (future.result() for future in done)
            while waiting:
                done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                yield from (future.result() for future in done)
        except BrokenProcessPool:
            raise UserError(
                "a worker process was killed, as it happens without memory: give the same command again, with fewer"
                " --workers; it goes on from there."
            ) from None
        finally:
            pool.shutdown(cancel_futures=True)


def _first(pool: ProcessPoolExecutor) -> None:
    try:
        with without_interrupts():
            started = pool.submit(os.getpid)
        started.result()
    except BrokenProcessPool:
        raise UserError(
            "worker processes cannot start: if this is a script of yours, put what it does under"
            " `if __name__ == '__main__':`, because each worker imports it."
        ) from None


@contextmanager
def _one_maths_thread() -> Iterator[None]:
    """For processes that start now: the last bits of a sum depend on how many threads share it."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    before: Mapping[str, str | None] = {name: os.environ.get(name) for name in names}
    os.environ.update(dict.fromkeys(names, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _make(shoot: Shoot, shot: Shot) -> tuple[str, str]:
    return shot.name, shoot.make(shot)
