"""Extractors for tests: what they compute is obvious, and they count and fail on demand."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import ClassVar

import numpy as np
from PIL import Image

from fhpt_eval.extract.extractor import Context, Encoded, ImageExtractor, PairExtractor, PairModel, Pixels
from fhpt_eval.measuring.protocol import Records, Results
from fhpt_eval.records import Missing, Record, Result, Role

BLACK_MEANS_NOTHING = Missing("nothing found", "finding")


def write_image(path: Path, seed: int, size: tuple[int, int] = (24, 32)) -> Path:
    """Write a seeded width×height PNG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    width, height = size
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


class StubRecords(Records):
    """Results of each pair, written down for the roles that a protocol asks about."""

    def __init__(self, results: Mapping[tuple[Role, ...], Sequence[Result]]) -> None:
        self._results = results

    def per_pair(self, extractor: ImageExtractor | PairExtractor, *roles: Role) -> Results:
        results = self._results[roles]
        return Results(range(len(results)), lambda i: results[i])

    def unique(self, extractor: ImageExtractor, role: Role) -> Results:
        return self.per_pair(extractor, role)

    def unique_groups(self, role: Role) -> list[str]:
        raise NotImplementedError

    def reference(self) -> str:
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class MeanColour(ImageExtractor):
    """The mean of each channel; nothing is found in a black image."""

    name: ClassVar[str] = "mean-colour"
    calls: ClassVar[list[int]] = []
    memory_errors: ClassVar[list[MemoryError]] = []

    def load(self, context: Context) -> Callable[[Sequence[Pixels]], list[Result]]:
        def extract(images: Sequence[Pixels]) -> list[Result]:
            if type(self).memory_errors:
                raise type(self).memory_errors.pop()
            type(self).calls.append(len(images))
            return [{"mean": x.mean((0, 1))} if x.any() else BLACK_MEANS_NOTHING for x in images]

        return extract


@dataclass(frozen=True, kw_only=True)
class InProcess(ImageExtractor):
    """The mean and the process that computed it; dies on a white image, raises on a grey one, hangs on a red one."""

    name: ClassVar[str] = "in-process"
    process: ClassVar[bool] = True

    def load(self, context: Context) -> Callable[[Sequence[Pixels]], list[Result]]:
        def extract(images: Sequence[Pixels]) -> list[Result]:
            if (images[0] == 255).all():
                os._exit(9)
            if (images[0] == 128).all():
                raise ArithmeticError("grey")
            if (images[0] == (200, 0, 0)).all():
                Event().wait()
            return [{"mean": x.mean((0, 1)), "pid": np.array(os.getpid())} for x in images]

        return extract


@dataclass(frozen=True, kw_only=True)
class Broken(ImageExtractor):
    """Fails on every image."""

    name: ClassVar[str] = "broken"

    def load(self, context: Context) -> Callable[[Sequence[Pixels]], list[Result]]:
        def extract(images: Sequence[Pixels]) -> list[Result]:
            raise ZeroDivisionError("always")

        return extract


@dataclass(frozen=True, kw_only=True)
class Difference(PairExtractor):
    """Mean of first less mean of second; counts how many images are encoded and pairs compared in a call."""

    name: ClassVar[str] = "difference"
    encoded: ClassVar[list[int]] = []
    compared: ClassVar[list[int]] = []
    memory_errors: ClassVar[list[MemoryError]] = []

    def load(self, context: Context) -> PairModel:
        return _DifferenceModel()


@dataclass(frozen=True, kw_only=True)
class DifferenceOnDevice(Difference):
    """The same, as if by a network."""

    name: ClassVar[str] = "on-device"
    libraries: ClassVar[tuple[str, ...]] = ("torch",)


class _DifferenceModel(PairModel):
    def encode(self, images: Sequence[Pixels]) -> list[Encoded]:
        Difference.encoded.append(len(images))
        return [(x.astype(np.float64),) for x in images]

    def compare(self, pairs: Sequence[tuple[Encoded, Encoded]]) -> list[Result]:
        if Difference.memory_errors:
            raise Difference.memory_errors.pop()
        Difference.compared.append(len(pairs))
        return [{"difference": np.array(first[0].mean() - second[0].mean())} for first, second in pairs]


def compare_two(model: PairModel, first: Pixels, second: Pixels) -> Result:
    """The record of one pair."""
    one, other = model.encode([first, second])
    (result,) = model.compare([(one, other)])
    return result


def record_of(result: Result) -> Record:
    """A result that has to be there."""
    assert not isinstance(result, Missing)
    return result


def assert_same_bits(one: Result, other: Result) -> None:
    """Equal records to the bit, or the same thing missing."""
    if isinstance(one, Missing) or isinstance(other, Missing):
        assert one == other
        return
    assert one.keys() == other.keys()
    for name in one:
        assert one[name].tobytes() == other[name].tobytes(), name
