"""``fhpt-eval leaderboard``: runs side by side."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fhpt_eval.cli.shared import SHOWN, AsJson, Metrics, Overwrite, Runs, TableName, metric_names
from fhpt_eval.errors import UserError, did_you_mean

if TYPE_CHECKING:
    from fhpt_eval.reporting.leaderboards.format import LeaderboardFormat


def leaderboard(
    runs: Runs,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="File to write: .csv, .md, .tex, .html; otherwise a table on the screen."),
    ] = None,
    form: Annotated[
        str | None, typer.Option("--format", help="csv, md, tex, html, or another package's; otherwise by -o's ending.")
    ] = None,
    metrics: Metrics = None,
    table: TableName = None,
    sort: Annotated[
        str | None,
        typer.Option(
            "--sort",
            metavar="METRIC",
            help="Order the runs of each block by it, the best first; otherwise as given.",
            rich_help_panel=SHOWN,
        ),
    ] = None,
    decimals: Annotated[
        int | None,
        typer.Option(
            "--decimals",
            min=0,
            max=12,
            help="Of every number; otherwise as many as fit the metric. CSV and JSON have all digits.",
            rich_help_panel=SHOWN,
        ),
    ] = None,
    intervals: Annotated[
        bool, typer.Option("--intervals", help="With 95 % intervals; CSV always has them.", rich_help_panel=SHOWN)
    ] = False,
    with_literature: Annotated[
        bool,
        typer.Option(
            "--with-literature",
            help="Published numbers under a rule; grey, with the dialect's name, where that is not the column's.",
            rich_help_panel=SHOWN,
        ),
    ] = False,
    as_json: AsJson = False,
    overwrite: Overwrite = False,
) -> None:
    """Join runs into a leaderboard: one row a run, the best of each metric in bold, the second underlined.

    Only runs with the same pairs, the same target and source files, items and genders and the same recipes share a
    block; the rest stand in blocks of their own, with the reason. A mark after the best says that it is not told apart
    from the next. CSV, HTML and JSON have all metrics where none are chosen.
    """
    from fhpt_eval.evaluation.named_file import write_named
    from fhpt_eval.evaluation.run import Run
    from fhpt_eval.reporting.leaderboards.leaderboard import Leaderboard
    from fhpt_eval.reporting.leaderboards.literature import read_literature

    if as_json and (output is not None or form is not None):
        raise UserError("--json prints on the screen, in a form of its own: leave out --output and --format.")
    chosen = _format(output, form)
    board = Leaderboard.of(
        [Run.load(folder) for folder in runs],
        metric_names(metrics),
        table=table,
        everything=as_json or (chosen is not None and chosen.everything),
        sort=sort,
        decimals=decimals,
        intervals=intervals,
        literature=read_literature() if with_literature else (),
    )
    if as_json:
        typer.echo(json.dumps(board.plain(), indent=2))
    elif chosen is None:
        from fhpt_eval.cli.display import print_board

        print_board(board)
        return
    elif output is None:
        typer.echo(chosen.text(board), nl=False)
    else:
        write_named(output, chosen.text(board), overwrite=overwrite)
        typer.echo(str(output))
    for line in board.told:
        print(f"fhpt-eval: {line}", file=sys.stderr)


def _format(output: Path | None, form: str | None) -> LeaderboardFormat | None:
    """Return the format that is asked for; None for a table on the screen.

    Raises:
        UserError: There is no such format.
    """
    from fhpt_eval.reporting.leaderboards.format import find_formats

    found = find_formats()
    for warning in found.warnings:
        print(f"fhpt-eval: warning: {warning}", file=sys.stderr)
    if form is not None:
        if form not in found.classes:
            raise UserError(f"there is no format '{form}'.{did_you_mean(form, found.classes)}")
        return found.classes[form]()
    if output is None:
        return None
    ending = output.suffix.removeprefix(".").lower()
    if ending not in found.classes:
        raise UserError(
            f"--output {output}: a leaderboard ends in {', '.join(f'.{name}' for name in found.classes)};"
            " --format names one for a file of any name."
        )
    return found.classes[ending]()
