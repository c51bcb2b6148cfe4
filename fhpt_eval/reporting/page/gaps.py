"""What was missing and why, with pictures; and what is to be known before numbers are read."""

from __future__ import annotations

from typing import Any

import numpy as np

from fhpt_eval.evaluation.run import Run
from fhpt_eval.evaluation.run_record import ScoreRecord
from fhpt_eval.reporting.measured import Measured
from fhpt_eval.reporting.page.album import SMALL
from fhpt_eval.reporting.page.shown import Section, Shown

_EXAMPLES = 6
"""Pairs pictured for each reason."""

_NAMED = 20
"""Files named for each kind of gap."""


def section(shown: Shown) -> Section:
    """Return what each run lacks: protocols, pairs, images, and values with their reasons."""
    return Section("gaps", "What was missing, and why", [_of_run(shown, run) for run in shown.runs])


def _of_run(shown: Shown, run: Run) -> dict[str, Any]:
    record = run.record
    pairs = record.pairs
    files = {
        "pairs without an image": pairs.missing,
        "pairs with more than one candidate": pairs.ambiguous,
        "pairs given twice": pairs.duplicate,
        "files of no pair": [] if pairs.listed else pairs.extra,
        "unreadable files": [f"{file}: {why}" for file, why in record.images.unreadable.items()],
        "files left out": [f"{file}: {why}" for file, why in record.images.left_out.items()],
    }
    return {
        "run": record.name,
        "number": shown.runs.index(run),
        "protocols": [(p.label, p.reason or p.status) for p in record.protocols if p.status != "done"],
        "files": [(what, names[:_NAMED], len(names)) for what, names in files.items() if names],
        "values": _values(shown, run),
    }


def _values(shown: Shown, run: Run) -> list[dict[str, Any]]:
    """Return each reason once, with the metrics that lack as many values because of it, and some of the pairs."""
    grouped: dict[tuple[str, int], list[ScoreRecord]] = {}
    for score in run.scores.values():
        for reason, count in score.missing.items():
            grouped.setdefault((reason, count), []).append(score)
    found = []
    for (reason, count), scores in grouped.items():
        rows = next((rows for score in scores if (rows := _rows(run, score, reason))), [])
        found.append(
            {
                "reason": reason,
                "count": count,
                "metrics": [score.metric for score in scores],
                "pictures": [
                    (
                        run.per_pair["pair"].iloc[row],
                        shown.album.take(run, row, "target", SMALL),
                        shown.album.take(run, row, "generated", SMALL),
                    )
                    for row in rows[:_EXAMPLES]
                ],
            }
        )
    return sorted(found, key=lambda each: -each["count"])


def _rows(run: Run, score: ScoreRecord, reason: str) -> list[int]:
    """Return the pairs that lack a value for a reason, as far as the run tells."""
    listed = run.missing[(run.missing["metric"] == score.metric) & (run.missing["reason"] == reason)]
    if len(listed):
        place = {pair: i for i, pair in enumerate(run.per_pair["pair"])}
        return [place[pair] for pair in listed["pair"]]
    there = Measured.of(run, score.metric).there
    return [] if there is None or len(score.missing) > 1 else [int(i) for i in np.flatnonzero(~there)]
