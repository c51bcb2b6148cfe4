"""Face similarity against MCLD's script, written again with InsightFace's own `FaceAnalysis`, on seeded networks.

From files to numbers: OpenCV's BGR, the largest box, embeddings as they come. Boxes agree to 1e-3 pixels; cosine and
distance of every pair, and the means that are printed, to 1e-5.
"""

from __future__ import annotations

import socket
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from dialect_runs import assert_agrees
from PIL import Image
from toy_faces import portrait, write_pack

from fhpt_eval import Pairs, evaluate
from fhpt_eval.engine.cache import Cache
from fhpt_eval.engine.engine import open_engine
from fhpt_eval.evaluation.run import Run
from fhpt_eval.extract.extractor import Context
from fhpt_eval.extract.insight_face import NO_FACE, FaceModels, InsightFace
from fhpt_eval.measuring.dialects import dialect_named, measurements_of
from fhpt_eval.protocols.face_similarity import NO_GENERATED_FACE, NO_TARGET_FACE

FACES = [(1, 1), (2, 1), (1, 2), (0, 1), (1, 0), (0, 0), (2, 2), (1, 1)]
"""How many faces the generated image and the target of each pair show."""


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail where anything asks for a network."""

    def refuse(*asked: Any, **_: Any) -> None:
        raise AssertionError(f"a connection was asked for: {asked}")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    return write_pack(tmp_path / "buffalo_toy")


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    for i, faces in enumerate(FACES):
        for role, count, seed in zip(("mine", "real"), faces, (i, 100 + i), strict=True):
            (tmp_path / role).mkdir(exist_ok=True)
            Image.fromarray(portrait(seed, faces=count)).save(tmp_path / role / f"{i}.png")
    return tmp_path


@pytest.fixture
def theirs(pack: Path) -> Callable[[Path], Any]:
    """The largest face that InsightFace's application finds in a file; None for none."""
    from insightface.app import FaceAnalysis

    app = FaceAnalysis(str(pack), allowed_modules=["detection", "recognition"], providers=["CPUExecutionProvider"])
    app.prepare(ctx_id=0, det_size=(512, 352))

    def largest(file: Path) -> Any:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "`estimate` is deprecated")
            found = app.get(cv2.imread(str(file)))
        areas = [(face.bbox[2] - face.bbox[0]) * (face.bbox[3] - face.bbox[1]) for face in found]
        # Sorted by area, the last.
        return max(zip(areas, range(len(found)), found, strict=True))[2] if found else None

    return largest


def measured(folders: Path, pack: Path) -> Run:
    """The faces of MCLD's dialect."""
    pairs = Pairs.from_folders(folders / "mine", folders / "real")
    with Cache(folders / "cache") as cache:
        engine = open_engine("local", cache, device="cpu")
        return evaluate(
            pairs, measurements_of([dialect_named("mcld")], ["face_similarity"]), face_models=pack, engine=engine
        )


def test_a_face_is_that_of_insightface(pack: Path, folders: Path, theirs: Callable[[Path], Any]) -> None:
    extract = InsightFace(models=FaceModels.at(pack)).load(Context())
    seen = 0
    for file in sorted(folders.glob("*/*.png")):
        expected = theirs(file)
        (record,) = extract([np.array(Image.open(file))])
        if expected is None:
            assert record == NO_FACE
            continue
        assert not isinstance(record, type(NO_FACE))
        seen += 1
        np.testing.assert_allclose(record["box"], expected.bbox, atol=1e-3)
        np.testing.assert_allclose(
            record["embedding"], expected.embedding, rtol=0, atol=1e-5 * np.abs(expected.embedding).max()
        )
        assert record["embedding"].shape == (512,)
        assert not np.isclose(np.linalg.norm(record["embedding"]), 1), "it is taken as it comes"
    assert seen == sum(bool(count) for faces in FACES for count in faces)


def test_cosine_and_distance_are_those_of_mclds_script(
    pack: Path, folders: Path, theirs: Callable[[Path], Any]
) -> None:
    cosines, distances = [], []
    for i in range(len(FACES)):
        one, other = (theirs(folders / role / f"{i}.png") for role in ("real", "mine"))
        both = one is not None and other is not None
        a, b = (one.embedding, other.embedding) if both else (np.full(1, np.nan),) * 2
        cosines.append(float(np.dot(a, b) / (np.linalg.norm(a) * np.linalg.norm(b))))
        distances.append(float(np.linalg.norm(a - b)))
    run = measured(folders, pack)
    assert_agrees(run, "mcld@1:face_cosine", cosines, rel=1e-5, abs=1e-6)
    assert_agrees(run, "mcld@1:face_distance", distances, rel=1e-5, abs=0)
    assert np.nanmax(distances) > 1.1 * np.nanmin(distances), "the pairs must not be all alike"
    score = run.scores["mcld@1:face_cosine"]
    assert score.n == 5
    assert score.missing == {NO_TARGET_FACE.reason: 2, NO_GENERATED_FACE.reason: 1}
    assert score.faults == 0
