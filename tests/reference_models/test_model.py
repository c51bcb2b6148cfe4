"""Training and generation through the command line: from a list of pairs to images that `fhpt-eval run` reads."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import drn_figures as figures
import numpy as np
import pytest
import torch
from PIL import Image
from toy_weights import TINY, write_drn

from fhpt_eval.errors import UserError
from fhpt_eval.files import tensors as tensor_file
from fhpt_eval.generation.generate import Generation
from fhpt_eval.generation.reference_model import Request
from fhpt_eval.images.decoding import ImageRef
from fhpt_eval.people.detection import Person
from fhpt_eval.reference_models.drn.model import Drn, principal_colours

SMALL_OPTIONS = [
    *("--size", "small", "--set", "width=4", "--set", "max_width=8", "--set", "transfer_blocks=1"),
    *("--set", "batch_size=4", "--set", "discriminator_width=4", "--set", "constant_epochs=1"),
]


def request(root: Path, size: tuple[int, int] = (48, 64), *, faces: bool = True) -> Request:
    random = np.random.default_rng(0)
    path = root / f"source{size[0]}.png"
    Image.fromarray(random.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)).save(path)
    body = np.concatenate([random.uniform(0, 48, (18, 2)), np.ones((18, 1))], axis=1).astype(np.float32)
    face = np.concatenate([random.uniform(12, 36, (68, 2)), np.ones((68, 1))], axis=1).astype(np.float32)
    person = Person(body=body, face=face, face_box=(14, 14, 34, 34) if faces else None)
    return Request("a_2_b_vis", ImageRef(path), "b.png", None, person, person)


def test_coarse_refined_residual_and_guidance_are_pictures_of_the_sources_size(tmp_path: Path) -> None:
    folder = write_drn(tmp_path / "drn")
    pictures = {
        image: Drn(checkpoint=folder, image=image).load("cpu")([request(tmp_path)])[0].astype(int)
        for image in ("refined", "coarse", "residual", "guidance")
    }
    assert {picture.shape for picture in pictures.values()} == {(64, 48, 3)}
    away = np.ones((64, 48), dtype=bool)
    away[9:39, 9:39] = False
    # Away from the face: refined = coarse + residual, of which the residual is drawn about grey.
    total = pictures["coarse"] + pictures["residual"] - 127.5
    assert np.abs(pictures["refined"] - total.clip(0, 255))[away].max() <= 1.5


def test_the_face_module_changes_the_face_alone_and_only_where_both_faces_are(tmp_path: Path) -> None:
    folder = write_drn(tmp_path / "drn")
    with_face, without = (
        Drn(checkpoint=folder).load("cpu")([request(tmp_path, faces=faces)])[0] for faces in (True, False)
    )
    changed = (with_face != without).any(axis=2)
    rows, columns = np.nonzero(changed)
    assert changed[20:28, 20:28].mean() > 0.9
    assert rows.min() >= 9
    assert rows.max() < 39
    assert columns.min() >= 9
    assert columns.max() < 39
    no_face_module = write_drn(tmp_path / "other", face=False)
    np.testing.assert_array_equal(Drn(checkpoint=no_face_module).load("cpu")([request(tmp_path)])[0], without)
    ablation = write_drn(tmp_path / "ablation", replace(TINY, face=False))
    np.testing.assert_array_equal(Drn(checkpoint=ablation).load("cpu")([request(tmp_path)])[0], without)


def test_generation_is_deterministic_and_of_any_sizes_together(tmp_path: Path) -> None:
    generator = Drn(checkpoint=write_drn(tmp_path / "drn")).load("cpu")
    one, other = request(tmp_path), request(tmp_path, (56, 64))
    together = generator([one, other, one])
    assert [picture.shape for picture in together] == [(64, 48, 3), (64, 56, 3), (64, 48, 3)]
    np.testing.assert_array_equal(together[0], together[2])
    np.testing.assert_array_equal(together[1], generator([other])[0])


def test_in_bfloat16_pictures_are_nearly_the_same_and_say_so(tmp_path: Path) -> None:
    folder = write_drn(tmp_path / "drn")
    exact, rounded = (
        Drn(checkpoint=folder, precision=precision).load("cpu")([request(tmp_path)])[0].astype(int)
        for precision in ("float32", "bfloat16")
    )
    assert 0 < np.abs(exact - rounded).max() <= 8
    output = tmp_path / "made"
    Generation(Drn(checkpoint=folder, precision="bfloat16"), output, device="cpu").make([request(tmp_path)])
    assert json.loads((output / "generation.json").read_text())["options"]["precision"] == "bfloat16"
    with pytest.raises(UserError, match="another model"):
        Generation(Drn(checkpoint=folder), output, device="cpu")


def test_principal_colours_show_three_planted_directions() -> None:
    random = torch.Generator().manual_seed(0)
    maps = torch.randn(3, 4, 5, generator=random) * torch.tensor([9.0, 3.0, 1.0]).view(3, 1, 1)
    basis, _ = torch.linalg.qr(torch.randn(8, 3, generator=random))
    features = torch.einsum("ck,khw->chw", basis, maps)
    colours = principal_colours(features, 8, 10)
    assert colours.shape == (3, 8, 10)
    small = colours[:, ::2, ::2].flatten(1)
    for component, planted in zip(small, maps.flatten(1), strict=True):
        assert abs(float(torch.corrcoef(torch.stack([component, planted]))[0, 1])) > 0.9
    assert float(colours.min()) == -1
    assert float(colours.max()) == 1


@pytest.mark.parametrize(
    ("size", "words"), [((50, 64), "50×64, and the network needs multiples of 8"), ((8, 8), "at least 16")]
)
def test_sizes_that_do_not_fit_are_named(tmp_path: Path, size: tuple[int, int], words: str) -> None:
    generator = Drn(checkpoint=write_drn(tmp_path / "drn")).load("cpu")
    with pytest.raises(UserError, match=words):
        generator([request(tmp_path, size)])


def test_a_checkpoint_is_needed_and_must_have_what_is_asked_for(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="needs a checkpoint"):
        Drn(checkpoint=None).load("cpu")
    with pytest.raises(UserError, match="cannot be read"):
        Drn(checkpoint=tmp_path).load("cpu")
    folder = write_drn(tmp_path / "pb", replace(TINY, detail=False))
    with pytest.raises(UserError, match="no residual"):
        Drn(checkpoint=folder, image="residual").load("cpu")


def test_identity_follows_the_content_of_the_checkpoint(tmp_path: Path) -> None:
    one, copy, other = (
        write_drn(tmp_path / name, replace(TINY, style_code=code)) for name, code in (("a", 4), ("b", 4), ("c", 8))
    )
    assert Drn(checkpoint=one).identity() == Drn(checkpoint=copy).identity() != Drn(checkpoint=other).identity()


def test_source_and_target_of_two_sizes_are_refused(tmp_path: Path) -> None:
    generator = Drn(checkpoint=write_drn(tmp_path / "drn")).load("cpu")
    other = request(tmp_path, (56, 64))
    with pytest.raises(UserError, match="differ in size"):
        generator([replace(request(tmp_path), target=other.source)])


def test_faces_are_spoken_of(tmp_path: Path) -> None:
    requests = [request(tmp_path), request(tmp_path, faces=False)]
    (said,) = Drn(checkpoint=write_drn(tmp_path / "drn")).remarks(requests)
    assert "1 of 2 pairs" in said
    (said,) = Drn(checkpoint=write_drn(tmp_path / "bodyless", face=False)).remarks(requests)
    assert "has no face.safetensors" in said


def test_train_generate_and_run_end_to_end(command: Callable[..., Any], tmp_path: Path) -> None:
    images, pairs, keypoints = figures.write(tmp_path / "data", identities=2, poses=3)
    data = ("--pairs", pairs, "-s", images, "--target-keypoints", keypoints)
    training = ("train", "drn", *data, "-o", tmp_path / "drn", *SMALL_OPTIONS, "--set", "epochs=2")
    finished = command(*training)
    assert (finished.code, finished.err) == (0, "")
    assert "trained on 8 pairs" in finished.out
    assert json.loads((tmp_path / "drn/body.json").read_text())["precision"] == "float32"
    made = command("generate", "drn", *data, "-t", images, "--checkpoint", tmp_path / "drn", "-o", tmp_path / "made")
    assert made.code == 0
    assert "has no face.safetensors" in made.sentence
    assert "8 images made" in made.out
    assert f"--pairs {pairs}" in made.out
    assert "--allow-missing" not in made.out
    assert len(list((tmp_path / "made").glob("*_vis.png"))) == 8
    scored = command(
        "run", "-g", tmp_path / "made", "-t", images, "-s", images, "--pairs", pairs, "-p", "ssim,l1", "--json"
    )
    assert scored.code == 0


def test_a_training_starts_from_all_networks_of_another(command: Callable[..., Any], tmp_path: Path) -> None:
    images, pairs, keypoints = figures.write(tmp_path / "data", identities=2, poses=3)
    training = ("train", "drn", "--pairs", pairs, "-s", images, "--target-keypoints", keypoints, *SMALL_OPTIONS)
    first, second = tmp_path / "first", tmp_path / "second"
    assert command(*training, "-o", first, "--set", "epochs=1").code == 0
    still = (*training, "-o", second, "--set", "epochs=1", "--set", "learning_rate=0")
    assert command(*still, "--start-from", first).code == 0
    for file in ("body.safetensors", "body/state.safetensors"):
        before, after = (tensor_file.parse((folder / file).read_bytes())[0] for folder in (first, second))
        weights = [name for name in before if not name.startswith("optimiser.")]
        assert weights
        for name in weights:
            np.testing.assert_array_equal(before[name], after[name], err_msg=name)
    assert "another start" in command(*still).sentence
    other = command(*training, "-o", tmp_path / "other", "--set", "style_code=3", "--start-from", first)
    assert other.code == 2
    assert "does not fit the network" in other.sentence


def test_by_the_clock_mirrored_and_tested_on_held_out_pairs(command: Callable[..., Any], tmp_path: Path) -> None:
    images, pairs, keypoints = figures.write(tmp_path / "data", identities=3, poses=3, pairs=12)
    held_out = tmp_path / "held-out.csv"
    held_out.write_text("from,to\np2v0.png,p2v1.png\np2v1.png,p2v2.png\np2v0.png,gone.png\n")
    data = ("--pairs", pairs, "-s", images, "--target-keypoints", keypoints)
    tests = ("--test-pairs", held_out, "--test-keypoints", keypoints, "--tests", "1")
    training = ("train", "drn", *data, "-o", tmp_path / "drn", *SMALL_OPTIONS, "--set", "mirrored=true", *tests)
    ran = command(*training, "--max-time", "0.05")
    assert ran.code == 3
    assert "iteration 0, 0 s: 2 pairs, source/l1 " in ran.err
    assert "not used: test: p2v0_2_gone_vis: no target image 'gone.png'" in ran.err
    assert "trained on 12 pairs" in ran.out
    card = json.loads((tmp_path / "drn/body.json").read_text())
    assert card["schedule"] == {"batch_size": 4, "learning_rate": 1e-3, "seconds": 3, "constant": 1 / 40}
    assert card["seconds"] >= 3
    assert (card["config"]["mirrored"], card["tests"]["pairs"], card["tests"]["progress"]) == (True, 2, 1)
    assert (card["torch"], card["precision"], card["repeatable"]) == (torch.__version__, "float32", False)
    assert card["hardware"]
    assert "another test_data" in command(*training[:-6], "--max-time", "0.05").sentence


def test_layers_that_the_start_lacks_begin_anew_and_are_named_and_legs_are_told(
    command: Callable[..., Any], tmp_path: Path
) -> None:
    images, pairs, keypoints = figures.write(tmp_path / "data", identities=2, poses=3)
    training = ("train", "drn", "--pairs", pairs, "-s", images, "--target-keypoints", keypoints, *SMALL_OPTIONS)
    legs = [tmp_path / name for name in ("first", "second", "third")]
    once = ("--set", "epochs=1", "--set", "learning_rate=0")
    assert command(*training, "-o", legs[0], *once, "--config", "pb-only").code == 0
    second = command(*training, "-o", legs[1], *once, "--start-from", legs[0])
    assert second.code == 0
    assert f"begun anew, because {legs[0]} does not have it: network.detail" in second.err
    assert command(*training, "-o", legs[2], *once, "--start-from", legs[1]).err.count("begun anew") == 0
    (given, _), (whole, _) = (tensor_file.parse((x / "body.safetensors").read_bytes()) for x in legs[:2])
    for name, values in given.items():
        np.testing.assert_array_equal(whole[name], values, err_msg=name)
    cards = [json.loads((folder / "body.json").read_text()) for folder in legs]
    hashes = [hashlib.sha256((folder / "body.safetensors").read_bytes()).hexdigest() for folder in legs]
    assert "legs" not in cards[0]
    assert [card["begun_anew"] for card in cards[1:]] == [["network.detail"], []]
    assert cards[1]["legs"] == [{"sha256": hashes[0], "card": cards[0]}]
    own = {name: value for name, value in cards[1].items() if name != "legs"}
    assert cards[2]["legs"] == [*cards[1]["legs"], {"sha256": hashes[1], "card": own}]
    fewer = command(*training, "-o", tmp_path / "fewer", *once, "--config", "pb-only", "--start-from", legs[1])
    assert fewer.code == 2
    assert "does not fit the network (first at 'network.detail." in fewer.sentence


def test_a_kept_transfer_branch_is_the_one_that_was_given(command: Callable[..., Any], tmp_path: Path) -> None:
    images, pairs, keypoints = figures.write(tmp_path / "data", identities=2, poses=3)
    data = ("train", "drn", "--pairs", pairs, "-s", images, "--target-keypoints", keypoints, *SMALL_OPTIONS)
    training = (*data, "--set", "epochs=1")
    first, other, second = tmp_path / "first", tmp_path / "other", tmp_path / "second"
    assert command(*training, "-o", first, "--config", "pb-only").code == 0
    assert command(*training, "-o", other, "--config", "pb-only", "--seed", "1").code == 0
    kept = (*training, "-o", second, "--config", "pb-fix", "--transfer")
    assert command(*kept, first).code == 0
    (given, _), (whole, card) = (tensor_file.parse((x / "body.safetensors").read_bytes()) for x in (first, second))
    assert card is not None
    assert card["transfer"] == hashlib.sha256((first / "body.safetensors").read_bytes()).hexdigest()
    assert set(given) < set(whole)
    for name, values in given.items():
        np.testing.assert_array_equal(whole[name], values, err_msg=name)
    assert "another transfer" in command(*kept, other).sentence


def test_the_command_that_is_suggested_misses_what_was_not_made(command: Callable[..., Any], tmp_path: Path) -> None:
    images, pairs, _ = figures.write(tmp_path / "data", identities=1, poses=2)
    with pairs.open("a") as stream:
        stream.write("p0v0.png,gone.png\n")
    folders = ("-s", images, "-t", images, "--pairs", pairs)
    made = command("generate", "copy-source", *folders, "-o", tmp_path / "made")
    assert made.code == 3
    assert "not made: p0v0_2_gone_vis: no target image 'gone.png'" in made.sentence
    (suggested,) = (line for line in made.out.splitlines() if line.startswith("score them: fhpt-eval "))
    arguments = suggested.removeprefix("score them: fhpt-eval ").split()
    scored = command(*arguments, "-p", "l1")
    assert scored.code == 3
    assert "no generated image" in scored.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("train", "drn", "--config", "pbonly"), "Did you mean 'pb-only'"),
        (("train", "drn", "--size", "tiny"), "no size 'tiny'"),
        (("train", "drn", "--part", "legs"), "no part 'legs'"),
        (("train", "drn", "--set", "widht=3"), "Did you mean 'width'"),
        (("train", "drn", "--set", "width=wide"), "cannot be 'wide'"),
        (("train", "drn", "--config", "pb-fix", *SMALL_OPTIONS), "--transfer DIR"),
        (("train", "drn", *SMALL_OPTIONS, "--set", "batch_size=0"), "batch_size"),
        (("train", "drn", *SMALL_OPTIONS, "--start-from", "nowhere"), "nowhere/body.safetensors cannot be read"),
        (("train", "drn", "--part", "face", "--transfer", "x", *SMALL_OPTIONS), "no transfer branch"),
        (("train", "drn", "--part", "face", "--config", "no-face", *SMALL_OPTIONS), "no face module"),
        (("train", "drn", "--part", "face", *SMALL_OPTIONS), "frontal faces"),
        (("train", "drn", *SMALL_OPTIONS, "--test-keypoints", "x.csv"), "x.csv"),
        (("train", "drn", *SMALL_OPTIONS, "--test-pairs", "none.csv"), "none.csv"),
        (("train", "drn", *SMALL_OPTIONS, "--set", "mirrored=perhaps"), "cannot be 'perhaps'"),
        (("train", "drn", *SMALL_OPTIONS, "--eyes", "both"), "--eyes cannot be 'both'"),
        (("generate", "drn", "--target-keypoints", "", "--checkpoint", "x"), "--target-keypoints '' is empty"),
        (("generate", "drm"), "Did you mean 'drn'"),
        (("generate", "drn", "--image", "fine"), "cannot be 'fine'"),
        (("generate", "copy-source", "--image", "coarse"), "has no option 'image'"),
        (("generate", "copy-source", "--precision", "tf32"), "has no option 'precision'"),
        (("generate", "drn", "--precision", "half"), "'half' is not one of 'float32', 'tf32', 'bfloat16'"),
        (("train", "drn", "--precision", "half"), "'half' is not one of 'float32', 'tf32', 'bfloat16'"),
        (("generate", "real"), "needs the target images"),
    ],
)
def test_wrong_use_is_one_sentence(
    command: Callable[..., Any], tmp_path: Path, arguments: tuple[str, ...], words: str
) -> None:
    images, pairs, keypoints = figures.write(tmp_path / "data", identities=1, poses=2)
    given = () if "--target-keypoints" in arguments else ("--target-keypoints", keypoints)
    ran = command(*arguments, "--pairs", pairs, "-s", images, "-o", tmp_path / "out", *given)
    assert ran.code == 2
    assert words in ran.sentence
