"""What is known about the person in an image: body, face landmarks and face box, detected or read from files."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from fhpt_eval.engine.contract import Plan
from fhpt_eval.engine.engine import Engine
from fhpt_eval.engine.reading import Extraction
from fhpt_eval.extract.dlib_face import DlibFace
from fhpt_eval.extract.extractor import ImageExtractor
from fhpt_eval.extract.mediapipe_keypoints import NO_PERSON, MediapipeKeypoints
from fhpt_eval.images.decoding import ImageRef
from fhpt_eval.maths.keypoints import PARTS, Points
from fhpt_eval.people.given_keypoints import GivenKeypoints, person_called
from fhpt_eval.people.keypoint_files import KeypointFiles
from fhpt_eval.progress import Progress
from fhpt_eval.records import Missing, Record

_KEYPOINTS = MediapipeKeypoints()
_FACES = DlibFace()


@dataclass(frozen=True)
class Person:
    """A person in an image.

    Attributes:
        body: 18×3 keypoints, in the layout of `fhpt_eval.maths.keypoints`.
        face: 68×3 landmarks, likewise; none of them found where they were not looked for.
        face_box: left, top, right, bottom in pixels of the largest frontal face (dlib's detector finds frontal ones);
            None where there is none, or none was looked for.
    """

    body: Points
    face: Points
    face_box: tuple[int, int, int, int] | None


def find_people(
    images: Iterable[ImageRef],
    engine: Engine,
    *,
    keypoints: KeypointFiles | None = None,
    faces: bool = True,
    progress: Progress | None = None,
) -> dict[ImageRef, Person | Missing]:
    """Find the person in each image; what detectors find is cached by the engine.

    Args:
        images: The images.
        engine: Runs the detectors.
        keypoints: Keypoints to take instead of detected ones, joined as `GivenKeypoints` are; where they have no faces,
            landmarks are detected all the same if ``faces``.
        faces: Look for face boxes and landmarks, too.
        progress: Called while detectors run.

    Returns:
        For each image the person, or why there is none.

    Raises:
        UserError: ``keypoints`` tell of none of the images.
    """
    refs = tuple(dict.fromkeys(images))
    given = None if keypoints is None else GivenKeypoints.of_images(keypoints, refs)
    detect = keypoints is None or (faces and "face" not in keypoints.parts)
    extractors: list[ImageExtractor] = [*([_KEYPOINTS] if detect else []), *([_FACES] if faces else [])]
    extraction = engine.run(Plan(dict.fromkeys(extractors, refs), {}), {}, progress)
    for error in extraction.broken.values():
        raise error
    return {ref: _person(ref, extraction, given, detect=detect, faces=faces) for ref in refs}


def person_in_files(files: KeypointFiles, name: str) -> Person | Missing:
    """Return the person that keypoint files tell of under the name of an image that is not here; no face box."""
    record = person_called(files, name)
    if isinstance(record, Missing):
        return record
    return Person(body=record["body"], face=record.get("face", _no_face()), face_box=None)


def _person(
    ref: ImageRef, extraction: Extraction, given: GivenKeypoints | None, *, detect: bool, faces: bool
) -> Person | Missing:
    found = extraction.image(_KEYPOINTS, ref) if detect else {}
    if isinstance(found, Missing) and (given is None or found.fault):
        return found
    detected: Record = {} if isinstance(found, Missing) else found
    taken = detected if given is None else given.person(ref)
    if isinstance(taken, Missing):
        return taken
    box = extraction.image(_FACES, ref) if faces else NO_PERSON
    if isinstance(box, Missing) and box.fault:
        return box
    return Person(
        body=taken["body"],
        face=taken.get("face", detected.get("face", _no_face())),
        face_box=None if isinstance(box, Missing) else _left_top_right_bottom(box),
    )


def _no_face() -> Points:
    return np.tile(np.array([np.nan, np.nan, 0], np.float32), (len(PARTS["face"]), 1))


def _left_top_right_bottom(record: Record) -> tuple[int, int, int, int]:
    top, right, bottom, left = (int(v) for v in record["box"])
    return left, top, right, bottom
