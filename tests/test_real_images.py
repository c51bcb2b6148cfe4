"""The main job on real photographs and on real outputs of four published methods: every protocol, and what follows."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

REAL = Path(__file__).resolve().parents[1] / "../shared/data/real"
FIGURE = REAL / "methods_figure"
METHODS = ("PG2", "VUNet", "DSC", "PATN")

needs_images = pytest.mark.skipif(not REAL.is_dir(), reason="the real images of shared/ are not here")


@needs_images
def test_four_published_methods_make_a_leaderboard_and_a_figure(command: Callable[..., Any], own_folders: Path) -> None:
    for method in METHODS:
        ran = command(
            *("run", "--profile", "embedded", "--name", method, "-g", FIGURE / "generated" / method),
            *("-t", FIGURE / "target", "-s", FIGURE / "source", "--pairs", FIGURE / "pairs.csv"),
        )
        # The Inception Score wants ten images.
        assert ran.code == 3
        assert len([line for line in ran.err.splitlines() if line.startswith("fhpt-eval: is: ")]) == 1
    runs = [own_folders / "results" / method for method in METHODS]
    board = own_folders / "leaderboard.csv"
    assert command("leaderboard", *runs, "-o", board).code == 0
    with board.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["run"] for row in rows] == list(METHODS)
    assert {row["block"] for row in rows} == {"1"}
    columns = [name for name in rows[0] if name.startswith("ssim")]
    assert columns
    assert all(0.5 < float(row[columns[0]]) < 0.8 for row in rows)
    assert "nan" not in board.read_text(encoding="utf-8").lower()
    figure = own_folders / "kec.png"
    assert command("plot", "kec", *runs, "-o", figure).code == 0
    assert figure.stat().st_size > 10_000


@needs_images
def test_frames_without_targets_are_compared_with_their_sources(command: Callable[..., Any]) -> None:
    generated, source = REAL / "patn_frames/generated", REAL / "patn_frames/source"
    ran = command(
        *("run", "--profile", "embedded", "-g", generated, "-s", source, "--json", "--quiet"),
        *("-p", "face_identity", "--set", "face_identity.against=source"),
    )
    # In one frame no face is found: a finding, not a fault.
    assert ran.code == 0
    assert '"face_distance[source]"' in ran.out
