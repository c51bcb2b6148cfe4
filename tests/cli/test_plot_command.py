"""``fhpt-eval plot``: files, and wrong use in one sentence."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Command

from fhpt_eval.cli.plot import app

Folders = tuple[str, str, str, str]


@pytest.fixture
def runs(command: Command, folders: Folders) -> tuple[str, str]:
    for name in ("one", "two"):
        assert command("run", *folders, "-p", "ssim,l1", "--name", name, "-o", name).code == 0
    return "one", "two"


@pytest.mark.parametrize("ending", ["png", "svg", "pdf"])
@pytest.mark.parametrize("arguments", [("bars", "--metrics", "l1, ssim"), ("gallery", "--by", "l1", "-n", "2")])
def test_a_figure_is_written_by_its_ending_and_its_name_printed(
    command: Command, runs: tuple[str, str], arguments: tuple[str, ...], ending: str
) -> None:
    what, *options = arguments
    file = f"{what}.{ending}"
    for _ in range(2):
        # The second is the same to the byte, and so needs no --overwrite.
        outcome = command("plot", what, *runs, "-o", file, *options)
        assert (outcome.code, outcome.out, outcome.err) == (0, f"{file}\n", "")
    head = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}[ending]
    assert Path(file).read_bytes().startswith(head)
    other = command("plot", what, runs[0], "-o", file, *options)
    assert other.code == 2
    assert "--overwrite" in other.sentence
    assert command("plot", what, runs[0], "-o", file, *options, "--overwrite").code == 0


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("bars", "one", "-o", "a.jpg"), "a figure ends in .png, .svg or .pdf."),
        (("bars", "one", "nowhere", "-o", "a.png"), "nowhere is not a run's folder"),
        (("bars", "one", "one", "-o", "a.png"), "two runs are called 'one'"),
        (("bars", "one", "-o", "a.png", "--metrics", "sim"), "Did you mean 'ssim'?"),
        (("bars", "one", "-o", "a.png", "--metrics", "ssim, a@1[b,c]"), "metric 'a@1[b,c]' is not in any run."),
        (("bars", "one", "-o", "a.png", "--table", "perception"), "Did you mean 'perceptual'?"),
        (("bars", "one", "-o", "no/such/a.png"), "there is no folder no/such: make it, or choose another"),
        (("retrieval", "one", "-o", "a.png"), "--protocols retrieval"),
        (("radar", "one", "-o", "a.png"), "two runs or more"),
        (("radar", "one", "two", "-o", "a.png"), "cannot be compared in what is structural"),
        (("gallery", "one", "-o", "a.png", "--choose", "worse"), "Did you mean 'worst'?"),
        (("gallery", "one", "-o", "a.png", "--choose", "disputed"), "two runs or more"),
        (("gallery", "one", "-o", "a.png", "--by", "sim"), "Did you mean 'ssim'?"),
        (("topk", "one", "-o", "a.png"), "one keeps no ranking: run it again with --protocols retrieval."),
        (("kec", "one", "-o", "a.png"), "one has no error curves: run it with --protocols kec."),
    ],
)
def test_wrong_use_is_one_sentence(
    command: Command, runs: tuple[str, str], arguments: tuple[str, ...], sentence: str
) -> None:
    outcome = command("plot", *arguments)
    assert outcome.code == 2
    assert sentence in outcome.sentence
    assert not Path("a.png").exists()


def test_a_broken_record_or_one_of_another_schema_is_one_sentence(command: Command, runs: tuple[str, str]) -> None:
    record = Path("one/run.json")
    told = json.loads(record.read_text(encoding="utf-8"))
    for text, sentence in ((json.dumps({**told, "schema_version": 9}), "schema version 9"), ("{", "damaged")):
        record.write_text(text, encoding="utf-8")
        for command_ in app.registered_commands:
            assert command_.callback is not None
            outcome = command("plot", command_.callback.__name__, "one", "two", "-o", "a.png")
            assert outcome.code == 2
            assert sentence in outcome.sentence


def test_an_image_that_is_gone_is_named(command: Command, runs: tuple[str, str]) -> None:
    Path("mine/c.png").unlink()
    outcome = command("plot", "gallery", "one", "-o", "a.png")
    assert outcome.code == 2
    assert "mine/c.png is not there: the run 'one' was made of it" in outcome.sentence


@pytest.mark.parametrize("asked", [("plot", "gallery", "one", "-o", "a.png"), ("report", "one", "-o", "a.html")])
def test_pictures_that_were_not_measured_are_said(
    command: Command, runs: tuple[str, str], draw: Callable[..., Path], asked: tuple[str, ...]
) -> None:
    draw("mine", seed=77)
    outcome = command(*asked)
    assert outcome.code == 3
    assert outcome.sentence == "5 generated images of one have changed since they were measured"
    assert Path(asked[-1]).is_file()
