"""The loop around `Updates`: order of the data, learning rate, several processes, checkpoints, curves, resumption."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.utils.data import default_collate

from fhpt_eval.errors import UserError
from fhpt_eval.extract._torch import finish
from fhpt_eval.files.tensors import Card
from fhpt_eval.progress import Progress, silent
from fhpt_eval.reference_models.drn import checkpoint
from fhpt_eval.reference_models.drn.batches import Batches, mirrors_of_epoch, order_of_epoch
from fhpt_eval.reference_models.drn.checkpoint import NetworkPart
from fhpt_eval.reference_models.drn.held_out import HeldOut
from fhpt_eval.reference_models.drn.interruption import Clock, stop_signals
from fhpt_eval.reference_models.drn.iteration import CudaGraphs, Iterations
from fhpt_eval.reference_models.drn.journal import Journal
from fhpt_eval.reference_models.drn.mirroring import mirrored
from fhpt_eval.reference_models.drn.rows import Row, read_rows, write_rows
from fhpt_eval.reference_models.drn.samples import PairData
from fhpt_eval.reference_models.drn.schedule import ByEpochs, Schedule
from fhpt_eval.reference_models.drn.updates import Updates
from fhpt_eval.training import optimiser_state

SHOWN = 4
"""Pairs in a grid of sample pictures: the first ones, always the same."""

STATE = "state.safetensors"
_FIRST = "the first iteration"
"""On a GPU it chooses and compiles kernels, which takes longer than an iteration."""

HISTORY, TESTS = "history.csv", "tests.csv"


def unheard(_line: str) -> None:
    """Say nothing."""


@dataclass(frozen=True, kw_only=True)
class LoopSettings:
    """What a training run does beside training.

    Attributes:
        seed: Of the weights and of the order of the data.
        save_every: Seconds between checkpoints.
        log_every: Iterations between rows of the loss curves.
        workers: Processes that read images where not all of them are kept in memory; 0 reads in the main process.
    """

    seed: int = 0
    save_every: float = 600.0
    log_every: int = 20
    workers: int = 0


class Training:
    """A training run in a folder of its own; made again, it goes on from the folder's last checkpoint.

    The folder gets ``PART.safetensors`` with ``PART.json``, the network; and a folder ``PART/`` with
    ``state.safetensors`` (all that is needed to go on), ``history.csv`` and ``losses.png`` (curves), ``samples/``
    (pictures), ``tensorboard/`` and, of held-out pairs, ``tests.csv``.

    Args:
        part: What is trained.
        updates: How.
        data: On what.
        schedule: How long.
        settings: What is done beside it.
        folder: Where.
        about: What must be the same for a training to go on, for the card.
        told: What else the card tells.
        held_out: Is tested while the training goes on.
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
        told: Mapping[str, Any] = MappingProxyType({}),
        held_out: HeldOut | None = None,
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
        self.told = dict(told)
        self.held_out = held_out
        self.world = dist.get_world_size() if dist.is_initialized() else 1
        self.rank = dist.get_rank() if dist.is_initialized() else 0
        self.count = len(data)
        if self.count == 0:
            raise UserError(f"there is not a single pair to train the {part} on: see what is missing above.")
        if schedule.batch_size % self.world:
            raise UserError(f"a batch of {schedule.batch_size} cannot be shared by {self.world} processes evenly.")
        self.steps_per_epoch = math.ceil(self.count / schedule.batch_size)
        self.step = 0
        self.seconds = 0.0
        self.history: list[Row] = []
        self.tests: list[Row] = []
        self._resume()
        # Processes that exchange gradients are not captured.
        captured = updates.device.startswith("cuda") and self.world == 1
        self._iterations = Iterations(updates, CudaGraphs(updates.device) if captured else None)
        self.journal = None if self.rank else Journal(self.work, self.step)

    @property
    def progress(self) -> float:
        """How much of the training is done, 1 at its end."""
        return self.schedule.progress(self.step / self.steps_per_epoch, self.seconds)

    def run(self, progress: Progress = silent, say: Callable[[str], None] = unheard) -> None:
        """Train until the end.

        Args:
            progress: Shows how far it is.
            say: Is told the scores of tests.

        Raises:
            KeyboardInterrupt: After a checkpoint, when SIGINT or SIGTERM came.
        """
        batches = self._batches(Batches(self.data, self.updates.device, self.settings.workers, progress))
        self._test(progress, say)
        clock, saved, stopped = Clock(self.seconds), time.monotonic(), stop_signals()
        first, stop = True, False
        while self.progress < 1 and not stop:
            if first:
                progress(_FIRST, 0, 1)
            self.updates.set_learning_rate(self.schedule.rate(self.progress))
            self._iterations(next(batches))
            self.step += 1
            if first:
                finish(self.updates.device)
                progress(_FIRST, 1, 1)
            first = False
            unit, done, total = self.schedule.counted(self.step, self.steps_per_epoch, clock.seconds())
            progress(f"training the {self.part}, {unit}", done, total)
            save = time.monotonic() - saved > self.settings.save_every
            self.seconds, stop, save = self._agreed(clock.seconds(), bool(stopped), save)
            if self.step % self.settings.log_every == 0:
                self._log()
            if self._test_is_due():
                finish(self.updates.device)
                with clock.paused():
                    self._test(progress, say)
            if save:
                self.save()
                saved = time.monotonic()
        self.save()
        if self.progress < 1:
            raise KeyboardInterrupt

    def save(self) -> None:
        """Write checkpoint, state, curves and pictures; by the first process.

        Raises:
            UserError: The training has diverged; the last checkpoint stays.
        """
        self._log()
        if self.journal is None:
            return
        samples = default_collate([self.data[i] for i in range(min(SHOWN, self.count))])
        self.journal.show(self.step, list(self.updates.pictures(samples).values()), self.history, self.tests)
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
        write_rows(self.work / HISTORY, self.history)
        write_rows(self.work / TESTS, self.tests)
        # The state comes last: what it says about the history is there by then.
        checkpoint.save(self.work / STATE, tensors, card)

    def _batches(self, read: Batches) -> Iterator[Mapping[str, Tensor]]:
        """Yield batches for good, from where the training is."""
        device, share = self.updates.device, self.schedule.batch_size // self.world
        while True:
            epoch, done = divmod(self.step, self.steps_per_epoch)
            order = order_of_epoch(self.count, self.schedule.batch_size, self.settings.seed, epoch)
            mirrors = mirrors_of_epoch(len(order), self.settings.seed, epoch)
            own, turned = (x.view(-1, self.world, share)[done:, self.rank].to(device) for x in (order, mirrors))
            batches = read(list(own))
            yield from map(mirrored, batches, turned) if self.updates.config.mirrored else batches

    def _agreed(self, seconds: float, stop: bool, save: bool) -> tuple[float, bool, bool]:
        """Return what the first process says, on all of them: their clocks differ."""
        if self.world == 1:
            return seconds, stop, save
        said = torch.tensor([seconds, stop, save], dtype=torch.float64, device=self.updates.device)
        dist.broadcast(said, 0)
        seconds, *flags = said.tolist()
        return seconds, bool(flags[0]), bool(flags[1])

    def _test_is_due(self) -> bool:
        """Whether a test comes here."""
        before = self.tests[-1]["progress"] if self.tests else -1.0
        return self.held_out is not None and self.held_out.due(before, self.progress)

    def _test(self, progress: Progress, say: Callable[[str], None]) -> None:
        """Test where it is due, by the first process; the others wait for it at the next iteration."""
        if self.held_out is None or not self._test_is_due():
            return
        self._log()
        row = {"step": self.step, "seconds": round(self.seconds, 1), "progress": self.progress}
        if self.journal is not None:
            scores = self.held_out.test(everything=self.progress == 1, progress=progress)
            row |= scores
            self.journal.log(self.step, {f"test/{name}": value for name, value in scores.items()})
            say(f"iteration {self.step}, {self.seconds:.0f} s: {_told(scores)}")
        self.tests.append(row)

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
            seconds=round(self.seconds, 1),
            progress=self.progress,
            repeatable=isinstance(self.schedule, ByEpochs) and self.updates.device == "cpu",
            losses=last,
            pairs=self.count,
            **self.about,
            tests=self.tests[-1] if self.tests else None,
            **self.told,
        )

    def _resume(self) -> None:
        path = self.work / STATE
        if not path.exists():
            return
        tensors, config, card = checkpoint.load(path, self.part)
        # With what an earlier version did not know yet.
        card = {**card, "config": asdict(config)}
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
            self.history, self.tests = (read_rows(self.work / name, self.step) for name in (HISTORY, TESTS))
        except (KeyError, ValueError, TypeError) as error:
            raise UserError(f"{path} is damaged ({error!r}): choose another folder with -o.") from None
        if self.step < 0 or self.progress > 1:
            raise UserError(f"{path} is damaged (iteration {self.step} is none): choose another folder with -o.")


def _difference(there: Any, here: Any) -> str:
    if isinstance(there, dict) and isinstance(here, dict):
        key = next(k for k in {**there, **here} if there.get(k) != here.get(k))
        return f"{key}: {there.get(key)} there, {here.get(key)} here"
    return f"{there} there, {here} here"


def _told(scores: Row) -> str:
    """Return scores in a line, with the copied source as the floor."""
    return ", ".join(f"{name} {value:.4f}" if "/" in name else f"{value:.0f} {name}" for name, value in scores.items())
