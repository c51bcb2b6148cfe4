"""What a Ray cluster costs and brings: overhead, growth with the number of workers, and the driver's memory.

python benchmarks/cluster.py overhead | growth | paper | memory

overhead: an image by `--engine ray` against one by `--engine local`, on the cores of this machine.
growth: workers that only sleep, so that many of them fit on few cores; how busy they are.
paper: the same by arithmetic, with the rule by which parts are cut.
memory: of the driver, up to a million pictures of one pixel.
"""

from __future__ import annotations

import argparse
import heapq
import os
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from PIL import Image

from fhpt_eval.engine.cache import Cache
from fhpt_eval.engine.cluster import executor as cluster
from fhpt_eval.engine.cluster.parts import part_size
from fhpt_eval.engine.contract import Work
from fhpt_eval.engine.engine import open_engine
from fhpt_eval.engine.executor import ExecutorOptions
from fhpt_eval.evaluation.evaluate import evaluate
from fhpt_eval.extract.extractor import Context, ImageExtractor, Pixels
from fhpt_eval.images.decoding import ImageRef
from fhpt_eval.measuring.registry import select
from fhpt_eval.pairing.pairs import Pairs
from fhpt_eval.records import Result

WORKERS = (1, 2, 4, 8, 16, 32, 64)


@dataclass(frozen=True, kw_only=True)
class Sleep(ImageExtractor):
    """Takes so long, and finds nothing out."""

    name: ClassVar[str] = "sleep"
    seconds: float = 0.0

    def load(self, context: Context) -> Callable[[Sequence[Pixels]], list[Result]]:  # noqa: ARG002 - nothing to load
        """Return what sleeps."""

        def extract(images: Sequence[Pixels]) -> list[Result]:
            time.sleep(self.seconds * len(images))
            return [{"mean": np.zeros(1)} for _ in images]

        return extract


def strips(folder: Path, images: int, in_one: int = 1000) -> Work:
    """Return work on as many pictures of one pixel, which lie side by side in files."""
    files = {}
    for start in range(0, images, in_one):
        path = folder / f"{start}.ppm"
        rows = np.random.default_rng(start).integers(0, 256, (1, in_one, 3), dtype=np.uint8)
        Image.fromarray(rows).save(path)
        content = _sha256(path)
        for panel in range(min(in_one, images - start)):
            files[f"{content}#{panel}/{in_one}"] = ImageRef(path, panel, in_one, name=f"{start + panel}")
    return Work(files, {}, {}, {})


def overhead(counts: tuple[int, int] = (150, 750), size: tuple[int, int] = (176, 256)) -> float:
    """Print and return the time of one more pair on a cluster over that on this machine."""
    slopes = {}
    for engine in ("local", "ray"):
        times = []
        for count in counts:
            with tempfile.TemporaryDirectory() as place:
                pairs = _pairs(Path(place), count, size)
                times.append(_seconds(engine, pairs, Path(place) / "cache"))
        slopes[engine] = (times[1] - times[0]) / (counts[1] - counts[0])
        print(f"{engine}: {times[0]:.1f} s and {times[1]:.1f} s; {1000 * slopes[engine]:.2f} ms a pair", flush=True)
    print(f"ratio {slopes['ray'] / slopes['local']:.3f}")
    return slopes["ray"] / slopes["local"]


def growth(workers: Sequence[int] = WORKERS, seconds: float = 0.5, images: int = 60) -> dict[int, float]:
    """Print and return how busy workers are that sleep so long for each of so many images a worker."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    import ray

    cluster._CORES = 1  # noqa: SLF001 - many workers on few cores
    ray.init(num_cpus=max(workers), include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    busy = {}
    for count in workers:
        with tempfile.TemporaryDirectory() as place:
            work = strips(Path(place), count * images, 100)
            work = Work(work.files, {Sleep(seconds=seconds): frozenset(work.files)}, {}, {})
            began = _run(work, count)
        busy[count] = seconds * images / (time.perf_counter() - began)
        print(f"{count:3} workers: {busy[count]:.1%} of the time at work", flush=True)
    ray.shutdown()
    return busy


def paper(workers: Sequence[int] = WORKERS, images: int = 8570, seconds: float = 0.2) -> dict[int, float]:
    """Print and return how busy workers are by arithmetic; an image takes so long, give or take a half.

    Handing over takes the driver 3 ms a part and 0.3 ms an image, which come one after another.
    """
    busy = {}
    for count in workers:
        drawn = random.Random(0)
        free_at = [(0.0, worker) for worker in range(count) for _ in range(2)]
        left, driver, spent, end = images, 0.0, 0.0, [0.0] * count
        while left:
            asked, worker = heapq.heappop(free_at)
            size = min(left, part_size(16, seconds if spent else None, left, count))
            left -= size
            driver = max(asked, driver) + 0.003 + 0.0003 * size
            needs = sum(seconds * drawn.uniform(0.5, 1.5) for _ in range(size))
            spent += needs
            end[worker] = max(end[worker], driver) + needs
            heapq.heappush(free_at, (end[worker], worker))
        busy[count] = spent / (count * max(end))
        print(f"{count:3} workers: {busy[count]:.1%} of {images} images' time at work")
    return busy


def memory(counts: Sequence[int] = (10_000, 100_000, 1_000_000)) -> dict[int, tuple[float, float]]:
    """Print and return the MB of the driver when it begins and at most while it runs."""
    found = {}
    for count in counts:
        with tempfile.TemporaryDirectory() as place:
            work = strips(Path(place), count)
            held, planned, seconds = _memory(Work(work.files, {Sleep(): frozenset(work.files)}, {}, {}))
        found[count] = held[0], max(held)
        parts = ", ".join(f"{statistics.mean(part):.0f}" for part in np.array_split(held[1:], 4) if len(part))
        print(
            f"{count:8} images: {held[0]:.0f} MB with their names, then {parts} MB; cut in {planned:.1f} s,"
            f" {count / seconds:.0f} images/s",
            flush=True,
        )
    return found


def _memory(work: Work) -> tuple[list[float], float, float]:
    """Return the driver's MB before and while work is done, the seconds to the first part, and those for all."""
    held, began, planned = [_resident()], time.perf_counter(), 0.0

    def look(stage: str, done: int, _total: int) -> None:
        nonlocal planned
        if stage == "reaching the cluster":
            return
        planned = planned or time.perf_counter() - began
        if done:
            held.append(_resident())

    for _ in cluster.RayExecutor(ExecutorOptions("cpu")).run(work, look):
        pass
    return held, planned, time.perf_counter() - began


def _run(work: Work, workers: int) -> float:
    """Compute work by workers that begin together; return when that was."""
    from fhpt_eval.engine.cluster import crew

    began = 0.0
    hand_out = crew.Crew.hand_out

    def once_all_are_there(self: crew.Crew) -> None:
        nonlocal began
        if self.at_work == workers or began:
            began = began or time.perf_counter()
            hand_out(self)

    crew.Crew.hand_out = once_all_are_there  # type: ignore[method-assign]
    try:
        for _ in cluster.RayExecutor(ExecutorOptions("cpu", workers=workers)).run(work, lambda *_: None):
            pass
    finally:
        crew.Crew.hand_out = hand_out  # type: ignore[method-assign]
    return began


def _pairs(folder: Path, count: int, size: tuple[int, int]) -> Pairs:
    width, height = size
    for name, seed in (("generated", 0), ("target", 1_000_000)):
        (folder / name).mkdir()
        for i in range(count):
            pixels = np.random.default_rng(seed + i).integers(0, 256, (height // 8, width // 8, 3), dtype=np.uint8)
            Image.fromarray(pixels).resize((width, height)).save(folder / name / f"{i}.jpg", quality=90)
    return Pairs.from_folders(folder / "generated", folder / "target")


def _seconds(engine: str, pairs: Pairs, cache: Path) -> float:
    """Return how long extraction takes, without the start of the cluster."""
    with Cache(cache) as kept:
        opened = open_engine(engine, kept, device="cpu")
        _ = opened.numerics
        run = evaluate(pairs, select(["ssim", "l1", "lpips", "fid"], "embedded"), profile="embedded", engine=opened)
    return run.record.seconds["extract"]


def _resident() -> float:
    """MB of this process."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def _sha256(path: Path) -> str:
    import hashlib

    return hashlib.sha256(path.read_bytes()).hexdigest()


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    measurements = {"overhead": overhead, "growth": growth, "paper": paper, "memory": memory}
    parser.add_argument("what", choices=measurements)
    measurements[parser.parse_args().what]()


if __name__ == "__main__":
    main()
