"""An optimiser's memory as named arrays, so that a training that was stopped goes on as if it had not been."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.optim import Optimizer


def to_arrays(optimiser: Optimizer) -> dict[str, npt.NDArray[Any]]:
    """Return what it remembers of each parameter: ``<number of the parameter>.<what>``, on the CPU."""
    return {
        f"{number}.{what}": value.cpu().numpy()
        for number, about in optimiser.state_dict()["state"].items()
        for what, value in about.items()
    }


def from_arrays(optimiser: Optimizer, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    """Give back what `to_arrays` returned to an optimiser of the Adam family over equal parameters.

    Raises:
        ValueError: The arrays are not what such an optimiser remembers of these parameters.
    """
    parameters = [p for group in optimiser.param_groups for p in group["params"]]
    shapes: dict[str, dict[str, tuple[int, ...]]] = defaultdict(dict)
    for key, array in arrays.items():
        number, _, what = key.partition(".")
        shapes[number][what] = array.shape
    for number, found in shapes.items():
        shape = tuple(parameters[int(number)].shape) if int(number) < len(parameters) else None
        if found != {"step": (), "exp_avg": shape, "exp_avg_sq": shape}:
            raise ValueError(f"what is remembered of parameter {number} does not fit it")
    state = optimiser.state_dict()
    for key, array in arrays.items():
        number, _, what = key.partition(".")
        value, like = torch.from_numpy(np.array(array)), parameters[int(number)]
        # In the parameter's own memory layout: with another one, the same sums may be rounded otherwise.
        laid_out = torch.empty_like(like).copy_(value) if value.shape == like.shape else value
        state["state"].setdefault(int(number), {})[what] = laid_out
    optimiser.load_state_dict(state)
