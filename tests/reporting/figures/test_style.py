"""How figures look and how they are written: told apart without colour, names inert, the same bytes again."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from matplotlib.figure import Figure
from PIL import Image

from fhpt_eval.errors import UserError
from fhpt_eval.reporting.figures.style import ENDINGS, LONGEST, look, save_figure, shown


def figure(title: str = "a title") -> Figure:
    drawn = Figure(figsize=(2, 1), layout="constrained")
    drawn.add_subplot().set_title(title)
    return drawn


def test_forty_nine_runs_are_told_apart_and_seven_without_colour() -> None:
    assert len({look(i) for i in range(49)}) == 49
    assert len({look(i).marker for i in range(7)}) == len({look(i).hatch for i in range(7)}) == 7


@pytest.mark.parametrize("name", ["$x$", "$\\nothing$", "\\$x$", "$$", "a$b", "%_&#{}^~", "\x1b[31mred\n", "<script>"])
def test_a_name_is_shown_as_it_is_and_does_nothing(name: str) -> None:
    drawn = figure(shown(name))
    drawn.savefig(io.BytesIO())
    (text,) = (axes.title for axes in drawn.axes)
    written, math = text._preprocess_math(text.get_text())  # type: ignore[attr-defined]
    assert not math
    assert written.isprintable()
    if name.isprintable():
        assert written == name


def test_a_long_name_keeps_its_beginning_and_end() -> None:
    name = "a_method_with_a_very_long_name_that_ends_in_version_2"
    text = shown(name)
    assert len(text) == LONGEST
    assert re.fullmatch("a_method_with_a_ver.*…version_2|a_method.*….*version_2", text)
    assert shown(name[:LONGEST]) == name[:LONGEST]


@pytest.mark.parametrize("ending", ENDINGS)
def test_the_same_figure_is_the_same_file(tmp_path: Path, ending: str) -> None:
    for name in "ab":
        save_figure(figure(), tmp_path / f"{name}.{ending}")
    assert (tmp_path / f"a.{ending}").read_bytes() == (tmp_path / f"b.{ending}").read_bytes()
    with pytest.raises(UserError, match="--overwrite"):
        save_figure(figure("another"), tmp_path / f"a.{ending}")


def test_fonts_are_in_the_file_and_dates_are_not(tmp_path: Path) -> None:
    save_figure(figure(), tmp_path / "a.pdf")
    pdf = (tmp_path / "a.pdf").read_bytes()
    assert b"/FontFile2" in pdf, "no TrueType font is embedded"
    assert b"/Type3" not in pdf
    assert b"CreationDate" not in pdf
    save_figure(figure(), tmp_path / "a.svg")
    svg = (tmp_path / "a.svg").read_text(encoding="utf-8")
    assert "<text" not in svg, "glyphs are paths"
    assert "dc:date" not in svg


def test_a_png_is_for_print_or_has_the_pixels_of_its_pictures(tmp_path: Path) -> None:
    save_figure(figure(), tmp_path / "print.png")
    save_figure(figure(), tmp_path / "pixels.png", dpi=50)
    with Image.open(tmp_path / "print.png") as large, Image.open(tmp_path / "pixels.png") as small:
        assert (large.size, small.size) == ((600, 300), (100, 50))


@pytest.mark.parametrize("name", ["a.jpg", "a", "a.PNGG"])
def test_another_ending_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match=r"ends in \.png, \.svg or \.pdf\."):
        save_figure(figure(), tmp_path / name)
    assert not list(tmp_path.iterdir())
