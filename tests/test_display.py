from __future__ import annotations

import re
from itertools import count
from types import SimpleNamespace

import pytest

from fhpt_eval.cli import display


def test_a_stage_that_comes_again_begins_anew(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = count(step=10.0)
    monkeypatch.setattr(display, "time", SimpleNamespace(monotonic=lambda: next(now)))
    with display.ProgressDisplay() as progress:
        for total in (2, 4):
            for done in range(total + 1):
                progress("drawing", done, total)
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("drawing: 1/")]
    assert [re.sub(r" \(.*", "", line) for line in lines] == ["drawing: 1/2", "drawing: 1/4"]
    rates = [re.findall(r"([0-9.]+)/s", line)[0] for line in lines]
    assert rates[0] == rates[1]


def test_time_left_is_of_what_was_done_since(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = count(step=10.0)
    monkeypatch.setattr(display, "time", SimpleNamespace(monotonic=lambda: next(now)))
    with display.ProgressDisplay() as progress:
        for done in range(60, 64):
            progress("training", done, 100)
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("training: 63/")]
    assert [re.findall(r"\((.*)/s", line)[0] for line in lines] == ["0.1"]
    assert "8 min left" in lines[0]
