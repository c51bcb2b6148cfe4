"""The engine of one machine: each file decoded once, each different image computed once, everything cached."""

from __future__ import annotations

import logging
import math
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from fhpt_eval.engine.cache import Cache
from fhpt_eval.engine.contract import Engine, Extraction, ImageInfo, Plan
from fhpt_eval.engine.join import BUDGET, Join
from fhpt_eval.engine.machine import cpu_count, one_thread, pick_device
from fhpt_eval.engine.memory import free_gpu_memory, out_of_memory
from fhpt_eval.engine.opening import DECODING, Opened, dump_info, hash_file, open_image, parse_info
from fhpt_eval.engine.workers import Workers
from fhpt_eval.extract.extractor import Context, Encoded, Extractor, ImageExtractor, PairExtractor, PairModel, Pixels
from fhpt_eval.images.decoding import MAX_PIXELS, ImageRef
from fhpt_eval.images.geometry import Geometry
from fhpt_eval.libraries import explained
from fhpt_eval.progress import Progress
from fhpt_eval.records import Missing, Result

_log = logging.getLogger(__name__)

_DECODERS = 4
"""Threads that read and decode; Pillow lets go of the interpreter meanwhile."""

_CHUNK_BUDGET = 512 * 2**20
"""Bytes of decoded images in one batch, whatever the batch size."""


class LocalEngine(Engine):
    """Runs a plan on this machine.

    Args:
        cache: Where results are kept; an in-memory one lasts for the run.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1``…
        batch_size: Images in work at once; lowered, and said, when memory does not suffice. On a GPU a network sees
            that many together, and its results may differ in the last digit of float32. On a CPU every image goes
            through by itself in one thread, as many at once as there are workers: that is as fast, and the results do
            not depend by a single bit on batch size, order or number of cores.
        workers: Threads for networks on the CPU, and processes for detectors; by default one a core.
        max_pixels: Larger images are refused before they are decoded.
    """

    def __init__(
        self,
        cache: Cache,
        *,
        device: str = "auto",
        batch_size: int = 16,
        workers: int | None = None,
        max_pixels: int = MAX_PIXELS,
    ) -> None:
        self.cache = cache
        self.batch_size = batch_size
        self.workers = workers or cpu_count()
        self.max_pixels = max_pixels
        self._device = pick_device(device)

    @property
    def device(self) -> str:
        """The torch device."""
        return self._device

    def run(self, plan: Plan, weights: Mapping[str, Path], progress: Progress | None = None) -> Extraction:
        """Compute what the cache does not hold."""
        return _Pass(self, plan, weights, progress or (lambda _stage, _done, _total: None)).run()


class _Pass:
    """One run of a plan."""

    def __init__(self, engine: LocalEngine, plan: Plan, weights: Mapping[str, Path], progress: Progress) -> None:
        self.engine = engine
        self.cache = engine.cache
        self.plan = plan
        self.weights = weights
        self.progress = progress
        self.refs = plan.refs()
        self.fingerprints = {e: e.fingerprint(engine.device) for e in plan.extractors()}
        self.contents: dict[Path, str] = {}
        self.faults: dict[tuple[str, str], Missing] = {}
        self.broken: dict[Extractor, Exception] = {}
        self.warnings: list[str] = []
        self.computed: Counter[str] = Counter()
        self.models: dict[Extractor, Any] = {}
        self.decoders: ThreadPoolExecutor
        self.cores: ThreadPoolExecutor
        self.limits: dict[Extractor, int] = {}

    def run(self) -> Extraction:
        self._hash_files()
        keys: dict[str, ImageRef] = {}
        for ref in self.refs:
            if (key := self._key(ref)) is not None:
                keys.setdefault(key, ref)
        images = {e: wanted for e, wanted in self._unknown_images().items() if wanted}
        pairs = {e: todo for e, refs in self.plan.pairs.items() if (todo := self._unknown_pairs(e, refs))}
        self._load([*(e for e in images if not e.process), *pairs])
        views = self._views(images, pairs)
        decoded = self.cache.known(DECODING, keys)
        self._refuse_large(decoded)
        jobs = [
            (key, ref, views.get(key, frozenset())) for key, ref in keys.items() if key not in decoded or key in views
        ]
        joins = {e: Join(e, todo, BUDGET) for e, todo in pairs.items()}
        self.progress("extracting", 0, len(jobs))
        with (
            Workers(self.engine.workers, self.weights) as workers,
            ThreadPoolExecutor(_DECODERS) as self.decoders,
            ThreadPoolExecutor(self.engine.workers, initializer=one_thread) as self.cores,
        ):
            for done, chunk in self._chunks(self._open(jobs)):
                self._store_infos(chunk)
                for extractor, wanted in images.items():
                    self._image_batch(extractor, [o for o in chunk if o.key in wanted], workers)
                for join in joins.values():
                    self._pair_batch(join, chunk)
                self.progress("extracting", done, len(jobs))
            self._collect(workers.finished(all_of_them=True))
            for join in joins.values():
                self._late_pairs(join, keys)
        if self.cache.trouble:
            self.warnings.append(self.cache.trouble)
        return Extraction(
            image=self._read_image,
            pair=self._read_pair,
            info=self._read_info,
            content=self._content,
            warnings=tuple(self.warnings),
            broken=self.broken,
            computed=dict(self.computed),
        )

    # What is to be done

    def _hash_files(self) -> None:
        paths = sorted({ref.path for ref in (*self.refs, *self.plan.hashed)})
        self.progress("reading files", 0, len(paths))
        with ThreadPoolExecutor(_DECODERS) as threads:
            for done, (path, content) in enumerate(zip(paths, threads.map(hash_file, paths), strict=True), start=1):
                if isinstance(content, Missing):
                    self.faults[DECODING, str(path)] = content
                else:
                    self.contents[path] = content
                self.progress("reading files", done, len(paths))

    def _key(self, ref: ImageRef) -> str | None:
        content = self.contents.get(ref.path)
        if content is None:
            return None
        panel = "" if ref.panel is None else f"#{ref.panel}/{ref.panels}"
        return content + panel + ("" if ref.mask is None else f"#{ref.mask.key}")

    def _refuse_large(self, decoded: Iterable[str]) -> None:
        """Hold images that an earlier run decoded to this run's pixel limit."""
        for key in decoded:
            stored = self.cache.get(DECODING, key)
            if stored is None or isinstance(stored, Missing):
                continue
            info, limit = parse_info(stored), self.engine.max_pixels
            if info.width * info.height > limit:
                reason = f"unreadable: {info.width}×{info.height} pixels, over the limit of {limit}"
                self.faults[DECODING, key] = Missing(reason)

    def _unknown_images(self) -> dict[ImageExtractor, set[str]]:
        unknown = {}
        for extractor, refs in self.plan.images.items():
            wanted = {key for ref in refs if (key := self._key(ref)) is not None}
            unknown[extractor] = wanted - self.cache.known(self.fingerprints[extractor], wanted)
        return unknown

    def _unknown_pairs(
        self, extractor: PairExtractor, refs: Sequence[tuple[ImageRef, ImageRef]]
    ) -> list[tuple[str, str]]:
        wanted: dict[str, tuple[str, str]] = {}
        for first, second in refs:
            a, b = self._key(first), self._key(second)
            if a is not None and b is not None:
                wanted[_pair_key(a, b)] = (a, b)
        known = self.cache.known(self.fingerprints[extractor], wanted)
        return [pair for key, pair in wanted.items() if key not in known]

    def _views(
        self,
        images: Mapping[ImageExtractor, set[str]],
        pairs: Mapping[PairExtractor, Sequence[tuple[str, str]]],
    ) -> dict[str, frozenset[Geometry]]:
        """In which geometries each image is asked for."""
        views: dict[str, set[Geometry]] = {}
        for extractor, wanted in images.items():
            for key in wanted:
                views.setdefault(key, set()).add(extractor.geometry)
        for pair_extractor, todo in pairs.items():
            for a, b in todo:
                views.setdefault(a, set()).add(pair_extractor.first_geometry)
                views.setdefault(b, set()).add(pair_extractor.second_geometry)
        return {key: frozenset(v) for key, v in views.items()}

    # Reading images

    def _open(self, jobs: Sequence[tuple[str, ImageRef, frozenset[Geometry]]]) -> Iterator[Opened]:
        """Decode ahead of the networks, in order, a batch at the most."""
        ahead: deque[Future[Opened]] = deque()
        for key, ref, geometries in jobs:
            ahead.append(self.decoders.submit(open_image, key, ref, geometries, self.engine.max_pixels))
            if len(ahead) > self.engine.batch_size:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()

    def _chunks(self, opened: Iterator[Opened]) -> Iterator[tuple[int, list[Opened]]]:
        """Yield batches, with the number of images so far."""
        chunk: list[Opened] = []
        done = size = 0
        for image in opened:
            chunk.append(image)
            done += 1
            size += sum(v.nbytes for v in image.views.values() if not isinstance(v, Missing))
            if len(chunk) >= self.engine.batch_size or size > _CHUNK_BUDGET:
                yield done, chunk
                chunk, size = [], 0
        if chunk:
            yield done, chunk

    def _store_infos(self, chunk: Sequence[Opened]) -> None:
        infos: dict[str, Result] = {}
        for image in chunk:
            if isinstance(image.info, Missing):
                self.faults[DECODING, image.key] = image.info
            else:
                infos[image.key] = dump_info(image.info)
        self.cache.put("decode", DECODING, infos)

    # Computing

    def _image_batch(self, extractor: ImageExtractor, images: Sequence[Opened], workers: Workers) -> None:
        views = self._usable(extractor, extractor.geometry, images)
        if extractor in self.broken or not views:
            return
        if extractor.process:
            for key, view in views.items():
                workers.submit(extractor, key, view)
            self._collect(workers.finished())
            return
        results = self._in_batches(extractor, lambda model, batch: model(batch), list(views.values()))
        if results is not None:
            self._store(extractor, dict(zip(views, results, strict=True)))

    def _collect(self, finished: Iterator[tuple[ImageExtractor, str, Result | Exception]]) -> None:
        for extractor, key, result in finished:
            if isinstance(result, Exception):
                self._break(extractor, result)
            else:
                self._store(extractor, {key: result})

    def _pair_batch(self, join: Join, chunk: Sequence[Opened]) -> None:
        extractor = join.extractor
        for geometry in dict.fromkeys((extractor.first_geometry, extractor.second_geometry)):
            images = [o for o in chunk if join.wants(geometry, o.key)]
            views = self._usable(extractor, geometry, images)
            if extractor in self.broken or not views:
                continue
            encoded = self._in_batches(extractor, lambda model, batch: model.encode(batch), list(views.values()))
            if encoded is None:
                return
            for key, code in zip(views, encoded, strict=True):
                join.add(geometry, key, code)
        self._compare(join)

    def _compare(self, join: Join) -> None:
        extractor = join.extractor
        model: PairModel | None = self._model(extractor)
        if model is None:
            return
        complete = list(join.complete())
        try:
            results = list(self.cores.map(lambda pair: _compare(model, pair[1], pair[2]), complete))
        except Exception as error:  # noqa: BLE001 - one broken extractor must not take the others with it
            self._break(extractor, error)
        else:
            self._store(
                extractor, {_pair_key(*keys): result for (keys, _, _), result in zip(complete, results, strict=True)}
            )

    def _late_pairs(self, join: Join, keys: Mapping[str, ImageRef]) -> None:
        """Pairs whose one image had to be forgotten before the other came: read both again, a few at a time."""
        late = join.late()
        for start in range(0, len(late), self.engine.batch_size):
            pairs = late[start : start + self.engine.batch_size]
            views = self._views({}, {join.extractor: pairs})
            part = Join(join.extractor, pairs, math.inf)
            for _, chunk in self._chunks(self._open([(key, keys[key], views[key]) for key in views])):
                self._pair_batch(part, chunk)
            self.progress("comparing pairs again", start + len(pairs), len(late))

    def _usable(self, extractor: Extractor, geometry: Geometry, images: Sequence[Opened]) -> dict[str, Pixels]:
        usable = {}
        for image in images:
            view = image.views[geometry]
            if isinstance(view, Missing):
                if isinstance(extractor, ImageExtractor):
                    self._store(extractor, {image.key: view})
                else:
                    self.faults[self.fingerprints[extractor], f"{geometry} {image.key}"] = view
            else:
                usable[image.key] = view
        return usable

    def _in_batches(
        self, extractor: Extractor, call: Callable[[Any, list[Pixels]], list[Any]], images: list[Pixels]
    ) -> list[Any] | None:
        """Call a model on all images, halving the batch for as long as memory does not suffice."""
        model = self._model(extractor)
        done: list[Any] = []
        while model is not None and len(done) < len(images):
            limit = self.limits.get(extractor, self.engine.batch_size)
            batch = images[len(done) : len(done) + limit]
            try:
                if self.engine.device == "cpu":
                    done += [r for one in self.cores.map(lambda image: call(model, [image]), batch) for r in one]
                else:
                    done += call(model, batch)
            except Exception as error:  # noqa: BLE001 - one broken extractor must not take the others with it
                if not out_of_memory(error):
                    self._break(extractor, error)
                elif limit == 1:
                    done.append(Missing("not enough memory for this image"))
                else:
                    self._lower(extractor, limit // 2)
            if extractor in self.broken:
                return None
        return done if model is not None else None

    def _model(self, extractor: Extractor) -> Any:
        """The loaded model, or None when loading it failed."""
        if extractor not in self.models and extractor not in self.broken:
            context = Context(device=self.engine.device, weights=self.weights)
            try:
                self.models[extractor] = extractor.load(context)
            except Exception as error:  # noqa: BLE001 - damaged weights, missing libraries: others can still run
                self._break(extractor, error)
        return self.models.get(extractor)

    def _load(self, extractors: Sequence[Extractor]) -> None:
        for done, extractor in enumerate(extractors):
            self.progress("loading", done, len(extractors))
            self._model(extractor)
        if extractors:
            self.progress("loading", len(extractors), len(extractors))

    def _lower(self, extractor: Extractor, limit: int) -> None:
        self.limits[extractor] = limit
        free_gpu_memory()
        self.warnings.append(f"not enough memory for {extractor.id}: its batch size was lowered to {limit}")

    def _break(self, extractor: Extractor, error: Exception) -> None:
        if extractor not in self.broken:
            _log.debug("extractor %s failed", extractor.id, exc_info=error)
            self.broken[extractor] = explained(error)

    def _store(self, extractor: Extractor, results: Mapping[str, Result]) -> None:
        fingerprint = self.fingerprints[extractor]
        self.computed[extractor.id] += len(results)
        for key, result in results.items():
            if isinstance(result, Missing) and result.fault:
                self.faults[fingerprint, key] = result
        self.cache.put(extractor.id, fingerprint, results)

    # Reading results

    def _read_info(self, ref: ImageRef) -> ImageInfo | Missing:
        key = self._key(ref)
        fault = self.faults.get((DECODING, str(ref.path) if key is None else key))
        if fault is not None:
            return fault
        stored = None if key is None else self.cache.get(DECODING, key)
        if stored is None or isinstance(stored, Missing):
            return Missing("not read")
        return parse_info(stored)

    def _content(self, ref: ImageRef) -> str | None:
        if ref.panel is None:
            return self._key(ref)
        info = self._read_info(ref)
        return None if isinstance(info, Missing) else info.pixels

    def _read_image(self, extractor: ImageExtractor, ref: ImageRef) -> Result:
        key = self._key(ref)
        unread = self._unreadable(ref)
        if unread is not None or key is None:
            return unread or Missing("not read")
        return self._read(extractor, key)

    def _read_pair(self, extractor: PairExtractor, first: ImageRef, second: ImageRef) -> Result:
        for ref, geometry in ((first, extractor.first_geometry), (second, extractor.second_geometry)):
            unread = self._unreadable(ref)
            if unread is None:
                unread = self.faults.get((self.fingerprints[extractor], f"{geometry} {self._key(ref)}"))
            if unread is not None:
                return unread
        return self._read(extractor, _pair_key(str(self._key(first)), str(self._key(second))))

    def _unreadable(self, ref: ImageRef) -> Missing | None:
        key = self._key(ref)
        return self.faults.get((DECODING, str(ref.path) if key is None else key))

    def _read(self, extractor: Extractor, key: str) -> Result:
        if extractor in self.broken:
            return Missing(f"{extractor.name} failed")
        fingerprint = self.fingerprints[extractor]
        result = self.faults.get((fingerprint, key)) or self.cache.get(fingerprint, key)
        return result if result is not None else Missing("dropped from the cache while the run went on: enlarge it")


def _pair_key(first: str, second: str) -> str:
    return f"{first} {second}"


def _compare(model: PairModel, first: Encoded | Missing, second: Encoded | Missing) -> Result:
    if isinstance(first, Missing):
        return first
    return second if isinstance(second, Missing) else model.compare(first, second)
