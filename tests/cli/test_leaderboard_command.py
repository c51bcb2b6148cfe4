"""``fhpt-eval leaderboard``: files, formats and wrong use."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import pandas as pd
import pytest
from conftest import Command
from made_runs import made_run

Folders = tuple[str, str, str, str]


@pytest.fixture
def runs(command: Command, folders: Folders) -> tuple[str, str]:
    for name, sigma in (("one", "1.5"), ("two", "1.2")):
        outcome = command("run", *folders, "-p", "ssim,l1", "--set", f"ssim.sigma={sigma}", "--name", name, "-o", name)
        assert outcome.code == 0
    return "one", "two"


def test_csv_and_markdown_by_the_ending(command: Command, runs: tuple[str, str]) -> None:
    outcome = command("leaderboard", *runs, "-o", "board.csv")
    assert (outcome.code, outcome.out) == (0, "board.csv\n")
    assert outcome.sentence == (
        "in a block of its own: two: ssim by another recipe than one: sigma is 1.2 instead of 1.5"
    )
    board = pd.read_csv("board.csv")
    assert list(board["run"]) == ["one", "two"]
    assert list(board["block"]) == [1, 2]
    assert command("leaderboard", "one", "-o", "board.md").code == 0
    assert Path("board.md").read_text(encoding="utf-8").startswith("| run | ssim ↑ |\n")


def test_another_file_of_the_name_is_replaced_only_when_asked(command: Command, runs: tuple[str, str]) -> None:
    Path("board.csv").write_bytes(b"from,to\n")
    for taken, told in (("board.csv", "--overwrite"), ("one/per_pair.csv", "belongs to the record of the run in one")):
        before = Path(taken).read_bytes()
        outcome = command("leaderboard", "one", "-o", taken)
        assert outcome.code == 2
        assert outcome.sentence.startswith(taken)
        assert told in outcome.sentence
        assert Path(taken).read_bytes() == before
    assert command("leaderboard", "one", "-o", "board.csv", "--overwrite").code == 0
    board = Path("board.csv").read_bytes()
    # The same again needs no option.
    assert command("leaderboard", "one", "-o", "board.csv").code == 0
    assert command("leaderboard", "two", "-o", "board.csv").code == 2
    assert Path("board.csv").read_bytes() == board


def test_a_format_without_a_file_is_printed(command: Command, runs: tuple[str, str]) -> None:
    for form, beginning in (("md", "| run |"), ("csv", "block,run,"), ("tex", "% "), ("html", "<!doctype html>")):
        outcome = command("leaderboard", "one", "--format", form)
        assert outcome.code == 0
        assert outcome.out.startswith(beginning)
        assert command("leaderboard", "one", "-o", f"written.{form}").code == 0
        assert Path(f"written.{form}").read_text(encoding="utf-8") == outcome.out


def test_without_a_format_a_table_is_on_the_screen(command: Command, runs: tuple[str, str]) -> None:
    outcome = command("leaderboard", *runs)
    assert outcome.code == 0
    assert outcome.err == ""
    lines = [line.split() for line in outcome.out.splitlines()]
    assert ["run", "ssim", "↑"] in lines
    one, two = (json.loads(Path(name, "run.json").read_bytes())["protocols"][0]["scores"][0]["value"] for name in runs)
    assert ["one", f"{one:.4f}"] in lines
    assert ["two", f"{two:.4f}"] in lines
    assert "1 detail is left out (l1): --table all shows it, --metrics those it names" in outcome.out
    assert "apart from the first table: ssim by another recipe than one: sigma is 1.2 instead of 1.5" in outcome.out


def test_metrics_tables_decimals_and_intervals_are_chosen(command: Command, runs: tuple[str, str]) -> None:
    assert command("leaderboard", "one", "--table", "all", "--format", "md").out.startswith("| run | ssim ↑ | l1 ↓ |")
    assert command("leaderboard", "one", "--table", "detail", "--format", "md").out.startswith("| run | l1 ↓ |")
    chosen = command("leaderboard", "one", "--metrics", "l1, ssim", "--decimals", "2", "--intervals", "--format", "md")
    assert re.match(r"\| run \| l1 ↓ \| ssim ↑ \|\n.*\n\| one \| 0\.\d\d \[0\.\d\d, 0\.\d\d\] \|", chosen.out)
    header = command("leaderboard", "one", "--metrics", "l1", "--format", "csv").out.splitlines()[0]
    assert "ssim" not in header
    assert "l1 ↓" in header


def test_a_comma_within_brackets_belongs_to_a_metrics_name(command: Command, own_folders: Path) -> None:
    names = ["face_same@0.6[source,detected]", "ssim"]
    for i, name in enumerate(("one", "two")):
        made_run(name, {metric: [0.5 + i / 10] * 8 for metric in names}).save(own_folders / name)
    chosen = ("one", "two", "--metrics", ", ".join(names))
    board = json.loads(command("leaderboard", *chosen, "--json").out)
    compared = json.loads(command("compare", *chosen, "--json").out)
    assert [metric["name"] for metric in board["metrics"]] == names
    assert [row["metric"] for row in compared["rows"]] == names
    assert command("plot", "bars", *chosen, "-o", "bars.png").code == 0


def test_the_best_by_a_metric_stands_first(command: Command, folders: Folders) -> None:
    for name, generated in (("worse", folders[1]), ("best", folders[3])):
        done = command("run", "-g", generated, *folders[2:], "-p", "ssim", "--name", name, "-o", name)
        assert done.code in {0, 3}
    board = command("leaderboard", "worse", "best", "--sort", "ssim", "--format", "csv").out
    assert [row["run"] for row in csv.DictReader(board.splitlines())] == ["best", "worse"]


def test_json_holds_everything(command: Command, runs: tuple[str, str]) -> None:
    board = json.loads(command("leaderboard", *runs, "--json").out)
    assert [metric["name"] for metric in board["metrics"]] == ["ssim", "l1"]
    assert [[run["name"] for run in block["runs"]] for block in board["blocks"]] == [["one"], ["two"]]


def test_published_numbers_stand_below(command: Command, runs: tuple[str, str]) -> None:
    shown = command("leaderboard", "one", "--with-literature")
    assert "0.773 (patn@2)" in shown.out
    assert "[1] 2s-ATN, Table 1 (arXiv 2011.04181)" in shown.out
    assert "0.773" not in command("leaderboard", "one").out


def test_a_run_that_was_killed_or_given_twice_is_said(command: Command, runs: tuple[str, str]) -> None:
    record = json.loads(Path("one/run.json").read_bytes())
    record["protocols"][1] |= {"status": "pending", "scores": []}
    Path("one/run.json").write_text(json.dumps(record), encoding="utf-8")
    told = command("leaderboard", "one", "one", "-o", "board.md").err.splitlines()
    assert told == [
        "fhpt-eval: one: killed, or still running: without l1",
        "fhpt-eval: one was given twice and stands here once",
    ]
    text = Path("board.md").read_text(encoding="utf-8")
    assert "- one: killed, or still running: without l1\n" in text
    assert "- one was given twice and stands here once\n" in text


def test_other_schemas_and_broken_records_are_one_sentence(command: Command, runs: tuple[str, str]) -> None:
    record = json.loads(Path("one/run.json").read_bytes())
    for text, told in (
        (json.dumps({**record, "schema_version": 2}), "has schema version 2"),
        (json.dumps({**record, "protocols": 3}), "is damaged"),
        ("{", "is damaged"),
    ):
        Path("one/run.json").write_text(text, encoding="utf-8")
        outcome = command("leaderboard", "one", "two")
        assert outcome.code == 2
        assert told in outcome.sentence


def test_wrong_use_is_one_sentence(command: Command, runs: tuple[str, str]) -> None:
    for arguments, told in (
        (("nowhere",), "nowhere is not a run's folder"),
        (("one", "--format", "cvs"), "there is no format 'cvs'. Did you mean 'csv'?"),
        (("one", "-o", "no/such/folder/board.csv"), "no/such/folder"),
        (
            ("one", "-o", "board.txt"),
            "--output board.txt: a leaderboard ends in .csv, .html, .md, .tex; --format names one",
        ),
        (("one", "--metrics", "sim"), "metric 'sim' is not in any run. Did you mean 'ssim'?"),
        (("one", "--metrics", "ssim, a@1[b,c]"), "metric 'a@1[b,c]' is not in any run."),
        (("one", "--sort", "sim"), "--sort sim: metric 'sim' is not in any run. Did you mean 'ssim'?"),
        (("one", "--table", "face"), "--table face: no run has metrics of such a table."),
        (("one", "--json", "-o", "board.csv"), "--json prints on the screen"),
    ):
        outcome = command("leaderboard", *arguments)
        assert outcome.code == 2
        assert told in outcome.sentence


def test_twelve_runs_with_many_metrics_fit_a_page_of_100_columns(
    command: Command, own_folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    metrics = ["fid", "lpips", "ssim", "kec_auc_body", "kec_auc_face", "face_same@0.6", "gender_error", "psnr", "l1"]
    metrics += [f"recall@{k}[{network}]" for network in ("resnet50", "vgg16") for k in (3, 5, 10)]
    for i in range(12):
        made_run(f"method-{i:02}", dict.fromkeys(metrics, i / 20 + 0.01)).save(own_folders / f"{i:02}")
    monkeypatch.setenv("COLUMNS", "80")
    outcome = command("leaderboard", *(f"{i:02}" for i in range(12)), "--table", "all", "--with-literature")
    tables, _, _ = outcome.out.partition("bold: best")
    assert {f"method-{i:02}" for i in range(12)} <= set(tables.split())
    assert 90 < max(map(len, tables.splitlines())) <= 100
