"""Keypoints of a person by MediaPipe's solutions, whose models come inside the package (0.10.21 is the last with them).

Pose runs on the whole image and says where the head and the wrists are; Face Mesh runs on a crop of the head and Hands
on a crop about each wrist. Holistic does the same in one graph, but carries state from image to image even in its
static mode; the separate graphs do not.

`Landmarkers` is what this back-end shares with the one on task files: crops, layouts, and what counts as found.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

from fhpt_eval.extract.extractor import Context, Pixels
from fhpt_eval.extract.keypoint_detector import KeypointDetector
from fhpt_eval.extract.mediapipe_graphs import face_graph, hands_graph, pose_graph
from fhpt_eval.images.geometry import Geometry
from fhpt_eval.maths.keypoints import BODY_JOINTS, FACE_POINTS, HAND_POINTS
from fhpt_eval.records import Missing, Result

Array = npt.NDArray[Any]

NO_PERSON = Missing("no person found", "finding")

VISIBLE = 0.5
"""A joint is found when MediaPipe's visibility is at least this: the threshold of its own ``drawing_utils``."""

_ROUND = Geometry.parse("round")

# OpenPose's joints as indices into MediaPipe's 33 pose landmarks, which have no neck.
_BODY = [0, -1, 12, 14, 16, 11, 13, 15, 24, 26, 28, 23, 25, 27, 5, 2, 8, 7]
_NECK = BODY_JOINTS.index("neck")
_SHOULDERS, _HIPS = [11, 12], [23, 24]
_HEAD = slice(0, 11)
# Wrist, index knuckle and little finger's knuckle, of the left and of the right hand.
_HANDS = ((15, 19, 17), (16, 20, 18))

# iBUG's 68 points as vertices of the face mesh: the list that circulates for MediaPipe and dlib, symmetric in the mesh.
_FACE = (
    *(162, 234, 93, 58, 172, 136, 149, 148, 152, 377, 378, 365, 397, 288, 323, 454, 389),  # jaw
    *(71, 63, 105, 66, 107, 336, 296, 334, 293, 301),  # brows
    *(168, 197, 5, 4, 75, 97, 2, 326, 305),  # nose
    *(33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380),  # eyes
    *(61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181),  # outer lips
    *(78, 82, 13, 312, 308, 317, 14, 87),  # inner lips
)

_CROP = 256
"""Side of the square that a crop is resized to: small faces and hands are found far more often when enlarged."""
_HEAD_CROP = 2.5
"""Side of the head crop, in longer sides of the box about the pose's eleven head points."""
_HAND_CROP = 1.0
"""Side of a hand crop, in lengths of the torso from between the shoulders to between the hips."""


@dataclass(frozen=True, kw_only=True)
class MediapipeKeypoints(KeypointDetector):
    """Records ``body`` (18×3), ``face`` (68×3), ``hands`` (2×21×3), all float32, and ``size`` (width, height; int32).

    A point is (x, y, score): x and y in pixels of the image as the geometry leaves it, from its upper left corner (the
    centre of the first pixel is 0.5), and a score in 0…1; (NaN, NaN, 0) is a point that was not found. Layouts are
    those of `fhpt_eval.maths.keypoints`. ``Missing("no person found")`` when the pose finds nobody; of several persons,
    the one that the pose detector scores highest is taken.

    What counts as found: a point that lies inside the image, and of the body, whose visibility is at least 0.5. The
    score of a joint is its visibility; face and hand points come without one and have 1. The neck is the middle of the
    shoulders and needs both to be found. A hand is searched for where the pose finds its wrist. Whether it is the left
    or the right one, the pose decides: its wrist must be nearer to the pose's wrist on that side than to the other.
    MediaPipe's own handedness label is not used; it expects mirrored pictures.
    """

    name: ClassVar[str] = "mediapipe-keypoints"
    libraries: ClassVar[tuple[str, ...]] = ("mediapipe",)
    process: ClassVar[bool] = True

    def load(self, context: Context) -> Callable[[Sequence[Pixels]], list[Result]]:
        """Start the three graphs; where numbers are computed by definitions, the solutions as published.

        What the native code logs to stderr is silenced while it runs: its start-up remarks cannot be turned off
        otherwise. The process's stderr is affected for that time, which is why this runs in processes of its own.
        """
        with native_code_quiet():
            if context.reference_math:
                return _solutions().extract
            return Landmarkers(pose_graph(), face_graph(), hands_graph()).extract


Landmarker: TypeAlias = Callable[[Array], Sequence[Sequence[Any]]]
"""H×W×3 uint8 to the landmarks of each one found, best first: objects with ``x``, ``y`` (shares of width and height,
from the upper left corner) and ``visibility`` (0…1), in MediaPipe's order."""


class Landmarkers(NamedTuple):
    """MediaPipe's landmark models behind either of its interfaces, and how keypoints are made of what they find.

    Attributes:
        pose: Gives 33 landmarks.
        face: Gives 468 or more, of which the first 468 are the vertices of the face mesh; None: not looked for.
        hands: Gives 21; None: not looked for.
    """

    pose: Landmarker
    face: Landmarker | None
    hands: Landmarker | None

    def extract(self, images: Sequence[Pixels]) -> list[Result]:
        """Find the keypoints of each image, with the native code's logs silenced."""
        with native_code_quiet():
            return [self._find(np.ascontiguousarray(_whole(image))) for image in images]

    def _find(self, image: Array) -> Result:
        height, width = image.shape[:2]
        people = self.pose(image)
        if not people:
            return NO_PERSON
        pose = np.array([(p.x * width, p.y * height, p.visibility) for p in people[0]])
        body = _only_found(_body(pose, width, height), width, height)
        if not body[:, 2].any():
            return NO_PERSON
        record = {"body": body}
        if self.face is not None:
            record["face"] = _only_found(_face(self.face, image, pose), width, height)
        if self.hands is not None:
            hands = _hands(self.hands, image, pose)
            record["hands"] = np.stack([_only_found(hand, width, height) for hand in hands])
        return {**record, "size": np.array([width, height], np.int32)}


def _whole(image: Pixels) -> Pixels:
    return image if image.dtype == np.uint8 else _ROUND.apply(image)


class _Square(NamedTuple):
    """A square of whole pixels, which may reach beyond the image."""

    left: int
    top: int
    side: int

    @classmethod
    def about(cls, centre: Array, side: float) -> _Square:
        whole = max(1, math.ceil(side))
        return cls(math.floor(centre[0] - whole / 2), math.floor(centre[1] - whole / 2), whole)

    def cut(self, image: Array) -> Array:
        """Return the square, black beyond the image, resized for a detector."""
        box = (self.left, self.top, self.left + self.side, self.top + self.side)
        square = Image.fromarray(image).crop(box)
        return np.asarray(square.resize((_CROP, _CROP), Image.Resampling.BICUBIC))

    def to_image(self, landmarks: Sequence[Any]) -> Array:
        """Return landmarks of the square in pixels of the image, with score 1."""
        return np.array(
            [(self.left + p.x * self.side, self.top + p.y * self.side, 1.0) for p in landmarks],
        )


def _body(pose: Array, width: int, height: int) -> Array:
    shoulders = pose[_SHOULDERS]
    body = pose[_BODY]
    body[_NECK, :2] = shoulders[:, :2].mean(0)
    body[_NECK, 2] = shoulders[:, 2].min() if _is_found(shoulders, width, height).all() else 0
    return body


def _face(landmarker: Landmarker, image: Array, pose: Array) -> Array:
    head = pose[_HEAD, :2]
    low, high = head.min(0), head.max(0)
    crop = _Square.about((low + high) / 2, _HEAD_CROP * float((high - low).max()))
    faces = landmarker(crop.cut(image))
    return crop.to_image(faces[0])[list(_FACE)] if faces else np.zeros((len(FACE_POINTS), 3))


def _hands(landmarker: Landmarker, image: Array, pose: Array) -> list[Array]:
    height, width = image.shape[:2]
    torso = pose[_SHOULDERS, :2].mean(0) - pose[_HIPS, :2].mean(0)
    hands = []
    for (wrist, index, little), (other_wrist, _, _) in zip(_HANDS, reversed(_HANDS), strict=True):
        candidates = []
        if _is_found(pose[[wrist]], width, height).all():
            # Two thirds of the way from the little finger's knuckle to the index's is the middle finger's.
            middle = (2 * pose[index, :2] + pose[little, :2]) / 3
            crop = _Square.about(middle, _HAND_CROP * math.hypot(*torso))
            candidates = [crop.to_image(h) for h in landmarker(crop.cut(image))]
        hands.append(_own_hand(candidates, pose[wrist], pose[other_wrist]))
    return hands


def _own_hand(candidates: Sequence[Array], wrist: Array, other_wrist: Array) -> Array:
    """Return the candidate nearest to a wrist, unless it is nearer to the other one."""
    own = [hand for hand in candidates if _distance(hand[0], wrist) < _distance(hand[0], other_wrist)]
    return min(own, key=lambda hand: _distance(hand[0], wrist), default=np.zeros((len(HAND_POINTS), 3)))


def _distance(a: Array, b: Array) -> float:
    return math.hypot(a[0] - b[0], a[1] - b[1])


def _is_found(points: Array, width: int, height: int) -> npt.NDArray[np.bool_]:
    x, y, score = points.T
    return np.asarray((x >= 0) & (x < width) & (y >= 0) & (y < height) & (score >= VISIBLE))


def _only_found(points: Array, width: int, height: int) -> npt.NDArray[np.float32]:
    there = _is_found(points, width, height)
    return np.where(there[:, None], points, (np.nan, np.nan, 0)).astype(np.float32)


def _solutions() -> Landmarkers:
    """Return ``Pose``, ``FaceMesh`` and ``Hands`` in static mode."""
    from mediapipe.python.solutions.face_mesh import FaceMesh
    from mediapipe.python.solutions.hands import Hands
    from mediapipe.python.solutions.pose import Pose

    pose = Pose(static_image_mode=True, model_complexity=1)
    face_mesh = FaceMesh(static_image_mode=True, max_num_faces=1)
    hands = Hands(static_image_mode=True, max_num_hands=2)

    def one(found: Any) -> list[Any]:
        return [] if found is None else [found.landmark]

    def several(found: Any) -> list[Any]:
        return [each.landmark for each in found or ()]

    return Landmarkers(
        pose=lambda image: one(pose.process(image).pose_landmarks),
        face=lambda crop: several(face_mesh.process(crop).multi_face_landmarks),
        hands=lambda crop: several(hands.process(crop).multi_hand_landmarks),
    )


@contextmanager
def native_code_quiet() -> Iterator[None]:
    """Send what native code writes to the process's stderr nowhere for a while."""
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
