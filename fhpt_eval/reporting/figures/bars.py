"""Metrics of several runs as bars with their intervals, and which runs cannot be told apart."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from fhpt_eval.evaluation.run import Run
from fhpt_eval.evaluation.run_record import ScoreRecord
from fhpt_eval.reporting.comparing.compare import compare
from fhpt_eval.reporting.figures.checking import check_runs
from fhpt_eval.reporting.figures.style import COLUMN, GREY, NORMAL, PAGE, SMALL, look, plain, shown
from fhpt_eval.reporting.metrics import Metric, metrics_of, select_metrics, shown_decimals

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_ACROSS = 3
"""Panels side by side."""


def plot_bars(runs: Sequence[Run], metrics: Sequence[str] | None = None, *, table: str | None = None) -> Figure:
    """Draw a panel a metric, with a bar a run in the order given; all bars begin at 0.

    Where there are more than two runs, letters stand beside the values: runs that share one cannot be told apart
    (`fhpt_eval.reporting.comparing.compare.compare`).

    Args:
        runs: That stand in one block of a leaderboard.
        metrics: Names; None for the headlines.
        table: One of the paper's tables, ``all`` or ``detail``.

    Raises:
        UserError: The runs cannot share a figure, or have no such metric.
    """
    from matplotlib.figure import Figure

    check_runs(runs)
    chosen = select_metrics(metrics_of(runs), metrics, table)
    letters = compare(runs, [*chosen]).letters if len(runs) > 2 else {}
    across = min(_ACROSS, len(chosen))
    down = math.ceil(len(chosen) / across)
    width = COLUMN if across == 1 else PAGE
    figure = Figure(figsize=(width, down * (0.42 + 0.16 * len(runs)) + 0.3), layout="constrained")
    grid = [*figure.subplots(down, across, squeeze=False, sharey=True).flat]
    for panel, metric in zip(grid, chosen.values(), strict=False):
        scores = [run.scores.get(metric.name) for run in runs]
        _draw(panel, metric, scores, letters.get(metric.name, ("",) * len(runs)), shown_decimals(runs, metric.name))
    for panel in grid[len(chosen) :]:
        panel.set_axis_off()
    first = figure.axes[0]
    first.set_yticks(range(len(runs)), [shown(run.record.name) for run in runs])
    first.set_ylim(len(runs) - 0.4, -0.6)
    legend = "lines: 95 % intervals"
    if any(any(of_runs) for of_runs in letters.values()):
        legend += "   letters: runs that share one cannot be told apart"
    figure.supxlabel(legend, fontsize=SMALL, color=GREY)
    return figure


def _draw(
    panel: Any, metric: Metric, scores: Sequence[ScoreRecord | None], letters: Sequence[str], decimals: int
) -> None:
    ends = [0.0]
    for row, (score, letter) in enumerate(zip(scores, letters, strict=True)):
        value = None if score is None else score.value
        if score is not None and value is not None:
            colour, _, hatch = look(row)
            panel.barh(row, value, height=0.72, color=colour, hatch=hatch, edgecolor="white", linewidth=0)
            ends.append(value)
            if score.interval is not None:
                panel.plot(score.interval, (row, row), color="black", linewidth=0.9, solid_capstyle="butt")
                panel.plot(score.interval, (row, row), "|", color="black", markersize=3.5, markeredgewidth=0.9)
                ends += score.interval
        panel.annotate(
            f"{'–' if score is None else score.shown(decimals)} {letter}".rstrip(),
            (1.02, row),
            xycoords=("axes fraction", "data"),
            fontsize=SMALL,
            va="center",
            annotation_clip=False,
        )
    low, high = min(ends), max(ends)
    reach = (high - low) or 1.0
    panel.set_xlim(low - (0.04 * reach if low < 0 else 0), high + 0.04 * reach)
    panel.axvline(0, color="black", linewidth=0.6)
    panel.locator_params(axis="x", nbins=4)
    unit = f" ({metric.unit})" if metric.unit else ""
    panel.set_title(f"{shown(metric.name, 34)} {metric.arrow}{unit}", fontsize=NORMAL, loc="left", pad=3)
    plain(panel)
    panel.tick_params(axis="y", length=0)
