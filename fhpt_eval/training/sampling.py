"""What is learned from and what is held out, and what a batch is made of. All of it follows from the seed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from fhpt_eval.errors import UserError
from fhpt_eval.pairing.naming import Gender
from fhpt_eval.training.labels import Example

Indices = npt.NDArray[np.intp]


class Parts(NamedTuple):
    """Which examples are learned from, and which are held out."""

    training: Indices
    validation: Indices


def split(examples: Mapping[int, Example], share: float, seed: int) -> Parts:
    """Hold out a share of the items of each gender; no item is on both sides.

    People would be a better unit than items, but DeepFashion does not tell who they are.

    Args:
        examples: By the number that stands for each in the result.
        share: How much is held out, between 0 and 1; of each gender at least one item.
        seed: What the choice follows from.

    Raises:
        UserError: A gender has no example, or only one item, which cannot be on both sides.
    """
    genders: dict[str, set[Gender]] = {}
    for example in examples.values():
        genders.setdefault(example.item, set()).add(example.gender)
    # A CSV may give one item to both genders, which then make a stratum of their own.
    strata: dict[str, list[str]] = {}
    for item in sorted(genders):
        strata.setdefault("+".join(sorted(genders[item])), []).append(item)
    random = np.random.default_rng(seed)
    held_out: set[str] = set()
    for _, items in sorted(strata.items()):
        count = min(max(1, round(share * len(items))), len(items) - 1)
        held_out.update(items[i] for i in random.permutation(len(items))[:count])
    numbers = np.array(sorted(examples), dtype=np.intp)
    inside = np.array([examples[i].item in held_out for i in numbers.tolist()], dtype=np.bool_)
    parts = Parts(numbers[~inside], numbers[inside])
    for gender in ("MEN", "WOMEN"):
        sides = [sum(examples[i].gender == gender for i in part.tolist()) for part in parts]
        if not any(sides):
            raise UserError(
                f"no image of {gender} can be learned from: DeepFashion names begin with the gender;"
                " otherwise give it in the column gender of --labels."
            )
        if not all(sides):
            raise UserError(
                f"all {max(sides)} images of {gender} show one item, and an item cannot be learned from and held out"
                " as well: give images of two or more items, or tell them apart in the column item of --labels."
            )
    return parts


def balanced_batches(women: npt.NDArray[np.bool_], size: int, random: np.random.Generator) -> list[Indices]:
    """Draw the batches of an epoch: one half of each batch is men, the other women.

    Every example of the gender that has more of them is drawn once; the other's are drawn with replacement.

    Args:
        women: For each example, whether it is one of WOMEN.
        size: Examples in a batch, even; the last batch may be smaller.
        random: The generator that draws.

    Returns:
        Indices of examples, batch by batch.
    """
    genders = [np.flatnonzero(~women), np.flatnonzero(women)]
    most = max(len(indices) for indices in genders)
    drawn = [random.permutation(g) if len(g) == most else random.choice(g, most) for g in genders]
    return [np.concatenate([d[at : at + size // 2] for d in drawn]) for at in range(0, most, size // 2)]
