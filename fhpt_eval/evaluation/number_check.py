"""Whether a recorded number is what came of computing it again, with the first pair of which it is not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

import numpy as np
import pandas as pd

from fhpt_eval.evaluation.run import Run
from fhpt_eval.evaluation.run_record import ScoreRecord
from fhpt_eval.measuring.protocol import GIVEN_FILE, GIVEN_FOLDER
from fhpt_eval.measuring.tolerance import Agreement, Tolerance
from fhpt_eval.records import Record


class Verdict(str, Enum):
    """What is said of a number."""

    SAME = "same bits"
    WITHIN = "within tolerance"
    DIFFERS = "does not follow"
    UNCHECKED = "not checked"


_VERDICTS = {Agreement.SAME: Verdict.SAME, Agreement.WITHIN: Verdict.WITHIN, Agreement.DIFFERS: Verdict.DIFFERS}


@dataclass(frozen=True)
class NumberCheck:
    """A number of the record.

    Attributes:
        protocol: The label of what measures it.
        metric: Its name.
        recorded: What the record says; text where that is no finite number.
        found: What came of it here.
        verdict: Whether the one follows from the other.
        reason: What differs first, or why it was not checked; None where it is the same to the bit.
        pair: The first pair whose value differs, or is missing on one side alone.
    """

    protocol: str
    metric: str
    recorded: float | str | None
    found: float | str | None
    verdict: Verdict
    reason: str | None = None
    pair: str | None = None

    @property
    def follows(self) -> bool:
        """Whether it does."""
        return self.verdict in {Verdict.SAME, Verdict.WITHIN}


@dataclass(frozen=True)
class _Part:
    """How one part of a number agrees, and what is said of it if it does not."""

    agreement: Agreement
    reason: str
    pair: str | None = None


def unchecked(protocol: str, score: ScoreRecord, why: str) -> NumberCheck:
    """Return that a number was not checked, and why."""
    return NumberCheck(protocol, score.metric, _number(score), None, Verdict.UNCHECKED, why)


def check_number(protocol: str, score: ScoreRecord, recorded: Run, found: Run, tolerance: Tolerance) -> NumberCheck:
    """Compare all that a record keeps of a number with what came of computing it again."""
    again = found.scores.get(score.metric)
    if again is None:
        reason = "its recipe gives no number of that name"
        return NumberCheck(protocol, score.metric, _number(score), None, Verdict.DIFFERS, reason)
    parts = [
        *_of_pairs(score.metric, recorded, found, tolerance),
        *_of_score(score, again, tolerance),
        *_of_arrays(recorded.arrays.get(score.metric, {}), found.arrays.get(score.metric, {}), tolerance),
    ]
    worst = max(part.agreement for part in parts)
    # What a pair differs in says more than what comes of it.
    first = next(part for part in parts if part.agreement == worst)
    told = (None, None) if worst is Agreement.SAME else (first.reason, first.pair)
    return NumberCheck(protocol, score.metric, _number(score), _number(again), _VERDICTS[worst], *told)


def _of_score(score: ScoreRecord, again: ScoreRecord, tolerance: Tolerance) -> Iterator[_Part]:
    mine, theirs = (json.loads(s.model_dump_json()) for s in (score, again))
    for details in (mine["details"], theirs["details"]):
        # Of a file and the folder that it was made of, the recipe tells whether they are one set.
        if details.get("reference") == GIVEN_FILE:
            details["reference"] = GIVEN_FOLDER
    for field in ("value", "not_finite", "n", "missing", "faults", "interval", "details", "better", "unit"):
        agreement = tolerance.of_values(mine[field], theirs[field])
        shown = f" ({mine[field]} recorded, {theirs[field]} here)" if field not in {"details", "missing"} else ""
        yield _Part(agreement, f"{_WORDS.get(field, field)} differs{shown}")


_WORDS = {
    "n": "the number of images or pairs",
    "value": "the value",
    "not_finite": "what stands in place of a value",
    "interval": "the interval",
    "missing": "what is missing",
    "better": "the direction",
    "unit": "the unit",
    "details": "a detail",
}


def _of_pairs(metric: str, recorded: Run, found: Run, tolerance: Tolerance) -> Iterator[_Part]:
    """Yield how the values of each pair agree, and why those without one lack it."""
    mine, theirs = _column(recorded, metric), _column(found, metric)
    if mine is None or theirs is None:
        if mine is not theirs:
            yield _Part(Agreement.DIFFERS, "values of pairs are there on one side alone")
        return
    for pair in dict.fromkeys([*mine.index, *theirs.index]):
        if pair not in mine.index or pair not in theirs.index:
            where = "recorded" if pair in mine.index else "among the images"
            yield _Part(Agreement.DIFFERS, f"a pair is {where} alone", pair)
            continue
        one, other = float(mine[pair]), float(theirs[pair])
        yield _Part(tolerance.of_numbers(one, other), f"{_value(one)} recorded, {_value(other)} here", pair)
    reasons, reasons_here = _reasons(recorded, metric), _reasons(found, metric)
    for pair in (pair for pair in reasons if pair in reasons_here):
        why, here = reasons[pair], reasons_here[pair]
        agreement = Agreement.SAME if why == here else Agreement.DIFFERS
        yield _Part(agreement, f"missing by '{why}' in the record, by '{here}' here", pair)


def _of_arrays(mine: Record, theirs: Record, tolerance: Tolerance) -> Iterator[_Part]:
    for name in sorted(mine.keys() | theirs.keys()):
        if name not in mine or name not in theirs:
            yield _Part(Agreement.DIFFERS, f"the array '{name}' is there on one side alone")
        else:
            agreement = tolerance.of_arrays(np.asarray(mine[name]), np.asarray(theirs[name]))
            yield _Part(agreement, f"the array '{name}' differs")


def _column(run: Run, metric: str) -> pd.Series[float] | None:
    table = run.per_pair
    return table.set_index("pair")[metric] if metric in table else None


def _reasons(run: Run, metric: str) -> dict[str, str]:
    """Return why pairs have no value."""
    gaps = run.missing[run.missing["metric"] == metric]
    return dict(zip(gaps["pair"], gaps["reason"], strict=True))


def _number(score: ScoreRecord) -> float | str | None:
    return score.value if score.not_finite is None else score.not_finite


def _value(value: float) -> str:
    return "no value" if np.isnan(value) else repr(value)
