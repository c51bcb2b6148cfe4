"""People read from keypoint files: which image takes which record, and in which order the eyes stand."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from toys import write_image

from fhpt_eval.engine.cache import Cache
from fhpt_eval.engine.engine import open_engine
from fhpt_eval.extract.mediapipe_keypoints import NO_PERSON
from fhpt_eval.images.decoding import ImageRef
from fhpt_eval.maths.keypoints import BODY_JOINTS
from fhpt_eval.people.detection import Person, find_people, read_person
from fhpt_eval.people.keypoint_files import Eyes, KeypointFiles
from fhpt_eval.records import Missing

AMBIGUOUS = Missing("several images fit one name in the keypoint files")
JOINTS = range(2, 20)


def listed(root: Path, people: Mapping[str, Sequence[int]]) -> KeypointFiles:
    rows = [f"{name}: {list(x)}: {list(x)}" for name, x in people.items()]
    path = root / "keypoints.csv"
    path.write_text("\n".join(["name:keypoints_y:keypoints_x", *rows]) + "\n", encoding="utf-8")
    return KeypointFiles.at(path)


def image(folder: Path, name: str, seed: int) -> ImageRef:
    return ImageRef(write_image(folder / name, seed), name=name)


def read(root: Path, files: KeypointFiles, *refs: ImageRef, eyes: Eyes = "right-first") -> list[Person | Missing]:
    with Cache(root / "cache") as cache:
        people = find_people(refs, open_engine("local", cache, device="cpu"), keypoints=files, eyes=eyes, faces=False)
    assert people.keys() == set(refs)
    return [people[ref] for ref in refs]


def body_of(person: Person | Missing) -> npt.NDArray[np.float32]:
    assert isinstance(person, Person)
    return person.body


def test_each_image_takes_its_record(tmp_path: Path) -> None:
    files = listed(tmp_path, {"a": JOINTS, "b.png": JOINTS[::-1], "nobody": [-1] * 18})
    refs = [image(tmp_path, f"{name}.png", seed) for seed, name in enumerate(("a", "b", "nobody", "untold"))]
    first, second, *others = read(tmp_path, files, *refs)
    np.testing.assert_array_equal(body_of(first)[:, 0], np.array(JOINTS) + 0.5)
    np.testing.assert_array_equal(body_of(second)[:, 0], np.array(JOINTS[::-1]) + 0.5)
    assert others == [NO_PERSON, Missing("not in the keypoint files")]


def test_two_different_images_do_not_share_a_record(tmp_path: Path) -> None:
    files = listed(tmp_path, {"x": JOINTS, "y": JOINTS})
    in_two_folders = image(tmp_path / "g", "a/x.png", 0), image(tmp_path / "g", "b/x.png", 1)
    *both, other = read(tmp_path, files, *in_two_folders, image(tmp_path / "g", "y.png", 2))
    assert both == [AMBIGUOUS] * 2
    assert isinstance(other, Person)
    source_and_target = image(tmp_path / "source", "x.png", 3), image(tmp_path / "target", "x.png", 4)
    assert read(tmp_path, files, *source_and_target) == [AMBIGUOUS] * 2


def test_copies_of_one_image_share_its_record(tmp_path: Path) -> None:
    files = listed(tmp_path, {"x": JOINTS})
    one = image(tmp_path / "source", "x.png", 0)
    copy = tmp_path / "target" / "x.png"
    copy.parent.mkdir()
    shutil.copy(one.path, copy)
    for person in read(tmp_path, files, one, ImageRef(copy, name="x.png")):
        np.testing.assert_array_equal(body_of(person)[:, 0], np.array(JOINTS) + 0.5)


@pytest.mark.parametrize("eyes", ["right-first", "left-first"])
def test_the_order_of_eyes_and_ears_in_an_annotation_list(tmp_path: Path, eyes: Eyes) -> None:
    files = listed(tmp_path, {"a.png": JOINTS})
    right, left = BODY_JOINTS.index("right eye"), BODY_JOINTS.index("left eye")
    expected = {"right-first": (JOINTS[14], JOINTS[15]), "left-first": (JOINTS[15], JOINTS[14])}[eyes]
    (found,) = read(tmp_path, files, image(tmp_path, "a.png", 0), eyes=eyes)
    for person in (found, read_person(files, "a.png", eyes=eyes)):
        assert (body_of(person)[right, 0] - 0.5, body_of(person)[left, 0] - 0.5) == expected


def test_the_order_of_openpose_json_is_known(tmp_path: Path) -> None:
    points = [value for i in JOINTS for value in (i, i, 1)]
    text = json.dumps({"people": [{"pose_keypoints_2d": points}]})
    (tmp_path / "a_keypoints.json").write_text(text, encoding="utf-8")
    person = read_person(KeypointFiles.at(tmp_path), "a.png", eyes="left-first")
    np.testing.assert_array_equal(body_of(person)[:, 0], np.array(JOINTS) + 0.5)
