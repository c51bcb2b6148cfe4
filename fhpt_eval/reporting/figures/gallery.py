"""Pictures of several methods side by side, as papers have them."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from fhpt_eval.errors import UserError, did_you_mean
from fhpt_eval.evaluation.run import Run
from fhpt_eval.images.decoding import Rgb
from fhpt_eval.maths.statistics import Floats
from fhpt_eval.numbers import number
from fhpt_eval.reporting.comparing.measured import Measured, rows_of
from fhpt_eval.reporting.figures.checking import check_runs
from fhpt_eval.reporting.figures.pictures import choose_pairs, picture
from fhpt_eval.reporting.figures.style import GREY, RIGHT, shown
from fhpt_eval.reporting.metrics import Metric, metrics_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_GAP, _FRAMED = 8, 14
"""Pixels between pictures, and where frames stand there."""
_HEADING = 30
"""Pixels above them."""
_LINE, _NOTE, _MORE = 24, 30, 22
"""Pixels of a caption below a picture, of the note below all of them, and of each further line of that."""
_DPI = 160
_LETTER, _SMALL_LETTER = 11, 10
"""Pixels that a letter of a heading takes, and one of the note."""


_SAID = {
    "worst": "the {n} worst of {all} pairs",
    "best": "the {n} best of {all} pairs",
    "median": "the {n} of {all} pairs nearest to the median",
    "disputed": "the {n} of {all} pairs on which the runs differ most",
}


@dataclass(frozen=True)
class Cell:
    """A picture of a gallery.

    Attributes:
        picture: H×W×3 uint8; None where there is none.
        caption: Stands below it.
        colour: Of the caption, and of a frame about the picture; None for no frame. One that is not `RIGHT` is dashed.
    """

    picture: Rgb | None
    caption: str = ""
    colour: str | None = None


def draw_gallery(columns: Mapping[str, Sequence[Cell]], note: str = "") -> Figure:
    """Draw a row a pair and a headed column a method; pictures keep their pixels.

    Args:
        columns: By their headings, as many cells each. A picture that is smaller than the largest stands in the middle.
        note: Below all of them.
    """
    from matplotlib.figure import Figure

    cells = [cell for of_column in columns.values() for cell in of_column]
    height, width = _size(cells)
    framed = any(cell.colour for cell in cells)
    gap, edge = (_FRAMED, _FRAMED // 2) if framed else (_GAP, 0)
    line = _LINE if any(cell.caption for cell in cells) else 0
    across = len(columns) * (width + gap) - gap + 2 * edge
    told = textwrap.wrap(note, max(20, across // _SMALL_LETTER))
    below = _NOTE + _MORE * (len(told) - 1) if told else 0
    down = len(cells) // len(columns) * (height + line + gap) - gap + _HEADING + edge + below
    figure = Figure(figsize=(across / _DPI, down / _DPI), dpi=_DPI)
    for column, (heading, of_column) in enumerate(columns.items()):
        for row, cell in enumerate(of_column):
            left, top = edge + column * (width + gap), _HEADING + row * (height + line + gap)
            panel = figure.add_axes((left / across, 1 - (top + height) / down, width / across, height / down))
            _fill(panel, cell, height, width)
            if row == 0:
                panel.set_title(shown(heading, max(4, width // _LETTER)), fontsize=9, pad=4)
    if told:
        figure.text(0.5, below / 2 / down, "\n".join(told), ha="center", va="center", fontsize=8, color=GREY)
    return figure


def _size(cells: Sequence[Cell]) -> tuple[int, int]:
    """Return the height and width that every picture fits into."""
    heights, widths = zip((64, 32), *(c.picture.shape[:2] for c in cells if c.picture is not None), strict=True)
    return max(heights), max(widths)


def _fill(panel: Any, cell: Cell, height: int, width: int) -> None:
    """Draw one cell; a smaller picture stands on white."""
    pixels = np.full((height, width, 3), 255, dtype=np.uint8)
    if cell.picture is None:
        panel.text(0.5, 0.5, "missing", transform=panel.transAxes, ha="center", va="center", fontsize=8, color=GREY)
    else:
        high, wide = cell.picture.shape[:2]
        top, left = (height - high) // 2, (width - wide) // 2
        pixels[top : top + high, left : left + wide] = cell.picture
    panel.imshow(pixels, aspect="auto", interpolation="none")
    panel.set_axis_off()
    if cell.caption:
        panel.annotate(shown(cell.caption, max(4, width // _LETTER)), (0.5, 0), xytext=(0, -4), fontsize=8,
                       xycoords="axes fraction", textcoords="offset points", ha="center", va="top",
                       color=cell.colour or "black", annotation_clip=False)  # fmt: skip
    if cell.colour:
        from matplotlib.patches import Rectangle

        # About the picture, so that no pixel of it is hidden.
        right = cell.colour == RIGHT
        out = 2.5 if right else 1.5
        panel.add_patch(
            Rectangle((-0.5 - out, -0.5 - out), width + 2 * out, height + 2 * out, fill=False, clip_on=False,
                      edgecolor=cell.colour, linewidth=(4 if right else 2) * 72 / _DPI,
                      linestyle="solid" if right else (0, (4, 2)))
        )  # fmt: skip
        panel.set_xlim(-0.5, width - 0.5)
        panel.set_ylim(height - 0.5, -0.5)


def plot_gallery(runs: Sequence[Run], by: str | None = None, *, choose: str = "worst", count: int = 6) -> Figure:
    """Show some pairs: source, target, and what each run made of them, with its value by a metric.

    Args:
        runs: That stand in one block of a leaderboard; their images must still be where they were.
        by: A metric with a value a pair; None for the first headline that has.
        choose: Which pairs: ``worst``, ``best`` or ``median`` by the mean of the runs, or ``disputed``, on which two
            differ most.
        count: How many pairs at most.

    Raises:
        UserError: The runs cannot share a figure, there is no such metric or choice, or an image is not there.
    """
    check_runs(runs)
    metric, values = _values(runs, by)
    chosen = choose_pairs(values, metric.better, choose, count)
    names = list(runs[0].per_pair["pair"])
    columns = {
        role: [Cell(picture(runs[0], pair, role)) for pair in chosen]
        for role in ("source", "target")
        if runs[0].per_pair[role].notna().any()
    }
    for run, of_run in zip(runs, values, strict=True):
        rows = rows_of(run, names)
        # A run may be called target.
        heading = run.record.name if run.record.name not in columns else f"{run.record.name} (run)"
        columns[heading] = [
            Cell(picture(run, int(rows[pair]), "generated"), number(None if np.isnan(of_run[pair]) else of_run[pair]))
            for pair in chosen
        ]
    said = _SAID[choose].format(n=len(chosen), all=len(names))
    mean = "the runs' mean " if len(runs) > 1 and choose != "disputed" else ""
    return draw_gallery(columns, f"{said}, by {mean}{shown(metric.name, 40)} {metric.arrow}")


def _values(runs: Sequence[Run], by: str | None) -> tuple[Metric, list[Floats]]:
    """Return the metric to choose by, and for each run its values in the order of the first run's pairs."""
    order = list(runs[0].per_pair["pair"])
    metrics = metrics_of(runs)
    if by is not None and by not in metrics:
        raise UserError(f"metric '{by}' is not in any run.{did_you_mean(by, metrics)}")
    for metric in metrics.values() if by is None else [metrics[by]]:
        found = [Measured.of(run, metric.name, order).per_pair for run in runs]
        values = [of_run for of_run in found if of_run is not None]
        if len(values) == len(runs):
            return metric, values
    if by is None:
        raise UserError("no metric has a value for each pair in every run: run them with another protocol.")
    raise UserError(f"--by {by}: some run has no value of it for each pair; choose another metric.")
