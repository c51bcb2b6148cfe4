"""Leaderboards as a page: columns that sort, details folded away, nothing from elsewhere."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar

from fhpt_eval.reporting.board import Leaderboard
from fhpt_eval.reporting.leaderboard_format import LeaderboardFormat
from fhpt_eval.reporting.notes import closing_notes, notes
from fhpt_eval.reporting.tables import CLOSE, Table, heading, tables
from fhpt_eval.text import visible


class Html(LeaderboardFormat):
    """One file. The headlines of each block stand in one table, its details in one for each of the paper's tables."""

    name: ClassVar[str] = "html"

    def text(self, board: Leaderboard) -> str:
        """Return the page."""
        from jinja2 import Environment, PackageLoader, StrictUndefined

        environment = Environment(
            loader=PackageLoader("fhpt_eval.reporting", "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
            finalize=_shown,
        )
        environment.globals |= {"heading": heading, "close": CLOSE}
        blocks = [_block(board, i) for i in range(len(board.blocks))]
        page: str = environment.get_template("leaderboard.html").render(blocks=blocks, notes=closing_notes(board))
        return page


def _block(board: Leaderboard, number: int) -> dict[str, Any]:
    shown = tables(board, number, math.inf)[0].metrics
    first = [metric for metric in shown if metric.headline] or list(shown)
    detail = [metric for metric in shown if metric not in first]
    part = partial(_part, board, number)
    return {
        "headlines": part([metric.name for metric in first]),
        "details": [part([m.name for m in detail if m.table == t]) for t in dict.fromkeys(m.table for m in detail)],
        "notes": notes(board, number),
    }


def _part(board: Leaderboard, number: int, names: list[str]) -> Table:
    return tables(replace(board, metrics={name: board.metrics[name] for name in names}), number, math.inf)[0]


def _shown(value: Any) -> Any:
    # What a macro made is a subclass of str, and markup.
    return visible(value) if type(value) is str else value
