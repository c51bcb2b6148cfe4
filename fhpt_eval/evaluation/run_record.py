"""What an evaluation leaves behind, as its folder holds it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import pandas as pd
from pydantic import BaseModel, ConfigDict, JsonValue

from fhpt_eval.evaluation.image_list import ImageList
from fhpt_eval.evaluation.reference_record import FeatureType, unequal
from fhpt_eval.extract.numerics import Precision
from fhpt_eval.measuring.protocol import Better, Group, NotFinite, Profile, Score
from fhpt_eval.numbers import decimals_of, fixed
from fhpt_eval.records import Record

SCHEMA_VERSION: Literal[1] = 1
RECORD, PER_PAIR, MISSING, ARRAYS = "run.json", "per_pair.csv", "missing.csv", "arrays.safetensors"
IMAGES = "images.csv"
FILES = (RECORD, PER_PAIR, MISSING, IMAGES, ARRAYS)
"""What a run's folder holds."""


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class ScoreRecord(_Model):
    """A `fhpt_eval.measuring.protocol.Score` without its per-pair values, which stand in ``per_pair.csv``."""

    metric: str
    value: float | None
    better: Better
    unit: str
    n: int
    missing: dict[str, int]
    faults: int
    interval: tuple[float, float] | None
    details: dict[str, JsonValue]
    not_finite: NotFinite | None = None
    """What a published script prints in place of a number; None in records of before."""

    def shown(self, decimals: int | None = None) -> str:
        """Return the value as text: ``–`` where there is none, ``NaN`` or ``inf`` where a script prints that.

        Args:
            decimals: How many; None for as many as a number that stands alone has.
        """
        return self.not_finite or fixed(self.value, decimals_of([self.value]) if decimals is None else decimals)

    @property
    def numbers(self) -> tuple[float | None, ...]:
        """The value and the ends of its interval, which are shown with the same decimals."""
        return (self.value, *(self.interval or ()))


class Recipe(_Model):
    """All that defines a number, apart from the images: two scores are comparable when their recipes are equal."""

    protocol: str
    version: int
    parameters: dict[str, Any]
    extractors: dict[str, int]
    """Name and version of each extractor."""
    weights: dict[str, str]
    """Name and SHA-256 of each weights file."""
    reference: str | None
    """The reference set's content hash, for metrics that have one."""
    keypoints: dict[str, str] = {}
    """Form of the keypoints that were given instead of detected ones, by role; of targets with the content's hash."""
    masks: str | None = None
    """Content hash of the targets' masks that were given as files; None where there are none."""
    sources: str | None = None
    """The source images' content hash, for metrics that look at them; None in records of before."""
    precision: Precision = "float32"
    """Of the networks."""
    reference_precision: FeatureType = "float32"
    """As what the features of a reference set were read from a file."""

    @property
    def options(self) -> dict[str, Any]:
        """The parameters that are not at None, as one is that a record of before does not have."""
        return {key: value for key, value in self.parameters.items() if value is not None}

    def difference(self, other: Recipe) -> str | None:
        """Return what another recipe has instead, in a phrase; None where they are equal, as far as both tell."""
        return next(self._differences(other), None)

    def _differences(self, other: Recipe) -> Iterator[str]:
        for key, mine, theirs in unequal(self.options, other.options):
            yield f"{key} is {theirs} instead of {mine}"
        for role, mine, theirs in unequal(self.keypoints, other.keypoints):
            yield f"keypoints of {role} images are {theirs or 'detected'} instead of {mine or 'detected'}"
        if self.masks != other.masks:
            yield f"masks are {other.masks or 'drawn'} instead of {self.masks or 'drawn'}"
        if self.reference != other.reference:
            yield "another reference set"
        if self.reference_precision != other.reference_precision:
            yield f"features of the reference set are {other.reference_precision} instead of {self.reference_precision}"
        if None not in (self.sources, other.sources) and self.sources != other.sources:
            yield "other source images"
        if self.precision != other.precision:
            yield f"networks compute in {other.precision} instead of {self.precision}"
        if self.weights != other.weights:
            yield "other weights"
        for extractor, mine, theirs in unequal(self.extractors, other.extractors):
            yield f"{extractor} is version {theirs or 'none'} instead of {mine or 'none'}"
        if (self.protocol, self.version) != (other.protocol, other.version):
            yield f"version {other.version} of {other.protocol} instead of {self.version}"


class Environment(_Model):
    """Where it ran."""

    python: str
    platform: str
    device: str
    packages: dict[str, str]
    git: str | None
    """Commit of the checkout that the code ran from, with ``+`` when it was changed; None when it was installed."""
    reference_math: bool = False
    """Whether it was computed by definitions, instead of in the fast way."""


class ReferenceFileRecord(_Model):
    """The file that stood for the reference set."""

    sha256: str
    content: str | None
    """Hash of the contents of the images that it was made of; None where a stranger's file does not tell."""
    images: int | None
    """How many; None where nothing tells."""
    n: int | None
    """How many of them have features."""
    made_by: str
    created: str
    stated: str | None = None
    """The file from elsewhere that it was made of, whose recipe was stated and not verified."""


class ProtocolRecord(_Model):
    """What came of one protocol."""

    name: str
    dialect: str | None = None
    """Whose way of measuring, with its version (``gfla@2``), or the profile ``embedded``; None where an option is the
    user's own."""
    metric: str | None = None
    """What that dialect calls the number, where it is not ours."""
    note: str | None = None
    """What the reader of the number must know."""
    group: Group
    status: Literal["done", "unavailable", "failed", "pending"]
    reason: str | None = None
    """Why there is no score, and what would change that."""
    recipe: Recipe
    extractors: dict[str, str] = {}
    """Id and fingerprint of each extractor."""
    reference_file: ReferenceFileRecord | None = None
    """Where the reference set was not given as images."""
    environment: Environment | None = None
    """Where it ran, if it was added to the record from elsewhere than the rest."""
    command: list[str] | None = None
    """The command that added it to the record, if it was another than the rest's; empty where it was none."""
    seconds: float = 0.0
    """Time to score; extraction is shared and stands in `RunRecord.seconds`."""
    scores: list[ScoreRecord] = []

    @property
    def label(self) -> str:
        """What it is called in tables and remarks: ``ssim``, ``gfla@2:ssim_256``."""
        return self.name if self.metric is None else f"{self.dialect}:{self.metric}"

    @property
    def measured(self) -> bool:
        """Whether there is a number, or what a script prints in its place."""
        return any(score.value is not None or score.not_finite is not None for score in self.scores)


class PairsRecord(_Model):
    """What was evaluated."""

    hash: str
    """Of the pair ids and the names of target and source: the same for every method on the same list."""
    content: str | None
    """Of the bytes of all targets: differs when two runs had other versions of the ground truth."""
    generated: str | None = None
    """Of the bytes of the generated images, pair by pair: whose record it is. None in records of before."""
    known: str | None = None
    """Of the items, genders and views, pair by pair, which a list may tell otherwise. None in records of before."""
    naming: str
    total: int
    matched: int
    missing: list[str]
    extra: list[str]
    ambiguous: list[str]
    duplicate: list[str]
    listed: bool = True
    """Whether a list said which pairs there are; without one, a file of no pair is one that was not evaluated."""
    list_sha256: str | None = None
    """Of the file of that list; None without one, and in records of before."""


class ImagesRecord(_Model):
    """What decoding told."""

    sizes: dict[str, dict[str, int]]
    """For each role, how many different images have which width×height."""
    notes: dict[str, int]
    """How many images were changed on decoding, and how."""
    unreadable: dict[str, str]
    """File by file, why."""
    left_out: dict[str, str] = {}
    """What may be an image in the folders and was not looked at, and why."""
    root: str | None = None
    """SHA-256 of ``images.csv``, which has the content of each image; None in records of before."""


class RunRecord(_Model):
    """``run.json``."""

    schema_version: Literal[1] = SCHEMA_VERSION
    name: str
    created: str
    profile: Profile
    pairs: PairsRecord
    images: ImagesRecord
    protocols: list[ProtocolRecord]
    environment: Environment
    command: list[str] | None = None
    """The words of the command line; None where there was none, and in records of before."""
    seconds: dict[str, float]
    """Time of each stage of the command that wrote last."""
    warnings: list[str]
    doubts: list[str] = []
    """What may have made numbers wrong: with it, the run was done in part only."""


def score_record(score: Score) -> ScoreRecord:
    """Return what `run.json` keeps of a score."""
    return ScoreRecord(
        metric=score.metric,
        value=score.value,
        better=score.better,
        unit=score.unit,
        n=score.n,
        missing=dict(score.missing),
        faults=score.faults,
        interval=score.interval,
        details=dict(score.details),
        not_finite=score.not_finite,
    )


@dataclass(frozen=True, repr=False)
class StoredRun:
    """A record, and a table with a row a pair and a column a metric.

    Attributes:
        record: What ``run.json`` holds.
        per_pair: The pairs' columns (pair, generated, target, source, item, item_colour, gender, view) and one float
            column for each metric that is a mean over pairs; NaN where a pair could not be scored.
        missing: Columns metric, pair, reason: what each NaN is.
        arrays: Raw measurements by metric and name, such as the distances behind a curve.
        image_list: Which images were looked at, one by one; None in runs of before.
    """

    record: RunRecord
    per_pair: pd.DataFrame
    missing: pd.DataFrame
    arrays: Mapping[str, Record] = field(default_factory=dict)
    image_list: ImageList | None = None

    @property
    def measured(self) -> bool:
        """Whether there is a number."""
        return any(protocol.measured for protocol in self.record.protocols)
