"""Evaluation beside a training gives the runs that files give, shows them, and never takes the training with it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from arrays import NAMES, assert_same_numbers, drawn, written
from PIL import Image
from processes import PATHS, alive, session, wait_until
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.custom_scalar import layout_pb2
from torch.utils.tensorboard import SummaryWriter
from toy_background import Acting, await_file

from fhpt_eval import BackgroundEvaluator, Pairs, Run, UserError, evaluate
from fhpt_eval.engine.cache import Cache
from fhpt_eval.evaluation.background import bound_memory
from fhpt_eval.reporting.frames import leaderboard

pytestmark = pytest.mark.usefixtures("temporary")


def events(folder: str) -> EventAccumulator:
    return EventAccumulator(folder, size_guidance={"images": 0, "tensors": 0, "scalars": 0}).Reload()


def texts(read: EventAccumulator) -> dict[int, str]:
    return {e.step: e.tensor_proto.string_val[0].decode() for e in read.Tensors("evaluation/text_summary")}


@pytest.mark.slow
def test_each_epoch_gets_the_run_of_its_files_its_curves_and_its_pictures(temporary: Path) -> None:
    target, source = drawn(2), drawn(3)
    protocols = ["ssim", "fid"]
    with SummaryWriter("events") as writer:
        with BackgroundEvaluator(
            "runs", protocols, profile="embedded", writer=writer, pictures=2, waiting=5
        ) as evaluator:
            futures = []
            for epoch in (3, 4):
                evaluator.update(torch.tensor(drawn(epoch)), target, source, names=NAMES)
                futures.append(evaluator.submit(epoch))
                assert len(evaluator) == 0
        assert evaluator.missed == {}
    assert [*temporary.iterdir()] == []
    for role, images in (("t", target), ("s", source), ("g3", drawn(3)), ("g4", drawn(4))):
        written(role, dict(zip(NAMES, images, strict=True)))
    read = events("events")
    for epoch, future in zip((3, 4), futures, strict=True):
        run = future.result()
        pairs = Pairs.from_folders(f"g{epoch}", "t", "s", naming="same-name")
        assert_same_numbers(evaluate(pairs, protocols, profile="embedded"), run)
        assert Run.load(f"runs/epoch-{epoch:04}").record == run.record
        assert run.record.name == f"epoch-{epoch:04}"
        # In 32 bits, as TensorBoard has them.
        for metric, score in run.scores.items():
            for tag, value in zip(
                (f"scores/{metric}", f"intervals/{metric}_low", f"intervals/{metric}_high"), score.numbers, strict=False
            ):
                assert value is not None
                assert {e.step: e.value for e in read.Scalars(tag)}[epoch] == np.float32(value)
        assert repr(run) in texts(read)[epoch]
        assert "ssim ↑" in texts(read)[epoch]
        shown = {e.step: e.encoded_image_string for e in read.Images("source | target | generated")}[epoch]
        Path("sheet.png").write_bytes(shown)
        sheet = np.asarray(Image.open("sheet.png"))
        assert sheet.shape == (2 * (64 + 8), 3 * (48 + 8), 3)
        # The first pair and the last one, in the order of their names.
        last = NAMES.index(max(NAMES))
        np.testing.assert_array_equal(sheet[4:68, 60:108], target[0])
        np.testing.assert_array_equal(sheet[76:140, 116:164], drawn(epoch)[last])
        np.testing.assert_array_equal(sheet[76:140, 4:52], source[last])
        assert (sheet[:4] == 255).all()
    layout = layout_pb2.Layout.FromString(read.Tensors("custom_scalars__config__")[0].tensor_proto.string_val[0])
    bands = {c.title: c.margin.series[0] for category in layout.category for c in category.chart}
    assert (bands["ssim"].value, bands["ssim"].lower, bands["ssim"].upper) == (
        *("scores/ssim", "intervals/ssim_low", "intervals/ssim_high"),
    )
    # Which epoch was best?
    table = leaderboard([Run.load(f"runs/epoch-{epoch:04}") for epoch in (3, 4)], metrics=["ssim"])
    assert list(table.index) == [(1, "epoch-0003"), (1, "epoch-0004")]
    assert table["ssim"].tolist() == [future.result().scores["ssim"].value for future in futures]


@pytest.mark.slow
def test_the_second_epoch_computes_only_what_is_new() -> None:
    def features() -> int:
        with Cache() as cache:
            return sum(usage.results for usage in cache.usage() if usage.extractor.startswith("efficientnet"))

    counts = []
    with BackgroundEvaluator("runs", ["fid"], profile="embedded", waiting=3) as evaluator:
        for epoch in range(2):
            evaluator.update(drawn(epoch), drawn(9))
            evaluator.submit(epoch).result()
            counts.append(features())
    assert counts == [10, 15]


def test_it_computes_elsewhere_and_last_of_all() -> None:
    with BackgroundEvaluator("runs", [Acting()]) as evaluator:
        evaluator.update(drawn(1), drawn(2))
        scores = evaluator.submit(0).result().scores
    assert scores["pid"].value != os.getpid()
    assert scores["nice"].value == 10
    assert os.getpriority(os.PRIO_PROCESS, 0) < 10


@pytest.mark.slow
def test_where_evaluations_are_slower_the_oldest_that_waits_gives_way(capsys: pytest.CaptureFixture[str]) -> None:
    Path("hold").touch()
    with SummaryWriter("events") as writer:
        with BackgroundEvaluator("runs", [Acting()], writer=writer, waiting=2) as evaluator:
            futures = []
            for epoch in range(6):
                evaluator.update(drawn(epoch), drawn(9))
                futures.append(evaluator.submit(epoch))
                if epoch == 0:
                    await_file("at-work")
            assert sorted(evaluator.missed) == [1, 2, 3]
            told = capsys.readouterr().err
            Path("hold").unlink()
        assert sorted(path.name for path in Path("runs").iterdir()) == ["epoch-0000", "epoch-0004", "epoch-0005"]
    assert [future.cancelled() for future in futures] == [False, True, True, True, False, False]
    sentence = "epoch-0002 was not evaluated: it had to make room for later ones"
    assert sentence in texts(events("events"))[2]
    assert 'when_full="wait" (the training waits) or a larger waiting=' in evaluator.missed[2]
    assert f"fhpt-eval: warning: {sentence}" in told
    assert "waiting for" not in told
    # The first one may have ended by then.
    (waited,) = capsys.readouterr().err.splitlines()
    assert re.fullmatch("fhpt-eval: waiting for the evaluations of .*epoch-0004, epoch-0005 …", waited)


@pytest.mark.slow
def test_or_training_waits() -> None:
    with BackgroundEvaluator("runs", [Acting()], when_full="wait") as evaluator:
        futures = []
        for epoch in range(4):
            evaluator.update(drawn(epoch), drawn(9))
            futures.append(evaluator.submit(epoch))
            assert sum(not future.done() for future in futures) <= 2
    assert evaluator.missed == {}
    assert len([*Path("runs").iterdir()]) == 4


@pytest.mark.slow
def test_an_evaluation_that_dies_costs_its_run_alone(capsys: pytest.CaptureFixture[str], temporary: Path) -> None:
    Path("die").touch()
    with SummaryWriter("events") as writer, BackgroundEvaluator("runs", [Acting()], writer=writer) as evaluator:
        evaluator.update(drawn(1), drawn(2))
        with pytest.raises(UserError, match=r"its process died \(signal 9; memory may be short\)"):
            evaluator.submit(0).result()
        Path("die").unlink()
        assert [*evaluator.missed] == [0]
        evaluator.update(drawn(1), drawn(2))
        evaluator.submit(1).result()
        # A training that went on from before does epoch 0 again.
        evaluator.update(drawn(1), drawn(2))
        evaluator.submit(0).result()
        assert evaluator.missed == {}
        evaluator.update(drawn(5), drawn(2))
        again = evaluator.submit(0).result()
        assert Run.load("runs/epoch-0000").record == again.record
    assert "epoch-0000 was not evaluated: its process died" in capsys.readouterr().err
    assert [*temporary.iterdir()] == []


def test_what_cannot_be_written_is_told_and_no_bug_of_the_training(capsys: pytest.CaptureFixture[str]) -> None:
    Path("runs").mkdir()
    Path("runs/epoch-0000").write_text("mine")
    with BackgroundEvaluator("runs", ["l1"]) as evaluator:
        evaluator.update(drawn(1), drawn(2))
        assert isinstance(evaluator.submit(0).exception(), UserError)
    assert "epoch-0000" in evaluator.missed[0]
    assert Path("runs/epoch-0000").read_text() == "mine"
    assert capsys.readouterr().err.count("\n") == 1


def test_an_exception_in_the_training_drops_what_waits(temporary: Path) -> None:
    Path("hold").touch()

    def train() -> None:
        with BackgroundEvaluator("runs", [Acting()]) as evaluator:
            made.append(evaluator)
            for epoch in range(2):
                evaluator.update(drawn(epoch), drawn(9))
                evaluator.submit(epoch)
            await_file("at-work")
            raise KeyboardInterrupt

    made: list[BackgroundEvaluator] = []
    with pytest.raises(KeyboardInterrupt):
        train()
    assert made[0].missed == dict.fromkeys([0, 1], "the training ended before")
    with pytest.raises(ProcessLookupError):
        os.kill(int(Path("at-work").read_text()), 0)
    assert [*temporary.iterdir()] == []


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"protocols": ["ssmi"]}, "there is no protocol 'ssmi'"),
        ({"waiting": 0}, "waiting is 0, and has to be at least 1"),
        ({"workers": 0}, "workers is 0, and has to be at least 1"),
        ({"memory_share": 1.5}, r"memory_share is 1\.5, and has to be above 0 and at most 1"),
        ({"when_full": "drop"}, "when_full is 'drop': choose skip or wait"),
        ({"batch_size": 0}, "batch_size is 0, and has to be at least 1"),
        ({"device": "cudda"}, "there is no device 'cudda'"),
        ({"name": "../runs"}, "a run cannot be called '../runs', .* with name"),
        ({"name": ""}, "a run cannot be called ''"),
        (
            {"writer": "events"},
            "writer is of the type str, which has no method add_custom_scalars: give a SummaryWriter",
        ),
        ({"reference": "real"}, "real"),
        ({"gender_classifier": "gender.safetensors"}, r"gender\.safetensors"),
        ({"face_models": "models"}, "models cannot be read"),
        (
            {"folder": "s3://bucket/x"},
            "nothing is written to s3://: give a folder of this machine with the argument folder",
        ),
        ({"folder": "file"}, r"cannot write to file \(File exists\): choose another folder\."),
        ({"folder": "file/runs"}, r"cannot write to file/runs \(Not a directory\): choose another folder\."),
        # There no folder can be made, whoever asks.
        ({"folder": "/proc"}, r"cannot write to /proc.*: choose another folder\."),
    ],
)
def test_what_cannot_work_is_said_before_the_training(options: dict[str, Any], sentence: str, temporary: Path) -> None:
    Path("file").touch()
    with pytest.raises(UserError, match=sentence):
        BackgroundEvaluator(**{"folder": "runs", "protocols": ["l1"], **options})
    assert [path.name for path in Path.cwd().iterdir() if path != temporary] == ["file"]
    assert [*temporary.iterdir()] == []


@pytest.mark.parametrize(
    "step",
    ["1/../../zz", "1", float("nan"), 1.5, -1, True, np.bool_(True), torch.tensor(True), None],
)
def test_a_step_is_an_integer_from_0_on(step: Any, temporary: Path) -> None:
    with BackgroundEvaluator("runs", ["l1"]) as evaluator:
        evaluator.update(drawn(1), drawn(2))
        with pytest.raises(UserError, match=r"the step is .*: give the number of an epoch or an iteration"):
            evaluator.submit(step)
        assert len(evaluator) == 5
    assert [path.name for path in Path.cwd().iterdir() if path != temporary] == ["runs"]
    assert [*Path("runs").iterdir()] == []


def test_whoevers_integer_is_a_step() -> None:
    with BackgroundEvaluator("runs", ["l1"], waiting=2) as evaluator:
        for step in (np.int64(1), torch.tensor(2)):
            evaluator.update(drawn(1), drawn(2))
            evaluator.submit(step)
    assert sorted(path.name for path in Path("runs").iterdir()) == ["epoch-0001", "epoch-0002"]


def test_a_step_without_images_is_an_error_at_once() -> None:
    with BackgroundEvaluator("runs", ["l1"]) as evaluator, pytest.raises(UserError, match="no images to score"):
        evaluator.submit(0)


def test_the_memory_of_a_device_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(torch.cuda, "set_per_process_memory_fraction", lambda *given: asked.append(given))
    for device in ("cpu", "cuda", "cuda:1"):
        bound_memory(device, 0.25)
    assert asked == [(0.25, None), (0.25, 1)]


SCRIPT = """
import numpy as np, os, signal, sys, time
from pathlib import Path
from toy_background import Acting, await_file
from fhpt_eval import BackgroundEvaluator

def main():
    images = np.zeros((2, 64, 48, 3), np.uint8)
    with BackgroundEvaluator("runs", [Acting()]) as evaluator:
        for epoch in range(2):
            evaluator.update(images, images)
            evaluator.submit(epoch)
        if len(sys.argv) > 1:
            await_file("at-work")
            print("ready", flush=True)
            time.sleep(600)
"""


@contextmanager
def training(tail: str, *words: str) -> Iterator[subprocess.Popen[str]]:
    Path("script.py").write_text(SCRIPT + tail)
    environment = {**PATHS, "TMPDIR": tempfile.gettempdir()}
    with session(sys.executable, "script.py", *words, environment=environment) as script:
        yield script


@pytest.mark.slow
@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL])
def test_it_ends_with_the_training(end: signal.Signals, temporary: Path) -> None:
    Path("hold").touch()
    with training("if __name__ == '__main__':\n    main()\n", "stay") as script:
        await_file("at-work")
        assert script.stdout is not None
        assert script.stdout.readline() == "ready\n"
        if end == signal.SIGINT:
            os.killpg(script.pid, end)  # as a terminal does
        else:
            os.kill(script.pid, end)
        _, told = script.communicate(timeout=60)
        assert script.returncode == -end
        wait_until(lambda: not alive(script.pid), 30)
    if end == signal.SIGINT:
        assert told.count("was not evaluated: the training ended before.") == 2
        assert told.count("Traceback") == 1  # of the training, and none of the other process
        assert [*temporary.iterdir()] == []


@pytest.mark.slow
def test_a_script_that_would_train_twice_is_told() -> None:
    with training("main()\n") as script:
        _, told = script.communicate(timeout=120)
        assert script.returncode == 0
    assert "put what this script does under `if __name__ == '__main__':`" in told
    assert told.count("was not evaluated: its process died (exit code 1; ") == 2
    assert not Path("at-work").exists()
