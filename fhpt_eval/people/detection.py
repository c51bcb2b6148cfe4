"""What is known about the person in an image: body, face landmarks and face box, detected or read from files."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
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
from fhpt_eval.people.keypoint_files import Eyes, KeypointFiles
from fhpt_eval.progress import Progress
from fhpt_eval.records import Missing, Record

_KEYPOINTS = MediapipeKeypoints()
_FACES = DlibFace()
_AMBIGUOUS = Missing("several images fit one name in the keypoint files")


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
    eyes: Eyes = "right-first",
    faces: bool = True,
    progress: Progress | None = None,
) -> dict[ImageRef, Person | Missing]:
    """Find the person in each image; what detectors find is cached by the engine.

    Args:
        images: The images.
        engine: Runs the detectors.
        keypoints: Keypoints to use instead of detected ones, by the images' names; where they have no faces, landmarks
            are detected all the same if ``faces``. What several different images would take is nobody's.
        eyes: The order of an annotation list, as `KeypointFiles.record` takes it.
        faces: Look for face boxes and landmarks, too.
        progress: Called while detectors run.

    Returns:
        For each image the person, or why there is none.
    """
    refs = tuple(dict.fromkeys(images))
    detect = keypoints is None or (faces and "face" not in keypoints.parts)
    extractors: list[ImageExtractor] = [*([_KEYPOINTS] if detect else []), *([_FACES] if faces else [])]
    extraction = engine.run(Plan(dict.fromkeys(extractors, refs), {}, hashed=refs), {}, progress)
    for error in extraction.broken.values():
        raise error
    given = None if keypoints is None else _given(keypoints, refs, extraction, eyes)
    return {ref: _person(ref, extraction, given, detect=detect, faces=faces) for ref in refs}


def _given(
    files: KeypointFiles, refs: Iterable[ImageRef], extraction: Extraction, eyes: Eyes
) -> dict[ImageRef, Record | Missing]:
    """What the files tell of each image; sources and targets lie in two folders, so content tells images apart."""
    keys = {ref: files.key(ref.name) for ref in refs}
    images: dict[str | None, set[str]] = defaultdict(set)
    for ref, key in keys.items():
        images[key].add(extraction.content(ref) or str(ref))
    return {
        ref: _AMBIGUOUS if key is not None and len(images[key]) > 1 else _read(files, key, eyes)
        for ref, key in keys.items()
    }


def _person(
    ref: ImageRef,
    extraction: Extraction,
    read: Mapping[ImageRef, Record | Missing] | None,
    *,
    detect: bool,
    faces: bool,
) -> Person | Missing:
    found = extraction.image(_KEYPOINTS, ref) if detect else {}
    if isinstance(found, Missing) and (read is None or found.fault):
        return found
    detected: Record = {} if isinstance(found, Missing) else found
    given = detected if read is None else read[ref]
    if isinstance(given, Missing):
        return given
    box = extraction.image(_FACES, ref) if faces else NO_PERSON
    if isinstance(box, Missing) and box.fault:
        return box
    return Person(
        body=given["body"],
        face=given.get("face", detected.get("face", _no_face())),
        face_box=None if isinstance(box, Missing) else _left_top_right_bottom(box),
    )


def read_person(files: KeypointFiles, name: str, *, eyes: Eyes = "right-first") -> Person | Missing:
    """The person that keypoint files tell of under an image's name; no face box."""
    record = _read(files, files.key(name), eyes)
    if isinstance(record, Missing):
        return record
    return Person(body=record["body"], face=record.get("face", _no_face()), face_box=None)


def _read(files: KeypointFiles, key: str | None, eyes: Eyes) -> Record | Missing:
    if key is None:
        return Missing("not in the keypoint files")
    record = files.record(key, eyes)
    return record if record["persons"] else NO_PERSON


def _no_face() -> Points:
    return np.tile(np.array([np.nan, np.nan, 0], np.float32), (len(PARTS["face"]), 1))


def _left_top_right_bottom(record: Record) -> tuple[int, int, int, int]:
    top, right, bottom, left = (int(v) for v in record["box"])
    return left, top, right, bottom
