"""Whether images are those that a record was made of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from fhpt_eval.evaluation.image_list import IMAGE_ROLES, ImageList, set_hash
from fhpt_eval.evaluation.run import Run


@dataclass(frozen=True)
class ImageCheck:
    """The images of a role; generated ones go by their pairs.

    Attributes:
        role: ``generated``, ``target``, ``source``, ``reference``, ``generated keypoints``, ``left out`` …
        recorded: How many the record has.
        equal: How many of them are here; None where the record is of before there was a list, and they are not all.
        differing: Which have another content here.
        absent: Which are not here.
        extra: Which are here and not in the record.
    """

    role: str
    recorded: int
    equal: int | None
    differing: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()

    @property
    def same(self) -> bool:
        """Whether they are the recorded ones."""
        return self.equal == self.recorded and not self.extra


def check_images(recorded: Run, found: Run) -> tuple[ImageCheck, ...]:
    """Compare what a record lists with what was found here; of sources and the like, what was looked at here."""
    if found.image_list is None:
        raise ValueError("a run that was just made has a list of images")
    if recorded.image_list is None:
        return tuple(_of_hashes(recorded, found))
    return tuple(_of_lists(recorded.image_list, found.image_list))


def _of_hashes(recorded: Run, found: Run) -> Iterator[ImageCheck]:
    """Yield what the hashes tell where there is no list."""
    mine, theirs = recorded.record.pairs, found.record.pairs
    if mine.generated is not None:
        yield ImageCheck("generated", mine.total, mine.total if mine.generated == theirs.generated else None)
    if mine.content is not None:
        count = len(found.image_list.of("target")) if found.image_list is not None else 0
        yield ImageCheck("target", count, count if mine.content == theirs.content else None)


def _of_lists(mine: ImageList, theirs: ImageList) -> Iterator[ImageCheck]:
    for role in dict.fromkeys([*mine.roles, *theirs.roles]):
        one, other = mine.of(role), theirs.of(role)
        # A recorded set at which no protocol that is verified looks was not looked at.
        if other and (one or not _is_beside(role, theirs)):
            yield _compared(role, one, other)
    # Also what could not be read is known by its name.
    left = [
        {f"{role}: {name}": row.sha256 or "unread" for (role, name), row in of.left_out.items()}
        for of in (mine, theirs)
    ]
    if left[0] or left[1]:
        yield _compared("left out", *left)


def _is_beside(role: str, here: ImageList) -> bool:
    """Whether recipes tell of a role that the record need not list.

    Keypoints may be given that no protocol looks at, and the targets once more as a reference set.
    """
    images = here.of(role).values()
    return role not in IMAGE_ROLES or (role == "reference" and set_hash(images) == set_hash(here.of("target").values()))


def _compared(role: str, mine: dict[str, str], theirs: dict[str, str]) -> ImageCheck:
    # Whatever they are called; but generated images are those of their pairs.
    if role != "generated" and set_hash(mine.values()) == set_hash(theirs.values()) is not None:
        return ImageCheck(role, len(mine), len(mine))
    # One without content is a pair's that has no file.
    one, other = ({name: sha256 for name, sha256 in of.items() if sha256} for of in (mine, theirs))
    differing = tuple(name for name in one if name in other and other[name] != one[name])
    absent = tuple(name for name in one if name not in other)
    extra = tuple(name for name in other if name not in one)
    return ImageCheck(role, len(one), len(one) - len(differing) - len(absent), differing, absent, extra)
