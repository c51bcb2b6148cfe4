"""What is known of a photograph, and how the field's files write it.

Points are pixels with the centre of the first one at 0, as in all of these files (`fhpt_eval.people.keypoint_files`
adds 0.5).
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from pydantic import TypeAdapter, ValidationError

from fhpt_eval.datasets.report import Split
from fhpt_eval.pairing.naming import Gender
from fhpt_eval.synthetic.body import Float
from fhpt_eval.synthetic.shots import Shot

if TYPE_CHECKING:
    from fhpt_eval.synthetic.photograph import Photograph

VISIBLE: Final = 2
HIDDEN: Final = 1
OUTSIDE: Final = 0
"""Visibility of a point: seen; in the frame, with something before it; out of the frame. (Not COCO's.)"""

ANNOTATION_HEADER = "name:keypoints_y:keypoints_x"

_DECIMALS = 3
_PUPILS = 2
"""OpenPose's face has them behind the 68 points; they are not known."""

Point: TypeAlias = tuple[float, float, Literal[0, 1, 2]]


@dataclass(frozen=True)
class Truth:
    """Everything about one photograph: a row of ``truth.jsonl``.

    Attributes:
        name: Path below ``img``.
        split: ``train`` or ``test``.
        gender: ``MEN`` or ``WOMEN``.
        identity: Number of the person, from 1.
        item: The garment, as `fhpt_eval.pairing.naming.DeepFashionName.item`.
        view: One of `fhpt_eval.synthetic.shots.VIEWS`.
        pose: Name of the kind of pose.
        height: Of the image, in pixels.
        width: Likewise.
        face_box: Left, top, right, bottom; None where no face is seen.
        body: The 18 joints of `fhpt_eval.maths.keypoints.BODY_JOINTS`: x, y and visibility.
        face: The 68 points of `fhpt_eval.maths.keypoints.FACE_POINTS`, likewise.
        hands: The left one's 21 points of `fhpt_eval.maths.keypoints.HAND_POINTS`, then the right one's.
        sha256: Of its files, by their folder.
    """

    name: str
    split: Split
    gender: Gender
    identity: int
    item: str
    view: str
    pose: str
    height: int
    width: int
    face_box: tuple[float, float, float, float] | None
    body: tuple[Point, ...]
    face: tuple[Point, ...]
    hands: tuple[tuple[Point, ...], tuple[Point, ...]]
    sha256: Mapping[str, str]

    @classmethod
    def of(cls, shot: Shot, photograph: Photograph, sha256: Mapping[str, str]) -> Truth:
        """Put together what the plan and the renderer know."""
        height, width = photograph.labels.shape
        box = photograph.face_box
        return cls(
            name=shot.name,
            split=shot.split,
            gender=shot.shows.gender,
            identity=shot.identity,
            item=shot.shows.item,
            view=shot.view,
            pose=photograph.pose,
            height=height,
            width=width,
            face_box=None if box is None else (_number(box[0]), _number(box[1]), _number(box[2]), _number(box[3])),
            body=_points(photograph.body),
            face=_points(photograph.face),
            hands=(_points(photograph.hands[0]), _points(photograph.hands[1])),
            sha256=sha256,
        )

    @classmethod
    def parse(cls, line: str | bytes) -> Truth | None:
        """Read what `line` wrote; None for anything else, such as half a line."""
        try:
            return _ROW.validate_json(line)
        except ValidationError:
            return None

    def line(self) -> str:
        """One line of JSON, without its end."""
        return json.dumps(asdict(self), ensure_ascii=False, allow_nan=False, separators=(",", ":"))

    def annotation(self) -> str:
        """One line of PATN's annotation list: whole pixels; −1 for joints that are not seen, as OpenPose has none."""
        rows = [_whole(y, self.height) if seen == VISIBLE else -1 for _, y, seen in self.body]
        columns = [_whole(x, self.width) if seen == VISIBLE else -1 for x, _, seen in self.body]
        return f"{self.name}: {rows}: {columns}"


_ROW = TypeAdapter(Truth)


def openpose(photograph: Photograph) -> str:
    """Return the content of OpenPose's JSON: points that are seen with confidence 1, zeros for the others."""
    face = [*_points(photograph.face), *[(0.0, 0.0, OUTSIDE)] * _PUPILS]
    left, right = (_points(hand) for hand in photograph.hands)
    person = {
        "person_id": [-1],
        "pose_keypoints_2d": _triples(_points(photograph.body)),
        "face_keypoints_2d": _triples(face),
        "hand_left_keypoints_2d": _triples(left),
        "hand_right_keypoints_2d": _triples(right),
        "pose_keypoints_3d": [],
        "face_keypoints_3d": [],
        "hand_left_keypoints_3d": [],
        "hand_right_keypoints_3d": [],
    }
    return json.dumps({"version": 1.3, "people": [person]}, allow_nan=False, separators=(",", ":"))


def _triples(points: Iterable[tuple[float, float, int]]) -> list[float]:
    triples = ((x, y, 1) if seen == VISIBLE else (0, 0, 0) for x, y, seen in points)
    return [value for triple in triples for value in triple]


def _points(rows: Float) -> tuple[Point, ...]:
    seen: Mapping[int, Literal[0, 1, 2]] = {OUTSIDE: 0, HIDDEN: 1, VISIBLE: 2}
    return tuple((_number(x), _number(y), seen[int(visibility)]) for x, y, visibility in rows.tolist())


def _number(value: float) -> float:
    # Adding 0 makes of −0 a 0.
    return round(float(value), _DECIMALS) + 0.0


def _whole(value: float, size: int) -> int:
    return min(max(math.floor(value + 0.5), 0), size - 1)
