"""``fhpt-eval demo``, with a tiny DRN and without detectors."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from fhpt_eval.extract.dlib_face import NO_FACE, DlibFace
from fhpt_eval.extract.mediapipe_keypoints import MediapipeKeypoints
from fhpt_eval.images.decoding import Rgb
from fhpt_eval.measuring.registry import find_protocols

if TYPE_CHECKING:
    from conftest import Command

METHODS = ["drn-refined", "drn-coarse", "copy-source", "real"]
ASKED = ("demo", "-o", "out", "--pairs", "10")


def _points(image: Rgb, count: int) -> np.ndarray:
    """Points that move with the colours of an image."""
    red, green, _ = image.reshape(-1, 3).mean(axis=0)
    along = np.linspace(20, 60, count)
    return np.column_stack([along + red / 4, along + green / 4, np.ones(count)]).astype(np.float32)


def _people(images: Sequence[Rgb]) -> list[Any]:
    return [
        {
            "body": _points(x, 18),
            "face": _points(x, 68),
            "hands": _points(x, 42).reshape(2, 21, 3),
            "size": np.array(x.shape[1::-1], np.int32),
        }
        for x in images
    ]


@pytest.fixture(autouse=True)
def loaded(pretrained: Path, monkeypatch: pytest.MonkeyPatch) -> list[type]:
    """Which detectors were loaded, each by something that takes no time."""
    loads: list[type] = []

    def loading(extractor: type, finder: Callable[[Sequence[Rgb]], list[Any]]) -> Callable[..., Any]:
        def load(_self: Any, _context: Any) -> Callable[[Sequence[Rgb]], list[Any]]:
            loads.append(extractor)
            return finder

        return load

    for extractor, finder in ((MediapipeKeypoints, _people), (DlibFace, lambda images: [NO_FACE] * len(images))):
        monkeypatch.setattr(extractor, "process", False)
        monkeypatch.setattr(extractor, "load", loading(extractor, finder))
    return loads


def test_four_methods_are_generated_scored_compared_and_shown_and_a_second_time_found(
    command: Command, loaded: list[type]
) -> None:
    done = command(*ASKED)
    assert done.code == 0
    assert "trained on rendered people" in done.err
    with Path("out/leaderboard.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["run"] for row in rows] == METHODS
    assert {(row["block"], row["profile"]) for row in rows} == {("1", "embedded")}
    assert [float(row["l1 ↓"]) == 0 for row in rows] == [False, False, False, True]
    for name in ("leaderboard.csv", "kec.png", "gallery.png", "report.html", "runs"):
        assert f": out/{name}\n" in done.out
    assert done.out.splitlines()[-1] == "all of it on one page, with pictures: out/report.html"
    assert "10 images are few for fd, kd and is" in done.out
    for method in METHODS:
        record = json.loads(Path("out/runs", method, "run.json").read_bytes())
        by_default = {name for name, protocol in find_protocols().classes.items() if not protocol.on_request}
        assert {p["name"] for p in record["protocols"]} == by_default
        assert {p["status"] for p in record["protocols"]} == {"done"}
        assert f"\n {method} " in done.out
    with Image.open("out/gallery.png") as gallery:
        assert gallery.width > 1000
    images = {path: path.stat().st_mtime_ns for path in Path("out/images").rglob("*.png")}
    assert len(images) == 4 * 10

    # Once for the poses to generate, and once for all methods together.
    assert sorted(loaded, key=str) == [DlibFace, DlibFace, MediapipeKeypoints, MediapipeKeypoints]
    loaded.clear()
    again = command(*ASKED, "--json", "--quiet")
    assert (again.code, again.err, loaded) == (0, "", [])
    assert {path: path.stat().st_mtime_ns for path in Path("out/images").rglob("*.png")} == images
    told = json.loads(again.out)
    assert told["pairs"] == 10
    assert list(told["scores"]) == METHODS
    assert [f"{told['scores'][row['run']]['ssim']['value']}" for row in rows] == [row["ssim ↑"] for row in rows]
    assert {score["n"] for scores in told["scores"].values() for score in (scores["ssim"], scores["l1"])} == {10}
    assert all(Path(path).exists() for path in told["files"].values())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("-o", "out", "--pairs", "289"), "--pairs cannot be 289: the sample has 288"),
        (("-o", "out", "--pairs", "0"), "--pairs"),
        (("-o", "mine"), "mine/thesis.txt was not made by `fhpt-eval demo`: choose a new or an empty folder with -o"),
        ((), "--output"),
    ],
)
def test_wrong_use_is_one_sentence_and_changes_nothing(
    command: Command, own_folders: Path, arguments: tuple[str, ...], words: str
) -> None:
    (own_folders / "mine").mkdir()
    (own_folders / "mine" / "thesis.txt").touch()
    done = command("demo", *arguments)
    assert done.code == 2
    assert words in done.sentence
    assert [path.name for path in (own_folders / "mine").iterdir()] == ["thesis.txt"]
    assert not (own_folders / "out").exists()
