"""Keypoints by MediaPipe's Tasks, on tasks put together here from the models inside the mediapipe package."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import flatbuffers
import mediapipe
import numpy as np
import numpy.typing as npt
import pytest
import skimage
from mediapipe.tasks.metadata import schema_py_generated as tflite
from mediapipe.tasks.python.metadata.metadata_writers.metadata_writer import MetadataWriter
from PIL import Image
from toys import assert_same_bits, record_of, write_image

from fhpt_eval import Pairs, evaluate
from fhpt_eval.engine.cache import Cache
from fhpt_eval.engine.contract import Plan
from fhpt_eval.engine.engine import open_engine
from fhpt_eval.errors import UserError
from fhpt_eval.extract.extractor import Context, Pixels
from fhpt_eval.extract.mediapipe_keypoints import NO_PERSON, MediapipeKeypoints
from fhpt_eval.extract.mediapipe_tasks import MediapipeTasks, task_kind, tasks_by_kind
from fhpt_eval.extract.numerics import Numerics
from fhpt_eval.files.given import GivenFile
from fhpt_eval.images.decoding import ImageRef
from fhpt_eval.maths.keypoints import errors, found, hand_size, interocular_distance
from fhpt_eval.measuring.given import Given
from fhpt_eval.measuring.protocol import configure
from fhpt_eval.protocols.kec import Kec
from fhpt_eval.protocols.pckh import Pckh
from fhpt_eval.records import Missing, Record, Result

Array = npt.NDArray[Any]
Extract = Callable[[Sequence[Pixels]], list[Result]]
data: Any = skimage.data

MODULES = Path(mediapipe.__file__).parent / "modules"
REAL = Path(__file__).resolve().parents[2] / "../shared/data/real/methods_figure/target"

ENTRIES = {
    "pose": ("pose_detector.tflite", "pose_landmarks_detector.tflite"),
    "face": (
        *("face_detector.tflite", "face_landmarks_detector.tflite", "face_blendshapes.tflite"),
        "geometry_pipeline_metadata_landmarks.binarypb",
    ),
    "hand": ("hand_detector.tflite", "hand_landmarks_detector.tflite"),
    "gesture": ("hand_landmarker.task", "hand_gesture_recognizer.task"),
    "holistic": (
        *("face_detector.tflite", "face_landmarks_detector.tflite", "face_blendshapes.tflite"),
        *("hand_landmarks_detector.tflite", "hand_roi_refinement.tflite"),
        *("pose_detector.tflite", "pose_landmarks_detector.tflite"),
    ),
    "landmarks alone": ("pose_landmarks_detector.tflite",),
    "nothing": (),
}
"""What is in the files that are published (the last two are not)."""


def pack(path: Path, models: Mapping[str, bytes], compression: int = zipfile.ZIP_STORED) -> GivenFile:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, model in models.items():
            archive.writestr(name, model)
    return GivenFile.at(path)


def named(folder: Path, kind: str, content: bytes = b"no model") -> GivenFile:
    return pack(folder / f"{kind}.task", dict.fromkeys(ENTRIES[kind], content))


# What a task is


@pytest.mark.parametrize("kind", ["pose", "face", "hand"])
def test_a_task_is_known_by_the_models_in_it(kind: str, tmp_path: Path) -> None:
    assert task_kind(named(tmp_path, kind)) == kind


def assert_refused(file: GivenFile, words: str) -> None:
    with pytest.raises(UserError) as refused:
        task_kind(file)
    sentence = str(refused.value)
    assert str(file.path) in sentence
    assert words in sentence
    assert sentence.endswith(".")
    assert "\n" not in sentence


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("gesture", "another kind of MediaPipe task"),
        ("holistic", "carries state from image to image"),
        ("landmarks alone", "another kind of MediaPipe task"),
        ("nothing", "another kind of MediaPipe task"),
    ],
)
def test_other_tasks_are_refused_in_a_sentence(kind: str, words: str, tmp_path: Path) -> None:
    assert_refused(named(tmp_path, kind), words)


@pytest.mark.parametrize("content", [b"", b"weights", b"PK\x03\x04", b"PK\x05\x06" + b"\xff" * 18])
def test_files_that_are_no_archive_are_refused_in_a_sentence(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "some.task").write_bytes(content)
    assert_refused(GivenFile.at(tmp_path / "some.task"), "is not a MediaPipe task")


def test_a_truncated_download_is_refused(tmp_path: Path) -> None:
    whole = named(tmp_path, "pose", bytes(10_000)).path
    whole.write_bytes(whole.read_bytes()[:-400])
    assert_refused(GivenFile.at(whole), "is not a MediaPipe task")


def test_a_bomb_is_refused_without_being_unpacked(tmp_path: Path) -> None:
    models = dict.fromkeys(ENTRIES["pose"], bytes(50_000_000))
    assert_refused(pack(tmp_path / "bomb.task", models, zipfile.ZIP_DEFLATED), "was packed again")
    path = named(tmp_path, "pose").path
    # The size of the first entry, in the archive's directory: 4 GB less one byte.
    content = bytearray(path.read_bytes())
    at = content.index(b"PK\x01\x02") + 24
    content[at : at + 4] = b"\xfe\xff\xff\xff"
    path.write_bytes(content)
    assert_refused(GivenFile.at(path), "is damaged")


def test_there_is_one_task_of_each_kind_and_a_pose(tmp_path: Path) -> None:
    tasks = {kind: named(tmp_path, kind) for kind in ("hand", "pose", "face")}
    assert tasks_by_kind(tasks.values()) == tasks
    (tmp_path / "other").mkdir()
    other = named(tmp_path / "other", "face", b"another model")
    with pytest.raises(UserError, match=r"face\.task and .*face\.task are both face landmarkers") as refused:
        tasks_by_kind([*tasks.values(), other])
    assert str(other.path) in str(refused.value)
    for lacking in ([tasks["face"], tasks["hand"]], []):
        with pytest.raises(UserError, match="no pose landmarker"):
            MediapipeTasks(tasks=tuple(lacking)).load(Context())


def test_an_extractor_is_known_by_the_content_of_its_tasks(tmp_path: Path) -> None:
    pose, face = named(tmp_path, "pose"), named(tmp_path, "face")
    one, other = MediapipeTasks(tasks=(pose, face)), MediapipeTasks(tasks=(face, pose))
    assert one.id == other.id == f"mediapipe-tasks[tasks={'+'.join(sorted((str(pose), str(face))))}]"
    assert one.fingerprint(Numerics()) == other.fingerprint(Numerics())
    assert str(tmp_path) not in str(one.parameters())
    alone = MediapipeTasks(tasks=(pose,))
    changed = MediapipeTasks(tasks=(named(tmp_path, "pose", b"retrained"),))
    prints = {e.fingerprint(Numerics()) for e in (one, alone, changed, MediapipeTasks(), MediapipeKeypoints())}
    assert len(prints) == 5
    with pytest.raises(UserError, match="was changed while it was in use"):
        alone.load(Context())


# Tasks that work, out of the models of the solutions


def model(name: str) -> bytes:
    return (MODULES / f"{name}.tflite").read_bytes()


def described(network: bytes) -> bytes:
    """Add what Tasks want to be told: that pixels are divided by 255."""
    writer = MetadataWriter.create(bytearray(network)).add_general_info("pose").add_image_input([0.0], [255.0])
    for output in range(5):
        writer.add_feature_output(name=str(output))
    return bytes(writer.populate()[0])


def with_irises(network: bytes) -> bytes:
    """Tasks read 478 points of 3 numbers from a face mesh, and this one gives 468: add ten, which we do not use."""
    unpacked = tflite.ModelT.InitFromObj(tflite.Model.GetRootAsModel(network, 0))
    (graph,) = unpacked.subgraphs
    mesh, presence = graph.outputs
    amounts, padded = tflite.TensorT(), tflite.TensorT()
    content = tflite.BufferT()
    content.data = np.array([0, 0, 0, 0, 0, 0, 0, 30], np.int32).view(np.uint8)
    unpacked.buffers.append(content)
    amounts.name, amounts.shape, amounts.type = "amounts", [4, 2], tflite.TensorType.INT32
    amounts.buffer = len(unpacked.buffers) - 1
    padded.name, padded.shape, padded.type = "padded", [1, 1, 1, 478 * 3], tflite.TensorType.FLOAT32
    graph.tensors += [amounts, padded]
    step = tflite.OperatorT()
    codes = [code.deprecatedBuiltinCode for code in unpacked.operatorCodes]
    step.opcodeIndex = codes.index(tflite.BuiltinOperator.PAD)
    step.inputs, step.outputs = [mesh, len(graph.tensors) - 2], [len(graph.tensors) - 1]
    graph.operators.append(step)
    graph.outputs = [len(graph.tensors) - 1, presence]
    builder = flatbuffers.Builder(len(network) + 4096)
    builder.Finish(unpacked.Pack(builder), b"TFL3")
    return bytes(builder.Output())


@pytest.fixture(scope="module")
def tasks(tmp_path_factory: pytest.TempPathFactory) -> tuple[GivenFile, ...]:
    networks = {
        "hand": (model("palm_detection/palm_detection_full"), model("hand_landmark/hand_landmark_full")),
        "face": (
            model("face_detection/face_detection_short_range"),
            with_irises(model("face_landmark/face_landmark")),
        ),
        "pose": (model("pose_detection/pose_detection"), described(model("pose_landmark/pose_landmark_full"))),
    }
    folder = tmp_path_factory.mktemp("tasks")
    return tuple(
        pack(folder / f"{kind}.task", dict(zip(ENTRIES[kind][:2], pair, strict=True)))
        for kind, pair in networks.items()
    )


@pytest.fixture(scope="module")
def extract(tasks: tuple[GivenFile, ...]) -> Extract:
    return MediapipeTasks(tasks=tasks).load(Context())


@pytest.fixture(scope="module")
def photographs() -> list[Pixels]:
    astronaut: Pixels = data.astronaut()
    noise = np.random.default_rng(0).integers(0, 256, (256, 176, 3), dtype=np.uint8)
    real = sorted(REAL.glob("*.png"))[:3]  # none where shared/ is not here
    return [
        astronaut,
        noise,
        astronaut[:400, 60:420],
        *(np.asarray(Image.open(path).convert("RGB")) for path in real),
    ]


@pytest.fixture(scope="module")
def results(extract: Extract, photographs: list[Pixels]) -> list[Result]:
    return [extract([image])[0] for image in photographs]


@pytest.fixture(scope="module")
def by_solutions(photographs: list[Pixels]) -> list[Result]:
    return MediapipeKeypoints().load(Context())(photographs)


def test_a_record_is_laid_out_as_that_of_the_solutions(results: list[Result], by_solutions: list[Result]) -> None:
    assert results[1] == by_solutions[1] == NO_PERSON
    one, other = record_of(results[0]), record_of(by_solutions[0])
    assert [(k, v.shape, v.dtype) for k, v in one.items()] == [(k, v.shape, v.dtype) for k, v in other.items()]


def both_there(results: list[Result], by_solutions: list[Result]) -> list[tuple[Record, Record]]:
    return [(record_of(a), record_of(b)) for a, b in zip(results, by_solutions, strict=True) if a != NO_PERSON]


def test_with_the_same_models_body_and_face_are_those_of_the_solutions(
    results: list[Result], by_solutions: list[Result]
) -> None:
    """The tolerance: over 33 photographs the same points were found, with joints up to 1.02 % of the height apart, and
    face points up to 2.6 % of the distance of the eyes: where joints move the head crop by a pixel, otherwise 0.06 %.
    """
    there = both_there(results, by_solutions)
    for record, expected in there:
        for part, unit, tolerance in (
            ("body", expected["size"][1], 0.015),
            ("face", interocular_distance(expected["face"]), 0.03),
        ):
            np.testing.assert_array_equal(found(record[part]), found(expected[part]))
            assert found(record[part]).sum() >= 8
            assert np.nanmax(errors(record[part], expected[part])) < tolerance * unit
    astronaut, expected = there[0]
    assert errors(astronaut["face"], expected["face"]).max() < 0.02


@pytest.mark.skipif(not REAL.is_dir(), reason="shared/data/real is not here")
def test_with_the_same_models_hands_are_near_those_of_the_solutions(
    results: list[Result], by_solutions: list[Result]
) -> None:
    """The two graphs place the crop of a hand differently, so that even whether it is found can differ; over
    33 photographs half of the points were within 3.8 % of the hand's size, nine in ten within 11 %."""
    hands = [pair for r, e in both_there(results, by_solutions) for pair in zip(r["hands"], e["hands"], strict=True)]
    apart = [errors(hand, expected) / hand_size(expected) for hand, expected in hands if found(hand).any()]
    assert len(apart) >= 3
    assert np.nanmedian(apart) < 0.1


def test_a_part_without_a_task_is_not_in_the_record(
    tasks: tuple[GivenFile, ...], photographs: list[Pixels], results: list[Result]
) -> None:
    whole = record_of(results[0])
    hand, face, pose = tasks
    for given, parts in (((pose,), {"body"}), ((face, pose), {"body", "face"}), ((pose, hand), {"body", "hands"})):
        record = record_of(MediapipeTasks(tasks=given).load(Context())(photographs[:1])[0])
        assert record.keys() == {*parts, "size"}
        assert_same_bits(record, {name: whole[name] for name in record})
    # She shows no hands: they were looked for, and were not found.
    assert not whole["hands"][..., 2].any()


def test_the_order_of_images_does_not_change_a_bit(
    tasks: tuple[GivenFile, ...], extract: Extract, photographs: list[Pixels], results: list[Result]
) -> None:
    for image, expected in zip(reversed(photographs), reversed(results), strict=True):
        assert_same_bits(extract([image])[0], expected)
    fresh = MediapipeTasks(tasks=tasks).load(Context())
    for image, expected in zip(photographs[2:], fresh(photographs[2:]), strict=True):
        assert_same_bits(extract([image])[0], expected)
    assert_same_bits(fresh(photographs[:1])[0], results[0])


@pytest.mark.parametrize("shape", [(1, 1), (2, 300), (300, 2), (9, 7)])
def test_tiny_images_show_nobody(extract: Extract, shape: tuple[int, int]) -> None:
    assert extract([np.full((*shape, 3), 200, np.uint8)]) == [NO_PERSON]


def run(extractor: MediapipeTasks, images: Sequence[Pixels], folder: Path, workers: int) -> tuple[list[Result], Any]:
    refs = []
    for i, image in enumerate(images):
        refs.append(ImageRef(folder / f"{i}.png"))
        Image.fromarray(image).save(refs[-1].path)
    with Cache(folder / "cache") as cache:
        extraction = open_engine("local", cache, device="cpu", workers=workers).run(
            Plan({extractor: tuple(refs)}, {}), {}
        )
        return [extraction.image(extractor, ref) for ref in refs], extraction.broken


def test_worker_processes_give_the_same_bits_and_write_nothing_to_the_terminal(
    tasks: tuple[GivenFile, ...],
    tmp_path: Path,
    photographs: list[Pixels],
    results: list[Result],
    capfd: pytest.CaptureFixture[str],
) -> None:
    by_workers, broken = run(MediapipeTasks(tasks=tasks), photographs, tmp_path, workers=2)
    assert not broken
    for one, other in zip(by_workers, results, strict=True):
        assert_same_bits(one, other)
    captured = capfd.readouterr()
    assert captured.out == captured.err == ""


# Models that are not what they are called


def assert_says_which(error: object, task: GivenFile) -> None:
    assert isinstance(error, UserError)
    assert str(error).startswith(f"MediaPipe cannot run {task.path} (")
    assert str(error).endswith("_landmarker .task file as it was published.")
    assert "\n" not in str(error)


@pytest.mark.parametrize("kind", ["pose", "face", "hand"])
def test_models_that_are_none_are_refused_when_loaded(
    kind: str, tasks: tuple[GivenFile, ...], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    wrong = named(tmp_path, kind)
    others = [task for task in tasks if task_kind(task) != kind]
    with pytest.raises(UserError) as refused:
        MediapipeTasks(tasks=(*others, wrong)).load(Context())
    assert_says_which(refused.value, wrong)
    assert "not a valid Flatbuffer" in str(refused.value)
    assert "ERROR" not in capfd.readouterr().err


def test_a_model_that_fails_only_when_it_is_run_is_the_reason_that_the_engine_gives(
    tasks: tuple[GivenFile, ...], tmp_path: Path, photographs: list[Pixels]
) -> None:
    # The mesh with attention has seven outputs instead of two.
    networks = ("face_detection/face_detection_short_range", "face_landmark/face_landmark_with_attention")
    wrong = pack(tmp_path / "wrong.task", dict(zip(ENTRIES["face"][:2], map(model, networks), strict=True)))
    extractor = MediapipeTasks(tasks=(tasks[2], wrong))
    _, broken = run(extractor, photographs[:1], tmp_path, workers=1)
    assert_says_which(broken[extractor], wrong)


# The option of kec and pckh


def test_the_keypoint_protocols_detect_with_the_tasks_that_are_given(tmp_path: Path) -> None:
    given = tuple(named(tmp_path, kind, kind.encode()) for kind in ("pose", "face", "hand"))
    text = ", ".join(str(task.path) for task in given)
    for protocol in (Kec, Pckh):
        chosen = configure(protocol, "paper", {"tasks": text})
        assert {need.extractor for need in chosen.needs()} == {MediapipeTasks(tasks=given)}
        assert all(task.sha256 in chosen.parameters()["tasks"] for task in given)
        assert str(tmp_path) not in str(chosen.parameters())
        assert configure(protocol, "paper", {"tasks": ",".join(str(t.path) for t in given[::-1])}).parameters() == (
            chosen.parameters()
        )


def test_a_part_without_a_task_is_missing_with_the_reason(tmp_path: Path) -> None:
    chosen = configure(Kec, "paper", {"tasks": str(named(tmp_path, "pose").path)})
    assert chosen.lacks_part("body", Given()) is None
    assert chosen.lacks_part("face", Given()) == Missing("no face landmarker is among the tasks", "not asked")
    assert chosen.lacks_part("hands", Given()) == Missing("no hand landmarker is among the tasks", "not asked")


@pytest.mark.parametrize("kind", ["face", "holistic", "gesture"])
def test_a_task_of_the_wrong_kind_is_wrong_use_before_anything_runs(kind: str, tmp_path: Path) -> None:
    # The detector looks into the file, because a protocol opens none; `evaluate` asks it to before it makes a folder.
    write_image(tmp_path / "images" / "a.png", 0)
    pairs = Pairs.from_folders(tmp_path / "images", tmp_path / "images")
    chosen = configure(Kec, "paper", {"tasks": str(named(tmp_path, kind).path)})
    with (
        Cache(tmp_path / "cache") as cache,
        pytest.raises(UserError, match=r"pose|holistic|another kind"),
    ):
        evaluate(pairs, [chosen], engine=open_engine("local", cache), output=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_tasks_end_to_end_where_only_a_pose_is_given(tasks: tuple[GivenFile, ...], tmp_path: Path) -> None:
    pose = next(task for task in tasks if task_kind(task) == "pose")
    for folder in ("generated", "target"):
        (tmp_path / folder).mkdir()
        Image.fromarray(data.astronaut()).save(tmp_path / folder / "a.png")
    pairs = Pairs.from_folders(tmp_path / "generated", tmp_path / "target")
    with Cache(tmp_path / "cache") as cache:
        run = evaluate(pairs, [Kec(tasks=(pose,)), Pckh(tasks=(pose,))], engine=open_engine("local", cache, workers=1))
    assert run.scores["kec_auc_body"].value == 1
    assert run.scores["pckh"].value == 1
    assert run.scores["kec_auc_face"].value is None
    assert run.scores["kec_auc_face"].missing == {"no face landmarker is among the tasks": 1}
