"""``fhpt-eval audit`` says what is there, what is worth a look and what that does; so does ``run``, in a line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

if TYPE_CHECKING:
    from conftest import Command

CASES = Path(__file__).resolve().parents[2] / "../shared/data/cases"


@pytest.fixture
def framed(own_folders: Path) -> None:
    """Three generated images of 64×64 with white borders, and their targets of 48×64."""
    for seed, name in enumerate("abc"):
        pixels = np.random.default_rng(seed).integers(0, 200, (64, 48, 3), dtype=np.uint8)
        for folder in ("mine", "real"):
            Path(folder).mkdir(exist_ok=True)
        Image.fromarray(255 - pixels // 2).save(f"real/{name}.png")
        Image.fromarray(np.pad(pixels, ((0, 0), (8, 8), (0, 0)), constant_values=255)).save(f"mine/{name}.png")


def test_facts_then_findings_within_a_hundred_columns(command: Command, framed: None) -> None:
    Path("mine/d.png").write_bytes(Path("mine/c.png").read_bytes())
    outcome = command("audit", "mine", "--target", "real")
    assert (outcome.code, outcome.err) == (3, "")
    assert all(len(line) <= 100 for line in outcome.out.splitlines())
    lines = outcome.out.splitlines()
    assert lines[:9] == [
        "mine: 4 images",
        "  stored as     PNG",
        "  endings       .png",
        "  size          64×64",
        "  mode          RGB",
        "  white borders 8 pixels (all images)",
        "  duplicates    1",
        "  unreadable    0",
        "  left out      0",
    ]
    assert lines[10] == "real: 3 images"
    assert "3 things to look at" in lines
    text = " ".join(outcome.out.split())
    assert "1. mine: 1 image byte by byte the same as another." in text
    assert "2. mine: 1 image without a pair in real." in text
    assert (
        "3. mine: 64×64 with white borders of 8 pixels and the target 48×64 for all images: `fhpt-eval run` says"
        " whether to crop or to resize. → fid, kid, is, face_identity, retrieval, gender change; lpips, ssim, psnr, l1,"
        " kec, pckh count them as missing." in text
    )


def test_nothing_to_look_at_is_0_and_wrong_use_2(command: Command, framed: None) -> None:
    outcome = command("audit", "real")
    assert (outcome.code, outcome.out.splitlines()[-1]) == (0, "nothing to look at")
    assert command("audit", "nowhere").code == 2
    assert command("audit", "nowhere").sentence == "nowhere is no folder: give one of images."
    assert command("audit").code == 2
    refused = command("audit", "real", "--train", "gone.lst")
    assert refused.code == 2
    assert "--train" in refused.sentence


def test_json_has_all_of_it(command: Command, framed: None) -> None:
    Path("mine/notes.txt").touch()
    outcome = command("audit", "mine", "-t", "real", "--json", "--quiet")
    assert (outcome.code, outcome.err) == (3, "")
    found = json.loads(outcome.out)
    mine, real = found["folders"]
    assert mine == {
        "folder": "mine",
        "images": 3,
        "stored": {"PNG": 3},
        "endings": {".png": 3},
        "sizes": {"64×64": 3},
        "modes": {"RGB": 3},
        "white_borders": {"left": 8, "top": 0, "right": 8, "bottom": 0, "images": 3},
        "duplicates": [],
        "unreadable": {},
        "left_out": {},
        "no_images": ["notes.txt"],
    }
    assert real["white_borders"] is None
    (finding,) = found["findings"]
    assert (finding["folder"], finding["flaw"], finding["files"]) == ("mine", "sizes", [])
    assert finding["effects"]["missing"] == ["lpips", "ssim", "psnr", "l1", "kec", "pckh"]


def test_lists_of_the_splits_are_those_of_data_deepfashion(command: Command, own_folders: Path) -> None:
    name = "fashionMENDenimid0000000101_1front"
    Path("real").mkdir()
    Image.new("RGB", (8, 8)).save(f"real/{name}.png")
    Path("train.lst").write_text(f"{name}.jpg\n")
    outcome = command("audit", "real", "--train", "train.lst")
    assert outcome.code == 3
    assert "real: the image named in train.lst: right for a reference set, not for targets." in outcome.out


def test_names_cannot_do_anything_to_the_terminal(command: Command, framed: None) -> None:
    Path("mine", "a\x1b[2J.txt").touch()
    assert "\x1b" not in command("audit", "mine").out


RUN = ("run", "-g", "mine", "-t", "real", "-p", "l1", "--device", "cpu")


def test_run_says_it_in_its_first_line(command: Command, framed: None) -> None:
    first = command(*RUN).err.splitlines()[0]
    assert first == (
        "fhpt-eval: mine: 3 images, PNG, 64×64 (white borders of 8 pixels): `fhpt-eval audit mine` tells more"
    )
    assert command(*RUN, "--quiet", "--overwrite").err == ""


def test_run_counts_duplicates_by_the_hashes_that_it_makes_anyway(command: Command, framed: None) -> None:
    for name in "abc":
        Image.fromarray(np.full((64, 48, 3), 90, np.uint8)).save(f"mine/{name}.png")
    assert command(*RUN).err.splitlines()[0].startswith("fhpt-eval: mine: 3 images, PNG, 48×64, 2 duplicates: ")
    for name in "abc":
        Image.fromarray(np.full((64, 48, 3), ord(name), np.uint8)).save(f"mine/{name}.png")
    clean = command(*RUN, "--overwrite")
    assert (clean.out.splitlines()[0], clean.err) == ("mine: 3 images, PNG, 48×64", "")


@pytest.mark.skipif(not CASES.is_dir(), reason="needs ../shared/data/cases")
def test_the_shared_cases_are_told_apart(command: Command) -> None:
    assert command("audit", CASES / "base/gen", "-t", CASES / "base/target", "-s", CASES / "base/source").code == 0
    told = command("audit", CASES / "white-borders/gen", "-t", CASES / "base/target", "--json")
    (finding,) = json.loads(told.out)["findings"]
    assert finding["what"].startswith("256×256 with white borders of 40 pixels and the target 176×256 for all images")
    copied = command("audit", CASES / "left-out/gen_tif", "-t", CASES / "left-out/target", "--json")
    assert [f["flaw"] for f in json.loads(copied.out)["findings"]] == ["target copies"]
