"""An executor for tests: as unlike that of this machine as the contract allows."""

from __future__ import annotations

import random
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import ClassVar, TypeVar

from toys import compare_two

from fhpt_eval.engine.contract import Broken, Computed, Decoded, Outcome, Work
from fhpt_eval.engine.executor import Executor, ExecutorOptions
from fhpt_eval.engine.machine import one_thread
from fhpt_eval.engine.opening import open_image
from fhpt_eval.extract.extractor import Context
from fhpt_eval.extract.numerics import Numerics
from fhpt_eval.progress import Progress
from fhpt_eval.records import Missing

T = TypeVar("T")


class OneByOne(Executor):
    """Another executor: one image at a time, in this process, in an order of its own."""

    name: ClassVar[str] = "toy"

    def __init__(self, options: ExecutorOptions) -> None:
        self._random = random.Random(options.batch_size)

    @property
    def numerics(self) -> Numerics:
        return Numerics()

    def run(self, work: Work, progress: Progress) -> Generator[Outcome, None, None]:
        steps = self._steps(work, progress)
        # In a thread of its own: arithmetic on one core must not stay with the tests that follow.
        with ThreadPoolExecutor(1, initializer=one_thread) as thread:
            while (outcome := thread.submit(next, steps, None).result()) is not None:
                yield outcome

    def _steps(self, work: Work, progress: Progress) -> Iterator[Outcome]:
        context = Context(weights=work.weights)
        models = {extractor: extractor.load(context) for extractor in (*work.images, *work.pairs)}
        one_thread()  # once more: torch may have been imported since
        views = work.views()
        opened = {}
        progress("extracting", 0, len(work.files))
        for done, key in enumerate(self._shuffled(work.files), start=1):
            image = opened[key] = open_image(key, work.files[key], views[key], work.max_pixels)
            yield Decoded(key, image.info)
            for extractor in [e for e, keys in work.images.items() if key in keys]:
                view = image.views[extractor.geometry]
                try:
                    yield Computed(extractor, key, view if isinstance(view, Missing) else models[extractor]([view])[0])
                except ArithmeticError as error:
                    yield Broken(extractor, error)
            progress("extracting", done, len(work.files))
        for comparison, pairs in work.pairs.items():
            for a, b in self._shuffled(pairs):
                first = opened[a].views[comparison.first_geometry]
                second = opened[b].views[comparison.second_geometry]
                if isinstance(first, Missing):
                    yield Computed(comparison, (a, b), first)
                elif isinstance(second, Missing):
                    yield Computed(comparison, (a, b), second)
                else:
                    yield Computed(comparison, (a, b), compare_two(models[comparison], first, second))

    def _shuffled(self, things: Iterable[T]) -> list[T]:
        shuffled = list(things)
        self._random.shuffle(shuffled)
        return shuffled
