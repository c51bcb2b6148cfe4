"""Nothing waits that could work: batches overlap, on a device as on cores, and what fails in one costs no other."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from PIL import Image
from toys import MeanColour, record_of, write_image

from fhpt_eval.engine import decoders, local, memory
from fhpt_eval.engine.cache import Cache
from fhpt_eval.engine.contract import Computed, Plan, Work
from fhpt_eval.engine.decoders import InProcesses
from fhpt_eval.engine.engine import open_engine
from fhpt_eval.engine.executor import ExecutorOptions
from fhpt_eval.engine.flow import Flow, Lane
from fhpt_eval.engine.local import LocalExecutor
from fhpt_eval.engine.memory import fitting, usual_batch_size
from fhpt_eval.engine.models import Failed, Models
from fhpt_eval.engine.opening import hash_file, open_image
from fhpt_eval.engine.workers import Workers
from fhpt_eval.extract.extractor import Context, Encoded, ImageExtractor, PairExtractor, PairModel, Pixels
from fhpt_eval.images.decoding import ImageRef
from fhpt_eval.images.geometry import Geometry
from fhpt_eval.records import Missing, Result

PATIENCE = 60.0
"""Seconds after which a test that waits for what does not come fails."""


@dataclass(frozen=True, kw_only=True)
class Meeting(ImageExtractor):
    """As if by a network: the mean. Its first calls wait until as many are made at once as ``together`` says."""

    name: ClassVar[str] = "meeting"
    libraries: ClassVar[tuple[str, ...]] = ("torch",)
    together: ClassVar[threading.Barrier]
    calls: ClassVar[list[int]] = []
    threads: ClassVar[set[str]] = set()

    def load(self, context: Context) -> Callable[[Sequence[Pixels]], list[Result]]:
        def extract(images: Sequence[Pixels]) -> list[Result]:
            Meeting.calls.append(len(images))
            Meeting.threads.add(threading.current_thread().name)
            if len(Meeting.calls) <= Meeting.together.parties:
                Meeting.together.wait(PATIENCE)
            return [{"mean": x.mean((0, 1))} for x in images]

        return extract


@dataclass(frozen=True, kw_only=True)
class Alike(PairExtractor):
    """As if by a network: the difference of two means; tells how many pairs it compares in a call."""

    name: ClassVar[str] = "alike"
    libraries: ClassVar[tuple[str, ...]] = ("torch",)
    compared: ClassVar[list[int]] = []

    def load(self, context: Context) -> PairModel:
        return _AlikeModel()


class _AlikeModel(PairModel):
    def encode(self, images: Sequence[Pixels]) -> list[Encoded]:
        return [(x.mean(keepdims=True),) for x in images]

    def compare(self, pairs: Sequence[tuple[Encoded, Encoded]]) -> list[Result]:
        Alike.compared.append(len(pairs))
        return [{"difference": a[0] - b[0]} for a, b in pairs]


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Meeting, "calls", [])
    monkeypatch.setattr(Meeting, "threads", set())
    monkeypatch.setattr(Meeting, "together", threading.Barrier(1), raising=False)
    monkeypatch.setattr(Alike, "compared", [])


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[Cache]:
    with Cache(tmp_path / "cache") as opened:
        yield opened


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> str:
    """What stands in for a GPU: the threads, processes and batches of one, without its streams."""
    monkeypatch.setattr(local, "pick_device", lambda _: "cuda")
    return "cuda"


def refs(folder: Path, count: int) -> tuple[ImageRef, ...]:
    return tuple(ImageRef(write_image(folder / f"{i:03}.png", i)) for i in range(count))


def means(found: Any, extractor: ImageExtractor, images: Sequence[ImageRef]) -> list[list[float]]:
    return [record_of(found.image(extractor, ref))["mean"].tolist() for ref in images]


def truth(images: Sequence[ImageRef]) -> list[list[float]]:
    return [np.asarray(Image.open(ref.path)).mean((0, 1)).tolist() for ref in images]


# A flow


def test_a_lane_keeps_its_order_and_other_work_passes_it() -> None:
    flow, lane, first, second, other = Flow(), Lane(), Future[str](), Future[str](), Future[str]()
    seen: list[str] = []
    for future in (first, second):
        flow.follow(future, lambda done: seen.append(done.result()) or (), lane)  # type: ignore[func-returns-value]
    flow.follow(other, lambda done: seen.append(done.result()) or first.set_result("first") or ())  # type: ignore[func-returns-value]
    second.set_result("second")
    other.set_result("other")
    assert list(flow.run()) == []
    assert seen == ["other", "first", "second"]


# Overlap


def test_two_batches_are_on_a_device_at_once(
    tmp_path: Path, cache: Cache, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Meeting, "together", threading.Barrier(memory.STREAMS))
    images = refs(tmp_path, 9)
    found = open_engine("local", cache, device=device, batch_size=3, workers=1).run(Plan({Meeting(): images}, {}), {})
    assert means(found, Meeting(), images) == truth(images)
    assert Meeting.calls == [3, 3, 3]
    assert len(Meeting.threads) == memory.STREAMS


def test_images_of_two_batches_and_of_two_networks_are_on_the_cores_at_once(
    tmp_path: Path, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    # With batches of one image, no image of the second would be at work before the first is done.
    monkeypatch.setattr(Meeting, "together", threading.Barrier(4))
    images = refs(tmp_path, 5)
    crop = Meeting(geometry=Geometry.parse("crop(left=0, top=0, width=4, height=4)"))
    engine = open_engine("local", cache, device="cpu", batch_size=2, workers=4)
    found = engine.run(Plan({Meeting(): images, crop: images}, {}), {})
    assert means(found, Meeting(), images) == truth(images)
    assert Meeting.calls == [1] * 10


def test_what_does_not_run_on_the_device_is_on_the_cores_meanwhile(tmp_path: Path, cache: Cache, device: str) -> None:
    images = refs(tmp_path, 5)
    MeanColour.calls.clear()
    engine = open_engine("local", cache, device=device, batch_size=4, workers=2)
    found = engine.run(Plan({Meeting(): images, MeanColour(): images}, {}), {})
    assert means(found, Meeting(), images) == means(found, MeanColour(), images) == truth(images)
    assert sorted(Meeting.calls) == [1, 4]
    assert MeanColour.calls == [1] * 5


def test_reference_math_has_one_image_a_call_one_call_at_once_and_decodes_here(
    tmp_path: Path, cache: Cache, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[int] = []

    def opens(*arguments: Any) -> Any:
        opened.append(os.getpid())
        return open_image(*arguments)

    monkeypatch.setattr(decoders, "open_image", opens)
    images = refs(tmp_path, 5)
    engine = open_engine("local", cache, device=device, batch_size=4, workers=2, reference_math=True)
    found = engine.run(Plan({Meeting(): images}, {Alike(): ((images[0], images[1]), (images[0], images[2]))}), {})
    assert means(found, Meeting(), images) == truth(images)
    assert Meeting.calls == [1] * 5
    assert Alike.compared == [1, 1]
    assert len(Meeting.threads) == 1
    assert opened == [os.getpid()] * 5


def test_a_device_sees_the_same_batches_in_every_run(tmp_path: Path, device: str) -> None:
    images = refs(tmp_path, 13)
    plan = Plan({}, {Alike(): tuple((a, b) for a in images for b in images[:3])})
    compared = []
    for number in range(3):
        Alike.compared.clear()
        with Cache(tmp_path / f"cache-{number}") as fresh:
            open_engine("local", fresh, device=device, batch_size=4, workers=2).run(plan, {})
        compared.append(sorted(Alike.compared))
    assert sum(compared[0]) == 39
    assert compared[0] == compared[1] == compared[2]


# Failing while others are at work


def submit(models: Models, extractor: ImageExtractor, images: Mapping[int, Pixels]) -> list[Future[dict[int, Any]]]:
    return models.submit(extractor, lambda model, batch: model(batch), images, too_large=Missing("too large"))


def pictures(count: int) -> dict[int, Pixels]:
    return {i: np.full((2, 2, 3), i, np.uint8) for i in range(count)}


@dataclass(frozen=True, kw_only=True)
class Scripted(ImageExtractor):
    """As if by a network: does what ``script`` says of the images that a call gets, which are named by their pixels."""

    name: ClassVar[str] = "scripted"
    libraries: ClassVar[tuple[str, ...]] = ("torch",)
    script: ClassVar[Callable[[list[int]], None]]

    def load(self, context: Context) -> Callable[[Sequence[Pixels]], list[Result]]:
        def extract(images: Sequence[Pixels]) -> list[Result]:
            names = [int(image[0, 0, 0]) for image in images]
            type(self).script(names)
            return [{"name": np.array(name)} for name in names]

        return extract


@pytest.fixture
def models() -> Iterator[Models]:
    with ThreadPoolExecutor(2) as cores, ThreadPoolExecutor(2) as streams:
        yield Models(Context("cuda"), 4, cores, streams)


def names(parts: Sequence[Future[dict[int, Any]]]) -> dict[int, Any]:
    found = {key: result for part in parts for key, result in part.result(PATIENCE).items()}
    return {key: result if isinstance(result, Missing) else int(result["name"]) for key, result in found.items()}


def test_memory_that_is_short_in_one_of_two_calls_halves_that_one(
    models: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[list[int]] = []
    other_is_there, it_failed = threading.Event(), threading.Event()

    def script(called: list[int]) -> None:
        calls.append(called)
        if called == [0, 1, 2, 3]:
            assert other_is_there.wait(PATIENCE)
            raise MemoryError
        if called == [4, 5, 6, 7]:
            other_is_there.set()
            assert it_failed.wait(PATIENCE)
        if called == [0, 1]:
            it_failed.set()

    monkeypatch.setattr(Scripted, "script", staticmethod(script), raising=False)
    assert names(submit(models, Scripted(), pictures(8))) == {i: i for i in range(8)}
    assert sorted(calls) == [[0, 1], [0, 1, 2, 3], [2, 3], [4, 5, 6, 7]]
    assert list(models.warnings()) == ["not enough memory for scripted: its batch size was lowered to 2"]
    calls.clear()
    assert names(submit(models, Scripted(), pictures(3))) == {0: 0, 1: 1, 2: 2}
    assert sorted(calls) == [[0, 1], [2]]


def test_two_calls_that_fail_at_once_halve_the_batch_once(models: Models, monkeypatch: pytest.MonkeyPatch) -> None:
    both = threading.Barrier(2)

    def script(called: list[int]) -> None:
        if len(called) == 4:
            both.wait(PATIENCE)
            raise MemoryError

    monkeypatch.setattr(Scripted, "script", staticmethod(script), raising=False)
    assert names(submit(models, Scripted(), pictures(8))) == {i: i for i in range(8)}
    assert list(models.warnings()) == ["not enough memory for scripted: its batch size was lowered to 2"]


def test_an_image_that_does_not_fit_beside_others_is_tried_alone(
    models: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    models.limit(Scripted(), 1)
    at_work: set[int] = set()
    beside, tried = threading.Event(), threading.Event()

    def script(called: list[int]) -> None:
        at_work.update(called)
        try:
            if called == [9]:  # never fits
                raise MemoryError
            if called == [0] and not tried.is_set():
                assert beside.wait(PATIENCE)
                tried.set()
                raise MemoryError
            if called == [0]:
                assert at_work == {0}
        finally:
            at_work.difference_update(called)

    def another(called: list[int]) -> None:
        at_work.add(100)
        beside.set()
        assert tried.wait(PATIENCE)
        at_work.discard(100)

    @dataclass(frozen=True, kw_only=True)
    class Another(Scripted):
        """On the device at the same time."""

        name: ClassVar[str] = "another"
        script: ClassVar[Callable[[list[int]], None]] = staticmethod(another)

    monkeypatch.setattr(Scripted, "script", staticmethod(script), raising=False)
    one = submit(models, Scripted(), {0: pictures(1)[0]})
    other = submit(models, Another(), {7: pictures(8)[7]})
    assert names(one) == {0: 0}
    assert names(other) == {7: 7}
    assert names(submit(models, Scripted(), {9: pictures(10)[9], 3: pictures(4)[3]})) == {9: Missing("too large"), 3: 3}


@pytest.mark.parametrize("error", [ZeroDivisionError("always"), SystemExit(1)])
def test_what_breaks_in_flight_fails_all_that_is_asked_of_it(
    models: Models, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    def script(_: list[int]) -> None:
        raise error

    monkeypatch.setattr(Scripted, "script", staticmethod(script), raising=False)
    kind = Failed if isinstance(error, Exception) else SystemExit
    for part in submit(models, Scripted(), pictures(12)):
        with pytest.raises(kind):
            part.result(PATIENCE)
    assert models.broken == ({Scripted(): error} if kind is Failed else {})


def test_a_network_that_gives_too_few_results_is_broken_and_not_waited_for(models: Models) -> None:
    few = models.submit(MeanColour(), lambda _model, _batch: [], pictures(1), too_large=Missing("too large"))
    with pytest.raises(Failed):
        few[0].result(PATIENCE)
    assert isinstance(models.broken[MeanColour()], ValueError)


def test_no_more_images_are_at_work_than_the_batch_size(monkeypatch: pytest.MonkeyPatch) -> None:
    at_work, most, lock = [0], [0], threading.Lock()

    def script(_: list[int]) -> None:
        with lock:
            at_work[0] += 1
            most[0] = max(most[0], at_work[0])
        threading.Event().wait(0.01)
        with lock:
            at_work[0] -= 1

    monkeypatch.setattr(Scripted, "script", staticmethod(script), raising=False)
    with ThreadPoolExecutor(4) as cores:
        models = Models(Context("cpu"), 2, cores)
        assert names(submit(models, Scripted(), pictures(20))) == {i: i for i in range(20)}
    assert most[0] <= 2


def test_a_run_that_is_closed_in_the_middle_ends_what_it_started(tmp_path: Path, device: str) -> None:
    images = refs(tmp_path, 40)
    files = {str(hash_file(ref.path)): ref for ref in images}
    work = Work(files, {Meeting(): frozenset(files)}, {}, {})
    before, children = set(threading.enumerate()), set(multiprocessing.active_children())
    outcomes = LocalExecutor(ExecutorOptions(device, 4, 2)).run(work, lambda *_: None)
    assert any(isinstance(outcome, Computed) for outcome in outcomes)
    outcomes.close()
    assert set(threading.enumerate()) <= before
    assert set(multiprocessing.active_children()) <= children
    assert sum(Meeting.calls) < len(images)


# Decoding in processes


def test_decoders_in_processes_open_what_threads_open(tmp_path: Path) -> None:
    (tmp_path / "torn.png").write_bytes(write_image(tmp_path / "whole.png", 1).read_bytes()[:60])
    views = frozenset({Geometry(), Geometry.parse("crop(left=0, top=0, width=5, height=7)")})
    with Workers(2, Context(), PATIENCE) as workers:
        decoder = InProcesses(workers, 10**6)
        for name in ("whole", "torn"):
            ref = ImageRef(tmp_path / f"{name}.png")
            key = str(hash_file(ref.path))
            (image,) = decoder([(key, ref, views)])
            found, expected = image.result(PATIENCE), open_image(key, ref, views, 10**6)
            assert (found.key, found.info) == (key, expected.info)
            for geometry in views:
                one, other = found.views[geometry], expected.views[geometry]
                if isinstance(one, Missing) or isinstance(other, Missing):
                    assert one == other
                else:
                    np.testing.assert_array_equal(one, other)


class Deadly:
    """A geometry that ends any other process than ``here`` that applies it to a white image."""

    def __init__(self, here: int) -> None:
        self.here = here

    def apply(self, pixels: Pixels, _stored_as: str) -> Pixels:
        if (pixels == 255).all() and os.getpid() != self.here:
            os._exit(9)
        return pixels


def test_a_decoder_that_dies_costs_the_image_that_killed_it(tmp_path: Path) -> None:
    white = ImageRef(tmp_path / "white.png")
    Image.new("RGB", (8, 8), "white").save(white.path)
    images = (*refs(tmp_path, 4), white, *refs(tmp_path / "more", 2))
    deadly: Any = Deadly(os.getpid())
    with Workers(2, Context(), PATIENCE) as workers:
        decoder = InProcesses(workers, 10**6)
        asked = decoder([(str(hash_file(ref.path)), ref, frozenset({deadly})) for ref in images])
        infos = [future.result(PATIENCE).info for future in asked]
    assert [isinstance(info, Missing) for info in infos] == [ref is white for ref in images]
    assert infos[4] == Missing("decoding crashed on this image")


# Sizes


def test_batches_are_as_large_as_suits_the_device_and_its_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert [usual_batch_size("cpu", workers) for workers in (1, 16, 64)] == [16, 16, 64]
    assert usual_batch_size("cuda:1", 1) == 64
    images = refs(tmp_path, 2)
    sizes = {str(hash_file(ref.path)): (24, 32) for ref in images}
    work = Work({}, {Meeting(): frozenset(sizes), MeanColour(): frozenset(sizes)}, {}, {}, sizes=sizes)
    assert fitting(work, "cpu") == {}
    one = 24 * 32 * Meeting.bytes_per_pixel
    monkeypatch.setattr(memory, "free_device_memory", lambda _: 4.0 * 10 * one)
    assert fitting(work, "cuda") == {Meeting(): 10}


def test_a_batch_that_memory_leaves_no_room_for_is_not_tried(
    tmp_path: Path, cache: Cache, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = 24 * 32 * Meeting.bytes_per_pixel
    monkeypatch.setattr(memory, "free_device_memory", lambda _: 4.0 * 3 * one)
    images = refs(tmp_path, 7)
    found = open_engine("local", cache, device=device, workers=1).run(Plan({Meeting(): images}, {}), {})
    assert means(found, Meeting(), images) == truth(images)
    assert sorted(Meeting.calls) == [1, 3, 3]
    assert found.warnings == ()
