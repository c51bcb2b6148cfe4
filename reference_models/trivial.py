"""Two models without a network: the floor and the ceiling of what a benchmark can show."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from fhpt_eval.generation.reference_model import Asset, Generator, ReferenceModel, Request
from fhpt_eval.images.decoding import Rgb, read_image


@dataclass(frozen=True, kw_only=True)
class CopySource(ReferenceModel):
    """Returns the source as it is: right person, wrong pose."""

    name: ClassVar[str] = "copy-source"
    title: ClassVar[str] = "the source itself: a floor"

    def load(self, device: str) -> Generator:  # noqa: ARG002 - nothing to load
        """Return what reads the sources."""
        return Generator(list, lambda request: read_image(request.source))


@dataclass(frozen=True, kw_only=True)
class Real(ReferenceModel):
    """Returns the target: what no model can surpass, except in measures that are blind to it."""

    name: ClassVar[str] = "real"
    title: ClassVar[str] = "the real target: a ceiling"
    needs: ClassVar[frozenset[Asset]] = frozenset({"target"})

    def load(self, device: str) -> Generator:  # noqa: ARG002 - nothing to load
        """Return what reads the targets."""
        return Generator(list, _target)


def _target(request: Request) -> Rgb:
    if request.target is None:
        raise ValueError(f"request {request.name} lacks its target")
    return read_image(request.target)
