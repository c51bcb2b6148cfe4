"""Pictures and people as tensors: what the network is trained on and what it generates from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
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
from fhpt_eval.reference_models.drn.pose import sketch


def have_faces(source: Person, target: Person) -> bool:
    """Whether a frontal face is there in both images, and its landmarks in the target (§IV-A)."""
    return None not in (source.face_box, target.face_box) and bool(found(target.face).any())


def to_images(pixels: Tensor) -> Tensor:
    """…×H×W×3 uint8 to …×3×H×W in [−1, 1]; channels still come last in memory."""
    return pixels.movedim(-1, -3).float() / 127.5 - 1


def to_bytes(images: Tensor) -> Tensor:
    """…×3×H×W, clipped to [−1, 1], to …×H×W×3 uint8, rounded, on the same device."""
    return ((images.float().clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8).movedim(-3, -1).contiguous()


def to_pixels(images: Tensor) -> npt.NDArray[np.uint8]:
    """Return `to_bytes` as an array."""
    return to_bytes(images).cpu().numpy()


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


def points_of(person: Person) -> Tensor:
    """Joints of a person, 18×3, for `heatmaps`."""
    return torch.from_numpy(person.body.astype(np.float32))


def crop_of(person: Person) -> Tensor:
    """Return the square about a person's face; the face must be there."""
    if person.face_box is None:
        raise ValueError("the person has no face box")
    return crop_box(torch.tensor(person.face_box, dtype=torch.float32))


def face_of(pixels: Rgb, person: Person) -> Tensor:
    """Cut the face of a person out of an image, H×W×3 uint8: 3×64×64 in [−1, 1]; the face must be there."""
    return cut(to_images(torch.from_numpy(pixels)), crop_of(person), FACE_SIZE)


def sketch_of(person: Person) -> Tensor:
    """H_F of a person whose face is there: 1×64×64."""
    return torch.from_numpy(sketch(person.face, crop_of(person).numpy(), FACE_SIZE))


class PairData(Dataset[dict[str, Tensor]], ABC):
    """Pairs of pictures to train on. A picture stands in many pairs, and what is read of it depends on it alone.

    Args:
        requests: The pairs; their people are known.

    Attributes:
        pictures: Each picture with its person, once.
        pairs: Numbers of the source and of the target of each pair, N×2.
    """

    def __init__(self, requests: Sequence[Request]) -> None:
        numbers: dict[tuple[ImageRef, int], int] = {}
        self.pictures: list[tuple[ImageRef, Person]] = []

        def number(ref: ImageRef, person: Person) -> int:
            # Keypoint files can tell two things of one picture, as a source and as a target.
            new = numbers.setdefault((ref, id(person)), len(self.pictures))
            if new == len(self.pictures):
                self.pictures.append((ref, person))
            return new

        rows = []
        for request in requests:
            if request.target is None:
                raise ValueError(f"request {request.name} lacks its target")
            source, target = request.people
            rows.append((number(request.source, source), number(request.target, target)))
        self.pairs = torch.tensor(rows, dtype=torch.long).reshape(-1, 2)

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        """Read one pair: what `read` says of the source, by ``source_…``, and of the target, by ``target_…``.

        Raises:
            UserError: An image cannot be read, or has another size.
        """
        source, target = (self.read(number) for number in self.pairs[index].tolist())
        return paired(source, target)

    @abstractmethod
    def read(self, number: int) -> dict[str, Tensor]:
        """Read a picture; tensors of all pictures are of one shape.

        Raises:
            UserError: It cannot be read, or has another size.
        """


def paired(source: Mapping[str, Tensor], target: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Name what is known of sources and targets: ``source_image``, ``target_image`` and so on."""
    return {
        f"{role}_{what}": value for role, of in (("source", source), ("target", target)) for what, value in of.items()
    }


class BodyPairs(PairData):
    """Whole images for the body of the network, all of one size (height, width).

    Of each picture: ``image``, H×W×3 uint8, and ``body``, 18×3.
    """

    def __init__(self, requests: Sequence[Request], size: tuple[int, int]) -> None:
        super().__init__(requests)
        self._size = size

    def read(self, number: int) -> dict[str, Tensor]:
        """Read a whole image."""
        ref, person = self.pictures[number]
        pixels, (height, width) = read_image(ref), self._size
        if pixels.shape[:2] != self._size:
            raise UserError(
                f"{ref.path} is {pixels.shape[1]}×{pixels.shape[0]} and others are {width}×{height}: bring all"
                " images to one size."
            )
        return {"image": torch.from_numpy(pixels), "body": points_of(person)}


class FacePairs(PairData):
    """Faces of the pairs that have them, for the face module.

    Of each picture: ``face``, 3×64×64 in [−1, 1], and ``sketch``, 1×64×64 in [0, 1].
    """

    def __init__(self, requests: Sequence[Request]) -> None:
        super().__init__([request for request in requests if have_faces(*request.people)])

    def read(self, number: int) -> dict[str, Tensor]:
        """Cut out a face."""
        ref, person = self.pictures[number]
        return {"face": face_of(read_image(ref), person), "sketch": sketch_of(person)}
