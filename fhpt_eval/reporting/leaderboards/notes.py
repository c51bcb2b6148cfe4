"""What must be known below a leaderboard's tables, in sentences."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from fhpt_eval.maths.differences import LEVEL
from fhpt_eval.measuring.protocol import one_of, resampled
from fhpt_eval.reporting.blocks import Block, how_measured
from fhpt_eval.reporting.leaderboards.leaderboard import Leaderboard
from fhpt_eval.reporting.leaderboards.remarks import remarks_of
from fhpt_eval.reporting.leaderboards.standings import Standing
from fhpt_eval.reporting.leaderboards.tables import CLOSE, placed
from fhpt_eval.reporting.metrics import Metric


def notes(board: Leaderboard, number: int) -> list[str]:
    """Return what must be known below the tables of a block, a sentence each."""
    block, standing = board.blocks[number], board.standings[number]
    lines = _about_standings(standing, one_of(resampled(list(block.runs[0].per_pair["item"]))))
    lines += _missing(block, board.metrics.values())
    lines += [f"{run.record.name}: {line}" for run in block.runs for line in remarks_of(run)]
    if told := how_measured(block.runs):
        lines.append(told)
    return lines + ([f"apart from the first table: {block.apart}"] if block.apart else [])


def closing_notes(board: Leaderboard) -> list[str]:
    """Return what must be known below all tables."""
    lines = list(board.remarks)
    if board.left_out:
        count = len(board.left_out)
        what = "metric" if any(metric.headline for metric in board.left_out) else "detail"
        number = f"{count} {what}s are" if count > 1 else f"1 {what} is"
        named = ", ".join(metric.name for metric in board.left_out[:_NAMED]) + (", …" if count > _NAMED else "")
        shows = f"--table all shows {'them' if count > 1 else 'it'}, --metrics those it names"
        lines.append(f"{number} left out ({named}): {shows}")
    return lines + _about_literature(board)


_NAMED = 3


def _about_standings(standing: Mapping[str, Standing], one: str) -> list[str]:
    lines = []
    if any(found.best for found in standing.values()):
        lines.append("bold: best; underlined: second")
    tested = [found.close for found in standing.values() if found.close is not None]
    if tested:
        told, sign = (
            (f"{CLOSE}: not told apart from the next", ">")
            if any(tested)
            else ("the best is told apart from the next", "≤")
        )
        lines.append(
            f"{told}, by resampling {one}s (p {sign} {LEVEL:g} on common pairs, adjusted by Holm over every two runs"
            " and all these metrics)"
        )
    if tied := [name for name, found in standing.items() if len(found.best) > 1]:
        lines.append(f"several are best, with equal values, in {', '.join(tied)}")
    reasons: dict[str, list[str]] = {}
    for name, found in standing.items():
        if found.why:
            reasons.setdefault(found.why, []).append(name)
    for why, names in reasons.items():
        what = "best and next not compared" if standing[names[0]].best else "no run is marked as best"
        lines.append(f"{what} in {', '.join(names)}: {why}")
    return lines


def _missing(block: Block, metrics: Iterable[Metric]) -> list[str]:
    """Say what a number lacks; once for metrics that lack the same."""
    lacking: dict[str, list[str]] = {}
    for metric in metrics:
        scores = {i: s for i, run in enumerate(block.runs) if (s := run.scores.get(metric.name)) is not None}
        shares = {i: f"{n} of {n + s.n}" for i, s in scores.items() if (n := sum(s.missing.values()))}
        if not shares:
            continue
        alike = len(block.runs) > 1 and len(shares) == len(block.runs) and len(set(shares.values())) == 1
        told = f"{shares[0]} in each run" if alike else _in_runs(block, shares)
        lacking.setdefault(told, []).append(metric.name)
    return [f"missing: {', '.join(names)}: {told}" for told, names in lacking.items()]


def _in_runs(block: Block, shares: Mapping[int, str]) -> str:
    return ", ".join(f"{share} in {block.runs[i].record.name}" for i, share in shares.items())


def _about_literature(board: Leaderboard) -> list[str]:
    if not board.literature:
        return []
    shown = placed(board)
    if not shown:
        return ["no published number is of a metric that stands here"]
    totals = sorted({run.record.pairs.total for block in board.blocks for run in block.runs})
    lines = [
        "below the rule: published numbers, of DeepFashion's 8,570 test pairs or as their sources say; these runs have"
        f" {', '.join(f'{total:,}' for total in totals)}; grey where they were measured in another way than the column,"
        " with the dialect in brackets"
    ]
    for source in dict.fromkeys(each.source for each in shown):
        numbers = [each.number for each in shown if each.source == source]
        about: dict[str, dict[str, None]] = {}
        for number in numbers:
            if number.note:
                about.setdefault(number.note, {})[number.method] = None
        told = "; ".join(f"{', '.join(methods)}: {note}" for note, methods in about.items())
        lines.append(f"[{source}] {numbers[0].source}{f' ({told})' if told else ''}")
    return lines
