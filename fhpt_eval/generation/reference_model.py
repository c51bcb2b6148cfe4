"""What a reference model is: a frozen value that, once loaded, makes images of people in new poses."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeAlias

from fhpt_eval.extract.weights import Weights
from fhpt_eval.images.decoding import ImageRef, Rgb
from fhpt_eval.people.detection import Person
from fhpt_eval.plugins import Found, find_plugins

Asset: TypeAlias = Literal["target", "people"]


@dataclass(frozen=True)
class Request:
    """One image to make: the person of the source in the pose of the target.

    Attributes:
        name: What the image will be called, without suffix: ``A_2_B_vis``.
        source: I_s.
        target_name: What the target is called in the list of pairs.
        target: I_t; None for models that do not ask for it, where it was not given.
        source_person: P_s and the face in the source; None for models that do not ask for people.
        target_person: P_t and the face in the target, likewise.
    """

    name: str
    source: ImageRef
    target_name: str
    target: ImageRef | None = None
    source_person: Person | None = None
    target_person: Person | None = None

    def fingerprint(self, content: Callable[[Path], str], *, target: bool) -> str:
        """Return a hash of what an image is made from: the source's content, the people, and the target's if it counts.

        Args:
            content: Hashes a file; it should remember, because images stand in many pairs.
            target: Whether the target counts.
        """
        files = [self.source, *([self.target] if target and self.target is not None else [])]
        parts = [content(ref.path).encode() for ref in files]
        for person in (self.source_person, self.target_person):
            if person is not None:
                parts += [person.body.tobytes(), person.face.tobytes(), str(person.face_box).encode()]
        return hashlib.sha256(b"\n".join(parts)).hexdigest()

    @property
    def people(self) -> tuple[Person, Person]:
        """The persons in source and target, for models that ask for people."""
        if self.source_person is None or self.target_person is None:
            raise ValueError(f"request {self.name} lacks its people")
        return self.source_person, self.target_person


def _itself(request: Request) -> Request:
    return request


@dataclass(frozen=True)
class Generator:
    """What makes images, in two steps: files are read for the next images while these ones are drawn.

    Attributes:
        draw: From what was read for a batch of requests to as many H×W×3 uint8 images, each depending on its own
            request alone. Is called in one thread, batch after batch.
        read: From a request to what ``draw`` needs of it, by default the request itself. Is called ahead, in threads.
    """

    draw: Callable[[Sequence[Any]], list[Rgb]]
    read: Callable[[Request], Any] = _itself

    def __call__(self, requests: Sequence[Request]) -> list[Rgb]:
        """Read and draw a batch."""
        return self.draw([self.read(request) for request in requests])


@dataclass(frozen=True, kw_only=True)
class ReferenceModel(ABC):
    """A model that produces images under test. The fields are its options, each with a default.

    Class attributes:
        name: What it is called on the command line.
        title: One line for listings.
        training_weights: Weights files that training it asks for; `fhpt-eval weights` lists them.
        needs: What a request must have beside the source: the ``target`` image, or the ``people`` in both.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    training_weights: ClassVar[tuple[Weights, ...]] = ()
    needs: ClassVar[frozenset[Asset]] = frozenset()

    def identity(self) -> str:
        """Return a hash of what the options name (a checkpoint's content), so that models are not mixed up."""
        return ""

    def remarks(self, requests: Sequence[Request]) -> list[str]:  # noqa: ARG002 - models may look at them
        """Return what is to be said before the images are made, one sentence each."""
        return []

    @abstractmethod
    def load(self, device: str) -> Generator:
        """Return what makes images, with its network in memory.

        Args:
            device: The torch device.

        Raises:
            UserError: If its options name something that is not there or does not fit.
        """


def find_reference_models() -> Found[ReferenceModel]:
    """Import every reference model that an installed package declares (``fhpt_eval.reference_models``)."""
    return find_plugins("fhpt_eval.reference_models", "reference model", ReferenceModel, lambda model: model())
