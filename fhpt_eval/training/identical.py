"""Identical pictures that are labelled as if they were different ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from fhpt_eval.records import Missing
from fhpt_eval.training.labels import Example


class IdenticalImages(NamedTuple):
    """Files of one content under several items, or under both genders.

    As the split goes by items, such a picture may be learned from and held out as well.

    Attributes:
        examples: Two or more, in the order of names.
    """

    examples: tuple[Example, ...]

    @property
    def contradict(self) -> bool:
        """Whether some are labelled MEN and others WOMEN."""
        return len({example.gender for example in self.examples}) > 1

    @property
    def unlike(self) -> tuple[Example, Example]:
        """The first, and the first that has the other gender, or else another item."""
        first, *others = self.examples
        return first, min(others, key=lambda other: (other.gender == first.gender, other.item == first.item))


def find_identical(examples: Sequence[Example], contents: Sequence[str | Missing]) -> list[IdenticalImages]:
    """Find them by the hashes of the files.

    Args:
        examples: The pictures, in the order of names.
        contents: The hash of each, or why it has none.
    """
    alike: dict[str, list[Example]] = {}
    for example, content in zip(examples, contents, strict=True):
        if not isinstance(content, Missing):
            alike.setdefault(content, []).append(example)
    return [IdenticalImages(tuple(group)) for group in alike.values() if len({(e.item, e.gender) for e in group}) > 1]
