"""Runs side by side: in one block only what was measured on the same images by the same recipe."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from fhpt_eval.evaluation.run import Recipe, Run, ScoreRecord

ARROWS = {"higher": "↑", "lower": "↓"}


@dataclass(frozen=True)
class Block:
    """Runs whose numbers can be compared.

    Attributes:
        runs: In the order in which they were given.
        apart: Why these runs do not stand in the first block; empty for the first.
    """

    runs: tuple[Run, ...]
    apart: str = ""

    @property
    def metrics(self) -> dict[str, ScoreRecord]:
        """Every metric that some run has, with one run's score of it for unit and direction."""
        return {metric: score for run in self.runs for metric, score in run.scores.items()}

    def common_mean(self, metric: str) -> tuple[list[float], int] | None:
        """Mean of a per-pair metric over the pairs on which every run has a value, for each run, and their number.

        None where that says nothing new: the metric is no mean over pairs, or no run lacks what another has.
        """
        having = [run.per_pair.set_index("pair")[metric] for run in self.runs if metric in run.per_pair]
        if len(having) < max(2, len(self.runs)):
            return None
        table = pd.concat(having, axis=1, keys=range(len(having)))
        present = table.notna()
        if (present.all(axis=1) == present.any(axis=1)).all():
            return None
        common = table[present.all(axis=1)]
        return [float(mean) for mean in common.mean()], len(common)


def blocks_of(runs: Sequence[Run]) -> list[Block]:
    """Put runs together that can be compared; the rest into blocks of their own, each with the reason.

    Two runs can be compared when they evaluated the same pairs against the same target files, and every metric that
    both have was measured by the same recipe.
    """
    groups: list[list[Run]] = []
    for run in runs:
        home = next((g for g in groups if all(difference(run, member) is None for member in g)), None)
        if home is None:
            groups.append([run])
        else:
            home.append(run)
    return [Block(tuple(g), "" if i == 0 else _apart(groups[0], g[0])) for i, g in enumerate(groups)]


def _apart(first: Sequence[Run], run: Run) -> str:
    return next(why for member in first if (why := difference(member, run)) is not None)


def difference(one: Run, other: Run) -> str | None:
    """Why two runs cannot be compared, in a phrase; None when they can."""
    if one.record.pairs.hash != other.record.pairs.hash:
        return f"other pairs than {one.record.name} ({other.record.pairs.total} against {one.record.pairs.total})"
    if one.record.pairs.content != other.record.pairs.content:
        return f"the same pairs as {one.record.name}, but other target files"
    recipes = _recipes(one)
    for metric, recipe in _recipes(other).items():
        if metric in recipes and (what := _recipe_difference(recipes[metric], recipe)) is not None:
            return f"{metric} by another recipe than {one.record.name}: {what}"
    return None


def _recipes(run: Run) -> dict[str, Recipe]:
    return {score.metric: protocol.recipe for protocol in run.record.protocols for score in protocol.scores}


def _recipe_difference(one: Recipe, other: Recipe) -> str | None:
    if one == other:
        return None
    for key in sorted(one.parameters.keys() | other.parameters.keys()):
        mine, theirs = one.parameters.get(key), other.parameters.get(key)
        if mine != theirs:
            return f"{key} is {theirs} instead of {mine}"
    for role in sorted(one.keypoints.keys() | other.keypoints.keys()):
        mine, theirs = (recipe.keypoints.get(role, "detected") for recipe in (one, other))
        if mine != theirs:
            return f"keypoints of {role} images are {theirs} instead of {mine}"
    if one.reference != other.reference:
        return "another reference set"
    if one.weights != other.weights:
        return "other weights"
    return f"version {other.version} of {other.protocol} instead of {one.version}"


def to_csv(blocks: Sequence[Block]) -> str:
    """One row a run: block, run, profile, then value, low, high, n and missing of every metric.

    The header has the direction of each metric, and its dialect with the version where that is not ours (``gfla@1:``).
    The column ``without prefix`` says whose way the others are. Columns ``METRIC common`` hold the mean over the pairs
    on which every run of the block has a value, where runs differ in that.
    """
    rows = [row for number, block in enumerate(blocks, start=1) for row in _rows(number, block)]
    header = list(dict.fromkeys(column for row in rows for column in row))
    header.remove("why apart")
    text = io.StringIO()
    writer = csv.DictWriter(text, [*header, "why apart"], restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _rows(number: int, block: Block) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = [
        {
            "block": number,
            "run": _cell(run.record.name),
            "profile": run.record.profile,
            "without prefix": _without_prefix(run),
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


def _without_prefix(run: Run) -> str:
    """Whose way of measuring numbers are that do not carry a dialect's name: ours, but for options of the user's."""
    plain = [protocol for protocol in run.record.protocols if protocol.metric is None and protocol.scores]
    own = [protocol.name for protocol in plain if protocol.dialect is None]
    ids = dict.fromkeys(protocol.dialect for protocol in plain if protocol.dialect is not None)
    return "; ".join([*map(str, ids), *([f"own options: {' '.join(own)}"] if own else [])])


def _cell(text: str) -> str:
    """Keep a spreadsheet from taking a name for a formula."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def to_markdown(blocks: Sequence[Block]) -> str:
    """A table a block, the best value of each metric in bold, and below it why the block stands apart."""
    return "\n".join(_markdown_block(block) for block in blocks)


def _markdown_block(block: Block) -> str:
    metrics = block.metrics
    lines = [
        "| run | " + " | ".join(f"{m} {ARROWS[s.better]}" for m, s in metrics.items()) + " |",
        "|---|" + "---:|" * len(metrics),
    ]
    best = {metric: _best(block, metric) for metric in metrics}
    for run in block.runs:
        cells = [_markdown_cell(run.scores.get(metric), best[metric]) for metric in metrics]
        name = run.record.name.replace("|", "\\|")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    if told := "; ".join(dict.fromkeys(filter(None, map(_without_prefix, block.runs)))):
        lines.append(f"\nMetrics without a prefix: {told}.")
    if block.apart:
        lines.append(f"\nApart from the first table: {block.apart}.")
    return "\n".join(lines) + "\n"


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
