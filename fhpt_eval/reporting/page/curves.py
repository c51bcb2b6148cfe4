"""What is drawn as curves: errors up to a distance, and what is found among the nearest K."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fhpt_eval.evaluation.run import Run
from fhpt_eval.maths.keypoints import share_within
from fhpt_eval.measuring.protocol import Curve
from fhpt_eval.measuring.registry import find_protocols
from fhpt_eval.numbers import number
from fhpt_eval.reporting.figures.error_curves import axis_limits, limit_range
from fhpt_eval.reporting.page.shown import Section, Shown

_POINTS = 121
"""Of a curve: more than a screen can tell apart."""

_IN_TABLE = 6
"""Anchors of the table below a curve."""

CONTROLS = {"targets": "real targets (ceiling)", "source": "source (copying)", "chance": "chance (floor)"}


def errors(shown: Shown) -> Section | None:
    """Return the keypoint error curves that protocols declare and runs have."""
    declared = [curve for protocol in find_protocols().classes.values() for curve in protocol.curves]
    curves = [curve for curve in declared if any(_distances(run, curve).size for run in shown.runs)]
    if not curves:
        return None
    limits = axis_limits(shown.runs, curves)
    charts = [_error_chart(shown, curve, limits[curve.metric]) for curve in curves]
    return Section("errors", "Keypoint error curves", charts, {"charts": charts})


def _error_chart(shown: Shown, curve: Curve, limit: float) -> dict[str, Any]:
    x = np.linspace(0, limit, _POINTS)
    series = []
    for i, run in enumerate(shown.runs):
        distances = _distances(run, curve)
        if not distances.size:
            continue
        score = run.scores.get(curve.metric)
        area = "" if score is None or score.value is None else f"area {number(score.value)}"
        found = distances[np.isfinite(distances)]
        series.append(_series(run.record.name, i, share_within(distances, x), note=area))
        if len(found) and len(found) < len(distances):
            series.append(_series(f"{run.record.name}, found", i, share_within(found, x), dash="found"))
    return {
        "id": f"curve-{curve.metric}",
        "title": curve.title,
        "about": curve.metric,
        "unit": "px",
        "x": "distance α (pixels)",
        "y": "share of keypoints nearer than α",
        "xs": np.round(x, 3).tolist(),
        "series": series,
        "mark": limit_range(shown.runs, curve),
        "table": [round(i * (_POINTS - 1) / _IN_TABLE) for i in range(1, _IN_TABLE + 1)],
    }


def recalls(shown: Shown) -> Section | None:
    """Return metrics that look at the first K of a ranking, for several K, with the controls in their details."""
    classes = find_protocols().classes
    families: dict[str, dict[int, str]] = {}
    for metric in shown.metrics.values():
        k = classes[metric.protocol].retrieves(metric.name) if metric.protocol in classes else None
        if k is not None:
            families.setdefault(metric.name.replace(f"@{k}", "@K", 1), {})[k] = metric.name
    charts = [_recall_chart(shown, f"recall-{i}", name, at) for i, (name, at) in enumerate(families.items())]
    return Section("recalls", "Recall over K", charts, {"charts": charts}) if charts else None


def _recall_chart(shown: Shown, address: str, name: str, at: dict[int, str]) -> dict[str, Any]:
    ks = sorted(at)
    series = []
    for i, run in enumerate(shown.runs):
        values = [score.value if (score := run.scores.get(at[k])) else None for k in ks]
        if any(value is not None for value in values):
            series.append(_series(run.record.name, i, values))
    for control, label in CONTROLS.items():
        values = [_control(shown.runs, at[k], control) for k in ks]
        if any(value is not None for value in values):
            series.append(_series(label, -1, values, dash=control))
    return {
        "id": address,
        "title": name,
        "about": f"{name} over K",
        "unit": "",
        "x": "K",
        "y": name,
        "xs": ks,
        "series": series,
        "mark": None,
        "points": True,
        "table": [*range(len(ks))],
    }


def _control(runs: Sequence[Run], metric: str, control: str) -> float | None:
    """Return a control of the first run that has it: they belong to the data, not to a method."""
    for run in runs:
        if (score := run.scores.get(metric)) is not None:
            controls: Any = score.details.get("controls") or {}
            if (value := (controls.get(control) or {}).get("value")) is not None:
                return float(value)
    return None


def _series(label: str, run: int, values: Any, *, note: str = "", dash: str = "") -> dict[str, Any]:
    """Return a line of a chart; ``run`` is its colour, −1 for what is no run's."""
    rounded = [None if value is None else round(float(value), 4) for value in values]
    return {"label": label, "run": run, "values": rounded, "note": note, "dash": dash}


def _distances(run: Run, curve: Curve) -> Any:
    return np.asarray(run.arrays.get(curve.metric, {}).get("distance", ()), dtype=np.float64)
