"""The largest face of an image and its embedding, by dlib, with exactly the numbers of ``face_recognition``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import metadata
from typing import Any, ClassVar, Literal

import numpy as np

from fhpt_eval.errors import UserError
from fhpt_eval.extract.extractor import Context, ImageExtractor, Pixels
from fhpt_eval.libraries import import_face_recognition
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

    def load(self, context: Context) -> Callable[[Sequence[Pixels]], list[Result]]:  # noqa: ARG002 - has its own files
        """Load detector, landmark and embedding networks from ``face_recognition``.

        The function that is returned takes H×W×3 uint8 RGB, and raises `UserError` for any other dtype.

        Raises:
            ImportError, RuntimeError: If ``face_recognition`` cannot be loaded.
        """
        library = import_face_recognition()
        return lambda images: [self._largest_face(library, image) for image in images]

    def _largest_face(self, library: Any, image: Pixels) -> Record | Missing:
        if image.dtype != np.uint8:
            raise UserError(
                f"the face detector takes 8-bit pixels and the geometry '{self.geometry}' leaves fractions:"
                " end it with '> round'."
            )
        # dlib finds faces in a view of another array, and then refuses to embed them.
        image = np.ascontiguousarray(image)
        boxes = library.face_locations(image, number_of_times_to_upsample=self.upsample, model="hog")
        if not boxes:
            return NO_FACE
        largest = max(boxes, key=_area)
        (embedding,) = library.face_encodings(image, [largest], num_jitters=1, model=self.landmarks)
        return {
            "box": np.array(largest, dtype=np.int32),
            "embedding": embedding,
            "faces": np.array(len(boxes), dtype=np.int32),
        }


def _area(box: tuple[int, int, int, int]) -> int:
    top, right, bottom, left = box
    return (bottom - top) * (right - left)
