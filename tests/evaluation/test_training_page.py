"""The scripts of docs/training_loop.md run as they stand there; what takes long is made smaller, and nothing else."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from inspect import signature
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from fhpt_eval import BackgroundEvaluator, Run

PAGE = Path(__file__).resolve().parents[2] / "docs" / "training_loop.md"
_, SHORT, GOING_ON, DISTRIBUTED, DRN = re.findall("```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("own_folders")]


def run(script: str, *command: str) -> None:
    Path("script.py").write_text(script)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(  # noqa: S603 - our own page
        [sys.executable, *command, "script.py"], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def smaller(script: str, *changes: tuple[str, str]) -> str:
    for large, small in changes:
        assert script.count(large) == 1, large
        script = script.replace(large, small)
    return script


def curve(folder: str, tag: str) -> dict[int, float]:
    read = EventAccumulator(folder, size_guidance={"scalars": 0, "images": 0}).Reload()
    return {event.step: event.value for event in read.Scalars(tag)}


def test_the_shortest_has_a_run_of_every_epoch() -> None:
    run(SHORT)
    runs = [Run.load(f"runs/epoch-{epoch:04}") for epoch in range(4)]
    assert [run.record.pairs.total for run in runs] == [16] * 4
    assert [[*run.scores] for run in runs] == [["ssim", "l1"]] * 4


def test_the_table_has_all_arguments_with_their_defaults() -> None:
    told = PAGE.read_text(encoding="utf-8")
    for name, argument in signature(BackgroundEvaluator).parameters.items():
        if argument.default is not argument.empty:
            default = f'"{argument.default}"' if isinstance(argument.default, str) else argument.default
            assert re.search(rf"^\| `(.*[` ])?{name}={default}[`,]", told, re.MULTILINE), name


def test_any_model_and_a_training_that_goes_on() -> None:
    script = smaller(GOING_ON, ('["ssim", "l1", "fid"]', '["ssim"]'), ("some_pairs(24)", "some_pairs(20)"))
    run(smaller(script, ('EPOCHS = Path("training"), 4', 'EPOCHS = Path("training"), 2')))
    # As if the training had been killed after epoch 1, whose checkpoint was not written any more.
    run(
        smaller(
            script,
            ('states["epoch"] + 1', 'states["epoch"]'),
            ('EPOCHS = Path("training"), 4', 'EPOCHS = Path("training"), 3'),
        )
    )
    runs = {epoch: Run.load(f"training/runs/epoch-{epoch:04}") for epoch in range(3)}
    assert len([*Path("training/runs").iterdir()]) == 3
    values = {epoch: run.scores["ssim"].value for epoch, run in runs.items()}
    assert curve("training/tensorboard", "scores/ssim") == pytest.approx(values, rel=1e-6)
    assert sorted(curve("training/tensorboard", "loss")) == [0, 1, 2]


def test_the_drn() -> None:
    run(
        smaller(
            DRN,
            ('EPOCHS, HELD_OUT, SIZE = Path("drn"), 10, 48,', 'EPOCHS, HELD_OUT, SIZE = Path("drn"), 1, 4,'),
            ("trained, tested = people()", "trained, tested = people()\n    trained = trained[:2]"),
            ('["ssim", "fid", "lpips"]', '["ssim"]'),
        )
    )
    scored = Run.load("drn/runs/epoch-0000")
    assert scored.record.pairs.total == 4
    assert curve("drn/tensorboard", "scores/ssim") == {0: pytest.approx(scored.scores["ssim"].value, rel=1e-6)}
    assert "refined/reconstruction" in EventAccumulator("drn/tensorboard").Reload().Tags()["scalars"]


def test_of_several_processes_one_evaluates_the_images_of_all() -> None:
    run(DISTRIBUTED, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    scored = Run.load("ddp/epoch-0000")
    assert scored.record.pairs.total == 4
    assert scored.scores["l1"].value == pytest.approx(1 / 255)
