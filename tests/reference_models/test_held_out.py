"""Tests on held-out pairs while a training goes on."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
import torch
from toy_training import Noise, stop_after, training
from toy_updates import body

from fhpt_eval.extract.picture_scores import WEIGHTS, PictureScores
from fhpt_eval.extract.weights import Store
from fhpt_eval.reference_models.drn import held_out
from fhpt_eval.reference_models.drn.held_out import HeldOut
from fhpt_eval.reference_models.drn.samples import to_bytes
from fhpt_eval.reference_models.drn.training import Training

METRICS = ("l1", "ssim", "pd_efficientnet_lite0")


class Larger(Noise):
    """Pictures that can be scored."""

    def read(self, number: int) -> dict[str, torch.Tensor]:
        random = torch.Generator().manual_seed(number)
        image = torch.randint(0, 256, (32, 32, 3), generator=random, dtype=torch.uint8)
        return {"image": image, "body": torch.rand(18, 3, generator=random) * 32}


def held_out_training(folder: Path, times: int = 3, count: int = 5) -> Training:
    run = training(folder, Larger())
    run.held_out = HeldOut(Larger(count), run.updates, Store().get(WEIGHTS), times)
    return run


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "body/tests.csv").open(encoding="utf-8", newline="") as stream:
        return [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(stream)]


def test_it_scores_what_was_made_and_the_copied_source() -> None:
    updates, data = body(), Larger(3)
    found = HeldOut(data, updates, Store().get(WEIGHTS), 1).test(everything=True)
    assert set(found) == {"pairs", *(f"{p}/{m}" for p in ("source", "coarse", "refined") for m in METRICS)}
    assert found["pairs"] == 3
    batch = torch.utils.data.default_collate([data[i] for i in range(3)])
    score = PictureScores(Store().get(WEIGHTS), "cpu")
    for name in ("source", "coarse"):
        pictures = updates.pictures(batch)
        expected = score(to_bytes(pictures[name]), to_bytes(pictures["target"]))
        for metric in METRICS:
            assert found[f"{name}/{metric}"] == pytest.approx(sum(expected[metric]) / 3), (name, metric)


def test_few_pairs_are_evenly_spread_and_at_the_end_come_all(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []

    class Watched(Larger):
        def read(self, number: int) -> dict[str, torch.Tensor]:
            read.append(number)
            return super().read(number)

    monkeypatch.setattr(held_out, "MOST", 3)
    monkeypatch.setattr("fhpt_eval.reference_models.drn.batches.fits", lambda *_: False)
    tests = HeldOut(Watched(9), body(), Store().get(WEIGHTS), 1)
    few = tests.test(everything=False)
    assert (few["pairs"], read) == (3, [0, 1, 4, 5, 8, 9])
    everything = tests.test(everything=True)
    assert everything["pairs"] == 9
    assert few["source/l1"] != everything["source/l1"]
    assert tests.test(everything=False) == few


@pytest.mark.parametrize(
    ("times", "expected"), [(0, [(5, 6)]), (1, [(0, 0), (5, 6)]), (3, [(0, 0), (0, 2), (0, 4), (5, 6)])]
)
def test_so_often(tmp_path: Path, times: int, expected: list[tuple[int, int]]) -> None:
    held_out_training(tmp_path, times).run()
    found = rows(tmp_path)
    assert [int(row["step"]) for row in found] == [step for _, step in expected]
    assert float(found[-1]["progress"]) == 1


def test_scores_are_in_the_table_the_card_the_line_and_the_curves(tmp_path: Path) -> None:
    said: list[str] = []
    shown: list[tuple[str, int, int]] = []
    held_out_training(tmp_path).run(lambda *call: shown.append(call), said.append)
    found = rows(tmp_path)
    card = json.loads((tmp_path / "body.json").read_text())
    last = {name: float(value) for name, value in found[-1].items()}
    assert {k: v for k, v in card["tests"].items() if k != "seconds"} == last
    assert len(said) == 4
    assert f"refined/ssim {last['refined/ssim']:.4f}" in said[-1]
    assert said[-1].startswith("iteration 6, ")
    assert ("testing", 5, 5) in shown
    without = tmp_path / "without"
    training(without, Larger()).run()
    pictures = [(folder / "body/losses.png").read_bytes() for folder in (tmp_path, without)]
    assert pictures[0] != pictures[1]
    events = b"".join(file.read_bytes() for file in (tmp_path / "body/tensorboard").iterdir())
    assert b"test/refined/ssim" in events


def test_tests_change_nothing_and_a_stop_repeats_and_leaves_out_none(tmp_path: Path) -> None:
    whole, parts, without = (tmp_path / name for name in ("whole", "parts", "without"))
    held_out_training(whole).run()
    training(without, Larger()).run()
    stop_after(held_out_training(parts), 3)
    held_out_training(parts).run()
    assert rows(parts) == rows(whole)
    before = (parts / "body/tests.csv").read_bytes()
    held_out_training(parts).run()
    assert (parts / "body/tests.csv").read_bytes() == before
    networks = [(folder / "body.safetensors").read_bytes() for folder in (whole, parts, without)]
    states = [content[content.index(b"}}") :][-2000:] for content in networks]
    assert states[0] == states[1] == states[2]


def test_tests_do_not_count_as_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr("fhpt_eval.reference_models.drn.interruption.time.monotonic", lambda: now)
    run = held_out_training(tmp_path)

    def slow(**_: object) -> dict[str, float]:
        nonlocal now
        now += 1000
        return {"pairs": 1}

    monkeypatch.setattr(run.held_out, "test", slow)

    def tick(stage: str, _done: int, _total: int) -> None:
        nonlocal now
        now += stage.startswith("training")

    run.run(tick)
    assert run.seconds == 6
