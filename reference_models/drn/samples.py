"""Pairs of images as tensors: what the network is trained on and what it generates from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypedDict

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from fhpt_eval.errors import UserError
from fhpt_eval.images import ImageError, ImageRef, Pixels, decode
from fhpt_eval.keypoints import Points, found
from fhpt_eval.reference_models.drn.assembly import crop_box, cut
from fhpt_eval.reference_models.drn.network import FACE_SIZE
from fhpt_eval.reference_models.drn.pose import heatmaps, sketch


@dataclass(frozen=True)
class Person:
    """What is known about the person in one image.

    Attributes:
        body: 18×3 keypoints.
        face: 68×3 landmarks.
        face_box: left, top, right, bottom in pixels, of a frontal face; None where there is none.
    """

    body: Points
    face: Points
    face_box: tuple[int, int, int, int] | None


@dataclass(frozen=True)
class PersonPair:
    """Two images of a person.

    Attributes:
        name: Of the pair.
        source: I_s.
        target: I_t.
        source_person: P_s and the source's face box.
        target_person: P_t, the target's landmarks and face box.
    """

    name: str
    source: ImageRef
    target: ImageRef
    source_person: Person
    target_person: Person

    @property
    def has_faces(self) -> bool:
        """Whether a frontal face is there in both images, and its landmarks in the target (§IV-A)."""
        boxes = (self.source_person.face_box, self.target_person.face_box)
        return None not in boxes and bool(found(self.target_person.face).any())


class BodySample(TypedDict):
    """Tensors of one pair: images 3×H×W in [−1, 1]; poses 18×H×W in [0, 1]."""

    source: Tensor
    target: Tensor
    source_pose: Tensor
    target_pose: Tensor


class FaceSample(TypedDict):
    """Tensors of the faces of one pair: crops 3×64×64 in [−1, 1], the target's sketch 1×64×64 in [0, 1]."""

    source: Tensor
    target: Tensor
    sketch: Tensor


def to_tensor(pixels: Pixels) -> Tensor:
    """H×W×3 uint8 to 3×H×W in [−1, 1]."""
    return torch.from_numpy(np.ascontiguousarray(pixels)).permute(2, 0, 1).float() / 127.5 - 1


def to_pixels(image: Tensor) -> Pixels:
    """3×H×W, clipped to [−1, 1], to H×W×3 uint8, rounded."""
    scaled = ((image.float().clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
    return scaled.permute(1, 2, 0).cpu().numpy()


def read_image(ref: ImageRef) -> Tensor:
    """Decode an image to 3×H×W in [−1, 1].

    Raises:
        UserError: It cannot be read.
    """
    try:
        return to_tensor(decode(ref.path.read_bytes()).pixels)
    except (OSError, ImageError) as error:
        raise UserError(f"{ref.path} cannot be read ({error}): mend or remove it.") from None


def poses(person: Person, height: int, width: int) -> Tensor:
    """The heatmaps of a person as a tensor, 18×height×width."""
    return torch.from_numpy(heatmaps(person.body, height, width))


def crop_of(person: Person) -> Tensor:
    """The square about a person's face; the face must be there."""
    if person.face_box is None:
        raise ValueError("the person has no face box")
    return crop_box(torch.tensor(person.face_box, dtype=torch.float32))


def sketch_of(person: Person) -> Tensor:
    """H_F of a person whose face is there: 1×64×64."""
    return torch.from_numpy(sketch(person.face, crop_of(person).numpy(), FACE_SIZE))


class BodyPairs(Dataset[BodySample]):
    """Whole images of one size, for the body of the network."""

    def __init__(self, pairs: Sequence[PersonPair]) -> None:
        self._pairs = pairs

    def __len__(self) -> int:
        return len(self._pairs)

    def __getitem__(self, index: int) -> BodySample:
        """Read one pair.

        Raises:
            UserError: An image cannot be read, or the two differ in size.
        """
        pair = self._pairs[index]
        source, target = read_image(pair.source), read_image(pair.target)
        if source.shape != target.shape:
            raise UserError(f"pair {pair.name}: source and target differ in size; bring all images to one size.")
        _, height, width = target.shape
        return {
            "source": source,
            "target": target,
            "source_pose": poses(pair.source_person, height, width),
            "target_pose": poses(pair.target_person, height, width),
        }


class FacePairs(Dataset[FaceSample]):
    """Face crops of the pairs that have faces, for the face module."""

    def __init__(self, pairs: Sequence[PersonPair]) -> None:
        self._pairs = [pair for pair in pairs if pair.has_faces]

    def __len__(self) -> int:
        return len(self._pairs)

    def __getitem__(self, index: int) -> FaceSample:
        """Read one pair.

        Raises:
            UserError: An image cannot be read.
        """
        pair = self._pairs[index]
        return {
            "source": cut(read_image(pair.source), crop_of(pair.source_person), FACE_SIZE),
            "target": cut(read_image(pair.target), crop_of(pair.target_person), FACE_SIZE),
            "sketch": sketch_of(pair.target_person),
        }
