"""Rendered people that come with the package: some of the test split of a data set that `fhpt-eval synth` made."""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from itertools import zip_longest
from pathlib import Path

import numpy as np

from fhpt_eval.errors import UserError
from fhpt_eval.files.csv_table import csv_text
from fhpt_eval.images.decoding import ImageRef
from fhpt_eval.pairing.pairs import Pairs
from fhpt_eval.pairing.rows import Pair, PairReport

SAMPLE = Path(__file__).resolve().parent

IMAGES, PAIRS, ANNOTATION, TRUTH = "img", "pairs.csv", "annotation.csv", "truth.jsonl"
RECIPE = "recipe.json"
"""The options of the command that made the data set."""
CARD = "README.md"


def some_pairs(count: int) -> str:
    """Return the list of so many of the sample's pairs: of each person as many as of the others, otherwise at random.

    The first ones are those of every larger number.

    Raises:
        UserError: The sample has no such number.
    """
    with (SAMPLE / PAIRS).open(encoding="utf-8", newline="") as stream:
        header, *rows = csv.reader(stream)
    if not 0 < count <= len(rows):
        raise UserError(f"--pairs cannot be {count}: the sample has {len(rows)}, so give a number from 1 to that.")
    of_person: dict[str, list[list[str]]] = defaultdict(list)
    for index in np.random.default_rng(0).permutation(len(rows)):
        of_person[rows[index][header.index("identity")]].append(rows[index])
    in_turn = [row for turn in zip_longest(*of_person.values()) for row in turn if row is not None]
    return csv_text([header, *in_turn[:count]])


def copied_sources(count: int) -> Pairs:
    """`some_pairs` with the source as the generated image: a floor, measured without generating anything.

    Raises:
        UserError: The sample has no such number.
    """
    rows = []
    for listed in csv.DictReader(io.StringIO(some_pairs(count))):
        source, target = listed["from"], listed["to"]
        copied, real = (ImageRef(SAMPLE / IMAGES / name, name=name) for name in (source, target))
        rows.append(Pair(f"{source}__{target}", copied, real, copied, listed["item"]))
    return Pairs(tuple(sorted(rows, key=lambda row: row.pair)), PairReport(len(rows)), "csv")
