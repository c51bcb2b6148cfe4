"""Arrays of a run that a stranger wrote: each is what its name promises, or the run is damaged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_runs import made_run

from fhpt_eval.errors import UserError
from fhpt_eval.evaluation.run import Run
from fhpt_eval.evaluation.run_arrays import check_arrays
from fhpt_eval.reporting.comparing.compare import compare

GOOD: dict[str, Any] = {
    "total": np.ones(4),
    "count": np.ones(4),
    "influence": np.zeros(4),
    "nearest": np.zeros((4, 3), np.int32),
    "relevant": np.zeros((4, 3), np.bool_),
}
POINTS: dict[str, Any] = {"distance": np.array([1.0, np.inf]), "pair": np.array([0, 3], np.int32), "height": np.ones(2)}


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("total", np.ones(3)),
        ("total", np.array([1, 2, 3, np.inf])),
        ("count", np.array([1.0, 1, 1, -1])),
        ("influence", np.zeros((4, 1))),
        ("influence", np.full(4, np.nan)),
        ("nearest", np.zeros(4, np.int32)),
        ("nearest", np.full((4, 3), 4)),
        ("nearest", np.full((4, 3), -2)),
        ("nearest", np.zeros((4, 3))),
        ("relevant", np.zeros((4, 2), np.bool_)),
    ],
)
def test_what_is_not_of_the_pairs_is_refused(name: str, array: Any) -> None:
    check_arrays({"m": GOOD}, 4)
    with pytest.raises(ValueError, match="m/"):
        check_arrays({"m": {**GOOD, name: array}}, 4)


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("distance", np.array([1.0, np.nan])),
        ("distance", np.array([1.0, -1])),
        ("distance", np.ones((2, 1))),
        ("pair", np.array([0, 4], np.int32)),
        ("pair", np.array([0.0, 1.0])),
        ("height", np.ones(3)),
    ],
)
def test_points_that_are_no_list_are_refused(name: str, array: Any) -> None:
    check_arrays({"m": POINTS}, 4)
    with pytest.raises(ValueError, match="m/"):
        check_arrays({"m": {**POINTS, name: array}}, 4)


def test_a_total_needs_its_count() -> None:
    with pytest.raises(ValueError, match="do not belong together"):
        check_arrays({"m": {"total": np.ones(4)}}, 4)


def stored(tmp_path: Path) -> Path:
    arrays = {"pckh": {"total": np.ones(6), "count": np.full(6, 2.0)}}
    made_run("mine", {"ssim": [0.1, 0.2, 0.3, 0.4, 0.5, 0.6], "pckh": 0.5}, arrays=arrays).save(tmp_path / "mine")
    return tmp_path / "mine"


def test_a_run_with_such_arrays_is_damaged(tmp_path: Path) -> None:
    made_run("mine", {"ssim": [0.1, 0.2]}, arrays={"ssim": {"influence": np.ones(3)}}).save(tmp_path)
    with pytest.raises(UserError, match=r"is damaged .ssim/influence is not a finite"):
        Run.load(tmp_path)


def test_values_that_do_not_come_to_the_score_are_refused_where_runs_are_compared(tmp_path: Path) -> None:
    file = stored(tmp_path) / "per_pair.csv"
    other = made_run("other", {"ssim": [0.2, 0.2, 0.3, 0.4, 0.5, 0.6]})
    assert compare([other, Run.load(file.parent)], ["ssim"]).rows
    file.write_text(file.read_text(encoding="utf-8").replace("0.6", "0.9"), encoding="utf-8")
    with pytest.raises(UserError, match=r"the pairs' values of ssim come to 0\.4000, its record says 0\.3500"):
        compare([other, Run.load(file.parent)], ["ssim"])


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("p1,", "p0,", "has a pair twice"),
        ("{", "[" * 100_000, "is damaged"),
        ('"metric": "pckh"', '"metric": "ssim"', "has two scores of ssim"),
    ],
)
def test_records_that_contradict_themselves_are_damaged(tmp_path: Path, old: str, new: str, told: str) -> None:
    folder = stored(tmp_path)
    for name in ("per_pair.csv", "run.json"):
        text = (folder / name).read_text(encoding="utf-8")
        (folder / name).write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(UserError, match=told):
        Run.load(folder)
