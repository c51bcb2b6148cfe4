"""What an extractor is: a frozen value that says what it computes, and loads the code that computes it."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, TypeAlias, get_args

import numpy.typing as npt

from fhpt_eval.extract.numerics import Numerics, Precision
from fhpt_eval.extract.weights import Weights
from fhpt_eval.files.given import GivenFile
from fhpt_eval.images.decoding import DECODE_VERSION
from fhpt_eval.images.geometry import Geometry
from fhpt_eval.libraries import version
from fhpt_eval.records import Missing, Result

LIBRARIES = ("numpy", "opencv", "pillow", "torch")
"""Libraries that decoding and geometries rest on: they can change what any extractor sees."""

Pixels: TypeAlias = npt.NDArray[Any]
"""H×W×3 RGB, uint8, or float32 in 0…255 where a geometry leaves it so."""

Encoded: TypeAlias = tuple[Any, ...]
"""What a pair extractor keeps of one image: arrays or tensors, all with ``nbytes``."""


@dataclass(frozen=True)
class Context(Numerics):
    """How an extractor computes, and the verified files of its weights by name."""

    weights: Mapping[str, Path] = dataclasses.field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Extractor(ABC):
    """A value: its fields are its parameters, and two equal extractors give equal records.

    Class attributes:
        name: What it is called in ids, recipes and the cache.
        version: Raised whenever the code changes what comes out.
        libraries: Distributions whose version can change what comes out; ``opencv`` for whichever brings OpenCV.
        extra: The optional extra of this package that brings ``libraries``; empty where it always brings them.
        all_weights: Every weights file that some setting of the parameters asks for; `fhpt-eval weights` lists them.
        process: Run in worker processes (CPU detectors that hold the interpreter) instead of in the main process.
        precisions: Those that it can compute in, where it computes on the torch device; float32 where another is asked.
        bytes_per_pixel: Memory that the loaded code takes while it works, for each pixel that it is shown, at most.
    """

    name: ClassVar[str]
    version: ClassVar[int] = 1
    libraries: ClassVar[tuple[str, ...]] = ()
    extra: ClassVar[str] = ""
    all_weights: ClassVar[tuple[Weights, ...]] = ()
    process: ClassVar[bool] = False
    precisions: ClassVar[tuple[Precision, ...]] = get_args(Precision)
    bytes_per_pixel: ClassVar[int] = 1500

    @property
    @abstractmethod
    def geometries(self) -> tuple[Geometry, ...]:
        """What is done to each image first, in the order of the roles."""

    @abstractmethod
    def in_geometries(self, *geometries: Geometry) -> Extractor:
        """Return the same with other `geometries`."""

    def weights(self) -> tuple[Weights, ...]:
        """Return the files of `all_weights` that these parameters ask for; `load` expects them in its context."""
        return self.all_weights

    def brought(self) -> Mapping[str, GivenFile]:
        """Return the files of the user that it computes with, by what records call them."""
        return {}

    def check(self) -> None:  # noqa: B027 - most have nothing to check
        """Refuse files of the user that `load` could not use, before anything is computed.

        Raises:
            UserError: One cannot be used.
        """

    @abstractmethod
    def load(self, context: Context) -> Any:
        """Return the code that computes the records, with its network in memory."""

    def parameters(self) -> dict[str, str | int | float | bool | None]:
        """All fields in plain, printable form; those that are neither text nor numbers as their ``str``."""
        values = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        return {k: v if v is None or isinstance(v, str | int | float) else str(v) for k, v in values.items()}

    @property
    def id(self) -> str:
        """Readable id: the name, and the parameters that are not at their default."""
        defaults = {f.name: f.default for f in dataclasses.fields(self)}
        changed = [f"{k}={v}" for k, v in self.parameters().items() if getattr(self, k) != defaults[k]]
        return f"{self.name}[{','.join(changed)}]" if changed else self.name

    @property
    def on_device(self) -> bool:
        """Whether it computes on the torch device; otherwise on the CPU, whatever the device is."""
        return "torch" in self.libraries

    def precision(self, asked: Precision) -> Precision:
        """Return what it computes in where this is asked for."""
        return asked if self.on_device and asked in self.precisions else "float32"

    def resized_by(self) -> tuple[str, ...]:
        """Return libraries whose filters it resizes with, and of which another version gives other pixels."""
        return ("pillow",)

    def recipe(self, numerics: Numerics) -> dict[str, Any]:
        """Return all that can change the records: parameters, weights, versions of code and libraries, numerics."""
        about = {
            "name": self.name,
            "version": self.version,
            "parameters": self.parameters(),
            "weights": {w.name: w.sha256 for w in self.weights()},
            "libraries": {lib: version(lib) for lib in (*LIBRARIES, *self.libraries)},
            "decoding": DECODE_VERSION,
            "device": numerics.device.split(":")[0] if self.on_device else "cpu",
        }
        # Left out where they are usual, so that results of before they could be chosen stay known.
        if (precision := self.precision(numerics.precision)) != "float32":
            about["precision"] = precision
        if numerics.reference_math:
            about["reference_math"] = True
        return about

    def fingerprint(self, numerics: Numerics) -> str:
        """Hash of the recipe."""
        return hashlib.sha256(json.dumps(self.recipe(numerics), sort_keys=True).encode()).hexdigest()


class PairModel(ABC):
    """A loaded pair extractor. Each image is encoded once, however many pairs it stands in."""

    @abstractmethod
    def encode(self, images: Sequence[Pixels]) -> list[Encoded]:
        """Encode images, which may differ in size."""

    @abstractmethod
    def compare(self, pairs: Sequence[tuple[Encoded, Encoded]]) -> list[Result]:
        """Return the record of each pair, by itself."""


@dataclass(frozen=True, kw_only=True)
class ImageExtractor(Extractor):
    """One image to one record."""

    geometry: Geometry = Geometry()

    @property
    def geometries(self) -> tuple[Geometry, ...]:
        """That of the image."""
        return (self.geometry,)

    def in_geometries(self, *geometries: Geometry) -> ImageExtractor:
        """Return the same in another geometry."""
        (geometry,) = geometries
        return dataclasses.replace(self, geometry=geometry)

    @abstractmethod
    def load(self, context: Context) -> Callable[[Sequence[Pixels]], list[Result]]:
        """Return a function from images (which may differ in size) to as many results, each by itself."""


@dataclass(frozen=True, kw_only=True)
class PairExtractor(Extractor):
    """Two images to one record; each side has its own geometry.

    Class attributes:
        one_size: Whether images can only be compared that have one size as their geometries leave them. Others are
            `size_mismatch` then, which is known from the headers of the files, before they are encoded.
        bytes_per_encoded_pixel: Memory that an encoded image takes for each of its pixels, at most.
    """

    one_size: ClassVar[bool] = False
    bytes_per_encoded_pixel: ClassVar[int] = 500

    first_geometry: Geometry = Geometry()
    second_geometry: Geometry = Geometry()

    @property
    def geometries(self) -> tuple[Geometry, ...]:
        """Those of the two images."""
        return (self.first_geometry, self.second_geometry)

    def in_geometries(self, *geometries: Geometry) -> PairExtractor:
        """Return the same in other geometries."""
        first, second = geometries
        return dataclasses.replace(self, first_geometry=first, second_geometry=second)

    @abstractmethod
    def load(self, context: Context) -> PairModel:
        """Return the loaded model."""


def size_mismatch(first: tuple[int, int], second: tuple[int, int]) -> Missing | None:
    """Return why two images of these widths and heights cannot be compared pixel by pixel, or None when they can."""
    if first == second:
        return None
    (w1, h1), (w2, h2) = first, second
    return Missing(f"sizes differ: {w1}×{h1} against {w2}×{h2} (width×height)")
