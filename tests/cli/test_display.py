from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import count
from types import SimpleNamespace

import pytest
from made_runs import made_run
from rich.console import Console

from fhpt_eval.cli import display


@pytest.fixture
def progress(monkeypatch: pytest.MonkeyPatch) -> Iterator[display.ProgressDisplay]:
    """One on whose clock ten seconds pass at every look."""
    now = count(step=10.0)
    monkeypatch.setattr(display, "time", SimpleNamespace(monotonic=lambda: next(now)))
    with display.ProgressDisplay() as shown:
        yield shown


def lines(capsys: pytest.CaptureFixture[str], beginning: str) -> list[str]:
    return [line for line in capsys.readouterr().err.splitlines() if line.startswith(beginning)]


def test_a_stage_that_comes_again_begins_anew(
    capsys: pytest.CaptureFixture[str], progress: display.ProgressDisplay
) -> None:
    for total in (2, 4):
        for done in range(total + 1):
            progress("drawing", done, total)
    shown = lines(capsys, "drawing: 1/")
    assert [re.sub(r" \(.*", "", line) for line in shown] == ["drawing: 1/2", "drawing: 1/4"]
    rates = [re.findall(r"([0-9.]+)/s", line)[0] for line in shown]
    assert rates[0] == rates[1]


def test_time_left_is_of_what_was_done_since(
    capsys: pytest.CaptureFixture[str], progress: display.ProgressDisplay
) -> None:
    for done in range(60, 64):
        progress("training", done, 100)
    (line,) = lines(capsys, "training: 63/")
    assert line == "training: 63/100 (0.1/s, 8 min left)"


def test_the_screen_of_a_run_shows_headlines_first_and_then_details_by_group(
    capsys: pytest.CaptureFixture[str],
) -> None:
    per_pair = {"psnr": [20.0, 20.5], "ssim": [0.75, 0.75]}
    of_all = {"kec_found_body": 0.5, "kec_auc_body": 0.25, "fid": 100.0}
    display.print_table(display.summary(made_run("mine", {**per_pair, **of_all}, pairs=2)))
    words = [line.split() for line in capsys.readouterr().out.splitlines() if line.strip()]
    assert [line[0] if ":" not in line[0] else " ".join(line) for line in words[2:]] == [
        *("headlines", "fid", "ssim", "kec_auc_body"),
        *("details: perceptual", "psnr", "details: structural", "kec_found_body"),
    ]
    assert words[3] == ["fid", "↓", "100.00", "2"]
    assert words[4] == ["ssim", "↑", "0.7500", "0.7500", "…", "0.7500", "2"]
    assert words[7] == ["psnr", "↑", "(dB)", "20.25", "20.00", "…", "20.50", "2"]


def test_in_a_notebook_there_are_bars_if_it_can_show_them(monkeypatch: pytest.MonkeyPatch) -> None:
    console = Console(force_jupyter=True)
    monkeypatch.setattr(display, "Console", lambda **_: console)
    for widgets in (True, False):
        monkeypatch.setattr(display, "find_spec", lambda _, there=widgets: there or None)
        assert display.ProgressDisplay()._bars.disable is not widgets
    assert display.ProgressDisplay(quiet=True)._bars.disable
