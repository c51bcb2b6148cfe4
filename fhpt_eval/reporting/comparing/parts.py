"""The parts of the pairs that numbers can be broken down by."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fhpt_eval.errors import UserError, did_you_mean
from fhpt_eval.evaluation.run import Run
from fhpt_eval.pairing.naming import parse_deepfashion
from fhpt_eval.reporting.comparing.measured import Mask, Measured
from fhpt_eval.reporting.metrics import Metric

PARTS = ("view", "gender", "category", "item", "missing")
"""``missing`` is by which of the runs lack a value."""


def parts(runs: Sequence[Run], metric: Metric, by: str | None) -> dict[str, Mask]:
    """Return the pairs of each part of the first run's pairs, by its name, ``view=back``; none without ``by``.

    Args:
        runs: On the same pairs.
        metric: Whose missing values count.
        by: One of `PARTS`.

    Raises:
        UserError: There is no such way, or nothing is known of it.
    """
    if by is None:
        return {}
    if by not in PARTS:
        raise UserError(f"--by cannot be '{by}'.{did_you_mean(by, PARTS)}")
    labels = _missing(runs, metric) if by == "missing" else _labels(runs[0], by)
    if not any(labels):
        raise UserError(f"no pair's {by} is known: it comes from DeepFashion names, or from a column in --pairs.")
    named = [label or "unknown" for label in labels]
    return {f"{by}={label}": np.array([own == label for own in named]) for label in sorted(set(named))}


def _labels(run: Run, by: str) -> list[str | None]:
    if by != "category":
        return list(run.per_pair[by])
    names = [parse_deepfashion(target or generated or "") for target, generated in _files(run)]
    return [f"{name.gender}/{name.category}" if name else None for name in names]


def _files(run: Run) -> list[tuple[str | None, str | None]]:
    return list(zip(run.per_pair["target"], run.per_pair["generated"], strict=True))


def _missing(runs: Sequence[Run], metric: Metric) -> list[str | None]:
    """Return for each pair in which runs a value is missing, and of how many pairs that is so."""
    order = list(runs[0].per_pair["pair"])
    there = [(run.record.name, Measured.of(run, metric.name, order).there) for run in runs]
    lacking = [[name for name, mask in there if mask is not None and not mask[i]] for i in range(len(order))]
    labels = [
        "in none" if not names else "in all" if len(names) == len(runs) else f"in {', '.join(names)}"
        for names in lacking
    ]
    return [f"{label} ({labels.count(label)} pairs)" for label in labels]
