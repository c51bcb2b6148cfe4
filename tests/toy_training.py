"""Small trainings: seeded noise in pairs, a run in a folder, and a stop by a signal."""

from __future__ import annotations

import csv
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from fhpt_eval.images.decoding import ImageRef
from fhpt_eval.people.detection import Person
from fhpt_eval.reference_models.drn.config import DrnConfig
from fhpt_eval.reference_models.drn.samples import PairData
from fhpt_eval.reference_models.drn.schedule import ByEpochs
from fhpt_eval.reference_models.drn.training import LoopSettings, Training
from fhpt_eval.reference_models.drn.updates import BodyUpdates

TINY = DrnConfig(width=4, max_width=8, transfer_blocks=1, style_code=4, discriminator_width=4, discriminator_steps=1)
SCHEDULE = ByEpochs(epochs=2, constant_epochs=1, batch_size=2, learning_rate=1e-3)


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


def stop_after(run: Training, steps: int) -> None:
    """Have a training stopped by a signal after so many iterations of this call."""
    done = 0

    def interrupt(stage: str, _done: int, _total: int) -> None:
        nonlocal done
        done += stage.startswith("training")
        if done == steps:
            signal.raise_signal(signal.SIGTERM)

    before = {n: signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)}
    try:
        with pytest.raises(KeyboardInterrupt):
            run.run(interrupt)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def history(folder: Path) -> list[dict[str, str]]:
    with (folder / "body/history.csv").open(encoding="utf-8", newline="") as stream:
        return [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(stream)]
