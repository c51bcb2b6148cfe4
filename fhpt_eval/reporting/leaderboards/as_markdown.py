"""Leaderboards as Markdown, for pages and issues."""

from __future__ import annotations

import re
from typing import ClassVar

from fhpt_eval.reporting.leaderboards.format import LeaderboardFormat
from fhpt_eval.reporting.leaderboards.leaderboard import Leaderboard
from fhpt_eval.reporting.leaderboards.notes import closing_notes, notes
from fhpt_eval.reporting.leaderboards.tables import CLOSE, Cell, Row, Table, heading, tables
from fhpt_eval.text import visible

_ACTIVE = re.compile(
    r"""[`*|<$~&] | \\(?=[^\w\s]) | (?<![^\W_])_ | _(?![^\W_]) | (?<=\])\( | ^[#+>-]""",
    re.VERBOSE,
)
"""What does something: of brackets those of a link, of underlines those at the edge of a word."""


class Markdown(LeaderboardFormat):
    """Tables of a block: the best in bold, the second underlined; below them what must be known."""

    name: ClassVar[str] = "md"
    everything: ClassVar[bool] = False

    def text(self, board: Leaderboard) -> str:
        """Return the tables, one below the other."""
        parts = []
        for number in range(len(board.blocks)):
            parts += [_table(table) for table in tables(board, number)]
            parts.append(_list(notes(board, number)))
        parts.append(_list(closing_notes(board)))
        return "\n".join(filter(None, parts))


def _table(table: Table) -> str:
    lines = [
        "| run | " + " | ".join(_text(heading(metric)) for metric in table.metrics) + " |",
        "|---|" + "---:|" * len(table.metrics),
        *(_row(row) for row in table.runs),
    ]
    if table.published:
        lines += ["| **published** |" + " |" * len(table.metrics), *(_row(row) for row in table.published)]
    return "\n".join(lines) + "\n"


def _row(row: Row) -> str:
    return f"| {_text(row.name)} | " + " | ".join(map(_cell, row.cells)) + " |"


def _cell(cell: Cell) -> str:
    text = {"best": f"**{cell.text}**", "second": f"<u>{cell.text}</u>", "": cell.text}[cell.place]
    text += CLOSE if cell.close else ""
    text += f" {_text(cell.beside)}" if cell.beside else ""
    return f"*{text}*" if cell.grey else text


def _list(lines: list[str]) -> str:
    return "".join(f"- {_text(line)}\n" for line in lines)


def _text(text: str) -> str:
    """Keep a name from being a cell's end, HTML, a link, emphasis, code, a formula, an entity or a heading."""
    return _ACTIVE.sub(lambda found: f"\\{found[0]}", visible(text))
