"""Error curves of several runs, as the paper's Fig. 7 has those of keypoints."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fhpt_eval.errors import UserError
from fhpt_eval.evaluation.run import Run
from fhpt_eval.maths.keypoints import share_within
from fhpt_eval.measuring.protocol import Curve
from fhpt_eval.measuring.registry import find_protocols
from fhpt_eval.reporting.figures.checking import check_runs
from fhpt_eval.reporting.figures.style import look, shown

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ANCHORS = 10
COVERED = 0.9
"""Share of all distances shown that an axis covers."""

_ALPHA_MAX = r"α$_\mathrm{max}$"


def axis_limit(distances: npt.NDArray[np.float64]) -> float:
    """Smallest of 1, 2, 3, 4, 5, 6, 8 × 10ᵏ pixels that covers `COVERED` of the distances."""
    reach = float(np.quantile(distances, COVERED)) if len(distances) else 1.0
    power = 10.0 ** np.floor(np.log10(max(reach, 0.1)))
    return float(next(step * power for step in (1, 2, 3, 4, 5, 6, 8, 10) if step * power >= reach))


def axis_limits(runs: Sequence[Run], curves: Sequence[Curve]) -> dict[str, float]:
    """Return the largest anchor of each curve by its metric, from all runs together, so that they share an axis.

    Args:
        runs: Which may lack some of the curves.
        curves: One that reaches at least a multiple of another's axis stands after it.
    """
    limits: dict[str, float] = {}
    for curve in curves:
        pooled = np.concatenate([np.empty(0), *(_distances(run, curve) for run in runs)])
        limits[curve.metric] = axis_limit(pooled[np.isfinite(pooled)])
        if curve.at_least is not None:
            other, times = curve.at_least
            limits[curve.metric] = max(limits[curve.metric], times * limits.get(other, 0))
    return limits


def plot_kec(runs: Sequence[Run]) -> Figure:
    """Draw a panel for each curve that a protocol declares and a run has.

    A line is a run: solid over all points of the targets, dashed over those found in both. The legend has the metric,
    which is the area under the solid line up to α_max; there the panel has a mark, a band where targets differ in size.

    Raises:
        UserError: If a run has no curves, or runs cannot share a figure.
    """
    check_runs(runs)
    declared = {curve: name for name, protocol in find_protocols().classes.items() for curve in protocol.curves}
    for run in runs:
        if not any(curve.metric in run.arrays for curve in declared):
            names = ",".join(dict.fromkeys(declared.values()))
            raise UserError(f"{run.record.name} has no error curves: run it with --protocols {names}.")
    return _draw(runs, [curve for curve in declared if any(curve.metric in run.arrays for run in runs)])


def _draw(runs: Sequence[Run], curves: Sequence[Curve]) -> Figure:
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    limits = axis_limits(runs, curves)
    figure = Figure(figsize=(max(4, 10 / 3 * len(curves)), 3.6 + 0.18 * math.ceil(len(runs) / 2)), layout="constrained")
    panels = figure.subplots(1, len(curves), sharey=True, squeeze=False)[0]
    for panel, curve in zip(panels, curves, strict=True):
        limit = limits[curve.metric]
        anchors = np.linspace(0, limit, ANCHORS + 1)[1:]
        fine = np.linspace(0, limit, 400)
        handles = []
        for index, run in enumerate(runs):
            colour, marker, _ = look(index)
            distances = _distances(run, curve)
            found = distances[np.isfinite(distances)]
            name = shown(run.record.name)
            label = f"{name} (not measured)"
            if len(distances):
                label = f"{name} ({_area(run, curve)})"
                panel.plot(fine, share_within(distances, fine), color=colour, linewidth=1.4)
                panel.plot(anchors, share_within(distances, anchors), marker, color=colour, markersize=4)
            if len(found):
                panel.plot(fine, share_within(found, fine), color=colour, linewidth=1, linestyle=(0, (4, 2)))
            handles.append(Line2D([], [], color=colour, marker=marker, markersize=4, linewidth=1.4, label=label))
        alpha_max = limit_range(runs, curve)
        _mark(panel, alpha_max, limit)
        panel.set_title(curve.title, fontsize=10, pad=14)
        panel.set_xlabel("distance α (pixels)", fontsize=9)
        panel.set_xlim(0, limit)
        panel.set_ylim(0, 1.02)
        panel.grid(alpha=0.25, linewidth=0.5)
        panel.tick_params(labelsize=8)
        panel.spines[["top", "right"]].set_visible(False)
        panel.legend(
            handles=handles,
            title=f"{curve.metric} (area up to {_ALPHA_MAX})" if alpha_max else curve.metric,
            title_fontsize=8,
            fontsize=8,
            ncols=2,
            loc="upper center",
            bbox_to_anchor=(0.5, -0.16),
            frameon=False,
        )
    panels[0].set_ylabel("P(α): share of keypoints nearer than α", fontsize=9)
    figure.supxlabel(
        "solid: of all keypoints of the target (not found = miss)   dashed: of those found in both", fontsize=8
    )
    return figure


def limit_range(runs: Sequence[Run], curve: Curve) -> tuple[float, float] | None:
    """Smallest and largest α_max of a curve's points in pixels, up to where the metric is the area; None: not known."""
    found = []
    for run in runs:
        score, height = run.scores.get(curve.metric), run.arrays.get(curve.metric, {}).get("height")
        share = None if score is None else score.details.get("alpha_max")
        if isinstance(share, float) and height is not None and len(height):
            found += [share * float(height.min()), share * float(height.max())]
    return (min(found), max(found)) if found else None


def _mark(panel: Any, limits: tuple[float, float] | None, end: float) -> None:
    """Show where α_max is, or that it lies beyond the axis' end."""
    if limits is None:
        return
    low, high = limits
    beyond = low > end
    if not beyond:
        panel.axvspan(low, high, color="0.35", alpha=0.25, linewidth=0)
        for edge in {low, high}:
            panel.axvline(edge, color="0.35", linewidth=1, linestyle=":")
    pixels = f"{low:.3g}" if low == high else f"{low:.3g}–{high:.3g}"
    at = min((low + high) / 2, end) / end
    panel.annotate(
        f"{_ALPHA_MAX} = {pixels} px{' →' if beyond else ''}",
        (at, 1),
        xytext=(0, 2),
        xycoords="axes fraction",
        textcoords="offset points",
        # Within the panel's width, wherever the mark is.
        ha="left" if at < 0.2 else "right" if at > 0.8 else "center",
        va="bottom",
        fontsize=7.5,
        color="0.25",
    )


def _area(run: Run, curve: Curve) -> str:
    score = run.scores.get(curve.metric)
    return "–" if score is None or score.value is None else f"{score.value:.3f}"


def _distances(run: Run, curve: Curve) -> npt.NDArray[np.float64]:
    """Return the errors behind a curve; none where the run lacks it."""
    return np.asarray(run.arrays.get(curve.metric, {}).get("distance", ()), dtype=np.float64)
