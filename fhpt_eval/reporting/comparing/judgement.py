"""What a comparison comes to, in sentences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

from fhpt_eval.evaluation.run import Run
from fhpt_eval.numbers import number, signed
from fhpt_eval.reporting.comparing.compare import Comparison, MetricDifference
from fhpt_eval.reporting.comparing.measured import Measured
from fhpt_eval.text import visible


def sentences(comparison: Comparison) -> list[str]:
    """Say for each run whether it is better than the first, by how much, how sure that is, and on which pairs not.

    Args:
        comparison: Of its rows, those of all pairs count.
    """
    first, *others = comparison.runs
    told = []
    for other in others:
        rows = [row for row in comparison.rows if row.second == other.record.name and not row.part]
        told += [_in_what(first, other, rows), _how_sure(rows), _where_not(first, other, rows)]
    return [sentence for sentence in told if sentence]


def shortfalls(rows: Iterable[MetricDifference]) -> list[str]:
    """Say of each row without a verdict what it would have taken, or why there was no test."""
    told: dict[str, list[str]] = {}
    for row in rows:
        if row.verdict != "not tested" and row.why:
            told.setdefault(row.why, []).append(_named(row))
        if row.verdict == "not tested":
            told.setdefault(f"not tested, as {row.why}", []).append(_named(row))
        elif row.verdict == "no difference shown":
            told.setdefault(f"no difference shown; {_what_it_takes(row)}", []).append(_named(row))
    return [f"{', '.join(names)}: {what}" for what, names in told.items()]


def _named(row: MetricDifference) -> str:
    name = visible(row.metric.name)
    return f"{name} ({visible(row.part)})" if row.part else name


def _in_what(first: Run, other: Run, rows: Sequence[MetricDifference]) -> str:
    """Return in which metrics the one is better, worse, or neither."""
    verdicts = ("better", "worse", "no difference shown", "equal", "not tested")
    by = {verdict: [row.metric.name for row in rows if row.verdict == verdict] for verdict in verdicts}
    one, two = _name(other), _name(first)
    tested = len(rows) - len(by["not tested"])
    if not tested:
        why = Counter(row.why for row in rows).most_common(1)[0][0] if rows else "there is no metric"
        return f"Whether {one} differs from {two} was not tested: {why}."
    if not by["better"] and not by["worse"]:
        where = (
            f"any of {tested} metrics" if tested > 1 else visible(next(r for r in rows if r.p is not None).metric.name)
        )
        return f"No difference between {one} and {two} is shown in {where}."
    parts: list[str] = []
    for verdict in ("better", "worse"):
        if by[verdict]:
            where = f"than {two} in" if not parts else "in"
            of = f" of {tested} metrics" if not parts else ""
            what = f"{len(by[verdict])}{of} ({_list(by[verdict])})" if tested > 1 else _list(by[verdict])
            parts.append(f"{verdict} {where} {what}")
    text = f"{one} is {' and '.join(parts)}"
    if open_ends := by["no difference shown"] + by["equal"]:
        text += f"; no difference is shown in {len(open_ends)} ({_list(open_ends)})"
    return text + "."


def _how_sure(rows: Sequence[MetricDifference]) -> str:
    """Return the surest difference, or what it would have taken to show one."""
    tested = [row for row in rows if row.p_adjusted is not None and row.difference is not None]
    if not tested:
        return ""
    surest = min(tested, key=lambda row: (row.p_adjusted or 0.0, row.p or 0.0, -_times_detectable(row)))
    name = visible(surest.metric.name)
    if surest.verdict in {"better", "worse"}:
        return f"Surest is {name}: {_against(surest)}, {_difference(surest)}."
    if surest.verdict == "equal":
        return ""
    return f"Nearest to one is {name}: {_against(surest)}, {_difference(surest)}; {_what_it_takes(surest)}."


def _where_not(first: Run, other: Run, rows: Sequence[MetricDifference]) -> str:
    """Return how often the better one of the surest metric is worse, and on which pair most."""
    told = [r for r in rows if r.superiority is not None and r.difference and r.p_adjusted is not None]
    if not told:
        return ""
    row = min(told, key=lambda row: (row.p_adjusted or 0.0, row.p or 0.0, -_times_detectable(row)))
    pairs = list(first.per_pair["pair"])
    values = [Measured.of(run, row.metric.name, pairs).per_pair for run in (first, other)]
    if values[0] is None or values[1] is None or row.superiority is None:
        return ""
    gain = (values[1] - values[0]) * (1 if row.metric.better == "higher" else -1)
    ahead = float(row.difference or 0) * (1 if row.metric.better == "higher" else -1) > 0
    leader, chance = (other, row.superiority) if ahead else (first, 1 - row.superiority)
    behind = -gain if ahead else gain
    name = visible(row.metric.name)
    text = f"On a pair drawn at random {_name(leader)} is the better one in {name} {100 * chance:.0f} times in 100"
    if not (np.nan_to_num(behind, nan=-1.0) > 0).any():
        return f"{text}; on no pair is {_name(leader)} worse."
    worst = int(np.nanargmax(behind))
    one, two = (values[1][worst], values[0][worst]) if ahead else (values[0][worst], values[1][worst])
    count = int((np.nan_to_num(behind, nan=0.0) > 0).sum())
    return (
        f"{text}; {_name(leader)} is worse on {_count(count, 'pair')}, most of all on {visible(str(pairs[worst]))}"
        f" ({number(one)} against {number(two)})."
    )


def _times_detectable(row: MetricDifference) -> float:
    return abs(row.difference or 0.0) / row.detectable if row.detectable else 0.0


def _against(row: MetricDifference) -> str:
    unit = f" {row.metric.unit}" if row.metric.unit else ""
    return f"{number(row.second_value)}{unit} against {number(row.first_value)}{unit}"


def _difference(row: MetricDifference) -> str:
    text = f"a difference of {signed(row.difference)}"
    if row.interval is None:
        return text
    low, high = (signed(end) for end in row.interval)
    return f"{text} (95 % interval {low} to {high}, p {_is(row.p_adjusted)} adjusted for all tests)"


def probability(p: float | None) -> str:
    """Return a p-value as papers print it."""
    if p is None:
        return "–"
    return "<0.0001" if p < 0.0001 else f"{p:.4f}" if p < 0.01 else f"{p:.2f}"


def _is(p: float | None) -> str:
    text = probability(p)
    return text.replace("<", "< ") if text.startswith("<") else f"= {text}"


def _what_it_takes(row: MetricDifference) -> str:
    these = f"these {row.n:,} show one of {number(row.detectable)} or more four times in five"
    if row.needed is None:
        return these
    most = 10_000_000
    needed = f"{row.needed:,}" if row.needed <= most else f"more than {most:,}"
    return f"one of this size would take {needed} pairs, and {these}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' if number != 1 else ''}"


def _list(names: Sequence[str]) -> str:
    return ", ".join(map(visible, names))


def _name(run: Run) -> str:
    return visible(run.record.name)
