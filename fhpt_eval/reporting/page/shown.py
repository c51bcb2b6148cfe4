"""What every section of the page is made from, and what a section is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from fhpt_eval.evaluation.run import Run
from fhpt_eval.maths.statistics import Floats
from fhpt_eval.reporting.blocks import Block
from fhpt_eval.reporting.comparing.compare import Comparison
from fhpt_eval.reporting.comparing.measured import Measured, rows_of
from fhpt_eval.reporting.metrics import Metric, metrics_of
from fhpt_eval.reporting.page.album import Album


@dataclass(frozen=True)
class Section:
    """A part of the page with a heading of its own.

    Attributes:
        name: Of its template, and its address in the page.
        title: Its heading.
        view: What the template shows.
        script: What the page's script draws of it; goes into the page as JSON.
    """

    name: str
    title: str
    view: Any
    script: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Shown:
    """What the page is about.

    Attributes:
        blocks: All runs, by what can be compared.
        comparison: Of the runs of the first block; None where it has one run.
        album: Takes the pictures.
    """

    blocks: Sequence[Block]
    comparison: Comparison | None
    album: Album

    @property
    def runs(self) -> tuple[Run, ...]:
        """Those of the first block: what is compared, drawn and pictured."""
        return self.blocks[0].runs

    @property
    def names(self) -> list[str]:
        """Of these runs."""
        return [run.record.name for run in self.runs]

    @cached_property
    def metrics(self) -> dict[str, Metric]:
        """Of these runs, headlines first."""
        return metrics_of(self.runs)

    @cached_property
    def pairs(self) -> list[str]:
        """The pairs of these runs, as the first run orders them."""
        return [str(pair) for pair in self.runs[0].per_pair["pair"]]

    def per_pair(self, run: Run, metric: str) -> Floats | None:
        """Return the value of each of the `pairs`, NaN where there is none; None for a metric of the whole set."""
        return Measured.of(run, metric, self.pairs).per_pair

    def order(self, run: Run) -> npt.NDArray[np.intp]:
        """Return the row of each of the `pairs` in a run's own order."""
        return self._orders[self.runs.index(run)]

    @cached_property
    def _orders(self) -> list[npt.NDArray[np.intp]]:
        return [rows_of(run, self.pairs) for run in self.runs]
