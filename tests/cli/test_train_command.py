"""``fhpt-eval train gender``, and a run that uses what it gives."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

if TYPE_CHECKING:
    from conftest import Command

FAST = ("--network", "efficientnet_lite0", "--device", "cpu")
BLUE, RED = (60, 60, 200), (200, 60, 60)


def paint(folder: str, names: dict[str, tuple[int, int, int]]) -> Path:
    random = np.random.default_rng(len(names))
    for name, colour in names.items():
        file = Path(folder) / f"{name}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        noisy = np.clip(random.normal(colour, 30, (40, 32, 3)), 0, 255).astype(np.uint8)
        Image.fromarray(noisy).save(file)
    return Path(folder)


def name(gender: str, item: int, view: str = "1front") -> str:
    return f"fashion{gender}Denimid{item:08}01_{view}"


@pytest.fixture
def real(own_folders: Path) -> Path:
    """Eight items of each gender: men are blue, women are red."""
    return paint("real", {name(g, i): c for i in range(8) for g, c in (("MEN", BLUE), ("WOMEN", RED))})


def test_a_trained_classifier_judges_a_run(command: Command, real: Path) -> None:
    trained = command("train", "gender", "--images", real, "-o", "out", *FAST)
    assert trained.code == 0
    assert "trained on 7 MEN and 7 WOMEN, 7 items" in trained.out
    assert "validation error 0.0000 balanced" in trained.out
    *_, file, hint = trained.out.splitlines()
    assert file == "out/gender.safetensors"
    options = hint.removeprefix("use it: fhpt-eval run … ").split()
    assert options == ["--set", "gender.network=efficientnet_lite0", "--gender-classifier", file]

    # Three men of four come out red; a flat-lay view shows nobody.
    targets = {name("MEN", i): BLUE for i in range(20, 24)} | {name("WOMEN", i): RED for i in range(30, 34)}
    paint("target", {**targets, name("WOMEN", 34, "6flat"): RED})
    paint("mine", dict.fromkeys((*targets, name("WOMEN", 34, "6flat")), RED))
    paint("mine", {name("MEN", 23): BLUE})
    run = command(
        "run", "-g", "mine", "-t", "target", "-p", "gender", "--device", "cpu", *options, "-o", "run", "--json"
    )
    assert run.code == 0
    scores = {s["metric"]: s for p in json.loads(run.out)["protocols"] for s in p["scores"]}
    values = {metric.removesuffix("[efficientnet_lite0]"): score["value"] for metric, score in scores.items()}
    assert values == {
        "gender_error": 3 / 8,
        "gender_error_men": 3 / 4,
        "gender_error_women": 0,
        "gender_error_balanced": 3 / 8,
    }
    assert all(metric.endswith("[efficientnet_lite0]") for metric in scores)
    overall = scores["gender_error[efficientnet_lite0]"]
    assert overall["missing"] == {"flat-lay view: no person": 1}
    assert overall["details"]["controls"]["targets"] == {"value": 0, "n": 8}
    shown = command("run", "-g", "mine", "-t", "target", "-p", "gender", "--device", "cpu", *options, "-o", "run")
    assert "· majority" in shown.out

    wrong = command("run", "-g", "mine", "-t", "target", "-p", "gender", *options[-2:], "-o", "other")
    assert wrong.code == 2
    assert wrong.sentence.startswith("out/gender.safetensors is a classifier on efficientnet_lite0 features, and the")
    assert not Path("other").exists()


def test_a_run_without_a_classifier_names_what_to_do(command: Command, real: Path, pretrained: Path) -> None:
    (pretrained / "gender.safetensors").unlink()
    outcome = command(
        "run",
        "-g",
        paint("mine", {file.stem: RED for file in real.iterdir()}),
        "-t",
        real,
        "-p",
        "gender,l1",
        "--profile",
        "embedded",
        "--device",
        "cpu",
        "-o",
        "run",
    )
    assert outcome.code == 3
    assert outcome.sentence.startswith("gender: a classifier is needed: train one with `fhpt-eval train gender ")
    assert "l1 ↓" in outcome.out


def test_a_classifier_that_nothing_looks_at_or_that_is_not_there_is_refused(command: Command, real: Path) -> None:
    run = ("run", "-g", real, "-t", real, "-o", "run")
    written = command(*run, "-p", "l1", "--gender-classifier", "real/" + next(real.iterdir()).name)
    assert written.code == 2
    assert written.sentence == "--gender-classifier: none of the chosen protocols judges genders; leave it out."
    for path, told in (("nowhere", "nowhere cannot be read"), ("", "is empty")):
        absent = command(*run, "-p", "gender", "--gender-classifier", path)
        assert (absent.code, told in absent.sentence) == (2, True)
    assert not Path("run").exists()


def test_the_same_command_again_is_finished_and_json_is_the_card(command: Command, real: Path) -> None:
    arguments = ("train", "gender", "--images", real, "-o", "out", *FAST, "--epochs", "2", "--seed", "5")
    first = command(*arguments, "--json")
    assert first.code == 0
    card = json.loads(first.out)
    assert card == json.loads(Path("out/gender.json").read_text(encoding="utf-8"))
    assert card["recipe"]["seed"] == 5
    again = command(*arguments)
    assert again.code == 0
    assert again.out.startswith("this training was finished before; --overwrite would begin it again\n")
    other = command(*arguments[:-1], "6")
    assert other.code == 2
    assert "seed 5 there and 6 here" in other.sentence
    assert command(*arguments[:-1], "6", "--overwrite").code == 0


def test_images_that_cannot_be_used_are_named_and_change_the_exit_code(command: Command, real: Path) -> None:
    (real / f"{name('MEN', 9)}.png").write_bytes(b"")
    (real / f"{name('MEN', 9, '6flat')}.png").write_bytes(b"")
    for number in range(6):
        (real / f"stranger{number}.png").write_bytes(b"")
    arguments = ("train", "gender", "--images", real, "-o", "out", *FAST, "--epochs", "1")
    outcome = command(*arguments)
    assert outcome.code == 3
    assert "left out: 1 × flat-lay view: no person" in outcome.out
    assert "left out: 6 × its gender is not known" in outcome.out
    lines = outcome.err.splitlines()
    assert lines[0] == f"fhpt-eval: left out: {name('MEN', 9)}.png: unreadable: empty file"
    assert lines[1] == "fhpt-eval: left out: stranger0.png: its gender is not known"
    assert lines[-1] == "fhpt-eval: left out: and 2 more, all named in out/left_out.csv"
    quiet = command(*arguments, "--quiet")
    assert (quiet.code, quiet.err) == (3, "")


def test_identical_images_under_different_labels_are_said(command: Command, real: Path) -> None:
    for copy, of in ((name("WOMEN", 20), name("MEN", 0)), (name("MEN", 21), name("MEN", 1))):
        (real / f"{copy}.png").write_bytes((real / f"{of}.png").read_bytes())
    arguments = ("train", "gender", "--images", real, "-o", "out", *FAST, "--epochs", "1")
    first = command(*arguments)
    assert first.code == 0
    assert "identical: 4 images, though their labels tell them apart; validation may be too good by it" in first.out
    assert "identical: 2 of them, labelled both MEN and WOMEN" in first.out
    assert first.err.splitlines() == [
        f"fhpt-eval: identical: {name('MEN', 0)}.png is labelled MEN, and {name('WOMEN', 20)}.png WOMEN",
        f"fhpt-eval: identical: {name('MEN', 1)}.png shows id_00000001, and {name('MEN', 21)}.png id_00000021",
    ]
    again = command(*arguments)
    assert again.err == first.err


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--network", "vgg61"), "there is no network 'vgg61'. Did you mean 'vgg16'?"),
        (("--batch-size", "7"), "--batch-size cannot be 7: it has to be even"),
        (("--labels", "nowhere.csv"), "nowhere.csv cannot be read"),
        (("--network", "vgg16", "--offline"), "weights vgg16 (vgg16-397923af.pth) are not here"),
        (("--epochz", "3"), "No such option: --epochz"),
    ],
)
def test_wrong_use_is_one_sentence(command: Command, real: Path, options: tuple[str, ...], told: str) -> None:
    outcome = command("train", "gender", "--images", real, "-o", "out", *options)
    assert outcome.code == 2
    assert told in outcome.sentence
    assert outcome.out == ""


@pytest.mark.parametrize("arguments", [("train",), ("train", "gender")])
def test_help_explains_every_option(command: Command, arguments: tuple[str, ...]) -> None:
    outcome = command(*arguments, "--help")
    assert outcome.code == 0
    assert "Usage: fhpt-eval train" in outcome.out
