"""What a detector of keypoints is: an extractor in whose place a user can give keypoints from files."""

from __future__ import annotations

from dataclasses import dataclass

from fhpt_eval.extract.extractor import ImageExtractor
from fhpt_eval.maths.keypoints import PARTS, Part


@dataclass(frozen=True, kw_only=True)
class KeypointDetector(ImageExtractor):
    """Records the parts of a person, and ``size`` (width, height; int32) of the image as the geometry leaves it.

    Parts have the layouts of `fhpt_eval.maths.keypoints`: N×3 float32 (hands 2×21×3), x and y in pixels with the centre
    of the first at 0.5, and a score; (NaN, NaN, 0) is a point that was not found. A part that `parts` does not name is
    not in the record.
    """

    @property
    def parts(self) -> tuple[Part, ...]:
        """What is looked for."""
        return tuple(PARTS)
