"""Rendered people that come with the package: some of the test split of a data set that `fhpt-eval synth` made."""

from __future__ import annotations

import csv
from pathlib import Path

from fhpt_eval.images import ImageRef
from fhpt_eval.pairs import Pairs
from fhpt_eval.rows import Pair, PairReport

SAMPLE = Path(__file__).resolve().parent

IMAGES, PAIRS, ANNOTATION, TRUTH = "img", "pairs.csv", "annotation.csv", "truth.jsonl"
RECIPE = "recipe.json"
"""The options of the command that made the data set."""
CARD = "README.md"


def copied_sources(count: int) -> Pairs:
    """Pairs of the sample whose generated image is the source: a floor, measured without generating anything.

    Args:
        count: How many, evenly over the list.
    """
    with (SAMPLE / PAIRS).open(encoding="utf-8", newline="") as stream:
        listed = [(row["from"], row["to"], row["item"]) for row in csv.DictReader(stream)]
    chosen = listed[:: max(1, len(listed) // count)][:count]
    rows = []
    for source, target, item in chosen:
        copied, real = (ImageRef(SAMPLE / IMAGES / name, name=name) for name in (source, target))
        rows.append(Pair(f"{source}__{target}", copied, real, copied, item))
    return Pairs(tuple(sorted(rows, key=lambda row: row.pair)), PairReport(len(rows)), "csv")
