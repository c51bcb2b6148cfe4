"""The one command behind the shipped networks does everything from a data set on, and says what it did."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import dlib
import numpy as np
import pytest
from PIL import Image

from fhpt_eval.errors import UserError
from fhpt_eval.pretrained import build
from fhpt_eval.sample import ANNOTATION, IMAGES, PAIRS, SAMPLE

ITEMS = 2


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some of the sample, laid out as `fhpt-eval synth` does: two items of either gender to train on, and to test."""
    folder = tmp_path_factory.mktemp("data")
    (folder / "img").symlink_to(SAMPLE / IMAGES)
    with (SAMPLE / PAIRS).open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    men, women = (_with_faces([r for r in rows if r["gender"] == gender]) for gender in ("MEN", "WOMEN"))
    for split, place in (("train", 0), ("test", ITEMS)):
        items = {*men[place : place + ITEMS], *women[place : place + ITEMS]}
        chosen = [row for row in rows if row["item"] in items]
        names = dict.fromkeys(row["from"] for row in chosen)
        shown = {row["to"]: row for row in chosen}
        _write(folder / f"{split}-pairs.csv", chosen)
        labels = [{"image": n, **{k: shown[n][k] for k in ("gender", "item", "view")}} for n in names]
        _write(folder / f"{split}-labels.csv", labels)
        (folder / f"{split}-annotation.csv").write_bytes((SAMPLE / ANNOTATION).read_bytes())
    return folder


def _with_faces(rows: list[dict[str, str]]) -> list[str]:
    """As many items as are needed of which two images have a frontal face, to train and to test the face module on."""
    detect, found = dlib.get_frontal_face_detector(), []
    for item in dict.fromkeys(row["item"] for row in rows):
        names = dict.fromkeys(row["from"] for row in rows if row["item"] == item)
        images = (np.asarray(Image.open(SAMPLE / IMAGES / name)) for name in names)
        if sum(bool(detect(image, 1)) for image in images) > 1:
            found.append(item)
        if len(found) == 2 * ITEMS:
            break
    return found


def _write(path: Path, rows: list[dict[str, str]]) -> None:
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def test_one_command_trains_scores_and_draws(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "networks"
    command = [
        sys.executable,
        "-m",
        "fhpt_eval.pretrained.build",
        str(data),
        "-o",
        str(out),
        "--minutes",
        "0.2",
        "--tests",
        "1",
    ]
    command += ["--device", "cpu", "--set", "batch_size=2"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    assert done.returncode == 0, done.stderr
    for part in ("body", "face"):
        card = json.loads((out / "drn" / f"{part}.json").read_bytes())
        assert card["step"] >= 1
        assert (out / "drn" / f"{part}.safetensors").stat().st_size > 10**6
    page = (out / "README.md").read_text(encoding="utf-8")
    assert "| | refined | coarse | before | copied |" in page.replace("|  |", "| |")
    assert str(data) not in page
    assert str(out) not in page
    with (out / "scores.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["run"] for row in rows] == ["refined", "coarse", "before", "copied"]
    (ssim,) = (line for line in page.splitlines() if line.startswith("| ssim ↑"))
    shown = [cell.split()[0].rstrip("≈") for cell in ssim.split("|")[2:-1]]
    assert shown == [f"{float(row['ssim ↑']):.4f}" for row in rows]
    for picture in ("gallery.png", "kec.png"):
        assert (out / picture).read_bytes().startswith(b"\x89PNG")
    # All of its steps are told with their time.
    assert set(json.loads((out / "steps.json").read_bytes())) == set(build.steps(_task(data, out)))


def test_a_step_that_fails_is_named_and_ends_it(data: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    task = replace(_task(data, tmp_path / "out"), settings=("patch=3",))
    with pytest.raises(UserError, match=r"could not train the body \(exit code 2\)"):
        build.build(task)
    assert "patch is 3" in capfd.readouterr().err


def test_what_cannot_be_is_said_before_anything_is_run(data: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no data set of `fhpt-eval synth`"):
        build.build(_task(tmp_path, tmp_path / "out"))
    with pytest.raises(UserError, match="--minutes cannot be -1"):
        build.build(replace(_task(data, tmp_path / "out"), minutes=-1.0))
    assert not (tmp_path / "out").exists()


def test_several_processes_go_through_torchrun(tmp_path: Path) -> None:
    task = replace(_task(tmp_path / "people", tmp_path / "out"), processes=2)
    step = build.steps(task)["train the body"]
    assert step.command[1:4] == ["-m", "torch.distributed.run", "--nproc-per-node"]
    assert step.shown(task).startswith("torchrun --nproc-per-node 2 -m fhpt_eval train drn --size small")


def _task(data: Path, out: Path) -> build.Task:
    return build.parse([str(data), "-o", str(out), "--minutes", "0.2", "--device", "cpu"])
