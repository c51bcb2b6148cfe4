"""What is advised where sizes differ follows from the pictures."""

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
FAST = ("-p", "ssim,l1", "--device", "cpu")
CROP = "crop(left=8, top=0, width=48, height=64)"


@pytest.fixture
def pictures(own_folders: Path) -> list[Image.Image]:
    """Three pictures of 48×64 with dark edges, as targets in ``real``."""
    random = np.random.default_rng(0)
    found = []
    for name in "abc":
        blocks = random.integers(0, 200, (8, 6, 3), dtype=np.uint8)
        found.append(Image.fromarray(np.kron(blocks, np.ones((8, 8, 1), np.uint8))))
        save(found[-1], "real", name)
    return found


def save(picture: Image.Image, folder: str, name: str) -> None:
    Path(folder).mkdir(exist_ok=True)
    picture.save(Path(folder, f"{name}.png"))


def padded(picture: Image.Image, box: tuple[int, int], size: tuple[int, int]) -> Image.Image:
    frame = Image.new("RGB", size, "white")
    frame.paste(picture, box)
    return frame


def advice(command: Command, generated: str = "mine", target: str = "real", *options: str) -> str:
    outcome = command("run", "-g", generated, "-t", target, *FAST, *options)
    assert outcome.code == 3
    (line,) = (line for line in outcome.err.splitlines() if "generated images are" in line)
    return line


def test_white_borders_of_generated_images_are_to_be_cropped(command: Command, pictures: list[Image.Image]) -> None:
    for name, picture in zip("abc", pictures, strict=True):
        save(padded(picture, (8, 0), (64, 64)), "mine", name)
    line = advice(command)
    assert line == (
        "fhpt-eval: 3 generated images are 64×64 and their targets 48×64: the generated images have white borders of"
        f" 8 pixels: --generated-geometry '{CROP}'"
    )
    outcome = command("run", "-g", "mine", "-t", "real", *FAST, "--generated-geometry", CROP, "--json")
    assert outcome.code == 0
    assert json.loads(outcome.out)["protocols"][0]["scores"][0]["value"] == 1.0


def test_a_crop_of_all_is_not_advised_where_some_images_have_the_right_size(
    command: Command, pictures: list[Image.Image]
) -> None:
    for name, picture in zip("abc", pictures, strict=True):
        save(padded(picture, (8, 0), (64, 64)) if name == "a" else picture.rotate(180), "mine", name)
    line = advice(command)
    assert line.startswith("fhpt-eval: 1 generated images are 64×64 and their targets 48×64: ")
    assert line.endswith("white borders of 8 pixels: cut them off these files alone")


def test_white_borders_of_targets_are_to_be_cropped(command: Command, pictures: list[Image.Image]) -> None:
    for name, picture in zip("abc", pictures, strict=True):
        save(picture, "mine", name)
        save(padded(picture, (8, 0), (64, 64)), "real", name)
    assert f"the targets have white borders of 8 pixels: --target-geometry '{CROP}'" in (advice(command))


def test_borders_on_one_side_are_cropped_on_that_side(command: Command, pictures: list[Image.Image]) -> None:
    for name, picture in zip("abc", pictures, strict=True):
        save(padded(picture, (0, 0), (64, 70)), "mine", name)
    line = advice(command)
    assert "white borders of 16 pixels at the right, 6 at the bottom" in line
    assert "crop(left=0, top=0, width=48, height=64)" in line


def test_a_resize_is_advised_only_where_proportions_agree(command: Command, pictures: list[Image.Image]) -> None:
    for name, picture in zip("abc", pictures, strict=True):
        save(picture.resize((96, 128)), "mine", name)
        save(picture.resize((64, 64)), "wide", name)
    assert "--generated-geometry 'resize(width=48, height=64, filter=pil-bicubic)'" in advice(command)
    line = advice(command, "wide")
    assert "their proportions differ" in line
    assert "resize(" not in line
    assert "crop(" not in line


def test_a_white_background_that_was_stretched_is_no_border(command: Command, own_folders: Path) -> None:
    random = np.random.default_rng(0)
    for name in "abc":
        person = Image.fromarray(random.integers(0, 200, (64, 16, 3), dtype=np.uint8))
        target = padded(person, (16, 0), (48, 64))
        save(target, "real", name)
        save(target.resize((64, 64)), "mine", name)
    line = advice(command)
    assert "crop(" not in line
    assert "resize(" not in line


def test_each_two_sizes_are_advised_about_and_given_geometries_are_respected(
    command: Command, pictures: list[Image.Image]
) -> None:
    for name, picture in zip("abc", pictures, strict=True):
        save(padded(picture, (8, 0), (64, 64)) if name == "a" else picture.resize((96, 128)), "mine", name)
    outcome = command("run", "-g", "mine", "-t", "real", *FAST)
    lines = [line for line in outcome.err.splitlines() if "generated images are" in line]
    assert len(lines) == 2
    assert "2 generated images are 96×128" in lines[0]
    assert "1 generated images are 64×64" in lines[1]
    line = advice(command, "mine", "real", "--generated-geometry", "resize(width=40, height=40, filter=pil-box)")
    assert "3 generated images are 40×40 and their targets 48×64" in line
    assert "crop(" not in line


@pytest.mark.skipif(not CASES.exists(), reason="needs ../shared/data/cases")
def test_the_crop_that_is_advised_gives_the_right_number(command: Command) -> None:
    generated, target = CASES / "white-borders/gen", CASES / "base/target"
    crop = "crop(left=40, top=0, width=176, height=256)"
    assert f"--generated-geometry '{crop}'" in advice(command, str(generated), str(target))
    outcome = command("run", "-g", generated, "-t", target, *FAST, "--generated-geometry", crop, "--json")
    assert outcome.code == 0
    scores = [protocol["scores"][0] for protocol in json.loads(outcome.out)["protocols"]]
    assert {score["metric"]: round(score["value"], 4) for score in scores} == {"ssim": 0.8874, "l1": 0.0177}
