"""What a leaderboard shows of which runs, in which order, and what it says of the best."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from made_runs import made_run

from fhpt_eval.errors import UserError
from fhpt_eval.evaluation.run import Run
from fhpt_eval.reporting.leaderboards.leaderboard import Leaderboard
from fhpt_eval.reporting.leaderboards.notes import closing_notes, notes
from fhpt_eval.reporting.leaderboards.remarks import remarks_of
from fhpt_eval.reporting.leaderboards.tables import WIDTH, tables

EVEN = [0.5, 0.6, 0.7, 0.8, 0.5, 0.6, 0.7, 0.8]


def shifted(by: float, noise: float = 0.0) -> list[float]:
    return [value + by + noise * (-1) ** i * (1 + i % 3) for i, value in enumerate(EVEN)]


def of(*runs: Run, **choice: Any) -> Leaderboard:
    return Leaderboard.of(runs, **choice)


def all_notes(board: Leaderboard) -> str:
    return "\n".join([*(line for i in range(len(board.blocks)) for line in notes(board, i)), *closing_notes(board)])


def test_headlines_come_first_and_alone_unless_everything_is_asked_for() -> None:
    run = made_run("a", {"psnr": EVEN, "ssim": EVEN, "kec_auc_body": EVEN, "fid": 9.0})
    board = of(run)
    assert list(board.metrics) == ["fid", "ssim", "kec_auc_body"]
    assert "1 detail is left out (psnr): --table all shows it, --metrics those it names" in all_notes(board)
    everything = of(run, everything=True)
    assert list(everything.metrics) == ["fid", "ssim", "kec_auc_body", "psnr"]
    assert "left out" not in all_notes(everything)
    # A choice is a choice, whatever the format.
    chosen = of(run, metrics=["psnr", "fid"], everything=True)
    assert list(chosen.metrics) == ["psnr", "fid"]
    assert "2 metrics are left out (ssim, kec_auc_body): --table all shows them" in all_notes(chosen)
    assert list(of(run, table="structural").metrics) == ["kec_auc_body"]
    assert list(of(run, table="detail", everything=True).metrics) == ["psnr"]


@pytest.mark.parametrize(
    ("choice", "told"),
    [
        ({"metrics": ["sim"]}, "metric 'sim' is not in any run. Did you mean 'ssim'?"),
        ({"sort": "sim"}, "--sort sim: metric 'sim' is not in any run. Did you mean 'ssim'?"),
        ({"table": "percept"}, "--table percept: no run has metrics of such a table. Did you mean 'perceptual'?"),
    ],
)
def test_a_metric_or_a_table_that_no_run_has_is_one_sentence(choice: dict[str, Any], told: str) -> None:
    with pytest.raises(UserError) as error:
        of(made_run("a", {"ssim": EVEN}), **choice)
    assert str(error.value) == told


def test_runs_are_sorted_within_their_block_best_first_and_those_without_a_value_last() -> None:
    runs = [
        made_run("none", {"ssim": EVEN}),
        made_run("worse", {"fid": 20.0}),
        made_run("best", {"fid": 5.0}),
        made_run("other", {"fid": 1.0}, hash="another list"),
    ]
    board = of(*runs, sort="fid")
    assert [[run.record.name for run in block.runs] for block in board.blocks] == [["best", "worse", "none"], ["other"]]
    higher = of(made_run("low", {"ssim": EVEN}), made_run("high", {"ssim": shifted(0.1)}), sort="ssim")
    assert [run.record.name for run in higher.blocks[0].runs] == ["high", "low"]


def test_the_best_is_marked_where_it_is_not_told_apart_from_the_next() -> None:
    runs = [
        made_run("a", {"ssim": EVEN, "lpips": EVEN}),
        made_run("b", {"ssim": shifted(0.02, 0.1), "lpips": shifted(-0.2, 0.001)}),
        made_run("c", {"ssim": shifted(-0.3), "lpips": shifted(0.3)}),
    ]
    board = of(*runs)
    (standing,) = board.standings
    assert (standing["ssim"].best, standing["ssim"].second, standing["ssim"].close) == ((1,), (0,), True)
    assert (standing["lpips"].best, standing["lpips"].second, standing["lpips"].close) == ((1,), (0,), False)
    (table,) = tables(board, 0)
    marks = {(row.name, m.name): c.close for row in table.runs for m, c in zip(table.metrics, row.cells, strict=True)}
    assert [key for key, close in marks.items() if close] == [("b", "ssim")]
    assert "≈: not told apart from the next, by resampling items (p > 0.05" in all_notes(board)
    assert "Holm over every two runs and" in all_notes(board)
    assert "not compared" not in all_notes(board)


def test_equal_values_are_all_best_and_are_not_tested() -> None:
    (standing,) = of(
        made_run("a", {"ssim": EVEN}), made_run("b", {"ssim": EVEN}), made_run("c", {"ssim": shifted(-0.1)})
    ).standings
    assert (standing["ssim"].best, standing["ssim"].second, standing["ssim"].close) == ((0, 1), (2,), None)


def test_one_run_is_neither_best_nor_second() -> None:
    board = of(made_run("a", {"ssim": EVEN}))
    assert board.standings[0]["ssim"].best == ()
    assert "bold" not in all_notes(board)


@pytest.mark.parametrize(
    ("runs", "why"),
    [
        (
            [made_run(name, {"ssim": [0.5, 0.6, value]}, pairs=3) for name, value in (("a", 0.1), ("b", 0.2))],
            "best and next not compared in ssim: too few items to tell (3): it takes 5",
        ),
        (
            [made_run("a", {"fid": 1.0, "kid": 1.0}), made_run("b", {"fid": 2.0, "kid": 2.0})],
            "best and next not compared in fid: a keeps nothing of it to resample",
        ),
        (
            [made_run("a", {"ssim": EVEN}), made_run("a", {"ssim": shifted(0.1)}, generated="others")],
            "best and next not compared in ssim: two runs are called 'a'",
        ),
    ],
)
def test_where_the_best_cannot_be_compared_there_is_no_mark_and_the_reason_once(runs: list[Run], why: str) -> None:
    board = of(*runs)
    assert all(found.close is None for found in board.standings[0].values())
    assert all_notes(board).count(why) == 1
    assert "≈" not in all_notes(board)


def test_runs_without_items_are_compared_by_pairs() -> None:
    runs = [made_run("a", {"ssim": EVEN}, items=False), made_run("b", {"ssim": shifted(0.3, 0.001)}, items=False)]
    board = of(*runs)
    assert board.standings[0]["ssim"].close is False
    assert "by resampling pairs (p ≤ 0.05" in all_notes(board)
    few = [made_run(name, {"ssim": [0.5, 0.6, value]}, items=False) for name, value in (("a", 0.1), ("b", 0.2))]
    assert "too few pairs to tell (3): it takes 5" in all_notes(of(*few))


def test_few_items_are_called_what_they_are() -> None:
    def told(count: int, over: str) -> list[str]:
        about = {"interval_over": over, "interval_items": count, "few_items": True}
        return remarks_of(made_run("a", {"ssim": EVEN[:count]}, details={"ssim": about}))

    few = "95 % intervals of ssim may cover less than 92 % (docs/intervals.md)"
    assert told(6, "pairs, because items are unknown") == [f"few pairs (6): {few}"]
    assert told(6, "items") == told(6, "items where they are known, otherwise pairs") == [f"few items (6): {few}"]
    assert told(1, "pairs, because items are unknown") == ["one pair: no 95 % intervals of ssim"]


def test_three_of_the_metrics_that_are_left_out_are_named() -> None:
    names = ["ssim", "psnr", "l1", "kec_auc_body", "fid"]
    told = all_notes(of(made_run("a", dict.fromkeys(names, 0.5)), metrics=["fid"]))
    assert re.search(r"4 metrics are left out \(\w+, \w+, \w+, …\): --table all shows them", told)


def test_what_was_given_twice_or_has_an_equal_name_or_equal_images_is_said() -> None:
    run = made_run("a", {"ssim": EVEN})
    board = of(run, made_run("a", {"ssim": EVEN}))
    assert len(board.blocks[0].runs) == 1
    assert board.remarks == ("a was given twice and stands here once",)
    named = of(run, made_run("a", {"ssim": shifted(0.1)}, generated="others"))
    assert named.remarks == ("2 runs are called 'a': run them with another --name",)
    same = of(run, made_run("b", {"ssim": EVEN, "l1": EVEN}, generated="of a"))
    assert same.remarks == ("a and b are the same images",)
    assert len(same.blocks[0].runs) == 2
    # Without the hash, as in old records, nothing can be told.
    assert of(*(made_run(name, {"ssim": EVEN}, generated=None) for name in "ab")).remarks == ()


def test_killed_and_partial_runs_are_said() -> None:
    run = made_run("a", {"ssim": EVEN, "psnr": EVEN, "l1": EVEN, "lpips": EVEN}, missing=["p9"], doubts=["cut off"])
    states = {"psnr": ("pending", None), "l1": ("failed", "ValueError: 3"), "lpips": ("unavailable", "no weights")}
    protocols = [
        p.model_copy(update={"status": states[p.name][0], "reason": states[p.name][1], "scores": []})
        if p.name in states
        else p
        for p in run.record.protocols
    ]
    board = of(replace(run, record=run.record.model_copy(update={"protocols": protocols})))
    told = [
        "a: killed, or still running: without psnr",
        "a: failed: l1 (ValueError: 3)",
        "a: not measured: lpips",
        "a: 1 pairs without an image",
        "a: cut off",
    ]
    assert [line for line in notes(board, 0) if line.startswith("a: ")] == told == board.told


def test_what_a_number_lacks_is_said_once_for_metrics_that_lack_the_same() -> None:
    gap = [*EVEN[:7], float("nan")]
    board = of(made_run("a", {"ssim": gap, "lpips": gap}), made_run("b", {"ssim": EVEN, "lpips": EVEN}))
    assert "missing: lpips, ssim: 1 of 8 in a" in notes(board, 0)
    each = of(made_run("a", {"ssim": gap}), made_run("b", {"ssim": [*gap[1:], 0.5][::-1]}))
    assert "missing: ssim: 1 of 8 in each run" in notes(each, 0)


def many(count: int) -> list[Run]:
    names = ["fid", "lpips", "ssim", "kec_auc_body", "kec_auc_face", "kec_auc_hands", "face_same@0.6", "gender_error"]
    names += [f"recall@{k}[{network}]" for network in ("resnet50", "vgg16") for k in (3, 5, 10)]
    return [made_run(f"method-{i:02}", dict.fromkeys(names, i / 20 + 0.01)) for i in range(count)]


def test_a_table_that_is_too_wide_is_broken_by_the_papers_tables() -> None:
    board = of(*many(12))
    shown = tables(board, 0)
    assert list(dict.fromkeys(t.title for t in shown)) == ["perceptual", "structural", "face", "retrieval", "gender"]
    assert max(table.width for table in shown) <= WIDTH
    assert [m.name for table in shown for m in table.metrics] == list(board.metrics)
    assert all([row.name for row in table.runs] == [f"method-{i:02}" for i in range(12)] for table in shown)
    assert len(tables(board, 0, float("inf"))) == 1
    assert all(len(table.metrics) == 1 for table in tables(board, 0, 10))


def test_decimals_are_those_of_the_metric_in_all_blocks_or_the_ones_asked_for() -> None:
    runs = [made_run("a", {"fid": 9.5, "ssim": EVEN}), made_run("b", {"fid": 100.25, "ssim": EVEN}, hash="another")]

    def texts(board: Leaderboard) -> list[list[str]]:
        return [[c.text for c in tables(board, i)[0].runs[0].cells] for i in range(2)]

    assert texts(of(*runs)) == [["9.50", "0.6500"], ["100.25", "0.6500"]]
    assert texts(of(*runs, decimals=1)) == [["9.5", "0.7"], ["100.2", "0.7"]]
    assert np.isclose(tables(of(*runs, decimals=1), 1)[0].runs[0].cells[0].value or 0, 100.25)


def test_intervals_are_shown_on_request() -> None:
    run = made_run("a", {"ssim": EVEN, "fid": 3.0})
    assert [cell.beside for cell in tables(of(run, intervals=True), 0)[0].runs[0].cells] == ["", "[0.5000, 0.8000]"]
    assert [cell.beside for cell in tables(of(run), 0)[0].runs[0].cells] == ["", ""]


def test_json_has_values_standings_and_what_must_be_known() -> None:
    board = of(
        made_run("a", {"ssim": EVEN}),
        made_run("b", {"ssim": shifted(0.3, 0.001)}),
        made_run("c", {"ssim": EVEN}, hash="x"),
    )
    plain = json.loads(json.dumps(board.plain()))
    assert plain["metrics"] == [
        {"name": "ssim", "table": "perceptual", "better": "higher", "unit": "", "headline": True}
    ]
    first, second = plain["blocks"]
    assert [run["name"] for run in first["runs"]] == ["a", "b"]
    assert first["runs"][0]["scores"]["ssim"]["value"] == pytest.approx(0.65)
    assert first["standings"]["ssim"] == {"best": ["b"], "second": ["a"], "close": False, "why": ""}
    assert second["apart"] == "other pairs than a (8 against 8)"
