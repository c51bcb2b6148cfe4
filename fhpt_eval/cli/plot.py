"""``fhpt-eval plot``: figures of runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fhpt_eval.cli.shared import Overwrite

app = typer.Typer(no_args_is_help=True, help="Draw figures of runs.")


@app.callback()
def plot() -> None:
    """Draw figures of runs."""


@app.command()
def kec(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Folders that `fhpt-eval run -o` wrote.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="kec.png, kec.svg or kec.pdf.")],
    overwrite: Overwrite = False,
) -> None:
    """Draw the keypoint error curves of body, face and hands, as the paper's Fig. 7, and those of other packages.

    The axes cover 90 % of the distances of all runs shown; hands have at least twice the body's axis. In brackets:
    the metric's value, which is the area under the solid curve from 0 to α_max, divided by α_max. That is not the end
    of the axis: a dotted line marks α_max, a share of the target's height (`fhpt-eval protocols kec`), or an arrow says
    that it lies further to the right.
    """
    from fhpt_eval.evaluation.run import Run
    from fhpt_eval.reporting.plots import plot_curves

    plot_curves([Run.load(folder) for folder in runs], output, overwrite=overwrite)
    typer.echo(str(output))
