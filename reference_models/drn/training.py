"""The loop around `Updates`: order of the data, learning rate, several processes, checkpoints, curves, resumption."""

from __future__ import annotations

import csv
import math
import signal
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.utils.data import DataLoader, Subset, default_collate

from fhpt_eval.engine.processes import end_with_parent
from fhpt_eval.errors import UserError
from fhpt_eval.files.atomic import write_atomic
from fhpt_eval.files.csv_table import csv_text
from fhpt_eval.files.tensors import Card
from fhpt_eval.progress import Progress
from fhpt_eval.reference_models.drn import checkpoint
from fhpt_eval.reference_models.drn.checkpoint import NetworkPart
from fhpt_eval.reference_models.drn.iteration import CudaGraphs, Iterations
from fhpt_eval.reference_models.drn.journal import Journal
from fhpt_eval.reference_models.drn.resident import Resident, fits
from fhpt_eval.reference_models.drn.samples import PairData
from fhpt_eval.reference_models.drn.updates import Updates
from fhpt_eval.training import optimiser_state

SHOWN = 4
"""Pairs in a grid of sample pictures: the first ones, always the same."""

STATE = "state.safetensors"
HISTORY = "history.csv"


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """How long, and with which learning rate.

    Attributes:
        epochs: Passes over the data.
        constant_epochs: How many of them keep the learning rate; it then falls linearly to 0.
        batch_size: Over all processes.
        learning_rate: At the start.
    """

    epochs: int
    constant_epochs: int
    batch_size: int
    learning_rate: float

    def rate(self, epoch: float) -> float:
        """Return the learning rate after so many epochs, whole or not."""
        falling = self.epochs - self.constant_epochs
        return self.learning_rate * (min(1.0, (self.epochs - epoch) / falling) if falling else 1.0)


@dataclass(frozen=True, kw_only=True)
class LoopSettings:
    """What a training run does beside training.

    Attributes:
        seed: Of the weights and of the order of the data.
        save_every: Seconds between checkpoints.
        log_every: Iterations between rows of the loss curves.
        max_seconds: Stop after this time, with a checkpoint to go on from.
        workers: Processes that read images where not all of them are kept in memory; 0 reads in the main process.
    """

    seed: int = 0
    save_every: float = 600.0
    log_every: int = 20
    max_seconds: float | None = None
    workers: int = 0


def _stop_signals() -> list[int]:
    """Collect SIGINT and SIGTERM from now on, so that an iteration is finished and saved; a second one kills."""
    came: list[int] = []

    def collect(number: int, _frame: object) -> None:
        came.append(number)
        signal.signal(number, signal.SIG_DFL)

    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, collect)
    return came


def order_of_epoch(count: int, batch_size: int, seed: int, epoch: int) -> Tensor:
    """Return the indices of one epoch, seeded by (seed, epoch); the first ones again at the end, to fill the batch."""
    random = torch.Generator().manual_seed(seed * 1_000_003 + epoch)
    order = torch.randperm(count, generator=random)
    total = math.ceil(count / batch_size) * batch_size
    return order.repeat(math.ceil(total / count))[:total]


class Training:
    """A training run in a folder of its own; made again, it goes on from the folder's last checkpoint.

    The folder gets ``PART.safetensors`` with ``PART.json``, the network; and a folder ``PART/`` with
    ``state.safetensors`` (all that is needed to go on), ``history.csv`` and ``losses.png`` (curves), ``samples/``
    (pictures) and ``tensorboard/``.
    """

    def __init__(
        self,
        part: NetworkPart,
        updates: Updates,
        data: PairData,
        schedule: Schedule,
        settings: LoopSettings,
        folder: Path,
        about: Mapping[str, Any],
    ) -> None:
        self.part = part
        self.updates = updates
        self.data = data
        self.schedule = schedule
        self.settings = settings
        self.folder = folder
        self.work = folder / part
        self.work.mkdir(exist_ok=True)
        self.about = dict(about)
        self.world = dist.get_world_size() if dist.is_initialized() else 1
        self.rank = dist.get_rank() if dist.is_initialized() else 0
        self.count = len(data)
        if self.count == 0:
            raise UserError(f"there is not a single pair to train the {part} on: see what is missing above.")
        if schedule.batch_size % self.world:
            raise UserError(f"a batch of {schedule.batch_size} cannot be shared by {self.world} processes evenly.")
        self.steps_per_epoch = math.ceil(self.count / schedule.batch_size)
        self.total = self.steps_per_epoch * schedule.epochs
        self.step = 0
        self.seconds = 0.0
        self.history: list[dict[str, float]] = []
        self._resume()
        # Processes that exchange gradients are not captured.
        captured = updates.device.startswith("cuda") and self.world == 1
        self._iterations = Iterations(updates, CudaGraphs(updates.device) if captured else None)
        self.journal = None if self.rank else Journal(self.work, self.step)

    def run(self, progress: Progress | None = None) -> bool:
        """Train until the end, or until the time is up.

        Returns:
            Whether the end was reached.

        Raises:
            KeyboardInterrupt: After a checkpoint, when SIGINT or SIGTERM came.
        """
        started = saved = time.monotonic()
        earlier = self.seconds
        stopped = _stop_signals()
        for batch in self._batches(progress):
            self.updates.set_learning_rate(self.schedule.rate(self.step / self.steps_per_epoch))
            self._iterations(batch)
            self.step += 1
            self.seconds = earlier + time.monotonic() - started
            if self.step % self.settings.log_every == 0:
                self._log()
            if progress is not None:
                progress(f"training the {self.part}", self.step, self.total)
            if self._all_agree(time.monotonic() - saved > self.settings.save_every):
                self.save()
                saved = time.monotonic()
            limit = self.settings.max_seconds
            if self._all_agree(bool(stopped) or (limit is not None and time.monotonic() - started > limit)):
                break
        self.save()
        if stopped and self.step < self.total:
            raise KeyboardInterrupt
        return self.step == self.total

    def save(self) -> None:
        """Write checkpoint, state, curves and pictures; by the first process.

        Raises:
            UserError: The training has diverged; the last checkpoint stays.
        """
        self._log()
        if self.journal is None:
            return
        samples = default_collate([self.data[i] for i in range(min(SHOWN, self.count))])
        self.journal.show(self.step, self.updates.pictures(samples), self.history)
        card = self._card()
        network = {n: m for n, m in self.updates.networks.items() if n != "discriminators"}
        tensors = {k: v for n, m in network.items() for k, v in checkpoint.prefixed(n, m.state_dict()).items()}
        if not all(bool(torch.isfinite(t).all()) for t in tensors.values()):
            raise self._diverged()
        checkpoint.save(self.folder / f"{self.part}.safetensors", tensors, card)
        for name, module in self.updates.networks.items():
            tensors |= checkpoint.prefixed(name, module.state_dict())
        for name, optimiser in self.updates.optimisers.items():
            moments = optimiser_state.to_arrays(optimiser)
            tensors |= checkpoint.prefixed(f"optimiser.{name}", {k: torch.from_numpy(v) for k, v in moments.items()})
        self._write_history()
        # The state comes last: what it says about the history is there by then.
        checkpoint.save(self.work / STATE, tensors, card)

    def _batches(self, progress: Progress | None = None) -> Iterator[Mapping[str, Tensor]]:
        device = self.updates.device
        share = self.schedule.batch_size // self.world
        kept = Resident(self.data, device, progress) if fits(self.data, device) else None
        while self.step < self.total:
            epoch, done = divmod(self.step, self.steps_per_epoch)
            order = order_of_epoch(self.count, self.schedule.batch_size, self.settings.seed, epoch)
            own = order.view(-1, self.world, share)[done:, self.rank]
            yield from map(kept.batch, own.to(device)) if kept is not None else self._read(own)

    def _read(self, order: Tensor) -> Iterable[Mapping[str, Tensor]]:
        """Read batch after batch, N×``batch`` numbers, in processes if there shall be some."""
        return DataLoader(
            Subset(self.data, order.flatten().tolist()),
            batch_size=order.shape[1],
            num_workers=self.settings.workers,
            worker_init_fn=_start_reader,
            pin_memory=self.updates.device.startswith("cuda"),
        )

    def _all_agree(self, here: bool) -> bool:
        """Return what the first process thinks, on all of them: their clocks differ."""
        if self.world == 1:
            return here
        thought = torch.tensor(float(here), device=self.updates.device)
        dist.broadcast(thought, 0)
        return bool(thought.item())

    def _log(self) -> None:
        """Add the mean losses since the last row to the curves."""
        steps = self.step - int(self.history[-1]["step"] if self.history else 0)
        if not steps:
            return
        sums = self._iterations.take()
        means = torch.stack(list(sums.values())) / steps
        if self.world > 1:
            dist.all_reduce(means)
            means /= self.world
        row = dict(zip(sums, means.tolist(), strict=True))
        if not all(math.isfinite(value) for value in row.values()):
            raise self._diverged()
        self.history.append({"step": self.step, "seconds": round(self.seconds, 1), **row})
        if self.journal is not None:
            self.journal.log(self.step, row)

    def _diverged(self) -> UserError:
        return UserError(
            f"the training diverged before iteration {self.step}: begin again in another folder with a lower learning"
            " rate (--set learning_rate=…); the last checkpoint stays as it is."
        )

    def _card(self) -> Card:
        last = {k: v for k, v in (self.history[-1] if self.history else {}).items() if k not in {"step", "seconds"}}
        return checkpoint.card_of(
            self.part,
            self.updates.config,
            schedule=vars(self.schedule),
            seed=self.settings.seed,
            step=self.step,
            steps=self.total,
            seconds=round(self.seconds, 1),
            losses=last,
            pairs=self.count,
            **self.about,
        )

    def _write_history(self) -> None:
        if self.history:
            columns = list(self.history[0])
            rows = ([row[column] for column in columns] for row in self.history)
            write_atomic(self.work / HISTORY, csv_text([columns, *rows]))

    def _resume(self) -> None:
        path = self.work / STATE
        if not path.exists():
            return
        tensors, _, card = checkpoint.load(path, self.part)
        own = self._card()
        for key in ("config", "schedule", "seed", "pairs", *self.about):
            if card.get(key) != own[key]:
                raise UserError(
                    f"{self.work} holds a training run with another {key} ({_difference(card.get(key), own[key])}):"
                    " give the same again, or choose another folder with -o."
                )
        for name, module in self.updates.networks.items():
            checkpoint.load_module(module, name, tensors, path)
        try:
            for name, optimiser in self.updates.optimisers.items():
                prefix = f"optimiser.{name}."
                moments = {k.removeprefix(prefix): t.numpy() for k, t in tensors.items() if k.startswith(prefix)}
                optimiser_state.from_arrays(optimiser, moments)
            self.step, self.seconds = int(card["step"]), float(card["seconds"])
            self.history = [row for row in _read_history(self.work / HISTORY) if row["step"] <= self.step]
        except (KeyError, ValueError, TypeError) as error:
            raise UserError(f"{path} is damaged ({error!r}): choose another folder with -o.") from None
        if not 0 <= self.step <= self.total:
            raise UserError(
                f"{path} is damaged (iteration {self.step} of {self.total}): choose another folder with -o."
            )


def _start_reader(_number: int) -> None:
    end_with_parent()


def _difference(there: Any, here: Any) -> str:
    if isinstance(there, dict) and isinstance(here, dict):
        key = next(k for k in {**there, **here} if there.get(k) != here.get(k))
        return f"{key}: {there.get(key)} there, {here.get(key)} here"
    return f"{there} there, {here} here"


def _read_history(path: Path) -> list[dict[str, float]]:
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as stream:
        return [{k: int(v) if k == "step" else float(v) for k, v in row.items()} for row in csv.DictReader(stream)]
