"""How numbers are computed where there is a choice: on which device, in which arithmetic, by which formulas."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from fhpt_eval.errors import UserError

Precision = Literal["float32", "tf32", "bfloat16"]


@dataclass(frozen=True)
class Numerics:
    """What beside an extractor decides on the digits of its records.

    Attributes:
        device: The torch device that networks run on.
        precision: Of networks: true ``float32``, or faster on a GPU ``tf32`` (10 bits of each factor) or ``bfloat16``
            (7 bits), which change the third digit.
        reference_math: Compute by definitions instead of in the fast way: networks as published, layer by layer, and
            statistics as their formulas stand. Slower; it is there to check the fast way.
    """

    device: str = "cpu"
    precision: Precision = "float32"
    reference_math: bool = False

    def __post_init__(self) -> None:
        """Refuse what the device does not have.

        Raises:
            UserError: It is a CPU, and TF32 is asked for.
        """
        if self.device == "cpu" and self.precision == "tf32":
            raise UserError("tf32 is arithmetic of GPUs, and the device is cpu: give --precision float32 or bfloat16.")
