"""Runs that are killed anywhere, and two at a time: what is there in the end is what an undisturbed one writes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from processes import reports

if TYPE_CHECKING:
    from conftest import Draw

METRICS = ["ssim", "psnr", "l1"]


@pytest.fixture
def images(draw: Draw) -> None:
    names = [f"{number:02}" for number in range(40)]
    draw("mine", names, seed=1)
    draw("real", names, seed=2)


def files(out: str) -> dict[str, Any]:
    """What a run wrote, without the times that it took."""
    found: dict[str, Any] = {
        path.name: path.read_bytes() for path in Path(out).iterdir() if not path.name.startswith(".")
    }
    return {**found, "run.json": _without_times(json.loads(found["run.json"]))}


def _without_times(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _without_times(v) for k, v in value.items() if k not in {"seconds", "created"}}
    return [_without_times(v) for v in value] if isinstance(value, list) else value


@pytest.mark.usefixtures("images")
def test_a_run_that_was_killed_anywhere_goes_on_to_the_same_bytes(times: Callable[[int, int], int]) -> None:
    kills = reports("kill", times(5, 50), METRICS)
    for number, kill in enumerate(kills):
        assert kill["then"] == 0, kill
        assert kill["killed"] in {-9, 0}, kill
        assert kill["left"] in (None, *(METRICS[:n] for n in (1, 2, 3))), kill
        assert files(f"out{number}") == files("whole"), kill
    assert sum(kill["killed"] == -9 for kill in kills) > len(kills) / 2
    assert any(kill["left"] is None for kill in kills)


@pytest.mark.usefixtures("images")
def test_two_runs_at_a_time_on_one_cache_and_one_folder(times: Callable[[int, int], int]) -> None:
    for number, both in enumerate(reports("two", times(1, 20), METRICS)):
        # One may come while the other claims the folder, and is refused with a sentence.
        assert sorted(both["codes"]) in ([0, 0], [0, 2]), both
        assert both["left"] == METRICS
        assert files(f"out{number}") == files("whole")
