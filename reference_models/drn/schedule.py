"""How long a training lasts, and with which learning rate: by passes over the data, or by the clock."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Schedule(ABC):
    """The learning rate stays for a share of the training, then falls linearly to 0.

    Attributes:
        batch_size: Over all processes.
        learning_rate: At the start.
    """

    batch_size: int
    learning_rate: float

    @property
    @abstractmethod
    def constant_share(self) -> float:
        """The share of the training in which the rate stays."""

    @abstractmethod
    def progress(self, epoch: float, seconds: float) -> float:
        """Return how much of the training is done, 1 at the end, after so many epochs and seconds."""

    @abstractmethod
    def counted(self, step: int, steps_per_epoch: int, seconds: float) -> tuple[str, int, int]:
        """Return the same for people: what is counted, how many of them are done, and how many there are."""

    def rate(self, progress: float) -> float:
        """Return the learning rate where so much is done."""
        falling = 1 - self.constant_share
        return self.learning_rate * (min(1.0, max(0.0, 1 - progress) / falling) if falling else 1.0)


@dataclass(frozen=True, kw_only=True)
class ByEpochs(Schedule):
    """So many passes over the data.

    Attributes:
        epochs: Passes over the data.
        constant_epochs: How many of them keep the learning rate.
    """

    epochs: int
    constant_epochs: int

    @property
    def constant_share(self) -> float:
        """The share of the epochs."""
        return self.constant_epochs / self.epochs

    def progress(self, epoch: float, seconds: float) -> float:  # noqa: ARG002 - the clock does not count
        """Return the share of the epochs that is done."""
        return epoch / self.epochs

    def counted(self, step: int, steps_per_epoch: int, seconds: float) -> tuple[str, int, int]:  # noqa: ARG002
        """Count iterations."""
        return "iterations", step, steps_per_epoch * self.epochs


@dataclass(frozen=True, kw_only=True)
class ByTime(Schedule):
    """So many seconds, however many iterations that makes.

    Attributes:
        seconds: Of training, those before an interruption too.
        constant: The share of them that keeps the learning rate.
    """

    seconds: float
    constant: float

    @property
    def constant_share(self) -> float:
        """The share of the seconds."""
        return self.constant

    def progress(self, epoch: float, seconds: float) -> float:  # noqa: ARG002 - epochs do not count
        """Return the share of the time that is gone."""
        return min(1.0, seconds / self.seconds)

    def counted(self, step: int, steps_per_epoch: int, seconds: float) -> tuple[str, int, int]:  # noqa: ARG002
        """Count seconds."""
        total = math.ceil(self.seconds)
        return "seconds", min(total, int(seconds)), total
