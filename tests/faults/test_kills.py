"""Runs that are killed anywhere, and two at a time: what is there in the end is what an undisturbed one writes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from processes import files_of, reports

if TYPE_CHECKING:
    from conftest import Draw

METRICS = ["ssim", "psnr", "l1"]


@pytest.fixture
def images(draw: Draw) -> None:
    names = [f"{number:02}" for number in range(40)]
    draw("mine", names, seed=1)
    draw("real", names, seed=2)


@pytest.mark.usefixtures("images")
def test_a_run_that_was_killed_anywhere_goes_on_to_the_same_bytes(times: Callable[[int, int], int]) -> None:
    kills = reports("kill", times(5, 50), METRICS)
    for number, kill in enumerate(kills):
        assert kill["then"] == 0, kill
        assert kill["killed"] in {-9, 0}, kill
        assert kill["left"] in (None, *(METRICS[:n] for n in (1, 2, 3))), kill
        assert files_of(Path(f"out{number}")) == files_of(Path("whole")), kill
    assert sum(kill["killed"] == -9 for kill in kills) > len(kills) / 2
    assert any(kill["left"] is None for kill in kills)


@pytest.mark.usefixtures("images")
def test_two_runs_at_a_time_on_one_cache_and_one_folder(times: Callable[[int, int], int]) -> None:
    for number, both in enumerate(reports("two", times(1, 20), METRICS)):
        # One may come while the other claims the folder, and is refused with a sentence.
        assert sorted(both["codes"]) in ([0, 0], [0, 2]), both
        assert both["left"] == METRICS
        assert files_of(Path(f"out{number}")) == files_of(Path("whole"))
