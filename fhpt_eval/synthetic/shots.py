"""Which photographs a data set has: people, their garments, views, names, splits and pairs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby, permutations
from typing import TYPE_CHECKING

import numpy as np

from fhpt_eval.datasets.report import Split
from fhpt_eval.errors import UserError
from fhpt_eval.pairing.lists import GENDERS
from fhpt_eval.pairing.naming import CATEGORIES, DeepFashionName
from fhpt_eval.pairing.naming import VIEWS as NAMED_VIEWS

if TYPE_CHECKING:
    from fhpt_eval.synthetic.identity import Identity

VIEWS = tuple(view for view in NAMED_VIEWS.values() if view != "flat")
"""DeepFashion's views of a person."""

_DIGITS = {view: digit for digit, view in NAMED_VIEWS.items()}

_MOST_IDENTITIES = 1_000_000
"""Beyond that, garments would come near the end of DeepFashion's ids, which have eight digits."""

_MOST_TAKES = 99
"""Photographs of a garment in one view that names tell apart."""

_TEST_SHARE = 0.1


@dataclass(frozen=True)
class Shot:
    """A photograph to be made.

    Attributes:
        identity: Number of the person, from 1.
        item: Index of the garment among the person's.
        view: One of :data:`VIEWS`.
        seed: Of all that is random about it, a number of its own on [0, 2⁶⁴).
        split: All photographs of a person are in one.
        shows: What its name says. Each garment has an id of its own. The number that tells its variants apart counts
            its photographs in one view: ``01_1_front``, ``02_1_front``.
    """

    identity: int
    item: int
    view: str
    seed: int
    split: Split
    shows: DeepFashionName

    @property
    def stem(self) -> str:
        """The path without suffix, the same in each folder of the data set."""
        return self.shows.path_name

    @property
    def name(self) -> str:
        """The path of the image below ``img``, as all lists call it."""
        return f"{self.stem}.jpg"


def plan_shots(sample: Callable[[int], Identity], identities: int, views: int, seed: int) -> tuple[Shot, ...]:
    """List the photographs of a data set, those of a person and of a garment side by side.

    A person wears as many of their garments as can have two photographs, the first ones, in turn nearly as many of
    each: the front and further views drawn at random; where all are taken, they are taken once more. The last
    tenth of the people are the test split.

    Args:
        sample: From number to person.
        identities: How many people.
        views: Photographs of each.
        seed: Of the lots.

    Raises:
        UserError: There would be no people or no pairs, or more photographs than a person has garments in views.
    """
    if not 0 < identities <= _MOST_IDENTITIES:
        raise UserError(f"--identities cannot be {identities}: give a number from 1 to {_MOST_IDENTITIES:,}.")
    if views < 2:
        raise UserError(f"--views cannot be {views}: a pair needs two photographs of a garment, so give 2 or more.")
    return tuple(_shots(sample, identities, views, seed))


def pairs_of(shots: Iterable[Shot]) -> Iterator[tuple[Shot, Shot]]:
    """Yield source and target of every pair: two photographs of one garment, in both directions, as PATN's lists."""
    for _, group in groupby(shots, key=lambda shot: shot.shows.item):
        yield from permutations(group, 2)


def _shots(sample: Callable[[int], Identity], identities: int, views: int, seed: int) -> Iterator[Shot]:
    training = identities - (max(1, round(_TEST_SHARE * identities)) if identities > 1 else 0)
    number_of_item = 0
    for number in range(1, identities + 1):
        person = sample(number)
        gender = GENDERS[person.gender.lower()]
        worn = min(len(person.items), views // 2)
        most = len(person.items) * len(VIEWS) * _MOST_TAKES
        if views > most:
            raise UserError(
                f"--views cannot be {views}: names tell {_MOST_TAKES} photographs of a garment in each of"
                f" {len(VIEWS)} views apart, and person {number} has"
                f" {len(person.items)} garments, so give {most} or less."
            )
        for item in range(worn):
            number_of_item += 1
            category = person.items[item].category
            if category not in CATEGORIES[gender]:
                raise ValueError(f"person {number} is {gender} and wears '{category}', no category of DeepFashion's")
            for take, view in _views(views // worn + (item < views % worn), (seed, number, item)):
                state = np.random.SeedSequence([seed, number, item, VIEWS.index(view), take])
                yield Shot(
                    number,
                    item,
                    view,
                    int(state.generate_state(1, np.uint64)[0]),
                    "train" if number <= training else "test",
                    DeepFashionName(gender, category, f"id_{number_of_item:08}", f"{take:02}", _DIGITS[view], view),
                )


def _views(count: int, seed: tuple[int, ...]) -> list[tuple[int, str]]:
    """Return takes, from 1, and their views."""
    rng = np.random.default_rng(seed)
    drawn: list[tuple[int, str]] = []
    for take in range(1, -(-count // len(VIEWS)) + 1):
        others = rng.permutation(len(VIEWS) - 1)[: count - len(drawn) - 1] + 1
        drawn += [(take, VIEWS[index]) for index in (0, *sorted(others.tolist()))]
    return drawn
