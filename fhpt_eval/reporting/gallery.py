"""Pictures of several methods side by side, as papers have them."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from fhpt_eval.files.atomic import write_atomic
from fhpt_eval.images.decoding import Rgb

_GAP = 8
"""Pixels between pictures."""
_HEADING = 30
"""Pixels above them."""
_DPI = 160


def draw_gallery(columns: Mapping[str, Sequence[Rgb]], file: str | Path) -> None:
    """Write a PNG with a row a pair and a headed column a method; pictures keep their pixels.

    Args:
        columns: By their headings, as many pictures each (H×W×3 uint8), all of one size.
        file: Where it goes.

    Raises:
        UserError: The file cannot be written.
    """
    from matplotlib.figure import Figure

    height, width = next(iter(columns.values()))[0].shape[:2]
    across = len(columns) * (width + _GAP) - _GAP
    down = len(next(iter(columns.values()))) * (height + _GAP) - _GAP + _HEADING
    figure = Figure(figsize=(across / _DPI, down / _DPI), dpi=_DPI)
    for column, (heading, pictures) in enumerate(columns.items()):
        for row, picture in enumerate(pictures):
            left, top = column * (width + _GAP), _HEADING + row * (height + _GAP)
            panel = figure.add_axes((left / across, 1 - (top + height) / down, width / across, height / down))
            panel.imshow(picture, aspect="auto", interpolation="none")
            panel.set_axis_off()
            if row == 0:
                panel.set_title(heading, fontsize=9, pad=4)
    stream = io.BytesIO()
    figure.savefig(stream, format="png")
    write_atomic(Path(file), stream.getvalue())
