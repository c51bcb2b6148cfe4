"""What retrieval found nearest to generated images, as the paper's Fig. 9 shows it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fhpt_eval.errors import UserError
from fhpt_eval.evaluation.run import Run
from fhpt_eval.maths.statistics import Floats
from fhpt_eval.reporting.comparing.measured import keeps_ranking, rows_of
from fhpt_eval.reporting.figures.checking import check_runs
from fhpt_eval.reporting.figures.gallery import Cell, draw_gallery
from fhpt_eval.reporting.figures.pictures import choose_pairs, picture
from fhpt_eval.reporting.figures.recall import retrieving
from fhpt_eval.reporting.figures.style import RIGHT, WRONG, shown

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_FOUND, _NOT_FOUND = "✓", "×"
_NOTHING = np.full((1, 1, 3), 255, dtype=np.uint8)
"""Stands where a gallery has no more images, or the query is missing."""

_SAID = {
    "worst": "queries whose first right answer comes last",
    "best": "queries whose first right answer comes first",
    "median": "queries nearest to the median rank of the first right answer",
    "disputed": "queries on whose first right answer runs differ most",
}


def plot_topk(runs: Sequence[Run], by: str | None = None, *, choose: str = "median", count: int = 4) -> Figure:
    """Show queries and the sources nearest to them: right ones in a green frame with ✓, others in a dashed red with ×.

    Args:
        runs: That stand in one block of a leaderboard; their images must still be where they were. Each has a row for
            each query.
        by: The metric whose ranking is shown, such as ``recall@10[vgg16]``; None for the first that keeps it.
        choose: Which queries, by 1 / rank of their first right answer: ``worst``, ``best`` or ``median`` by the mean of
            the runs, or ``disputed``, on which two differ most.
        count: How many queries at most.

    Raises:
        UserError: The runs cannot share a figure or keep no ranking, there is no such choice, or an image is not there.
    """
    check_runs(runs)
    metric = _metric(runs, by)
    names = list(runs[0].per_pair["pair"])
    orders = [rows_of(run, names) for run in runs]
    ranks = [_reciprocal_ranks(run, metric)[order] for run, order in zip(runs, orders, strict=True)]
    chosen = choose_pairs(ranks, "higher", choose, count)
    shown_rows = [(run, int(order[pair])) for pair in chosen for run, order in zip(runs, orders, strict=True)]
    columns = {"query": [Cell(picture(run, row, "generated"), _name(run, runs)) for run, row in shown_rows]}
    for rank in range(_kept(runs[0], metric)[0].shape[1]):
        cells = [_answer(run, metric, row, rank) for run, row in shown_rows]
        if any(cell.colour for cell in cells):
            columns[str(rank + 1)] = cells
    whose = f" (of {shown(runs[0].record.name)})" if len(runs) == 1 else ""
    if len(runs) > 1 and choose != "disputed":
        whose = " (the runs' mean)"
    return draw_gallery(columns, f"{shown(metric, 40)}: the {len(chosen)} of {len(names)} {_SAID[choose]}{whose}")


def _kept(run: Run, metric: str) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    arrays = run.arrays[metric]
    return arrays["nearest"], arrays["relevant"]


def _metric(runs: Sequence[Run], by: str | None) -> str:
    """Return the metric whose ranking every run keeps."""
    keeping = [[metric for metric in run.arrays if keeps_ranking(run, metric)] for run in runs]
    for run, metrics in zip(runs, keeping, strict=True):
        if not metrics:
            raise UserError(f"{run.record.name} keeps no ranking: run it again with --protocols {retrieving()}.")
    common = [m for m in runs[0].scores if all(m in metrics for metrics in keeping)]
    if by is None and common:
        return common[0]
    if by in common:
        return str(by)
    what = "no ranking is kept by every run" if by is None else f"--by {by}: its ranking is not kept by every run"
    raise UserError(f"{what}; kept: {', '.join(sorted({m for metrics in keeping for m in metrics}))}.")


def _reciprocal_ranks(run: Run, metric: str) -> Floats:
    """Return 1 / rank of each query's first right answer: 0 where none is among the first, NaN where nothing is."""
    nearest, relevant = _kept(run, metric)
    ranks = np.where(relevant.any(axis=1), 1 / (relevant.argmax(axis=1) + 1), 0.0)
    values: Floats = np.where((nearest >= 0).any(axis=1), ranks, np.nan)
    return values


def _answer(run: Run, metric: str, row: int, rank: int) -> Cell:
    nearest, relevant = _kept(run, metric)
    if nearest[row, rank] < 0:
        return Cell(_NOTHING)
    right = bool(relevant[row, rank])
    image = picture(run, int(nearest[row, rank]), "source")
    return Cell(image, _FOUND if right else _NOT_FOUND, RIGHT if right else WRONG)


def _name(run: Run, runs: Sequence[Run]) -> str:
    return run.record.name if len(runs) > 1 else ""
