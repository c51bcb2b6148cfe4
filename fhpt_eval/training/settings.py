"""How a gender classifier is trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fhpt_eval.errors import UserError
from fhpt_eval.extract.gender_classifier import ClassifierNetwork


@dataclass(frozen=True, kw_only=True)
class GenderTraining:
    """The options of a training; `DEFAULTS` has what suits each network.

    Attributes:
        network: ``vgg16``: all of it is trained, from ImageNet's weights. ``efficientnet_lite0``: a linear layer on its
            features.
        epochs: The most that there are.
        batch_size: Images in a batch; even, as half of them are of each gender.
        learning_rate: AdamW's.
        patience: After how many epochs without a better one the training ends.
        seed: Of the split, of the batches and of the mirroring.
        validation: Share of the items that is held out.

    Raises:
        UserError: A value that cannot be.
    """

    network: ClassifierNetwork
    epochs: int
    batch_size: int
    learning_rate: float
    patience: int
    seed: int = 0
    validation: float = 0.1

    def __post_init__(self) -> None:
        for option, good, need in (
            ("epochs", self.epochs >= 1, "1 or more"),
            (
                "batch-size",
                self.batch_size >= 2 and self.batch_size % 2 == 0,
                "even, because half are men and half women",
            ),
            ("learning-rate", 0 < self.learning_rate <= 10, "above 0 and at most 10"),
            ("patience", self.patience >= 1, "1 or more"),
            ("seed", self.seed >= 0, "0 or more"),
            ("validation", 0 < self.validation < 1, "a share between 0 and 1"),
        ):
            if not good:
                raise UserError(f"--{option} cannot be {getattr(self, option.replace('-', '_'))}: it has to be {need}.")


DEFAULTS: Mapping[ClassifierNetwork, GenderTraining] = {
    "vgg16": GenderTraining(network="vgg16", epochs=20, batch_size=32, learning_rate=2e-5, patience=4),
    "efficientnet_lite0": GenderTraining(
        network="efficientnet_lite0", epochs=100, batch_size=64, learning_rate=1e-3, patience=10
    ),
}
