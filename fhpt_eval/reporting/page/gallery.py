"""The gallery: source, target and every method of pairs that are worth a look by a metric."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fhpt_eval.maths.statistics import Floats
from fhpt_eval.numbers import number
from fhpt_eval.reporting.metrics import Metric
from fhpt_eval.reporting.page.album import TOO_MANY
from fhpt_eval.reporting.page.chosen import choices
from fhpt_eval.reporting.page.shown import Section, Shown

PAIRS = 4
"""For each metric and reason."""


def section(shown: Shown) -> Section | None:
    """Return the chosen pairs of each headline that tells pairs apart by more than yes and no."""
    chosen = {}
    values = {}
    for name, metric in shown.metrics.items():
        if metric.headline and len(found := _values(shown, metric)):
            sign = 1 if metric.better == "higher" else -1
            values[name] = found
            chosen[name] = choices(sign * found, shown.names, PAIRS)
    wanted = [pairs for of_metric in chosen.values() for pairs in of_metric.values()]
    rows = _rows(shown, wanted)
    told = [_told(shown.metrics[name], values[name], of_metric, rows) for name, of_metric in chosen.items()]
    told = [each for each in told if each["choices"]]
    if not told:
        return None
    script = {"runs": shown.names, "metrics": told, "rows": rows}
    return Section(
        "gallery",
        "Gallery",
        {"metrics": told, "full": any(pair not in rows for pairs in wanted for pair in pairs)},
        script,
    )


def _rows(shown: Shown, chosen: Sequence[Sequence[int]]) -> dict[int, dict[str, Any]]:
    """Return the pictures of the chosen pairs that have room, the first of every choice before the second of any."""
    order = dict.fromkeys(pairs[place] for place in range(PAIRS) for pairs in chosen if place < len(pairs))
    rows = {pair: _row(shown, pair) for pair in order}
    return {pair: row for pair, row in rows.items() if all(it["why"] != TOO_MANY for it in _pictures(row))}


def _pictures(row: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [row["source"], row["target"], *row["generated"]]


def _told(
    metric: Metric, values: Floats, chosen: Mapping[str, Sequence[int]], rows: Mapping[int, object]
) -> dict[str, Any]:
    """Return what the page's script knows of a metric: the choices, and the values of their pairs by run."""
    there = {why: [pair for pair in pairs if pair in rows] for why, pairs in chosen.items()}
    return {
        "metric": f"{metric.name} {metric.arrow}",
        "better": metric.better,
        "choices": [{"label": why, "pairs": pairs} for why, pairs in there.items() if pairs],
        "values": {
            pair: [None if np.isnan(v) else number(float(v)) for v in values[:, pair]]
            for pairs in there.values()
            for pair in pairs
        },
    }


def _values(shown: Shown, metric: Metric) -> Floats:
    """Return runs×pairs; nothing where there are no values per pair, or only two different ones."""
    per_run = [shown.per_pair(run, metric.name) for run in shown.runs]
    if all(values is None for values in per_run):
        return np.empty((0, 0))
    nothing = np.full(len(shown.pairs), np.nan)
    table: Floats = np.stack([nothing if values is None else values for values in per_run])
    return table if len(np.unique(table[~np.isnan(table)])) > 2 else np.empty((0, 0))


def _row(shown: Shown, pair: int) -> dict[str, Any]:
    first, album = shown.runs[0], shown.album
    at = [int(shown.order(run)[pair]) for run in shown.runs]
    return {
        "pair": shown.pairs[pair],
        "source": album.take(first, at[0], "source").plain,
        "target": album.take(first, at[0], "target").plain,
        "generated": [album.take(run, i, "generated").plain for run, i in zip(shown.runs, at, strict=True)],
    }
