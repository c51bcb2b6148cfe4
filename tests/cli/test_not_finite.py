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
    (psnr,) = (line for line in compared.out.splitlines() if f"{INF} ↑" in line)
    assert psnr.split()[3] == "inf"
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


def test_such_a_number_is_a_result_that_stays(command: Command, folders: tuple[str, str]) -> None:
    """Others join it, other images do not take its place, and it can take the place of a number."""
    generated, real = folders
    psnr = ("run", "-g", generated, "-t", real, "-p", "psnr", "-o", "kept", "--set", "psnr.identical=inf")
    assert command(*psnr).code in {0, 3}
    assert command("run", "-g", generated, "-t", real, "-p", "ssim", "-o", "kept").code == 0
    protocols = json.loads(Path("kept/run.json").read_text(encoding="utf-8"))["protocols"]
    assert {p["name"]: p["scores"][0]["not_finite"] for p in protocols} == {"psnr": "inf", "ssim": None}
    other = command("run", "-g", "good", "-t", real, "-p", "psnr", "-o", "kept", "--set", "psnr.identical=inf")
    assert other.code == 2
    assert command("pack", "kept", "-o", "kept.zip").code == 0
    finite = ("run", "-g", generated, "-t", real, "-p", "psnr", "-o", "finite")
    assert command(*finite).code in {0, 3}
    assert command(*finite, "--overwrite", "--set", "psnr.identical=inf").code in {0, 3}
    (replaced,) = json.loads(Path("finite/run.json").read_text(encoding="utf-8"))["protocols"]
    assert replaced["scores"][0]["not_finite"] == "inf"


def test_no_run_is_marked_as_best_beside_it(command: Command, folders: tuple[str, str]) -> None:
    board = command("leaderboard", "of-good", "of-odd", "--metrics", f"{INF},gfla@2:l1", "--format", "md")
    rows = [line for line in board.out.splitlines() if line.startswith(("| good", "| odd"))]
    assert ["**" in line.split("|")[2] for line in rows] == [False, False]
    assert sorted("**" in line.split("|")[3] for line in rows) == [False, True]
    assert f"no run is marked as best in {INF}: a run has NaN or inf" in board.out


def test_batches_say_why_their_mean_is_infinite(command: Command, draw: Draw) -> None:
    real = str(draw("real", "abc", 1))
    options = ("--set", "psnr.batch=2", "--set", "psnr.identical=inf")
    outcome = command("run", "-g", real, "-t", real, "-p", "psnr", *options, "--naming", "same-name")
    assert "psnr: inf, because of 3 × identical images (infinite PSNR)" in outcome.err
    assert "95 % intervals" not in outcome.out
