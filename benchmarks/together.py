"""All dialects in one run beside each in a run of its own, with cold caches: what sharing decoding and networks saves.

python benchmarks/together.py

Copied sources of the sample of rendered people; where a dialect expects a size, images are resized to it. The weights
of networks are random: the time does not depend on them.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torchvision import models

from fhpt_eval.engine.cache import Cache
from fhpt_eval.engine.engine import open_engine
from fhpt_eval.evaluation.evaluate import evaluate
from fhpt_eval.evaluation.run import Run
from fhpt_eval.extract.weights import DownloadProgress, Store, Weights
from fhpt_eval.measuring.dialects import find_dialects, measurements_of
from fhpt_eval.measuring.measurement import Measurement
from fhpt_eval.people.keypoint_files import KeypointFiles
from fhpt_eval.reporting.dialect_effects import brought_to_size
from fhpt_eval.sample import ANNOTATION, SAMPLE, copied_sources

NETWORKS: dict[str, Any] = {
    "inception-2015": lambda: models.inception_v3(num_classes=1008, aux_logits=False, init_weights=False),
    "inception-v3-imagenet": lambda: models.inception_v3(init_weights=False),
    "alexnet": models.alexnet,
    "vgg16": models.vgg16,
}


@dataclass(frozen=True)
class Random(Store):
    """Weights of `NETWORKS` in its folder; all others as ever."""

    def get(self, weights: Weights, progress: DownloadProgress | None = None) -> Path:
        """Return the file, its hash unchecked."""
        if weights.name not in NETWORKS:
            return super().get(weights, progress)
        assert self.folder is not None
        file = self.folder / weights.filename
        if not file.exists():
            torch.save(NETWORKS[weights.name]().state_dict(), file)
        return file


def _time(measurements: Sequence[Measurement], count: int, store: Store) -> tuple[float, Run]:
    pairs, keypoints = copied_sources(count), KeypointFiles.at(SAMPLE / ANNOTATION)
    with tempfile.TemporaryDirectory() as folder, Cache(Path(folder)) as cache:
        start = time.perf_counter()
        run = evaluate(
            pairs,
            measurements,
            reference=list(dict.fromkeys(pair.target for pair in pairs.rows if pair.target)),
            target_keypoints=keypoints,
            engine=open_engine("local", cache, device="cpu"),
            store=store,
        )
        return time.perf_counter() - start, run


def main(count: int) -> None:
    """Print the seconds of each dialect, of all together, and their ratios."""
    dialects = [dialect for dialect in find_dialects().values() if not dialect.refused]
    with tempfile.TemporaryDirectory() as folder:
        store = Random(Path(folder))
        everything = [brought_to_size(m) for m in measurements_of(dialects, None)]
        _time(everything[:1], count, store)
        alone = {}
        for dialect in dialects:
            own = [brought_to_size(m) for m in measurements_of([dialect], None)]
            alone[dialect.key], run = _time(own, count, store)
            undone = {r.label: r.reason for r in run.record.protocols if r.status != "done"}
            print(f"{dialect.key:12} {len(own):3} numbers {alone[dialect.key]:8.1f} s", undone or "", flush=True)
        together, _ = _time(everything, count, store)
    dearest = max(alone, key=lambda key: alone[key])
    print(
        f"all together {together:8.1f} s: {together / alone[dearest]:.2f} times the dearest ({dearest}),"
        f" {together / sum(alone.values()):.2f} of all one by one"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=48)
    main(parser.parse_args().pairs)
