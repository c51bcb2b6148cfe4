"""Keypoints that a user gives of images: joined to these images once, by one rule, for whoever looks at people.

An image takes the entry of the files that its name means (`KeypointFiles.key`). An entry that different images would
take belongs to none of them; copies of one image share it.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from fhpt_eval.errors import UserError
from fhpt_eval.extract.mediapipe_keypoints import NO_PERSON
from fhpt_eval.extract.weights import file_sha256
from fhpt_eval.images.decoding import ImageRef, read_image
from fhpt_eval.pairing.pairs import Pairs
from fhpt_eval.people.keypoint_files import KeypointFiles
from fhpt_eval.records import Missing, Record, Result

Side: TypeAlias = Literal["generated", "target"]
"""A role of images whose keypoints an evaluation may be given."""

NOT_TOLD = Missing("not in the keypoint files")
AMBIGUOUS = Missing("several images fit one name in the keypoint files")


@dataclass(frozen=True)
class GivenKeypoints:
    """Keypoints of some images.

    Attributes:
        files: Where they stand.
        entries: What the files have of each image, persons or not; or why they have nothing.
    """

    files: KeypointFiles
    entries: Mapping[ImageRef, Record | Missing]

    @classmethod
    def of_images(cls, files: KeypointFiles, images: Iterable[ImageRef]) -> GivenKeypoints:
        """Join keypoints to images by their names.

        Raises:
            UserError: They tell of none of the images.
        """
        return cls(files, _joined(files, {ref: [ref.name] for ref in images}, ""))

    @classmethod
    def of_pairs(cls, files: KeypointFiles, pairs: Pairs, side: Side) -> GivenKeypoints:
        """Join keypoints to the images of one side of pairs, by their names, or else those in the list of pairs.

        Raises:
            UserError: They tell of none of the images.
        """
        images = {ref.name: ref for ref in pairs.unique(side)}
        names = {ref: list[str]() for ref in images.values()}
        for row in pairs:
            for name in row.names(side):
                names[images[row.names(side)[0]]].append(name)
        entries = _joined(files, names, f"{side} ")
        refs = (row.generated if side == "generated" else row.target for row in pairs)
        # A picture that stands in several strips is one image.
        return cls(files, {ref: entries[images[ref.name]] for ref in refs if ref is not None})

    def person(self, image: ImageRef) -> Result:
        """Return the record of the person in an image, as a detector gives it but for the frame's size."""
        return _person(self.entries[image])


def person_called(files: KeypointFiles, name: str) -> Result:
    """Return the person that files tell of under the name of an image that is not here."""
    key = files.key(name)
    return NOT_TOLD if key is None else _person(files.records[key])


def _person(entry: Record | Missing) -> Result:
    """Return an entry as a detector would: one without persons is missing."""
    return entry if isinstance(entry, Missing) or entry["persons"] else NO_PERSON


def _joined(
    files: KeypointFiles, images: Mapping[ImageRef, Sequence[str]], what: str
) -> dict[ImageRef, Record | Missing]:
    """Return the entry of each image, which goes by several names."""
    keys = {ref: next(filter(None, map(files.key, names)), None) for ref, names in images.items()}
    takers: dict[str, list[ImageRef]] = defaultdict(list)
    for ref, key in keys.items():
        if key is not None:
            takers[key].append(ref)
    if images and not takers:
        raise UserError(
            f"{files.path} tells of none of the {what}images (it has '{next(iter(files.records))}', they are called"
            f" like '{next(iter(images)).name}'): give keypoints of these images."
        )
    contested = {key for key, refs in takers.items() if len(refs) > 1 and len(set(map(_content, refs))) > 1}

    def entry(key: str | None) -> Record | Missing:
        if key is None:
            return NOT_TOLD
        return AMBIGUOUS if key in contested else files.records[key]

    return {ref: entry(key) for ref, key in keys.items()}


def _content(ref: ImageRef) -> str:
    """Return a hash of what an image shows: the file's bytes, or the panel's pixels; its place if it is unreadable."""
    try:
        if ref.panel is None:
            return file_sha256(ref.path)
        return hashlib.sha256(read_image(ref).tobytes()).hexdigest()
    except UserError:
        return str(ref)
