"""MediaPipe's graphs as they are run here against its own solutions: the same bits; and hands against ``Hands``."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import mediapipe
import numpy as np
import numpy.typing as npt
import pytest
import skimage
from mediapipe.python.solutions.face_mesh import FaceMesh
from mediapipe.python.solutions.hands import Hands
from mediapipe.python.solutions.holistic import Holistic
from mediapipe.python.solutions.pose import Pose
from mediapipe.tasks.metadata.schema_py_generated import Model
from PIL import Image
from toys import assert_same_bits

from fhpt_eval import sample
from fhpt_eval.extract.extractor import Context, Pixels
from fhpt_eval.extract.mediapipe_graphs import face_graph, hand_graph, pose_graph
from fhpt_eval.extract.mediapipe_keypoints import MediapipeKeypoints, _hands, in_hand_crop
from fhpt_eval.extract.tflite_pruning import without_output
from fhpt_eval.records import Missing

Array = npt.NDArray[Any]
data: Any = skimage.data

MODULES = Path(mediapipe.__path__[0]) / "modules"
REAL = Path(__file__).resolve().parents[2] / "../shared/data/real/methods_figure"


def photographs() -> list[Pixels]:
    """A person, of odd sizes and cut off, a cat, and noise."""
    astronaut: Pixels = data.astronaut()
    sizes = [(256, 256), (333, 211), (97, 161)]
    scaled = [np.asarray(Image.fromarray(astronaut).resize(size, Image.Resampling.BICUBIC)) for size in sizes]
    noise = np.random.default_rng(0).integers(0, 256, (255, 177, 3), dtype=np.uint8)
    return [astronaut, *scaled, np.ascontiguousarray(astronaut[:301, 60:421]), data.chelsea(), noise]


def numbers(found: Sequence[Sequence[Any]]) -> list[list[tuple[float, ...]]]:
    return [[(p.x, p.y, p.z, p.visibility) for p in one] for one in found]


def test_a_pose_is_that_of_the_solution_to_the_bit() -> None:
    find = pose_graph()
    seen = 0
    with Pose(static_image_mode=True, model_complexity=1) as solution:
        for image in photographs():
            expected: Any = solution.process(image).pose_landmarks
            assert numbers(find(image)) == numbers([expected.landmark] if expected else [])
            seen += expected is not None
    assert seen >= 4


def test_a_face_is_that_of_the_solution_to_the_bit() -> None:
    find = face_graph()
    seen = 0
    with FaceMesh(static_image_mode=True, max_num_faces=1) as solution:
        for image in photographs():
            expected: Any = solution.process(image).multi_face_landmarks
            assert numbers(find(image)) == numbers([face.landmark for face in expected or ()])
            seen += expected is not None
    assert seen >= 3


def test_a_hand_is_that_of_a_fresh_holistic_where_the_square_is_as_large_as_its() -> None:
    """It looks for hands in larger squares, and remembers them: each image has an instance of its own here."""
    find = hand_graph(search=1.0)
    seen = 0
    for file in rendered()[:8]:
        image = read(file)
        with Holistic(static_image_mode=True) as solution:
            result: Any = solution.process(image)
        if result.pose_landmarks is None:
            continue
        pose = result.pose_landmarks.landmark
        for (wrist, little, index), expected in (
            ((15, 17, 19), result.left_hand_landmarks),
            ((16, 18, 20), result.right_hand_landmarks),
        ):
            if expected is not None:
                points = np.array([(pose[i].x, pose[i].y) for i in (wrist, little, index)])
                assert numbers(find(image, points)) == numbers([expected.landmark])
                seen += 1
    assert seen >= 4


def test_the_published_solutions_give_the_same_records() -> None:
    images = [*photographs(), *map(read, rendered()[:3])]
    fast = MediapipeKeypoints().load(Context())(images)
    plain = MediapipeKeypoints().load(Context(reference_math=True))(images)
    for one, other in zip(fast, plain, strict=True):
        assert_same_bits(one, other)
    assert sum(not isinstance(result, Missing) for result in fast) >= 6


# Hands: another way than palm detection, which is to find as many


def rendered() -> list[Path]:
    return sorted((sample.SAMPLE / sample.IMAGES).rglob("*.jpg"))


def read(file: Path) -> Pixels:
    return np.asarray(Image.open(file).convert("RGB"))


def by_wrist(images: Sequence[Pixels]) -> Iterator[tuple[int, list[Array], list[Array]]]:
    """Yield each image with the hands that are found now, and those that ``Hands`` finds in crops about the wrists."""
    pose, graph = pose_graph(), hand_graph()

    def now(image: Array, points: Array, side: int) -> list[Array]:
        wrist, index, little = ((15, 19, 17), (16, 20, 18))[side]
        size = np.array([image.shape[1], image.shape[0]])
        hands = graph(image, points[[wrist, little, index], :2] / size)
        return [np.array([(p.x * size[0], p.y * size[1], 1.0) for p in hand]) for hand in hands]

    with closing(Hands(static_image_mode=True, max_num_hands=2)) as solution:

        def before(crop: Array) -> list[Any]:
            found: Any = solution.process(crop)
            return [hand.landmark for hand in found.multi_hand_landmarks or ()]

        for number, image in enumerate(images):
            for person in pose(image):
                points = np.array([(p.x * image.shape[1], p.y * image.shape[0], p.visibility) for p in person])
                yield number, _hands(now, image, points), _hands(in_hand_crop(before), image, points)


def found_in(hands: Sequence[Array]) -> int:
    return sum(bool(hand[:, 2].any()) for hand in hands)


def test_as_many_hands_are_found_on_rendered_people_and_as_near_to_the_truth() -> None:
    """On all 144 images: 235 hands against 230, mean error 2.54 px against 2.41; a part differs more."""
    lines = (sample.SAMPLE / "truth.jsonl").read_text(encoding="utf-8").splitlines()
    truth = {row["name"]: np.reshape(row["hands"], (2, 21, 3)) for row in map(json.loads, lines)}
    files = rendered()[::4]
    counts, errors = np.zeros(2), ([], [])  # type: tuple[Array, tuple[list[float], list[float]]]
    for number, *ways in by_wrist([read(file) for file in files]):
        known = truth[files[number].relative_to(sample.SAMPLE / sample.IMAGES).as_posix()]
        for way, hands in enumerate(ways):
            counts[way] += found_in(hands)
            for hand, right in zip(hands, known, strict=True):
                seen = (right[:, 2] == 2) & (hand[:, 2] > 0)
                errors[way].extend(np.linalg.norm(hand[seen, :2] - 0.5 - right[seen, :2], axis=1))
    assert 0.9 * counts[1] < counts[0]
    assert counts[1] > 20
    assert np.mean(errors[0]) < 1.15 * np.mean(errors[1])
    assert np.median(errors[0]) < 1.15 * np.median(errors[1])


@pytest.mark.skipif(not REAL.is_dir(), reason="shared/data/real is not here")
def test_as_many_hands_are_found_on_photographs_and_generated_images() -> None:
    files = sorted(file for file in REAL.rglob("row*.png"))
    now, before = (
        sum(column)
        for column in zip(*((found_in(a), found_in(b)) for _, a, b in by_wrist([*map(read, files)])), strict=True)
    )
    assert now >= before > 5


# A model without an output


def subgraph(model: bytes) -> Any:
    return Model.GetRootAsModel(model, 0).Subgraphs(0)


@pytest.mark.parametrize(
    ("name", "unused", "stand_in", "fewer"),
    [
        ("pose_landmark/pose_landmark_full", 2, 1, 46),
        ("hand_landmark/hand_landmark_full", 0, 3, 3),
        ("palm_detection/palm_detection_full", 1, 0, 9),
    ],
)
def test_a_model_loses_the_operators_of_one_output_only(name: str, unused: int, stand_in: int, fewer: int) -> None:
    whole = (MODULES / f"{name}.tflite").read_bytes()
    pruned = without_output(whole, unused, stand_in)
    before, after = subgraph(whole), subgraph(pruned)
    assert len(pruned) == len(whole)
    assert after.OperatorsLength() == before.OperatorsLength() - fewer
    outputs = list(before.OutputsAsNumpy())
    outputs[unused] = outputs[stand_in]
    assert list(after.OutputsAsNumpy()) == outputs
    made_by_any = {t for i in range(before.OperatorsLength()) for t in before.Operators(i).OutputsAsNumpy()}
    made: set[int] = set()
    used: set[int] = set(outputs)
    for i in range(after.OperatorsLength()):
        inputs = set(after.Operators(i).InputsAsNumpy())
        assert inputs & made_by_any <= made
        made |= set(after.Operators(i).OutputsAsNumpy())
        used |= inputs
    assert set(outputs) <= made
    # None is left that nobody needs.
    assert all(set(after.Operators(i).OutputsAsNumpy()) & used for i in range(after.OperatorsLength()))


# What is imported


def test_a_detector_does_not_load_what_draws_and_the_package_is_whole_when_asked() -> None:
    script = """
import sys
from fhpt_eval.extract.extractor import Context
from fhpt_eval.extract.mediapipe_keypoints import MediapipeKeypoints
MediapipeKeypoints().load(Context())
assert "matplotlib" not in sys.modules
import mediapipe
assert mediapipe.solutions.holistic.Holistic and mediapipe.Image and mediapipe.__version__ and mediapipe.tasks.vision
assert not hasattr(mediapipe, "nonsense")
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=300)  # noqa: S603
