"""``fhpt-eval leaderboard``: runs side by side."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from fhpt_eval.cli.shared import Overwrite
from fhpt_eval.errors import UserError, did_you_mean


def leaderboard(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Folders that `fhpt-eval run -o` wrote.")],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="File to write; printed if not given.")] = None,
    form: Annotated[
        str | None, typer.Option("--format", help="csv, md, or another package's; otherwise by -o's ending, else csv.")
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Join runs into a leaderboard: one row per run; value, interval, n and missing of every metric.

    Only runs with the same pairs, the same target and source files, items and genders and the same recipes share a
    block; the rest stand in blocks of their own, with the reason.
    """
    from fhpt_eval.evaluation.run import Run
    from fhpt_eval.files.atomic import write_named
    from fhpt_eval.reporting.leaderboard import blocks_of
    from fhpt_eval.reporting.leaderboard_format import find_formats

    found = find_formats()
    for warning in found.warnings:
        print(f"fhpt-eval: warning: {warning}", file=sys.stderr)
    ending = "" if output is None else output.suffix.removeprefix(".").lower()
    chosen = form or (ending if ending in found.classes else "csv")
    if chosen not in found.classes:
        raise UserError(f"there is no format '{chosen}'.{did_you_mean(chosen, found.classes)}")
    blocks = blocks_of([Run.load(folder) for folder in runs])
    text = found.classes[chosen]().text(blocks)
    if output is None:
        typer.echo(text, nl=False)
    else:
        write_named(output, text, overwrite=overwrite)
        typer.echo(str(output))
    for block in blocks[1:]:
        names = ", ".join(run.record.name for run in block.runs)
        print(f"fhpt-eval: in a block of its own: {names}: {block.apart}", file=sys.stderr)
