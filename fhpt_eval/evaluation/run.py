"""The record of one evaluation: what was measured on what, with which recipe, and what is missing."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import pandas as pd
from pydantic import BaseModel, ConfigDict, JsonValue

from fhpt_eval.measuring.protocol import Better, Group, Profile, Score
from fhpt_eval.records import Missing, Record

SCHEMA_VERSION: Literal[1] = 1
RECORD, PER_PAIR, MISSING, ARRAYS = "run.json", "per_pair.csv", "missing.csv", "arrays.safetensors"


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
    sources: str | None = None
    """The source images' content hash, for metrics that look at them; None in records of before."""

    def difference(self, other: Recipe) -> str | None:
        """Return what another recipe has instead, in a phrase; None where they are equal, as far as both tell."""
        if None in (self.sources, other.sources):
            other = other.model_copy(update={"sources": self.sources})
        if self == other:
            return None
        for key in sorted(self.parameters.keys() | other.parameters.keys()):
            mine, theirs = self.parameters.get(key), other.parameters.get(key)
            if mine != theirs:
                return f"{key} is {theirs} instead of {mine}"
        for role in sorted(self.keypoints.keys() | other.keypoints.keys()):
            mine, theirs = (recipe.keypoints.get(role, "detected") for recipe in (self, other))
            if mine != theirs:
                return f"keypoints of {role} images are {theirs} instead of {mine}"
        if self.reference != other.reference:
            return "another reference set"
        if self.sources != other.sources:
            return "other source images"
        if self.weights != other.weights:
            return "other weights"
        return f"version {other.version} of {other.protocol} instead of {self.version}"


class Environment(_Model):
    """Where it ran."""

    python: str
    platform: str
    device: str
    packages: dict[str, str]
    git: str | None
    """Commit of the checkout that the code ran from, with ``+`` when it was changed; None when it was installed."""


class ProtocolRecord(_Model):
    """What came of one protocol."""

    name: str
    dialect: str | None = None
    """Whose way of measuring, with its version (``gfla@1``), or the profile ``embedded``; None where an option is the
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
    environment: Environment | None = None
    """Where it ran, if it was added to the record from elsewhere than the rest."""
    seconds: float = 0.0
    """Time to score; extraction is shared and stands in `RunRecord.seconds`."""
    scores: list[ScoreRecord] = []

    @property
    def label(self) -> str:
        """What it is called in tables and remarks: ``ssim``, ``gfla@1:ssim_256``."""
        return self.name if self.metric is None else f"{self.dialect}:{self.metric}"

    @property
    def measured(self) -> bool:
        """Whether there is a number."""
        return any(score.value is not None for score in self.scores)


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
    seconds: dict[str, float]
    """Time of each stage of the command that wrote last."""
    warnings: list[str]
    doubts: list[str] = []
    """What may have made numbers wrong: with it, the run was done in part only."""


@dataclass(frozen=True, repr=False)
class Run:
    """A run: its record, and a table with a row a pair and a column a metric.

    Attributes:
        record: What ``run.json`` holds.
        per_pair: The pairs' columns (pair, generated, target, source, item, item_colour, gender, view) and one float
            column for each metric that is a mean over pairs; NaN where a pair could not be scored.
        missing: Columns metric, pair, reason: what each NaN is.
        arrays: Raw measurements by metric and name, such as the distances behind a curve.
    """

    record: RunRecord
    per_pair: pd.DataFrame
    missing: pd.DataFrame
    arrays: Mapping[str, Record] = field(default_factory=dict)

    def __repr__(self) -> str:
        """Return a table of the scores, and a line for each protocol that has none."""
        rows = [
            {
                "metric": f"{score.metric} {'↑' if score.better == 'higher' else '↓'}",
                "value": _number(score.value),
                "95 % interval": " … ".join(map(_number, score.interval)) if score.interval else "",
                "n": score.n,
                "missing": sum(score.missing.values()) or "",
            }
            for score in self.scores.values()
        ]
        lines = [f"Run '{self.record.name}': {self.record.pairs.total} pairs, profile {self.record.profile}"]
        if rows:
            lines.append(pd.DataFrame(rows).to_string(index=False))
        lines += [f"{p.label}: {p.reason or p.status}" for p in self.record.protocols if p.status != "done"]
        return "\n".join(lines)

    @property
    def scores(self) -> dict[str, ScoreRecord]:
        """All scores by metric."""
        return {score.metric: score for protocol in self.record.protocols for score in protocol.scores}

    @property
    def measured(self) -> bool:
        """Whether there is a number."""
        return any(protocol.measured for protocol in self.record.protocols)

    @property
    def faulty(self) -> bool:
        """Whether a protocol, a pair or an image could not be used, or numbers are in doubt."""
        pairs, images = self.record.pairs, self.record.images
        return bool(
            any(protocol.status != "done" for protocol in self.record.protocols)
            or any(score.faults for score in self.scores.values())
            or pairs.missing
            or pairs.ambiguous
            or (pairs.extra and not pairs.listed)
            or images.unreadable
            or images.left_out
            or self.record.doubts
        )

    @property
    def exit_code(self) -> int:
        """0 when all was done, 1 after a bug, 3 when it was done in part and what is missing is named.

        A run with a metric that has no value is done in part, also where nothing is at fault.
        """
        if any(p.status == "failed" for p in self.record.protocols):
            return 1
        return 3 if self.faulty or any(score.value is None for score in self.scores.values()) else 0

    def save(self, folder: str | Path, *, overwrite: bool = False) -> None:
        """Write ``run.json``, ``per_pair.csv``, ``missing.csv`` and any ``arrays.safetensors``, all at once.

        Args:
            folder: The run's own; made where it is not there. Where it holds scores of the same pairs and generated
                images, those of other protocols stay.
            overwrite: Replace the record of another evaluation.

        Raises:
            UserError: The folder cannot be written, or holds something else.
        """
        from fhpt_eval.evaluation.run_folder import RunFolder

        place = RunFolder(Path(folder), overwrite=overwrite)
        place.require_same(self.record)
        place.save(self, complete=True)

    def with_scores(self, index: int, protocol: ProtocolRecord, scores: Sequence[Score]) -> Run:
        """Return the run with what came of its protocol at ``index``; what does not change stays the same object."""
        protocols = [*self.record.protocols]
        protocols[index] = protocol
        warnings = dict.fromkeys([*self.record.warnings, *(w for score in scores for w in score.warnings)])
        record = self.record.model_copy(update={"protocols": protocols, "warnings": list(warnings)})
        arrays = {score.metric: score.arrays for score in scores if score.arrays}
        return Run(
            record,
            _with_columns(self.per_pair, scores),
            _with_gaps(self.missing, self.per_pair["pair"], scores),
            {**self.arrays, **arrays} if arrays else self.arrays,
        )

    def timed(self, stage: str, seconds: float) -> Run:
        """Return the run with the time that a stage took."""
        times = {**self.record.seconds, stage: round(seconds, 3)}
        return replace(self, record=self.record.model_copy(update={"seconds": times}))

    def warned(self, sentences: Iterable[str]) -> Run:
        """Return the run with what the user should know; what it says already is not said twice."""
        warnings = list(dict.fromkeys([*self.record.warnings, *sentences]))
        if warnings == self.record.warnings:
            return self
        return replace(self, record=self.record.model_copy(update={"warnings": warnings}))

    @classmethod
    def load(cls, folder: str | Path) -> Run:
        """Read a run's folder.

        Raises:
            UserError: If it holds no run, or one that is damaged or of another schema.
        """
        from fhpt_eval.evaluation.run_folder import read_run

        return read_run(Path(folder))


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"


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
    )


def _with_columns(per_pair: pd.DataFrame, scores: Iterable[Score]) -> pd.DataFrame:
    """Return the table with a column for each score that has a value for each pair; itself where none has."""
    columns = {
        score.metric: [math.nan if isinstance(v, Missing) else v for v in score.per_pair]
        for score in scores
        if score.per_pair
    }
    if not columns:
        return per_pair
    table: pd.DataFrame = per_pair.copy()
    for metric, values in columns.items():
        table[metric] = values
    return table


def _with_gaps(missing: pd.DataFrame, pairs: Iterable[str], scores: Iterable[Score]) -> pd.DataFrame:
    """Return the table with a row for each value that a pair lacks; itself where none lacks any."""
    names = list(pairs)
    rows = [
        {"metric": score.metric, "pair": pair, "reason": value.reason}
        for score in scores
        if score.per_pair
        for pair, value in zip(names, score.per_pair, strict=True)
        if isinstance(value, Missing)
    ]
    if not rows:
        return missing
    added = pd.DataFrame(rows, columns=["metric", "pair", "reason"])
    table: pd.DataFrame = added if missing.empty else pd.concat([missing, added], ignore_index=True)
    return table
