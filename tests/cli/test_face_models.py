"""``--face-models``: given to a run, recorded, checked by others, and refused where nothing looks at it."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PIL import Image
from toy_faces import portrait, write_pack

if TYPE_CHECKING:
    from conftest import Command

IMAGES = ("-g", "mine", "-t", "real", "--device", "cpu")
FACES = (*IMAGES, "-p", "face_similarity")


@pytest.fixture
def pack(own_folders: Path) -> str:
    """Three pairs, the last without a face in the target; and networks."""
    for role, counts in {"mine": (1, 1, 1), "real": (1, 2, 0)}.items():
        Path(role).mkdir()
        for i, count in enumerate(counts):
            Image.fromarray(portrait(10 * i + (role == "real"), faces=count)).save(f"{role}/{i}.png")
    return str(write_pack(own_folders / "buffalo_toy"))


def test_networks_are_recorded_and_others_can_check_the_numbers(command: Command, pack: str) -> None:
    run = command("run", *FACES, "--face-models", pack, "-o", "out", "--json")
    assert (run.code, run.sentence) == (0, "missing: 1 × no face in target (face_similarity)")
    (protocol,) = json.loads(run.out)["protocols"]
    assert set(protocol["recipe"]["weights"]) == {"face-detector", "face-recogniser"}
    assert protocol["dialect"] is None, "the networks are the user's"
    assert [score["n"] for score in protocol["scores"]] == [2, 2]
    assert protocol["scores"][0]["missing"] == {"no face in target": 1}

    assert command("pack", "out", "-o", "claim.zip").code == 0
    readme = zipfile.ZipFile("claim.zip").read("README.md").decode()
    assert "--target TARGET --face-models FACE_MODELS\n" in readme
    checked = command("verify", "claim.zip", *IMAGES, "--face-models", pack)
    assert (checked.code, checked.out.count("same bits")) == (0, 2)
    without = command("verify", "claim.zip", *IMAGES)
    assert (without.code, "--face-models DIR" in without.out) == (3, True)
    other = command("verify", "claim.zip", *IMAGES, "--face-models", write_pack(Path("other"), seed=1))
    assert (other.code, "other weights" in other.out) == (3, True)


def test_a_dry_run_tells_what_is_missing_and_looks_at_the_networks(command: Command, pack: str) -> None:
    without = command("run", *FACES, "--dry-run")
    assert "protocol face_similarity: it needs networks: give the folder of one of InsightFace's" in without.out
    given = command("run", *FACES, "--face-models", pack, "--dry-run")
    assert "protocol face_similarity: ready" in given.out
    assert "extractor insightface[models=sha256:" in given.out
    empty = command("run", *FACES, "--face-models", "mine", "--dry-run")
    assert (empty.code, empty.sentence) == (
        2,
        "mine has no face detector (there is no ONNX file): give the folder of one of InsightFace's model packs, such"
        " as buffalo_s.",
    )


def test_what_nothing_looks_at_is_refused(command: Command, pack: str) -> None:
    for options in (("-p", "l1"), ("--dialect", "gfla")):
        refused = command("run", *IMAGES, *options, "--face-models", pack)
        assert (refused.code, refused.sentence) == (
            2,
            "--face-models: none of the chosen protocols looks at faces by InsightFace; leave it out.",
        )
    blank = command("run", *FACES, "--face-models", " ")
    assert blank.sentence.startswith("--face-models ' ': a path is empty where that of a folder is expected")


def test_faces_are_measured_on_request_only_and_their_licence_is_said(command: Command, pack: str) -> None:
    run = command("run", *IMAGES, "-p", "semantic", "--dry-run")
    assert "face_similarity" not in run.out
    shown = command("protocols", "face_similarity")
    assert (
        "Licence: InsightFace's code is MIT; its networks, which you bring, are for non-commercial research only."
        in shown.out
    )


def test_mclds_dialect_says_which_input_is_absent(command: Command, pack: str) -> None:
    run = command("run", *IMAGES, "--dialect", "mcld", "-p", "face_similarity,psnr", "-o", "out")
    assert run.code == 3
    assert "mcld@1:face_cosine, mcld@1:face_distance: it needs networks" in run.err
    assert "mcld@1:psnr" in run.out
    whole = command(
        "run", *IMAGES, "--dialect", "mcld", "-p", "face_similarity,psnr", "-o", "out", "--face-models", pack
    )
    assert whole.code == 0
    assert {"mcld@1:face_cosine", "mcld@1:face_distance"} <= set(whole.out.split())
