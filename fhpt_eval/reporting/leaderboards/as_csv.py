"""Leaderboards as CSV, for spreadsheets and scripts."""

from __future__ import annotations

from typing import ClassVar

from fhpt_eval.files.csv_table import csv_text
from fhpt_eval.reporting.blocks import Block, without_prefix
from fhpt_eval.reporting.leaderboards.format import LeaderboardFormat
from fhpt_eval.reporting.leaderboards.leaderboard import Leaderboard
from fhpt_eval.reporting.leaderboards.remarks import remarks_of


class Csv(LeaderboardFormat):
    """One row a run: block, run, profile, then value, low, high, n and missing of every metric.

    The header has the direction of each metric, and its dialect with the version where that is not ours (``gfla@2:``).
    The column ``without prefix`` says whose way the others are. Columns ``METRIC common`` hold the mean over the pairs
    on which every run of the block has a value, where runs differ in that. ``remarks`` is there where a run is partial.

    Published numbers stand in rows of the block ``literature``, each in the column of its dialect and metric, which is
    ``unknown:METRIC`` where nobody says which code measured it, with resolution, source and note.
    """

    name: ClassVar[str] = "csv"

    def text(self, board: Leaderboard) -> str:
        """Return the table with its header."""
        rows = [row for number, block in enumerate(board.blocks, start=1) for row in _rows(board, number, block)]
        rows += _published(board)
        header = list(dict.fromkeys(column for row in rows for column in row))
        header.remove("why apart")
        header.append("why apart")
        return csv_text([header, *([row.get(column, "") for column in header] for row in rows)])


def _rows(board: Leaderboard, number: int, block: Block) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = [
        {
            "block": number,
            "run": run.record.name,
            "profile": run.record.profile,
            "without prefix": without_prefix(run),
        }
        for run in block.runs
    ]
    for metric, about in board.metrics.items():
        if all(metric not in run.scores for run in block.runs):
            continue
        title = f"{metric} {about.arrow}"
        for row, run in zip(rows, block.runs, strict=True):
            score = run.scores.get(metric)
            row[title] = "" if score is None else score.not_finite or ("" if score.value is None else score.value)
            low, high = ("", "") if score is None or score.interval is None else score.interval
            row |= {f"{metric} low": low, f"{metric} high": high}
            row[f"{metric} n"] = "" if score is None else score.n
            row[f"{metric} missing"] = "" if score is None else sum(score.missing.values())
        if (common := block.common_mean(metric)) is not None:
            means, count = common
            for row, mean in zip(rows, means, strict=True):
                row[f"{metric} common"] = mean if count else ""
                row[f"{metric} common n"] = count
    for row, run in zip(rows, block.runs, strict=True):
        if told := remarks_of(run):
            row["remarks"] = "; ".join(told)
        row["why apart"] = block.apart
    return rows


def _published(board: Leaderboard) -> list[dict[str, object]]:
    """Return a row for each method, resolution and source; and one more where that has a number twice."""
    rows: list[dict[str, object]] = []
    for number in board.literature:
        about: dict[str, object] = {"block": "literature", "run": number.method, "resolution": number.resolution}
        about["source"] = number.source
        known = board.metrics.get(number.name)
        title = number.name if known is None else f"{number.name} {known.arrow}"
        home = next((row for row in rows if about.items() <= row.items() and title not in row), None)
        if home is None:
            rows.append(home := dict(about))
        home[title] = number.value
        if number.std:
            home[f"{number.name} std"] = number.std
        home["note"] = "; ".join(dict.fromkeys(filter(None, (str(home.get("note", "")), number.note))))
    return rows
