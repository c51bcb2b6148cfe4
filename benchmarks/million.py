"""What grows with the number of images: time and memory of all that an evaluation does beside decoding and computing.

python benchmarks/million.py --images 10000 100000 1000000

Half of the images are generated, half are their targets: hard links to a few empty pictures, each of which counts as a
file of its own content. They are read as ever; what an extractor would find is made up. Each number of images is
measured in a process of its own, with an empty cache. Memory is what the process holds beside pages of files, such as
the cache's, which the system can drop.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections import defaultdict
from collections.abc import Generator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any, ClassVar
from unittest import mock

import numpy as np
from PIL import Image

from fhpt_eval.engine import contents, todo
from fhpt_eval.engine.cache import Cache
from fhpt_eval.engine.contract import Computed, Decoded, ImageInfo, Outcome, Work
from fhpt_eval.engine.engine import Engine
from fhpt_eval.engine.executor import Executor, ExecutorOptions
from fhpt_eval.engine.opening import hash_file
from fhpt_eval.evaluation.evaluate import evaluate
from fhpt_eval.extract.numerics import Numerics
from fhpt_eval.images.decoding import ImageRef, size_of
from fhpt_eval.pairing.pairs import Pairs
from fhpt_eval.progress import Progress

STAGES = {
    "pair": "names are paired",
    "read": "files are read and hashed, and their headers looked at",
    "plan": "what is to do is found",
    "keep": "results go to the cache",
    "score": "scores are computed and the run is written",
}
LINKS = 50_000
"""To a picture: ext4 allows 65,000."""


@dataclass
class Meter:
    """Seconds of each stage, by the clock and of a core, and bytes of memory after it."""

    clock: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    core: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    memory: dict[str, int] = field(default_factory=dict)
    began: tuple[float, float] = field(default_factory=lambda: now())

    def end(self, stage: str) -> None:
        """Count what passed since the last end as that stage's."""
        clock, core = now()
        self.clock[stage] += clock - self.began[0]
        self.core[stage] += core - self.began[1]
        self.memory[stage] = memory()
        self.began = clock, core


def now() -> tuple[float, float]:
    """Return the time of the clock, and what this process has had of cores."""
    return time.perf_counter(), time.process_time()


def memory() -> int:
    """Return the bytes of this process, without pages of files."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.partition("RssAnon:")[2].split()[0]) * 1024


def make(folder: Path, images: int) -> tuple[Path, Path]:
    """Make the folders of generated images and of targets."""
    folders = folder / "generated", folder / "targets"
    for role in folders:
        role.mkdir()
        for i in range(images // 2):
            path = role / f"{i:07}.png"
            if i % LINKS == 0:
                picture = path
                Image.new("RGB", (8, 8)).save(picture)
            else:
                os.link(picture, path)
    return folders


class MadeUp(Executor):
    """Makes up what extractors find."""

    name: ClassVar[str] = "made up"

    def __init__(self, options: ExecutorOptions, meter: Meter) -> None:  # noqa: ARG002
        self._meter = meter

    @property
    def numerics(self) -> Numerics:
        """As ever."""
        return Numerics()

    def run(self, work: Work, progress: Progress) -> Generator[Outcome, None, None]:  # noqa: ARG002
        """Yield something for all that is asked."""
        self._meter.end("plan")
        random = np.random.default_rng(0)
        for key in work.files:
            yield Decoded(key, ImageInfo(8, 8, frozenset(), key))
        for extractor, keys in work.images.items():
            for key in keys:
                yield Computed(extractor, key, {"features": random.standard_normal(1280, dtype=np.float32)})
        for comparison, pairs in work.pairs.items():
            for pair in pairs:
                yield Computed(comparison, pair, {"ssim": np.array(random.random())})
        self._meter.end("keep")


def measure(images: int, protocols: Sequence[str], at: Path | None) -> Meter:
    """Evaluate that many images.

    Args:
        images: How many.
        protocols: Which the package's own weights suffice for.
        at: Where pictures, cache and run are made and removed; None for where temporary files are.
    """

    def hash_by_name(path: Path) -> Any:
        content = hash_file(path)
        return f"{content[:48]}{path.parent.name:>9}{path.stem}" if isinstance(content, str) else content

    def size_timed(ref: ImageRef) -> tuple[int, int]:
        began = now()
        size = size_of(ref)
        for took, since, until in zip((meter.clock, meter.core), began, now(), strict=True):
            took["read"] += until - since
            took["plan"] -= until - since
        return size

    def progress(stage: str, done: int, total: int) -> None:
        if stage == "reading files" and done in {0, total}:
            meter.end("read" if done else "plan")

    with tempfile.TemporaryDirectory(dir=at) as made:
        folder = Path(made)
        generated, targets = make(folder, images)
        meter = Meter()
        with (
            mock.patch.object(contents, "hash_file", hash_by_name),
            mock.patch.object(todo, "size_of", size_timed),
            Cache(folder / "cache", limit=2**40) as cache,
        ):
            pairs = Pairs.from_folders(generated, targets)
            meter.end("pair")
            engine = Engine(MadeUp(ExecutorOptions(), meter), cache)
            out = folder / "out"
            run = evaluate(pairs, protocols, profile="embedded", engine=engine, output=out, progress=progress)
            meter.end("score")
        assert all(score.n == images // 2 for score in run.scores.values())
        assert run.scores
    return Meter(dict(meter.clock), dict(meter.core), meter.memory)


def table(meters: dict[int, Meter]) -> str:
    """Return what was measured: seconds, megabytes, and the bytes that an image more takes than in the row before."""
    lines = [
        f"| images | {' | '.join(f'{stage}, s' for stage in STAGES)} | pair + plan, s of a core | µs an image"
        f" | {' | '.join(f'after {stage}, MB' for stage in STAGES)} | bytes an image |",
        "|---:" * (2 * len(STAGES) + 4) + "|",
    ]
    before: tuple[int, int] | None = None
    for images, meter in meters.items():
        most = max(meter.memory.values())
        planned = meter.core["pair"] + meter.core["plan"]
        grown = "–" if before is None else f"{(most - before[1]) / (images - before[0]):,.0f}"
        seconds = " | ".join(f"{meter.clock[stage]:.1f}" for stage in STAGES)
        held = " | ".join(f"{meter.memory[stage] / 1e6:,.0f}" for stage in STAGES)
        lines.append(f"| {images:,} | {seconds} | {planned:.1f} | {planned / images * 1e6:.0f} | {held} | {grown} |")
        before = images, most
    return "\n".join(lines)


def main(counts: Sequence[int], protocols: Sequence[str], at: Path | None) -> None:
    """Print the table."""
    print(*(f"{stage}: {what}" for stage, what in STAGES.items()), "", sep="\n")
    meters = {}
    for images in counts:
        # What another number of images left behind is not to be measured.
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
            process.submit(measure, 20, protocols, at).result()  # libraries load
            meters[images] = process.submit(measure, images, protocols, at).result()
    print(table(meters))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--protocols", nargs="+", choices=["ssim", "fid"], default=["ssim"])
    parser.add_argument("--folder", type=Path, help="where all is made and removed; 6 GB for a million images")
    asked = parser.parse_args()
    main(asked.images, asked.protocols, asked.folder)
