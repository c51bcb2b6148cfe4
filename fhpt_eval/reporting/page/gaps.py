"""What was missing and why, with pictures; and what is to be known before numbers are read."""

from __future__ import annotations

from typing import Any

import numpy as np

from fhpt_eval.evaluation.run import Run
from fhpt_eval.evaluation.run_record import ScoreRecord
from fhpt_eval.reporting.comparing.measured import Measured
from fhpt_eval.reporting.page.album import SMALL
from fhpt_eval.reporting.page.shown import Section, Shown

_EXAMPLES = 6
"""Pairs pictured for each reason."""

_NAMED = 20
"""Files named for each kind of gap."""


def section(shown: Shown) -> Section:
    """Return what each run lacks: protocols, pairs, images, and values with their reasons."""
    return Section("gaps", "What was missing", [_of_run(shown, run) for run in shown.runs])


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
    values = _values(shown, run)
    without = [(p.label, p.reason or p.status) for p in record.protocols if p.status != "done"]
    counts = {
        "protocols without a score": len(without),
        "pairs and files left out": sum(map(len, files.values())),
        "reasons for missing values": len(values),
    }
    return {
        "run": record.name,
        "told": ", ".join(f"{what}: {count}" for what, count in counts.items() if count) or "nothing was missing",
        "number": shown.runs.index(run),
        "protocols": without,
        "files": [(what, names[:_NAMED], len(names)) for what, names in files.items() if names],
        "values": values,
    }


def _values(shown: Shown, run: Run) -> list[dict[str, Any]]:
    """Return each reason once, with the metrics that lack as many values because of it, and some of the pairs."""
    grouped: dict[tuple[str, int], list[ScoreRecord]] = {}
    for score in run.scores.values():
        for reason, count in score.missing.items():
            grouped.setdefault((reason, count), []).append(score)
    rows = _rows(run)
    return [
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
                for row in rows.get(reason, [])[:_EXAMPLES]
            ],
        }
        for (reason, count), scores in sorted(grouped.items(), key=lambda item: -item[0][1])
    ]


def _rows(run: Run) -> dict[str, list[int]]:
    """Return the pairs that lack a value for each reason, as far as the run tells.

    It lists them for values per pair. Of others it has which pairs count, so the last reason left is that of the rest.
    """
    place = {pair: i for i, pair in enumerate(run.per_pair["pair"])}
    listed = run.missing.groupby("reason", sort=False)["pair"]
    rows = {str(reason): [place[pair] for pair in dict.fromkeys(pairs) if pair in place] for reason, pairs in listed}
    for score in sorted(run.scores.values(), key=lambda score: len(score.missing)):
        there = Measured.of(run, score.metric).there
        left = [reason for reason in score.missing if reason not in rows]
        if there is not None and len(left) == 1:
            known = {row for reason in score.missing for row in rows.get(reason, [])}
            rows[left[0]] = [int(i) for i in np.flatnonzero(~there) if i not in known]
    return rows
