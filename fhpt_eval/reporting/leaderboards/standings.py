"""Which run is best by a metric, which is second, and whether these two can be told apart."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from fhpt_eval.reporting.blocks import Block
from fhpt_eval.reporting.comparing.compare import Comparison, compare
from fhpt_eval.reporting.metrics import Metric


@dataclass(frozen=True)
class Standing:
    """Who is best in a block by one metric.

    Attributes:
        best: Places in the block of the runs with the best value; none where fewer than two runs have one, or one is no
            finite number: whether its images are better is not what NaN or inf says.
        second: Of those with the next value.
        close: Whether the best is not told apart from the next; None where that was not tested.
        why: Why not, or why there is no best.
    """

    best: tuple[int, ...] = ()
    second: tuple[int, ...] = ()
    close: bool | None = None
    why: str = ""


def standings(
    block: Block, metrics: Iterable[Metric], tested: Mapping[str, Metric], comparison: Comparison | None = None
) -> dict[str, Standing]:
    """Rank the runs of a block by each metric.

    Whether the best is told apart from the next is as `fhpt-eval compare` has it, of all runs by the same metrics.

    Args:
        block: Runs that can be compared.
        metrics: By which they are ranked.
        tested: Those for which the best is compared with the next.
        comparison: Of the block's runs by these, if there is one already.
    """
    ranked = {metric.name: _ranked(block, metric) for metric in metrics}
    # Runs with equal values are all best, which says enough.
    names = [name for name in tested if len(ranked[name].best) == 1 and ranked[name].second]
    if not names:
        return ranked
    known = [run.record.name for run in block.runs]
    twice = next((name for name in known if known.count(name) > 1), None)
    if twice is not None:
        why = f"two runs are called '{twice}'"
        return ranked | {name: replace(ranked[name], why=why) for name in names}
    found = comparison or compare(block.runs, [*tested])
    for name in names:
        standing = ranked[name]
        best, second = standing.best[0], standing.second[0]
        row = found.every_two[name, min(best, second), max(best, second)]
        # Over the pairs that both have, the second may even be ahead.
        ahead = "better" if best > second else "worse"
        close = None if row.p_adjusted is None else row.verdict != ahead
        why = (row.why or "resampling gives no p-value") if close is None else ""
        ranked[name] = replace(standing, close=close, why=why)
    return ranked


def _ranked(block: Block, metric: Metric) -> Standing:
    values = {i: s.value for i, run in enumerate(block.runs) if (s := run.scores.get(metric.name)) is not None}
    known = {i: value for i, value in values.items() if value is not None}
    if any(s.not_finite for run in block.runs if (s := run.scores.get(metric.name)) is not None):
        return Standing(why="a run has NaN or inf")
    if len(known) < 2:
        return Standing()
    first, *others = sorted(set(known.values()), reverse=metric.better == "higher")
    best = tuple(i for i, value in known.items() if value == first)
    second = tuple(i for i, value in known.items() if others and value == others[0])
    return Standing(best, second)
