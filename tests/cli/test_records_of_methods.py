"""``fhpt-eval run``: one method's record is never replaced by another's, by name or by ``-o``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fhpt_eval.cli.run_name import run_name
from fhpt_eval.errors import UserError
from fhpt_eval.evaluation.run import Run

if TYPE_CHECKING:
    from conftest import Command, Draw

SSIM = ("-p", "ssim", "--device", "cpu")
Folders = tuple[str, str, str, str]


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("METHOD_A/test_latest/images", "METHOD_A"),
        ("METHOD_B/test_latest/images", "METHOD_B"),
        ("pix2pix/val_latest/images/fake_B", "pix2pix"),
        ("ours/epoch_200/256x176", "ours"),
        ("ours/Generated", "ours"),
        ("DPTN_fashion/eval_results/latest", "DPTN_fashion"),
        ("gfla/test-results", "gfla"),
        ("images/drn2", "drn2"),
        ("results/test_run_of_mine", "test_run_of_mine"),
        ("pidm/outputs/iter100000", "pidm"),
        ("ours/v2", "v2"),
    ],
)
def test_a_run_is_called_after_the_first_folder_that_tells(tmp_path: Path, folder: str, name: str) -> None:
    assert run_name(None, tmp_path / folder) == name


def test_where_no_folder_tells_the_last_one_names_the_run() -> None:
    assert run_name(None, Path("/results/test/images")) == "images"


def test_a_given_name_must_be_a_folders() -> None:
    assert run_name("ours (v2)", Path("images")) == "ours (v2)"
    for name in ("a/b", " ", "ours "):
        with pytest.raises(UserError, match="--name"):
            run_name(name, Path("images"))


def test_two_methods_in_folders_of_one_name_have_two_records(command: Command, draw: Draw) -> None:
    real = draw("real", seed=9)
    for seed, method in enumerate(("METHOD_A", "METHOD_B")):
        images = draw(f"{method}/test_latest/images", seed=seed)
        assert command("run", "-g", images, "-t", real, *SSIM).code == 0
    values = [Run.load(Path("results", method)).scores["ssim"].value for method in ("METHOD_A", "METHOD_B")]
    assert values[0] != values[1]
    assert sorted(path.name for path in Path("results").iterdir()) == ["METHOD_A", "METHOD_B"]


def test_further_protocols_are_added_to_the_record_and_it_is_said(command: Command, folders: Folders) -> None:
    assert command("run", *folders, *SSIM).err == ""
    outcome = command("run", *folders, "-p", "l1", "--device", "cpu")
    assert outcome.code == 0
    assert outcome.sentence == "in results/mine from before: ssim"
    assert "ssim" not in outcome.out
    assert list(Run.load("results/mine").scores) == ["ssim", "l1"]


def test_a_protocol_that_cannot_run_leaves_the_finished_record_as_it_was(command: Command, folders: Folders) -> None:
    command("run", *folders, *SSIM, "-o", "out")
    before = {path.name: path.read_bytes() for path in Path("out").iterdir()}
    outcome = command("run", *folders, "-p", "fid", "--device", "cpu", "-o", "out")
    assert outcome.code == 3
    assert "out was left as it was about: fid" in outcome.err
    assert {path.name: path.read_bytes() for path in Path("out").iterdir()} == before


def test_another_methods_record_is_replaced_when_asked_and_not_before(command: Command, draw: Draw) -> None:
    real = draw("real", seed=9)
    mine, theirs = (draw(name, seed=seed) for seed, name in enumerate(("mine", "theirs")))
    command("run", "-g", mine, "-t", real, *SSIM, "-o", "out")
    before = {path.name: path.read_bytes() for path in Path("out").iterdir()}
    outcome = command("run", "-g", theirs, "-t", real, *SSIM, "-o", "out")
    assert outcome.code == 2
    assert outcome.sentence.startswith(f"out holds the record 'mine' of other generated images (from {mine}, of ")
    assert outcome.sentence.endswith("choose another folder with -o, or replace it with --overwrite.")
    assert {path.name: path.read_bytes() for path in Path("out").iterdir()} == before
    assert command("run", "-g", theirs, "-t", real, *SSIM, "-o", "out", "--overwrite").code == 0
    assert Run.load("out").record.name == "theirs"
