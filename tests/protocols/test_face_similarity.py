"""What counts in face similarity, worked by hand, and which networks are taken or refused."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
from toy_faces import detector, landmarks, portrait, recogniser, write_pack
from toys import StubRecords

from fhpt_eval import Geometry, Missing, Pair, Pairs, Score, UserError
from fhpt_eval.extract.extractor import Context
from fhpt_eval.extract.insight_face import NO_FACE, FaceModels, InsightFace
from fhpt_eval.extract.numerics import Numerics
from fhpt_eval.measuring.given import Given
from fhpt_eval.pairing.pairs import PairReport
from fhpt_eval.protocols.face_similarity import FaceSimilarity
from fhpt_eval.records import Record, Result

UNREADABLE = Missing("unreadable: truncated PNG")


def face(*embedding: float, faces: int = 1) -> Record:
    return {
        "embedding": np.array(embedding, np.float32),
        "box": np.zeros(4, np.float32),
        "faces": np.array(faces, np.int32),
    }


def scores(
    generated: Sequence[Result], target: Sequence[Result], protocol: FaceSimilarity | None = None
) -> list[Score]:
    rows = tuple(Pair(pair=f"{i}", generated=None, target=None, source=None) for i in range(len(generated)))
    pairs = Pairs(rows=rows, report=PairReport(matched=len(rows)), naming="csv")
    records = StubRecords({("generated",): generated, ("target",): target})
    return (protocol or FaceSimilarity()).score(pairs, records)


def test_means_are_over_pairs_with_both_faces_and_the_others_are_named() -> None:
    cosine, euclidean = scores(
        [face(3, 0), face(1, 1, faces=2), NO_FACE, face(1, 0), NO_FACE, UNREADABLE],
        [face(0, 4), face(2, 2), face(1, 0), NO_FACE, NO_FACE, face(1, 0)],
    )
    assert (cosine.metric, cosine.better, cosine.n) == ("face_cosine", "higher", 2)
    assert cosine.value == pytest.approx((0 + 1) / 2)
    assert (euclidean.metric, euclidean.better, euclidean.n) == ("face_euclidean", "lower", 2)
    assert euclidean.value == pytest.approx((5 + math.sqrt(2)) / 2)
    for score in (cosine, euclidean):
        assert score.missing == {
            "no face in generated image": 1,
            "no face in target": 2,
            "unreadable: truncated PNG": 1,
        }
        assert score.faults == 1
        assert score.details["several_faces"] == {"generated": 1, "target": 0}


def test_one_of_the_two_numbers_can_be_asked_for() -> None:
    for protocol, metric in (
        (FaceSimilarity(measure="cosine"), "face_cosine"),
        (FaceSimilarity(measure="euclidean"), "face_euclidean"),
    ):
        (score,) = scores([face(1, 0)], [face(1, 0)], protocol)
        assert score.metric == metric


def test_no_pair_with_both_faces_has_no_value() -> None:
    cosine, euclidean = scores([NO_FACE], [face(1, 0)])
    assert (cosine.value, euclidean.value, cosine.n) == (None, None, 0)


def test_networks_are_what_it_lacks(tmp_path: Path) -> None:
    assert FaceSimilarity().lacks(Given()) == (
        "it needs networks: give the folder of one of InsightFace's model packs with --face-models DIR"
    )
    models = FaceModels.at(write_pack(tmp_path))
    assert FaceSimilarity().lacks(Given(face_models=models)) is None
    ran = Given(face_models=models).in_place_of(InsightFace(), ("target",))
    assert ran == InsightFace(models=models)
    assert set(ran.brought()) == {"face-detector", "face-recogniser"}
    assert InsightFace().brought() == {}


def test_a_pack_is_known_by_what_the_two_networks_hold_alone(tmp_path: Path) -> None:
    one, same, other = (FaceModels.at(write_pack(tmp_path / f"{i}", seed)) for i, seed in enumerate((0, 0, 1)))
    assert one == same != other
    assert str(one) == f"sha256:{one.detector.sha256},sha256:{one.recogniser.sha256}"
    (tmp_path / "1" / "2d106det.onnx").unlink()
    assert FaceModels.at(tmp_path / "1") == one
    assert (one.detector.path.name, one.recogniser.path.name) == ("det_toy.onnx", "w600k_toy.onnx")
    prints = {InsightFace(models=models).fingerprint(Numerics()) for models in (one, same, other)}
    assert len(prints) == 2


def test_the_first_of_two_detectors_by_name_is_taken(tmp_path: Path) -> None:
    write_pack(tmp_path)
    onnx.save(detector(7), tmp_path / "a.onnx")
    assert FaceModels.at(tmp_path).detector.path.name == "a.onnx"


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({}, r"has no face detector \(there is no ONNX file\): give the folder of one of InsightFace's model packs"),
        ({"a.onnx": recogniser()}, r"has no face detector \(there is a.onnx\)"),
        ({"a.onnx": detector(), "b.onnx": landmarks()}, r"has no face recogniser \(there is a.onnx, b.onnx\)"),
    ],
)
def test_a_folder_without_both_networks_is_refused(
    tmp_path: Path, files: dict[str, onnx.ModelProto], told: str
) -> None:
    for name, model in files.items():
        onnx.save(model, tmp_path / name)
    with pytest.raises(UserError, match=told):
        FaceModels.at(tmp_path)


def test_what_is_no_folder_or_no_network_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^nowhere cannot be read \(No such file or directory\): give the folder"):
        FaceModels.at("nowhere")
    (tmp_path / "det.onnx").write_bytes(b"\xff not a network")
    with pytest.raises(UserError, match=r"det.onnx is no ONNX file: copy it again\.$"):
        FaceModels.at(tmp_path)


def test_networks_that_cannot_run_are_refused_before_anything_is_computed(tmp_path: Path) -> None:
    blind = write_pack(tmp_path / "blind")
    onnx.save(detector(landmarks=False), blind / "det_toy.onnx")
    with pytest.raises(UserError, match=r"det_toy.onnx finds no landmarks, by which faces are aligned: give another\."):
        InsightFace(models=FaceModels.at(blind)).check()
    broken = write_pack(tmp_path / "broken")
    model = recogniser()
    model.graph.node[0].op_type = "NoSuchThing"
    onnx.save(model, broken / "w600k_toy.onnx")
    with pytest.raises(UserError, match=r"w600k_toy.onnx cannot be run by onnxruntime \(.*NoSuchThing.*copy it again"):
        InsightFace(models=FaceModels.at(broken)).check()


def test_a_network_that_changes_while_it_is_in_use_is_noticed(tmp_path: Path) -> None:
    models = FaceModels.at(write_pack(tmp_path))
    onnx.save(detector(9), tmp_path / "det_toy.onnx")
    with pytest.raises(UserError, match="was changed while it was in use"):
        InsightFace(models=models).load(Context())


def test_without_networks_or_with_fractions_nothing_is_computed(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no networks of faces are given: give their folder with --face-models DIR\."):
        InsightFace().load(Context())
    geometry = Geometry.parse("resize(width=60, height=80, filter=pil-float-bicubic)")
    extract = InsightFace(models=FaceModels.at(write_pack(tmp_path)), geometry=geometry).load(Context())
    with pytest.raises(UserError, match=r"takes 8-bit pixels .* end it with '> round'"):
        extract([portrait(0).astype(np.float32)])


def test_the_extra_is_named_where_it_is_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_pack(tmp_path)
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(UserError, match=r"install the extra with pip install 'fhpt-eval\[insightface\]'\.$"):
        FaceModels.at(tmp_path)
