"""The same images give the same scores, however they are batched, ordered, shared out, cached or resumed."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from toy_executor import OneByOne
from toys import InProcess, write_image

from fhpt_eval.engine.cache import Cache
from fhpt_eval.engine.cluster.executor import RayExecutor
from fhpt_eval.engine.contract import Plan
from fhpt_eval.engine.engine import Engine
from fhpt_eval.engine.executor import Executor, ExecutorOptions
from fhpt_eval.engine.local import LocalExecutor
from fhpt_eval.evaluation.evaluate import evaluate
from fhpt_eval.evaluation.run import Run
from fhpt_eval.extract.efficientnet_lite0 import EFFICIENTNET_LITE0, EfficientNetLite0
from fhpt_eval.extract.perceptual_distance import PerceptualDistance
from fhpt_eval.extract.weights import Store
from fhpt_eval.images.decoding import ImageRef
from fhpt_eval.measuring.registry import select
from fhpt_eval.pairing.pairs import Pairs

OpenEngine = Callable[..., Engine]


def on(executor: type[Executor]) -> OpenEngine:
    """Return what makes an engine over an executor, on the CPU."""

    def make(cache: Cache, batch_size: int = 16, workers: int | None = None) -> Engine:
        return Engine(executor(ExecutorOptions("cpu", batch_size, workers)), cache)

    return make


@pytest.fixture(params=[LocalExecutor, OneByOne, RayExecutor])
def opened(request: pytest.FixtureRequest) -> OpenEngine:
    if request.param is RayExecutor:
        request.getfixturevalue("machines")
    return on(request.param)


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    for i in range(9):
        write_image(tmp_path / "generated" / f"{i}.png", i, (48, 64))
        write_image(tmp_path / "target" / f"{i}.png", 100 + i // 2, (48, 64))
    return tmp_path / "generated", tmp_path / "target"


def scores(run: Run) -> dict[str, object]:
    return {name: score.model_dump() for name, score in run.scores.items()}


def score(opened: OpenEngine, pairs: Pairs, cache_folder: Path, batch_size: int = 16) -> Run:
    protocols = select(["fid", "kid", "lpips", "ssim", "psnr", "l1"], "embedded")
    with Cache(cache_folder) as cache:
        return evaluate(pairs, protocols, engine=opened(cache, batch_size=batch_size))


def test_batch_size_and_cache_do_not_change_a_bit(
    opened: OpenEngine, folders: tuple[Path, Path], tmp_path: Path
) -> None:
    pairs = Pairs.from_folders(*folders)
    first = score(opened, pairs, tmp_path / "cache-1", batch_size=1)
    assert all(s.value is not None for s in first.scores.values())
    for batch_size in (2, 5, 16):
        other = score(opened, pairs, tmp_path / f"cache-{batch_size}", batch_size)
        assert scores(other) == scores(first)
        assert other.per_pair.equals(first.per_pair)
    again = score(opened, pairs, tmp_path / "cache-5")
    assert scores(again) == scores(first)


def test_order_of_pairs_and_names_of_folders_do_not_change_a_bit(
    opened: OpenEngine, folders: tuple[Path, Path], tmp_path: Path
) -> None:
    pairs = Pairs.from_folders(*folders)
    rows = list(pairs.rows)
    random.Random(3).shuffle(rows)
    shuffled = dataclasses.replace(pairs, rows=tuple(rows))
    one, other = score(opened, pairs, tmp_path / "a"), score(opened, shuffled, tmp_path / "b", batch_size=4)
    distributions = ("fd_efficientnet_lite0", "kd_efficientnet_lite0")
    assert {m: one.scores[m].value for m in distributions} == {m: other.scores[m].value for m in distributions}
    by_pair = other.per_pair.sort_values("pair", ignore_index=True)
    assert by_pair.equals(one.per_pair)
    moved = tmp_path / "elsewhere"
    folders[0].rename(moved)
    assert scores(score(opened, Pairs.from_folders(moved, folders[1]), tmp_path / "c")) == scores(one)


def test_a_run_that_stopped_halfway_ends_with_the_same_scores(
    opened: OpenEngine, folders: tuple[Path, Path], tmp_path: Path
) -> None:
    pairs = Pairs.from_folders(*folders)

    class Stopped(Exception):
        pass

    def stop(stage: str, done: int, _total: int) -> None:
        if stage == "extracting" and done >= 6:
            raise Stopped

    protocols = select(["fid", "lpips", "ssim"], "embedded")
    with Cache(tmp_path / "stopped") as cache, pytest.raises(Stopped):
        evaluate(pairs, protocols, engine=opened(cache, batch_size=3), progress=stop)
    with Cache(tmp_path / "stopped") as cache:
        assert sum(u.results for u in cache.usage()) > 0
    whole, resumed = score(opened, pairs, tmp_path / "whole"), score(opened, pairs, tmp_path / "stopped")
    assert scores(resumed) == scores(whole)


def test_one_worker_and_three_give_the_same_records(opened: OpenEngine, tmp_path: Path) -> None:
    images = tuple(ImageRef(write_image(tmp_path / f"{i}.png", i)) for i in range(7))
    extractor = InProcess()
    means = []
    for workers, order in ((1, images), (3, images[::-1])):
        with Cache(tmp_path / f"cache-{workers}") as cache:
            found = opened(cache, workers=workers).run(Plan({extractor: order}, {}), {})
            means.append([found.image(extractor, ref)["mean"] for ref in images])
    np.testing.assert_array_equal(means[0], means[1])


def test_perfect_generation_is_perfect(opened: OpenEngine, folders: tuple[Path, Path], tmp_path: Path) -> None:
    run = score(opened, Pairs.from_folders(folders[1], folders[1]), tmp_path / "cache")
    assert run.scores["fd_efficientnet_lite0"].value == pytest.approx(0, abs=1e-6)
    assert run.scores["pd_efficientnet_lite0"].value == 0
    assert run.scores["ssim"].value == 1
    assert run.scores["l1"].value == 0
    psnr = run.scores["psnr"]
    assert (psnr.value, psnr.n, psnr.missing) == (None, 0, {"identical images (infinite PSNR)": 9})
    # A metric without one value is done in part.
    assert (run.faulty, run.exit_code) == (False, 3)


def test_mixed_sizes_do_not_change_what_each_image_gives(opened: OpenEngine, tmp_path: Path) -> None:
    weights = {EFFICIENTNET_LITE0.name: Store(offline=True).get(EFFICIENTNET_LITE0)}
    sizes = [(48, 64), (64, 64), (48, 64), (40, 50)]
    refs = [ImageRef(write_image(tmp_path / f"{i}.png", i, size)) for i, size in enumerate(sizes)]
    pairs = ((refs[0], refs[2]), (refs[1], refs[1]), (refs[2], refs[0]))
    image, pair = EfficientNetLite0(), PerceptualDistance(net="efficientnet_lite0")

    def values(chosen: Sequence[ImageRef], compared: Sequence[tuple[ImageRef, ImageRef]], batch: int) -> list[object]:
        with Cache(tmp_path / f"cache-{batch}") as cache:
            found = opened(cache, batch_size=batch).run(Plan({image: tuple(chosen)}, {pair: tuple(compared)}), weights)
            return [found.image(image, ref)["features"].tolist() for ref in refs] + [
                float(found.pair(pair, a, b)["distance"]) for a, b in pairs
            ]

    assert values(refs, pairs, 4) == values(refs[::-1], pairs[::-1], 1)


@pytest.mark.usefixtures("machines")
def test_all_executors_give_the_same_bits(folders: tuple[Path, Path], tmp_path: Path) -> None:
    pairs = Pairs.from_folders(*folders)
    one, *others = (score(on(e), pairs, tmp_path / e.name) for e in (LocalExecutor, OneByOne, RayExecutor))
    for other in others:
        assert scores(one) == scores(other)
        assert one.per_pair.equals(other.per_pair)
