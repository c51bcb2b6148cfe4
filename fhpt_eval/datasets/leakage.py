"""What a training and a test split have in common."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from fhpt_eval.pairing.naming import DeepFashionName

EXAMPLES = 10
"""How many examples a level has at most."""


@dataclass(frozen=True)
class Picture:
    """A picture of a split.

    Attributes:
        name: Its name in the split's list.
        shows: What the name says.
        sha256: Hash of the data set's file.
    """

    name: str
    shows: DeepFashionName
    sha256: str


LEVELS: Mapping[str, Callable[[Picture], str]] = MappingProxyType(
    {
        "file_name": lambda picture: picture.shows.flat_name,
        "file_content": lambda picture: picture.sha256,
        "item_colour": lambda picture: picture.shows.item_colour,
        "item_colour_any_category": lambda picture: f"{picture.shows.item_id}/{picture.shows.colour}",
        "item": lambda picture: picture.shows.item,
        "item_any_category": lambda picture: picture.shows.item_id,
    }
)
"""What two pictures can share, from the same file to the same garment.

DeepFashion files some garments under two categories (``id_00000094`` is in ``MEN/Jackets_Vests`` and in
``MEN/Suiting``), and the field's split was drawn by category, item and colour: hence the levels of any category.
"""


@dataclass(frozen=True)
class LeakedPair:
    """Something that both splits have.

    Attributes:
        shared: The name, hash, item … that is in both.
        train: The first name with it in the training split, in the order of the alphabet.
        test: The same of the test split.
    """

    shared: str
    train: str
    test: str


@dataclass(frozen=True)
class Leak:
    """What both splits have at one level.

    Attributes:
        level: Key in :data:`LEVELS`.
        shared: How many different names, contents, items … are in both splits.
        train_images: How many pictures of the training split they concern.
        test_images: How many pictures of the test split they concern.
        train_share: ``train_images`` as a share of the training split, 0…1.
        test_share: ``test_images`` as a share of the test split, 0…1.
        examples: The first :data:`EXAMPLES` in the order of the alphabet.
    """

    level: str
    shared: int
    train_images: int
    test_images: int
    train_share: float
    test_share: float
    examples: tuple[LeakedPair, ...]


def find_leakage(train: Iterable[Picture], test: Iterable[Picture]) -> tuple[Leak, ...]:
    """Compare two splits at every level of :data:`LEVELS`, in that order."""
    train, test = list(train), list(test)
    return tuple(_leak(level, train, test) for level in LEVELS)


def _leak(level: str, train: list[Picture], test: list[Picture]) -> Leak:
    of_train, of_test = _names(level, train), _names(level, test)
    shared = sorted(of_train.keys() & of_test.keys())
    train_images = sum(len(of_train[key]) for key in shared)
    test_images = sum(len(of_test[key]) for key in shared)
    return Leak(
        level,
        len(shared),
        train_images,
        test_images,
        train_images / max(len(train), 1),
        test_images / max(len(test), 1),
        tuple(LeakedPair(key, min(of_train[key]), min(of_test[key])) for key in shared[:EXAMPLES]),
    )


def _names(level: str, pictures: list[Picture]) -> dict[str, list[str]]:
    names: dict[str, list[str]] = defaultdict(list)
    for picture in pictures:
        names[LEVELS[level](picture)].append(picture.name)
    return names
