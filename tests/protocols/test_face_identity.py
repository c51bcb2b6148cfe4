"""What counts in the face scores, worked by hand, and what is said when there is nothing to score."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFile
from toys import StubRecords

from fhpt_eval import Pairs, Score
from fhpt_eval.errors import UserError
from fhpt_eval.extract.dlib_face import NO_FACE, DlibFace
from fhpt_eval.extract.extractor import Context
from fhpt_eval.extract.numerics import Numerics
from fhpt_eval.images.geometry import Geometry
from fhpt_eval.libraries import explained, import_face_recognition
from fhpt_eval.measuring.protocol import configure
from fhpt_eval.pairing.pairs import Pair, PairReport
from fhpt_eval.protocols.face_identity import NO_GENERATED_FACE, FaceIdentity, face_distance
from fhpt_eval.records import Missing, Record, Result

UNREADABLE = Missing("unreadable: truncated PNG")
NO_TARGET_FACE = Missing("no face in target", "finding")


def face(x: float, faces: int = 1) -> Record:
    """A face at ``x`` on the first axis: two of them are their difference apart."""
    embedding = np.zeros(128)
    embedding[0] = x
    return {
        "box": np.array([0, 9, 9, 0], np.int32),
        "embedding": embedding,
        "faces": np.array(faces, np.int32),
    }


def scores(
    generated: Sequence[Result], real: Sequence[Result], protocol: FaceIdentity | None = None
) -> dict[str, Score]:
    protocol = protocol or FaceIdentity()
    rows = tuple(Pair(pair=f"{i}", generated=None, target=None, source=None) for i in range(len(generated)))
    pairs = Pairs(rows=rows, report=PairReport(matched=len(rows)), naming="csv")
    given = StubRecords({("generated",): generated, (protocol.against,): real})
    return {score.metric: score for score in protocol.score(pairs, given)}


def test_both_denominators_of_six_pairs() -> None:
    found = scores(
        [face(0.5), face(0.65), face(2.0), NO_FACE, face(0.1), NO_FACE],
        [face(0.0), face(0.0), face(0.0), face(0.0), NO_FACE, NO_FACE],
    )
    assert tuple(found) == FaceIdentity.metrics
    assert {name: (score.value, score.n) for name, score in found.items()} == {
        "face_coverage": (3 / 4, 4),
        "face_distance": (pytest.approx((0.5 + 0.65 + 2.0) / 3, rel=1e-15), 3),
        "face_same@0.6": (1 / 4, 4),
        "face_same@0.6[detected]": (1 / 3, 3),
        "face_same@0.7": (2 / 4, 4),
        "face_same@0.7[detected]": (2 / 3, 3),
    }
    assert found["face_distance"].missing == {"no face in generated image": 1, "no face in target": 2}
    assert found["face_same@0.6"].missing == {"no face in target": 2}
    assert {name: score.better for name, score in found.items() if score.better == "lower"} == {
        "face_distance": "lower"
    }
    assert not any(score.faults for score in found.values())
    assert {warning[:9] for score in found.values() for warning in score.warnings} == {"few pairs"}


def test_values_of_each_pair_allow_a_common_subset() -> None:
    found = scores([face(0.5), NO_FACE, face(0.1)], [face(0.0), face(0.0), NO_FACE])
    assert found["face_distance"].per_pair == (0.5, NO_GENERATED_FACE, NO_TARGET_FACE)
    assert found["face_coverage"].per_pair == (1.0, 0.0, NO_TARGET_FACE)
    assert found["face_same@0.6"].per_pair == (1.0, 0.0, NO_TARGET_FACE)
    assert found["face_same@0.6[detected]"].per_pair == (1.0, NO_GENERATED_FACE, NO_TARGET_FACE)


def test_a_distance_of_exactly_the_threshold_is_another_person() -> None:
    found = scores([face(0.6), face(0.7)], [face(0.0), face(0.0)])
    assert found["face_same@0.6"].per_pair == (0.0, 0.0)
    assert found["face_same@0.7"].per_pair == (1.0, 0.0)


def test_a_fault_is_a_fault_on_either_side_and_never_a_lost_face() -> None:
    absent = Missing("no generated image")
    found = scores([absent, UNREADABLE, face(0.1)], [face(0.0), NO_FACE, UNREADABLE])
    for score in found.values():
        assert (score.value, score.n, score.faults) == (None, 0, 3)
        assert score.missing == {"no generated image": 1, "unreadable: truncated PNG": 2}


def test_without_any_target_face_every_score_is_empty_and_says_so_once() -> None:
    found = scores([face(0.1), NO_FACE], [NO_FACE, NO_FACE])
    for score in found.values():
        assert (score.value, score.n, score.missing, score.faults) == (None, 0, {"no face in target": 2}, 0)
    (warning,) = [w for score in found.values() for w in score.warnings]
    assert warning == (
        "face_identity: no target has a face that is found with upsample=2;"
        " a larger --set face_identity.upsample finds smaller ones."
    )


def test_a_generator_that_destroys_every_face_preserves_nobody() -> None:
    found = scores([NO_FACE, NO_FACE], [face(0.0), face(1.0)])
    assert found["face_distance"].value is None
    assert found["face_same@0.7[detected]"].value is None
    assert [found[m].value for m in ("face_coverage", "face_same@0.6", "face_same@0.7")] == [0, 0, 0]


def test_one_face_among_many_pairs_is_scored_without_an_interval() -> None:
    found = scores([NO_FACE] * 49 + [face(0.25)], [NO_FACE] * 49 + [face(0.0)])
    assert (found["face_distance"].value, found["face_distance"].n) == (0.25, 1)
    assert found["face_distance"].interval is None
    assert found["face_distance"].missing == {"no face in target": 49}


def test_against_the_source_is_said_in_every_name_and_reason() -> None:
    protocol = FaceIdentity(against="source")
    assert [need.roles for need in protocol.needs()] == [("generated",), ("source",)]
    found = scores([face(0.5), face(0.5)], [face(0.0), NO_FACE], protocol)
    assert tuple(found) == (
        "face_coverage[source]",
        "face_distance[source]",
        "face_same@0.6[source]",
        "face_same@0.6[source,detected]",
        "face_same@0.7[source]",
        "face_same@0.7[source,detected]",
    )
    assert found["face_distance[source]"].missing == {"no face in source": 1}
    assert found["face_distance[source]"].value == 0.5


def test_several_faces_in_a_picture_are_counted() -> None:
    found = scores([face(0.1, faces=3), face(0.1), NO_FACE], [face(0.0, faces=2), face(0.0, faces=2), face(0.0)])
    assert found["face_distance"].details["several_faces"] == {"generated": 1, "target": 2}
    assert found["face_distance"].n == 2


def test_distance_is_a_metric_on_embeddings() -> None:
    rng = np.random.default_rng(0)
    a, b, c = rng.normal(size=(3, 128))
    assert face_distance(a, a) == 0
    assert face_distance(a, b) == face_distance(b, a) == pytest.approx(np.sqrt(((a - b) ** 2).sum()), rel=1e-14)
    assert face_distance(a, c) <= face_distance(a, b) + face_distance(b, c)


@pytest.mark.parametrize(
    ("option", "value"), [("against", "reference"), ("upsample", "-1"), ("upsample", "5"), ("landmarks", "68")]
)
def test_an_option_that_cannot_be_is_named(option: str, value: str) -> None:
    with pytest.raises(UserError, match=f"option 'face_identity.{option}' cannot be '{value}'"):
        configure(FaceIdentity, "paper", {option: value})


def test_options_reach_the_detector_of_each_side() -> None:
    protocol = configure(
        FaceIdentity,
        "paper",
        {"upsample": "1", "landmarks": "large", "generated_geometry": "centre-crop(width=176, height=256)"},
    )
    crop = Geometry.parse("centre-crop(width=176, height=256)")
    assert [need.extractor for need in protocol.needs()] == [
        DlibFace(upsample=1, landmarks="large", geometry=crop),
        DlibFace(upsample=1, landmarks="large"),
    ]


def test_each_parameter_and_the_installed_dlib_enter_the_fingerprint() -> None:
    variants = [DlibFace(), DlibFace(upsample=1), DlibFace(landmarks="large")]
    assert len({extractor.fingerprint(Numerics()) for extractor in variants}) == 3
    assert {"face-recognition", "face-recognition-models"} < set(DlibFace.libraries)
    assert {"dlib", "dlib-bin"} & set(DlibFace.libraries)


def test_pixels_with_fractions_are_refused_with_a_way_out() -> None:
    geometry = Geometry.parse("resize(width=32, height=32, filter=torch-bilinear)")
    extract = DlibFace(geometry=geometry).load(Context())
    with pytest.raises(UserError, match=r"filter=torch-bilinear\)' leaves fractions: end it with '> round'\."):
        extract([np.zeros((32, 32, 3), np.float32)])


def test_a_picture_smaller_than_any_face_has_none() -> None:
    assert DlibFace().load(Context())([np.zeros((1, 1, 3), np.uint8), np.zeros((3, 200, 3), np.uint8)]) == [NO_FACE] * 2


def test_networks_that_cannot_be_imported_are_a_sentence_and_not_the_end(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delitem(sys.modules, "face_recognition", raising=False)
    monkeypatch.setitem(sys.modules, "face_recognition_models", None)
    with pytest.raises(ImportError) as caught:
        DlibFace().load(Context())
    assert str(explained(caught.value)).startswith("face_recognition_models cannot be loaded (")
    assert capfd.readouterr() == ("", "")


def test_a_file_that_dlib_cannot_open_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(tmp_path, monkeypatch, "raise RuntimeError('Unable to open shape_predictor.dat')")
    with pytest.raises(RuntimeError) as caught:
        import_face_recognition()
    assert "cannot be loaded (Unable to open shape_predictor.dat): install" in str(explained(caught.value))
    assert not ImageFile.LOAD_TRUNCATED_IMAGES


def test_importing_leaves_pillow_and_the_warnings_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(tmp_path, monkeypatch, "")
    assert import_face_recognition().__file__ == str(tmp_path / "face_recognition.py")
    assert not ImageFile.LOAD_TRUNCATED_IMAGES
    torn = tmp_path / "torn.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(torn)
    torn.write_bytes(torn.read_bytes()[:-900])
    with Image.open(torn) as image, pytest.raises(OSError, match="truncated"):
        image.load()


def stand_in(folder: Path, monkeypatch: pytest.MonkeyPatch, then: str) -> None:
    """Put modules in place of both packages that do to the process what these do."""
    for name in ("face_recognition", "face_recognition_models"):
        monkeypatch.setitem(sys.modules, name, sys)  # remembered, so that the real one comes back
        del sys.modules[name]
    monkeypatch.syspath_prepend(folder)
    (folder / "face_recognition.py").write_text(
        f"from PIL import ImageFile\nImageFile.LOAD_TRUNCATED_IMAGES = True\n{then}\n", encoding="utf-8"
    )
    (folder / "face_recognition_models.py").write_text(
        "import warnings\nwarnings.warn('pkg_resources is deprecated as an API. See ...', stacklevel=1)\n",
        encoding="utf-8",
    )
