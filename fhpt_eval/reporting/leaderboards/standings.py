"""Which run is best by a metric, which is second, and whether these two can be told apart."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from fhpt_eval.maths.differences import LEVEL, holm
from fhpt_eval.reporting.blocks import Block
from fhpt_eval.reporting.comparing.compare import MetricDifference, compare
from fhpt_eval.reporting.metrics import Metric


@dataclass(frozen=True)
class Standing:
    """Who is best in a block by one metric.

    Attributes:
        best: Places in the block of the runs with the best value; none where fewer than two runs have one.
        second: Of those with the next value.
        close: Whether the best is not told apart from the next; None where that was not tested.
        why: Why not.
    """

    best: tuple[int, ...] = ()
    second: tuple[int, ...] = ()
    close: bool | None = None
    why: str = ""


def standings(block: Block, metrics: Iterable[Metric], tested: Mapping[str, Metric]) -> dict[str, Standing]:
    """Rank the runs of a block by each metric.

    The best is compared with the next as `fhpt-eval compare` does it, and Holm's procedure goes over the
    metrics. That the two are chosen by their values makes the test no less strict: a best that is told apart from the
    second is told apart from all (Gutmann and Maymin 1987).

    Args:
        block: Runs that can be compared.
        metrics: By which they are ranked.
        tested: Those for which the best is compared with the next.
    """
    ranked = {metric.name: _ranked(block, metric) for metric in metrics}
    pairs: dict[tuple[int, int], list[str]] = {}
    for name, standing in ranked.items():
        # Runs with equal values are all best, which says enough.
        if name in tested and len(standing.best) == 1 and standing.second:
            pairs.setdefault((standing.best[0], standing.second[0]), []).append(name)
    rows: dict[str, MetricDifference] = {}
    for (best, second), names in pairs.items():
        if block.runs[best].record.name == block.runs[second].record.name:
            why = f"two runs are called '{block.runs[best].record.name}'"
            ranked |= {name: Standing(ranked[name].best, ranked[name].second, why=why) for name in names}
        else:
            rows |= _compared(block, best, second, names)
    adjusted = holm({name: row.p for name, row in rows.items()})
    for name, row in rows.items():
        p = adjusted[name]
        # Over the pairs that both have, the second may even be ahead.
        behind = row.difference is not None and (row.difference < 0) == (row.metric.better == "higher")
        close = None if p is None else p > LEVEL or not behind
        why = (row.why or "resampling gives no p-value") if p is None else ""
        ranked[name] = Standing(ranked[name].best, ranked[name].second, close, why)
    return ranked


def _compared(block: Block, best: int, second: int, names: list[str]) -> dict[str, MetricDifference]:
    found = compare((block.runs[best], block.runs[second]), names)
    return {row.metric.name: row for row in found.rows}


def _ranked(block: Block, metric: Metric) -> Standing:
    values = {i: s.value for i, run in enumerate(block.runs) if (s := run.scores.get(metric.name)) is not None}
    known = {i: value for i, value in values.items() if value is not None}
    if len(known) < 2:
        return Standing()
    first, *others = sorted(set(known.values()), reverse=metric.better == "higher")
    best = tuple(i for i, value in known.items() if value == first)
    second = tuple(i for i, value in known.items() if others and value == others[0])
    return Standing(best, second)
