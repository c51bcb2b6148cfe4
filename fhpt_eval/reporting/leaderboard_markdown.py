"""Leaderboards as Markdown, for pages and issues."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from fhpt_eval.evaluation.run_record import ScoreRecord
from fhpt_eval.reporting.leaderboard import ARROWS, Block, without_prefix
from fhpt_eval.reporting.leaderboard_format import LeaderboardFormat
from fhpt_eval.text import visible


class Markdown(LeaderboardFormat):
    """A table a block, the best value of each metric in bold, and below it why the block stands apart."""

    name: ClassVar[str] = "md"

    def text(self, blocks: Sequence[Block]) -> str:
        """Return the tables, one below the other."""
        return "\n".join(_markdown_block(block) for block in blocks)


def _markdown_block(block: Block) -> str:
    metrics = block.metrics
    lines = [
        "| run | " + " | ".join(f"{_text(m)} {ARROWS[s.better]}" for m, s in metrics.items()) + " |",
        "|---|" + "---:|" * len(metrics),
    ]
    best = {metric: _best(block, metric) for metric in metrics}
    for run in block.runs:
        cells = [_markdown_cell(run.scores.get(metric), best[metric]) for metric in metrics]
        lines.append(f"| {_text(run.record.name)} | " + " | ".join(cells) + " |")
    if told := "; ".join(dict.fromkeys(filter(None, map(without_prefix, block.runs)))):
        lines.append(f"\nMetrics without the prefix of a dialect: {_text(told)}.")
    if block.apart:
        lines.append(f"\nApart from the first table: {_text(block.apart)}.")
    return "\n".join(lines) + "\n"


def _text(text: str) -> str:
    """Keep a name from ending a cell, and from being HTML or a link."""
    return visible(text).replace("|", "\\|").replace("<", "\\<").replace("](", "]\\(")


def _best(block: Block, metric: str) -> float | None:
    scores = [score for run in block.runs if (score := run.scores.get(metric)) is not None]
    values = [score.value for score in scores if score.value is not None]
    if len(values) < 2:
        return None
    return max(values) if scores[0].better == "higher" else min(values)


def _markdown_cell(score: ScoreRecord | None, best: float | None) -> str:
    if score is None or score.value is None:
        return "–"
    value = f"{score.value:.4g}"
    text = f"**{value}**" if score.value == best else value
    if score.interval is not None:
        text += f" [{score.interval[0]:.4g}, {score.interval[1]:.4g}]"
    lacking = sum(score.missing.values())
    return f"{text} ({lacking} missing of {score.n + lacking})" if lacking else text
