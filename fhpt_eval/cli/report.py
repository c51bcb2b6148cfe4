"""``fhpt-eval report``: one page about runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fhpt_eval.cli.shared import Overwrite, Quiet, Runs, say_changed


def report(
    runs: Runs,
    output: Annotated[Path, typer.Option("--output", "-o", help="report.html.")],
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> None:
    """Write one self-contained page about runs: what they come to, the curves, and the pictures behind the numbers.

    The first run is what the others are compared with. The page opens in any browser, asks no network for anything, and
    holds small copies of the pictures that it shows; they are read from where `fhpt-eval run` found them.
    """
    from fhpt_eval.cli.display import ProgressDisplay
    from fhpt_eval.errors import UserError
    from fhpt_eval.evaluation.run import Run
    from fhpt_eval.reporting.page.document import write_report

    if output.suffix.lower() not in {".html", ".htm"}:
        raise UserError(f"{output}: a report ends in .html.")
    loaded = [Run.load(folder) for folder in runs]
    with ProgressDisplay(quiet=quiet) as progress:
        changed = write_report(loaded, output, progress, overwrite=overwrite)
    typer.echo(str(output))
    say_changed(changed)
