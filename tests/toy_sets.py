"""Distances between sets over six features of an image, which any machine computes in no time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from fhpt_eval.extract.extractor import Context, ImageExtractor, Pixels
from fhpt_eval.extract.weights import Weights
from fhpt_eval.protocols.fid import Fid
from fhpt_eval.protocols.kid import Kid
from fhpt_eval.protocols.prdc import Prdc
from fhpt_eval.records import Result


@dataclass(frozen=True, kw_only=True)
class Moments(ImageExtractor):
    """Records ``moments`` (6 float32): mean and deviation of each channel."""

    name: ClassVar[str] = "moments"
    calls: ClassVar[list[int]] = []
    file: ClassVar[tuple[Weights, ...]] = ()

    def weights(self) -> tuple[Weights, ...]:
        return self.file

    def load(self, context: Context) -> Callable[[Sequence[Pixels]], list[Result]]:
        def extract(images: Sequence[Pixels]) -> list[Result]:
            self.calls.append(len(images))
            found = [np.concatenate([x.mean((0, 1)), x.std((0, 1))]).astype(np.float32) / 100 for x in images]
            return [{"moments": row} for row in found]

        return extract


class _OfMoments:
    feature = ("moments", 6)

    def extractor(self, role: Literal["generated", "reference"]) -> Moments:
        return Moments(geometry=getattr(self, f"{role}_geometry"))


@dataclass(frozen=True, kw_only=True)
class ToyFid(_OfMoments, Fid):
    """A Fréchet distance."""


@dataclass(frozen=True, kw_only=True)
class ToyKid(_OfMoments, Kid):
    """A kernel distance."""


@dataclass(frozen=True, kw_only=True)
class ToyPrdc(_OfMoments, Prdc):
    """Neighbourhoods."""
