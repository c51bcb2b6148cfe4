"""``fhpt-eval leaderboard``: files, formats and wrong use."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from conftest import Command

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
    assert Path("board.md").read_text(encoding="utf-8").startswith("| run | ssim ↑ | l1 ↓ |")


def test_another_file_of_the_name_is_replaced_only_when_asked(command: Command, runs: tuple[str, str]) -> None:
    for taken in ("board.csv", "one/per_pair.csv"):
        before = Path(taken).read_bytes() if Path(taken).exists() else b"from,to\n"
        Path(taken).write_bytes(before)
        outcome = command("leaderboard", "one", "-o", taken)
        assert outcome.code == 2
        assert outcome.sentence.startswith(f"{taken} is there")
        assert "--overwrite" in outcome.sentence
        assert Path(taken).read_bytes() == before
    assert command("leaderboard", "one", "-o", "board.csv", "--overwrite").code == 0
    board = Path("board.csv").read_bytes()
    # The same again needs no option.
    assert command("leaderboard", "one", "-o", "board.csv").code == 0
    assert command("leaderboard", "two", "-o", "board.csv").code == 2
    assert Path("board.csv").read_bytes() == board


def test_without_a_file_it_is_printed(command: Command, runs: tuple[str, str]) -> None:
    outcome = command("leaderboard", "one", "--format", "md")
    assert outcome.out.startswith("| run |")


def test_wrong_use_is_one_sentence(command: Command, runs: tuple[str, str]) -> None:
    for arguments in (("nowhere",), ("one", "--format", "cvs"), ("one", "-o", "no/such/folder/board.csv")):
        outcome = command("leaderboard", *arguments)
        assert outcome.code == 2
        assert outcome.sentence
