"""Pairs of images as tensors: what the network is trained on and what it generates from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from fhpt_eval.errors import UserError
from fhpt_eval.generation.reference_model import Request
from fhpt_eval.images.decoding import ImageRef, Rgb, read_image
from fhpt_eval.maths.keypoints import found
from fhpt_eval.people.detection import Person
from fhpt_eval.reference_models.drn.assembly import crop_box, cut
from fhpt_eval.reference_models.drn.network import FACE_SIZE
from fhpt_eval.reference_models.drn.pose import heatmaps, sketch


def have_faces(source: Person, target: Person) -> bool:
    """Whether a frontal face is there in both images, and its landmarks in the target (§IV-A)."""
    return None not in (source.face_box, target.face_box) and bool(found(target.face).any())


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


def to_tensor(pixels: Rgb) -> Tensor:
    """H×W×3 uint8 to 3×H×W in [−1, 1]."""
    return torch.from_numpy(np.ascontiguousarray(pixels)).permute(2, 0, 1).float() / 127.5 - 1


def to_pixels(image: Tensor) -> Rgb:
    """3×H×W, clipped to [−1, 1], to H×W×3 uint8, rounded."""
    scaled = ((image.float().clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
    return scaled.permute(1, 2, 0).cpu().numpy()


def read_fitting(ref: ImageRef, divisor: int) -> Rgb:
    """Read an image whose size suits a network that halves it so often that it is divided by ``divisor``.

    Raises:
        UserError: It cannot be read, or its size does not suit.
    """
    pixels = read_image(ref)
    height, width = pixels.shape[:2]
    if height % divisor or width % divisor or min(height, width) < 2 * divisor:
        raise UserError(
            f"{ref.path} is {width}×{height}, and the network needs multiples of {divisor}, at least {2 * divisor}:"
            " bring all images to one such size, as 176×256."
        )
    return pixels


def poses(person: Person, height: int, width: int) -> Tensor:
    """Return the heatmaps of a person as a tensor, 18×height×width."""
    return torch.from_numpy(heatmaps(person.body, height, width))


def crop_of(person: Person) -> Tensor:
    """Return the square about a person's face; the face must be there."""
    if person.face_box is None:
        raise ValueError("the person has no face box")
    return crop_box(torch.tensor(person.face_box, dtype=torch.float32))


def sketch_of(person: Person) -> Tensor:
    """H_F of a person whose face is there: 1×64×64."""
    return torch.from_numpy(sketch(person.face, crop_of(person).numpy(), FACE_SIZE))


def images_of(request: Request) -> tuple[Tensor, Tensor]:
    """I_s and I_t, 3×H×W in [−1, 1].

    Raises:
        UserError: One cannot be read.
    """
    if request.target is None:
        raise ValueError(f"request {request.name} lacks its target")
    return to_tensor(read_image(request.source)), to_tensor(read_image(request.target))


class BodyPairs(Dataset[BodySample]):
    """Whole images for the body of the network, all of one size (height, width)."""

    def __init__(self, pairs: Sequence[Request], size: tuple[int, int]) -> None:
        self._pairs = pairs
        self._size = size

    def __len__(self) -> int:
        return len(self._pairs)

    def __getitem__(self, index: int) -> BodySample:
        """Read one pair.

        Raises:
            UserError: An image cannot be read, or has another size.
        """
        pair = self._pairs[index]
        source_person, target_person = pair.people
        source, target = images_of(pair)
        height, width = self._size
        for image, ref in ((source, pair.source), (target, pair.target)):
            if image.shape[1:] != (height, width) and ref is not None:
                raise UserError(
                    f"{ref.path} is {image.shape[2]}×{image.shape[1]} and others are {width}×{height}: bring all"
                    " images to one size."
                )
        return {
            "source": source,
            "target": target,
            "source_pose": poses(source_person, height, width),
            "target_pose": poses(target_person, height, width),
        }


class FacePairs(Dataset[FaceSample]):
    """Face crops of the pairs that have faces, for the face module."""

    def __init__(self, pairs: Sequence[Request]) -> None:
        self._pairs = [pair for pair in pairs if have_faces(*pair.people)]

    def __len__(self) -> int:
        return len(self._pairs)

    def __getitem__(self, index: int) -> FaceSample:
        """Read one pair.

        Raises:
            UserError: An image cannot be read.
        """
        pair = self._pairs[index]
        source_person, target_person = pair.people
        source, target = images_of(pair)
        return {
            "source": cut(source, crop_of(source_person), FACE_SIZE),
            "target": cut(target, crop_of(target_person), FACE_SIZE),
            "sketch": sketch_of(target_person),
        }
