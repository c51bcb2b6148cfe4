"""How all figures look, and how they are written."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from fhpt_eval.errors import UserError
from fhpt_eval.evaluation.named_file import write_named
from fhpt_eval.text import visible

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ENDINGS = ("png", "svg", "pdf")

COLUMN, PAGE = 3.3, 6.9
"""Width in inches of a column of a paper of two, and of the whole page."""

SMALL, NORMAL = 6.5, 7.5
"""Sizes of text in points, as captions and text of papers have them."""

LONGEST = 28
"""Characters of a name that are shown."""

_HANDLE, _LETTER, _ROW = 0.55, 0.055, 0.14
"""Inches that a legend takes for a line, a letter in `SMALL` and a row."""

DPI = 300

RIGHT, WRONG = "#009E73", "#D55E00"
"""The colours of what is right and wrong; signs tell them apart in greyscale."""

GREY = "0.35"

_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe and Ito's palette: told apart by colour-blind readers."""

_MARKERS = ("o", "s", "^", "D", "v", "P", "X")
_HATCHES = ("", "////", "....", "xxxx", "\\\\\\\\", "oo", "++")

_DATES: dict[str, dict[str, Any]] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}


class Look(NamedTuple):
    """What tells a run from the others, in colour and in greyscale."""

    colour: str
    marker: str
    hatch: str


def look(index: int) -> Look:
    """Return how the run at ``index`` looks in every figure; 49 differ."""
    turn, place = divmod(index, len(_COLOURS))
    other = (place + turn) % len(_COLOURS)
    return Look(_COLOURS[place], _MARKERS[other], _HATCHES[other])


def shown(text: str, longest: int = LONGEST) -> str:
    """Return a text that somebody chose as a figure shows it: nothing in it is a formula, nor longer than ``longest``.

    What is too long is cut in the middle, because names differ in their beginnings and ends.
    """
    text = visible(text)
    if len(text) > longest:
        begin = (longest - 1) * 2 // 3
        text = f"{text[:begin]}…{text[begin + 1 - longest :]}"
    # matplotlib takes what stands between dollars for a formula.
    return text.replace("$", r"\$")


def add_legend(figure: Figure, lines: Sequence[Any], title: str | None = None) -> None:
    """Name lines below the panels, in as many columns as fit, and make room for them."""
    labels = [str(line.get_label()) for line in lines]
    width, height = figure.get_size_inches()
    columns = max(1, min(len(lines), int(width / (_HANDLE + _LETTER * max(map(len, labels))))))
    rows = math.ceil(len(lines) / columns) + (title is not None)
    figure.set_size_inches(width, height + 0.1 + _ROW * rows)
    figure.legend(lines, labels, loc="outside lower center", ncols=columns, fontsize=SMALL, frameon=False,
                  handlelength=2.6, title=title, title_fontsize=SMALL)  # fmt: skip


def plain(panel: Any) -> None:
    """Take from a panel what says nothing, and make its text fit a paper."""
    panel.spines[["top", "right"]].set_visible(False)
    panel.tick_params(labelsize=SMALL, length=2, width=0.6)
    for side in ("left", "bottom"):
        panel.spines[side].set_linewidth(0.6)


def ending_of(file: Path) -> str:
    """Return the ending of a figure's file, in small letters.

    Raises:
        UserError: It is none of `ENDINGS`.
    """
    ending = file.suffix.removeprefix(".").lower()
    if ending not in ENDINGS:
        raise UserError(f"{file}: a figure ends in .png, .svg or .pdf.")
    return ending


def save_figure(figure: Figure, file: str | Path, *, dpi: float = DPI, overwrite: bool = False) -> None:
    """Write a figure as PNG, SVG or PDF, by the file's ending: the same figure as the same bytes.

    Args:
        figure: As `plot_…` gives it.
        file: Where it goes.
        dpi: Pixels an inch of a PNG; the figure's own where a pixel of a picture is to be a pixel of the file.
        overwrite: Replace another file.

    Raises:
        UserError: The ending is another one, or another file is there and ``overwrite`` is not set.
    """
    from matplotlib import rc_context

    file = Path(file)
    ending = ending_of(file)
    stream = io.BytesIO()
    # Without random names, and with fonts within the file.
    with rc_context({"svg.hashsalt": "fhpt-eval", "svg.fonttype": "path", "pdf.fonttype": 42}):
        figure.savefig(stream, format=ending, dpi=dpi, metadata=_DATES.get(ending))
    write_named(file, stream.getvalue(), overwrite=overwrite)
