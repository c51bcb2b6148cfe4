"""``fhpt-eval report``: from runs to a page."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import Command
from made_runs import pictured_run


@pytest.fixture
def saved(tmp_path: Path) -> list[str]:
    """Two runs on disk."""
    for seed, name in enumerate(("base", "mine"), start=1):
        (tmp_path / name).mkdir()
        pictured_run(name, tmp_path / "images", seed=seed, better=seed / 10).save(tmp_path / name)
    return [str(tmp_path / name) for name in ("base", "mine")]


def test_it_writes_a_page_and_says_where(command: Command, saved: list[str], tmp_path: Path) -> None:
    done = command("report", *saved, "-o", tmp_path / "report.html")
    assert (done.code, done.out.strip(), done.err) == (0, str(tmp_path / "report.html"), "")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>")
    assert "mine" in page
    assert command("report", *saved, "-o", tmp_path / "report.html").code == 0
    other = command("report", saved[0], "-o", tmp_path / "report.html")
    assert other.code == 2
    assert "--overwrite" in other.err
    assert command("report", saved[0], "-o", tmp_path / "report.html", "--overwrite").code == 0


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["{base}", "-o", "report.pdf"], "report.pdf: a report ends in .html."),
        (["{base}", "{base}", "-o", "report.html"], "two runs are called 'base'"),
        (["nothing", "-o", "report.html"], "nothing"),
    ],
)
def test_wrong_use_is_one_sentence(command: Command, saved: list[str], arguments: list[str], told: str) -> None:
    done = command("report", *(argument.format(base=saved[0]) for argument in arguments))
    assert done.code == 2
    assert told in done.sentence
    assert not Path("report.html").exists()
