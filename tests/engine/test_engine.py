"""The local engine: what is computed, how often, and what happens when something goes wrong."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from toys import (
    BLACK_MEANS_NOTHING,
    Broken,
    Difference,
    DifferenceOnDevice,
    InProcess,
    MeanColour,
    write_image,
)

from fhpt_eval.engine import decoders, local
from fhpt_eval.engine.cache import Cache
from fhpt_eval.engine.contract import Plan
from fhpt_eval.engine.engine import open_engine
from fhpt_eval.engine.machine import pick_device
from fhpt_eval.engine.models import Models
from fhpt_eval.engine.opening import open_image
from fhpt_eval.engine.workers import Workers
from fhpt_eval.errors import UserError
from fhpt_eval.extract.extractor import Context, ImageExtractor, PairExtractor
from fhpt_eval.images.decoding import ImageRef
from fhpt_eval.images.geometry import Geometry
from fhpt_eval.records import Missing

MEAN = MeanColour()


@pytest.fixture(autouse=True)
def _fresh_counters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MeanColour, "calls", [])
    monkeypatch.setattr(Difference, "encoded", [])
    monkeypatch.setattr(Difference, "compared", [])


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[Cache]:
    with Cache(tmp_path / "cache") as opened:
        yield opened


def refs(folder: Path, count: int, first_seed: int = 0) -> tuple[ImageRef, ...]:
    return tuple(ImageRef(write_image(folder / f"{i:03}.png", first_seed + i)) for i in range(count))


def image_plan(*images: ImageRef, extractor: ImageExtractor = MEAN) -> Plan:
    return Plan({extractor: images}, {})


def pair_plan(*pairs: tuple[ImageRef, ImageRef], extractor: PairExtractor | None = None) -> Plan:
    return Plan({}, {extractor or Difference(): pairs})


def test_each_different_content_is_computed_once(tmp_path: Path, cache: Cache) -> None:
    images = refs(tmp_path / "a", 3)
    copies = refs(tmp_path / "b", 3)
    found = open_engine("local", cache).run(image_plan(*images, *copies), {})
    assert sum(MeanColour.calls) == 3
    for one, copy in zip(images, copies, strict=True):
        pixels = np.asarray(Image.open(one.path))
        np.testing.assert_array_equal(found.image(MEAN, one)["mean"], pixels.mean((0, 1)))
        np.testing.assert_array_equal(found.image(MEAN, copy)["mean"], pixels.mean((0, 1)))


def test_a_second_run_computes_nothing_and_reads_the_same(tmp_path: Path, cache: Cache) -> None:
    images = refs(tmp_path / "a", 4)
    plan = Plan({MEAN: images}, {Difference(): tuple(zip(images[:2], images[2:], strict=True))})
    first = open_engine("local", cache).run(plan, {})
    assert first.computed == {"mean-colour": 4, "difference": 2}
    second = open_engine("local", cache).run(plan, {})
    assert second.computed == {}
    for ref in images:
        np.testing.assert_array_equal(first.image(MEAN, ref)["mean"], second.image(MEAN, ref)["mean"])
        assert first.info(ref) == second.info(ref)


def test_a_changed_file_under_the_same_name_is_computed_anew(tmp_path: Path, cache: Cache) -> None:
    (image,) = refs(tmp_path, 1)
    before = open_engine("local", cache).run(image_plan(image), {}).image(MEAN, image)
    status = image.path.stat()
    write_image(image.path, 99)
    os.utime(image.path, ns=(status.st_atime_ns, status.st_mtime_ns))
    after = open_engine("local", cache).run(image_plan(image), {}).image(MEAN, image)
    assert not np.array_equal(before["mean"], after["mean"])


def test_a_finding_is_cached_and_a_fault_is_not(tmp_path: Path, cache: Cache) -> None:
    black = ImageRef(tmp_path / "black.png")
    Image.new("RGB", (8, 8)).save(black.path)
    torn = ImageRef(tmp_path / "torn.png")
    torn.path.write_bytes(black.path.read_bytes()[:40])
    found = open_engine("local", cache).run(image_plan(black, torn), {})
    assert found.image(MEAN, black) == BLACK_MEANS_NOTHING
    result = found.image(MEAN, torn)
    assert isinstance(result, Missing)
    assert result.fault
    assert result.reason.startswith("unreadable: ")
    Image.new("RGB", (8, 8), "red").save(torn.path)
    again = open_engine("local", cache).run(image_plan(black, torn), {})
    assert again.image(MEAN, black) == BLACK_MEANS_NOTHING
    np.testing.assert_array_equal(again.image(MEAN, torn)["mean"], [255, 0, 0])
    assert again.computed == {"mean-colour": 1}


def test_a_file_that_vanished_is_named_and_the_others_are_read(tmp_path: Path, cache: Cache) -> None:
    gone, there = ImageRef(tmp_path / "gone.png"), ImageRef(write_image(tmp_path / "there.png", 1))
    found = open_engine("local", cache).run(image_plan(gone, there), {})
    assert found.image(MEAN, gone) == Missing("unreadable: No such file or directory")
    assert "mean" in found.image(MEAN, there)
    assert found.content(gone) is None


def test_the_target_of_many_pairs_is_encoded_once(tmp_path: Path, cache: Cache) -> None:
    target = ImageRef(write_image(tmp_path / "target.png", 1))
    generated = refs(tmp_path / "generated", 10, first_seed=50)
    found = open_engine("local", cache, batch_size=3).run(pair_plan(*((g, target) for g in generated)), {})
    assert sum(Difference.encoded) == 11
    truth = np.asarray(Image.open(target.path)).mean()
    for g in generated:
        expected = np.asarray(Image.open(g.path)).mean() - truth
        assert found.pair(Difference(), g, target)["difference"] == expected


def test_pairs_are_complete_when_images_had_to_be_forgotten(
    tmp_path: Path, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "BUDGET", 1)
    images = refs(tmp_path, 12)
    pairs = [(a, b) for a in images for b in images]
    found = open_engine("local", cache, batch_size=2).run(pair_plan(*pairs), {})
    means = {ref: np.asarray(Image.open(ref.path)).mean() for ref in images}
    for a, b in pairs:
        assert found.pair(Difference(), a, b)["difference"] == means[a] - means[b]


def test_each_side_of_a_pair_has_its_own_geometry(tmp_path: Path, cache: Cache) -> None:
    one, other = refs(tmp_path, 2)
    crop = Geometry.parse("crop(left=0, top=0, width=5, height=7)")
    extractor = Difference(first_geometry=crop)
    found = open_engine("local", cache).run(pair_plan((one, other), (other, one), extractor=extractor), {})
    a, b = (np.asarray(Image.open(ref.path)) for ref in (one, other))
    assert found.pair(extractor, one, other)["difference"] == a[:7, :5].mean() - b.mean()
    assert found.pair(extractor, other, one)["difference"] == b[:7, :5].mean() - a.mean()


def test_a_geometry_that_does_not_fit_spoils_only_the_pairs_of_that_image(tmp_path: Path, cache: Cache) -> None:
    small, large = (
        ImageRef(write_image(tmp_path / "small.png", 1, (4, 4))),
        ImageRef(write_image(tmp_path / "large.png", 2, (40, 40))),
    )
    target = ImageRef(write_image(tmp_path / "target.png", 3))
    extractor = Difference(first_geometry=Geometry.parse("crop(left=0, top=0, width=10, height=10)"))
    found = open_engine("local", cache).run(pair_plan((small, target), (large, target), extractor=extractor), {})
    assert isinstance(found.pair(extractor, small, target), Missing)
    assert "difference" in found.pair(extractor, large, target)


def test_panels_of_one_strip_are_different_images(tmp_path: Path, cache: Cache) -> None:
    path = write_image(tmp_path / "strip.png", 1, (30, 10))
    panels = [ImageRef(path, panel, 3, f"panel {panel}") for panel in range(3)]
    found = open_engine("local", cache).run(image_plan(*panels), {})
    pixels = np.asarray(Image.open(path))
    for panel, ref in enumerate(panels):
        np.testing.assert_array_equal(
            found.image(MEAN, ref)["mean"], pixels[:, 10 * panel : 10 * panel + 10].mean((0, 1))
        )
    wrong = ImageRef(path, 0, 4, "quarter")
    assert isinstance(open_engine("local", cache).run(image_plan(wrong), {}).image(MEAN, wrong), Missing)


def test_less_memory_means_smaller_batches_and_a_warning(
    tmp_path: Path, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MeanColour, "memory_errors", [MemoryError(), MemoryError()])
    images = refs(tmp_path, 10)
    found = open_engine("local", cache, device="cpu", batch_size=8, workers=1).run(image_plan(*images), {})
    assert all("mean" in found.image(MEAN, ref) for ref in images)
    assert found.warnings == (
        "not enough memory for mean-colour: its batch size was lowered to 4",
        "not enough memory for mean-colour: its batch size was lowered to 2",
    )


def test_an_image_that_never_fits_into_memory_is_missing(
    tmp_path: Path, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MeanColour, "memory_errors", [MemoryError()])
    first, second = refs(tmp_path, 2)
    found = open_engine("local", cache, device="cpu", batch_size=1).run(image_plan(first, second), {})
    assert found.image(MEAN, first) == Missing("not enough memory for this image")
    assert "mean" in found.image(MEAN, second)


def test_a_broken_extractor_does_not_take_the_others_with_it(tmp_path: Path, cache: Cache) -> None:
    images = refs(tmp_path, 3)
    found = open_engine("local", cache).run(Plan({Broken(): images, MEAN: images}, {}), {})
    assert isinstance(found.broken[Broken()], ZeroDivisionError)
    assert found.image(Broken(), images[0]) == Missing("broken failed")
    assert "mean" in found.image(MEAN, images[0])


def test_detectors_run_in_other_processes_that_survive_a_crash(tmp_path: Path, cache: Cache) -> None:
    images = refs(tmp_path, 6)
    deadly = ImageRef(tmp_path / "white.png")
    Image.new("RGB", (8, 8), "white").save(deadly.path)
    extractor = InProcess()
    found = open_engine("local", cache, workers=2).run(image_plan(*images, deadly, extractor=extractor), {})
    assert found.image(extractor, deadly) == Missing("in-process crashed on this image")
    for ref in images:
        result = found.image(extractor, ref)
        assert result["pid"] != os.getpid()
        np.testing.assert_array_equal(result["mean"], np.asarray(Image.open(ref.path)).mean((0, 1)))


def test_workers_start_once_and_share_the_work(tmp_path: Path, cache: Cache) -> None:
    images = refs(tmp_path, 20)
    extractor = InProcess()
    found = open_engine("local", cache, workers=2, batch_size=4).run(image_plan(*images, extractor=extractor), {})
    pids = {int(found.image(extractor, ref)["pid"]) for ref in images}
    assert os.getpid() not in pids
    assert 1 <= len(pids) <= 2


def test_a_detector_that_hangs_costs_that_image_only_and_is_not_cached(tmp_path: Path, cache: Cache) -> None:
    images = refs(tmp_path, 3)
    endless = ImageRef(tmp_path / "endless.png")
    Image.new("RGB", (8, 8), (200, 0, 0)).save(endless.path)
    extractor = InProcess()
    engine = open_engine("local", cache, device="cpu", workers=1, detector_timeout=3)
    found = engine.run(image_plan(endless, *images, extractor=extractor), {})
    assert found.image(extractor, endless) == Missing("in-process was stopped on this image after 3 s")
    assert not found.broken
    for ref in images:
        np.testing.assert_array_equal(
            found.image(extractor, ref)["mean"], np.asarray(Image.open(ref.path)).mean((0, 1))
        )
    again = open_engine("local", cache, device="cpu", workers=1, detector_timeout=1)
    assert again.run(image_plan(endless, *images, extractor=extractor), {}).image(extractor, endless) == Missing(
        "in-process was stopped on this image after 1 s"
    )


@pytest.mark.parametrize("wait", [0, 2])
def test_a_run_that_is_stopped_leaves_no_detector_behind(tmp_path: Path, cache: Cache, wait: float) -> None:
    endless = ImageRef(tmp_path / "endless.png")
    Image.new("RGB", (8, 8), (200, 0, 0)).save(endless.path)

    before = set(multiprocessing.active_children())

    def interrupt() -> None:
        while not over.wait(0.01) and not set(multiprocessing.active_children()) - before:
            pass
        if not over.wait(wait):
            os.kill(os.getpid(), signal.SIGINT)

    over = threading.Event()
    thread = threading.Thread(target=interrupt)
    # Without a limit in reach: the end of the run has to end the detector, also one that is only about to start.
    engine = open_engine("local", cache, device="cpu", workers=1, detector_timeout=10_000)
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)  # which is another after commands of other tests
    thread.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            engine.run(image_plan(endless, extractor=InProcess()), {})
    finally:
        over.set()
        thread.join()
        signal.signal(signal.SIGINT, handler)
    assert set(multiprocessing.active_children()) <= before


def results_of(models: Models, extractor: PairExtractor, pairs: Mapping[int, Any]) -> dict[int, Any]:
    """What comes of comparing."""
    parts = models.submit(extractor, lambda model, batch: model.compare(batch), pairs, too_large=Missing("too large"))
    return {index: result for part in parts for index, result in part.result().items()}


def test_what_runs_on_a_gpu_compares_batches_and_halves_them_when_memory_is_short(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Difference, "memory_errors", [MemoryError(), MemoryError()])
    pairs = [((np.full(2, float(i)),), (np.zeros(2),)) for i in range(5)]
    with ThreadPoolExecutor(2) as cores, ThreadPoolExecutor(1) as streams:
        for extractor, calls in ((DifferenceOnDevice(), [2, 2, 1]), (Difference(), [1, 1, 1, 1, 1])):
            monkeypatch.setattr(Difference, "compared", [])
            models = Models(Context("cuda"), 8, cores, streams)
            results = results_of(models, extractor, dict(enumerate(pairs)))
            assert {index: float(result["difference"]) for index, result in results.items()} == dict(
                enumerate(range(5))
            )
            assert Difference.compared == calls
            said = [f"not enough memory for on-device: its batch size was lowered to {n}" for n in (4, 2)]
            assert list(models.warnings()) == (said if extractor.on_device else [])


def test_a_pair_that_never_fits_into_memory_is_missing(
    tmp_path: Path, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Difference, "memory_errors", [MemoryError()])
    one, other, third = refs(tmp_path, 3)
    engine = open_engine("local", cache, device="cpu", batch_size=1)
    found = engine.run(pair_plan((one, other), (one, third)), {})
    results = [found.pair(Difference(), one, ref) for ref in (other, third)]
    assert results.count(Missing("not enough memory for this pair of images")) == 1
    assert not found.broken


def test_an_exception_in_a_worker_breaks_its_extractor_only(tmp_path: Path, cache: Cache) -> None:
    grey = ImageRef(tmp_path / "grey.png")
    Image.new("RGB", (8, 8), (128, 128, 128)).save(grey.path)
    found = open_engine("local", cache, workers=1).run(Plan({InProcess(): (grey,), MEAN: (grey,)}, {}), {})
    assert isinstance(found.broken[InProcess()], ArithmeticError)
    assert "mean" in found.image(MEAN, grey)


def test_progress_ends_where_it_said_it_would(tmp_path: Path, cache: Cache) -> None:
    calls: list[tuple[str, int, int]] = []
    open_engine("local", cache, batch_size=2).run(
        image_plan(*refs(tmp_path, 5)), {}, lambda stage, done, total: calls.append((stage, done, total))
    )
    told = [c for c in calls if c[0] == "extracting"]
    assert (told[0], told[-1]) == (("extracting", 0, 5), ("extracting", 5, 5))
    assert told == sorted(told)
    assert len(told) == 4  # batches of 2, 2 and 1, whichever is done first


def test_what_decoding_changed_is_known_on_a_second_run_too(tmp_path: Path, cache: Cache) -> None:
    ref = ImageRef(tmp_path / "alpha.png")
    Image.new("RGBA", (6, 4), (10, 20, 30, 100)).save(ref.path)
    first = open_engine("local", cache).run(image_plan(ref), {}).info(ref)
    second = open_engine("local", cache).run(image_plan(ref), {}).info(ref)
    assert first == second
    assert not isinstance(first, Missing)
    assert (first.width, first.height) == (6, 4)
    assert "alpha composited on white" in first.notes


def test_a_run_without_a_usable_cache_still_gives_results(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    (image,) = refs(tmp_path, 1)
    with Cache(tmp_path / "cache") as cache:
        found = open_engine("local", cache).run(image_plan(image), {})
        assert "mean" in found.image(MEAN, image)
    assert any("cache" in warning for warning in found.warnings)


def test_devices() -> None:
    assert pick_device("cpu") == "cpu"
    assert pick_device("auto") in {"cpu", "cuda"}
    with pytest.raises(UserError, match="device 'quantum'"):
        pick_device("quantum")


def test_a_file_that_changes_while_it_is_evaluated_is_named_and_not_cached(
    tmp_path: Path, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    (image,) = refs(tmp_path, 1)
    original = image.path.read_bytes()

    def swap_then_open(*arguments: Any) -> Any:
        write_image(image.path, 99)
        return open_image(*arguments)

    monkeypatch.setattr(decoders, "open_image", swap_then_open)
    assert open_engine("local", cache).run(image_plan(image), {}).image(MEAN, image) == Missing(
        "unreadable: changed while it was being evaluated"
    )
    monkeypatch.undo()
    image.path.write_bytes(original)
    result = open_engine("local", cache).run(image_plan(image), {}).image(MEAN, image)
    np.testing.assert_array_equal(result["mean"], np.asarray(Image.open(image.path)).mean((0, 1)))


def test_a_worker_that_died_does_not_end_the_run(tmp_path: Path) -> None:
    white, noise = np.full((4, 4, 3), 255, np.uint8), np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    with Workers(1, Context(), timeout=60) as workers:
        assert workers.submit(InProcess(), white).result() == Missing("in-process crashed on this image")
        assert "mean" in workers.submit(InProcess(), noise).result()


def test_a_panel_is_known_by_its_pixels_and_a_file_by_its_bytes(tmp_path: Path, cache: Cache) -> None:
    same = np.random.default_rng(0).integers(0, 256, (10, 10, 3), dtype=np.uint8)
    strips = []
    for i in range(2):
        other = np.full((10, 10, 3), 50 * i, np.uint8)
        Image.fromarray(np.hstack([same, other])).save(tmp_path / f"{i}.png")
        strips.append(ImageRef(tmp_path / f"{i}.png", 0, 2, "target"))
    found = open_engine("local", cache).run(image_plan(*strips), {})
    assert found.content(strips[0]) == found.content(strips[1])
    assert found.content(strips[0]) is not None


def test_the_pixel_limit_holds_for_cached_images_too(tmp_path: Path, cache: Cache) -> None:
    (image,) = refs(tmp_path, 1)
    assert "mean" in open_engine("local", cache).run(image_plan(image), {}).image(MEAN, image)
    limited = open_engine("local", cache, max_pixels=10).run(image_plan(image), {})
    fresh = tmp_path / "fresh"
    with Cache(fresh) as other:
        expected = open_engine("local", other, max_pixels=10).run(image_plan(image), {}).image(MEAN, image)
    assert limited.image(MEAN, image) == expected == Missing("unreadable: 24×32 pixels, over the limit of 10")
