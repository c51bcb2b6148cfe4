"""The engine: what is to do, whoever does it, the cache, and what is read from it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import TypeAlias

from fhpt_eval.engine.cache import Cache
from fhpt_eval.engine.contents import Contents
from fhpt_eval.engine.contract import Broken, Computed, Decoded, ImageInfo, Key, Outcome, Plan, Warned
from fhpt_eval.engine.executor import LOCAL, RAY, Executor, ExecutorOptions, find_executors
from fhpt_eval.engine.opening import DECODING, dump_info
from fhpt_eval.engine.reading import Extraction, Findings
from fhpt_eval.engine.todo import cache_key, find_todo
from fhpt_eval.errors import UserError, did_you_mean
from fhpt_eval.extract.extractor import Extractor
from fhpt_eval.extract.numerics import Numerics, Precision
from fhpt_eval.images.decoding import MAX_PIXELS
from fhpt_eval.progress import Progress, silent
from fhpt_eval.records import Missing, Result

_SECONDS_UNSAVED = 1.0
"""Work that a killed run may lose; each write waits for the disk, so that one a result would be slow."""


class Engine:
    """Runs plans.

    Args:
        executor: Computes.
        cache: Where results are kept; an in-memory one lasts for the run.
        max_pixels: Larger images are refused before they are decoded.

    Attributes:
        cache: As given.
        computed: How many results it computed, and put into the cache, those of decoding among them.
        found: How many of those that it was asked for were in the cache.
    """

    def __init__(self, executor: Executor, cache: Cache, max_pixels: int = MAX_PIXELS) -> None:
        self._executor = executor
        self.cache = cache
        self.computed = 0
        self.found = 0
        self._max_pixels = max_pixels

    @property
    def numerics(self) -> Numerics:
        """How it computes, as recorded with a run."""
        return self._executor.numerics

    @property
    def own_device(self) -> str:
        """The torch device of this process, for what is computed from the results."""
        return self._executor.own_device

    def identify(self, plan: Plan, progress: Progress | None = None) -> Contents:
        """Hash the files of a plan; nothing is decoded."""
        paths = (ref.path for ref in (*plan.refs(), *plan.hashed))
        return Contents(paths, progress or silent, self._executor.hash_files)

    def run(
        self,
        plan: Plan,
        weights: Mapping[str, Path],
        progress: Progress | None = None,
        contents: Contents | None = None,
    ) -> Extraction:
        """Compute what the cache does not hold, and return a reader for all of it.

        Args:
            plan: What to compute.
            weights: The verified file of each weights name that an extractor of the plan asks for.
            progress: Called often; cheap.
            contents: What `identify` found, where that was asked before.
        """
        progress = progress or silent
        contents = contents or self.identify(plan, progress)
        fingerprints = {e: e.fingerprint(self.numerics) for e in plan.extractors()}
        findings = Findings()

        def compute(*, read: bool = False) -> None:
            todo = find_todo(plan, contents.key, self.cache, fingerprints, weights, self._max_pixels, read=read)
            findings.infos.update(todo.infos)
            findings.undecoded.update(todo.refused)
            findings.faults.update(todo.mismatched)
            # What is read again, because some of it is lost, was counted.
            self.found += 0 if read else todo.found
            before = findings.computed.total() + findings.decoded
            if todo.work.files:
                with closing(self._executor.run(todo.work, progress)) as outcomes:
                    _keep(outcomes, self.cache, fingerprints, findings)
            self.computed += findings.computed.total() + findings.decoded - before

        compute()
        return Extraction(contents, self.cache, fingerprints, findings, lambda: compute(read=True))


def open_engine(
    name: str,
    cache: Cache,
    *,
    device: str = "auto",
    batch_size: int | None = None,
    workers: int | None = None,
    max_pixels: int = MAX_PIXELS,
    detector_timeout: float = 60.0,
    precision: Precision = "float32",
    reference_math: bool = False,
    ray_address: str | None = None,
    tell: Callable[[str], None] | None = None,
) -> Engine:
    """Return an engine.

    Args:
        name: ``local`` for this machine, ``ray`` for a Ray cluster, or an executor of another package.
        cache: Where results are kept.
        device: See `ExecutorOptions`, as for all that follows.
        batch_size: Images in work at once; None for as many as suit the device.
        workers: Threads and processes.
        max_pixels: Larger images are refused before they are decoded.
        detector_timeout: Seconds a detector may take for an image.
        precision: Of networks.
        reference_math: Compute by definitions, to check the fast way.
        ray_address: Of the cluster, for ``ray``.
        tell: Called with what the user should know at once.

    Raises:
        UserError: There is no such engine, or it cannot be used with these options.
    """
    if ray_address is not None and name != RAY:
        raise UserError(f"--ray-address is of --engine {RAY}: give both, or neither.")
    options = ExecutorOptions(
        device, batch_size, workers, detector_timeout, precision, reference_math, ray_address, tell
    )
    return Engine(_executor_named(name)(options), cache, max_pixels)


def _executor_named(name: str) -> type[Executor]:
    if name == LOCAL:
        from fhpt_eval.engine.local import LocalExecutor

        return LocalExecutor
    found = find_executors()
    if name not in found.classes:
        trouble = f" ({'; '.join(found.warnings)})" if found.warnings else ""
        raise UserError(f"there is no engine '{name}'{trouble}.{did_you_mean(name, [LOCAL, *found.classes])}")
    return found.classes[name]


def _keep(outcomes: Iterable[Outcome], cache: Cache, fingerprints: Mapping[Extractor, str], findings: Findings) -> None:
    """Put what comes into the cache, and what the cache does not keep into the findings."""
    with _Saving(cache, fingerprints) as unsaved:
        for outcome in outcomes:
            match outcome:
                case Decoded(key, ImageInfo() as info):
                    findings.decoded += key not in findings.infos
                    findings.infos[key] = info
                    unsaved.add(None, key, dump_info(info))
                case Decoded(key, Missing() as why):
                    findings.undecoded[key] = why
                case Computed(extractor, key, Missing(kind="fault") as fault):
                    findings.faults[extractor, key] = fault
                case Computed(extractor, key, result):
                    findings.computed[extractor.id] += 1
                    unsaved.add(extractor, key, result)
                case Broken(extractor, error):
                    findings.broken.setdefault(extractor, error)
                case Warned(sentence):
                    findings.warnings.append(sentence)


Results: TypeAlias = dict[Extractor | None, dict[str, Result]]
"""By what computed them, None for decoding, and by what the cache calls the image or the pair."""


class _Saving:
    """Results on their way to the cache, which a thread writes while more of them come; all are saved at the exit."""

    def __init__(self, cache: Cache, fingerprints: Mapping[Extractor, str]) -> None:
        self._cache = cache
        self._fingerprints = fingerprints
        self._results: Results = {}
        self._saved = time.monotonic()
        self._thread = ThreadPoolExecutor(1)
        self._writing: Future[None] | None = None

    def __enter__(self) -> _Saving:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._save()
        finally:
            self._thread.shutdown()
        if self._writing is not None:
            self._writing.result()

    def add(self, extractor: Extractor | None, key: Key, result: Result) -> None:
        """Take in a result of an extractor, or where it is None, of decoding."""
        self._results.setdefault(extractor, {})[cache_key(key)] = result
        if time.monotonic() - self._saved > _SECONDS_UNSAVED:
            self._save()

    def _save(self) -> None:
        """Have written what is held, once what was held before is written."""
        before, self._writing = self._writing, None
        if before is not None:
            before.result()
        results, self._results = self._results, {}
        self._writing = self._thread.submit(self._write, results)
        self._saved = time.monotonic()

    def _write(self, results: Results) -> None:
        for extractor, found in results.items():
            if extractor is None:
                self._cache.put("decode", DECODING, found)
            else:
                self._cache.put(extractor.id, self._fingerprints[extractor], found)
