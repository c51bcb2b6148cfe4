"""Precision and recall, density and coverage of the generated images, against a reference set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import Field

from fhpt_eval.maths.neighbours import Vectors, neighbourhoods
from fhpt_eval.measuring.flaws import Effect, Flaw
from fhpt_eval.measuring.protocol import Records, Score, Unscorable
from fhpt_eval.measuring.rows import PresentRows
from fhpt_eval.measuring.tolerance import Tolerance
from fhpt_eval.pairing.pairs import Pairs
from fhpt_eval.protocols.fid import FeatureDistribution, missing_on_both_sides, rows_of, told_of

FEW = 1000
"""Images on either side below which a warning is given."""


@dataclass(frozen=True, kw_only=True)
class Prdc(FeatureDistribution):
    """Precision ↑ and recall ↑ (Kynkäänniemi et al., NeurIPS 2019), density ↑ and coverage ↑ (Naeem et al., ICML 2020).

    A ball about an image's features reaches to its k-th nearest neighbour on its own side, itself not counted.

    * precision: share of the generated images that lie in a reference image's ball: how many look real.
    * recall: share of the reference images that lie in a generated image's ball: how much of what is real is generated.
    * density: in how many reference images' balls a generated image lies, divided by k, on average; may be above 1.
    * coverage: share of the reference images whose ball holds a generated image.

    The papers' own code takes VGG-16's second large layer for features; here it is any network of fid, and the names
    say which: ``precision[inception-2015]``. All four depend on how many images there are. They have no interval: the
    balls of one image depend on all others, so that none of them is a mean of independent values.

    Attributes:
        neighbourhood: The k of precision and recall; the paper's is 3.
        density_neighbourhood: The k of density and coverage; the paper's is 5.
    """

    name: ClassVar[str] = "prdc"
    title: ClassVar[str] = "precision, recall, density and coverage against the targets, or --reference"
    metrics: ClassVar[tuple[str, ...]] = tuple(
        f"{which}[inception-2015]" for which in ("precision", "recall", "density", "coverage")
    )
    headlines: ClassVar[tuple[str, ...]] = metrics
    rank: ClassVar[int] = 25
    on_request: ClassVar[bool] = True
    tolerance: ClassVar[Tolerance] = Tolerance(absolute=5e-3)
    flaws: ClassVar[Mapping[Flaw, Effect]] = {**FeatureDistribution.flaws, "target copies": "better"}
    neighbourhood: Annotated[int, Field(ge=1, le=100)] = 3
    density_neighbourhood: Annotated[int, Field(ge=1, le=100)] = 5

    def score(self, pairs: Pairs, records: Records) -> list[Score]:  # noqa: ARG002 - no value of a pair
        """Compare both sides' features by their neighbours."""
        key, dim = self.feature
        results, reference = self.features(records)
        generated = PresentRows(results, key)
        x, y = _matrix(generated, dim), _matrix(rows_of(reference, key), dim)
        k = max(self.neighbourhood, self.density_neighbourhood)
        if min(len(x), len(y)) <= k:
            raise Unscorable(
                f"{k} neighbours need at least {k + 1} images on each side, here are {len(x)} and {len(y)}"
            )
        found = neighbourhoods(x, y, self.neighbourhood, self.density_neighbourhood)
        missing, faults = missing_on_both_sides(generated, reference)
        details: dict[str, Any] = {"reference": self.compared_with(records), "reference_n": len(y)}
        values = {
            "precision": (found.precise.mean(), self.neighbourhood),
            "recall": (found.recalled.mean(), self.neighbourhood),
            "density": (found.dense.mean() / self.density_neighbourhood, self.density_neighbourhood),
            "coverage": (found.covered.mean(), self.density_neighbourhood),
        }
        warnings = [*told_of(reference, self.name)]
        if min(len(x), len(y)) < FEW:
            warnings.append(
                f"{self.name}: {len(x)} generated and {len(y)} reference images are few for neighbourhoods: compare its"
                " numbers only at equal counts"
            )
        return [
            Score(
                metric=f"{which}[{self._network}]",
                value=float(value),
                better="higher",
                n=len(x),
                missing=missing,
                faults=faults,
                details={**details, "neighbours": neighbours},
                warnings=warnings if which == "precision" else (),
            )
            for which, (value, neighbours) in values.items()
        ]

    @property
    def _network(self) -> str:
        return self.network + ("-2018" if self.preprocess == "pytorch-fid-2018" else "")


def _matrix(rows: PresentRows, dim: int) -> Vectors:
    """Return all features: 410 MB for 50,000 images of 2048."""
    matrix = np.empty((len(rows), dim), dtype=np.float32)
    for i, row in enumerate(rows):
        matrix[i] = row
    return matrix
