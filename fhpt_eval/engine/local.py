"""The executor of one machine: decoders, cores, a device and worker processes, all at work side by side."""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import ClassVar

from fhpt_eval.engine.contract import Broken, Computed, Outcome, Warned, Work
from fhpt_eval.engine.decoders import Decoder, InProcesses, in_threads
from fhpt_eval.engine.executor import LOCAL, Executor, ExecutorOptions
from fhpt_eval.engine.join import BUDGET, Join
from fhpt_eval.engine.machine import cpu_count, keep_freed_memory, own_stream, pick_device
from fhpt_eval.engine.memory import STREAMS, fitting, usual_batch_size
from fhpt_eval.engine.models import Failed, Models
from fhpt_eval.engine.one_pass import Pass
from fhpt_eval.engine.processes import threads
from fhpt_eval.engine.workers import Workers
from fhpt_eval.extract.extractor import Context
from fhpt_eval.extract.numerics import Numerics
from fhpt_eval.progress import Progress, silent

_DECODING_THREADS = 4

_DECODING_TIMEOUT = 600.0
"""Seconds that a process may take to open an image, however large it is and slow the disk."""


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
        self._batch_size = options.batch_size or usual_batch_size(self._numerics.device, self._workers)

    @property
    def numerics(self) -> Numerics:
        """The options, with the device that is here."""
        return self._numerics

    def run(self, work: Work, progress: Progress) -> Generator[Outcome, None, None]:
        """Yield what comes of the images and pairs, as it comes."""
        with self.open(work.weights, work.max_pixels) as machine:
            yield from machine.run(work, progress)

    @contextmanager
    def open(self, weights: Mapping[str, Path], max_pixels: int) -> Iterator[Machine]:
        """Give what computes some work after another; extractors stay loaded meanwhile.

        Args:
            weights: The verified file of each weights name that an extractor asks for.
            max_pixels: Larger images are refused.
        """
        device, plainly = self._numerics.device, self._numerics.reference_math
        decoder: Decoder
        keep_freed_memory()
        with ExitStack() as stack:
            if device == "cpu" or plainly:
                decoder = in_threads(stack.enter_context(threads(_DECODING_THREADS)), max_pixels)
            else:
                processes = stack.enter_context(Workers(self._workers, Context(), _DECODING_TIMEOUT))
                decoder = InProcesses(processes, max_pixels)
            cores = stack.enter_context(threads(self._workers))
            streams = None
            if device != "cpu":
                # MPS and XPU have no streams here.
                count = STREAMS if device.startswith("cuda") and not plainly else 1
                streams = stack.enter_context(threads(count, partial(own_stream, device)))
            context = Context(**vars(self._numerics), weights=weights)
            of_detectors = replace(context, device="cpu")
            workers = stack.enter_context(Workers(self._workers, of_detectors, self._options.detector_timeout))
            models = Models(context, self._batch_size, cores, streams)
            yield Machine(models, workers, decoder, self._batch_size, device)


class Machine:
    """Threads, processes and loaded extractors of this machine. Several threads may have work of theirs computed.

    Args:
        models: Loaded extractors.
        workers: For detectors.
        decoder: Opens images.
        batch_size: Images in a batch, at most.
        device: Where networks compute.
    """

    def __init__(self, models: Models, workers: Workers, decoder: Decoder, batch_size: int, device: str) -> None:
        self._models = models
        self._workers = workers
        self._decoder = decoder
        self._batch_size = batch_size
        self._device = device

    def run(self, work: Work, progress: Progress) -> Iterator[Outcome]:
        """Yield what comes of some work: of a pass through all images, and of further ones for forgotten images."""
        joins = [Join(extractor, pairs, BUDGET // len(work.pairs)) for extractor, pairs in work.pairs.items()]
        first = self._pass(work, joins, progress)  # which has the first images decoded, while networks load
        self._load(work, progress)
        for extractor, count in fitting(work, self._device).items():
            self._models.limit(extractor, count)
        yield from first.run()
        for join in joins:
            yield from self._late_results(work, join, progress)
        yield from map(Warned, self._models.warnings())
        yield from (Broken(extractor, error) for extractor, error in [*self._models.broken.items()])

    def _pass(self, work: Work, joins: list[Join], progress: Progress) -> Pass:
        return Pass(work, joins, self._decoder, self._models, self._workers, self._batch_size, progress)

    def _load(self, work: Work, progress: Progress) -> None:
        extractors = [*(e for e in work.images if not e.process), *work.pairs]
        for done, extractor in enumerate(extractors):
            progress("loading", done, len(extractors))
            try:
                self._models.load(extractor)
            except Failed:
                continue
        if extractors:
            progress("loading", len(extractors), len(extractors))

    def _late_results(self, work: Work, join: Join, progress: Progress) -> Iterator[Outcome]:
        """Pairs whose one image had to be forgotten before the other came: read both again, a few at a time."""
        late = join.late()
        for start in range(0, len(late), self._batch_size):
            pairs = late[start : start + self._batch_size]
            files = {key: work.files[key] for pair in pairs for key in pair}
            part = replace(work, files=files, images={}, pairs={join.extractor: tuple(pairs)})
            again = self._pass(part, [Join(join.extractor, pairs, math.inf)], silent)
            yield from (outcome for outcome in again.run() if isinstance(outcome, Computed | Warned))
            progress("comparing pairs again", start + len(pairs), len(late))
