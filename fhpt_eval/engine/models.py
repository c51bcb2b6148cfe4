"""Extractors at work in this process: each loaded once, and called on as much at a time as memory allows."""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor as Threads
from concurrent.futures import Future
from dataclasses import dataclass, field
from itertools import islice
from threading import Lock
from typing import Any, TypeVar

from fhpt_eval.engine.machine import await_stream, free_gpu_memory, one_thread
from fhpt_eval.extract.extractor import Context, Extractor
from fhpt_eval.libraries import explained
from fhpt_eval.memory import no_memory_for, out_of_memory
from fhpt_eval.records import Missing

_log = logging.getLogger(__name__)

K = TypeVar("K")
Given = TypeVar("Given")
Got = TypeVar("Got")


class Failed(Exception):
    """An extractor failed, now or before; `Models.broken` says how."""


class Models:
    """Loaded extractors.

    What runs on the CPU gets one image or pair a call, many calls at once: the results then depend neither on the batch
    nor on the number of cores. What runs on a device gets a batch a call, and while one call waits for the device,
    another prepares what it will do next.

    Args:
        context: Where they run.
        batch_size: How many images or pairs of an extractor are in a call on the device, or at work on the CPU, at
            most; lowered where memory is short.
        cores: Threads for what runs on the CPU, one a core.
        device: Threads for what runs on the device; None where that is the CPU.
    """

    def __init__(self, context: Context, batch_size: int, cores: Threads, device: Threads | None = None) -> None:
        self.broken: dict[Extractor, Exception] = {}
        self._context = context
        self._batch_size = batch_size
        self._cores = _Line(cores)
        self._device = None if device is None else _Line(device)
        self._loaded: dict[Extractor, Any] = {}
        self._limits: dict[Extractor, int] = {}
        self._warnings: deque[str] = deque()
        self._lock = Lock()
        self._loading = Lock()

    def load(self, extractor: Extractor) -> Any:
        """Return the loaded code of an extractor.

        Raises:
            Failed: It is broken, or breaks now.
        """
        with self._loading:
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

    def limit(self, extractor: Extractor, at_most: int) -> None:
        """Have no more than so many images or pairs of an extractor in a call."""
        self._limits[extractor] = max(1, min(at_most, self._limits.get(extractor, self._batch_size)))

    def submit(
        self,
        extractor: Extractor,
        function: Callable[[Any, Sequence[Given]], Sequence[Got]],
        given: Mapping[K, Given],
        *,
        too_large: Missing,
    ) -> list[Future[dict[K, Got | Missing]]]:
        """Have a function of a loaded extractor called on all that is given, on less at a time while memory is short.

        Args:
            extractor: Is loaded.
            function: From the loaded code and a batch to a result for each of the batch.
            given: Images or pairs, by what they are called.
            too_large: The result of what does not even fit by itself.

        Returns:
            The results of the parts that make up what is given. They raise `Failed` where the extractor is broken, or
            breaks at that.
        """
        line, size = self._place(extractor)
        with self._lock:
            calls = [_Call(extractor, function, part, too_large, _Answer(len(part))) for part in _parts(given, size)]
            line.waiting.extend(calls)
        self._issue(line, len(calls))
        return [call.answer.future for call in calls]

    def warnings(self) -> Iterator[str]:
        """Yield what is to be said and was not yet."""
        while True:
            try:
                yield self._warnings.popleft()
            except IndexError:  # each is said once, also where several ask
                return

    def _place(self, extractor: Extractor) -> tuple[_Line, int]:
        """Return where an extractor runs, and how many images a call gets there."""
        if self._device is None or not extractor.on_device:
            return self._cores, 1
        return self._device, 1 if self._context.reference_math else self._limit(extractor)

    def _limit(self, extractor: Extractor) -> int:
        return self._limits.get(extractor, self._batch_size)

    def _issue(self, line: _Line, turns: int) -> None:
        for _ in range(turns):
            line.threads.submit(self._turn, line)

    def _turn(self, line: _Line) -> None:
        """Make the next call, where one may be made now; in a thread of the line."""
        with self._lock:
            call = line.take(self._limit)
            if call is None:
                return
            limit = self._limit(call.extractor)
        results: dict[Any, Any] = {}
        error: BaseException | None = None
        try:
            model = self.load(call.extractor)
            if line is self._cores:
                one_thread()  # not before: this thread may be older than torch is here
            got = call.function(model, list(call.given.values()))
            results = dict(zip(call.given, got, strict=True))
            if line is self._device:
                await_stream(self._context.device)
        except BaseException as raised:  # noqa: BLE001 - handed on
            error = raised
        short = error is not None and out_of_memory(error)
        if short and error is not None:
            error.__traceback__ = None  # which holds what the call had allocated
            free_gpu_memory()
        elif isinstance(error, Exception) and not isinstance(error, Failed):
            error = self.give_up(call.extractor, error)
        with self._lock:
            turns = line.end(call)
            if short:
                turns += self._try_again(line, call, limit)
            elif error is None:
                call.answer.add(results)
            else:
                call.answer.fail(error)
        self._issue(line, turns)

    def _try_again(self, line: _Line, call: _Call, limit: int) -> int:
        """Have less in a call, or one alone, after memory was short; return how many calls that makes."""
        if limit == 1 or call.alone:
            if call.alone or not line.running.total():
                call.answer.add(dict.fromkeys(call.given, call.too_large))
                return 0
            # Others were at work, and may be what the memory went to.
            line.waiting.appendleft(_Call(**{**vars(call), "alone": True}))
            return 1
        if limit == self._limit(call.extractor):  # else another call has just lowered it
            self._limits[call.extractor] = limit // 2
            self._warnings.append(
                f"not enough memory for {call.extractor.id}: its batch size was lowered to {limit // 2}"
            )
        again = [_Call(**{**vars(call), "given": part}) for part in _parts(call.given, self._place(call.extractor)[1])]
        line.waiting.extendleft(reversed(again))
        return len(again)


@dataclass(eq=False)
class _Answer:
    """The results of a call, which may come in pieces, of ``count`` images or pairs."""

    count: int
    future: Future[dict[Any, Any]] = field(default_factory=Future)
    results: dict[Any, Any] = field(default_factory=dict)

    def add(self, results: Mapping[Any, Any]) -> None:
        self.results.update(results)
        if len(self.results) == self.count and not self.future.done():
            self.future.set_result(self.results)

    def fail(self, error: BaseException) -> None:
        if not self.future.done():
            self.future.set_exception(error)


@dataclass(eq=False)
class _Call:
    extractor: Extractor
    function: Callable[[Any, Sequence[Any]], Sequence[Any]]
    given: Mapping[Any, Any]
    too_large: Missing
    answer: _Answer
    alone: bool = False


@dataclass(eq=False)
class _Line:
    """Calls that wait for threads. For each there is a turn; ``owed`` turns came when no call could be made."""

    threads: Threads
    waiting: deque[_Call] = field(default_factory=deque)
    running: Counter[Extractor] = field(default_factory=Counter)
    alone: bool = False
    owed: int = 0

    def take(self, limit: Callable[[Extractor], int]) -> _Call | None:
        """Return the first call that may be made now."""
        for index, call in enumerate(self.waiting):
            if self.alone or (call.alone and self.running.total()):
                break
            if call.alone or len(call.given) > 1 or self.running[call.extractor] < limit(call.extractor):
                del self.waiting[index]
                self.alone = call.alone
                self.running[call.extractor] += 1
                return call
        self.owed += bool(self.waiting)
        return None

    def end(self, call: _Call) -> int:
        """Strike out a call that was made; return how many turns are owed."""
        self.running[call.extractor] -= 1
        self.alone = False
        owed, self.owed = self.owed, 0
        return owed


def _parts(given: Mapping[K, Given], size: int) -> Iterator[dict[K, Given]]:
    items = iter(given.items())
    while part := dict(islice(items, size)):
        yield part
