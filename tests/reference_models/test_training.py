"""The training loop: order of the data, schedule, resumption to the bit, several processes, and what can go wrong."""

from __future__ import annotations

import ctypes
import json
import multiprocessing
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed as dist
from PIL import Image
from torch import Tensor
from toy_training import TINY, Noise, features, history, stop_after, training

from fhpt_eval.errors import UserError
from fhpt_eval.reference_models.drn import batches as reading
from fhpt_eval.reference_models.drn import checkpoint
from fhpt_eval.reference_models.drn.batches import Batches, order_of_epoch
from fhpt_eval.reference_models.drn.journal import curves, grid
from fhpt_eval.reference_models.drn.schedule import ByEpochs, ByTime
from fhpt_eval.reference_models.drn.training import Training
from fhpt_eval.reference_models.drn.updates import BodyUpdates


def tensors(folder: Path) -> dict[str, Tensor]:
    return checkpoint.load(folder / "body/state.safetensors", "body")[0]


def test_each_epoch_shows_every_pair_in_an_order_of_its_own() -> None:
    orders = [order_of_epoch(10, 4, 0, epoch).tolist() for epoch in range(3)]
    assert all(len(order) == 12 and set(order) == set(range(10)) for order in orders)
    assert orders[0] != orders[1] != orders[2]
    assert orders[0][10:] == orders[0][:2]
    assert order_of_epoch(10, 4, 0, 1).tolist() == orders[1]
    assert order_of_epoch(10, 4, 1, 1).tolist() != orders[1]
    assert len(order_of_epoch(3, 8, 0, 0)) == 8


def test_the_learning_rate_stays_and_then_falls_to_zero() -> None:
    schedule = ByEpochs(epochs=40, constant_epochs=10, batch_size=1, learning_rate=1e-4)
    rates = [schedule.rate(schedule.progress(epoch, 1e9)) for epoch in (0, 10, 25, 40)]
    assert rates == pytest.approx([1e-4, 1e-4, 0.5e-4, 0])
    constant = ByEpochs(epochs=200, constant_epochs=200, batch_size=1, learning_rate=1e-4)
    assert constant.rate(constant.progress(199.5, 0)) == 1e-4
    clock = ByTime(seconds=400, constant=0.25, batch_size=1, learning_rate=1e-4)
    rates = [clock.rate(clock.progress(99, seconds)) for seconds in (0, 100, 250, 400, 401)]
    assert rates == pytest.approx([1e-4, 1e-4, 0.5e-4, 0, 0])


def test_a_training_run_leaves_network_state_curves_and_pictures(tmp_path: Path) -> None:
    calls: list[tuple[str, int, int]] = []
    training(tmp_path).run(lambda *call: calls.append(call))
    assert calls == [
        ("reading the pictures", 7, 7),
        ("the first iteration", 0, 1),
        ("the first iteration", 1, 1),
        *(("training the body, iterations", n, 6) for n in range(1, 7)),
    ]
    assert [row["step"] for row in history(tmp_path)] == [str(n) for n in range(1, 7)]
    card = json.loads((tmp_path / "body.json").read_text())
    assert (card["step"], card["progress"], card["pairs"], card["config"]["width"]) == (6, 1, 6, 4)
    assert card["repeatable"]
    network, config, _ = checkpoint.load(tmp_path / "body.safetensors", "body")
    assert config == TINY
    assert {name.split(".")[0] for name in network} == {"network"}
    with Image.open(tmp_path / "body/samples/00000006.png") as picture:
        assert picture.size == (4 * (16 + 8), 4 * (16 + 8))
    assert (tmp_path / "body/losses.png").stat().st_size > 1000
    assert list((tmp_path / "body/tensorboard").glob("events*"))


def test_curves_and_grids_show_what_they_are_given() -> None:
    falling, flat = ([{"step": n, "seconds": n, "loss": loss(n)} for n in (1, 2, 3)] for loss in (lambda n: 3 - n, abs))
    assert curves(falling) != curves(flat)
    columns = [torch.full((2, 3, 4, 6), value) for value in (-1.0, 0.0, 1.0)]
    picture = grid(columns)
    assert picture.shape == (2 * (4 + 8), 3 * (6 + 8), 3)
    assert [int(picture[6, 7 + 14 * column, 0]) for column in range(3)] == [0, 128, 255]


def test_stopped_and_resumed_is_the_same_to_the_bit(tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    training(whole).run()
    stop_after(training(parts), 1)
    assert len(history(parts)) == 1
    stop_after(training(parts), 1)
    training(parts).run()
    assert history(parts) == history(whole)
    one, other = tensors(whole), tensors(parts)
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_training_by_the_clock_ends_at_its_limit_whatever_the_epochs_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    monkeypatch.setattr("fhpt_eval.reference_models.drn.interruption.time.monotonic", lambda: now)
    schedule = ByTime(seconds=10, constant=0.5, batch_size=2, learning_rate=1e-3)
    shown: list[tuple[str, int, int]] = []
    rates: list[float] = []

    def run(steps: int | None = None) -> Training:
        """Each iteration takes a second."""
        made = training(tmp_path, schedule=schedule)
        set_rate = made.updates.set_learning_rate

        def noted(rate: float) -> None:
            rates.append(rate)
            set_rate(rate)

        monkeypatch.setattr(made.updates, "set_learning_rate", noted)

        def tick(stage: str, done: int, total: int) -> None:
            nonlocal now
            if stage == "the first iteration" and done == 0:
                now += 1
            elif stage.startswith("training"):
                shown.append((stage, done, total))
                now += 1
                if len(shown) == steps:
                    signal.raise_signal(signal.SIGTERM)

        before = {n: signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)}
        try:
            made.run(tick)
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
        return made

    with pytest.raises(KeyboardInterrupt):
        run(4)
    stopped = json.loads((tmp_path / "body.json").read_text())
    assert (stopped["step"], stopped["seconds"], stopped["progress"]) == (4, 5, 0.5)
    now += 1000
    finished = run()
    assert (finished.seconds, finished.progress) == (10, 1)
    card = json.loads((tmp_path / "body.json").read_text())
    assert card["schedule"] == {"batch_size": 2, "learning_rate": 1e-3, "seconds": 10, "constant": 0.5}
    assert card["step"] == 8 > 2 * 3
    assert not card["repeatable"]
    assert shown[-1] == ("training the body, seconds", 9, 10)
    assert rates == pytest.approx([1e-3 * share for share in (1, 1, 1, 1, 1, 0.6, 0.4, 0.2)])


def test_pictures_in_memory_and_pictures_read_each_time_train_the_same_to_the_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, read = tmp_path / "kept", tmp_path / "read"
    training(kept).run()
    monkeypatch.setattr(reading, "fits", lambda *_: False)
    training(read).run()
    assert history(kept) == history(read)
    one, other = tensors(kept), tensors(read)
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_kill_between_checkpoints_repeats_what_was_not_saved(tmp_path: Path) -> None:
    """A process that dies leaves the last checkpoint, whatever it did after it."""
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    training(whole).run()
    stop_after(training(killed), 1)
    dying = training(killed)
    dying.updates.step(next(dying._batches(Batches(dying.data, "cpu"))))
    training(killed).run()
    assert history(killed) == history(whole)


class Mortal(Noise):
    """Can be read only where the kernel ends the reader with its parent."""

    def read(self, number: int) -> dict[str, Tensor]:
        signal_at_end = ctypes.c_int()
        ctypes.CDLL(None).prctl(2, ctypes.byref(signal_at_end))  # PR_GET_PDEATHSIG
        assert signal_at_end.value == signal.SIGKILL
        return super().read(number)


def test_readers_end_with_the_training(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(AssertionError):
        Mortal()[0]
    monkeypatch.setattr(reading, "fits", lambda *_: False)
    batches = Batches(Mortal(), "cpu", workers=1)([torch.tensor([0, 1])])
    assert next(batches)["source_image"].shape == (2, 16, 16, 3)


def test_a_signal_is_answered_after_the_iteration_with_a_checkpoint(tmp_path: Path) -> None:
    stop_after(training(tmp_path), 2)
    assert json.loads((tmp_path / "body.json").read_text())["step"] == 2


def test_a_training_that_diverges_says_so_and_keeps_the_last_checkpoint(tmp_path: Path) -> None:
    stop_after(training(tmp_path), 1)
    before = (tmp_path / "body/state.safetensors").read_bytes()
    with pytest.raises(UserError, match="diverged before iteration 2"):
        training(tmp_path, data=Noise(bad=True)).run()
    assert (tmp_path / "body/state.safetensors").read_bytes() == before


def test_weights_that_are_no_longer_finite_are_not_saved(tmp_path: Path) -> None:
    run = training(tmp_path)
    before = (tmp_path / "body.safetensors").exists()
    with torch.no_grad():
        next(iter(run.updates.networks["network"].parameters())).fill_(float("nan"))
    with pytest.raises(UserError, match="diverged"):
        run.save()
    assert (tmp_path / "body.safetensors").exists() == before


def test_a_damaged_state_is_a_sentence(tmp_path: Path) -> None:
    stop_after(training(tmp_path), 1)
    state = tmp_path / "body/state.safetensors"
    tensors, _, card = checkpoint.load(state, "body")
    for changes in ({"step": "x"}, {"step": 99}, {"step": None}):
        checkpoint.save(state, tensors, {**card, **changes})
        with pytest.raises(UserError, match="is damaged"):
            training(tmp_path)
    checkpoint.save(state, {k: v for k, v in tensors.items() if "exp_avg_sq" not in k}, card)
    with pytest.raises(UserError, match="is damaged"):
        training(tmp_path).run()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"seed": 1}, "another seed"),
        ({"config": replace(TINY, style_code=8)}, "another config .style_code: 4 there, 8 here"),
        ({"schedule": ByEpochs(epochs=3, constant_epochs=1, batch_size=2, learning_rate=1e-3)}, "epochs: 2 there"),
        ({"schedule": ByTime(seconds=60, constant=0.5, batch_size=2, learning_rate=1e-3)}, "epochs: 2 there, None"),
        ({"data": Noise(5)}, "another pairs"),
    ],
    ids=["seed", "config", "schedule", "clock", "data"],
)
def test_a_folder_with_another_training_run_is_refused(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    stop_after(training(tmp_path), 1)
    with pytest.raises(UserError, match=words):
        training(tmp_path, **changes)


def test_no_pairs_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not a single pair"):
        training(tmp_path, data=Noise(0))


def test_bad_checkpoints_are_named(tmp_path: Path) -> None:
    stop_after(training(tmp_path), 1)
    file = tmp_path / "body.safetensors"
    with pytest.raises(UserError, match="is of the body, and one of the face is needed"):
        checkpoint.load(file, "face")
    torn = tmp_path / "torn.safetensors"
    torn.write_bytes(file.read_bytes()[:-10])
    with pytest.raises(UserError, match="damaged"):
        checkpoint.load(torn, "body")
    with pytest.raises(UserError, match=r"cannot be read \(No such file"):
        checkpoint.load(tmp_path / "absent.safetensors", "body")
    foreign = tmp_path / "foreign.safetensors"
    checkpoint.save(foreign, {"x": torch.ones(1)}, {"format": "something else"})
    with pytest.raises(UserError, match="not a checkpoint of the DRN"):
        checkpoint.load(foreign, "body")
    tensors, _, _ = checkpoint.load(file, "body")
    other = BodyUpdates(replace(TINY, style_code=8), features, "cpu")
    with pytest.raises(UserError, match="of another configuration"):
        checkpoint.load_module(other.network, "network", tensors, file)


def test_checkpoints_are_read_though_a_choice_was_added_since_and_refused_where_one_is_unknown(tmp_path: Path) -> None:
    card = checkpoint.card_of("body", TINY)
    earlier = {name: value for name, value in card["config"].items() if name not in {"attention", "transfer_norm"}}
    file = tmp_path / "body.safetensors"
    checkpoint.save(file, {"x": torch.ones(1)}, {**card, "config": earlier})
    assert checkpoint.load(file, "body")[1] == TINY
    checkpoint.save(file, {"x": torch.ones(1)}, {**card, "config": {**earlier, "fabric": "silk"}})
    with pytest.raises(UserError, match="does not know"):
        checkpoint.load(file, "body")


def _one_process(rank: int, port: int, folder: str) -> None:
    """Train on half of every batch."""
    dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
    training(Path(folder)).run()
    dist.destroy_process_group()


def test_two_processes_have_the_losses_of_one(tmp_path: Path) -> None:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    one, two = tmp_path / "one", tmp_path / "two"
    two.mkdir()
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_one_process, args=(rank, port, str(two))) for rank in range(2)]
    for process in processes:
        process.start()
    training(one).run()
    for process in processes:
        process.join(120)
        assert process.exitcode == 0
    alone, together = history(one), history(two)
    assert [row["step"] for row in alone] == [row["step"] for row in together]
    for a, b in zip(alone, together, strict=True):
        np.testing.assert_allclose([float(v) for v in a.values()], [float(v) for v in b.values()], rtol=2e-3)
