"""The executor of one machine: each image decoded once, in batches, for all extractors that ask for it."""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Executor as Threads
from contextlib import ExitStack
from dataclasses import replace
from typing import ClassVar

from fhpt_eval.engine.contract import Broken, Computed, Decoded, Outcome, PairOfKeys, Warned, Work
from fhpt_eval.engine.executor import LOCAL, Executor, ExecutorOptions
from fhpt_eval.engine.join import BUDGET, Join
from fhpt_eval.engine.machine import cpu_count, one_thread, pick_device
from fhpt_eval.engine.models import Failed, Models
from fhpt_eval.engine.opening import Opened
from fhpt_eval.engine.processes import threads
from fhpt_eval.engine.stream import BATCH_SIZE, batches
from fhpt_eval.engine.workers import Workers
from fhpt_eval.extract.extractor import Context, Encoded, Extractor, ImageExtractor, PairExtractor
from fhpt_eval.extract.numerics import Numerics
from fhpt_eval.images.geometry import Geometry
from fhpt_eval.progress import Progress
from fhpt_eval.records import Missing, Result

_DECODERS = 4

_IMAGE_TOO_LARGE = Missing("not enough memory for this image")
_PAIR_TOO_LARGE = Missing("not enough memory for this pair of images")


class LocalExecutor(Executor):
    """Computes on this machine."""

    name: ClassVar[str] = LOCAL

    def __init__(self, options: ExecutorOptions) -> None:
        """Take the options.

        Raises:
            UserError: There is no such device.
        """
        self._options = options
        self._workers = options.workers or cpu_count()
        self._numerics = Numerics(pick_device(options.device), options.precision, options.reference_math)
        self._batch_size = options.batch_size or BATCH_SIZE

    @property
    def numerics(self) -> Numerics:
        """The options, with the device that is here."""
        return self._numerics

    def run(self, work: Work, progress: Progress) -> Generator[Outcome, None, None]:
        """Yield what comes of each batch of images."""
        with ExitStack() as stack:
            decoders = stack.enter_context(threads(_DECODERS))
            cores = stack.enter_context(threads(self._workers, one_thread))
            workers = stack.enter_context(Workers(self._workers, work.weights, self._options.detector_timeout))
            models = Models(Context(**vars(self._numerics), weights=work.weights), self._batch_size, cores)
            yield from _Pass(work, models, workers, decoders, self._batch_size, progress).run()


class _Pass:
    """One way through the images of some work."""

    def __init__(
        self,
        work: Work,
        models: Models,
        workers: Workers,
        decoders: Threads,
        batch_size: int,
        progress: Progress,
    ) -> None:
        self._work = work
        self._models = models
        self._workers = workers
        self._decoders = decoders
        self._batch_size = batch_size
        self._progress = progress

    def run(self) -> Iterator[Outcome]:
        work, total = self._work, len(self._work.files)
        self._load([*(e for e in work.images if not e.process), *work.pairs])
        joins = [Join(extractor, pairs, BUDGET // len(work.pairs)) for extractor, pairs in work.pairs.items()]
        done = 0
        self._progress("extracting", 0, total)
        for batch in self._batches(work):
            yield from (Decoded(image.key, image.info) for image in batch)
            for extractor, keys in work.images.items():
                yield from self._image_results(extractor, [image for image in batch if image.key in keys])
            for join in joins:
                yield from self._pair_results(join, batch)
            yield from map(Warned, self._models.warnings())
            done += len(batch)
            self._progress("extracting", done, total)
        yield from self._finished(all_of_them=True)
        for join in joins:
            yield from self._late_results(join)
        yield from map(Warned, self._models.warnings())
        yield from (Broken(extractor, error) for extractor, error in self._models.broken.items())

    def _load(self, extractors: Sequence[Extractor]) -> None:
        for done, extractor in enumerate(extractors):
            self._progress("loading", done, len(extractors))
            try:
                self._models.load(extractor)
            except Failed:
                continue
        if extractors:
            self._progress("loading", len(extractors), len(extractors))

    def _batches(self, work: Work) -> Iterator[list[Opened]]:
        return batches(work, self._decoders, self._batch_size)

    def _image_results(self, extractor: ImageExtractor, images: Sequence[Opened]) -> Iterator[Computed]:
        if extractor in self._models.broken:
            return
        views = {image.key: image.views[extractor.geometry] for image in images}
        spoiled = {key: view for key, view in views.items() if isinstance(view, Missing)}
        yield from (Computed(extractor, key, why) for key, why in spoiled.items())
        usable = {key: view for key, view in views.items() if not isinstance(view, Missing)}
        if extractor.process:
            for key, view in usable.items():
                self._workers.submit(extractor, key, view)
            yield from self._finished()
            return
        try:
            results = self._models.call(
                extractor, lambda model, batch: model(batch), list(usable.values()), too_large=_IMAGE_TOO_LARGE
            )
        except Failed:
            return
        yield from (Computed(extractor, key, result) for key, result in zip(usable, results, strict=True))

    def _finished(self, *, all_of_them: bool = False) -> Iterator[Computed]:
        """Yield what detectors found; the last time, all of it."""
        for extractor, key, result in self._workers.finished(all_of_them=all_of_them):
            if isinstance(result, Exception):
                self._models.give_up(extractor, result)
            else:
                yield Computed(extractor, key, result)

    def _pair_results(self, join: Join, images: Sequence[Opened]) -> Iterator[Computed]:
        extractor = join.extractor
        try:
            for geometry in dict.fromkeys(extractor.geometries):
                self._encode(join, geometry, [image for image in images if join.wants(geometry, image.key)])
            results = self._compared(extractor, list(join.complete()))
        except Failed:
            return
        yield from (Computed(extractor, pair, result) for pair, result in results.items())

    def _encode(self, join: Join, geometry: Geometry, images: Sequence[Opened]) -> None:
        """Bring images into a join, or why they cannot be compared."""
        usable = {}
        for image in images:
            view = image.views[geometry]
            if isinstance(view, Missing):
                join.add(geometry, image.key, view)
            else:
                usable[image.key] = view
        encoded = self._models.call(
            join.extractor, lambda model, batch: model.encode(batch), list(usable.values()), too_large=_IMAGE_TOO_LARGE
        )
        for key, code in zip(usable, encoded, strict=True):
            join.add(geometry, key, code)

    def _compared(
        self,
        extractor: PairExtractor,
        complete: Sequence[tuple[PairOfKeys, Encoded | Missing, Encoded | Missing]],
    ) -> dict[PairOfKeys, Result]:
        results: dict[PairOfKeys, Result] = {}
        whole: dict[PairOfKeys, tuple[Encoded, Encoded]] = {}
        for pair, first, second in complete:
            if isinstance(first, Missing):
                results[pair] = first
            elif isinstance(second, Missing):
                results[pair] = second
            else:
                whole[pair] = (first, second)
        compared = self._models.call(
            extractor, lambda model, batch: model.compare(batch), list(whole.values()), too_large=_PAIR_TOO_LARGE
        )
        return {**results, **dict(zip(whole, compared, strict=True))}

    def _late_results(self, join: Join) -> Iterator[Computed]:
        """Pairs whose one image had to be forgotten before the other came: read both again, a few at a time."""
        late = join.late()
        for start in range(0, len(late), self._batch_size):
            pairs = late[start : start + self._batch_size]
            files = {key: self._work.files[key] for pair in pairs for key in pair}
            part = replace(self._work, files=files, images={}, pairs={join.extractor: tuple(pairs)})
            again = Join(join.extractor, pairs, math.inf)
            for batch in self._batches(part):
                yield from self._pair_results(again, batch)
            self._progress("comparing pairs again", start + len(pairs), len(late))
