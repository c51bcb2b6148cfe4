"""Options and exit codes that several sub-commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

DONE, BUG, WRONG_USE, DONE_IN_PART, INTERRUPTED = 0, 1, 2, 3, 130

WeightsDir = Annotated[
    Path | None,
    typer.Option(
        "--weights-dir", help="Folder to look in first and to write to; else FHPT_EVAL_WEIGHTS, else the user's cache."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
