"""MediaPipe's graphs as they are run here against its own solutions: the same bits."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import mediapipe
import numpy as np
import numpy.typing as npt
import pytest
import skimage
from mediapipe.python.solutions.face_mesh import FaceMesh
from mediapipe.python.solutions.hands import Hands
from mediapipe.python.solutions.pose import Pose
from mediapipe.tasks.metadata.schema_py_generated import Model
from PIL import Image
from toys import assert_same_bits

from fhpt_eval import sample
from fhpt_eval.extract.extractor import Context, Pixels
from fhpt_eval.extract.mediapipe_graphs import face_graph, hands_graph, pose_graph
from fhpt_eval.extract.mediapipe_keypoints import MediapipeKeypoints
from fhpt_eval.extract.tflite_pruning import without_output
from fhpt_eval.records import Missing

Array = npt.NDArray[Any]
data: Any = skimage.data

MODULES = Path(mediapipe.__path__[0]) / "modules"


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


def test_hands_are_those_of_the_solution_to_the_bit() -> None:
    find = hands_graph()
    seen = 0
    with Hands(static_image_mode=True, max_num_hands=2) as solution:
        for image in [*photographs(), *map(read, rendered()[:12])]:
            expected: Any = solution.process(image).multi_hand_landmarks
            assert numbers(find(image)) == numbers([hand.landmark for hand in expected or ()])
            seen += expected is not None
    assert seen >= 4


def test_the_published_solutions_give_the_same_records() -> None:
    images = [*photographs(), *map(read, rendered()[:3])]
    fast = MediapipeKeypoints().load(Context())(images)
    plain = MediapipeKeypoints().load(Context(reference_math=True))(images)
    for one, other in zip(fast, plain, strict=True):
        assert_same_bits(one, other)
    assert sum(not isinstance(result, Missing) for result in fast) >= 6


def rendered() -> list[Path]:
    return sorted((sample.SAMPLE / sample.IMAGES).rglob("*.jpg"))


def read(file: Path) -> Pixels:
    return np.asarray(Image.open(file).convert("RGB"))


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
