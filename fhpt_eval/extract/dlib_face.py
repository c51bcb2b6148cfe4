"""The largest face of an image and its embedding, by dlib, with exactly the numbers of ``face_recognition``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import metadata
from typing import ClassVar, Literal, NamedTuple, TypeAlias

import numpy as np

from fhpt_eval.errors import UserError
from fhpt_eval.extract.extractor import Context, ImageExtractor, Pixels
from fhpt_eval.libraries import import_face_models, import_face_recognition
from fhpt_eval.records import Missing, Record, Result

Landmarks = Literal["small", "large"]

NO_FACE = Missing("no face found", "finding")


def _installed(*distributions: str) -> tuple[str, ...]:
    """Which of ``distributions`` are here: dlib comes as ``dlib`` (compiled) or as ``dlib-bin`` (prebuilt)."""
    return tuple(name for name in distributions if any(metadata.distributions(name=name)))


@dataclass(frozen=True, kw_only=True)
class DlibFace(ImageExtractor):
    """Records the largest face; `NO_FACE` where there is none.

    * ``box``: 4 int32, (top, right, bottom, left) in pixels of the image, cut off at its borders: the order and the
      numbers of ``face_recognition.face_locations`` (HOG detector).
    * ``embedding``: 128 float64, of ``face_recognition.face_encodings`` for that box.
    * ``faces``: int32, how many faces were found.

    The largest face is the one whose box, as recorded, has the largest width × height; of equal ones the first by
    dlib's order, which is that of its confidence. The face is embedded once, as ``face_recognition`` does by default
    (``num_jitters=1``): more jitters are random, and would depend on which images came before.

    Attributes:
        upsample: How often the image is doubled in size before faces are looked for; the detector was trained on
            faces of 80×80 pixels and more, so that 2 finds those of 20×20.
        landmarks: Which points align the face: ``small`` (5 points, the default of ``face_encodings``) or ``large``
            (68 points).
    """

    name: ClassVar[str] = "dlib-face"
    libraries: ClassVar[tuple[str, ...]] = _installed("face-recognition", "face-recognition-models", "dlib", "dlib-bin")
    process: ClassVar[bool] = True
    upsample: int = 2
    landmarks: Landmarks = "small"

    def load(self, context: Context) -> Callable[[Sequence[Pixels]], list[Result]]:
        """Load detector, landmark and embedding networks of ``face_recognition``.

        Where numbers are computed by definitions, its public functions are called; otherwise dlib as they call it, so
        that its further networks need not be loaded.

        The function that is returned takes H×W×3 uint8 RGB, and raises `UserError` for any other dtype.

        Raises:
            ImportError, RuntimeError: If dlib or the networks cannot be loaded.
        """
        library: _Library = self._by_face_recognition() if context.reference_math else self._by_dlib()
        return lambda images: [self._largest_face(library, image) for image in images]

    def _largest_face(self, library: _Library, image: Pixels) -> Record | Missing:
        if image.dtype != np.uint8:
            raise UserError(
                f"the face detector takes 8-bit pixels and the geometry '{self.geometry}' leaves fractions:"
                " end it with '> round'."
            )
        # dlib finds faces in a view of another array, and then refuses to embed them.
        image = np.ascontiguousarray(image)
        boxes = library.locate(image)
        if not boxes:
            return NO_FACE
        largest = max(boxes, key=_area)
        return {
            "box": np.array(largest, dtype=np.int32),
            "embedding": library.embed(image, largest),
            "faces": np.array(len(boxes), dtype=np.int32),
        }

    def _by_face_recognition(self) -> _Library:
        library = import_face_recognition()

        def locate(image: Pixels) -> Sequence[_Box]:
            boxes: Sequence[_Box] = library.face_locations(image, number_of_times_to_upsample=self.upsample)
            return boxes

        def embed(image: Pixels, box: _Box) -> Pixels:
            (embedding,) = library.face_encodings(image, [box], model=self.landmarks)
            return np.asarray(embedding)

        return _Library(locate, embed)

    def _by_dlib(self) -> _Library:
        models = import_face_models()
        import dlib

        find = dlib.get_frontal_face_detector()
        small = self.landmarks == "small"
        points = models.pose_predictor_five_point_model_location if small else models.pose_predictor_model_location
        align = dlib.shape_predictor(points())
        encoder = dlib.face_recognition_model_v1(models.face_recognition_model_location())

        def locate(image: Pixels) -> Sequence[_Box]:
            height, width = image.shape[:2]
            return [
                (max(face.top(), 0), min(face.right(), width), min(face.bottom(), height), max(face.left(), 0))
                for face in find(image, self.upsample)
            ]

        def embed(image: Pixels, box: _Box) -> Pixels:
            top, right, bottom, left = box
            aligned = align(image, dlib.rectangle(left, top, right, bottom))
            return np.array(encoder.compute_face_descriptor(image, aligned, 1))

        return _Library(locate, embed)


_Box: TypeAlias = tuple[int, int, int, int]
"""(top, right, bottom, left)."""


class _Library(NamedTuple):
    """What is asked of dlib.

    Attributes:
        locate: The boxes of all faces in an image.
        embed: The embedding of the face in a box.
    """

    locate: Callable[[Pixels], Sequence[_Box]]
    embed: Callable[[Pixels, _Box], Pixels]


def _area(box: _Box) -> int:
    top, right, bottom, left = box
    return (bottom - top) * (right - left)
