"""The training itself: an epoch at a time, the best one kept, and all of it can be saved and resumed."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy import typing as npt
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from fhpt_eval.errors import UserError
from fhpt_eval.extract.gender_network import arrays_of, load
from fhpt_eval.files.tensors import Arrays
from fhpt_eval.memory import out_of_memory
from fhpt_eval.training import optimiser_state
from fhpt_eval.training.inputs import Inputs
from fhpt_eval.training.sampling import Indices, Parts, balanced_batches
from fhpt_eval.training.settings import GenderTraining


class Epoch(NamedTuple):
    """What one epoch gave; errors are shares of wrong answers on the validation images, losses are in nats."""

    epoch: int
    loss: float
    validation_loss: float
    error_men: float
    error_women: float
    error_balanced: float
    seconds: float


class _Validation(NamedTuple):
    loss: float
    error_men: float
    error_women: float


@dataclass
class Trainer:
    """A training of a network from logits, with AdamW and binary cross-entropy.

    Attributes:
        network: From what `inputs` yields to one logit an example.
        inputs: The data set.
        women: For each of its examples, whether the answer is WOMEN.
        parts: Which examples are learned from, and which are held out.
        options: How it is trained.
        history: The epochs so far.
        best: The network's arrays after the best of them.
    """

    network: nn.Module
    inputs: Inputs
    women: npt.NDArray[np.bool_]
    parts: Parts
    options: GenderTraining

    def __post_init__(self) -> None:
        self.history: list[Epoch] = []
        self.best: Arrays = {}
        self._optimiser = torch.optim.AdamW(self.network.parameters(), lr=self.options.learning_rate)
        self._device = next(self.network.parameters()).device
        size = self.options.batch_size
        held_out = self.parts.validation
        self._validation_batches = [held_out[at : at + size] for at in range(0, len(held_out), size)]

    @property
    def best_epoch(self) -> Epoch:
        """The one with the lowest balanced error, of equal ones that with the lowest validation loss."""
        return min(self.history, key=lambda e: (e.error_balanced, e.validation_loss))

    @property
    def finished(self) -> bool:
        """Whether all epochs are done, or too many of them brought nothing better."""
        done = len(self.history)
        return done > 0 and (done >= self.options.epochs or done - self.best_epoch.epoch >= self.options.patience)

    @property
    def steps(self) -> int:
        """Batches in an epoch, those of the validation included."""
        return len(self._batches(0)) + len(self._validation_batches)

    def epoch(self, step: Callable[[], None]) -> Epoch:
        """Train and validate once more; ``step`` is called after every batch.

        Raises:
            UserError: The loss is no number any more, or memory does not suffice for a batch.
        """
        started = time.monotonic()
        number = len(self.history) + 1
        try:
            loss = self._train(number, step)
            validation = self._validate(step)
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error):
                raise
            raise UserError(
                f"not enough memory for batches of {self.options.batch_size} images: give a smaller --batch-size."
            ) from None
        if not np.isfinite([loss, validation.loss]).all():
            raise UserError(
                f"the training diverged in epoch {number} (its loss is no number any more):"
                f" give a smaller --learning-rate than {self.options.learning_rate:g}."
            )
        balanced = (validation.error_men + validation.error_women) / 2
        seconds = round(time.monotonic() - started, 3)
        self.history.append(Epoch(number, loss, *validation, balanced, seconds))
        if self.best_epoch.epoch == number:
            self.best = arrays_of(self.network)
        return self.history[-1]

    def arrays(self) -> Arrays:
        """Everything that the next epoch depends on, apart from the history."""
        parts = {"network": arrays_of(self.network), "best": self.best}
        parts["optimiser"] = optimiser_state.to_arrays(self._optimiser)
        return {f"{part}.{name}": array for part, arrays in parts.items() for name, array in arrays.items()}

    def take_up(self, arrays: Arrays, history: Sequence[Epoch]) -> None:
        """Go on from what `arrays` returned."""

        def part(name: str) -> Arrays:
            return {k.partition(".")[2]: array for k, array in arrays.items() if k.startswith(f"{name}.")}

        load(self.network, part("network"))
        optimiser_state.from_arrays(self._optimiser, part("optimiser"))
        self.best = part("best")
        self.history = list(history)

    def _batches(self, epoch: int) -> list[Indices]:
        random = np.random.default_rng([self.options.seed, epoch, 0])
        drawn = balanced_batches(self.women[self.parts.training], self.options.batch_size, random)
        return [self.parts.training[batch] for batch in drawn]

    def _train(self, epoch: int, step: Callable[[], None]) -> float:
        batches = self._batches(epoch)
        # Each epoch has generators of its own, so that none has to be saved.
        inputs = self.inputs.batches(batches, np.random.default_rng([self.options.seed, epoch, 1]))
        total = torch.zeros((), device=self._device)
        for batch, images in zip(batches, inputs, strict=True):
            loss = binary_cross_entropy_with_logits(self.network(images), self._answers(batch))
            self._optimiser.zero_grad()
            torch.autograd.backward(loss)
            self._optimiser.step()
            total += loss.detach() * len(batch)
            step()
        return float(total) / sum(map(len, batches))

    @torch.no_grad()
    def _validate(self, step: Callable[[], None]) -> _Validation:
        parts = []
        for images in self.inputs.batches(self._validation_batches):
            parts.append(self.network(images).cpu())
            step()
        logits = torch.cat(parts)
        women = torch.from_numpy(self.women[self.parts.validation])
        losses = binary_cross_entropy_with_logits(logits, women.float(), reduction="none")
        wrong = ((logits > 0) != women).double()
        loss = float((losses[women].mean() + losses[~women].mean()) / 2)
        return _Validation(loss, float(wrong[~women].mean()), float(wrong[women].mean()))

    def _answers(self, batch: Indices) -> Tensor:
        return torch.from_numpy(self.women[batch]).float().to(self._device)
