"""Runs as tables."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from made_runs import made_run

import fhpt_eval
from fhpt_eval.errors import UserError
from fhpt_eval.evaluation.run import Run

VALUES = [0.1, 0.2, math.nan, 0.5]


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    made_run("b <i>", {"ssim": VALUES, "fid": 12.5}).save(tmp_path / "runs" / "one")
    made_run("a", {"ssim": VALUES, "l1": VALUES}).save(tmp_path / "runs" / "two")
    (tmp_path / "runs" / "no run").mkdir()
    (tmp_path / "runs" / "notes.md").touch()
    return tmp_path / "runs"


def test_a_row_a_run_and_metric(stored: Path) -> None:
    table = fhpt_eval.load_runs(stored / "*")
    assert list(table) == [
        *("run", "metric", "value", "low", "high", "n", "missing", "better", "unit"),
        *("headline", "table", "protocol", "dialect", "profile", "folder"),
    ]
    assert list(zip(table["run"], table["metric"], strict=True)) == [
        ("b <i>", "ssim"), ("b <i>", "fid"), ("a", "ssim"), ("a", "l1"),
    ]  # fmt: skip
    assert table.loc[0, "value"] == np.nanmean(VALUES)
    assert tuple(table.loc[0, ["n", "missing", "better", "headline", "table"]]) == (3, 1, "higher", True, "perceptual")
    assert tuple(table.loc[3, ["better", "headline", "protocol"]]) == ("lower", False, "l1")
    assert table["low"].tolist() == pytest.approx([0.1, math.nan, 0.1, 0.1], nan_ok=True)
    assert Run.load(str(table.loc[0, "folder"])).record.name == "b <i>"


def test_folders_and_patterns_are_read_in_order_and_once(stored: Path) -> None:
    table = fhpt_eval.load_runs(stored / "two", str(stored / "*"))
    assert list(dict.fromkeys(table["run"])) == ["a", "b <i>"]
    assert len(table) == 4


def test_a_run_without_scores_leaves_the_others_types(stored: Path) -> None:
    empty = made_run("empty", {"ssim": VALUES})
    record = empty.record.model_copy(update={"protocols": []})
    Run(record, empty.per_pair.drop(columns="ssim"), empty.missing[:0]).save(stored / "empty")
    table = fhpt_eval.load_runs(stored / "empty", stored / "one")
    assert len(table) == 2
    assert table["value"].dtype == np.float64
    assert fhpt_eval.load_runs(stored / "empty").empty


@pytest.mark.parametrize("given", [(), ("nowhere",), ("nowhere/*",), ("runs/no run",)])
def test_where_no_run_is_is_one_sentence(stored: Path, monkeypatch: pytest.MonkeyPatch, given: tuple[str, ...]) -> None:
    monkeypatch.chdir(stored.parent)
    with pytest.raises(UserError, match=r"^(there is no run in|nowhere is not a run|runs/no run is not a run)"):
        fhpt_eval.load_runs(*given)


def test_a_leaderboard_has_a_row_a_run_and_keeps_blocks_apart() -> None:
    runs = [made_run("one", {"ssim": VALUES, "l1": VALUES}), made_run("two", {"ssim": [0.5] * 4}),
            made_run("elsewhere", {"ssim": [0.9] * 4}, hash="z")]  # fmt: skip
    board = fhpt_eval.leaderboard(runs)
    assert list(board) == ["ssim"]
    assert list(board.index) == [(1, "one"), (1, "two"), (2, "elsewhere")]
    assert board.loc[(1, "two"), "ssim"] == 0.5
    assert board.attrs["apart"] == {2: "other pairs than one (4 against 4)"}
    both = fhpt_eval.leaderboard(runs, ["l1", "ssim"])
    assert list(both) == ["l1", "ssim"]
    assert both["l1"].isna().to_list() == [False, True, True]
    with pytest.raises(UserError, match="Did you mean 'ssim'"):
        fhpt_eval.leaderboard(runs, ["sim"])


def test_notebooks_show_tables_in_which_names_are_inert() -> None:
    runs = [made_run(name, {"ssim": [0.1 * i + shift for i in range(8)]}, items=[*"abcdefgh"])
            for name, shift in (("<script>", 0), ("two", 0.1))]  # fmt: skip
    compared = fhpt_eval.compare(runs)
    assert list(compared.table["metric"]) == ["ssim"]
    for html in (compared._repr_html_(), runs[0]._repr_html_()):
        assert html.count("<table") == 1
        assert "&lt;script&gt;" in html
        assert "<script>" not in html
