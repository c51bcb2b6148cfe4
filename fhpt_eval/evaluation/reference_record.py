"""What a file of a reference set says of itself, and whether that is what a run would compute."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from fhpt_eval.extract.extractor import ImageExtractor
from fhpt_eval.extract.numerics import Numerics
from fhpt_eval.measuring.protocol import last_incomplete_batch
from fhpt_eval.measuring.reference_features import ReferenceNeed
from fhpt_eval.records import Missing, MissingKind

FeatureType = Literal["float32", "float16"]
Sha256 = Field(pattern="^[0-9a-f]{64}$")
MOST_IMAGES = 10**9
"""More are a mistake, or meant to be more than arithmetic can count."""


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, strict=True)


class Lacking(_Model):
    """An image without features."""

    image: int = Field(ge=0)
    """Its number in the order of names."""
    reason: str
    kind: MissingKind


class Features(_Model):
    """What is kept of one feature of one extractor."""

    extractor: str
    """Its id."""
    recipe: dict[str, JsonValue]
    """`Extractor.recipe`; of a file from elsewhere only what its user states."""
    feature: str
    dim: int = Field(ge=1, le=1 << 15)
    n: int | None = Field(ge=2, le=MOST_IMAGES)
    """How many images have it; None where nothing tells."""
    lacking: list[Lacking]
    statistics: list[int]
    """Of how many of the first features there are mean and covariance; 0 for all, where nothing tells how many."""
    each: FeatureType | None
    """As what the features of each image are kept; None where they are not."""

    @property
    def lacks(self) -> tuple[Missing | None, ...] | None:
        """For each image, why it has no features."""
        if self.n is None:
            return None
        missing = {gap.image: Missing(gap.reason, gap.kind) for gap in self.lacking}
        return tuple(missing.get(i) for i in range(self.n + len(missing)))


class ReferenceRecord(_Model):
    """The card of the file."""

    format: Literal["fhpt-eval reference"] = "fhpt-eval reference"
    version: Literal[1] = 1
    made_by: str
    created: str
    images: int | None = Field(ge=2, le=MOST_IMAGES)
    """How many; None where nothing tells."""
    content: str | None = Sha256
    """Hash of the images' contents, as runs record it of a folder; None for a file from elsewhere."""
    sizes: dict[Annotated[str, Field(pattern="^[0-9]+×[0-9]+$")], Annotated[int, Field(ge=1)]]
    """How many images have which width×height."""
    stated: str | None
    """What file from elsewhere it was made of: its user states the recipe, which nothing verifies."""
    features: list[Features] = Field(min_length=1)
    tensors: str = Sha256
    """SHA-256 of all arrays."""

    @property
    def identity(self) -> str:
        """What runs record as their reference set: equal for a folder and a file made of it."""
        return self.content or f"arrays {self.tensors}"


def first_of(n: int, tail: int) -> int:
    """How many of ``n`` features count where the last incomplete batch is dropped (`ReferenceNeed.tail`)."""
    return n - len(last_incomplete_batch(range(n), max(min(tail, n), 1) if tail else 0))


def difference(kept: Mapping[str, Any], extractor: ImageExtractor, numerics: Numerics | None) -> str | None:
    """Return what of a recipe an extractor would do otherwise, with both values; None for nothing that matters."""
    return next(_differences(kept, extractor, numerics), None)


def _differences(kept: Mapping[str, Any], extractor: ImageExtractor, numerics: Numerics | None) -> Iterator[str]:
    here = extractor.recipe(numerics or Numerics())
    for field in ("name", "version", "decoding"):
        # What a file from elsewhere is stated to be says nothing of decoding.
        if (theirs := kept.get(field, here[field])) != here[field]:
            what = "network" if field == "name" else f"{field} of {here['name']}"
            yield f"{what} is {theirs} in the file, and {here[field]} in this run"
    for field in ("parameters", "weights"):
        for key, mine, theirs in unequal(here[field], kept[field]):
            what = key if field == "parameters" else f"SHA-256 of the weights {key}"
            yield f"{what} is {_plain(theirs)} in the file, and {_plain(mine)} in this run"
    if (libraries := kept.get("libraries")) is not None:
        for library in extractor.resized_by():
            if libraries.get(library) != here["libraries"].get(library):
                yield (
                    f"{library}, which resizes images for {here['name']} and not alike in all versions, is"
                    f" {libraries.get(library)} in the file, and {here['libraries'].get(library)} in this run"
                )
    if numerics is not None and "device" in kept:
        for field, usual in (("precision", "float32"), ("reference_math", False)):
            if (theirs := kept.get(field, usual)) != (mine := here.get(field, usual)):
                yield f"{field} is {theirs} in the file, and {mine} in this run"


def remarks(kept: Mapping[str, Any], extractor: ImageExtractor, numerics: Numerics) -> Iterator[str]:
    """Yield what changes last digits: other versions of libraries, and another kind of device."""
    here = extractor.recipe(numerics)
    for library, mine, theirs in unequal(here["libraries"], kept["libraries"]) if "libraries" in kept else ():
        yield f"{library} {theirs} (here {mine})"
    if kept.get("device", here["device"]) != here["device"]:
        yield f"{kept['device']} (here {here['device']})"


def unequal(mine: Mapping[str, Any], theirs: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """Yield each key of either whose values differ, with both."""
    for key in sorted(mine.keys() | theirs.keys()):
        if (one := mine.get(key)) != (other := theirs.get(key)):
            yield key, one, other


def _plain(value: object) -> str:
    return "none" if value in {"", None} else f"'{value}'" if isinstance(value, str) and " " in value else str(value)


def same_extractor(features: Features, need: ReferenceNeed) -> bool:
    """Whether features are of the extractor that a protocol needs, as far as its name and parameters tell."""
    recipe = features.recipe
    wanted = need.extractor.name, need.extractor.parameters(), need.feature, need.dim
    return (recipe.get("name"), recipe.get("parameters"), features.feature, features.dim) == wanted
