"""Extractors at work in this process: each loaded once, and called on as much at a time as memory allows."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor as Threads
from typing import Any, TypeVar

from fhpt_eval.engine.memory import free_gpu_memory
from fhpt_eval.extract.extractor import Context, Extractor
from fhpt_eval.libraries import explained
from fhpt_eval.memory import no_memory_for, out_of_memory
from fhpt_eval.records import Missing

_log = logging.getLogger(__name__)

Given = TypeVar("Given")
Got = TypeVar("Got")


class Failed(Exception):
    """An extractor failed, now or before; `Models.broken` says how."""


class Models:
    """Loaded extractors.

    Args:
        context: Where they run.
        batch_size: How many images or pairs one call gets, at most.
        threads: One a core. What runs on the CPU gets one image or pair a call there, many calls at once: the results
            then depend neither on the batch nor on the number of cores.
    """

    def __init__(self, context: Context, batch_size: int, threads: Threads) -> None:
        self.broken: dict[Extractor, Exception] = {}
        self._context = context
        self._batch_size = batch_size
        self._threads = threads
        self._loaded: dict[Extractor, Any] = {}
        self._limits: dict[Extractor, int] = {}
        self._warnings: list[str] = []

    def load(self, extractor: Extractor) -> Any:
        """Return the loaded code of an extractor.

        Raises:
            Failed: It is broken, or breaks now.
        """
        if extractor not in self._loaded:
            if extractor in self.broken:
                raise Failed
            try:
                self._loaded[extractor] = extractor.load(self._context)
            except Exception as error:
                raise self.give_up(extractor, error) from error
        return self._loaded[extractor]

    def give_up(self, extractor: Extractor, error: Exception) -> Failed:
        """Stop using an extractor; return what to raise."""
        if extractor not in self.broken:
            _log.debug("extractor %s failed", extractor.id, exc_info=error)
            self.broken[extractor] = no_memory_for(extractor.name, error) or explained(error)
            self._loaded.pop(extractor, None)
        return Failed()

    def call(
        self,
        extractor: Extractor,
        function: Callable[[Any, Sequence[Given]], Sequence[Got]],
        given: Sequence[Given],
        *,
        too_large: Missing,
    ) -> list[Got | Missing]:
        """Call a function of a loaded extractor on all that is given, halving the batch while memory is short.

        Args:
            extractor: Is loaded.
            function: From the loaded code and a batch to a result for each of the batch.
            given: Images or pairs.
            too_large: The result of what does not even fit by itself.

        Raises:
            Failed: The extractor is broken, or breaks now.
        """
        model = self.load(extractor)
        one_by_one = self._context.device == "cpu" or not extractor.on_device
        done: list[Got | Missing] = []
        while len(done) < len(given):
            limit = self._limits.get(extractor, self._batch_size)
            batch = given[len(done) : len(done) + limit]
            try:
                if one_by_one:
                    singles = self._threads.map(lambda one: function(model, [one]), batch)
                    done += [result for results in singles for result in results]
                else:
                    done += function(model, batch)
            except Exception as error:
                if not out_of_memory(error):
                    raise self.give_up(extractor, error) from error
                if limit == 1:
                    done.append(too_large)
                else:
                    self._lower(extractor, limit // 2)
        return done

    def warnings(self) -> Iterator[str]:
        """Yield what is to be said and was not yet."""
        while self._warnings:
            yield self._warnings.pop(0)

    def _lower(self, extractor: Extractor, limit: int) -> None:
        self._limits[extractor] = limit
        free_gpu_memory()
        self._warnings.append(f"not enough memory for {extractor.id}: its batch size was lowered to {limit}")
