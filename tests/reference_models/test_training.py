"""The training loop: order of the data, schedule, resumption to the bit, several processes, and what can go wrong."""

from __future__ import annotations

import csv
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

from fhpt_eval.errors import UserError
from fhpt_eval.images.decoding import ImageRef
from fhpt_eval.people.detection import Person
from fhpt_eval.reference_models.drn import checkpoint
from fhpt_eval.reference_models.drn import training as loop
from fhpt_eval.reference_models.drn.config import DrnConfig
from fhpt_eval.reference_models.drn.journal import curves, grid
from fhpt_eval.reference_models.drn.samples import PairData
from fhpt_eval.reference_models.drn.training import LoopSettings, Schedule, Training, order_of_epoch
from fhpt_eval.reference_models.drn.updates import BodyUpdates

TINY = DrnConfig(width=4, max_width=8, transfer_blocks=1, style_code=4, discriminator_width=4, discriminator_steps=1)
SCHEDULE = Schedule(epochs=2, constant_epochs=1, batch_size=2, learning_rate=1e-3)


def features(images: Tensor) -> list[Tensor]:
    return [images]


NOBODY = Person(body=np.zeros((18, 3)), face=np.zeros((68, 3)), face_box=None)


class Noise(PairData):
    """Seeded pictures of 16×16 pixels in pairs: each with the next one. Joints of ``bad`` ones are nowhere."""

    def __init__(self, count: int = 6, *, bad: bool = False) -> None:
        super().__init__([])
        self.bad = bad
        self.pictures = [(ImageRef(Path(f"{number}.png")), NOBODY) for number in range(count + 1)]
        self.pairs = torch.stack([torch.arange(count), torch.arange(count) + 1], dim=1)

    def read(self, number: int) -> dict[str, Tensor]:
        random = torch.Generator().manual_seed(number)
        image = torch.randint(0, 256, (16, 16, 3), generator=random, dtype=torch.uint8)
        body = torch.rand(18, 3, generator=random) * 16
        if self.bad:
            body[:, 0] = float("nan")
        return {"image": image, "body": body}


def training(folder: Path, data: PairData | None = None, **changes: Any) -> Training:
    torch.manual_seed(changes.get("seed", 0))
    updates = BodyUpdates(changes.pop("config", TINY), features, "cpu")
    schedule = changes.pop("schedule", SCHEDULE)
    folder.mkdir(exist_ok=True)
    settings = LoopSettings(log_every=1, **changes)
    return Training(
        "body", updates, Noise() if data is None else data, schedule, settings, folder, {"pairs_hash": "abc"}
    )


def tensors(folder: Path) -> dict[str, Tensor]:
    return checkpoint.load(folder / "body/state.safetensors", "body")[0]


def history(folder: Path) -> list[dict[str, str]]:
    with (folder / "body/history.csv").open(encoding="utf-8", newline="") as stream:
        return [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(stream)]


def test_each_epoch_shows_every_pair_in_an_order_of_its_own() -> None:
    orders = [order_of_epoch(10, 4, 0, epoch).tolist() for epoch in range(3)]
    assert all(len(order) == 12 and set(order) == set(range(10)) for order in orders)
    assert orders[0] != orders[1] != orders[2]
    assert orders[0][10:] == orders[0][:2]
    assert order_of_epoch(10, 4, 0, 1).tolist() == orders[1]
    assert order_of_epoch(10, 4, 1, 1).tolist() != orders[1]
    assert len(order_of_epoch(3, 8, 0, 0)) == 8


def test_the_learning_rate_stays_and_then_falls_to_zero() -> None:
    schedule = Schedule(epochs=40, constant_epochs=10, batch_size=1, learning_rate=1e-4)
    assert [schedule.rate(e) for e in (0, 10, 25, 40)] == pytest.approx([1e-4, 1e-4, 0.5e-4, 0])
    assert Schedule(epochs=200, constant_epochs=200, batch_size=1, learning_rate=1e-4).rate(199.5) == 1e-4


def test_a_training_run_leaves_network_state_curves_and_pictures(tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []
    assert training(tmp_path).run(lambda _stage, done, total: calls.append((done, total)))
    assert calls == [(7, 7), *((n, 6) for n in range(1, 7))]
    assert [row["step"] for row in history(tmp_path)] == [str(n) for n in range(1, 7)]
    card = json.loads((tmp_path / "body.json").read_text())
    assert (card["step"], card["steps"], card["pairs"], card["config"]["width"]) == (6, 6, 6, 4)
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
    assert not training(parts, max_seconds=0).run()
    assert len(history(parts)) == 1
    assert not training(parts, max_seconds=0).run()
    assert training(parts).run()
    assert history(parts) == history(whole)
    one, other = tensors(whole), tensors(parts)
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_pictures_in_memory_and_pictures_read_each_time_train_the_same_to_the_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, read = tmp_path / "kept", tmp_path / "read"
    training(kept).run()
    monkeypatch.setattr(loop, "fits", lambda *_: False)
    training(read).run()
    assert history(kept) == history(read)
    one, other = tensors(kept), tensors(read)
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_kill_between_checkpoints_repeats_what_was_not_saved(tmp_path: Path) -> None:
    """A process that dies leaves the last checkpoint, whatever it did after it."""
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    training(whole).run()
    training(killed, max_seconds=0).run()
    dying = training(killed)
    dying.updates.step(next(iter(dying._batches())))
    assert training(killed).run()
    assert history(killed) == history(whole)


class Mortal(Noise):
    """Can be read only where the kernel ends the reader with its parent."""

    def read(self, number: int) -> dict[str, Tensor]:
        signal_at_end = ctypes.c_int()
        ctypes.CDLL(None).prctl(2, ctypes.byref(signal_at_end))  # PR_GET_PDEATHSIG
        assert signal_at_end.value == signal.SIGKILL
        return super().read(number)


def test_readers_end_with_the_training(tmp_path: Path) -> None:
    with pytest.raises(AssertionError):
        Mortal()[0]
    batches = training(tmp_path, Mortal(), workers=1)._read(torch.tensor([[0, 1]]))
    assert next(iter(batches))["source_image"].shape == (2, 16, 16, 3)


def test_a_signal_is_answered_after_the_iteration_with_a_checkpoint(tmp_path: Path) -> None:
    run = training(tmp_path)

    def interrupt(_stage: str, done: int, _total: int) -> None:
        if done == 2:
            signal.raise_signal(signal.SIGTERM)

    before = {n: signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)}
    try:
        with pytest.raises(KeyboardInterrupt):
            run.run(interrupt)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    assert json.loads((tmp_path / "body.json").read_text())["step"] == 2


def test_a_training_that_diverges_says_so_and_keeps_the_last_checkpoint(tmp_path: Path) -> None:
    training(tmp_path, max_seconds=0).run()
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
    training(tmp_path, max_seconds=0).run()
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
        ({"schedule": Schedule(epochs=3, constant_epochs=1, batch_size=2, learning_rate=1e-3)}, "epochs: 2 there"),
        ({"data": Noise(5)}, "another pairs"),
    ],
    ids=["seed", "config", "schedule", "data"],
)
def test_a_folder_with_another_training_run_is_refused(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    training(tmp_path, max_seconds=0).run()
    with pytest.raises(UserError, match=words):
        training(tmp_path, **changes)


def test_no_pairs_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not a single pair"):
        training(tmp_path, data=Noise(0))


def test_bad_checkpoints_are_named(tmp_path: Path) -> None:
    training(tmp_path, max_seconds=0).run()
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
    later = {"attention", "transfer_norm", "carry"}
    earlier = {name: value for name, value in card["config"].items() if name not in later}
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
