"""Options and exit codes that several sub-commands share."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from fhpt_eval.errors import UserError

DONE, BUG, WRONG_USE, DONE_IN_PART, INTERRUPTED = 0, 1, 2, 3, 130

WeightsDir = Annotated[
    Path | None,
    typer.Option(
        "--weights-dir", help="Folder to look in first and to write to; else FHPT_EVAL_WEIGHTS, else the user's cache."
    ),
]
NAMED = 5
"""Missing things that are named on stderr, before the rest is counted."""


def settings(given: Sequence[str]) -> dict[str, str]:
    """Options given as ``--set OPTION=VALUE``.

    Raises:
        UserError: One has no ``=``, or is given twice.
    """
    values: dict[str, str] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals:
            raise UserError(f"--set {text}: write OPTION=VALUE.")
        if name in values:
            raise UserError(f"--set {name} is given twice: keep one.")
        values[name] = value
    return values


def name_missing(what: str, missing: Mapping[str, str]) -> None:
    """Say on stderr what is missing and why."""
    for name, why in list(missing.items())[:NAMED]:
        print(f"fhpt-eval: {what}: {name}: {why}", file=sys.stderr)
    if (more := len(missing) - NAMED) > 0:
        print(f"fhpt-eval: {what}: and {more} more", file=sys.stderr)


AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
