"""The first section: is a run better than the first one, by how much, how sure is that, and on which pairs not."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, get_args

from fhpt_eval.numbers import number, signed
from fhpt_eval.reporting.comparing.compare import Comparison, MetricDifference, Verdict
from fhpt_eval.reporting.comparing.judgement import probability, sentences, shortfalls
from fhpt_eval.reporting.page.shown import Section, Shown

_HALF = 100.0
"""Half the width of a drawing, in its own units; 0 is in the middle."""


@dataclass(frozen=True)
class Bar:
    """A difference as it is drawn: to the right is better, whichever direction the metric has.

    Attributes:
        row: What it is.
        run: Number of the run.
        low: Left end of the interval, in the units of the drawing.
        middle: The difference.
        high: The right end.
        interval: Of the row; empty where resampling gave none.
    """

    row: MetricDifference
    run: int
    low: float
    middle: float
    high: float
    interval: tuple[float, ...]


def section(shown: Shown) -> Section:
    """Return what the comparison says, in sentences for each run and as a forest plot."""
    comparison = shown.comparison
    if comparison is None:
        return Section("answer", "The answer", {"alone": shown.names[0]})
    first, *others = comparison.runs
    view: dict[str, Any] = {
        "first": first.record.name,
        "over": comparison.over,
        "told": [
            (i, run.record.name, sentences(two), _tally(two), shortfalls(row for row in two.rows if not row.part))
            for i, run in enumerate(others, start=1)
            for two in (_of_two(comparison, run.record.name),)
        ],
        "metrics": [(rows[0].row.metric, rows) for rows in _bars(comparison)],
        "half": _HALF,
        "number": number,
        "signed": signed,
        "probability": probability,
    }
    return Section("answer", "The answer", view)


def _of_two(comparison: Comparison, name: str) -> Comparison:
    """Return the part of a comparison that is about one run."""
    other = next(run for run in comparison.runs if run.record.name == name)
    rows = tuple(row for row in comparison.rows if row.second == name)
    return replace(comparison, runs=(comparison.runs[0], other), rows=rows)


def _tally(comparison: Comparison) -> dict[str, int]:
    verdicts = [row.verdict for row in comparison.rows if not row.part]
    return {verdict: verdicts.count(verdict) for verdict in get_args(Verdict) if verdict in verdicts}


def _bars(comparison: Comparison) -> list[list[Bar]]:
    """Return the differences of each metric, on a scale of its own with 0 in the middle."""
    place = {run.record.name: i for i, run in enumerate(comparison.runs)}
    by_metric: dict[str, list[MetricDifference]] = {}
    for row in comparison.rows:
        if not row.part:
            by_metric.setdefault(row.metric.name, []).append(row)
    drawn = []
    for rows in by_metric.values():
        ends = [abs(end) for row in rows for end in (row.difference or 0.0, *_interval(row))]
        scale = (1 if rows[0].metric.better == "higher" else -1) * _HALF * 0.94 / (max(ends) or 1)
        bars = []
        for row in rows:
            middle = scale * (row.difference or 0.0)
            low, high = sorted(scale * end for end in _interval(row)) or (middle, middle)
            bars.append(Bar(row, place[row.second], round(low, 2), round(middle, 2), round(high, 2), _interval(row)))
        drawn.append(bars)
    return drawn


def _interval(row: MetricDifference) -> tuple[float, ...]:
    """Return both ends, where resampling gave any."""
    return tuple(row.interval) if row.interval is not None and all(map(math.isfinite, row.interval)) else ()
