"""docs/python.md: its blocks run one after the other, as in a notebook, and print what the page says."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import Command
from PIL import Image, ImageFilter
from test_page_commands import ROOT, lay_out

from fhpt_eval.cli import display

PAGE = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
BLOCKS = [block.partition("```")[0] for block in PAGE.split("```python\n")[1:]]


def test_the_blocks_of_the_page_run(command: Command, own_folders: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lay_out(own_folders)
    for name, model in (("A", "real"), ("B", "copy-source")):
        given = ("--quiet", "--pairs", "pairs.csv", "-s", "real", "-t", "real", "-o", f"images/{name}")
        assert command("generate", model, *given).code == 0
    shutil.copytree("images/A", "images/C")
    for path in Path("images/C").glob("*.png"):
        with Image.open(path) as image:
            image.filter(ImageFilter.GaussianBlur(2)).save(path)
    names: dict[str, Any] = {}
    capsys.readouterr()
    for block in BLOCKS:
        exec(compile(block, "docs/python.md", "exec"), names)  # noqa: S102 - our own page
    printed = capsys.readouterr().out
    for told in ("face_same@0.5", "pckh@0.1", "pckh@1.0", "kec_auc_body@0.05", "kec_auc_hands_detected@0.1"):
        assert told in printed
    for file in ("kec.pdf", "bars.pdf", "retrieval.svg", "radar.png", "gallery.png", "topk.png"):
        assert Path(file).stat().st_size > 5_000
    assert list(names["table"]) == PAGE.split("a row a run and metric: ")[1].partition(".")[0].replace("\n", " ").split(
        ", "
    )
    assert set(names["compared"].table["second"]) == {"B", "C"}


def test_in_a_notebook_there_are_bars_if_it_can_show_them(monkeypatch: pytest.MonkeyPatch) -> None:
    console = display.Console(force_jupyter=True)
    monkeypatch.setattr(display, "Console", lambda **_: console)
    for widgets in (True, False):
        monkeypatch.setattr(display, "find_spec", lambda _, there=widgets: sys if there else None)
        assert display.ProgressDisplay()._bars.disable is not widgets
    assert display.ProgressDisplay(quiet=True)._bars.disable
