"""``fhpt-eval compare``, on runs of images."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from conftest import Command, Draw

NAMES = [f"fashionWOMENDressesid0000000{i}01_1front" for i in range(1, 9)]


@pytest.fixture
def runs(command: Command, draw: Draw) -> list[str]:
    """Two methods on eight items: noise, and noise that another seed made."""
    target = draw("real", NAMES, seed=9)
    for seed, name in enumerate(("one", "other")):
        generated = draw(name, NAMES, seed)
        assert command("run", "-g", generated, "-t", target, "-p", "ssim,l1,psnr", "-o", f"runs/{name}").code == 0
    return ["runs/one", "runs/other"]


def test_a_table_and_sentences_are_printed(command: Command, runs: list[str]) -> None:
    done = command("compare", *runs)
    assert (done.code, done.err) == (0, "")
    assert "ssim ↑" in done.out
    assert "8 common pairs" in done.out
    assert "No difference between other and one is shown in ssim." in done.out
    everything = command("compare", *runs, "--table", "all").out
    assert all(metric in everything for metric in ("ssim ↑", "l1 ↓", "psnr ↑"))


def test_json_and_csv_hold_every_row(command: Command, runs: list[str]) -> None:
    done = command("compare", *runs, "--metrics", "l1,ssim", "--by", "view", "-o", "differences.csv", "--json")
    found = json.loads(done.out)
    assert [(row["metric"], row["part"]) for row in found["rows"]] == [
        ("l1", ""), ("l1", "view=front"), ("ssim", ""), ("ssim", "view=front"),
    ]  # fmt: skip
    assert found["runs"] == ["one", "other"]
    with Path("differences.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["verdict"] for row in rows] == ["no difference shown"] * 4
    assert float(rows[0]["difference"]) == found["rows"][0]["difference"]


def test_wrong_input_is_refused(command: Command, runs: list[str]) -> None:
    for arguments, sentence in (
        (runs[:1], "a comparison needs two runs or more: give another run's folder."),
        ([*runs, "-o", "x.txt"], "x.txt: a comparison ends in .csv."),
        ([*runs, "--metrics", "ssmi"], "metric 'ssmi' is not in any run. Did you mean 'ssim'?"),
        ([*runs, "--metrics", "ssim, a@1[b,c]"], "metric 'a@1[b,c]' is not in any run."),
        ([runs[0], "real"], "real is not a run's folder"),
    ):
        done = command("compare", *arguments)
        assert done.code == 2
        assert sentence in done.sentence
    Path("runs/other/run.json").write_text("{", encoding="utf-8")
    assert "is damaged" in command("compare", *runs).sentence


def test_a_file_of_another_name_is_not_replaced(command: Command, runs: list[str]) -> None:
    Path("d.csv").write_text("mine", encoding="utf-8")
    assert command("compare", *runs, "-o", "d.csv").code == 2
    assert command("compare", *runs, "-o", "d.csv", "--overwrite").code == 0


@pytest.mark.parametrize(
    "words", [("compare", "a", "b"), ("report", "a", "-o", "a.html"), ("plot", "bars", "a", "-o", "a.png")]
)
def test_what_keeps_nothing_says_only_that_it_was_interrupted(
    command: Command, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    from fhpt_eval.evaluation.run import Run

    def interrupted(_folder: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Run, "load", interrupted)
    outcome = command(*words)
    assert (outcome.code, outcome.sentence) == (130, "interrupted.")
