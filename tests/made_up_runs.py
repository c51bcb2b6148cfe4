"""Runs with made-up numbers, for what shows and compares them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from fhpt_eval.evaluation.run import Run
from fhpt_eval.evaluation.run_record import (
    Environment,
    ImagesRecord,
    PairsRecord,
    ProtocolRecord,
    Recipe,
    RunRecord,
    ScoreRecord,
)
from fhpt_eval.measuring.protocol import Better, Group
from fhpt_eval.pairing.lists import PAIR_COLUMNS

GROUPS: Mapping[str, tuple[Group, Better]] = {
    "ssim": ("perceptual", "higher"),
    "l1": ("perceptual", "lower"),
    "fid": ("perceptual", "lower"),
    "pckh": ("structural", "higher"),
}


def made_up(
    name: str,
    values: Mapping[str, Sequence[float]],
    *,
    items: Sequence[str | None] | None = None,
    arrays: Mapping[str, dict[str, Any]] | None = None,
    scores: Mapping[str, float] | None = None,
    view: Sequence[str | None] | None = None,
    pairs: str = "h",
) -> Run:
    """Return a run with the given values per pair (NaN where one is missing).

    Args:
        name: Of the run.
        values: By metric, those of `GROUPS` that are means over pairs.
        items: Of the pairs; None where unknown.
        arrays: By metric.
        scores: Metrics that have no values per pair.
        view: Of the pairs.
        pairs: Stands for which pairs these are.
    """
    count = len(next(iter(values.values())))
    table = pd.DataFrame({column: [None] * count for column in PAIR_COLUMNS}, dtype=object)
    table["pair"] = [f"p{i}" for i in range(count)]
    table["target"] = table["generated"] = [f"{i}.png" for i in range(count)]
    if items is not None:
        table["item"] = list(items)
    if view is not None:
        table["view"] = list(view)
    found = {}
    for metric, numbers in values.items():
        column = np.asarray(numbers, dtype=np.float64)
        table[metric] = column
        found[metric] = (float(np.nanmean(column)), int((~np.isnan(column)).sum()))
    found |= {metric: (value, count) for metric, value in (scores or {}).items()}
    record = RunRecord(
        name=name,
        created="2026-11-26T12:00:00+00:00",
        profile="paper",
        pairs=PairsRecord(
            hash=pairs, content="c", generated=name, naming="same", total=count, matched=count, missing=[], extra=[],
            ambiguous=[], duplicate=[],
        ),
        images=ImagesRecord(sizes={}, notes={}, unreadable={}),
        protocols=[_protocol(metric, value, n, count) for metric, (value, n) in found.items()],
        environment=Environment(python="3", platform="here", device="cpu", packages={}, git=None),
        seconds={},
        warnings=[],
    )  # fmt: skip
    gaps = [
        {"metric": metric, "pair": pair, "reason": "not found"}
        for metric in values
        for pair, value in zip(table["pair"], table[metric], strict=True)
        if np.isnan(value)
    ]
    return Run(record, table, pd.DataFrame(gaps, columns=["metric", "pair", "reason"]), arrays or {})


def _protocol(metric: str, value: float, n: int, count: int) -> ProtocolRecord:
    group, better = GROUPS[metric]
    lacking = {"not found": count - n} if n < count else {}
    score = ScoreRecord(
        metric=metric, value=value, better=better, unit="", n=n, missing=lacking, faults=0, interval=None, details={}
    )
    recipe = Recipe(protocol=metric, version=1, parameters={}, extractors={}, weights={}, reference=None)
    return ProtocolRecord(name=metric, group=group, status="done", recipe=recipe, scores=[score])
