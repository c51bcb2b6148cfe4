"""The largest face of an image and its embedding, by InsightFace's classes on networks that the user brings."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from fhpt_eval.errors import UserError
from fhpt_eval.extract.extractor import Context, ImageExtractor, Pixels
from fhpt_eval.files.given import GivenFile
from fhpt_eval.records import Missing, Record, Result

NO_FACE = Missing("no face found", "finding")

_FRAME = (512, 352)
"""Width and height that an image is fitted into before faces are looked for: MCLD's ``det_size``."""


@dataclass(frozen=True)
class FaceModels:
    """Two networks of one of InsightFace's model packs, such as buffalo_s.

    Attributes:
        detector: Finds faces and their five landmarks (SCRFD).
        recogniser: Embeds an aligned face (ArcFace).
    """

    detector: GivenFile
    recogniser: GivenFile

    @classmethod
    def at(cls, folder: str | Path) -> FaceModels:
        """Take of a folder of ONNX files the first detector and the first recogniser by name, as InsightFace does.

        Raises:
            UserError: They are not there, or cannot be read.
        """
        try:
            paths = sorted(path for path in Path(folder).iterdir() if path.suffix == ".onnx")
        except OSError as error:
            raise UserError(f"{folder} cannot be read ({error.strerror}): give the folder of ONNX files.") from None
        found: dict[str, GivenFile] = {}
        for path in paths:
            file = GivenFile.at(path)
            found.setdefault(_task(file), file)
        for task in ("detector", "recogniser"):
            if task not in found:
                named = ", ".join(path.name for path in paths) or "no ONNX file"
                raise UserError(
                    f"{folder} has no face {task} (there is {named}): give the folder of one of InsightFace's model"
                    " packs, such as buffalo_s."
                )
        return cls(found["detector"], found["recogniser"])

    def __str__(self) -> str:
        return f"{self.detector},{self.recogniser}"


def _task(file: GivenFile) -> str:
    """Return what a network is for by the number of its outputs and the size of its input, as InsightFace tells."""
    try:
        import onnx
    except ImportError:
        raise UserError(
            "networks of faces need InsightFace: install the extra with pip install 'fhpt-eval[insightface]'."
        ) from None
    from google.protobuf.message import DecodeError

    try:
        graph = onnx.load(BytesIO(file.read()), load_external_data=False).graph
    except DecodeError:
        raise UserError(f"{file.path} is no ONNX file: copy it again.") from None
    if len(graph.output) >= 5:
        return "detector"
    constants = {tensor.name for tensor in graph.initializer}
    inputs = [given.type.tensor_type.shape.dim for given in graph.input if given.name not in constants]
    sides = [dim.dim_value for dim in inputs[0][2:4]] if inputs else []
    square = len(sides) == 2 and sides[0] == sides[1] >= 112 and sides[0] % 16 == 0
    return "recogniser" if square and sides[0] != 192 and len(inputs) == 1 else "other"


@dataclass(frozen=True, kw_only=True)
class InsightFace(ImageExtractor):
    """Records the largest face; `NO_FACE` where there is none.

    * ``embedding``: float32, as the recogniser gives it, not brought to unit length (512 numbers of a model pack).
    * ``box``: 4 float32, (left, top, right, bottom) in pixels of the image, which it may exceed.
    * ``faces``: int32, how many faces were found.

    Faces are those that InsightFace's ``FaceAnalysis`` finds with ``det_size=(512, 352)``, a threshold of 0.5 and its
    non-maximum suppression of 0.4; the largest has the largest box, of equal ones the last by confidence. Everything
    is computed on the CPU, from files that are here: nothing of InsightFace that would download is called.

    Attributes:
        models: The two networks; None asks for those that the user gives.
    """

    name: ClassVar[str] = "insightface"
    libraries: ClassVar[tuple[str, ...]] = ("insightface", "onnxruntime", "scikit-image")
    extra: ClassVar[str] = "insightface"
    models: FaceModels | None = None

    def brought(self) -> Mapping[str, GivenFile]:
        """Return both networks."""
        if self.models is None:
            return {}
        return {"face-detector": self.models.detector, "face-recogniser": self.models.recogniser}

    def check(self) -> None:
        """Refuse networks that InsightFace's classes cannot run."""
        if self.models is not None:
            _Faces(self.models)

    def load(self, context: Context) -> Callable[[Sequence[Pixels]], list[Result]]:  # noqa: ARG002 - on the CPU
        """Load both networks.

        Raises:
            UserError: None are given, or they cannot be used.
        """
        if self.models is None:
            raise UserError("no networks of faces are given: give their folder with --face-models DIR.")
        faces = _Faces(self.models)
        return lambda images: [self._largest(faces, image) for image in images]

    def _largest(self, faces: _Faces, image: Pixels) -> Result:
        if image.dtype != np.uint8:
            raise UserError(
                f"the face detector takes 8-bit pixels and the geometry '{self.geometry}' leaves fractions:"
                " end it with '> round'."
            )
        return faces.largest(np.ascontiguousarray(image[..., ::-1]))


class _Faces:
    """InsightFace's detector and recogniser, ready to run."""

    def __init__(self, models: FaceModels) -> None:
        # Set once and narrowly, because catch_warnings swaps the filters of all threads: scikit-image's own advice to
        # InsightFace, which would be told for every face.
        warnings.filterwarnings("ignore", message="`estimate` is deprecated", module="insightface")
        from insightface.app.common import Face
        from insightface.model_zoo.arcface_onnx import ArcFaceONNX
        from insightface.model_zoo.retinaface import RetinaFace

        self._face: Any = Face
        self._detector: Any = RetinaFace(session=_session(models.detector))
        if not self._detector.use_kps:
            raise UserError(f"{models.detector.path} finds no landmarks, by which faces are aligned: give another.")
        self._detector.prepare(0, input_size=_FRAME)
        # It looks into the graph for how pixels are scaled.
        graph = BytesIO(models.recogniser.read())
        self._recogniser: Any = ArcFaceONNX(model_file=graph, session=_session(models.recogniser))

    def largest(self, image: Pixels) -> Record | Missing:
        """Return the record of an image in BGR."""
        boxes, landmarks = self._detector.detect(image)
        if not len(boxes):
            return NO_FACE
        index = max(range(len(boxes)), key=lambda i: (_area(boxes[i]), i))
        face = self._face(bbox=boxes[index, :4], kps=landmarks[index], det_score=boxes[index, 4])
        return {
            "embedding": np.asarray(self._recogniser.get(image, face), np.float32),
            "box": np.asarray(boxes[index, :4], np.float32),
            "faces": np.array(len(boxes), np.int32),
        }


def _area(box: Any) -> float:
    return float((box[2] - box[0]) * (box[3] - box[1]))


def _session(file: GivenFile) -> Any:
    """Return what runs a network: from its verified bytes, in one thread, so that equal images give equal bits."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(file.read(), options, providers=["CPUExecutionProvider"])
    except UserError:
        raise
    except Exception as error:  # noqa: BLE001 - the runtime has a class of its own for every failure
        why = " ".join(str(error).split()).rstrip(".")
        raise UserError(f"{file.path} cannot be run by onnxruntime ({why}): copy it again.") from None
