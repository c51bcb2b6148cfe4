"""Protocols that can look at persons only: at what lies within a mask of the target's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Literal

from fhpt_eval.images.decoding import ImageRef
from fhpt_eval.images.geometry import Geometry
from fhpt_eval.images.masks import Fill, Mask, Silhouette
from fhpt_eval.measuring.given import Given
from fhpt_eval.measuring.protocol import Protocol
from fhpt_eval.pairing.pairs import Pairs
from fhpt_eval.people.given_keypoints import GivenKeypoints
from fhpt_eval.people.keypoint_files import as_written
from fhpt_eval.people.mask_files import GivenMasks
from fhpt_eval.records import Missing, Role

_NO_TARGET = Missing("not there: it has no target")


@dataclass(frozen=True, kw_only=True)
class MaskedProtocol(Protocol):
    """Looks at the whole image, or within a mask.

    Attributes:
        mask: What stands in place of all but the person: ``black`` (DSC, PATN) or ``grey``, the middle of the scale
            (GFLA). None looks at the whole image; otherwise ``mask_`` stands before the metric's name. Masks come as
            files, or are drawn from the targets' given keypoints, which count in pixels of the target as stored;
            ``silhouette`` is black with masks from files alone (pose-with-style).
    """

    mask: Literal["black", "grey", "silhouette"] | None = None

    def __post_init__(self) -> None:
        for field in fields(self):
            geometry = getattr(self, field.name)
            if isinstance(geometry, Geometry):
                geometry.check(given_float=self.mask == "grey")

    def masked(self) -> bool:
        """Whether there is a mask."""
        return self.mask is not None

    def keypoint_roles(self, *, masks: bool = False) -> frozenset[Role]:
        """Return the targets', where a mask is drawn."""
        drawn = self.mask is not None and self.mask != "silhouette" and not masks
        return super().keypoint_roles(masks=masks) | ({"target"} if drawn else frozenset())

    def lacks(self, given: Given) -> str | None:
        """Masks or keypoints of the targets, where there is a mask."""
        if self.mask is None or given.masks is not None:
            return super().lacks(given)
        if self.mask == "silhouette":
            return "its masks come as files: give them with --target-masks DIR"
        if "target" in given.keypoints:
            return super().lacks(given)
        return (
            "masks are drawn from the targets' keypoints or come as files: give them with --target-keypoints FILE or"
            " --target-masks DIR"
        )

    def seen(self, pairs: Pairs, given: Given) -> Pairs:
        """Return the pairs, masked where that is asked for."""
        if self.mask is None:
            return pairs
        fill: Fill = "grey" if self.mask == "grey" else "black"
        if given.masks is not None:
            return _masked(pairs, _from_files(given.masks, fill))
        keypoints = given.keypoints.get("target")
        return pairs if keypoints is None else _masked(pairs, _drawn(keypoints, fill))

    def prefix(self) -> str:
        """Return what stands before the metric's name."""
        return "" if self.mask is None else "mask_"


def _drawn(keypoints: GivenKeypoints, fill: Fill) -> Callable[[ImageRef | None], Mask]:
    """Return what draws the mask of a target."""

    def mask(target: ImageRef | None) -> Mask:
        entry = None if target is None else keypoints.entries[target]
        return Mask(() if entry is None or isinstance(entry, Missing) else tuple(as_written(entry["body"])), fill)

    return mask


def _from_files(masks: GivenMasks, fill: Fill) -> Callable[[ImageRef | None], Silhouette]:
    """Return what finds the mask of a target."""
    return lambda target: Silhouette(_NO_TARGET if target is None else masks.entries[target], fill)


def _masked(pairs: Pairs, mask_of: Callable[[ImageRef | None], Mask | Silhouette]) -> Pairs:
    """Return the same pairs, with generated images and targets masked by the target's mask."""
    rows = []
    for row in pairs:
        mask = mask_of(row.target)
        both = [None if ref is None else replace(ref, mask=mask) for ref in (row.generated, row.target)]
        rows.append(replace(row, generated=both[0], target=both[1]))
    return replace(pairs, rows=tuple(rows))
