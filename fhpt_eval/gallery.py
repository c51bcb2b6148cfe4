"""Pictures of several methods side by side, as papers have them."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from fhpt_eval.files import write_atomic
from fhpt_eval.images import Pixels

_INCHES = 1.1
"""Width of a column."""
_GAP = 0.04
"""Between pictures, as a share of their size."""
_DPI = 160
"""At which the field's images, 176 pixels wide, nearly keep their size."""


def draw_gallery(columns: Mapping[str, Sequence[Pixels]], file: Path) -> None:
    """Write a PNG with a row a pair and a headed column a method.

    Args:
        columns: By their headings, as many pictures each (H×W×3 uint8), all of one size.
        file: Where it goes.

    Raises:
        UserError: The file cannot be written.
    """
    from matplotlib.figure import Figure

    rows = list(zip(*columns.values(), strict=True))
    height, width = rows[0][0].shape[:2]
    size = (_INCHES * len(columns), _INCHES * height / width * len(rows) + 0.25)
    figure = Figure(figsize=size)
    top = 1 - 0.25 / size[1]
    grid = figure.subplots(
        len(rows),
        len(columns),
        squeeze=False,
        gridspec_kw={"left": 0, "right": 1, "bottom": 0, "top": top, "wspace": _GAP, "hspace": _GAP * width / height},
    )
    for row, panels in zip(rows, grid, strict=True):
        for picture, panel in zip(row, panels, strict=True):
            panel.imshow(picture, aspect="auto", interpolation="lanczos")
            panel.set_axis_off()
    for heading, panel in zip(columns, grid[0], strict=True):
        panel.set_title(heading, fontsize=9, pad=4)
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=_DPI)
    write_atomic(file, stream.getvalue())
