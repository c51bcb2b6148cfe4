"""``fhpt-eval plot``: figures of runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fhpt_eval.cli.shared import Metrics, Overwrite, Runs, TableName, metric_names, say_changed

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from fhpt_eval.evaluation.run import Run

app = typer.Typer(no_args_is_help=True, help="Draw figures of runs.")


def _figure_file(output: Path) -> Path:
    """Refuse a file that cannot be written before anything is drawn."""
    from fhpt_eval.reporting.figures.style import ending_of

    ending_of(output)
    return output


Output = Annotated[
    Path, typer.Option("--output", "-o", callback=_figure_file, help="A file that ends in .png, .svg or .pdf.")
]
Choose = Annotated[
    str,
    typer.Option(
        "--choose",
        help="Which: worst, best or nearest to the median by the mean of the runs, or disputed, where two differ most.",
    ),
]
Count = Annotated[int, typer.Option("--count", "-n", min=1, help="How many, at most.")]


@app.callback()
def plot() -> None:
    """Draw figures of runs."""


@app.command()
def kec(runs: Runs, output: Output, overwrite: Overwrite = False) -> None:
    """Draw the keypoint error curves of body, face and hands, as the paper's Fig. 7, and those of other packages.

    The axes cover 90 % of the distances of all runs shown; hands have at least twice the body's axis. In brackets:
    the metric's value, which is the area under the solid curve from 0 to α_max, divided by α_max. That is not the end
    of the axis: a dotted line marks α_max, a share of the target's height (`fhpt-eval protocols kec`), or an arrow says
    that it lies further to the right.
    """
    from fhpt_eval.reporting.figures.error_curves import plot_kec

    _write(plot_kec(_load(runs)), output, overwrite)


@app.command()
def bars(
    runs: Runs,
    output: Output,
    metrics: Metrics = None,
    table: TableName = None,
    overwrite: Overwrite = False,
) -> None:
    """Draw the headline metrics with their 95 % intervals, a panel a metric.

    With three runs or more, letters stand beside the values: runs that share one cannot be told apart.
    """
    from fhpt_eval.reporting.figures.bars import plot_bars

    _write(plot_bars(_load(runs), metric_names(metrics), table=table), output, overwrite)


@app.command()
def retrieval(runs: Runs, output: Output, overwrite: Overwrite = False) -> None:
    """Draw recall over K, a panel a network, with the controls: real targets (ceiling), chance (floor), the source."""
    from fhpt_eval.reporting.figures.recall import plot_retrieval

    _write(plot_retrieval(_load(runs)), output, overwrite)


@app.command()
def radar(runs: Runs, output: Output, overwrite: Overwrite = False) -> None:
    """Draw where each run stands among the others in the three objectives: perceptual, structural, semantic.

    An axis is the share of its comparisons with the other runs shown that a run wins, over the headline metrics of the
    objective; what cannot be told apart counts a half. It says who is ahead in what, not by how much.
    """
    from fhpt_eval.reporting.figures.radar import plot_radar

    _write(plot_radar(_load(runs)), output, overwrite)


@app.command()
def gallery(
    runs: Runs,
    output: Output,
    by: Annotated[
        str | None, typer.Option("--by", metavar="METRIC", help="Metric to choose pairs by; else the first headline.")
    ] = None,
    choose: Choose = "worst",
    count: Count = 6,
    overwrite: Overwrite = False,
) -> None:
    """Show source, target and what each run made of it, for the worst, best, median or most disputed pairs.

    The pictures are read from where they lay when they were scored. Below each stands its value.
    """
    from fhpt_eval.reporting.figures.gallery import plot_gallery

    loaded = _load(runs)
    figure = plot_gallery(loaded, by, choose=choose, count=count)
    _write(figure, output, overwrite, dpi=figure.dpi)
    _look(loaded)


@app.command()
def topk(
    runs: Runs,
    output: Output,
    by: Annotated[
        str | None,
        typer.Option("--by", metavar="METRIC", help="Whose ranking, such as recall@10[vgg16]; else the first kept."),
    ] = None,
    choose: Choose = "median",
    count: Count = 4,
    overwrite: Overwrite = False,
) -> None:
    """Show generated images and the ten sources nearest to them, as the paper's Fig. 9: green is right, red is not.

    Queries are chosen by the rank of their first right answer. In greyscale: right ones have a solid frame and ✓,
    others a dashed one and ×.
    """
    from fhpt_eval.reporting.figures.topk import plot_topk

    loaded = _load(runs)
    figure = plot_topk(loaded, by, choose=choose, count=count)
    _write(figure, output, overwrite, dpi=figure.dpi)
    _look(loaded)


def _load(folders: list[Path]) -> list[Run]:
    from fhpt_eval.evaluation.run import Run

    return [Run.load(folder) for folder in folders]


def _look(runs: list[Run]) -> None:
    """Say which pictures are not those that were measured."""
    from fhpt_eval.cli.display import ProgressDisplay
    from fhpt_eval.reporting.figures.on_disk import changes

    with ProgressDisplay() as progress:
        changed = changes(runs, progress)
    say_changed(changed)


def _write(figure: Figure, output: Path, overwrite: bool, dpi: float | None = None) -> None:
    from fhpt_eval.reporting.figures.style import DPI, save_figure

    save_figure(figure, output, dpi=dpi or DPI, overwrite=overwrite)
    typer.echo(str(output))
