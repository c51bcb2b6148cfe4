"""The three objectives of the paper at a glance: where each run stands among the others."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import TYPE_CHECKING, Any

import numpy as np

from fhpt_eval.errors import UserError
from fhpt_eval.evaluation.run import Run
from fhpt_eval.measuring.registry import GROUPS
from fhpt_eval.reporting.comparing.compare import Comparison, compare
from fhpt_eval.reporting.figures.checking import check_runs
from fhpt_eval.reporting.figures.style import COLUMN, GREY, NORMAL, SMALL, add_legend, look, shown
from fhpt_eval.reporting.metrics import Metric, metrics_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SAID = (
    "axis: share of its comparisons with the other runs shown\n"
    "that a run wins (headline metrics, each table alike);\n"
    "what cannot be told apart counts ½"
)


def plot_radar(runs: Sequence[Run]) -> Figure:
    """Draw an axis an objective: perceptual, structural, semantic.

    The metrics of an objective have no common unit, and some no end, so an axis is no mean of values: it is the
    `share_won`, from 0 in the centre to 1. A half, dashed, is as good as the others. It says who is ahead in what among
    these runs, and not by how much. Lines enclose nothing: an area would grow with the square of the shares.

    Raises:
        UserError: There is one run, the runs cannot share a figure, or an objective has nothing that can be compared.
    """
    from matplotlib.figure import Figure

    check_runs(runs)
    shares = share_won(runs)
    figure = Figure(figsize=(COLUMN, 3.1), layout="constrained")
    panel: Any = figure.add_subplot(projection="polar", theta_offset=np.pi / 2, theta_direction=-1)
    angles = np.arange(len(GROUPS)) * 2 * np.pi / len(GROUPS)
    around = np.append(angles, angles[0])
    panel.plot(np.linspace(0, 2 * np.pi, 200), np.full(200, 0.5), color=GREY, linestyle=(0, (4, 3)), linewidth=0.8)
    for index, run in enumerate(runs):
        colour, marker, _ = look(index)
        values = shares[index]
        panel.plot(around, [*values, values[0]], color=colour, marker=marker, markersize=4, linewidth=1.2,
                   label=f"{shown(run.record.name)} ({', '.join(f'{value:.2f}' for value in values)})")  # fmt: skip
    panel.set_ylim(0, 1.05)
    panel.set_yticks((0, 0.25, 0.5, 0.75, 1), ("0", "", "½", "", "1"), fontsize=SMALL, color=GREY)
    panel.set_rlabel_position(60)
    panel.set_xticks(angles, GROUPS, fontsize=NORMAL)
    panel.grid(alpha=0.3, linewidth=0.5)
    panel.spines["polar"].set_visible(False)
    add_legend(figure, panel.get_legend_handles_labels()[0], f"run ({', '.join(GROUPS)})")
    figure.suptitle(_SAID, fontsize=SMALL, color=GREY)
    return figure


def share_won(runs: Sequence[Run]) -> list[list[float]]:
    """Return for each run and objective how many of its comparisons with the others it wins, from 0 to 1.

    A comparison is of two runs by a headline metric; where no difference is shown, it counts ½. Metrics of one table
    are averaged first, then tables, so that an objective is not that of the protocol with most metrics.

    Raises:
        UserError: There is one run, or nothing can be compared about one.
    """
    headlines = [metric for metric in metrics_of(runs).values() if metric.headline]
    compared = compare(runs, [metric.name for metric in headlines])
    return [[_share(compared, i, [m for m in headlines if m.group == group], group) for group in GROUPS]
            for i in range(len(runs))]  # fmt: skip


def _share(compared: Comparison, run: int, metrics: Sequence[Metric], group: str) -> float:
    tables: dict[str, list[float]] = {}
    for metric in metrics:
        if won := [share for other in range(len(compared.runs)) for share in _won(compared, metric, run, other)]:
            tables.setdefault(metric.table, []).append(fmean(won))
    if not tables:
        why = next((row.why for row in compared.rows if row.metric in metrics and row.why), "it has no headline metric")
        name = compared.runs[run].record.name
        raise UserError(f"{name} cannot be compared in what is {group}: {why}.")
    return fmean(fmean(shares) for shares in tables.values())


def _won(compared: Comparison, metric: Metric, run: int, other: int) -> list[float]:
    """Return 1 where a run is better, ½ where no difference is shown, 0 where it is worse; nothing if untested."""
    values = [compared.runs[i].scores[metric.name].value if metric.name in compared.runs[i].scores else None
              for i in (run, other)]  # fmt: skip
    if run == other or values[0] is None or values[1] is None:
        return []
    if len(compared.runs) == 2:
        (row,) = (row for row in compared.rows if row.metric == metric)
        if row.verdict == "not tested":
            return []
        alike = row.verdict not in {"better", "worse"}
    else:
        letters = compared.letters[metric.name]
        if not any(letters):
            return []
        alike = bool({*letters[run]} & {*letters[other]})
    if alike:
        return [0.5]
    return [float((values[0] > values[1]) == (metric.better == "higher"))]
