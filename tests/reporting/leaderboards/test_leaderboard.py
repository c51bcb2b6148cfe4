"""Leaderboards: who stands beside whom, and what each cell says."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from made_runs import HOSTILE, made_run
from toys import write_image

from fhpt_eval.engine.cache import Cache
from fhpt_eval.engine.engine import open_engine
from fhpt_eval.evaluation.evaluate import evaluate
from fhpt_eval.evaluation.run import Run
from fhpt_eval.measuring.protocol import Protocol
from fhpt_eval.pairing.pairs import Pairs
from fhpt_eval.protocols.l1 import L1
from fhpt_eval.protocols.psnr import Psnr
from fhpt_eval.protocols.ssim import Ssim
from fhpt_eval.reporting.blocks import blocks_of, how_measured
from fhpt_eval.reporting.leaderboards.as_csv import Csv
from fhpt_eval.reporting.leaderboards.as_markdown import Markdown
from fhpt_eval.reporting.leaderboards.leaderboard import Leaderboard

Evaluate = Callable[..., Run]


@pytest.fixture
def run_of(tmp_path: Path) -> Evaluate:
    def run(name: str, *protocols: Protocol, target: str = "real", count: int = 4, copies: int = 0) -> Run:
        for i in range(count):
            write_image(tmp_path / target / f"{i}.png", 100 * len(target) + i)
            same = i < copies
            write_image(tmp_path / name / f"{i}.png", 100 * len(target) + i if same else 7 * len(name) + i)
        pairs = Pairs.from_folders(tmp_path / name, tmp_path / target)
        with Cache(tmp_path / "cache") as cache:
            engine = open_engine("local", cache, device="cpu")
            return evaluate(pairs, protocols or (Ssim(), L1()), name=name, engine=engine)

    return run


def of(runs: Sequence[Run], *, everything: bool = True) -> Leaderboard:
    return Leaderboard.of(runs, everything=everything)


def table(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_one_row_a_run_with_everything_about_each_metric(run_of: Evaluate) -> None:
    runs = [run_of("one"), run_of("another")]
    rows = table(Csv().text(of(runs)))
    assert [row["run"] for row in rows] == ["one", "another"]
    for row, run in zip(rows, runs, strict=True):
        score = run.scores["ssim"]
        assert score.interval is not None
        assert float(row["ssim ↑"]) == score.value
        assert (float(row["ssim low"]), float(row["ssim high"])) == score.interval
        assert (row["ssim n"], row["ssim missing"], row["block"], row["why apart"]) == ("4", "0", "1", "")
        assert float(row["l1 ↓"]) == run.scores["l1"].value


def test_other_pairs_stand_apart(run_of: Evaluate) -> None:
    blocks = blocks_of([run_of("one"), run_of("few", target="others", count=3), run_of("two")])
    assert [[r.record.name for r in block.runs] for block in blocks] == [["one", "two"], ["few"]]
    assert blocks[1].apart == "other pairs than one (3 against 4)"


def test_other_target_files_under_the_same_names_stand_apart(run_of: Evaluate) -> None:
    blocks = blocks_of([run_of("one"), run_of("two", target="recoded")])
    assert blocks[1].apart == "the same pairs as one, but other target files"


def test_another_recipe_of_one_metric_stands_apart(run_of: Evaluate) -> None:
    blocks = blocks_of([run_of("one", Ssim(), L1()), run_of("two", Ssim(sigma=1.2), L1()), run_of("three", L1())])
    assert [[r.record.name for r in block.runs] for block in blocks] == [["one", "three"], ["two"]]
    assert blocks[1].apart == "ssim by another recipe than one: sigma is 1.2 instead of 1.5"


def test_a_metric_that_a_run_has_not_is_empty(run_of: Evaluate) -> None:
    rows = table(Csv().text(of([run_of("one", Ssim()), run_of("two", L1())])))
    assert (rows[0]["l1 ↓"], rows[1]["ssim ↑"]) == ("", "")


def test_the_common_mean_is_over_pairs_on_which_every_run_has_a_value(run_of: Evaluate) -> None:
    # Identical pairs have no PSNR: one pair of "one", two of "two".
    runs = [run_of("one", Psnr(), copies=1), run_of("two", Psnr(), copies=2)]
    (block,) = blocks_of(runs)
    common = block.common_mean("psnr")
    assert common is not None
    means, count = common
    assert count == 2
    assert means == pytest.approx([run.per_pair["psnr"][2:].mean() for run in runs], rel=1e-12)
    rows = table(Csv().text(of(runs)))
    assert [float(row["psnr common"]) for row in rows] == means
    assert [row["psnr missing"] for row in rows] == ["1", "2"]
    assert not math.isclose(means[0], float(rows[0]["psnr ↑"]))


def test_no_common_mean_where_all_runs_have_the_same_pairs(run_of: Evaluate) -> None:
    runs = [run_of("one"), run_of("two")]
    (block,) = blocks_of(runs)
    assert block.common_mean("ssim") is None
    assert "ssim common" not in Csv().text(of(runs))


def test_markdown_marks_the_best_by_the_direction_of_the_metric(run_of: Evaluate) -> None:
    runs = [run_of("one"), run_of("better", copies=3)]
    head, _, first, second, _, *told = Markdown().text(of(runs)).splitlines()
    assert head == "| run | ssim ↑ | l1 ↓ |"
    assert (first.count("**"), first.count("<u>")) == (0, 2)
    assert second.count("**") == 4
    assert told == [
        "- bold: best; underlined: second",
        "- best and next not compared in ssim: too few pairs to tell (4): it takes 5",
        "- one: few pairs (4): 95 % intervals of 2 metrics may cover less than 92 % (docs/intervals.md)",
        "- better: few pairs (4): 95 % intervals of 2 metrics may cover less than 92 % (docs/intervals.md)",
        "- measured by fhpt-eval's defaults (clean@2), see docs/dialects.md",
    ]


def test_names_cannot_be_formulas(run_of: Evaluate) -> None:
    assert table(Csv().text(of([run_of("=1+1")])))[0]["run"] == "'=1+1"


def test_names_do_nothing_in_a_leaderboard() -> None:
    board = of([made_run(HOSTILE, {"ssim": [0.5] * 8}), made_run("few", {"ssim": [0.5] * 8}, hash="other")])
    (row, apart) = table(Csv().text(board))
    seen = r"""a\u000a|[x](y)<script>alert(1)</script>$ \end{x} %&_{}~^#"`*\u001b[31m\u009b\u202e"""
    assert row["run"] == seen
    assert r"\u202e" in apart["why apart"]
    text = Markdown().text(board)
    assert text.splitlines()[2].startswith(
        r"""| a\u000a\|[x]\(y)\<script>alert(1)\</script>\$ \end{x} %\&\_{}\~^#"\`\*\u001b[31m\u009b\u202e | """
    )
    for written in (text, Csv().text(board)):
        assert all(line.isprintable() for line in written.splitlines())


def test_markdown_leaves_alone_what_does_nothing() -> None:
    text = Markdown().text(of([made_run("my_model", {"kec_auc_body": [0.5] * 8, "recall@3[vgg16]": 0.5})]))
    assert "| run | kec_auc_body ↑ | recall@3[vgg16] ↑ |" in text
    assert "| my_model | 0.5000 | 0.5000 |" in text


def test_whose_way_numbers_without_a_prefix_are(run_of: Evaluate) -> None:
    def told(*protocols: Protocol) -> object:
        (row,) = csv.DictReader(io.StringIO(Csv().text(of([run_of("one", *protocols)]))))
        return row["without prefix"]

    assert told(Ssim(), L1()) == "clean@2"
    assert told(Ssim(), L1(scale="2")) == "clean@2; own options: l1"
    assert told(L1(scale="2")) == "own options: l1"


def test_how_numbers_were_measured_is_said_for_people(run_of: Evaluate) -> None:
    ours, own, dialects = run_of("one", Ssim(), L1()), run_of("two", L1(scale="2")), made_run("a", {"gfla@2:ssim": 0.5})
    assert how_measured([ours]) == "measured by fhpt-eval's defaults (clean@2), see docs/dialects.md"
    together = "by fhpt-eval's defaults (clean@2); with options of your own: l1, see docs/dialects.md"
    assert how_measured([ours, own]) == f"measured {together}"
    assert how_measured([ours, own, dialects]) == f"metrics without a prefix are measured {together}"
    assert how_measured([dialects]) == ""
    protocols = [p.model_copy(update={"dialect": "embedded"}) for p in ours.record.protocols]
    embedded = replace(ours, record=ours.record.model_copy(update={"protocols": protocols}))
    assert "defaults (clean@2; profile embedded)" in how_measured([ours, embedded])


def test_csv_has_headlines_first_and_what_a_partial_run_lacks() -> None:
    whole = made_run("whole", {"psnr": [20.0] * 8, "ssim": [0.5] * 8})
    (row,) = table(Csv().text(of([whole])))
    assert [column for column in row if "↑" in column] == ["ssim ↑", "psnr ↑"]
    assert "remarks" not in row
    rows = table(Csv().text(of([whole, made_run("part", {"ssim": [0.5] * 8}, missing=["p1", "p2"])])))
    assert [row["remarks"] for row in rows] == ["", "2 pairs without an image"]
