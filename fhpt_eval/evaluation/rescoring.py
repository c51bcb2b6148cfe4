"""Scores at other thresholds, of what a run keeps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from fhpt_eval.errors import UserError, did_you_mean
from fhpt_eval.evaluation.run_record import ProtocolRecord, ScoreRecord, StoredRun
from fhpt_eval.maths.statistics import Interval
from fhpt_eval.measuring.protocol import Kept, Score
from fhpt_eval.measuring.registry import find_protocols
from fhpt_eval.options import configured
from fhpt_eval.pairing.pairs import Pair, PairReport, Pairs
from fhpt_eval.records import Missing

COLUMNS = ("metric", "value", "low", "high", "n", "missing", "better", "unit")
"""What a table has of each score; low and high are those of its 95 % interval."""


def rescored(run: StoredRun, protocol: str, options: Mapping[str, Any]) -> list[Score]:
    """Return what a protocol of a run comes to at other thresholds.

    Args:
        run: Finished.
        protocol: One whose class says how (`Protocol.rescoring`).
        options: Of that.

    Raises:
        UserError: The run has no such protocol or lacks what it takes, or an option is unknown or impossible.
    """
    classes = find_protocols().classes
    able = [name for name, known in classes.items() if known.rescoring is not None]
    if protocol not in able:
        raise UserError(f"'{protocol}' cannot be scored at other thresholds.{did_you_mean(protocol, able)}")
    record = next((p for p in run.record.protocols if p.name == protocol and p.metric is None and p.scores), None)
    if record is None:
        raise UserError(f"{run.record.name} has no scores of {protocol}: run it with --protocols {protocol}.")
    rescoring = configured(classes[protocol].rescoring or object, "rescoring", protocol, options)
    return rescoring.score(_kept(run, record))  # type: ignore[attr-defined, no-any-return]


def tidy(scores: Iterable[Score | ScoreRecord]) -> pd.DataFrame:
    """Return a table with a row a score and the columns `COLUMNS`."""
    rows = []
    for score in scores:
        low, high = score.interval or (None, None)
        missing = sum(score.missing.values())
        rows.append((score.metric, score.value, low, high, score.n, missing, score.better, score.unit))
    numbers = dict.fromkeys(("value", "low", "high"), "float64")
    table: pd.DataFrame = pd.DataFrame(rows, columns=[*COLUMNS]).astype(numbers)
    return table


def _kept(run: StoredRun, record: ProtocolRecord) -> Kept:
    table = run.per_pair
    rows = tuple(
        Pair(pair=pair, generated=None, target=None, source=None, item=item)
        for pair, item in zip(table["pair"], table["item"], strict=True)
    )
    pairs = Pairs(rows, PairReport(matched=len(rows)), run.record.pairs.naming)
    scores = {score.metric: _score(run, score) for score in record.scores}
    return Kept(run.record.name, pairs, record.recipe.parameters, scores)


def _score(run: StoredRun, record: ScoreRecord) -> Score:
    """Return a score as its protocol gave it, but for the kinds of what is missing."""
    per_pair: list[float | Missing] = []
    if record.metric in run.per_pair:
        gaps = run.missing[run.missing["metric"] == record.metric]
        reasons = dict(zip(gaps["pair"], gaps["reason"], strict=True))
        values = zip(run.per_pair["pair"], run.per_pair[record.metric], strict=True)
        per_pair = [Missing(reasons[pair]) if pair in reasons else float(value) for pair, value in values]
    return Score(
        **{**dict(record), "interval": None if record.interval is None else Interval(*record.interval)},
        per_pair=per_pair,
        arrays=run.arrays.get(record.metric, {}),
    )
