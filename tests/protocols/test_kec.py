"""Keypoints by MediaPipe, and the protocols on them: KEC and PCKh."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import skimage
from PIL import Image
from toys import StubRecords, assert_same_bits, record_of

from fhpt_eval import Pairs, Score
from fhpt_eval.engine.cache import Cache
from fhpt_eval.engine.contract import Plan
from fhpt_eval.engine.engine import open_engine
from fhpt_eval.evaluation.run_arrays import check_arrays
from fhpt_eval.extract.extractor import Context, Pixels
from fhpt_eval.extract.mediapipe_keypoints import NO_PERSON, MediapipeKeypoints, _body, _only_found, _own_hand
from fhpt_eval.images.decoding import ImageRef
from fhpt_eval.maths.keypoints import BODY_JOINTS, PARTS, Part, errors, found, interocular_distance, share_within
from fhpt_eval.pairing.pairs import Pair, PairReport
from fhpt_eval.protocols.kec import ABOUT, Kec
from fhpt_eval.protocols.pckh import NO_HEAD, Pckh
from fhpt_eval.records import Missing, Record, Result

Array = npt.NDArray[Any]
Extract = Callable[[Sequence[Pixels]], list[Result]]
data: Any = skimage.data

REAL = Path(__file__).resolve().parents[2] / "../shared/data/real/methods_figure/target"


# The protocols, on keypoints written by hand


def person(seed: int = 0, size: tuple[int, int] = (80, 100)) -> dict[str, Array]:
    """A record with every point at a different place and the scales 6 (head), 10 (eyes) and 20 (each hand), in px."""
    rng = np.random.default_rng(seed)
    record = {part: np.ones((n, 3), np.float32) for part, n in (("body", 18), ("face", 68), ("hands", 42))}
    for points in record.values():
        points[:, :2] = rng.permutation(24 * 24)[: len(points), None] // [24, 1] % 24 + 20
    record["body"][[0, 1, 14, 15, 16, 17], :2] = [[30, 30], [36, 38], [33, 31], [34, 32], [31, 33], [32, 34]]
    record["face"][[36, 45], :2] = [[30, 30], [36, 38]]
    record["hands"] = record["hands"].reshape(2, 21, 3)
    record["hands"][:, :2, :2] = [[18, 30], [38, 31]]
    record["hands"][:, 2:, 0] = np.clip(record["hands"][:, 2:, 0], 20, 36)
    return {**record, "size": np.array(size, np.int32)}


def moved(record: Record, part: Part, index: int, dx: float, dy: float) -> dict[str, Array]:
    changed = {**record, part: record[part].copy()}
    changed[part].reshape(-1, 3)[index, :2] += (dx, dy)
    return changed


def without(record: Record, part: Part, *indices: int) -> dict[str, Array]:
    changed = {**record, part: record[part].copy()}
    changed[part].reshape(-1, 3)[list(indices) or slice(None)] = (np.nan, np.nan, 0)
    return changed


def scored(protocol: Kec | Pckh, generated: Sequence[Result], target: Sequence[Result]) -> dict[str, Score]:
    rows = tuple(
        Pair(pair=f"p{i}", generated=None, target=None, source=None, item=f"g{i // 2}") for i in range(len(target))
    )
    pairs = Pairs(rows=rows, report=PairReport(matched=len(rows)), naming="csv")
    records = StubRecords({("generated",): generated, ("target",): target})
    return {score.metric: score for score in protocol.score(pairs, records)}


def test_a_perfect_prediction_is_exactly_one_and_zero_pixels() -> None:
    people = [person(i) for i in range(4)]
    scores = scored(Kec(), people, people)
    assert tuple(scores) == Kec.metrics
    for metric, score in scores.items():
        assert score.value == (0 if "median" in metric else 1), metric
        assert score.n == 4
        assert not score.missing
    for part in PARTS:
        score = scores[f"kec_auc_{part}"]
        assert score.interval is not None
        # All points of two items are right, which does not tell that all are of every item.
        assert 0 < score.interval.low < score.interval.high == 1
        assert score.details["few_items"]
        assert set(score.details["per_joint"].values()) == {1}
        assert (share_within(score.arrays["distance"], [1e-9, 1, 50]) == 1).all()
    for protocol in (Pckh(), Pckh(rule="box")):
        (score,) = scored(protocol, people, people).values()
        assert score.value == 1


def test_error_curves_worked_by_hand() -> None:
    target = person()
    # 100 px high: α_max of the body is 5 px. The head box is 6 by 8 px: head size 0.6·10 = 6 px, normalised α_max 3 px.
    generated = moved(moved(target, "body", 4, 0, 1), "body", 7, 3, 4)
    generated = without(generated, "body", 10, 13)
    scores = scored(Kec(), [generated], [target])
    strict = Fraction(14) + (1 - Fraction(1, 5)) + 0
    assert scores["kec_auc_body"].value == pytest.approx(float(strict / 18), abs=1e-15)
    assert scores["kec_auc_body_detected"].value == pytest.approx(float(strict / 16), abs=1e-15)
    normalised = Fraction(14) + (1 - Fraction(1, 6) / Fraction(1, 2)) + 0
    assert scores["kec_auc_body_normalised"].value == pytest.approx(float(normalised / 18), abs=1e-15)
    assert scores["kec_found_body"].value == float(Fraction(16, 18))
    assert scores["kec_median_body"].value == 0
    assert scores["kec_auc_body"].details["per_joint"]["right wrist"] == pytest.approx(4 / 5)
    assert scores["kec_auc_face"].value == scores["kec_auc_hands"].value == 1
    arrays = scores["kec_auc_body"].arrays
    assert {name: array.dtype.name for name, array in arrays.items()} == {
        "pair": "int32",
        "joint": "int32",
        "distance": "float64",
        "scale": "float64",
        "height": "float64",
        "total": "float64",
        "count": "float64",
    }
    expected = np.zeros(18)
    expected[[4, 7, 10, 13]] = (1, 5, np.inf, np.inf)
    np.testing.assert_array_equal(arrays["distance"], expected)
    np.testing.assert_array_equal(arrays["joint"], range(18))
    np.testing.assert_allclose(arrays["scale"], 6)
    assert set(arrays["height"]) == {100}


def test_face_and_hands_have_their_own_limits_and_scales() -> None:
    target = person()
    generated = moved(moved(target, "face", 0, 1, 0), "hands", 30, 0, 5)
    scores = scored(Kec(), [generated], [target])
    assert scores["kec_auc_face"].value == pytest.approx(float((67 + Fraction(1, 2)) / 68), abs=1e-15)
    assert scores["kec_auc_face_normalised"].value == pytest.approx(float((67 + Fraction(1, 2)) / 68), abs=1e-15)
    assert scores["kec_auc_hands"].value == pytest.approx(float((41 + Fraction(1, 2)) / 42), abs=1e-15)
    size = float(np.ptp(target["hands"][1, :, :2], axis=0).max())
    assert scores["kec_auc_hands_normalised"].value == pytest.approx((42 - 5 / size) / 42, abs=1e-15)


def test_only_the_points_of_the_target_are_counted() -> None:
    target = without(person(), "body", 3, 4)
    scores = scored(Kec(), [moved(person(), "body", 3, 40, 0)], [target])
    assert scores["kec_auc_body"].value == 1
    assert scores["kec_auc_body"].details["keypoints"] == 16
    assert "right wrist" not in scores["kec_auc_body"].details["per_joint"]


def test_destroying_what_is_wrong_does_not_raise_the_strict_curve() -> None:
    target = person()
    wrong = moved(moved(target, "hands", 0, 4, 3), "hands", 5, 3, 4)
    destroyed = without(wrong, "hands", 0, 5)
    before, after = (scored(Kec(), [g], [target]) for g in (wrong, destroyed))
    assert after["kec_auc_hands"].value < before["kec_auc_hands"].value
    assert after["kec_auc_hands_detected"].value > before["kec_auc_hands_detected"].value
    assert after["kec_found_hands"].value == float(Fraction(40, 42))


def test_a_generated_image_without_a_person_misses_every_point() -> None:
    people = [person(i) for i in range(2)]
    scores = scored(Kec(), [people[0], NO_PERSON], people)
    for part, about in ABOUT.items():
        assert scores[f"kec_auc_{part}"].value == 1 / 2
        assert scores[f"kec_auc_{part}"].n == 2
        detected = scores[f"kec_auc_{part}_detected"]
        assert detected.value == 1
        assert detected.n == 1
        assert detected.missing == {f"no {about.one} found in the generated image": 1}
        assert detected.faults == 0
        assert scores[f"kec_median_{part}"].value == 0
        assert scores[f"kec_median_{part}"].details["strict_median"] is None
    (score,) = scored(Pckh(), [people[0], NO_PERSON], people).values()
    assert (score.value, score.n) == (1 / 2, 2)


def test_what_a_target_does_not_show_is_counted_by_reason() -> None:
    no_face = without(person(1), "face")
    no_eye = without(person(2), "face", 36)
    no_head = without(person(3), "body", 0, 1, 14, 15, 16)
    torn = Missing("unreadable: torn")
    other_size = person(5, size=(80, 101))
    generated: list[Result] = [person(0), person(1), person(2), person(3), torn, person(5), person(6)]
    target: list[Result] = [NO_PERSON, no_face, no_eye, no_head, person(4), other_size, person(6)]
    sizes = "sizes differ: 80×100 against 80×101 (width×height)"
    common = {"target: no person found": 1, "unreadable: torn": 1, sizes: 1}
    scores = scored(Kec(), generated, target)
    assert scores["kec_auc_face"].missing == {**common, "target: no face found": 1}
    assert scores["kec_auc_face"].faults == 2
    assert scores["kec_auc_face_normalised"].missing == {
        **common,
        "target: no face found": 1,
        "target: no inter-ocular distance": 1,
    }
    assert scores["kec_auc_body_normalised"].missing == {**common, "target: no head size": 1}
    (pckh,) = scored(Pckh(), generated, target).values()
    assert pckh.missing == {**common, NO_HEAD.reason: 1}
    for score in (*scores.values(), pckh):
        assert score.n + sum(score.missing.values()) == 7


def test_nobody_in_any_target_gives_no_score_rather_than_a_number() -> None:
    for protocol in (Kec(), Pckh()):
        for score in scored(protocol, [person()] * 3, [NO_PERSON] * 3).values():
            assert score.value is None
            assert score.interval is None
            assert (score.n, score.missing, score.faults) == (0, {"target: no person found": 3}, 0)
            # As a run keeps and reads them.
            check_arrays({score.metric: score.arrays}, 3)


def test_the_order_of_pairs_and_the_size_of_images_do_not_matter() -> None:
    rng = np.random.default_rng(0)
    targets = [person(i) for i in range(6)]
    generated = [moved(t, "body", 2 * i, *rng.uniform(-4, 4, 2)) for i, t in enumerate(targets)]
    scores = scored(Kec(), generated, targets)

    def enlarged(record: Record) -> dict[str, Array]:
        return {**{p: record[p] * np.array([2, 2, 1], np.float32) for p in PARTS}, "size": 2 * record["size"]}

    larger = scored(Kec(), [*map(enlarged, generated)], [*map(enlarged, targets)])
    backwards = scored(Kec(), generated[::-1], targets[::-1])
    for metric, score in scores.items():
        factor = 2 if score.unit == "px" else 1
        assert larger[metric].value == pytest.approx(factor * score.value, abs=1e-12)
        assert backwards[metric].value == pytest.approx(score.value, abs=1e-12)


def test_pckh_worked_by_hand() -> None:
    # Head box 6 by 8 px: the box rule allows less than 3 px in x and 4 px in y, the radius less than 0.5·6 = 3 px.
    target = person()
    steps = [(2.9, 3.9), (3, 0), (0, 4), (2.9, 0), (0, 3.5), (-2, -2.5)]
    generated = target
    for joint, (dx, dy) in enumerate(steps, start=2):
        generated = moved(generated, "body", joint, dx, dy)
    generated = without(generated, "body", 13)
    (box,) = scored(Pckh(rule="box"), [generated], [target]).values()
    assert box.metric == "pckh_box"
    assert box.value == float(Fraction(18 - 1 - 2, 18))
    (radius,) = scored(Pckh(), [generated], [target]).values()
    assert radius.metric == "pckh"
    assert radius.value == float(Fraction(18 - 1 - 5, 18))
    assert radius.details["per_joint"]["left ankle"] == 0
    assert radius.details["keypoints"] == 18


# The detector's rules, on landmarks written by hand


def test_a_joint_is_found_inside_of_the_image_and_from_half_visibility_on() -> None:
    points = np.array([[0, 0, 0.5], [9.9, 4.9, 1], [10, 2, 1], [2, 5, 1], [-0.1, 2, 1], [2, -0.1, 1], [2, 2, 0.49]])
    kept = _only_found(points, 10, 5)
    assert kept.dtype == np.float32
    np.testing.assert_array_equal(found(kept), [True, True, False, False, False, False, False])
    np.testing.assert_array_equal(kept[:2], points[:2].astype(np.float32))
    np.testing.assert_array_equal(kept[2:], np.tile(np.array([np.nan, np.nan, 0]), (5, 1)))


def test_the_neck_is_the_middle_of_two_found_shoulders() -> None:
    pose = np.ones((33, 3))
    pose[11], pose[12] = (40, 20, 0.75), (20, 30, 0.875)
    np.testing.assert_array_equal(_body(pose, 50, 50)[1], [30, 25, 0.75])
    assert _body(pose, 39, 50)[1, 2] == 0
    pose[12, 2] = 0.4
    assert _body(pose, 50, 50)[1, 2] == 0


def test_a_hand_goes_to_the_wrist_that_it_is_nearer_to() -> None:
    left, right = np.array([10.0, 0]), np.array([40.0, 0])
    hands = [np.full((21, 3), [x, 0.0, 1.0]) for x in (13.0, 24.0, 38.0)]
    np.testing.assert_array_equal(_own_hand(hands, left, right), hands[0])
    np.testing.assert_array_equal(_own_hand(hands, right, left), hands[2])
    assert not _own_hand(hands[:2], right, left).any()
    assert not _own_hand([], right, left).any()


# The detector, on photographs


@pytest.fixture(scope="module")
def extract() -> Extract:
    return MediapipeKeypoints().load(Context())


@pytest.fixture(scope="module")
def photographs() -> list[Pixels]:
    astronaut: Pixels = data.astronaut()
    noise = np.random.default_rng(0).integers(0, 256, (256, 176, 3), dtype=np.uint8)
    return [astronaut, noise, np.ascontiguousarray(astronaut[:, ::-1]), data.chelsea(), astronaut[:400, 60:420]]


@pytest.fixture(scope="module")
def results(extract: Extract, photographs: list[Pixels]) -> list[Result]:
    return [extract([image])[0] for image in photographs]


def test_a_record_has_its_layouts_and_nothing_outside_of_the_image(results: list[Result]) -> None:
    assert results[1] == NO_PERSON
    record = record_of(results[0])
    assert {k: (v.shape, v.dtype.name) for k, v in record.items()} == {
        "body": ((18, 3), "float32"),
        "face": ((68, 3), "float32"),
        "hands": ((2, 21, 3), "float32"),
        "size": ((2,), "int32"),
    }
    np.testing.assert_array_equal(record["size"], [512, 512])
    for name in ("body", "face", "hands"):
        points = record[name].reshape(-1, 3)
        there = found(points)
        assert np.isnan(points[~there, :2]).all()
        assert ((points[there, :2] >= 0) & (points[there, :2] < 512)).all()
        assert ((points[there, 2] >= 0.5) & (points[there, 2] <= 1)).all()


def test_the_astronaut_has_her_features_where_they_are(results: list[Result]) -> None:
    record = record_of(results[0])
    body = dict(zip(BODY_JOINTS, record["body"], strict=True))
    # Read off the picture by eye, in px.
    for joint, place in {"nose": (224, 126), "right eye": (205, 105), "left eye": (243, 105)}.items():
        np.testing.assert_allclose(body[joint][:2], place, atol=12)
    assert body["right shoulder"][0] < body["neck"][0] < body["left shoulder"][0]
    face = record["face"]
    assert found(face).all()
    assert 45 < interocular_distance(face) < 85
    jaw, brows, nose, eyes, mouth = face[:17], face[17:27], face[27:36], face[36:48], face[48:]
    heights = [part[:, 1].mean() for part in (brows, eyes, nose, mouth)]
    assert heights == sorted(heights)
    assert jaw[8, 1] == face[:, 1].max()
    for row in (jaw[::4], brows, eyes[[0, 3, 6, 9]], mouth[[0, 3, 6]]):
        assert (np.diff(row[:, 0]) > 0).all()


def test_a_mirrored_person_has_the_other_left(results: list[Result]) -> None:
    straight, mirrored = (record_of(results[i])["body"] for i in (0, 2))
    swap = [
        BODY_JOINTS.index(n.replace("left", "LEFT").replace("right", "left").replace("LEFT", "right"))
        for n in BODY_JOINTS
    ]
    back = mirrored[swap] * np.array([-1, 1, 1], np.float32) + np.array([512, 0, 0], np.float32)
    distance = errors(back, straight)
    assert np.nanmedian(distance) < 10
    assert np.isfinite(distance[[0, 1, 2, 5, 14, 15]]).all()


def test_the_order_of_images_does_not_change_a_bit(
    extract: Extract, photographs: list[Pixels], results: list[Result]
) -> None:
    for image, expected in zip(reversed(photographs), reversed(results), strict=True):
        assert_same_bits(extract([image])[0], expected)
    fresh = MediapipeKeypoints().load(Context())
    assert_same_bits(fresh([photographs[4]])[0], results[4])


def test_float_images_are_rounded(extract: Extract, photographs: list[Pixels], results: list[Result]) -> None:
    assert_same_bits(extract([photographs[4].astype(np.float32) + 0.25])[0], results[4])


@pytest.mark.parametrize("shape", [(1, 1), (2, 300), (300, 2), (9, 7)])
def test_tiny_images_show_nobody(extract: Extract, shape: tuple[int, int]) -> None:
    assert extract([np.full((*shape, 3), 200, np.uint8)]) == [NO_PERSON]


def test_worker_processes_give_the_same_bits_and_write_nothing_to_the_terminal(
    tmp_path: Path, photographs: list[Pixels], results: list[Result], capfd: pytest.CaptureFixture[str]
) -> None:
    refs = []
    for i, image in enumerate(photographs):
        refs.append(ImageRef(tmp_path / f"{i}.png"))
        Image.fromarray(image).save(refs[-1].path)
    with Cache(tmp_path / "cache") as cache:
        extraction = open_engine("local", cache, device="cpu", workers=2).run(
            Plan({MediapipeKeypoints(): tuple(refs)}, {}), {}
        )
        found_there = [extraction.image(MediapipeKeypoints(), ref) for ref in refs]
    assert not extraction.broken
    for one, other in zip(found_there, results, strict=True):
        assert_same_bits(one, other)
    captured = capfd.readouterr()
    assert captured.out == captured.err == ""


@pytest.mark.skipif(not REAL.is_dir(), reason="shared/data/real is not here")
def test_generated_sized_pictures_have_body_face_and_hands(extract: Extract) -> None:
    (result,) = extract([np.asarray(Image.open(REAL / "row1.png").convert("RGB"))])
    record = record_of(result)
    assert found(record["body"]).sum() >= 12
    assert found(record["face"]).all()
    left, right = record["hands"]
    assert found(left).all()
    assert found(right).all()
    # He faces us: his left hand is on the picture's right.
    assert left[:, 0].min() > right[:, 0].max()
