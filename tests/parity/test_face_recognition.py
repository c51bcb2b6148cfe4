"""Face boxes, embeddings and distances against a plain face_recognition loop: the same bits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import skimage
from PIL import Image, ImageFile
from toys import assert_same_bits

from fhpt_eval import Pairs, evaluate
from fhpt_eval.engine.cache import Cache
from fhpt_eval.engine.engine import open_engine
from fhpt_eval.extract.dlib_face import NO_FACE, DlibFace, Landmarks
from fhpt_eval.extract.extractor import Context
from fhpt_eval.libraries import import_face_recognition
from fhpt_eval.protocols.face_identity import FaceIdentity, face_distance
from fhpt_eval.records import Missing, Result

Picture = npt.NDArray[np.uint8]
Face = tuple[tuple[int, int, int, int], npt.NDArray[np.float64], int]

REAL = Path(__file__).resolve().parents[2] / "../shared/data/real/methods_figure"

# Files that lie inside the package; Any, because scikit-image is typed in part only.
data: Any = skimage.data
ASTRONAUT: Picture = data.astronaut()


def scaled(picture: Picture, size: int) -> Picture:
    return np.asarray(Image.fromarray(picture).resize((size, size), Image.Resampling.BICUBIC))


def pictures() -> dict[str, Picture]:
    """A photograph, frames of the field's size, one with a cut-off face, one with two people, one with none."""
    frame = scaled(ASTRONAUT, 256)[:, 20:196]
    small = np.full((256, 176, 3), 255, np.uint8)
    small[20:148, 30:158] = scaled(ASTRONAUT, 128)
    larger = scaled(ASTRONAUT, 340)[:256, 60:236]
    return {
        "photograph": ASTRONAUT,
        "frame": frame,
        "small face": small,
        "cut off at the top": frame[42:],
        "two people": np.hstack([frame, larger]),
        "nobody": data.coffee()[:256, :176],
    }


@pytest.fixture(scope="module")
def library() -> Any:
    return import_face_recognition()


def plain(library: Any, picture: Picture, upsample: int = 2, landmarks: Landmarks = "small") -> Face | None:
    """What anyone would write with face_recognition."""
    picture = np.ascontiguousarray(picture)
    locations = library.face_locations(picture, number_of_times_to_upsample=upsample, model="hog")
    if not locations:
        return None
    largest = locations[0]
    for box in locations[1:]:
        if (box[2] - box[0]) * (box[1] - box[3]) > (largest[2] - largest[0]) * (largest[1] - largest[3]):
            largest = box
    encodings = library.face_encodings(picture, known_face_locations=[largest], num_jitters=1, model=landmarks)
    return largest, encodings[0], len(locations)


def assert_same(actual: Result, expected: Face | None) -> None:
    if expected is None:
        assert actual == NO_FACE
        return
    assert not isinstance(actual, Missing)
    box, embedding, faces = expected
    assert tuple(actual["box"]) == box
    assert actual["embedding"].tobytes() == embedding.tobytes()
    assert int(actual["faces"]) == faces
    assert actual["box"].dtype == np.int32
    assert actual["embedding"].dtype == np.float64
    assert actual["embedding"].shape == (128,)


@pytest.mark.parametrize(
    ("upsample", "landmarks", "chosen"),
    [
        (2, "small", ["frame", "small face", "cut off at the top", "nobody"]),
        (2, "large", ["frame"]),
        (1, "small", ["frame", "two people"]),
        (0, "small", ["photograph", "frame"]),
    ],
)
def test_largest_face_is_that_of_a_plain_loop(
    library: Any, upsample: int, landmarks: Landmarks, chosen: list[str]
) -> None:
    photographs = [pictures()[name] for name in chosen]
    results = DlibFace(upsample=upsample, landmarks=landmarks).load(Context())(photographs)
    for photograph, result in zip(photographs, results, strict=True):
        assert_same(result, plain(library, photograph, upsample, landmarks))


def test_what_is_seen_is_what_is_there(library: Any) -> None:
    chosen = ["frame", "two people", "nobody"]
    frame, two, nobody = DlibFace(upsample=1).load(Context())([pictures()[name] for name in chosen])
    assert nobody == NO_FACE
    assert not isinstance(frame, Missing)
    assert not isinstance(two, Missing)
    assert (int(frame["faces"]), int(two["faces"])) == (1, 2)
    top, right, bottom, left = frame["box"]
    assert (top < 60 < bottom, left < 90 < right) == (True, True)
    # The larger of the two people stands on the right.
    assert two["box"][3] > 176
    assert face_distance(frame["embedding"], two["embedding"]) < 0.4


@pytest.mark.parametrize("folder", ["target", "source", "generated/PG2"])
def test_real_faces_are_those_of_a_plain_loop(library: Any, folder: str) -> None:
    if not REAL.exists():
        pytest.skip("the photographs of shared/data/real are not here")
    photographs = [np.asarray(Image.open(file).convert("RGB")) for file in sorted((REAL / folder).iterdir())]
    results = DlibFace().load(Context())(photographs)
    assert len(results) == 4
    for photograph, result in zip(photographs, results, strict=True):
        assert_same(result, plain(library, photograph))


@pytest.mark.parametrize("landmarks", ["small", "large"])
def test_dlib_alone_gives_what_the_public_functions_give(landmarks: Landmarks) -> None:
    chosen = [pictures()[name] for name in ("two people", "cut off at the top", "nobody")]
    fast, plain_way = (
        DlibFace(upsample=1, landmarks=landmarks).load(Context(reference_math=reference))(chosen)
        for reference in (False, True)
    )
    assert [isinstance(result, Missing) for result in fast] == [False, fast[1] == NO_FACE, True]
    for one, other in zip(fast, plain_way, strict=True):
        assert_same_bits(one, other)


def write_people(folder: Path) -> tuple[Path, Path]:
    """Generated images and targets: brighter, blurred, without a face, and of a target without a face."""
    chosen = pictures()
    frame, nobody = chosen["frame"], chosen["nobody"]
    brighter = np.clip(frame.astype(np.int16) + 30, 0, 255).astype(np.uint8)
    blurred = np.asarray(Image.fromarray(frame).resize((88, 128)).resize((176, 256)))
    people = {
        "brighter": (brighter, frame),
        "blurred": (blurred, frame),
        "faceless": (nobody, frame),
        "back": (frame, nobody),
    }
    for name, pair in people.items():
        for side, picture in zip(("generated", "target"), pair, strict=True):
            (folder / side).mkdir(exist_ok=True)
            Image.fromarray(picture).save(folder / side / f"{name}.png")
    return folder / "generated", folder / "target"


def test_scores_are_those_of_a_plain_loop_with_any_workers_in_any_order(library: Any, tmp_path: Path) -> None:
    generated, target = write_people(tmp_path)
    names = sorted(file.name for file in generated.iterdir())
    expected: dict[str, float] = {}
    for name in names:
        faces = [
            plain(library, library.load_image_file(str(folder / name)), upsample=1) for folder in (generated, target)
        ]
        if faces[0] is not None and faces[1] is not None:
            expected[Path(name).stem] = float(library.face_distance([faces[1][1]], faces[0][1])[0])
    assert sorted(expected) == ["blurred", "brighter"]

    pairs = Pairs.from_folders(generated, target)
    runs = []
    for workers, batch_size in ((1, 16), (2, 3)):
        with Cache(tmp_path / f"cache-{workers}") as cache:
            engine = open_engine("local", cache, device="cpu", workers=workers, batch_size=batch_size)
            runs.append(evaluate(pairs, [FaceIdentity(upsample=1)], engine=engine))
    for run in runs:
        actual = run.per_pair.set_index("pair")["face_distance"].dropna().to_dict()
        assert actual == expected
        assert run.exit_code == 0
        assert run.scores["face_distance"].value == float(np.mean([expected[name] for name in sorted(expected)]))
    assert [s.model_dump() for s in runs[0].scores.values()] == [s.model_dump() for s in runs[1].scores.values()]


def test_pillow_still_refuses_truncated_files(library: Any) -> None:
    assert library.__name__ == "face_recognition"
    assert not ImageFile.LOAD_TRUNCATED_IMAGES
