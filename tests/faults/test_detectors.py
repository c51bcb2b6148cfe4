"""A detector that hangs or is killed costs the image that it looked at; one that cannot even be loaded, itself."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image
from processes import end_of, started

if TYPE_CHECKING:
    from conftest import Draw


def run(stuck: str, at_work: Path, protocols: str, *options: str) -> tuple[int, list[str]]:
    """Exit code and remarks of a run."""
    folders: tuple[str | Path, ...] = (
        "-g",
        Path("mine").absolute(),
        "-t",
        Path("real").absolute(),
        "-o",
        Path("out").absolute(),
    )
    given = ("run", *folders, "-p", protocols, "--device", "cpu", "--workers", "1", *options)
    with started("faults.stuck", *given, STUCK=stuck, AT_WORK=str(at_work)) as process:
        return end_of(process)


def scores() -> dict[str, Any]:
    record = json.loads(Path("out/run.json").read_bytes())
    return {score["metric"]: score for protocol in record["protocols"] for score in protocol["scores"]}


@pytest.fixture
def at_work(draw: Draw) -> Path:
    draw("mine", seed=1)
    draw("real", seed=2)
    Path("at-work").mkdir()
    return Path("at-work").absolute()


def test_an_image_that_hangs_or_kills_its_process_is_missing_and_the_others_are_scored(at_work: Path) -> None:
    Image.new("RGB", (48, 64), "black").save("mine/b.png")
    Image.new("RGB", (48, 64), "white").save("real/d.png")
    code, _ = run("some images", at_work, "face_identity", "--detector-timeout", "2")
    assert code == 3
    assert len(list(at_work.iterdir())) == 1  # what hung was not tried again
    distance = scores()["face_distance"]
    assert (distance["n"], distance["value"], distance["faults"]) == (3, 0.0, 2)
    with Path("out/missing.csv").open(encoding="utf-8", newline="") as stream:
        missing = {row["pair"]: row["reason"] for row in csv.DictReader(stream) if row["metric"] == "face_distance"}
    assert missing == {
        "b": "dlib-face was stopped on this image after 2 s",
        "d": "dlib-face crashed on this image",
    }


def test_a_detector_that_crashes_where_it_is_loaded_is_given_up_at_once(at_work: Path) -> None:
    code, said = run("loading", at_work, "face_identity,l1")
    assert code == 3
    (line,) = (line for line in said if "face_identity" in line)
    assert line.startswith("fhpt-eval: face_identity: dlib-face crashes where it is loaded: ")
    assert {metric: score["n"] for metric, score in scores().items()} == {"l1": 5}
