"""A leaderboard as tables that people read: no wider than a page, and below them what must be known."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from fhpt_eval.measuring.protocol import Protocol
from fhpt_eval.measuring.registry import find_protocols
from fhpt_eval.numbers import fixed
from fhpt_eval.reporting.blocks import Block
from fhpt_eval.reporting.leaderboards.leaderboard import Leaderboard
from fhpt_eval.reporting.leaderboards.literature import Published, protocols_of
from fhpt_eval.reporting.leaderboards.standings import Standing
from fhpt_eval.reporting.metrics import Metric

WIDTH = 100
"""Characters that a table may be wide."""

CLOSE = "≈"
"""Stands after the best where it is not told apart from the next."""


@dataclass(frozen=True)
class Cell:
    """One number.

    Attributes:
        text: As it is shown; ``–`` where there is none.
        beside: What stands after it: its interval, or the dialect of a published one.
        place: Whether it is the best of its block, or the second.
        close: Whether it is the best and not told apart from the next.
        grey: Whether it was measured in another way than the column says.
        value: For sorting.
    """

    text: str
    beside: str = ""
    place: Literal["best", "second", ""] = ""
    close: bool = False
    grey: bool = False
    value: float | None = None

    @property
    def plain(self) -> str:
        """All of it without any markup."""
        return self.text + (CLOSE if self.close else "") + (f" {self.beside}" if self.beside else "")


NOTHING, _EMPTY = Cell("–"), Cell("")


@dataclass(frozen=True)
class Row:
    """A run, or a publication on a method.

    Attributes:
        name: Of the run, or method, resolution and number of the source.
        cells: One a column.
    """

    name: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Table:
    """Some of the metrics of one block.

    Attributes:
        title: Which of the paper's tables these are of.
        metrics: The columns.
        runs: The rows.
        published: The rows below the rule.
    """

    title: str
    metrics: tuple[Metric, ...]
    runs: tuple[Row, ...]
    published: tuple[Row, ...] = ()

    @property
    def width(self) -> int:
        """How many characters it takes as plain text, with three between columns and two at each side."""
        rows = [*self.runs, *self.published]
        columns = [[row.cells[i] for row in rows] for i in range(len(self.metrics))]
        widths = [max(len(row.name) for row in rows)]
        for metric, cells in zip(self.metrics, columns, strict=True):
            mark = any(cell.close for cell in cells)
            widths.append(max(len(heading(metric)) + mark, *(len(cell.plain) for cell in cells)))
        return sum(widths) + 3 * (len(widths) - 1) + 4


def heading(metric: Metric) -> str:
    """Return what stands above a metric's column."""
    return f"{metric.name} {metric.arrow}" + (f" ({metric.unit})" if metric.unit else "")


def tables(board: Leaderboard, number: int, width: float = WIDTH) -> list[Table]:
    """Return the tables of a block: one if that is narrow enough, else one for each of the paper's tables, or more.

    Args:
        board: The leaderboard.
        number: Of the block, from 0.
        width: Characters that a table may be wide, if it can; one metric it has at the least.
    """
    block = board.blocks[number]
    shown = [m for m in board.metrics.values() if any(m.name in run.scores for run in block.runs)]
    there = placed(board)
    whole = _table(board, number, shown, there)
    if whole.width <= width or not shown:
        return [whole]
    found = []
    for title in dict.fromkeys(metric.table for metric in shown):
        rest = [metric for metric in shown if metric.table == title]
        while rest:
            count = len(rest)
            while count > 1 and _table(board, number, rest[:count], there).width > width:
                count -= 1
            found.append(_table(board, number, rest[:count], there))
            rest = rest[count:]
    return found


def _table(board: Leaderboard, number: int, metrics: Sequence[Metric], there: Sequence[Placed]) -> Table:
    block, standing = board.blocks[number], board.standings[number]
    return Table(
        ", ".join(dict.fromkeys(metric.table for metric in metrics)),
        tuple(metrics),
        tuple(
            Row(run.record.name, tuple(_cell(board, block, i, m, standing[m.name]) for m in metrics))
            for i, run in enumerate(block.runs)
        ),
        _published(there, metrics),
    )


def _cell(board: Leaderboard, block: Block, place: int, metric: Metric, standing: Standing) -> Cell:
    score = block.runs[place].scores.get(metric.name)
    if score is None or score.value is None:
        return NOTHING if score is None else Cell(score.shown())
    decimals = board.decimals[metric.name]
    best = place in standing.best
    interval = ""
    if board.intervals and score.interval is not None:
        low, high = (fixed(end, decimals) for end in score.interval)
        interval = f"[{low}, {high}]"
    return Cell(
        fixed(score.value, decimals),
        interval,
        "best" if best else "second" if place in standing.second else "",
        best and standing.close is True,
        value=score.value,
    )


@dataclass(frozen=True)
class Placed:
    """A published number in a column.

    Attributes:
        number: The number.
        metric: Of the column.
        source: Number of its source among those that are shown, from 1.
    """

    number: Published
    metric: Metric
    source: int

    @property
    def row(self) -> str:
        """The name of its row."""
        # Papers name the height first, we the width.
        size = "×".join(reversed(self.number.resolution.split("x")))
        return " ".join(filter(None, (self.number.method, size, f"[{self.source}]")))

    @property
    def cell(self) -> Cell:
        """The number, grey where the column was measured in another way, with what its own is called."""
        cell = Cell(self.number.shown, value=float(self.number.value))
        if self.number.name == self.metric.name:
            return cell
        alike = self.number.metric == self.metric.name.rpartition(":")[2]
        return replace(cell, beside=f"({self.number.dialect if alike else self.number.name})", grey=True)


def placed(board: Leaderboard) -> list[Placed]:
    """Return the published numbers that have a place in some column."""
    if not board.literature:
        return []
    protocols = protocols_of(board.literature)
    known = find_protocols().classes
    columns = {name: _column(known[name], board.metrics.values()) for name in set(protocols.values()) if name in known}
    found: list[Placed] = []
    sources: dict[str, int] = {}
    for number in board.literature:
        metric = board.metrics.get(number.name) or columns.get(protocols.get(number.name, ""))
        if metric is not None:
            found.append(Placed(number, metric, sources.setdefault(number.source, len(sources) + 1)))
    return found


def _column(protocol: type[Protocol], metrics: Iterable[Metric]) -> Metric | None:
    """Return the column of a protocol: ours, if it has the canonical network, before other dialects'."""
    own = [metric for metric in metrics if metric.protocol == protocol.name]
    ours = [metric for metric in own if metric.name in protocol.metrics]
    return next(iter([*ours, *(metric for metric in own if ":" in metric.name)]), None)


def _published(there: Sequence[Placed], metrics: Sequence[Metric]) -> tuple[Row, ...]:
    """Return the rows of published numbers that stand in some columns."""
    columns = {metric.name: i for i, metric in enumerate(metrics)}
    rows: dict[str, list[list[Cell]]] = {}
    for each in there:
        if (place := columns.get(each.metric.name)) is None:
            continue
        of_source = rows.setdefault(each.row, [])
        # A source may have two numbers for one column, in two dialects.
        if all(cells[place] is not _EMPTY for cells in of_source):
            of_source.append([_EMPTY] * len(columns))
        next(cells for cells in of_source if cells[place] is _EMPTY)[place] = each.cell
    return tuple(Row(name, tuple(cells)) for name, found in rows.items() for cells in found)
