"""Damaged image files: none ends or halts a run, and each is either scored or named."""

from __future__ import annotations

import csv
import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from faults.mutations import SIZE, WAYS, damaged_files, whole_files
from PIL import Image

if TYPE_CHECKING:
    from conftest import Command

BATCH = 500


def test_every_kind_of_file_meets_every_kind_of_damage() -> None:
    assert np.gcd(len(whole_files()), len(WAYS)) == 1
    assert len(whole_files()) * len(WAYS) <= BATCH


def test_damaged_files_are_scored_or_named(command: Command, times: Callable[[int, int], int]) -> None:
    for folder in ("mine", "real"):
        Path(folder).mkdir()
    target = Path("real/0000.png")
    Image.new("RGB", SIZE, "grey").save(target)
    for number in range(1, BATCH):
        Path("real", f"{number:04}.png").hardlink_to(target)

    def give_up(*_: object) -> None:
        raise AssertionError("it hangs")

    before = signal.signal(signal.SIGALRM, give_up)
    try:
        for start in range(0, times(500, 10_000), BATCH):
            files = list(damaged_files(start, BATCH))
            for number, (_, data) in enumerate(files):
                Path("mine", f"{number:04}.png").write_bytes(data)
            signal.alarm(300)
            outcome = command("run", "-g", "mine", "-t", "real", "-p", "l1", "-o", f"out{start}", "--device", "cpu")
            signal.alarm(0)
            assert outcome.code == 3, outcome.err
            check(Path(f"out{start}"), [how for how, _ in files])
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def check(out: Path, files: list[str]) -> None:
    """Each file has a score, or a reason; what cannot be read is named as unreadable, too."""
    record = json.loads((out / "run.json").read_bytes())
    (score,) = record["protocols"][0]["scores"]
    with (out / "per_pair.csv").open(encoding="utf-8", newline="") as stream:
        scored = {row["pair"] for row in csv.DictReader(stream) if row["l1"]}
    with (out / "missing.csv").open(encoding="utf-8", newline="") as stream:
        missing = {row["pair"]: row["reason"] for row in csv.DictReader(stream)}
    unreadable = {Path(file).stem for file in record["images"]["unreadable"]}
    assert not scored & missing.keys()
    assert scored | missing.keys() == {f"{number:04}" for number in range(len(files))}
    assert (score["n"], sum(score["missing"].values())) == (len(scored), len(missing))
    for pair, reason in missing.items():
        what = files[int(pair)]
        assert reason.isprintable(), what
        assert (pair in unreadable) == reason.startswith("unreadable: "), what
        assert pair in unreadable or reason.startswith("sizes differ"), (what, reason)
    # Neither is a rarity.
    assert len(scored) > len(files) / 20
    assert len(unreadable) > len(files) / 4
