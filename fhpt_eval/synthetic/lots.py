"""Drawing lots: one of several, or a colour near another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from fhpt_eval.synthetic.body import Float
from fhpt_eval.synthetic.fabrics import Colour

Choice = TypeVar("Choice")


def pick(options: Sequence[Choice], rng: np.random.Generator) -> Choice:
    """Draw one of them, all alike."""
    return options[int(rng.integers(len(options)))]


def vary(colour: Colour, amount: float, rng: np.random.Generator) -> Colour:
    """Draw a colour near another."""
    return as_colour(np.array(colour) + rng.normal(0, amount, 3))


def as_colour(values: Float) -> Colour:
    """Return the nearest colour that is neither black nor white."""
    red, green, blue = np.clip(values, 0.02, 0.98)
    return float(red), float(green), float(blue)
