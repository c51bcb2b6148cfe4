"""Which images a run looked at, one by one: the list behind the hashes of its record."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from fhpt_eval.files.csv_table import csv_text
from fhpt_eval.text import of_cell

_KEYPOINTS = " keypoints"
_MASKS = "target masks"


class ListedImage(NamedTuple):
    """A row of the list.

    Attributes:
        role: ``generated``, ``target``, ``source``, ``reference`` (where one was given), or of a file of keypoints
            ``generated keypoints`` or ``target keypoints``, or of a folder of masks ``target masks``.
        name: Of a generated image the pair's; of another the picture's; of keypoints and masks how they are written; of
            what was left out its path in the folder of the role.
        sha256: Of the content, as the hashes of the record are made of it: of the file's bytes, with the panel of a
            generated strip, or of the pixels of another panel. Empty where there is no file or it could not be read.
        left_out: Why it was not looked at; empty for what was.
    """

    role: str
    name: str
    sha256: str
    left_out: str = ""


@dataclass(frozen=True)
class ImageList:
    """All rows: those of a role together, generated images in the order of the pairs."""

    rows: tuple[ListedImage, ...]

    @cached_property
    def text(self) -> str:
        """As it stands in the run's folder."""
        return csv_text([ListedImage._fields, *self.rows])

    @property
    def hash(self) -> str:
        """SHA-256 of the text: the root of all hashes in it."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    @classmethod
    def parse(cls, text: str) -> ImageList:
        """Read what `text` wrote.

        Raises:
            ValueError: It is something else.
        """
        try:
            header, *rows = [*csv.reader(io.StringIO(text, newline=""), strict=True)] or [[]]
        except csv.Error as error:
            raise ValueError(f"it is no CSV ({error})") from None
        if tuple(header) != ListedImage._fields or any(len(row) != len(header) for row in rows):
            raise ValueError("it is no list of images")
        return cls(tuple(ListedImage(*map(of_cell, row)) for row in rows))

    @property
    def repeats(self) -> bool:
        """Whether an image that was looked at is listed twice."""
        # Of what was left out in two folders of one role, two rows may be equal; sources may have been changed between
        # two commands that wrote one record.
        once = [row[:2] if row.role in {"generated", "target"} else row for row in self.rows if not row.left_out]
        return len(once) > len(set(once))

    def of(self, role: str) -> dict[str, str]:
        """Return the content of each image of a role by its name; without what was left out."""
        return {row.name: row.sha256 for row in self.rows if row.role == role and not row.left_out}

    @property
    def roles(self) -> tuple[str, ...]:
        """The roles of what was looked at."""
        return tuple(dict.fromkeys(row.role for row in self.rows if not row.left_out))

    @property
    def left_out(self) -> dict[tuple[str, str], ListedImage]:
        """What was left out, by role and path."""
        return {(row.role, row.name): row for row in self.rows if row.left_out}

    def disagrees(self, generated: str | None, targets: str | None) -> str | None:
        """Return whose images are not those that hashes of a record are of; None if all are."""
        if generated is not None and generated_hash(self.of("generated").items()) != generated:
            return "generated images"
        return None if targets is None or set_hash(self.of("target").values()) == targets else "targets"

    def joined(self, later: ImageList) -> ImageList:
        """Return the rows of both lists, each once, as one list of all would have them."""
        rows = dict.fromkeys([*self.rows, *later.rows])
        # A picture whose content only the later run could tell.
        known = {(row.role, row.name) for row in rows if row.sha256}
        kept = [row for row in rows if row.sha256 or (row.role, row.name) not in known]
        places = {role: place for place, role in enumerate(ROLES)}
        return ImageList(tuple(sorted(kept, key=lambda row: places.get(row.role, len(places)))))


IMAGE_ROLES = ("generated", "target", "source", "reference")
ROLES = (*IMAGE_ROLES, f"generated{_KEYPOINTS}", f"target{_KEYPOINTS}", _MASKS)
"""Of rows, in their order."""


def keypoints_row(role: str, written: str, sha256: str) -> ListedImage:
    """Return the row of keypoints that were given of a role."""
    return ListedImage(role + _KEYPOINTS, written, sha256)


def masks_row(sha256: str) -> ListedImage:
    """Return the row of masks that were given of the targets."""
    return ListedImage(_MASKS, "silhouettes", sha256)


def generated_hash(contents: Iterable[tuple[str, str | None]]) -> str:
    """Hash the generated images by the content of each pair's, in the order of the pairs."""
    lines = "\n".join(f"{pair}\t{content or 'none'}" for pair, content in contents)
    return hashlib.sha256(lines.encode("utf-8", "surrogateescape")).hexdigest()


def set_hash(contents: Iterable[str | None]) -> str | None:
    """Hash a set of images by their contents, whatever they are called; None where there are none or one is unknown."""
    found: Sequence[str | None] = list(contents)
    known = sorted(content for content in found if content)
    if not known or len(known) < len(found):
        return None
    return hashlib.sha256("\n".join(known).encode()).hexdigest()
