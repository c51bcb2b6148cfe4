"""Runs side by side: in one block only what was measured on the same images by the same recipe."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from fhpt_eval.evaluation.run import Run
from fhpt_eval.evaluation.run_record import Recipe
from fhpt_eval.measuring.registry import PROFILES


@dataclass(frozen=True)
class Block:
    """Runs whose numbers can be compared.

    Attributes:
        runs: In the order in which they were given.
        apart: Why these runs do not stand in the first block; empty for the first.
    """

    runs: tuple[Run, ...]
    apart: str = ""

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

    Two runs can be compared when they evaluated the same pairs against the same target files, with the same items,
    genders and views, and every metric that both have was measured by the same recipe.
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
    known = one.record.pairs.known, other.record.pairs.known
    if None not in known and len(set(known)) > 1:
        return f"the same pairs as {one.record.name}, but other items, genders or views in the list"
    recipes = _recipes(one)
    for metric, recipe in _recipes(other).items():
        if metric in recipes and (what := recipes[metric].difference(recipe)) is not None:
            return f"{metric} by another recipe than {one.record.name}: {what}"
    return None


def _recipes(run: Run) -> dict[str, Recipe]:
    return {score.metric: protocol.recipe for protocol in run.record.protocols for score in protocol.scores}


def without_prefix(run: Run) -> str:
    """Whose way of measuring numbers are that do not carry a dialect's name: ours, but for options of the user's."""
    ids, own = _plainly_measured(run)
    return "; ".join([*ids, *([f"own options: {' '.join(own)}"] if own else [])])


def how_measured(runs: Sequence[Run]) -> str:
    """Return the same of several runs in a sentence for people; empty where all numbers are of other dialects."""
    plain = [_plainly_measured(run) for run in runs]
    ids = dict.fromkeys(f"profile {name}" if name in PROFILES else name for names, _ in plain for name in names)
    own = dict.fromkeys(name for _, names in plain for name in names)
    ways = [f"by fhpt-eval's defaults ({'; '.join(ids)})"] if ids else []
    ways += [f"with options of your own: {', '.join(own)}"] if own else []
    if not ways:
        return ""
    others = any(protocol.metric is not None and protocol.scores for run in runs for protocol in run.record.protocols)
    what = "metrics without a prefix are measured" if others else "measured"
    return f"{what} {'; '.join(ways)}, see docs/dialects.md"


def _plainly_measured(run: Run) -> tuple[list[str], list[str]]:
    """Return whose defaults gave numbers without a prefix, and the protocols with options of the user's."""
    plain = [protocol for protocol in run.record.protocols if protocol.metric is None and protocol.scores]
    ids = dict.fromkeys(protocol.dialect for protocol in plain if protocol.dialect is not None)
    return [*ids], [protocol.name for protocol in plain if protocol.dialect is None]
