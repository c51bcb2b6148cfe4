"""A number that is not finite, as the original's script prints it: in the record, and in every command."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

if TYPE_CHECKING:
    from conftest import Command, Draw

INF, NAN = "gfla@2:psnr", "gfla@2:mae"


@pytest.fixture
def folders(command: Command, draw: Draw) -> tuple[str, str]:
    """Runs ``good`` and ``odd`` in the dialect of GFLA; of the second one image is the target and black."""
    real = draw("real", "abcdef", 1, (256, 256))
    for name, seed in (("good", 2), ("odd", 3)):
        draw(name, "abcdef", seed, (256, 256))
    black = Image.fromarray(np.zeros((256, 256, 3), np.uint8))
    black.save(real / "a.png")
    black.save(Path("odd/a.png"))
    for name in ("good", "odd"):
        asked = ("run", "-g", name, "-t", str(real), "--dialect", "gfla", "-p", "psnr,l1", "--name", name)
        assert command(*asked, "-o", f"of-{name}").code == (3 if name == "odd" else 0)
    return "odd", str(real)


def test_the_record_says_what_stands_in_place_of_a_number(folders: tuple[str, str]) -> None:
    record = json.loads(Path("of-odd/run.json").read_text(encoding="utf-8"))
    scores = {score["metric"]: score for protocol in record["protocols"] for score in protocol["scores"]}
    assert [(scores[m]["value"], scores[m]["not_finite"]) for m in (INF, NAN)] == [(None, "inf"), (None, "NaN")]
    assert scores[INF]["missing"] == {"identical images (infinite PSNR)": 1}
    assert scores[NAN]["missing"] == {"both images are black: no relative difference": 1}
    assert scores["gfla@2:l1"]["value"] > 0
    assert f"{INF}: inf, because of 1 × identical images (infinite PSNR)" in record["warnings"]
    assert f"{NAN}: NaN, because of 1 × both images are black: no relative difference" in record["warnings"]
    first = Path("of-odd/missing.csv").read_text(encoding="utf-8").splitlines()
    assert sorted(line.split(",")[0] for line in first[1:]) == [NAN, INF]


def test_every_command_shows_it(command: Command, folders: tuple[str, str]) -> None:
    generated, real = folders
    both = ("of-good", "of-odd")
    for form in ((), ("--json",), *(("--format", name) for name in ("csv", "html", "md", "tex"))):
        board = command("leaderboard", *both, "--table", "all", *form)
        assert board.code in {0, 3}, board
        assert "inf" in board.out
        assert "NaN" in board.out
    compared = command("compare", *both, "--table", "all")
    assert compared.code in {0, 3}, compared
    assert "odd has inf" in compared.out
    assert "odd has NaN" in compared.out
    reported = command("report", *both, "-o", "page.html")
    assert reported.code in {0, 3}, reported
    page = Path("page.html").read_text(encoding="utf-8")
    assert ">inf<" in page
    assert ">NaN<" in page
    verified = command("verify", "of-odd", "-g", generated, "-t", real, "--device", "cpu")
    assert verified.code == 0, verified
    assert "inf" in verified.out
    again = json.loads(command("verify", "of-odd", "-g", generated, "-t", real, "--device", "cpu", "--json").out)
    shown = {number["metric"]: (number["recorded"], number["found"]) for number in again["numbers"]}
    assert shown[INF] == ("inf", "inf")
    assert shown[NAN] == ("NaN", "NaN")


def test_a_record_that_has_a_number_instead_does_not_follow(command: Command, folders: tuple[str, str]) -> None:
    generated, real = folders
    text = Path("of-odd/run.json").read_text(encoding="utf-8")
    Path("of-odd/run.json").write_text(text.replace('"not_finite": "inf"', '"not_finite": "NaN"'), encoding="utf-8")
    outcome = command("verify", "of-odd", "-g", generated, "-t", real, "--device", "cpu")
    assert outcome.code != 0
    assert f"{INF} does not follow: what stands in place of a value differs (NaN recorded, inf here)" in outcome.out
