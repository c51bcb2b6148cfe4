"""Keypoints read from files: OpenPose's JSON, annotation lists, candidate/subset text; and scores made of them."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from toys import write_image

from fhpt_eval import Pairs, Protocol, Run, evaluate
from fhpt_eval.cli.display import options
from fhpt_eval.cli.shared import read_file, read_keypoints
from fhpt_eval.engine.cache import Cache
from fhpt_eval.engine.contract import Plan
from fhpt_eval.engine.engine import open_engine
from fhpt_eval.engine.reading import Extraction
from fhpt_eval.errors import UserError
from fhpt_eval.evaluation.doubts import Doubts, doubts
from fhpt_eval.evaluation.extracted_records import ExtractedRecords
from fhpt_eval.evaluation.giving import given_for
from fhpt_eval.evaluation.plan import ImageSets, Prepared
from fhpt_eval.extract.extractor import Context, Extractor, ImageExtractor
from fhpt_eval.extract.mediapipe_keypoints import NO_PERSON, MediapipeKeypoints
from fhpt_eval.extract.pixels import FrameSize
from fhpt_eval.files.given import GivenFile
from fhpt_eval.images.decoding import ImageRef
from fhpt_eval.images.geometry import Geometry
from fhpt_eval.maths.keypoints import BODY_JOINTS, found
from fhpt_eval.measuring.protocol import configure
from fhpt_eval.pairing.pairs import Pair, PairReport
from fhpt_eval.people import keypoint_files
from fhpt_eval.people.by_name import Side
from fhpt_eval.people.keypoint_files import Eyes, KeypointFiles
from fhpt_eval.protocols.kec import Kec
from fhpt_eval.protocols.l1 import L1
from fhpt_eval.protocols.pckh import Pckh
from fhpt_eval.protocols.ssim import Ssim
from fhpt_eval.records import Missing, Record, Result
from fhpt_eval.reporting.blocks import blocks_of

Array = npt.NDArray[Any]

OPENPOSE8 = Path(__file__).resolve().parents[2] / "../shared/data/real/deepfashion8/pose"

HEADER = "name:keypoints_y:keypoints_x"
WOMAN = "fashionWOMENDressesid0000020303_1front"
WOMAN_AS_PATH = "WOMEN/Dresses/id_00000203/03_1_front"
OTHER_AS_PATH = "WOMEN/Dresses/id_00000244/02_1_front"


# Writers of the three forms. A body is 18 rows of x and y as the files count, None for a joint that was not found


Body = Sequence[tuple[float, float] | None]


def body(seed: int = 0) -> list[tuple[float, float] | None]:
    """Whole pixels inside of 24×32, each joint at another place."""
    places = np.random.default_rng(seed).permutation(20 * 28)[:18]
    return [(float(2 + place % 20), float(2 + place // 20)) for place in places]


def annotation(name: str, joints: Body) -> str:
    x, y = ([-1 if joint is None else int(joint[i]) for joint in joints] for i in (0, 1))
    return f"{name}: {y}: {x}"


def write_list(path: Path, people: Mapping[str, Body]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([HEADER, *(annotation(*row) for row in people.items())]) + "\n", encoding="utf-8")
    return path


def triples(joints: Body, score: float = 0.5) -> list[float]:
    return [value for joint in joints for value in ((0, 0, 0) if joint is None else (*joint, score))]


def write_json(folder: Path, name: str, *people: Mapping[str, Any]) -> Path:
    path = folder / f"{name}_keypoints.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"version": 1.3, "people": people}), encoding="utf-8")
    return path


def write_text(folder: Path, name: str, candidates: Sequence[Any], people: Sequence[Sequence[float]]) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    numbered = [(*candidate, index) for index, candidate in enumerate(candidates)]
    for ending, rows in (("_candidate.txt", numbered), ("_subset.txt", people)):
        lines = [" ".join(f"{value:.18e}" for value in row) for row in rows]
        Path(f"{path}{ending}").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def expected(joints: Body, score: float) -> Array:
    rows = [(np.nan, np.nan, 0) if joint is None else (joint[0] + 0.5, joint[1] + 0.5, score) for joint in joints]
    return np.array(rows, np.float32)


def one(files: KeypointFiles, name: str) -> Record:
    key = files.key(name)
    assert key is not None
    return files.records[key]


# Annotation lists


def test_an_annotation_list_is_read_with_half_a_pixel_added_and_minus_one_missing(tmp_path: Path) -> None:
    joints = body()
    joints[4] = joints[17] = None
    files = KeypointFiles.at(write_list(tmp_path / "list.csv", {"a/b.c.jpg": joints, f"{WOMAN}.jpg": body(1)}))
    assert (files.form, files.parts) == ("annotations", ("body",))
    record = one(files, "a/b.c.png")
    assert {name: (array.shape, array.dtype.name) for name, array in record.items()} == {
        "persons": ((), "int32"),
        "body": ((18, 3), "float32"),
    }
    np.testing.assert_array_equal(record["body"], expected(joints, 1))
    np.testing.assert_array_equal(one(files, f"{WOMAN_AS_PATH}.jpg")["body"], expected(body(1), 1))


def test_an_annotation_list_may_have_windows_line_ends_a_mark_and_colons_in_names(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_bytes(f"\ufeff{HEADER}\r\n\r\n{annotation('a:b.jpg', body())}\r\n".encode())
    np.testing.assert_array_equal(one(KeypointFiles.at(path), "a:b.png")["body"], expected(body(), 1))


def test_a_joint_is_missing_where_either_coordinate_is_minus_one_and_nobody_is_there_without_joints(
    tmp_path: Path,
) -> None:
    path = write_list(tmp_path / "list.csv", {"half": [(-1, 5), (5, -1), (-2, 5), *body()[3:]], "none": [None] * 18})
    files = KeypointFiles.at(path)
    np.testing.assert_array_equal(found(one(files, "half")["body"]), [False, False, *[True] * 16])
    assert one(files, "half")["body"][2, 0] == -1.5
    assert one(files, "none")["persons"] == 0
    assert not found(one(files, "none")["body"]).any()


ROW = annotation("a", body())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name,keypoints_y,keypoints_x\n", ("does not begin with", HEADER, "_keypoints.json")),
        ("", ("does not begin with",)),
        (f"{HEADER}\n\n", ("no rows",)),
        (f"{HEADER}\n{ROW}\nb: [1, 2]\n", ("row 3", "':'")),
        (f"{HEADER}\n{ROW[1:]}\n", ("row 2", "name")),
        (f"{HEADER}\nb: {[1] * 18}: {[1] * 17}\n", ("row 2", "18", "17")),
        (f"{HEADER}\nb: {[1] * 17}: {[1] * 17}\n", ("row 2", "17 points instead of 18")),
        (f"{HEADER}\nb: __import__('os'): {[1] * 18}\n", ("row 2", "keypoints_y", "[12, 34, -1]")),
        (f"{HEADER}\nb: {[1] * 18}: {['1'] * 18}\n".replace("'", '"'), ("row 2", "keypoints_x")),
        (f"{HEADER}\nb: {[1] * 18}: [{'NaN, ' * 17}1]\n", ("row 2", "keypoints_x")),
        (f"{HEADER}\nb: {[1] * 18}: {[True] * 18}\n".lower(), ("row 2", "keypoints_x")),
        (f"{HEADER}\nb: {[1] * 18}: {[10**400] * 18}\n", ("row 2", "keypoints_x")),
        (f"{HEADER}\nb: {'[' * 100_000}: {[1] * 18}\n", ("row 2", "keypoints_y")),
        (f"{HEADER}\nb: {{}}: {[1] * 18}\n", ("row 2", "keypoints_y")),
        (f"{HEADER}\n{ROW}\n{annotation('a.png', body(1))}\n", ("row 3", "row 2", "'a'", "keep one")),
        (f"{HEADER}\n\udcff\n", ("not UTF-8", "byte 29")),
    ],
)
def test_a_wrong_annotation_list_is_one_sentence(tmp_path: Path, text: str, words: tuple[str, ...]) -> None:
    path = tmp_path / "list.csv"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(UserError) as error:
        KeypointFiles.at(path)
    for word in ("list.csv", *words):
        assert word in str(error.value)
    assert "\n" not in str(error.value)


def test_a_row_that_stands_there_twice_is_no_contradiction(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text(f"{HEADER}\n{ROW}\n{ROW}\n", encoding="utf-8")
    assert list(KeypointFiles.at(path).records) == ["a"]


# OpenPose's JSON


def test_openpose_json_of_18_and_of_25_points(tmp_path: Path) -> None:
    joints = body()
    joints[9] = None
    hips_and_feet = [(500.0, 600.0)] * 6
    of_25 = [*joints[:8], (400.0, 400.0), *joints[8:], *hips_and_feet]
    write_json(tmp_path, f"coco/{WOMAN_AS_PATH}", {"pose_keypoints_2d": triples(joints)})
    write_json(tmp_path, "25", {"pose_keypoints_2d": triples(of_25), "face_keypoints_2d": []})
    files = KeypointFiles.at(tmp_path)
    assert (files.form, files.parts) == ("openpose-json", ("body",))
    for name in ("25.jpg", f"{WOMAN}.png"):
        np.testing.assert_array_equal(one(files, name)["body"], expected(joints, 0.5))
        assert one(files, name).keys() == {"persons", "body"}
    assert BODY_JOINTS[8:15] == (
        *("right hip", "right knee", "right ankle", "left hip", "left knee", "left ankle"),
        "right eye",
    )


def test_openpose_json_with_face_and_hands(tmp_path: Path) -> None:
    face: list[tuple[float, float]] = [(float(i), 2.0) for i in range(70)]
    left: list[tuple[float, float]] = [(float(i), 40.0) for i in range(21)]
    person = {"pose_keypoints_2d": triples(body())}
    write_json(
        tmp_path,
        "a",
        {
            **person,
            "face_keypoints_2d": triples(face, 0.25),
            "hand_left_keypoints_2d": triples(left, 0.75),
            "hand_right_keypoints_2d": triples([None] * 21),
        },
    )
    write_json(tmp_path, "b", {**person, "face_keypoints_2d": [], "hand_left_keypoints_2d": None})
    files = KeypointFiles.at(tmp_path)
    assert files.parts == ("body", "face", "hands")
    record = one(files, "a")
    np.testing.assert_array_equal(record["face"], expected(face[:68], 0.25))
    np.testing.assert_array_equal(record["hands"], [expected(left, 0.75), expected([None] * 21, 1)])
    without = one(files, "b")
    assert {part: (without[part].shape, without[part].dtype.name) for part in files.parts} == {
        "body": ((18, 3), "float32"),
        "face": ((68, 3), "float32"),
        "hands": ((2, 21, 3), "float32"),
    }
    for part in ("face", "hands"):
        points = without[part].reshape(-1, 3)
        np.testing.assert_array_equal(points, expected([None] * len(points), 1))


def test_of_several_persons_the_highest_score_counts_and_the_first_of_equals(tmp_path: Path) -> None:
    few, many = [*body(1)[:3], *[None] * 15], body(2)
    nobody = {"pose_keypoints_2d": triples([None] * 18)}
    few_sure, many_unsure = {"pose_keypoints_2d": triples(few, 0.9)}, {"pose_keypoints_2d": triples(many, 0.5)}
    write_json(tmp_path, "several", few_sure, many_unsure, nobody)
    write_json(tmp_path, "equal", {"pose_keypoints_2d": triples(body(3))}, many_unsure)
    write_json(tmp_path, "nobody", nobody)
    write_json(tmp_path, "empty")
    files = KeypointFiles.at(tmp_path)
    np.testing.assert_array_equal(one(files, "several")["body"], expected(many, 0.5))
    np.testing.assert_array_equal(one(files, "equal")["body"], expected(body(3), 0.5))
    persons = {name: int(one(files, name)["persons"]) for name in ("several", "equal", "nobody", "empty")}
    assert persons == {"several": 2, "equal": 2, "nobody": 0, "empty": 0}
    assert not found(one(files, "empty")["body"]).any()


PERSON = {"pose_keypoints_2d": triples(body())}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", ("not OpenPose's JSON", "line 1")),
        ("[" * 100_000, ("not OpenPose's JSON", "lists within lists")),
        ("[]", ("a list of 0 pictures, not of one",)),
        (json.dumps([{"people": []}] * 2), ("a list of 2 pictures, not of one",)),
        ('[{"persons": []}]', ("'people'",)),
        ('{"people": 3}', ("'people'",)),
        ('{"people": [3]}', ("person 1 is not an object",)),
        ('{"people": [{"pose_keypoints_3d": []}]}', ("person 1", "no 'pose_keypoints_2d'", "'pose_keypoints'")),
        (json.dumps({"people": [PERSON, {"pose_keypoints_2d": [1] * 45}]}), ("person 2", "45 values", "54", "75")),
        (json.dumps({"people": [{"pose_keypoints_2d": {"a": 1}}]}), ("person 1", "no list", "54")),
        (json.dumps({"people": [{**PERSON, "face_keypoints_2d": [1] * 201}]}), ("face_keypoints_2d", "210", "204")),
        (json.dumps({"people": [{**PERSON, "hand_left_keypoints_2d": [1] * 3}]}), ("hand_left_keypoints_2d", "63")),
        (json.dumps({"people": [{"pose_keypoints_2d": ["1"] * 54}]}), ("not a pixel",)),
        (json.dumps({"people": [{"pose_keypoints_2d": [float("nan")] * 54}]}), ("not a pixel",)),
        (json.dumps({"people": [{"pose_keypoints_2d": [10**400] * 54}]}), ("not a pixel",)),
        ("\udcff", ("not UTF-8",)),
    ],
)
def test_a_wrong_json_file_is_one_sentence(tmp_path: Path, text: str, words: tuple[str, ...]) -> None:
    write_json(tmp_path, "right", PERSON)
    (tmp_path / "wrong_keypoints.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(UserError) as error:
        KeypointFiles.at(tmp_path)
    for word in ("wrong_keypoints.json", *words):
        assert word in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("scale", [1 / 64, -1 / 64])
def test_coordinates_that_are_shares_of_the_image_are_refused(tmp_path: Path, scale: float) -> None:
    shares: Body = [None, *((x * scale, y * scale) for x, y in filter(None, body()[1:]))]
    write_json(tmp_path, "a", {"pose_keypoints_2d": triples(shares)})
    with pytest.raises(UserError, match="--keypoint_scale 0"):
        KeypointFiles.at(tmp_path)
    write_json(tmp_path, "b", PERSON)
    assert len(KeypointFiles.at(tmp_path).records) == 2


def test_shares_of_the_image_are_refused_in_every_form(tmp_path: Path) -> None:
    shares = [(x / 64, y / 64) for x, y in filter_none(body())]
    x, y = ([share[i] for share in shares] for i in (0, 1))
    listed = tmp_path / "list.csv"
    listed.write_text(f"{HEADER}\na.png: {y}: {x}\n", encoding="utf-8")
    write_text(tmp_path / "text", "a", [(*share, 0.9) for share in shares], [[*range(18), 9, 18]])
    for path in (listed, tmp_path / "text"):
        with pytest.raises(UserError, match=rf"^all coordinates in {path} lie between -1 and 1, .*width and height\.$"):
            KeypointFiles.at(path)


FACE = triples([(float(i), 2.0) for i in range(70)], 0.25)
HAND = triples([(float(i), 40.0) for i in range(21)], 0.75)


def forms_of_json() -> dict[str, Any]:
    """One person as different programs write it."""
    whole = {"pose_keypoints": triples(body()), "face_keypoints": FACE, "hand_left_keypoints": HAND}
    today = {"people": [{f"{key}_2d": values for key, values in whole.items()}]}
    return {
        "OpenPose": today,
        "before 1.3": {"people": [whole]},
        "ComfyUI": [{**today, "canvas_width": 24, "canvas_height": 32}],
        "DWPose": {"people": [{**today["people"][0], "face_keypoints_2d": FACE[: 3 * 68]}]},
        "nulls": {"people": [{**today["people"][0], "hand_right_keypoints_2d": None}]},
    }


@pytest.mark.parametrize("form", forms_of_json())
@pytest.mark.parametrize("ending", ["_keypoints.json", ".json"])
def test_every_form_of_openpose_json_gives_the_same_points(tmp_path: Path, form: str, ending: str) -> None:
    (tmp_path / f"a.b{ending}").write_text(json.dumps(forms_of_json()[form]), encoding="utf-8")
    files = KeypointFiles.at(tmp_path)
    assert (files.form, list(files.records), files.parts) == ("openpose-json", ["a.b"], ("body", "face", "hands"))
    record = one(files, "a.b.png")
    np.testing.assert_array_equal(record["body"], expected(body(), 0.5))
    np.testing.assert_array_equal(record["face"], expected([(float(i), 2.0) for i in range(68)], 0.25))
    np.testing.assert_array_equal(record["hands"][0], expected([(float(i), 40.0) for i in range(21)], 0.75))
    assert not found(record["hands"][1]).any()


def test_other_json_beside_openpose_s_is_ignored(tmp_path: Path) -> None:
    write_json(tmp_path, "a", PERSON)
    (tmp_path / "settings.json").write_text("{}", encoding="utf-8")
    assert list(KeypointFiles.at(tmp_path).records) == ["a"]


def test_an_annotation_list_may_have_pandas_index(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text(f":{HEADER}\n0:{annotation('7:b.jpg', body())}\n1:{annotation('c', body(1))}\n", encoding="utf-8")
    files = KeypointFiles.at(path)
    assert list(files.records) == ["7:b", "c"]
    np.testing.assert_array_equal(one(files, "7:b")["body"], expected(body(), 1))


def test_names_of_keypoints_may_be_decomposed_or_have_backslashes(tmp_path: Path) -> None:
    names = (unicodedata.normalize("NFD", "Zoë.jpg"), "test\\b.jpg")
    files = KeypointFiles.at(write_list(tmp_path / "list.csv", dict.fromkeys(names, body())))
    assert files.key("Zoë.png") == files.key(unicodedata.normalize("NFD", "Zoë.png")) == "Zoë"
    assert files.key("test/b.png") == files.key("b.png") == "test/b"


# Candidates and subsets


def test_candidate_and_subset_make_the_best_person(tmp_path: Path) -> None:
    joints = body()
    candidates = [(*joint, 0.5 + i / 64) for i, joint in enumerate(reversed(filter_none(joints)))]
    backwards = [float(17 - i) for i in range(18)]
    few = [*[-1.0] * 16, 3.0, -1.0]
    write_text(tmp_path, "a", candidates, [[*few, 1.0, 1], [*backwards, 30.0, 18], [*few, 30.0, 1]])
    write_text(tmp_path, "few", candidates, [[*few, 1.0, 1]])
    write_text(tmp_path, "nobody", [], [])
    write_text(tmp_path, "no person of it", candidates, [])
    files = KeypointFiles.at(tmp_path)
    assert (files.form, files.parts) == ("candidate-subset", ("body",))
    scores = np.array([0.5 + (17 - i) / 64 for i in range(18)])
    np.testing.assert_array_equal(
        one(files, "a")["body"], np.column_stack([expected(joints, 1)[:, :2], scores]).astype(np.float32)
    )
    assert one(files, "a")["persons"] == 3
    lonely = one(files, "few")["body"]
    np.testing.assert_array_equal(np.flatnonzero(found(lonely)), [16])
    np.testing.assert_array_equal(lonely[16, :2], np.add(candidates[3][:2], 0.5))
    assert np.isnan(lonely[0, :2]).all()
    for name in ("nobody", "no person of it"):
        assert one(files, name)["persons"] == 0


def filter_none(joints: Body) -> list[tuple[float, float]]:
    return [joint for joint in joints if joint is not None]


@pytest.mark.parametrize(
    ("candidates", "people", "words"),
    [
        ([(1, 2, 0.5)], [[*[-1] * 17, 1, 1, 1]], ("_subset.txt, row 1", "between -1 and 0")),
        ([(1, 2, 0.5)], [[*[-1] * 17, -2, 1, 1]], ("_subset.txt, row 1",)),
        ([(1, 2, 0.5)], [[*[-1] * 17, 0.5, 1, 1]], ("_subset.txt, row 1", "whole number")),
        ([(1, 2, 0.5)], [[-1] * 20, [-1] * 19], ("_subset.txt, row 2", "20")),
        ([(1, 2, 0.5), (1, 2)], [], ("_candidate.txt, row 2", "4")),
        ([(1, np.nan, 0.5)], [], ("_candidate.txt, row 1", "4")),
        ([(1e9, 1, 0.5)], [], ("_candidate.txt, row 1",)),
    ],
)
def test_wrong_candidates_and_subsets_are_one_sentence(
    tmp_path: Path, candidates: Sequence[Any], people: Sequence[Sequence[float]], words: tuple[str, ...]
) -> None:
    write_text(tmp_path, "x", candidates, people)
    with pytest.raises(UserError) as error:
        KeypointFiles.at(tmp_path)
    for word in words:
        assert word in str(error.value)


@pytest.mark.parametrize(("lost", "kept"), [("subset", "candidate"), ("candidate", "subset")])
def test_candidates_and_subsets_go_together(tmp_path: Path, lost: str, kept: str) -> None:
    write_text(tmp_path, "a/x", [], [])
    (tmp_path / f"a/x_{lost}.txt").unlink()
    with pytest.raises(UserError, match=rf"x_{lost}\.txt is not there"):
        KeypointFiles.at(tmp_path)
    (tmp_path / f"a/x_{lost}.txt").write_text("no numbers", encoding="utf-8")
    with pytest.raises(UserError, match=rf"x_{lost}\.txt, row 1"):
        KeypointFiles.at(tmp_path)
    assert (tmp_path / f"a/x_{kept}.txt").is_file()


@pytest.mark.skipif(not OPENPOSE8.is_dir(), reason="shared/data/real is not here")
def test_openpose_text_of_eight_photographs() -> None:
    files = KeypointFiles.at(OPENPOSE8)
    subsets = sorted(OPENPOSE8.rglob("*_subset.txt"))
    assert len(files.records) == len(subsets) == 8
    for subset in subsets:
        (person,) = np.loadtxt(subset, ndmin=2)
        candidates = np.loadtxt(f"{str(subset).removesuffix('_subset.txt')}_candidate.txt")
        name = subset.relative_to(OPENPOSE8).as_posix().replace("_subset.txt", ".jpg")
        joints = one(files, name)["body"]
        # Its last column is how many joints the person has.
        assert found(joints).sum() == person[19] == (person[:18] >= 0).sum()
        for joint, index in zip(joints, person[:18].astype(int), strict=True):
            if index >= 0:
                np.testing.assert_allclose(joint[:2] - 0.5, candidates[index, :2])
        assert np.nanmax(joints[:, :2]) < 257
    facing = one(files, f"{WOMAN}.jpg")["body"]
    shoulder = {side: facing[BODY_JOINTS.index(f"{side} shoulder"), 0] for side in ("left", "right")}
    assert shoulder["right"] < shoulder["left"]


# Sets of files


def test_the_same_files_elsewhere_are_equal_and_other_content_is_not(tmp_path: Path) -> None:
    for folder in ("one", "other"):
        for name in ("a", "b/c") if folder == "one" else ("b/c", "a"):
            write_json(tmp_path / folder, name, PERSON)
        (tmp_path / folder / "readme.txt").write_text(folder, encoding="utf-8")
    first, second = (KeypointFiles.at(tmp_path / folder) for folder in ("one", "other"))
    assert first == second
    assert hash(first) == hash(second)
    assert str(first) == f"openpose-json sha256:{first.sha256}"
    (tmp_path / "other/a_keypoints.json").rename(tmp_path / "other/d_keypoints.json")
    assert KeypointFiles.at(tmp_path / "other") != first
    (tmp_path / "other/d_keypoints.json").unlink()
    write_json(tmp_path / "other", "a", {"pose_keypoints_2d": triples(body(), 0.75)})
    assert KeypointFiles.at(tmp_path / "other") != first


def test_a_folder_of_no_form_or_of_two_is_one_sentence(tmp_path: Path) -> None:
    write_json(tmp_path / ".hidden", "a", PERSON)
    (tmp_path / "._x_keypoints.json").write_bytes(b"\xff")
    with pytest.raises(UserError, match="holds neither"):
        KeypointFiles.at(tmp_path)
    write_json(tmp_path, "a", PERSON)
    assert list(KeypointFiles.at(tmp_path).records) == ["a"]
    write_text(tmp_path, "b", [], [])
    with pytest.raises(UserError, match="holds both"):
        KeypointFiles.at(tmp_path)


def test_the_same_picture_with_two_sets_of_points_is_refused(tmp_path: Path) -> None:
    write_json(tmp_path, WOMAN, PERSON)
    write_json(tmp_path, WOMAN_AS_PATH, PERSON)
    assert list(KeypointFiles.at(tmp_path).records) == [WOMAN]
    write_json(tmp_path, WOMAN_AS_PATH, {"pose_keypoints_2d": triples(body(1))})
    with pytest.raises(UserError, match=rf"{WOMAN}_keypoints\.json and .*03_1_front_keypoints\.json tell"):
        KeypointFiles.at(tmp_path)


def test_files_that_are_absent_or_too_large_are_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="No such file"):
        KeypointFiles.at(tmp_path / "absent")
    monkeypatch.setattr(keypoint_files, "LIST_LIMIT", 1)
    monkeypatch.setattr(keypoint_files, "FILE_LIMIT", 1)
    large = b" " * (10**6 + 1)
    (tmp_path / "list.csv").write_bytes(large)
    with pytest.raises(UserError, match=r"list\.csv is larger than 1 MB"):
        KeypointFiles.at(tmp_path / "list.csv")
    (tmp_path / "a_keypoints.json").write_bytes(large)
    with pytest.raises(UserError, match=r"a_keypoints\.json is larger than 1 MB"):
        KeypointFiles.at(tmp_path)


def test_a_name_is_found_by_its_path_or_by_what_does_not_contradict_it(tmp_path: Path) -> None:
    names = ["a/x.jpg", "b/x.jpg", "c/y.jpg", "z", f"some/where/{WOMAN}.jpg", "id_00000244/02_1_front"]
    files = KeypointFiles.at(write_list(tmp_path / "list.csv", {name: body(i) for i, name in enumerate(names)}))
    assert {
        name: files.key(name)
        for name in (
            "a/x.png",
            "x.jpg",
            "y.bmp",
            "d/y.jpg",
            "more/c/y.jpg",
            "q/z.png",
            "zz",
            WOMAN_AS_PATH,
            OTHER_AS_PATH,
        )
    } == {
        "a/x.png": "a/x",
        "x.jpg": None,
        "y.bmp": "c/y",
        "d/y.jpg": None,
        "more/c/y.jpg": "c/y",
        "q/z.png": "z",
        "zz": None,
        WOMAN_AS_PATH: WOMAN,
        OTHER_AS_PATH: "id_00000244/02_1_front",
    }


# As data


def test_files_are_known_by_form_and_content_and_not_by_path(tmp_path: Path) -> None:
    path = write_list(tmp_path / "list.csv", {"a": body()})
    files = KeypointFiles.at(path)
    assert str(files) == f"annotations sha256:{files.sha256}"
    assert files == KeypointFiles.at(write_list(tmp_path / "copy.csv", {"a": body()}))
    other = KeypointFiles.at(path, "left-first")
    assert other != files
    assert str(other) == f"annotations left-first sha256:{files.sha256}"


@pytest.mark.parametrize("blank", ["", "  "])
def test_a_blank_path_is_not_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, blank: str) -> None:
    write_json(tmp_path / "below", "a", PERSON)
    monkeypatch.chdir(tmp_path)
    for text in (blank, f",{blank},"):
        with pytest.raises(UserError, match=rf"^option 'kec\.tasks' cannot be '{text}': a path is empty .*\.$"):
            configure(Kec, "paper", {"tasks": text})
    with pytest.raises(UserError, match=rf"^--target-keypoints '{blank}': a path is empty .*\.$"):
        read_keypoints({"--target-keypoints": blank}, "right-first")
    with pytest.raises(UserError, match=rf"^--gender-classifier '{blank}': a path is empty .*\.$"):
        read_file("--gender-classifier", blank)
    assert list(KeypointFiles.at(Path()).records) == ["below/a"]


def test_which_eye_comes_first_is_said_of_annotation_lists_alone(tmp_path: Path) -> None:
    write_json(tmp_path / "json", "a", PERSON)
    listed = write_list(tmp_path / "list.csv", {"a": body()})
    options = {"--generated-keypoints": str(tmp_path / "json"), "--target-keypoints": None}
    with pytest.raises(UserError, match="annotation lists: give one with --generated-keypoints or --target-keypoints"):
        read_keypoints(options, "left-first")
    read = read_keypoints({**options, "--target-keypoints": str(listed)}, "left-first")
    assert [files and files.eyes for files in read.values()] == ["right-first", "left-first"]
    with pytest.raises(UserError, match=r"--eyes cannot be 'left-frist'\. Did you mean 'left-first'\?"):
        read_keypoints(options, "left-frist")


def test_one_path_for_two_options_is_read_once(tmp_path: Path) -> None:
    path = str(write_list(tmp_path / "list.csv", {"a": body()}))
    one, other = read_keypoints({"--source-keypoints": path, "--target-keypoints": path}, "right-first").values()
    assert one is other is not None


# Scores


SIZE = (24, 32)


def rows(names: Sequence[str]) -> Pairs:
    pairs = tuple(
        Pair(
            pair=name,
            generated=ImageRef(Path(f"mine/{name}.png"), name=f"{name}.png"),
            target=ImageRef(Path(f"real/{name}.png"), name=f"{name}.png"),
            source=None,
            item=name,
            target_name=name,
        )
        for name in names
    )
    return Pairs(rows=pairs, report=PairReport(matched=len(names)), naming="csv")


def frame(size: tuple[int, int] = SIZE) -> Record:
    return {"size": np.array(size, np.int32)}


@dataclass
class Judged:
    """What comes of a protocol on images that are not there, and what is said of the keypoints."""

    scores: dict[str, Any]
    doubts: Doubts

    @property
    def warnings(self) -> list[str]:
        return [*self.doubts.warnings, *self.doubts.grave]


def judged(
    protocol: Kec | Pckh,
    pairs: Pairs | Sequence[str],
    generated: Sequence[Result] | None = None,
    target: Sequence[Result] | None = None,
    *,
    generated_keypoints: KeypointFiles | None = None,
    target_keypoints: KeypointFiles | None = None,
) -> Judged:
    """Score images whose frames, or detected people, are written down."""
    pairs = pairs if isinstance(pairs, Pairs) else rows(pairs)
    given = given_for(pairs, "paper", generated_keypoints=generated_keypoints, target_keypoints=target_keypoints)
    images = ImageSets(pairs, given=given)
    results: dict[tuple[Extractor, ImageRef | None], Result] = {}
    for need, side in zip(images.needs(protocol), (generated, target), strict=True):
        for row, result in zip(pairs, side or [frame()] * len(pairs), strict=True):
            results[need.extractor, images.of_pair(row, need.roles[0])] = result

    class WrittenDown(Extraction):
        """Has nothing else to read."""

        def __init__(self) -> None: ...

        def image(self, extractor: ImageExtractor, ref: ImageRef) -> Result:
            return results[extractor, ref]

        def read(self, extractor: Any, asked: Iterable[tuple[ImageRef | Missing, ...]]) -> Iterator[Result]:
            return (ref if isinstance(ref, Missing) else results[extractor, ref] for (ref,) in asked)

    extraction = WrittenDown()
    scores = protocol.score(pairs, ExtractedRecords(images, extraction))
    prepared = Prepared((protocol,), {}, Plan({}, {}), {})
    return Judged({score.metric: score for score in scores}, doubts(images, prepared, extraction))


def scored(*arguments: Any, **given: Any) -> dict[str, Any]:
    return judged(*arguments, **given).scores


def warnings_of(*arguments: Any, **given: Any) -> list[str]:
    return judged(*arguments, **given).warnings


def both(files: KeypointFiles) -> dict[str, Any]:
    return {"generated_keypoints": files, "target_keypoints": files}


def whole_person(folder: Path, name: str, seed: int) -> None:
    rng = np.random.default_rng(seed)

    def points(count: int) -> list[float]:
        return triples([(float(x), float(y)) for x, y in rng.integers(0, 20, (count, 2))])

    write_json(
        folder,
        name,
        {
            "pose_keypoints_2d": points(25),
            "face_keypoints_2d": points(70),
            "hand_left_keypoints_2d": points(21),
            "hand_right_keypoints_2d": points(21),
        },
    )


def test_a_perfect_prediction_read_from_files_is_exactly_one(tmp_path: Path) -> None:
    for i, name in enumerate("abc"):
        whole_person(tmp_path, name, i)
    files = KeypointFiles.at(tmp_path)
    outcome = judged(Kec(), "abc", **both(files))
    scores = outcome.scores
    assert outcome.warnings == []
    assert tuple(scores) == Kec.metrics
    for metric, score in scores.items():
        assert score.value == (0 if "median" in metric else 1), metric
        assert (score.n, score.missing) == (3, {})
    assert scores["kec_auc_body"].details["interval_over"] == "items"
    for rule in ("radius", "box"):
        pckh = Pckh(rule=rule)
        (score,) = scored(pckh, "abc", **both(files)).values()
        assert score.value == 1


def test_the_detector_runs_only_on_the_side_without_files(tmp_path: Path) -> None:
    files = KeypointFiles.at(write_list(tmp_path / "list.csv", {"a": body()}))
    pairs = rows("a")
    asked = [MediapipeKeypoints, MediapipeKeypoints]
    for sides in ((), ("target",), ("generated",), ("generated", "target")):
        given = given_for(pairs, "paper", **{f"{side}_keypoints": files for side in sides})  # type: ignore[arg-type]
        needs = ImageSets(pairs, given=given).needs(Kec())
        assert [n.roles for n in needs] == [("generated",), ("target",)]
        assert [type(n.extractor) for n in needs] == [
            FrameSize if n.roles[0] in sides else detector for n, detector in zip(needs, asked, strict=True)
        ]


def test_tasks_that_would_find_nothing_keep_a_protocol_from_running(tmp_path: Path) -> None:
    files = KeypointFiles.at(write_list(tmp_path / "list.csv", {"a": body()}))
    chosen, pairs = Kec(tasks=(GivenFile("0" * 64, Path("pose.task")),)), rows("a")
    given = given_for(pairs, "paper", generated_keypoints=files, target_keypoints=files)
    assert "leave kec.tasks out" in str(chosen.lacks(given))
    assert Kec().lacks(given) is None
    assert chosen.lacks(given_for(pairs, "paper", target_keypoints=files)) is None


def test_the_frame_size_is_the_width_and_height_of_an_image() -> None:
    (result,) = FrameSize().load(Context())([np.zeros((32, 24, 3), np.uint8)])
    assert not isinstance(result, Missing)
    assert result["size"].dtype == np.int32
    np.testing.assert_array_equal(result["size"], (24, 32))


def test_targets_read_and_generated_images_detected(tmp_path: Path) -> None:
    joints = body()
    files = KeypointFiles.at(write_list(tmp_path / "list.csv", dict.fromkeys("abc", joints)))
    others = {"face": np.zeros((68, 3), np.float32), "hands": np.zeros((2, 21, 3), np.float32)}
    detected: Record = {"body": expected(joints, 0.5), **others, **frame()}
    moved = {**detected, "body": detected["body"] + np.array([0, 1, 0], np.float32)}
    scores = scored(Kec(), "abc", [detected, moved, NO_PERSON], target_keypoints=files)
    # The limit is 5 % of 32 px.
    assert scores["kec_auc_body"].value == pytest.approx(float((1 + (1 - Fraction(20, 32)) + 0) / 3), abs=1e-15)
    assert scores["kec_found_body"].value == pytest.approx(2 / 3)
    for part in ("face", "hands"):
        for metric in (m for m in Kec.metrics if part in m):
            score = scores[metric]
            assert score.value is None
            assert (score.n, score.missing, score.faults) == (0, {f"target keypoints have no {part}": 3}, 0)


def test_generated_keypoints_without_a_part_are_named(tmp_path: Path) -> None:
    files = KeypointFiles.at(write_list(tmp_path / "list.csv", {"a": [None] * 18}))
    whole_person(tmp_path / "json", "a", 0)
    target = KeypointFiles.at(tmp_path / "json")
    scores = scored(Kec(), "a", generated_keypoints=files, target_keypoints=target)
    assert scores["kec_auc_body"].value == 0
    assert scores["kec_auc_face"].missing == {"generated keypoints have no face": 1}


def test_what_files_do_not_tell_is_counted_by_reason(tmp_path: Path) -> None:
    told: dict[str, Body] = {"a": body(), "b": [None] * 18, "c": body(2), "e": body(4)}
    target = KeypointFiles.at(write_list(tmp_path / "target.csv", told))
    generated = KeypointFiles.at(write_list(tmp_path / "generated.csv", {**told, "b": body(1), "e": [None] * 18}))
    unreadable = Missing("unreadable: torn")
    given = {"generated_keypoints": generated, "target_keypoints": target}
    frames: list[Result] = [frame(), frame(), unreadable, frame(), frame()]
    scores = scored(Kec(), "abcde", target=frames, **given)
    score = scores["kec_auc_body"]
    assert score.missing == {
        "target: no person found": 1,
        "unreadable: torn": 1,
        "generated: not in the keypoint files": 1,
    }
    assert (score.n, score.faults, score.value) == (2, 2, 1 / 2)
    other_size = scored(Kec(), "a", generated=[frame((24, 31))], **given)["kec_auc_body"]
    assert other_size.missing == {"sizes differ: 24×31 against 24×32 (width×height)": 1}
    only = scored(Kec(), "ad", **given)
    assert only["kec_auc_body"].n == 1


def test_files_that_name_no_image_are_refused_in_a_sentence(tmp_path: Path) -> None:
    files = KeypointFiles.at(write_list(tmp_path / "list.csv", {f"{WOMAN}.jpg": body()}))
    with pytest.raises(UserError) as error:
        given_for(rows(["other", "another"]), "paper", target_keypoints=files)
    for word in ("list.csv", "none of the target images", WOMAN, "other.png"):
        assert word in str(error.value)


def test_one_entry_does_not_stand_for_two_images(tmp_path: Path) -> None:
    files = KeypointFiles.at(write_list(tmp_path / "list.csv", {"x": body(), "y": body(1)}))
    scores = scored(Kec(), ["a/x", "b/x", "y"], **both(files))
    assert scores["kec_auc_body"].missing == {"generated: several images fit one name in the keypoint files": 2}
    assert (scores["kec_auc_body"].n, scores["kec_auc_body"].faults) == (1, 2)


def test_a_target_of_many_pairs_is_one_image(tmp_path: Path) -> None:
    files = KeypointFiles.at(write_list(tmp_path / "list.csv", {"x": body(), "y": body()}))
    pairs = rows(["x", "y"])
    target = pairs.rows[0]
    pairs = replace(pairs, rows=(target, replace(pairs.rows[1], target=target.target, target_name="x")))
    (score,) = scored(Pckh(), pairs, **both(files)).values()
    assert (score.value, score.n) == (1, 2)


def test_several_persons_are_said_in_a_warning(tmp_path: Path) -> None:
    write_json(tmp_path, "a", PERSON, {"pose_keypoints_2d": triples(body(1), 0.25)})
    write_json(tmp_path, "b", PERSON)
    write_json(tmp_path, "not asked for", PERSON, PERSON)
    files = KeypointFiles.at(tmp_path)
    outcome = judged(Kec(), "ab", **both(files))
    assert len(outcome.warnings) == 2
    assert outcome.warnings[0].startswith("1 of 2 generated images have several persons")
    assert "1 of 2 target images" in outcome.warnings[1]
    assert outcome.scores["kec_auc_body"].value == 1


def test_keypoints_outside_of_the_image_are_said_in_a_warning(tmp_path: Path) -> None:
    far: Body = [(500 + i, 500) for i in range(18)]
    half: Body = [*far[:9], *body()[9:]]
    edges: Body = [(0, 31), (23, 0)] * 9
    told = {"far": far, "most": [*half[:9], (24, 0), *half[10:]], "half": half, "edges": edges, "none": [None] * 18}
    files = KeypointFiles.at(write_list(tmp_path / "list.csv", told))
    outcome = judged(Kec(), list(told), **both(files))
    assert outcome.scores["kec_auc_body"].value == 1
    assert outcome.warnings == [
        "2 of 5 generated images have most of their keypoints outside of the image: do the files belong to these"
        " images, at this size?",
        "2 of 5 target images have most of their keypoints outside of the image: do the files belong to these"
        " images, at this size?",
    ]
    assert warnings_of(Kec(), ["half", "edges"], **both(files)) == []
    assert warnings_of(Kec(), ["far"], [frame((600, 600))], [frame((600, 600))], **both(files)) == []


def test_coordinates_of_an_image_whose_frame_is_changed_are_said_in_a_warning(tmp_path: Path) -> None:
    files = KeypointFiles.at(write_list(tmp_path / "list.csv", {"a": body()}))
    for steps in ("resize(width=24, height=32, filter=pil-box)", "round > pad(width=24, height=32)"):
        (warning,) = warnings_of(Pckh(generated_geometry=Geometry.parse(steps)), "a", **both(files))
        assert warning.startswith("generated_geometry changes the frame, and coordinates in generated keypoints")
    for steps in ("jpeg > clip > truncate", "expect(width=24, height=32)"):
        assert warnings_of(Pckh(target_geometry=Geometry.parse(steps)), "a", **both(files)) == []


@pytest.mark.parametrize("side", ["generated", "target"])
def test_sides_of_different_sources_are_said_in_a_warning(tmp_path: Path, side: str) -> None:
    files = KeypointFiles.at(write_list(tmp_path / "list.csv", {"a": body()}))
    detected = [{"body": expected(body(), 0.5), **frame()}]
    generated, target = (None, detected) if side == "generated" else (detected, None)
    (warning,) = warnings_of(Pckh(), "a", generated, target, **{f"{side}_keypoints": files})
    assert "come from different sources" in warning
    assert f"({side} ones are read" in warning


@pytest.mark.parametrize("eyes", ["right-first", "left-first"])
def test_both_orders_of_eyes_and_ears(tmp_path: Path, eyes: Eyes) -> None:
    joints = body()
    listed = joints if eyes == "right-first" else [*joints[:14], joints[15], joints[14], joints[17], joints[16]]
    path = write_list(tmp_path / "list.csv", {"a": listed})
    annotated = KeypointFiles.at(path, eyes)
    write_json(tmp_path / "json", "a", {"pose_keypoints_2d": triples(joints)})
    openpose = KeypointFiles.at(tmp_path / "json")
    right = scored(Kec(), "a", generated_keypoints=openpose, target_keypoints=annotated)["kec_auc_body"]
    assert right.value == 1
    assert set(right.details["per_joint"]) == set(BODY_JOINTS)
    if eyes == "left-first":
        other = KeypointFiles.at(path)
        wrong = scored(Kec(), "a", generated_keypoints=openpose, target_keypoints=other)["kec_auc_body"]
        less = {joint for joint, value in wrong.details["per_joint"].items() if value < 1}
        assert less == {"right eye", "left eye", "right ear", "left ear"}


NOBODY: Body = [None] * 18
AT_ZERO: Body = [(0, 0)] * 18
ZERO_FOR_MISSING: Body = [(0, 0), *body()[1:17], (0, 0)]
ELSEWHERE: Body = [(5, 5)] * 18
OUTSIDE: Body = [(x + 300, y) for x, y in filter_none(body())]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (NOBODY, "no joint in the keypoint files"),
        (AT_ZERO, "several joints at (0, 0)"),
        (ZERO_FOR_MISSING, "several joints at (0, 0)"),
        (ELSEWHERE, "all in one place"),
        (OUTSIDE, "outside of the image"),
    ],
)
@pytest.mark.parametrize("side", ["generated", "target"])
def test_keypoints_that_are_wrong_in_all_images_or_in_half_of_them_are_said(
    tmp_path: Path, wrong: Body, words: str, side: Side
) -> None:
    def told(count: int) -> Doubts:
        right = {name: body(i) for i, name in enumerate("abcdef")}
        listed = {name: wrong if i < count else joints for i, (name, joints) in enumerate(right.items())}
        files = KeypointFiles.at(write_list(tmp_path / "list.csv", right))
        given = {**both(files), f"{side}_keypoints": KeypointFiles.at(write_list(tmp_path / "wrong.csv", listed))}
        return judged(Pckh(), "abcdef", **given).doubts

    everywhere, half, few = told(6), told(3), told(2)
    assert list(everywhere.broken) == [side]
    assert everywhere.broken[side].startswith(f"6 of 6 {side} images have ")
    assert words in everywhere.broken[side]
    assert everywhere.warnings == everywhere.grave == half.warnings == []
    assert half.broken == few.broken == {}
    (sentence,) = half.grave
    assert sentence.startswith(f"3 of 6 {side} images have ")
    assert words in sentence
    assert few.grave == []
    # In poor images a detector finds nobody.
    assert len(few.warnings) == (0 if wrong is NOBODY else 1)


def test_causes_that_together_concern_all_images_are_named_together(tmp_path: Path) -> None:
    files = KeypointFiles.at(write_list(tmp_path / "list.csv", {"a": NOBODY, "b": AT_ZERO}))
    broken = judged(Pckh(), "ab", **both(files)).doubts.broken
    assert list(broken) == ["generated", "target"]
    assert "1 of 2 target images have no joint" in broken["target"]
    assert "1 of 2 target images have several joints at (0, 0)" in broken["target"]


CASES = Path(__file__).resolve().parents[2] / "../shared/data/cases"


@pytest.mark.skipif(not CASES.is_dir(), reason="the cases of shared/ are not here")
@pytest.mark.parametrize("form", ["target.csv", "op_ok", "op_comfy_list", "op_dwface68", "op_old"])
def test_the_numbers_of_each_form(tmp_path: Path, form: str) -> None:
    base, files = CASES / "base", CASES / "keypoints"
    pairs = Pairs.from_csv(base / "pairs.csv", base / "gen", base / "target")
    with Cache(tmp_path / "cache") as cache:
        result = evaluate(
            pairs,
            [Kec(), Pckh()],
            engine=open_engine("local", cache, device="cpu"),
            generated_keypoints=KeypointFiles.at(files / "gen.csv"),
            target_keypoints=KeypointFiles.at(files / form),
        )
    values = [result.scores[metric].value for metric in ("pckh", "kec_auc_body", "kec_median_body")]
    assert values == pytest.approx([0.938462, 0.6169, 5.3852], abs=5e-5)


# From folders of images to a run


def run(tmp_path: Path, *protocols: Protocol, **keypoints: Any) -> Run:
    for name in "abc":
        for side in ("generated", "target"):
            write_image(tmp_path / side / f"{name}.png", 1 + ord(name) + len(side), SIZE)
    pairs = Pairs.from_folders(tmp_path / "generated", tmp_path / "target")
    with Cache(tmp_path / "cache") as cache:
        engine = open_engine("local", cache, device="cpu")
        return evaluate(pairs, protocols, engine=engine, output=tmp_path / "run", overwrite=True, **keypoints)


def test_a_run_whose_keypoints_are_all_read_needs_no_detector(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: object) -> None:
        raise AssertionError("a detector was loaded")

    monkeypatch.setattr(MediapipeKeypoints, "load", forbidden)
    truth = {name: body(i) for i, name in enumerate("abc")}
    drawn = {**truth, "a": [None, *body(0)[1:]]}
    target = KeypointFiles.at(write_list(tmp_path / "target.csv", truth))
    generated = KeypointFiles.at(write_list(tmp_path / "generated.csv", drawn))
    result = run(tmp_path, Kec(), Pckh(), generated_keypoints=generated, target_keypoints=target)
    assert [record.status for record in result.record.protocols] == ["done", "done"]
    assert result.scores["kec_auc_body"].value == result.scores["pckh"].value == pytest.approx(53 / 54)
    for metric in ("kec_auc_body", "pckh"):
        assert result.scores[metric].details["generated_keypoints"] == str(generated)
    assert result.scores["kec_auc_face"].value is None
    recipe = result.record.protocols[0].recipe
    assert recipe.extractors == {"frame-size": 1}
    assert recipe.keypoints == {"generated": "annotations", "target": str(target)}
    assert result.record.protocols[0].dialect is None
    assert str(tmp_path) not in recipe.model_dump_json()
    assert {warning[:9] for warning in result.record.warnings} == {"few pairs"}
    assert "NaN" not in (tmp_path / "run/run.json").read_text(encoding="utf-8")


def test_keypoints_that_are_wrong_everywhere_give_no_number_and_in_half_of_the_images_one_in_doubt(
    tmp_path: Path,
) -> None:
    right = {name: body(i) for i, name in enumerate("abc")}
    files = KeypointFiles.at(write_list(tmp_path / "right.csv", right))
    nobody = KeypointFiles.at(write_list(tmp_path / "nobody.csv", dict.fromkeys("abc", NOBODY)))
    half = KeypointFiles.at(write_list(tmp_path / "half.csv", {**right, "a": NOBODY, "b": NOBODY}))
    for sides in ((nobody, files), (files, nobody)):
        result = run(tmp_path, Pckh(), L1(), generated_keypoints=sides[0], target_keypoints=sides[1])
        pckh, pixels = result.record.protocols
        assert (pckh.status, pckh.scores, pixels.status, result.exit_code) == ("unavailable", [], "done", 3)
        assert "3 of 3" in str(pckh.reason)
    result = run(tmp_path, Pckh(), generated_keypoints=half, target_keypoints=files)
    assert result.scores["pckh"].value == pytest.approx(1 / 3)
    assert result.exit_code == 3
    assert [doubt[:32] for doubt in Run.load(tmp_path / "run").record.doubts] == ["2 of 3 generated images have no "]
    assert run(tmp_path, Pckh(), generated_keypoints=files, target_keypoints=files).exit_code == 0


def test_the_recipe_tells_target_keypoints_by_content_and_generated_ones_by_form(tmp_path: Path) -> None:
    truth = {name: body(i) for i, name in enumerate("abc")}
    first = write_list(tmp_path / "first.csv", truth)
    copy = write_list(tmp_path / "elsewhere/copy.csv", truth)
    changed = write_list(tmp_path / "changed.csv", {**truth, "c": body(9)})

    def scores_of(generated: Path, target: Path) -> Run:
        files = {"generated_keypoints": KeypointFiles.at(generated), "target_keypoints": KeypointFiles.at(target)}
        return run(tmp_path, Pckh(), **files)

    base = scores_of(first, first)
    # Two methods are compared by the same ground truth, each with its own keypoints.
    assert len(blocks_of([base, scores_of(copy, copy), scores_of(changed, first)])) == 1
    blocks = blocks_of([base, scores_of(first, changed)])
    assert len(blocks) == 2
    assert "keypoints of target images are annotations sha256:" in blocks[1].apart
    short = KeypointFiles.at(first).sha256[:12]
    assert options(base)[-1] == f"keypoints of target images: annotations sha256:{short}…"


def test_files_that_name_other_images_are_refused_before_a_folder_is_made(tmp_path: Path) -> None:
    # They are joined to the images once, before anything runs: it is no longer each protocol that finds out.
    files = KeypointFiles.at(write_list(tmp_path / "list.csv", {"elsewhere": body()}))
    with pytest.raises(UserError, match="'elsewhere'"):
        run(tmp_path, Pckh(), generated_keypoints=files, target_keypoints=files)
    assert not (tmp_path / "run").exists()


def test_what_is_said_of_keypoints_is_said_once_for_all_protocols(tmp_path: Path) -> None:
    write_json(tmp_path / "json", "a", PERSON, {"pose_keypoints_2d": triples(body(1), 0.25)})
    files = KeypointFiles.at(tmp_path / "json")
    result = run(tmp_path, Kec(), Pckh(), generated_keypoints=files, target_keypoints=files)
    assert [warning[:40] for warning in result.record.warnings] == [
        "1 of 1 generated images have several per",
        "1 of 1 target images have several person",
        "one pair: no 95 % interval can be had",
    ]


def test_masks_and_keypoint_protocols_take_the_same_keypoints(tmp_path: Path) -> None:
    files = KeypointFiles.at(write_list(tmp_path / "list.csv", {name: body(i) for i, name in enumerate("abc")}))
    result = run(tmp_path, Ssim(mask="black"), Pckh(), **both(files))
    masked, pckh = (record.recipe.keypoints for record in result.record.protocols)
    assert masked == {"target": str(files)}
    assert pckh == {"generated": "annotations", "target": str(files)}
    assert result.scores["mask_ssim"].n == 3
