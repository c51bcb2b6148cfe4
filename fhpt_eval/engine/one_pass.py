"""One way through the images of some work: each decoded once, for all extractors that ask for it.

Nothing waits for a batch to be done but the batches that there is no room for: while some images are decoded, others
are in networks and detectors, and pairs are compared as soon as both their images are encoded.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from functools import partial
from typing import Any, TypeVar

from fhpt_eval.engine.contract import Computed, Decoded, Outcome, PairOfKeys, Warned, Work
from fhpt_eval.engine.decoders import Decoder
from fhpt_eval.engine.flow import Flow, Lane
from fhpt_eval.engine.join import Join
from fhpt_eval.engine.models import Failed, Models
from fhpt_eval.engine.opening import Opened
from fhpt_eval.engine.stream import AT_ONCE, UNDER_WAY, Batch, batches
from fhpt_eval.engine.workers import CannotStart, Workers
from fhpt_eval.extract.extractor import Encoded, Extractor, ImageExtractor, PairModel, Pixels
from fhpt_eval.images.geometry import Geometry
from fhpt_eval.progress import Progress
from fhpt_eval.records import Missing, Result

T = TypeVar("T")

_IMAGE_TOO_LARGE = Missing("not enough memory for this image")
_PAIR_TOO_LARGE = Missing("not enough memory for this pair of images")


class Pass:
    """One way through the images.

    Args:
        work: What is asked for.
        joins: Bring the pairs of its pair extractors together.
        decoder: Opens images.
        models: Loaded extractors.
        workers: For detectors.
        batch_size: Images in a batch, at most.
        progress: Is told how many images are done.
    """

    def __init__(
        self,
        work: Work,
        joins: Sequence[Join],
        decoder: Decoder,
        models: Models,
        workers: Workers,
        batch_size: int,
        progress: Progress,
    ) -> None:
        self._work = work
        self._joins: dict[Extractor, tuple[Join, Lane]] = {join.extractor: (join, deque()) for join in joins}
        self._decoder = decoder
        self._models = models
        self._workers = workers
        self._progress = progress
        self._views = work.views()
        self._flow = Flow()
        self._decoding: Lane = deque()
        self._waiting = batches(work, batch_size)
        self._next = next(self._waiting, None)
        self._under_way: set[Batch] = set()
        self._done = 0
        self._begin()

    def run(self) -> Iterator[Outcome]:
        """Yield what comes, as it comes."""
        self._progress("extracting", 0, len(self._work.files))
        yield from self._flow.run()

    def _begin(self) -> None:
        """Have the images of further batches decoded, as far as there is room."""
        while self._next is not None and self._room_for(self._next):
            batch, self._next = self._next, next(self._waiting, None)
            self._under_way.add(batch)
            asked = [(key, self._work.files[key], self._views[key]) for key in batch.keys]
            for image in self._decoder(asked):
                self._follow(batch, image, partial(self._opened, batch), self._decoding)

    def _room_for(self, batch: Batch) -> bool:
        held = sum(other.bytes for other in self._under_way)
        return not self._under_way or (len(self._under_way) < UNDER_WAY and held + batch.bytes <= 2 * AT_ONCE)

    def _follow(
        self,
        batch: Batch,
        future: Future[T],
        then: Callable[[Future[T]], Iterable[Outcome]],
        lane: Lane | None = None,
    ) -> None:
        """Follow up work on a batch, after which there may be room for another."""
        batch.open += 1

        def and_then(done: Future[T]) -> Iterator[Outcome]:
            yield from then(done)
            batch.open -= 1
            if not batch.open:
                self._under_way.remove(batch)
                self._done += len(batch.keys)
                self._progress("extracting", self._done, len(self._work.files))
                self._begin()
            yield from map(Warned, self._models.warnings())

        self._flow.follow(future, and_then, lane)

    def _opened(self, batch: Batch, done: Future[Opened]) -> Iterator[Outcome]:
        """Once the last image of a batch is decoded, show them to the extractors."""
        image = done.result()
        yield Decoded(image.key, image.info)
        batch.images.append(image)
        if len(batch.images) == len(batch.keys):
            for extractor, keys in self._work.images.items():
                asked = [image for image in batch.images if image.key in keys]
                if asked and extractor not in self._models.broken:
                    yield from self._extract(batch, extractor, asked)
            for join, lane in self._joins.values():
                yield from self._encode(batch, join, lane)
            batch.images = []

    def _extract(self, batch: Batch, extractor: ImageExtractor, images: Sequence[Opened]) -> Iterator[Computed]:
        usable, spoiled = _views(images, extractor.geometry)
        yield from (Computed(extractor, key, why) for key, why in spoiled.items())
        if extractor.process:
            for key, view in usable.items():
                found = self._workers.submit(extractor, view)
                self._follow(batch, found, partial(self._found, extractor, key))
            return
        for results in self._models.submit(extractor, _apply, usable, too_large=_IMAGE_TOO_LARGE):
            self._follow(batch, results, partial(_computed, extractor))

    def _found(self, extractor: ImageExtractor, key: str, done: Future[Result]) -> Iterator[Computed]:
        """Yield what a detector found."""
        error = done.exception()
        if isinstance(error, Exception) and not isinstance(error, CannotStart):
            self._models.give_up(extractor, error)
        else:
            yield Computed(extractor, key, done.result())

    def _encode(self, batch: Batch, join: Join, lane: Lane) -> Iterator[Outcome]:
        """Bring the images that stand in pairs into a join; in their order, so that a device compares the same batches.

        Those of one run are those of any other, then, and so are the last digits.
        """
        if join.extractor in self._models.broken:
            return
        for geometry in dict.fromkeys(join.extractor.geometries):
            usable, spoiled = _views([i for i in batch.images if join.wants(geometry, i.key)], geometry)
            for key, why in spoiled.items():
                join.add(geometry, key, why)
            for codes in self._models.submit(join.extractor, _encoded, usable, too_large=_IMAGE_TOO_LARGE):
                self._follow(batch, codes, partial(self._join, batch, join, geometry), lane)
        yield from self._compare(batch, join)

    def _join(
        self, batch: Batch, join: Join, geometry: Geometry, done: Future[dict[str, Encoded | Missing]]
    ) -> Iterator[Computed]:
        try:
            codes = done.result()
        except Failed:
            return
        for key, code in codes.items():
            join.add(geometry, key, code)
        yield from self._compare(batch, join)

    def _compare(self, batch: Batch, join: Join) -> Iterator[Computed]:
        """Have the pairs compared that are complete now; yield those of which an image is missing."""
        whole: dict[PairOfKeys, tuple[Encoded, Encoded]] = {}
        for pair, first, second in join.complete():
            if isinstance(first, Missing):
                yield Computed(join.extractor, pair, first)
            elif isinstance(second, Missing):
                yield Computed(join.extractor, pair, second)
            else:
                whole[pair] = (first, second)
        for results in self._models.submit(join.extractor, _compared, whole, too_large=_PAIR_TOO_LARGE):
            self._follow(batch, results, partial(_computed, join.extractor))


def _views(images: Sequence[Opened], geometry: Geometry) -> tuple[dict[str, Pixels], dict[str, Missing]]:
    """Return the images as a geometry shows them, and why others cannot be shown."""
    usable: dict[str, Pixels] = {}
    spoiled: dict[str, Missing] = {}
    for image in images:
        view = image.views[geometry]
        if isinstance(view, Missing):
            spoiled[image.key] = view
        else:
            usable[image.key] = view
    return usable, spoiled


def _computed(extractor: Extractor, done: Future[dict[Any, Result]]) -> Iterator[Computed]:
    try:
        results = done.result()
    except Failed:
        return
    yield from (Computed(extractor, key, result) for key, result in results.items())


def _apply(model: Callable[[Sequence[Pixels]], list[Result]], images: Sequence[Pixels]) -> Sequence[Result]:
    return model(images)


def _encoded(model: PairModel, images: Sequence[Pixels]) -> Sequence[Encoded]:
    return model.encode(images)


def _compared(model: PairModel, pairs: Sequence[tuple[Encoded, Encoded]]) -> Sequence[Result]:
    return model.compare(pairs)
