"""Rendered people that come with the package: some of the test split of a data set that `fhpt-eval synth` made."""

from __future__ import annotations

from pathlib import Path

SAMPLE = Path(__file__).resolve().parent

IMAGES, PAIRS, ANNOTATION, TRUTH = "img", "pairs.csv", "annotation.csv", "truth.jsonl"
RECIPE = "recipe.json"
"""The options of the command that made the data set."""
CARD = "README.md"
