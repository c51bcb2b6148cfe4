"""The leaderboard of the page: headlines first, details folded away, and runs that cannot be compared apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fhpt_eval.evaluation.run import Run
from fhpt_eval.evaluation.run_record import ScoreRecord
from fhpt_eval.numbers import fixed
from fhpt_eval.reporting.blocks import Block, how_measured
from fhpt_eval.reporting.comparing.compare import Comparison
from fhpt_eval.reporting.leaderboards.standings import Standing, standings
from fhpt_eval.reporting.metrics import DETAIL, Metric, metrics_of, select_metrics, shown_decimals
from fhpt_eval.reporting.page.shown import Section, Shown


@dataclass(frozen=True)
class Cell:
    """A number in the table.

    Attributes:
        value: As it is shown.
        key: What the column is sorted by: smaller is better; empty without a value.
        rank: 1 for the best, 2 for the second, 0 for the others.
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
        "table": _table("headlines", shown.blocks[0], headlines, shown.comparison),
        "details": [_table(f"{DETAIL}: {name}", shown.blocks[0], metrics) for name, metrics in folded.items()],
        "apart": [
            (block.apart, _table(block.apart, block, [*select_metrics(metrics_of(block.runs)).values()]))
            for block in shown.blocks[1:]
        ],
        "measured": how_measured(shown.runs),
    }
    return Section("board", "Leaderboard", view)


def _table(title: str, block: Block, metrics: Sequence[Metric], comparison: Comparison | None = None) -> Table:
    tested = {metric.name: metric for metric in metrics} if comparison is not None else {}
    ranked = standings(block, metrics, tested, comparison)
    columns = [_column(block.runs, metric, ranked[metric.name]) for metric in metrics]
    rows = [(run.record.name, i, [column[i] for column in columns]) for i, run in enumerate(block.runs)]
    return Table(title, metrics, rows)


def _column(runs: Sequence[Run], metric: Metric, standing: Standing) -> list[Cell]:
    scores = [run.scores.get(metric.name) for run in runs]
    decimals = shown_decimals(runs, metric.name)
    return [_cell(score, metric, decimals, standing, place) for place, score in enumerate(scores)]


def _cell(score: ScoreRecord | None, metric: Metric, decimals: int, standing: Standing, place: int) -> Cell:
    if score is None or score.value is None:
        return Cell("–" if score is None else score.shown())
    lacking = sum(score.missing.values())
    ends = [fixed(end, max(decimals - 1, 0)) for end in score.interval or ()]
    return Cell(
        value=fixed(score.value, decimals),
        key=repr(-score.value if metric.better == "higher" else score.value),
        rank=1 if place in standing.best else 2 if place in standing.second else 0,
        alike=bool(standing.close) and place in standing.best,
        interval=" … ".join(ends),
        missing=lacking,
        asked=score.n + lacking,
    )
