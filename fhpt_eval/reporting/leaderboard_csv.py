"""Leaderboards as CSV, for spreadsheets and scripts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from fhpt_eval.files.csv_table import csv_text
from fhpt_eval.reporting.leaderboard import ARROWS, Block, without_prefix
from fhpt_eval.reporting.leaderboard_format import LeaderboardFormat


class Csv(LeaderboardFormat):
    """One row a run: block, run, profile, then value, low, high, n and missing of every metric.

    The header has the direction of each metric, and its dialect with the version where that is not ours (``gfla@1:``).
    The column ``without prefix`` says whose way the others are. Columns ``METRIC common`` hold the mean over the pairs
    on which every run of the block has a value, where runs differ in that.
    """

    name: ClassVar[str] = "csv"

    def text(self, blocks: Sequence[Block]) -> str:
        """Return the table with its header."""
        rows = [row for number, block in enumerate(blocks, start=1) for row in _rows(number, block)]
        header = list(dict.fromkeys(column for row in rows for column in row))
        header.remove("why apart")
        header.append("why apart")
        return csv_text([header, *([row.get(column, "") for column in header] for row in rows)])


def _rows(number: int, block: Block) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = [
        {
            "block": number,
            "run": run.record.name,
            "profile": run.record.profile,
            "without prefix": without_prefix(run),
        }
        for run in block.runs
    ]
    for metric, about in block.metrics.items():
        title = f"{metric} {ARROWS[about.better]}"
        for row, run in zip(rows, block.runs, strict=True):
            score = run.scores.get(metric)
            row[title] = "" if score is None or score.value is None else score.value
            low, high = ("", "") if score is None or score.interval is None else score.interval
            row |= {f"{metric} low": low, f"{metric} high": high}
            row[f"{metric} n"] = "" if score is None else score.n
            row[f"{metric} missing"] = "" if score is None else sum(score.missing.values())
        if (common := block.common_mean(metric)) is not None:
            means, count = common
            for row, mean in zip(rows, means, strict=True):
                row[f"{metric} common"] = mean if count else ""
                row[f"{metric} common n"] = count
    for row in rows:
        row["why apart"] = block.apart
    return rows
