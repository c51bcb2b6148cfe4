"""Runs that are killed anywhere, and two at a time: what is there in the end is what an undisturbed one writes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from processes import files_of, reports

if TYPE_CHECKING:
    from conftest import Draw

METRICS = ["ssim", "psnr", "l1"]


def test_what_killed_and_competing_runs_leave_is_what_an_undisturbed_one_writes(
    draw: Draw, times: Callable[[int, int], int]
) -> None:
    names = [f"{number:02}" for number in range(40)]
    draw("mine", names, seed=1)
    draw("real", names, seed=2)
    done = reports({"kill": times(5, 50), "two": times(1, 20)}, METRICS)
    whole = files_of(Path("whole"))
    for run in done:
        assert files_of(Path(run["out"])) == whole, run
    kills = [run for run in done if run["what"] == "kill"]
    for kill in kills:
        assert kill["then"] == 0, kill
        assert kill["killed"] in {-9, 0}, kill
        assert kill["left"] in (None, *(METRICS[:n] for n in (1, 2, 3))), kill
    assert sum(kill["killed"] == -9 for kill in kills) > len(kills) / 2
    assert any(kill["left"] is None for kill in kills)
    for both in (run for run in done if run["what"] == "two"):
        # One may come while the other claims the folder, and is refused with a sentence.
        assert sorted(both["codes"]) in ([0, 0], [0, 2]), both
