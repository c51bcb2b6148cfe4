"""The leaderboard of the page: headlines first, details folded away, and runs that cannot be compared apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fhpt_eval.evaluation.run import Run
from fhpt_eval.evaluation.run_record import ScoreRecord
from fhpt_eval.reporting.compare import Comparison
from fhpt_eval.reporting.leaderboard import without_prefix
from fhpt_eval.reporting.metrics import DETAIL, Metric, metrics_of, select_metrics
from fhpt_eval.reporting.numbers import number
from fhpt_eval.reporting.page.shown import Section, Shown


@dataclass(frozen=True)
class Cell:
    """A number in the table.

    Attributes:
        value: As it is shown.
        key: What the column is sorted by: smaller is better; empty without a value.
        rank: 1 for the best, 2 for the second, of runs that have different values.
        alike: Whether it is the best and not told apart from the next.
        interval: As it is shown.
        missing: How many pairs or images lack a value.
        asked: Of how many.
    """

    value: str
    key: str = ""
    rank: int = 0
    alike: bool = False
    interval: str = ""
    missing: int = 0
    asked: int = 0


@dataclass(frozen=True)
class Table:
    """Runs in rows, metrics in columns.

    Attributes:
        title: What the metrics have in common.
        metrics: The columns.
        rows: Of each run its name, its number, and a cell a metric.
    """

    title: str
    metrics: Sequence[Metric]
    rows: Sequence[tuple[str, int, Sequence[Cell]]]


def section(shown: Shown) -> Section:
    """Return a table of the headlines, the details by table, and the runs of other blocks with the reason."""
    headlines = [*select_metrics(shown.metrics).values()]
    folded: dict[str, list[Metric]] = {}
    for metric in shown.metrics.values():
        if metric not in headlines:
            folded.setdefault(metric.table, []).append(metric)
    view = {
        "table": _table("headlines", shown.runs, headlines, shown.comparison),
        "details": [_table(f"{DETAIL}: {name}", shown.runs, metrics, None) for name, metrics in folded.items()],
        "apart": [
            (block.apart, _table(block.apart, block.runs, [*select_metrics(metrics_of(block.runs)).values()], None))
            for block in shown.blocks[1:]
        ],
        "unprefixed": [*dict.fromkeys(filter(None, map(without_prefix, shown.runs)))],
    }
    return Section("board", "Leaderboard", view)


def _table(title: str, runs: Sequence[Run], metrics: Sequence[Metric], comparison: Comparison | None) -> Table:
    columns = [_column(runs, metric, comparison) for metric in metrics]
    rows = [(run.record.name, i, [column[i] for column in columns]) for i, run in enumerate(runs)]
    return Table(title, metrics, rows)


def _column(runs: Sequence[Run], metric: Metric, comparison: Comparison | None) -> list[Cell]:
    scores = [run.scores.get(metric.name) for run in runs]
    sign = -1 if metric.better == "higher" else 1
    values = [None if score is None or score.value is None else sign * score.value for score in scores]
    ordered = sorted({value for value in values if value is not None})
    best = [i for i, value in enumerate(values) if ordered and value == ordered[0]]
    second = [i for i, value in enumerate(values) if len(ordered) > 1 and value == ordered[1]]
    alike = comparison is not None and len(best) == 1 and bool(second) and _alike(comparison, metric, best[0], second)
    shown = sum(value is not None for value in values) > 1
    return [
        _cell(score, value, ordered.index(value) + 1 if shown and value is not None else 0, alike=alike and i in best)
        for i, (score, value) in enumerate(zip(scores, values, strict=True))
    ]


def _cell(score: ScoreRecord | None, key: float | None, rank: int, *, alike: bool) -> Cell:
    if score is None or key is None:
        return Cell("–")
    lacking = sum(score.missing.values())
    return Cell(
        value=number(score.value),
        key=repr(key),
        rank=rank,
        alike=alike,
        interval="" if score.interval is None else " … ".join(map(_rough, score.interval)),
        missing=lacking,
        asked=score.n + lacking,
    )


def _rough(end: float) -> str:
    """Return an end of an interval, with a digit less than the value has."""
    size = abs(end)
    return f"{end:.0e}" if 0 < size < 1e-3 else f"{end:.{0 if size >= 1000 else 1 if size >= 10 else 3}f}"


def _alike(comparison: Comparison, metric: Metric, best: int, second: Sequence[int]) -> bool:
    """Whether the best run was not told apart from every one that comes next."""
    if letters := comparison.letters.get(metric.name):
        return any(not letters[i] or not letters[best] or set(letters[i]) & set(letters[best]) for i in second)
    rows = [row for row in comparison.rows if row.metric.name == metric.name and not row.part]
    return any(row.verdict not in {"better", "worse"} for row in rows)
