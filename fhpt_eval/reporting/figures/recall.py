"""Recall over K of several runs, between the floor and the ceiling that the data set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fhpt_eval.errors import UserError
from fhpt_eval.evaluation.run import Run
from fhpt_eval.evaluation.run_record import ScoreRecord
from fhpt_eval.measuring.registry import find_protocols
from fhpt_eval.reporting.figures.checking import check_runs
from fhpt_eval.reporting.figures.style import COLUMN, GREY, NORMAL, PAGE, add_legend, look, plain, shown
from fhpt_eval.reporting.metrics import metrics_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_DODGE, _REACH = 0.14, 0.9
"""How far runs stand apart at one K, so that no interval hides another; and all of them together, at most."""

_LINES = ("--", ":", "-.", (0, (1, 3)), (0, (5, 4)))


def plot_retrieval(runs: Sequence[Run]) -> Figure:
    """Draw recall over K, a panel a network: the values with 95 % intervals, and the controls in grey.

    Controls belong to the pairs and not to the method: real targets as queries (a ceiling), chance (the floor) and the
    source itself. Where they differ between runs, because different pairs are missing, a band has all of them.

    Raises:
        UserError: If a run has no such metric, or runs cannot share a figure.
    """
    from matplotlib.figure import Figure

    check_runs(runs)
    series = _series(runs)
    for run in runs:
        if not any(metric in run.scores for over in series.values() for metric in over.values()):
            raise UserError(f"{run.record.name} has no recall over K: run it with --protocols {retrieving()}.")
    width = min(PAGE, COLUMN * len(series))
    figure = Figure(figsize=(width, 2.5), layout="constrained")
    panels = figure.subplots(1, len(series), sharey=True, squeeze=False)[0]
    for panel, (name, over) in zip(panels, series.items(), strict=True):
        panel.set_title(f"{shown(name, 40)} ↑", fontsize=NORMAL)
        for index, run in enumerate(runs):
            _line(panel, index, len(runs), run, over)
        _controls(panel, [{k: run.scores.get(metric) for k, metric in over.items()} for run in runs])
        panel.set_xticks([*over])
        panel.set_xlim(min(over) - 0.6, max(over) + 0.6)
        panel.set_ylim(-0.02, 1.04)
        panel.set_xlabel("K", fontsize=NORMAL)
        panel.grid(axis="y", alpha=0.25, linewidth=0.5)
        plain(panel)
    panels[0].set_ylabel("recall@K", fontsize=NORMAL)
    handles: dict[str, Any] = {}
    for panel in panels:
        lines, labels = panel.get_legend_handles_labels()
        handles |= {f"run {index}": line for index, line in enumerate(lines[: len(runs)])}
        handles |= dict(zip(labels[len(runs) :], lines[len(runs) :], strict=True))
    add_legend(figure, [*handles.values()])
    return figure


def retrieving() -> str:
    """Return the protocols that have metrics of the first K of a ranking, as ``--protocols`` takes them."""
    return ",".join(name for name, p in find_protocols().classes.items() if any(p.retrieves(m) for m in p.metrics))


def _series(runs: Sequence[Run]) -> dict[str, dict[int, str]]:
    """Return the metrics that differ in K alone: by their common name, and K."""
    classes = find_protocols().classes
    found: dict[str, dict[int, str]] = {}
    for metric in metrics_of(runs).values():
        k = classes[metric.protocol].retrieves(metric.name) if metric.protocol in classes else None
        if k is not None:
            found.setdefault(metric.name.replace(f"@{k}", "@K", 1), {})[k] = metric.name
    if not found:
        raise UserError(f"no run has recall over K: run them with --protocols {retrieving()}.")
    return {name: dict(sorted(over.items())) for name, over in found.items()}


def _line(panel: Any, index: int, count: int, run: Run, over: Mapping[int, str]) -> None:
    colour, marker, _ = look(index)
    shift = min(_DODGE, _REACH / count) * (index - (count - 1) / 2)
    scores = {k: run.scores[metric] for k, metric in over.items() if metric in run.scores}
    scored = {k: score for k, score in scores.items() if score.value is not None}
    at = [k + shift for k in scored]
    panel.plot(
        at, [score.value for score in scored.values()], marker=marker, markersize=4, linewidth=1.2, color=colour,
        label=shown(run.record.name), zorder=3,
    )  # fmt: skip
    for x, score in zip(at, scored.values(), strict=True):
        if score.interval is not None:
            panel.plot((x, x), score.interval, color=colour, linewidth=0.9, zorder=2)


def _controls(panel: Any, runs: Sequence[Mapping[int, ScoreRecord | None]]) -> None:
    """Draw what the metric gives where the answer is known."""
    found: dict[str, dict[int, list[float]]] = {}
    for scores in runs:
        for k, score in scores.items():
            controls = None if score is None else score.details.get("controls")
            for name, about in controls.items() if isinstance(controls, dict) else ():
                value = about.get("value") if isinstance(about, dict) else None
                if isinstance(value, float | int):
                    found.setdefault(name, {}).setdefault(k, []).append(float(value))
    for (name, values), line in zip(found.items(), _LINES, strict=False):
        low, high = (np.array([pick(of_runs) for of_runs in values.values()]) for pick in (min, max))
        # Marks wider than all runs together, which may hide the line.
        marks: dict[str, Any] = {"linestyle": "", "marker": "_", "markersize": 24, "color": GREY, "zorder": 1}
        for edge in (low, high) if (low < high).any() else (low,):
            panel.plot([*values], edge, color=GREY, linestyle=line, linewidth=1, zorder=1, label=shown(name))
            panel.plot([*values], edge, **marks)
        panel.fill_between([*values], low, high, color=GREY, alpha=0.2, linewidth=0, zorder=1)
