"""What retrieval found: a query and its ten nearest, as the paper's Fig. 9 shows them."""

from __future__ import annotations

from typing import Any

import numpy as np

from fhpt_eval.evaluation.run import Run
from fhpt_eval.reporting.comparing.measured import keeps_ranking
from fhpt_eval.reporting.page.album import SMALL
from fhpt_eval.reporting.page.chosen import choices
from fhpt_eval.reporting.page.curves import recalls
from fhpt_eval.reporting.page.shown import Section, Shown

_QUERIES = 1
"""For each reason to look at one."""


def section(shown: Shown) -> Section | None:
    """Return some queries of each network, with what each run's image found; or how to get them."""
    metrics = [m for m in shown.metrics if any(keeps_ranking(run, m) for run in shown.runs)]
    if not metrics:
        if recalls(shown) is None:
            return None
        return Section("retrieved", "What was retrieved", {"again": True})
    return Section("retrieved", "What was retrieved", {"metrics": [_of_metric(shown, m) for m in metrics]})


def _of_metric(shown: Shown, metric: str) -> dict[str, Any]:
    runs = [run for run in shown.runs if keeps_ranking(run, metric)]
    right = {run.record.name: run.arrays[metric]["relevant"][shown.order(run)] for run in runs}
    asked = {run.record.name: run.arrays[metric]["nearest"][shown.order(run)][:, 0] >= 0 for run in runs}
    counts = np.stack([np.where(asked[name], right[name].sum(axis=1), np.nan) for name in right])
    # Not by the first right answer, as `plot_topk`: beside each query stands how many of the ten are right. Where the
    # right ones stand counts, too: of equally many, the earlier.
    places = np.stack([(right[name] / (1 + np.arange(right[name].shape[1]))).sum(axis=1) for name in right])
    chosen = choices(counts + places / 1000, list(right), _QUERIES)
    queries: dict[int, list[str]] = {}
    for why, pairs in chosen.items():
        for pair in pairs:
            queries.setdefault(pair, []).append(why)
    return {
        "metric": metric,
        "queries": [
            (shown.pairs[pair], ", ".join(why), _answers(shown, runs, metric, pair)) for pair, why in queries.items()
        ],
        "without": [run.record.name for run in shown.runs if not keeps_ranking(run, metric)],
    }


def _answers(shown: Shown, runs: list[Run], metric: str, pair: int) -> list[dict[str, Any]]:
    """Return for each run the query and what it found."""
    found = []
    for run in runs:
        row = int(shown.order(run)[pair])
        nearest, relevant = (run.arrays[metric][name][row] for name in ("nearest", "relevant"))
        found.append(
            {
                "run": run.record.name,
                "number": shown.runs.index(run),
                "query": shown.album.take(run, row, "generated", SMALL),
                "nearest": [
                    (shown.album.take(run, int(shown_by), "source", SMALL), bool(right))
                    for shown_by, right in zip(nearest, relevant, strict=True)
                    if shown_by >= 0
                ],
                "right": int(relevant.sum()),
            }
        )
    return found
