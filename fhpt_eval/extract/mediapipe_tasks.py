"""Keypoints of a person by MediaPipe's Tasks, whose models the user gives as ``.task`` files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from typing import Any, ClassVar, Literal, TypeAlias
from zipfile import ZIP_STORED, BadZipFile, ZipFile

from fhpt_eval.errors import UserError
from fhpt_eval.extract.extractor import Context, Pixels
from fhpt_eval.extract.keypoint_detector import KeypointDetector
from fhpt_eval.extract.mediapipe_keypoints import Landmarker, Landmarkers, native_code_quiet
from fhpt_eval.files.given import GivenFile
from fhpt_eval.maths.keypoints import Part
from fhpt_eval.records import Result

Kind: TypeAlias = Literal["pose", "face", "hand"]

_KINDS: tuple[Kind, ...] = ("pose", "face", "hand")
_FINDS: Mapping[Kind, Part] = {"pose": "body", "face": "face", "hand": "hands"}
_WANTED = "pose_landmarker, face_landmarker or hand_landmarker .task file"


@dataclass(frozen=True, kw_only=True)
class MediapipeTasks(KeypointDetector):
    """Records what `MediapipeKeypoints` does, with the same layouts, crops and rules, by models that the user gives.

    ``body`` and ``size`` are always there. ``face`` is there only with a face task, and ``hands`` only with a hand
    task: a part without its array was not looked for, while one whose points are all (NaN, NaN, 0) was not found.

    With the same models the two back-ends still differ, because MediaPipe's graphs do: do not compare their scores.

    Attributes:
        tasks: One ``.task`` file of each kind: pose (required), face, hand; in any order.
    """

    name: ClassVar[str] = "mediapipe-tasks"
    libraries: ClassVar[tuple[str, ...]] = ("mediapipe",)
    process: ClassVar[bool] = True
    tasks: tuple[GivenFile, ...] = ()

    def parameters(self) -> dict[str, str | int | float | bool | None]:
        """All fields in printable form; the tasks by their content, in an order of their own."""
        return {**super().parameters(), "tasks": "+".join(sorted(str(task) for task in self.tasks))}

    @property
    def parts(self) -> tuple[Part, ...]:
        """What the tasks find."""
        kinds = tasks_by_kind(self.tasks)
        return tuple(part for kind, part in _FINDS.items() if kind in kinds)

    def check(self) -> None:
        """Refuse tasks that are not what they should be (see `tasks_by_kind`)."""
        tasks_by_kind(self.tasks)

    def load(self, context: Context) -> Callable[[Sequence[Pixels]], list[Result]]:  # noqa: ARG002 - models are given
        """Start the landmarkers in image mode, which carries nothing from image to image, on the CPU.

        Raises:
            UserError: If the tasks are not what they should be (see `tasks_by_kind`), or MediaPipe refuses one. The
                function that is returned raises it too: some models are refused only once they are run.
        """
        tasks = tasks_by_kind(self.tasks)
        with native_code_quiet():
            landmarkers = {kind: _landmarker(kind, task) for kind, task in tasks.items()}
        return Landmarkers(landmarkers["pose"], landmarkers.get("face"), landmarkers.get("hand")).extract


def tasks_by_kind(tasks: Iterable[GivenFile]) -> Mapping[Kind, GivenFile]:
    """Tell tasks apart by `task_kind`.

    Raises:
        UserError: If one is no landmarker, two are of one kind, or none is a pose landmarker.
    """
    found: dict[Kind, GivenFile] = {}
    for task in tasks:
        kind = task_kind(task)
        if kind in found:
            raise UserError(f"{found[kind].path} and {task.path} are both {kind} landmarkers: give one of each kind.")
        found[kind] = task
    if "pose" not in found:
        raise UserError(
            "no pose landmarker is among the MediaPipe tasks, and the pose says where face and hands are looked for:"
            " give a pose_landmarker .task file too."
        )
    return found


@cache
def task_kind(file: GivenFile) -> Kind:
    """Tell what a ``.task`` file detects: an archive of uncompressed models, told by their names without reading them.

    Raises:
        UserError: If the file cannot be read, or is not the archive of exactly one of the three landmarkers.
    """
    data = file.read()
    try:
        with ZipFile(BytesIO(data)) as archive:
            entries = archive.infolist()
    except (BadZipFile, ValueError, NotImplementedError, OSError):
        raise UserError(f"{file.path} is not a MediaPipe task: give a {_WANTED}.") from None
    names = {entry.filename for entry in entries}
    kinds = [kind for kind in _KINDS if f"{kind}_landmarks_detector.tflite" in names]
    if len(kinds) > 1:
        raise UserError(
            f"{file.path} holds landmarkers of {' and '.join(kinds)} in one, as the holistic task does, which carries"
            " state from image to image: give a .task file for each instead."
        )
    if not kinds or f"{kinds[0]}_detector.tflite" not in names:
        raise UserError(f"{file.path} is another kind of MediaPipe task: give a {_WANTED}.")
    if any(e.compress_type != ZIP_STORED for e in entries) or sum(e.file_size for e in entries) > len(data):
        raise UserError(f"{file.path} is damaged or was packed again: give the {_WANTED} as it was published.")
    return kinds[0]


def _landmarker(kind: Kind, task: GivenFile) -> Landmarker:
    """Start one landmarker for the one person, face or two hands that are looked for."""
    import mediapipe
    from mediapipe.tasks.python import vision
    from mediapipe.tasks.python.core.base_options import BaseOptions

    landmarker, options, at_most = {
        "pose": (vision.PoseLandmarker, vision.PoseLandmarkerOptions, {"num_poses": 1}),
        "face": (vision.FaceLandmarker, vision.FaceLandmarkerOptions, {"num_faces": 1}),
        "hand": (vision.HandLandmarker, vision.HandLandmarkerOptions, {"num_hands": 2}),
    }[kind]
    base = BaseOptions(model_asset_buffer=task.read(), delegate=BaseOptions.Delegate.CPU)

    def of_this_task(run: Callable[[], Any]) -> Any:
        try:
            return run()
        except (RuntimeError, ValueError) as error:
            raise UserError(
                f"MediaPipe cannot run {task.path} ({_in_short(error)}): give the {kind}_landmarker .task file as it"
                " was published."
            ) from error

    running = of_this_task(
        lambda: landmarker.create_from_options(
            options(base_options=base, running_mode=vision.RunningMode.IMAGE, **at_most)
        )
    )

    def find(pixels: Pixels) -> Sequence[Sequence[Any]]:
        image = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=pixels)
        found: Sequence[Sequence[Any]] = getattr(of_this_task(lambda: running.detect(image)), f"{kind}_landmarks")
        return found

    return find


def _in_short(error: Exception) -> str:
    """Return the last line of a message, without the graphs' names before a failed check and the full stop."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[-1].split("; ")[-1].rstrip(".")
