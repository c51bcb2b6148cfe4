"""Folders of any names and endings: what is evaluated, named and listed is, taken together, all that is there."""

from __future__ import annotations

import csv
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from faults.mutations import whole_files
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

if TYPE_CHECKING:
    from conftest import Command

WHOLE = whole_files()
CONTENTS = (*WHOLE, "empty", "text", "pipe", "dead link")
IMAGES = (".png", ".jpg", ".JPEG", ".webp", ".bmp", ".tif", ".tiff", ".jfif", ".ppm", ".pgm", ".gif", ".heic")
OTHERS = (".txt", ".csv", ".json", ".npy", ".png.txt", ".mp4", ".bak", "")

Entries = dict[tuple[str, str], tuple[str, str]]
"""From folder and stem to ending and content."""

# Names are told apart where case or Unicode normalisation is not kept, and none is empty or hidden.
names = st.text(st.sampled_from("abc09_- .,;[]()'\"&#%+=@~öß人物🙂"), min_size=1, max_size=10).map(
    lambda name: f"n{name}"
)
entries = st.dictionaries(
    st.tuples(st.sampled_from(("", "sub/", "sub/sub/")), names),
    st.tuples(st.sampled_from(IMAGES + OTHERS), st.sampled_from(CONTENTS)),
    min_size=1,
    max_size=12,
)


def put(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if content == "pipe":
        os.mkfifo(path)
    elif content == "dead link":
        path.symlink_to("nowhere")
    else:
        path.write_bytes({**WHOLE, "empty": b"", "text": b"a text"}[content])


def test_nothing_in_a_folder_is_passed_over(command: Command, times: Callable[[int, int], int]) -> None:
    @settings(
        max_examples=times(15, 500),
        deadline=None,
        derandomize=True,
        phases=(Phase.explicit, Phase.generate),  # to find the smallest example takes minutes
    )
    @given(entries=entries)
    def passes(entries: Entries) -> None:
        check(command, entries)

    passes()


def check(command: Command, entries: Entries) -> None:
    for folder in ("mine", "real", "out"):
        shutil.rmtree(folder, ignore_errors=True)
    there, images = set(), {}
    for (folder, stem), (ending, content) in entries.items():
        put(Path("mine", folder, stem + ending), content)
        there.add(f"mine/{folder}{stem}{ending}")
        if ending in IMAGES:
            images[f"{folder}{stem}"] = f"mine/{folder}{stem}{ending}"
            put(Path("real", folder, f"{stem}.png"), "png")
    Path("real").mkdir(exist_ok=True)
    asked = ("run", "-g", "mine", "-t", "real", "--naming", "same-name", "-p", "l1", "--device", "cpu")
    plan = command(*asked, "--dry-run", "--json")
    if not images:
        assert plan.code == 2
        assert "no images in the folder" in plan.sentence
        return
    told = json.loads(plan.out)
    left_out, listed = set(told["left_out"]), set(told["no_images"])
    outcome = command(*asked, "-o", "out")
    with Path("out/per_pair.csv").open(encoding="utf-8", newline="") as stream:
        scores = {row["pair"]: row["l1"] for row in csv.DictReader(stream)}
    with Path("out/missing.csv").open(encoding="utf-8", newline="") as stream:
        missing = {row["pair"]: row["reason"] for row in csv.DictReader(stream)}
    unreadable = json.loads(Path("out/run.json").read_bytes())["images"]["unreadable"]
    # Every image is a pair with a score or a reason, and every other entry is named.
    assert scores.keys() == images.keys()
    assert {pair for pair, score in scores.items() if not score} == missing.keys()
    assert {images[pair] for pair in missing} >= set(unreadable)
    assert len(images) + len(left_out) + len(listed) == len(there)
    assert {*images.values(), *left_out, *listed} == there
    assert outcome.code == (3 if missing or left_out else 0)
