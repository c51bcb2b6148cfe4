"""Tests on pairs that are not trained on, while a training goes on."""

from __future__ import annotations

import math
from collections import defaultdict
from pathlib import Path

import torch

from fhpt_eval.extract.picture_scores import PictureScores
from fhpt_eval.progress import Progress
from fhpt_eval.reference_models.drn.batches import Batches
from fhpt_eval.reference_models.drn.samples import PairData, to_bytes
from fhpt_eval.reference_models.drn.updates import Updates

MOST = 288
"""Pairs of a test while the training goes on; at its end all are tested."""

_AT_ONCE = 16


class HeldOut:
    """Held-out pairs, and how often they are tested.

    Args:
        data: The pairs.
        updates: Draws them.
        weights: The file that `PictureScores` needs.
        times: Tests over the training, beside the one at its start.
    """

    def __init__(self, data: PairData, updates: Updates, weights: Path, times: int) -> None:
        self.times = times
        self._data = data
        self._updates = updates
        self._score = PictureScores(weights, updates.device)
        self._batches: Batches | None = None
        self._floors: dict[int, dict[str, float]] = {}

    def due(self, before: float, now: float) -> bool:
        """Whether a test comes between two points of the training, the second of them included: 1 is its end."""
        return now >= 1 > before or math.floor(now * self.times) > math.floor(before * self.times)

    def test(self, *, everything: bool, progress: Progress | None = None) -> dict[str, float]:
        """Return the means of what was made, and of the copied source, by ``picture/metric``, over so many ``pairs``.

        Args:
            everything: Test all pairs instead of at most `MOST`, evenly spread.
            progress: Shows how many are tested.
        """
        if self._batches is None:
            self._batches = Batches(self._data, self._updates.device, progress=progress)
        count = len(self._data) if everything else min(MOST, len(self._data))
        chosen = torch.linspace(0, len(self._data) - 1, count, dtype=torch.float64).round().long()
        values: dict[str, list[float]] = defaultdict(list)
        done = 0
        for batch in self._batches(list(torch.split(chosen, _AT_ONCE))):
            pictures = {name: to_bytes(images) for name, images in self._updates.pictures(batch).items()}
            target = pictures.pop("target")
            pictures.pop("sketch", None)
            if count in self._floors:
                del pictures["source"]
            for name, images in pictures.items():
                for metric, scores in self._score(images, target).items():
                    values[f"{name}/{metric}"] += scores
            done += len(target)
            if progress is not None:
                progress("testing", done, count)
        means = {name: sum(scores) / count for name, scores in values.items()}
        floor = {name: mean for name, mean in means.items() if name.startswith("source/")}
        return {"pairs": count, **self._floors.setdefault(count, floor), **means}
