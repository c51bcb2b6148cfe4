"""``fhpt-eval data deepfashion``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from fhpt_eval.cli import data

if TYPE_CHECKING:
    from conftest import Command, Outcome

TRAIN = ("WOMEN/Dresses/id_00000203/03_1_front", "MEN/Pants/id_00001611/01_1_front")
TEST = ("WOMEN/Dresses/id_00000203/01_1_front", "WOMEN/Skirts/id_00000629/04_3_back")
FLAT = {
    TRAIN[0]: "fashionWOMENDressesid0000020303_1front",
    TRAIN[1]: "fashionMENPantsid0000161101_1front",
    TEST[0]: "fashionWOMENDressesid0000020301_1front",
    TEST[1]: "fashionWOMENSkirtsid0000062904_3back",
}
GIVEN = ("--images", "img", "--train", "train.lst", "--test", "test.lst", "-o", "out")


@pytest.fixture
def deepfashion(command: Command, monkeypatch: pytest.MonkeyPatch) -> Command:
    monkeypatch.setattr("fhpt_eval.cli.main.app", data.app)

    def call(*arguments: str | Path) -> Outcome:
        return command("deepfashion", *arguments)

    for index, path in enumerate(FLAT):
        file = Path("img", f"{path}.jpg")
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((256, 256, 3), 60 * index, np.uint8)).save(file)
    Path("train.lst").write_text("".join(f"{FLAT[path]}.jpg\n" for path in TRAIN))
    Path("test.lst").write_text("".join(f"{FLAT[path]}.jpg\n" for path in TEST))
    return call


def test_the_tables_show_counts_and_leakage(deepfashion: Command) -> None:
    done = deepfashion(*GIVEN)
    assert (done.code, done.err) == (0, "")
    lines = [" ".join(line.split()) for line in done.out.splitlines()]
    assert lines[0] == "low-res archive (256×256): crop(left=40, top=0, width=176, height=256), stored as PNG"
    assert lines[1] == "4 crops, 4 of them made now"
    for line in ("train test", "listed 2 2", "images 2 2", "items 2 2", "items in a colour 2 2"):
        assert line in lines
    for line in ("MEN 1 0", "WOMEN 1 2", "front 2 1", "back 0 1", "flat 0 0"):
        assert line in lines
    assert "file name 0 0 (0.0%) 0 (0.0%)" in lines
    names = f"{FLAT[TRAIN[0]]}.jpg and {FLAT[TEST[0]]}.jpg"
    assert f"item 1 1 (50.0%) 1 (50.0%) {names}" in lines
    assert lines[-1] == "out/report.json"


def test_json_is_the_report_and_quiet_is_quiet(deepfashion: Command) -> None:
    Path("pairs.csv").write_text(f"from,to\n{FLAT[TEST[0]]}.jpg,{FLAT[TRAIN[0]]}.jpg\n")
    done = deepfashion(*GIVEN, "--test-pairs", "pairs.csv", "--format", "jpg", "--json", "--quiet")
    assert (done.code, done.err) == (3, "")
    report = json.loads(done.out)
    assert report == json.loads(Path("out/report.json").read_text())
    assert report["pairs"] == {"test": {"listed": 1, "complete": 0}}
    assert Path(f"out/test/{FLAT[TEST[0]]}.jpg").is_file()


def test_missing_images_are_named_and_the_code_tells(deepfashion: Command) -> None:
    Path("train.lst").write_text("".join(f"{FLAT[TRAIN[0]][:-9]}{n:02}_1front.jpg\n" for n in range(3, 11)))
    done = deepfashion(*GIVEN)
    assert done.code == 3
    *named, last = done.err.splitlines()
    assert named[0] == (
        "fhpt-eval: missing: train, row 2: fashionWOMENDressesid0000020304_1front.jpg: no file shows it"
    )
    assert len(named) == 5
    assert last == "fhpt-eval: missing: and 2 more, all named in out/missing.csv"
    assert len(Path("out/missing.csv").read_text().splitlines()) == 8


def test_a_second_command_makes_nothing_and_overwrite_everything(deepfashion: Command) -> None:
    deepfashion(*GIVEN)
    assert "4 crops, 0 of them made now" in deepfashion(*GIVEN).out
    assert "4 crops, 4 of them made now" in deepfashion(*GIVEN, "--overwrite").out


def test_wrong_use_is_one_sentence_and_2(deepfashion: Command) -> None:
    Path("train.lst").write_text("what is this\n")
    done = deepfashion(*GIVEN)
    assert done.code == 2
    assert done.sentence.startswith("train.lst, line 1: 'what is this' names no DeepFashion picture;")
    assert not Path("out").exists()


def test_help_names_every_option(deepfashion: Command) -> None:
    text = deepfashion("--help").out
    for option in ("--images", "--train", "--test", "--train-pairs", "--test-pairs", "--format", "--overwrite"):
        assert option in text
