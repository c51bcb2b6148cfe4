"""Whether runs differ: paired differences with intervals and tests, and which runs cannot be told apart."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import Literal, TypeAlias

import numpy as np
import pandas as pd

from fhpt_eval.errors import UserError
from fhpt_eval.evaluation.run import Run
from fhpt_eval.maths.differences import FEWEST_ITEMS, LEVEL, Difference, differences, holm, superiority
from fhpt_eval.maths.statistics import Interval
from fhpt_eval.measuring.protocol import NotFinite, one_of, resampled
from fhpt_eval.progress import Progress
from fhpt_eval.reporting.blocks import Block, blocks_of
from fhpt_eval.reporting.comparing.measured import Mask, Measured
from fhpt_eval.reporting.comparing.parts import parts
from fhpt_eval.reporting.metrics import Metric, metrics_of, select_metrics

_Test: TypeAlias = tuple[str, str, int, int]
"""A metric, a part of the pairs (empty for all), and two runs."""

Verdict: TypeAlias = Literal["better", "worse", "no difference shown", "equal", "not tested"]


@dataclass(frozen=True)
class MetricDifference:
    """One metric of one run, compared with the first.

    Attributes:
        metric: What is compared.
        first: Name of the run that is compared with.
        second: Name of the other run.
        first_value: Of the metric over the common pairs.
        second_value: Likewise.
        n: How many pairs both have.
        items: How many items (or pairs, where no item is known) were resampled.
        difference: Second less first; None where one has no value.
        interval: 95 % interval of the difference; None where nothing can be said.
        p: Of no difference.
        p_adjusted: The same by Holm's procedure, over every two runs by each metric, or over all parts.
        superiority: How often the second is better on a pair drawn at random, half of the ties counted; None for
            metrics without values per pair.
        verdict: Of the second run: ``better`` or ``worse`` where the adjusted p is at most 0.05.
        why: Why it was not tested, or what else must be known; empty otherwise.
        part: Which pairs, as ``view=back``; empty for all of them.
        needed: How many pairs like these would show such a difference in four of five samples, with as many tests;
            None: cannot be told.
        detectable: Size of the difference that these pairs show in four of five samples, likewise.
        error: Standard error of the difference.
        not_finite: ``NaN`` or ``inf``, where a script prints that in place of the first or the second value.
    """

    metric: Metric
    first: str
    second: str
    first_value: float | None
    second_value: float | None
    n: int
    items: int
    difference: float | None
    interval: Interval | None
    p: float | None
    p_adjusted: float | None
    superiority: float | None
    verdict: Verdict
    why: str = ""
    part: str = ""
    needed: int | None = None
    detectable: float | None = None
    error: float | None = None
    not_finite: tuple[NotFinite | None, NotFinite | None] = (None, None)


@dataclass(frozen=True, repr=False)
class Comparison:
    """Runs on the same pairs, compared.

    Attributes:
        runs: The first is what the others are compared with.
        rows: A row a metric and run.
        every_two: For each metric (its name) and every two runs (their places, the smaller first), a row: the second
            compared with the first.
        letters: For each metric, letters a run: runs that share one cannot be told apart. Empty for two runs.
        over: What was resampled: ``items``, or ``pairs``, with the reason.
    """

    runs: tuple[Run, ...]
    rows: tuple[MetricDifference, ...]
    every_two: Mapping[tuple[str, int, int], MetricDifference]
    letters: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    over: str = "items"

    @property
    def table(self) -> pd.DataFrame:
        """A row a metric and run."""
        columns = [
            *("metric", "part", "better", "first", "second", "first_value", "second_value", "n", "items", "difference"),
            *("low", "high", "p", "p_adjusted", "superiority", "verdict", "why", "needed", "detectable"),
        ]
        rows = []
        for row in self.rows:
            low, high = row.interval or (None, None)
            about = {"metric": row.metric.name, "better": row.metric.better, "low": low, "high": high}
            rows.append([about[column] if column in about else getattr(row, column) for column in columns])
        frame: pd.DataFrame = pd.DataFrame(rows, columns=columns)
        return frame

    def __repr__(self) -> str:
        """Return the table, in a width that screens have."""
        shown = ["metric", "part", "first", "second", "difference", "low", "high", "p_adjusted", "verdict"]
        return str(self.table[shown].to_string(index=False, na_rep="–"))

    def _repr_html_(self) -> str:
        """Return the table, as notebooks show it."""
        return str(self.table.to_html(index=False, na_rep="–"))


def compare(
    runs: Sequence[Run],
    metrics: Sequence[str] | None = None,
    *,
    table: str | None = None,
    by: str | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> Comparison:
    """Compare runs on the same pairs with the first of them.

    Differences are paired: over the pairs on which both runs have a value, items are resampled, the same draw in both
    (see `fhpt_eval.maths.differences.differences`). Metrics of a whole set (Fréchet and kernel distances, Inception
    Scores) are resampled by the influence of each pair, which runs keep.

    Args:
        runs: Two or more that stand in one block of a leaderboard.
        metrics: Names; None for the headlines.
        table: One of the paper's tables, ``all`` or ``detail``.
        by: Compare on each part of the pairs by itself, too: one of `PARTS`.
        seed: Of the resampling.
        progress: Called after each metric.

    Raises:
        UserError: There is one run, two have one name, they cannot be compared, or a metric is unknown.
    """
    check_comparable(runs)
    chosen = select_metrics(metrics_of(runs), metrics, table)
    groups, over = _groups(runs[0])
    every_two = [*combinations(range(len(runs)), 2)]
    with_first = [pair for pair in every_two if pair[0] == 0]
    found: dict[_Test, MetricDifference] = {}
    for done, metric in enumerate(chosen.values(), start=1):
        both = _Both(runs, metric, groups, over, seed)
        found |= {(metric.name, "", *two): row for two, row in zip(every_two, both.compared(every_two), strict=True)}
        for name, part in parts(runs, metric, by).items() if both.divisible else ():
            rows = both.compared(with_first, name, part)
            found |= {(metric.name, name, *two): row for two, row in zip(with_first, rows, strict=True)}
        if progress is not None:
            progress("comparing", done, len(chosen))
    # What is said of all pairs does not depend on whether parts are asked for.
    judged = _judge({test: row for test, row in found.items() if not test[1]})
    judged |= _judge({test: row for test, row in found.items() if test[1]})
    judged = {test: judged[test] for test in found}
    whole = {(name, i, j): row for (name, part, i, j), row in judged.items() if not part}
    return Comparison(
        tuple(runs),
        tuple(row for (_, _, first, _), row in judged.items() if first == 0),
        whole,
        {metric.name: _letters(whole, runs, metric) for metric in chosen.values()} if len(runs) > 2 else {},
        over,
    )


def check_comparable(runs: Sequence[Run]) -> Block:
    """Return the one block that runs stand in.

    Raises:
        UserError: There is one run, two have one name, or they stand in several blocks.
    """
    if len(runs) < 2:
        raise UserError("a comparison needs two runs or more: give another run's folder.")
    names = [run.record.name for run in runs]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UserError(f"two runs are called '{twice}': run one of them with another --name, or leave it out.")
    first, *others = blocks_of(runs)
    if others:
        raise UserError(f"{others[0].runs[0].record.name} cannot be compared: {others[0].apart}.")
    return first


class _Both:
    """One metric of several runs, compared two by two."""

    def __init__(self, runs: Sequence[Run], metric: Metric, groups: Sequence[Hashable], over: str, seed: int) -> None:
        self._metric = metric
        self._groups = groups
        self._over = over
        self._seed = seed
        self._names = [run.record.name for run in runs]
        self._scores = [run.scores.get(metric.name) for run in runs]
        order = list(runs[0].per_pair["pair"])
        self._measured = [Measured.of(run, metric.name, order) for run in runs]

    def compared(
        self, pairs_of_runs: Sequence[tuple[int, int]], part: str = "", within: Mask | None = None
    ) -> list[MetricDifference]:
        """Return a row for each two runs, over the common pairs within a part."""
        rows = [self._row(i, j, part, self._common(i, j, within)) for i, j in pairs_of_runs]
        alike: dict[bytes, list[int]] = {}
        for k, row in enumerate(rows):
            if not row.why:
                alike.setdefault(self._common(*pairs_of_runs[k], within).tobytes(), []).append(k)
        for members in alike.values():
            # Where the same pairs are common, the draws are shared.
            common = self._common(*pairs_of_runs[members[0]], within)
            sides = dict.fromkeys(side for k in members for side in pairs_of_runs[k])
            numbers = {side: self._measured[side].pooled(common, self._groups) for side in sides}
            compared = [(numbers[i], numbers[j]) for i, j in (pairs_of_runs[k] for k in members)]
            for k, found in zip(members, differences(compared, seed=self._seed), strict=True):
                rows[k] = replace(_tested(rows[k], found), why=self._uneven(*pairs_of_runs[k]))
        return rows

    @property
    def divisible(self) -> bool:
        """Whether a part of the pairs has a value: one of a whole set has none."""
        return all(each.total is not None or each.value is None for each in self._measured)

    def _common(self, i: int, j: int, within: Mask | None) -> Mask:
        """Return the pairs that both have; all pairs for a metric of the whole set."""
        common = np.ones(len(self._groups), dtype=np.bool_) if within is None else within
        for side in (i, j):
            there = self._measured[side].there
            if there is not None:
                common = common & there
        return common

    def _row(self, i: int, j: int, part: str, common: Mask) -> MetricDifference:
        first, second = self._measured[i], self._measured[j]
        values = [side.over(common) for side in (first, second)]
        better = None
        if first.per_pair is not None and second.per_pair is not None:
            higher = self._metric.better == "higher"
            better = superiority(first.per_pair[common], second.per_pair[common], higher=higher)
        known = None not in values
        return MetricDifference(
            metric=self._metric,
            first=self._names[i],
            second=self._names[j],
            first_value=values[0],
            second_value=values[1],
            n=self._n(i, j, common),
            items=len({group for group, inside in zip(self._groups, common, strict=True) if inside}),
            difference=float(values[1]) - float(values[0]) if known else None,  # type: ignore[arg-type]
            interval=None,
            p=None,
            p_adjusted=None,
            superiority=better,
            verdict="not tested",
            why=self._untestable(i, j, common),
            part=part,
            not_finite=(self._not_finite(i), self._not_finite(j)),
        )

    def _not_finite(self, side: int) -> NotFinite | None:
        score = self._scores[side]
        return None if score is None else score.not_finite

    def _n(self, i: int, j: int, common: Mask) -> int:
        if self._measured[i].total is not None:
            return int(common.sum())
        return min((score.n for score in (self._scores[i], self._scores[j]) if score is not None), default=0)

    def _uneven(self, i: int, j: int) -> str:
        """Return that a metric of the whole set rests on other counts of images; nothing where pairs can be matched."""
        counts = [score.n for score in (self._scores[i], self._scores[j]) if score is not None]
        if self._measured[i].total is not None or len(set(counts)) == 1:
            return ""
        return f"{self._names[i]} rests on {counts[0]} images, {self._names[j]} on {counts[1]}"

    def _untestable(self, i: int, j: int, common: Mask) -> str:
        """Return why two runs cannot be compared by the metric, in words; nothing where they can."""
        for side in (i, j):
            measured = self._measured[side]
            if measured.value is None:
                return f"{self._names[side]} has {self._not_finite(side) or 'no value'}"
            if measured.total is None and measured.influence is None:
                return f"{self._names[side]} keeps nothing of it to resample"
        if not common.any():
            return "no pair has a value in both"
        items = len({group for group, inside in zip(self._groups, common, strict=True) if inside})
        if items < FEWEST_ITEMS:
            return f"too few {one_of(self._over)}s to tell ({items}): it takes {FEWEST_ITEMS}"
        return ""


def _tested(row: MetricDifference, found: Difference) -> MetricDifference:
    """Return a row with what resampling told."""
    return replace(row, items=found.items, interval=found.interval, p=found.p, error=found.error)


def _judge(found: Mapping[_Test, MetricDifference]) -> dict[_Test, MetricDifference]:
    """Return rows with their verdicts, adjusted over all of them."""
    adjusted = holm({test: row.p for test, row in found.items()})
    tests = sum(row.p is not None for row in found.values())
    return {test: _judged(row, adjusted[test], tests) for test, row in found.items()}


def _judged(row: MetricDifference, adjusted: float | None, tests: int) -> MetricDifference:
    """Return a row with its verdict, and what it would have taken where one of so many tests has to show it."""
    if adjusted is None or row.difference is None:
        return row
    verdict: Verdict = "no difference shown"
    if adjusted <= LEVEL:
        verdict = "better" if (row.difference > 0) == (row.metric.better == "higher") else "worse"
    elif row.error == 0:
        verdict = "equal"
    found = Difference(row.difference, row.interval, row.p, row.error, row.items)
    needed = found.needed(LEVEL / tests)
    return replace(
        row,
        p_adjusted=adjusted,
        verdict=verdict,
        needed=None if needed is None else math.ceil(needed * row.n / row.items),
        detectable=found.detectable(LEVEL / tests),
    )


def _groups(run: Run) -> tuple[list[str], str]:
    """Return what is resampled: the group of each pair, and groups in words."""
    items = run.per_pair["item"]
    groups = [item or pair for item, pair in zip(items, run.per_pair["pair"], strict=True)]
    return groups, resampled(list(items))


def _letters(
    every_two: Mapping[tuple[str, int, int], MetricDifference], runs: Sequence[Run], metric: Metric
) -> tuple[str, ...]:
    """Return the letters of each run: those that share one cannot be told apart (Piepho 2004).

    A letter is a largest set of runs no two of which were told apart, the best first; empty where nothing was tested.
    """
    import networkx

    rows = {(i, j): row for (name, i, j), row in every_two.items() if name == metric.name}
    if all(row.p is None for row in rows.values()):
        return ("",) * len(runs)
    sign = -1 if metric.better == "higher" else 1
    scores = [run.scores.get(metric.name) for run in runs]
    ranks = {i: sign * s.value for i, s in enumerate(scores) if s is not None and s.value is not None}
    graph: networkx.Graph[int] = networkx.Graph()
    graph.add_nodes_from(ranks)
    alike = [two for two, row in rows.items() if row.verdict not in {"better", "worse"}]
    graph.add_edges_from((i, j) for i, j in alike if i in ranks and j in ranks)
    cliques = sorted(networkx.find_cliques(graph), key=lambda clique: sorted(ranks[i] for i in clique))
    return tuple("".join(_letter(k) for k, clique in enumerate(cliques) if i in clique) for i in range(len(runs)))


def _letter(number: int) -> str:
    return chr(ord("a") + number) if number < 26 else f"({number + 1})"
