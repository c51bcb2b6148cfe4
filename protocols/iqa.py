"""Image quality metrics of pyiqa by their names: a plug-in with an optional extra."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import BeforeValidator, PlainSerializer

from fhpt_eval.errors import did_you_mean
from fhpt_eval.extract.extractor import Extractor
from fhpt_eval.extract.image_quality import ImageFidelity, ImageQuality
from fhpt_eval.extract.pyiqa_library import REFUSED, Metric, how_to_bring, known
from fhpt_eval.files.given import GivenFolder
from fhpt_eval.images.geometry import Geometry
from fhpt_eval.measuring.flaws import ON_ANY, Effect, Flaw
from fhpt_eval.measuring.given import Given
from fhpt_eval.measuring.protocol import Group, Need, Protocol, Records, Results, Score, mean_over_pairs
from fhpt_eval.measuring.tolerance import Tolerance
from fhpt_eval.pairing.pairs import Pairs
from fhpt_eval.records import Missing

Names = Annotated[
    tuple[str, ...],
    BeforeValidator(lambda v: tuple(part.strip() for part in v.split(",")) if isinstance(v, str) else v),
    PlainSerializer(lambda v: ",".join(v), return_type=str),
]
"""In text: names with commas between them."""


@dataclass(frozen=True, kw_only=True)
class Iqa(Protocol):
    """Metrics of pyiqa, each as its authors' code there computes it, mean over pairs; each is called ``iqa_NAME``.

    A metric with reference compares a generated image with its target. One without judges the generated image alone;
    its score's ``details`` have the mean over the targets under ``controls``, which no method should be expected to
    beat. Images are [0, 1] RGB at their own size, one at a time. Direction and range in the details are pyiqa's.

    Its code downloads nothing here. A metric that needs weights asks for a folder of them and tells how to make it;
    what is in the folder is part of the recipe. Of pickled files it reads tensors only.

    Attributes:
        metric: Names of metrics, with commas between them.
        weights: Folder of the files that they need (``TORCH_HOME`` of a machine where pyiqa made them once).
        ceiling: Whether metrics without reference judge the targets, too; ``false`` for runs without targets.
        generated_geometry: What is done to a generated image before it is handed over.
        target_geometry: The same for its target.
    """

    name: ClassVar[str] = "iqa"
    title: ClassVar[str] = "image quality metrics of pyiqa, with and without the target"
    group: ClassVar[Group] = "perceptual"
    metrics: ClassVar[tuple[str, ...]] = ("iqa_fsim",)
    headlines: ClassVar[tuple[str, ...]] = metrics
    rank: ClassVar[int] = 100
    on_request: ClassVar[bool] = True
    licence: ClassVar[str] = (
        "pyiqa: non-commercial use only (PolyForm Noncommercial 1.0.0, S-Lab 1.0); weights: their authors' terms"
    )
    flaws: ClassVar[Mapping[Flaw, Effect]] = {**ON_ANY, "sizes": "missing"}
    tolerance: ClassVar[Tolerance] = Tolerance(absolute=1e-5, relative=1e-4)
    extractors: ClassVar[tuple[type[Extractor], ...]] = (ImageQuality,)
    metric: Names = ("fsim",)
    weights: GivenFolder | None = None
    ceiling: bool = True
    generated_geometry: Geometry = Geometry()
    target_geometry: Geometry = Geometry()

    def __post_init__(self) -> None:
        if not self.metric or len(set(self.metric)) < len(self.metric):
            raise ValueError("name one or more metrics of pyiqa, each once")
        for name in self.metric:
            if name in REFUSED:
                raise ValueError(f"{name} is not offered: {REFUSED[name]}")
            if known() and name not in known():
                raise ValueError(f"pyiqa has no metric '{name}'.{did_you_mean(name, known())}")

    @classmethod
    def choices(cls) -> Mapping[str, Mapping[str, str]]:
        """Return pyiqa's metrics with their direction and range."""
        return {"metric": {name: str(metric) for name, metric in known().items()}}

    def lacks(self, given: Given) -> str | None:
        """Return the weights, where a metric needs some and no folder is given."""
        reading = [m.name for m in self._asked() if m.reads_files]
        if reading and self.weights is None:
            return f"pyiqa may not download the weights of {' and '.join(reading)}: {how_to_bring(reading)}"
        return super().lacks(given)

    def _asked(self) -> list[Metric]:
        """Return what is known of the metrics; without pyiqa nothing runs, so anything will do."""
        return [known().get(name, Metric(name, True, "higher", "", False)) for name in self.metric]

    def needs(self) -> tuple[Need, ...]:
        """Return each metric on pairs, or on the generated images and the targets."""
        found: list[Need] = []
        for metric in self._asked():
            if metric.reference:
                found.append(Need(self._fidelity(metric), ("generated", "target")))
            else:
                found.append(Need(self._quality(metric, self.generated_geometry), ("generated",)))
                if self.ceiling:
                    found.append(Need(self._quality(metric, self.target_geometry), ("target",)))
        return tuple(found)

    def _files(self, metric: Metric) -> GivenFolder | None:
        return self.weights if metric.reads_files else None

    def _fidelity(self, metric: Metric) -> ImageFidelity:
        return ImageFidelity(
            metric=metric.name,
            files=self._files(metric),
            first_geometry=self.generated_geometry,
            second_geometry=self.target_geometry,
        )

    def _quality(self, metric: Metric, geometry: Geometry) -> ImageQuality:
        return ImageQuality(metric=metric.name, files=self._files(metric), geometry=geometry)

    def score(self, pairs: Pairs, records: Records) -> list[Score]:
        """Average each metric over the pairs."""
        return [self._score(metric, pairs, records) for metric in self._asked()]

    def _score(self, metric: Metric, pairs: Pairs, records: Records) -> Score:
        details: dict[str, Any] = {"range": metric.range, "licence": self.licence}
        if metric.reference:
            results = records.per_pair(self._fidelity(metric), "generated", "target")
        else:
            results = records.per_pair(self._quality(metric, self.generated_geometry), "generated")
            if self.ceiling:
                real = records.per_pair(self._quality(metric, self.target_geometry), "target")
                details["controls"] = {"targets": _mean_where_both_are(results, real)}
        values = [r if isinstance(r, Missing) else float(r["value"]) for r in results]
        return mean_over_pairs(f"iqa_{metric.name}", metric.better, pairs, values, details=details)


def _mean_where_both_are(results: Results, real: Results) -> dict[str, Any]:
    """Return the mean over the targets of the pairs that are scored, and how many these are."""
    both = zip(results, real, strict=True)
    there = [float(b["value"]) for a, b in both if not isinstance(a, Missing) and not isinstance(b, Missing)]
    return {"value": float(np.mean(there)) if there else None, "n": len(there)}
