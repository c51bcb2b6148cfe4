"""Protocols that can look at persons only: at what lies within a mask drawn from the target's keypoints."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

from fhpt_eval.images.geometry import Geometry
from fhpt_eval.images.masks import Fill, Mask
from fhpt_eval.measuring.given import Given
from fhpt_eval.measuring.protocol import Protocol
from fhpt_eval.pairing.pairs import Pairs
from fhpt_eval.people.given_keypoints import GivenKeypoints
from fhpt_eval.people.keypoint_files import as_written
from fhpt_eval.records import Missing, Role


@dataclass(frozen=True, kw_only=True)
class MaskedProtocol(Protocol):
    """Looks at the whole image, or within a mask.

    Attributes:
        mask: What stands in place of all but the person: ``black`` (DSC, PATN) or ``grey``, the middle of the scale
            (GFLA). None looks at the whole image; otherwise ``mask_`` stands before the metric's name. Masks are drawn
            from the targets' given keypoints, which count in pixels of the target as stored.
    """

    mask: Fill | None = None

    def __post_init__(self) -> None:
        for field in fields(self):
            geometry = getattr(self, field.name)
            if isinstance(geometry, Geometry):
                geometry.check(given_float=self.mask == "grey")

    def keypoint_roles(self) -> frozenset[Role]:
        """Return the targets', where there is a mask."""
        return super().keypoint_roles() if self.mask is None else super().keypoint_roles() | {"target"}

    def lacks(self, given: Given) -> str | None:
        """Keypoints of the targets, where there is a mask."""
        if self.mask is None or "target" in given.keypoints:
            return super().lacks(given)
        return "masks are drawn from the targets' keypoints: give them with --target-keypoints FILE"

    def seen(self, pairs: Pairs, given: Given) -> Pairs:
        """Return the pairs, masked where that is asked for."""
        keypoints = given.keypoints.get("target")
        return pairs if self.mask is None or keypoints is None else masked(pairs, keypoints, self.mask)

    def prefix(self) -> str:
        """Return what stands before the metric's name."""
        return "" if self.mask is None else "mask_"


def masked(pairs: Pairs, keypoints: GivenKeypoints, fill: Fill) -> Pairs:
    """Return the same pairs, with generated images and targets masked by the targets' keypoints.

    Args:
        pairs: What is evaluated.
        keypoints: Of the targets.
        fill: What stands in place of the rest.
    """
    rows = []
    for row in pairs:
        entry = None if row.target is None else keypoints.entries[row.target]
        mask = Mask(() if entry is None or isinstance(entry, Missing) else tuple(as_written(entry["body"])), fill)
        both = [None if ref is None else replace(ref, mask=mask) for ref in (row.generated, row.target)]
        rows.append(replace(row, generated=both[0], target=both[1]))
    return replace(pairs, rows=tuple(rows))
