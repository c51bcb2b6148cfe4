"""Keypoints that a user gives of images, for whoever looks at people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from fhpt_eval.extract.mediapipe_keypoints import NO_PERSON
from fhpt_eval.images.decoding import ImageRef
from fhpt_eval.pairing.pairs import Pairs
from fhpt_eval.people.by_name import Side
from fhpt_eval.people.keypoint_files import KeypointFiles
from fhpt_eval.records import Missing, Record, Result

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
        return cls(files, files.named.of_images({ref: [ref.name] for ref in images}))

    @classmethod
    def of_pairs(cls, files: KeypointFiles, pairs: Pairs, side: Side) -> GivenKeypoints:
        """Join keypoints to the images of one side of pairs, by their names, or else those in the list of pairs.

        Raises:
            UserError: They tell of none of the images.
        """
        return cls(files, files.named.of_pairs(pairs, side))

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
