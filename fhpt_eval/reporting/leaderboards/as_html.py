"""Leaderboards as a page: columns that sort, details folded away, nothing from elsewhere."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

from fhpt_eval.reporting.leaderboards.format import LeaderboardFormat
from fhpt_eval.reporting.leaderboards.leaderboard import Leaderboard
from fhpt_eval.reporting.leaderboards.notes import closing_notes, notes
from fhpt_eval.reporting.leaderboards.tables import CLOSE, heading, tables
from fhpt_eval.text import visible

WIDTH = 130
"""Characters that the page is wide."""


class Html(LeaderboardFormat):
    """One file: of each block the headlines, and the details folded away."""

    name: ClassVar[str] = "html"

    def text(self, board: Leaderboard) -> str:
        """Return the page."""
        from jinja2 import Environment, PackageLoader, StrictUndefined

        environment = Environment(
            loader=PackageLoader("fhpt_eval.reporting.leaderboards"),
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
    own = {name: m for name, m in board.metrics.items() if any(name in run.scores for run in board.blocks[number].runs)}
    first = {name: metric for name, metric in own.items() if metric.headline} or own
    detail = {name: metric for name, metric in own.items() if name not in first}
    return {
        "headlines": tables(replace(board, metrics=first), number, WIDTH),
        "details": tables(replace(board, metrics=detail), number, WIDTH) if detail else [],
        "notes": notes(board, number),
    }


def _shown(value: Any) -> Any:
    # What a macro made is a subclass of str, and markup.
    return visible(value) if type(value) is str else value
