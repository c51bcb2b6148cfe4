"""Runs with scores of one's choice, as if they had been evaluated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
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
from fhpt_eval.measuring.registry import find_protocols
from fhpt_eval.pairing.lists import PAIR_COLUMNS

HOSTILE = 'a\n|[x](y)<script>alert(1)</script>$ \\end{x} %&_{}~^#"`*\x1b[31m\x9b\u202e'


def toy_run(
    name: str,
    metrics: Mapping[str, float | Sequence[float] | None],
    *,
    pairs: int = 8,
    items: bool = True,
    **about: Any,
) -> Run:
    """Return a run.

    Args:
        name: Its name.
        metrics: A value for each pair (NaN: missing), or one of the whole set; with a dialect before a colon.
        pairs: How many.
        items: Whether each pair's item is known.
        about: Other fields of `PairsRecord` or `RunRecord`.
    """
    ids = [f"p{i}" for i in range(pairs)]
    table: dict[str, Any] = {column: [None] * pairs for column in PAIR_COLUMNS}
    table |= {"pair": ids, "item": [f"i{i}" for i in range(pairs)] if items else [None] * pairs}
    table |= {metric: values for metric, values in metrics.items() if isinstance(values, Sequence)}
    known: dict[str, Any] = {
        "hash": "h",
        "content": "c",
        "generated": f"of {name}",
        "naming": "same-name",
        "total": pairs,
    }
    known |= {"matched": pairs, "missing": [], "extra": [], "ambiguous": [], "duplicate": []}
    known |= {key: about.pop(key) for key in [*about] if key in PairsRecord.model_fields}
    record = RunRecord(
        name=name,
        created="2026-01-01T00:00:00+00:00",
        profile="paper",
        pairs=PairsRecord(**known),
        images=ImagesRecord(sizes={}, notes={}, unreadable={}),
        protocols=[_protocol(metric, values, pairs) for metric, values in metrics.items()],
        environment=Environment(python="3", platform="toy", device="cpu", packages={}, git=None),
        seconds={},
        warnings=[],
    )
    run = Run(record, pd.DataFrame(table), pd.DataFrame(columns=["metric", "pair", "reason"]))
    return replace(run, record=record.model_copy(update=about)) if about else run


def _protocol(metric: str, values: float | Sequence[float] | None, pairs: int) -> ProtocolRecord:
    dialect, _, own = metric.rpartition(":")
    protocol = next(
        p for p in find_protocols().classes.values() if {own, own.removesuffix("_256")} & {*p.metrics, p.name}
    )
    per_pair = np.asarray(values, dtype=float) if isinstance(values, Sequence) else None
    there = per_pair[~np.isnan(per_pair)] if per_pair is not None else np.zeros(pairs)
    score = ScoreRecord(
        metric=metric,
        value=float(there.mean()) if per_pair is not None else values,  # type: ignore[arg-type]
        better="lower" if own in {"fid", "lpips", "gender_error", "l1"} else "higher",
        unit="dB" if own == "psnr" else "",
        n=len(there),
        missing={"gone": pairs - len(there)} if len(there) < pairs else {},
        faults=0,
        interval=(float(there.min()), float(there.max())) if per_pair is not None and len(there) else None,
        details={},
    )
    recipe = Recipe(protocol=protocol.name, version=1, parameters={}, extractors={}, weights={}, reference=None)
    return ProtocolRecord(
        name=protocol.name,
        dialect=dialect or "clean@1",
        metric=own if dialect else None,
        group=protocol.group,
        status="done",
        recipe=recipe,
        scores=[score],
    )
