"""Protocols that can look at persons only: at what lies within a mask drawn from the target's keypoints."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

from fhpt_eval.images.geometry import Geometry
from fhpt_eval.images.masks import Fill, Mask
from fhpt_eval.maths.keypoints import Points, found
from fhpt_eval.measuring.protocol import Protocol
from fhpt_eval.pairing.pairs import Pairs
from fhpt_eval.people.keypoint_files import KeypointFiles


@dataclass(frozen=True, kw_only=True)
class MaskedProtocol(Protocol):
    """Looks at the whole image, or within a mask.

    Attributes:
        mask: What stands in place of all but the person: ``black`` (DSC, PATN) or ``grey``, the middle of the scale
            (GFLA). None looks at the whole image; otherwise ``mask_`` stands before the metric's name.
        mask_keypoints: Path of the targets' keypoints that masks are drawn from, as `kec.target_keypoints` takes it;
            they count in pixels of the target as stored.
    """

    mask: Fill | None = None
    mask_keypoints: KeypointFiles | None = None

    def __post_init__(self) -> None:
        for field in fields(self):
            geometry = getattr(self, field.name)
            if isinstance(geometry, Geometry):
                geometry.check(given_float=self.mask == "grey")

    def lacks(self) -> str | None:
        """Keypoints, where there is a mask."""
        if self.mask is None or self.mask_keypoints is not None:
            return super().lacks()
        return (
            "masks are drawn from the targets' keypoints: give them with --mask-keypoints FILE"
            f" (or --set {self.name}.mask_keypoints=FILE)"
        )

    def seen(self, pairs: Pairs) -> Pairs:
        """The pairs, masked where that is asked for."""
        if self.mask is None or self.mask_keypoints is None:
            return pairs
        return masked(pairs, self.mask_keypoints, self.mask)

    def prefix(self) -> str:
        """What stands before the metric's name."""
        return "" if self.mask is None else "mask_"


def masked(pairs: Pairs, keypoints: KeypointFiles, fill: Fill) -> Pairs:
    """The same pairs, with generated images and targets masked by the targets' keypoints.

    Args:
        pairs: What is evaluated.
        keypoints: Of the targets.
        fill: What stands in place of the rest.
    """
    rows = []
    for row in pairs:
        key = next(filter(None, map(keypoints.key, row.names("target"))), None)
        mask = Mask((), fill) if key is None else _of_person(keypoints.record(key)["body"], fill)
        both = [None if ref is None else replace(ref, mask=mask) for ref in (row.generated, row.target)]
        rows.append(replace(row, generated=both[0], target=both[1]))
    return replace(pairs, rows=tuple(rows))


def _of_person(body: Points, fill: Fill) -> Mask:
    """From joints in our pixels, where the middle of the first is 0.5."""
    joints = [(float(x) - 0.5, float(y) - 0.5) for x, y, _ in body]
    return Mask(tuple(xy if ok else None for xy, ok in zip(joints, found(body), strict=True)), fill)
