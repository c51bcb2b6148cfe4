"""The networks that come with the package are what is used where none is given; toys stand in for them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import drn_figures as figures
import pytest
from toys import write_image

from fhpt_eval import pretrained as shipped
from fhpt_eval.evaluation.giving import own_classifier
from fhpt_eval.extract.gender_classifier import SHIPPED, read_checkpoint
from fhpt_eval.files.given import GivenFile
from fhpt_eval.measuring.given import Given
from fhpt_eval.measuring.protocol import Profile, configure
from fhpt_eval.protocols.gender import Gender
from fhpt_eval.reference_models.drn import checkpoint
from fhpt_eval.reference_models.drn.checkpoint import NetworkPart
from fhpt_eval.reference_models.drn.model import Drn

if TYPE_CHECKING:
    from conftest import Command

PROFILES: tuple[Profile, ...] = ("paper", "embedded")
ITEM = "fashionMENDenimid0000000{}01_1front"


def test_the_gender_classifier_is_the_embedded_profiles_own_and_no_other_profiles(pretrained: Path) -> None:
    file = pretrained / "gender.safetensors"
    assert own_classifier("embedded") == GivenFile.at(file)
    assert own_classifier("paper") is None
    for profile in PROFILES:
        lacking = configure(Gender, profile, {}).lacks(Given({}, own_classifier(profile)))
        assert (lacking is None) == (profile == "embedded")


def test_a_run_says_that_the_gender_classifier_was_trained_on_rendered_people(
    command: Command, pretrained: Path, own_folders: Path
) -> None:
    for index in range(2):
        write_image(own_folders / "real" / f"{ITEM.format(index)}.png", index, (48, 64))
    run = ("run", "-g", "real", "-t", "real", "-p", "gender", "--profile", "embedded", "--device", "cpu")
    shown = command(*run, "-o", "a")
    # All of them are of one gender, so that there is no error of the other, nor one that is balanced.
    assert shown.code == 3
    assert "fhpt-eval: without a value: gender_error" in shown.err
    assert "gender is judged by the classifier that comes with the package, which was trained on rendered" in shown.err
    own = own_folders / "own.safetensors"
    own.write_bytes((pretrained / "gender.safetensors").read_bytes())
    given = command(*run, "-o", "b", "--gender-classifier", own)
    assert "comes with the package" not in given.err
    one, other = (json.loads((own_folders / name / "run.json").read_bytes()) for name in "ab")
    recipes = [record["protocols"][0]["recipe"]["weights"]["gender-classifier"] for record in (one, other)]
    assert recipes[0] == recipes[1] == GivenFile.at(own).sha256
    # It is known by its content, and so is the dialect.
    assert [record["protocols"][0]["dialect"] for record in (one, other)] == ["embedded"] * 2


def test_the_drn_generates_by_the_checkpoint_of_the_package_and_says_so(command: Command, pretrained: Path) -> None:
    assert Drn().checkpoint == shipped.drn_checkpoint() == pretrained / "drn"
    images, pairs, keypoints = figures.write(pretrained.parent / "data", identities=1, poses=2)
    arguments = ("--pairs", pairs, "-s", images, "--target-keypoints", keypoints)
    made = command("generate", "drn", *arguments, "-o", "ours")
    assert made.code == 0
    told = "fhpt-eval: the checkpoint is the one that comes with the package, trained on rendered people"
    assert sum(line.startswith(told) for line in made.err.splitlines()) == 1
    copy = (pretrained / "drn").rename(pretrained.parent / "copy")
    given = command("generate", "drn", *arguments, "-o", "given", "--checkpoint", copy)
    assert given.code == 0
    assert "rendered" not in given.err
    same = [Path(folder, "p0v0_2_p0v1_vis.png").read_bytes() for folder in ("ours", "given")]
    assert same[0] == same[1]


def test_without_networks_in_the_package_they_have_to_be_given(command: Command, pretrained: Path) -> None:
    for file in (pretrained / "drn").iterdir():
        file.unlink()
    (pretrained / "drn").rmdir()
    (pretrained / "gender.safetensors").unlink()
    assert own_classifier("embedded") is None
    images, pairs, keypoints = figures.write(pretrained.parent / "data", identities=1, poses=2)
    refused = command("generate", "drn", "--pairs", pairs, "-s", images, "--target-keypoints", keypoints, "-o", "out")
    assert refused.code == 2
    assert "needs a checkpoint" in refused.sentence


@pytest.mark.skipif(not SHIPPED.exists(), reason="the gender classifier is not in this checkout")
def test_the_shipped_gender_classifier_can_be_used() -> None:
    card, _ = read_checkpoint(GivenFile.at(SHIPPED), "efficientnet_lite0")
    assert SHIPPED.parent == shipped.FOLDER
    assert card == json.loads((shipped.FOLDER / "gender.json").read_bytes())
    assert card["finished"] is True


@pytest.mark.skipif(shipped.drn_checkpoint() is None, reason="the checkpoint of the DRN is not in this checkout")
def test_the_shipped_checkpoint_can_be_used_and_is_not_large() -> None:
    Drn().load("cpu")
    assert sum(file.stat().st_size for file in (shipped.FOLDER / "drn").iterdir()) <= 30_000_000


@pytest.mark.skipif(shipped.drn_checkpoint() is None, reason="the checkpoint of the DRN is not in this checkout")
@pytest.mark.parametrize("part", ["body", "face"])
def test_the_shipped_checkpoint_says_inside_and_beside_how_it_came_about(part: NetworkPart) -> None:
    file = shipped.FOLDER / "drn" / f"{part}.safetensors"
    _, config, card = checkpoint.load(file, part)
    assert card == json.loads(file.with_suffix(".json").read_bytes())
    driver, before = card["legs"][0]["by"], card["legs"][-1]
    assert len(bytes.fromhex(driver["sha256"])) == 32
    # The last leg is the card itself, and it began where the one before ended.
    assert before["sha256"] == card["start"]
    assert {"data", "hardware", "losses", "seed", "schedule", "torch", "begun_anew"} <= card.keys()
    assert (card["schedule"]["batch_size"], card["schedule"]["learning_rate"]) == (
        config.batch_size,
        config.learning_rate,
    )
    assert card["progress"] == 1
