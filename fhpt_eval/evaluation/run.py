"""The record of one evaluation: what was measured on what, with which recipe, and what is missing."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
import safetensors.numpy as safetensors
from pandas.api.types import is_numeric_dtype
from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError
from safetensors import SafetensorError

from fhpt_eval.errors import UserError
from fhpt_eval.files.atomic import write_atomic
from fhpt_eval.files.owned_folder import OwnedFolder, claiming
from fhpt_eval.measuring.protocol import Better, Group, Profile, Score
from fhpt_eval.pairing.lists import PAIR_COLUMNS
from fhpt_eval.records import Missing, Record
from fhpt_eval.text import cell, of_cell

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
    seconds: float = 0.0
    """Time to score; extraction is shared and stands in `RunRecord.seconds`."""
    scores: list[ScoreRecord] = []

    @property
    def label(self) -> str:
        """What it is called in tables and remarks: ``ssim``, ``gfla@1:ssim_256``."""
        return self.name if self.metric is None else f"{self.dialect}:{self.metric}"


class PairsRecord(_Model):
    """What was evaluated."""

    hash: str
    """Of the pair ids and the names of target and source: the same for every method on the same list."""
    content: str | None
    """Of the bytes of all targets: differs when two runs had other versions of the ground truth."""
    naming: str
    total: int
    matched: int
    missing: list[str]
    extra: list[str]
    ambiguous: list[str]
    duplicate: list[str]


class ImagesRecord(_Model):
    """What decoding told."""

    sizes: dict[str, dict[str, int]]
    """For each role, how many different images have which width×height."""
    notes: dict[str, int]
    """How many images were changed on decoding, and how."""
    unreadable: dict[str, str]
    """File by file, why."""


class Environment(_Model):
    """Where it ran."""

    python: str
    platform: str
    device: str
    packages: dict[str, str]
    git: str | None
    """Commit of the checkout that the code ran from, with ``+`` when it was changed; None when it was installed."""


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
    warnings: list[str]
    doubts: list[str] = []
    """What may have made numbers wrong: with it, the run was done in part only."""


@dataclass(frozen=True)
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

    @property
    def scores(self) -> dict[str, ScoreRecord]:
        """All scores by metric."""
        return {score.metric: score for protocol in self.record.protocols for score in protocol.scores}

    @property
    def faulty(self) -> bool:
        """Whether a protocol, a pair or an image could not be used, or numbers are in doubt."""
        pairs = self.record.pairs
        return bool(
            any(protocol.status != "done" for protocol in self.record.protocols)
            or any(score.faults for score in self.scores.values())
            or pairs.missing
            or pairs.ambiguous
            or self.record.images.unreadable
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

    def save(self, folder: Path, earlier: Run | None = None) -> None:
        """Write ``run.json``, ``per_pair.csv``, ``missing.csv`` and any ``arrays.safetensors``, each at once.

        Args:
            folder: The run's own.
            earlier: What the folder holds of this run; files of which nothing changed since are left alone.

        Raises:
            UserError: If that is not possible.
        """
        if earlier is None or self.per_pair is not earlier.per_pair:
            write_atomic(folder / PER_PAIR, _csv(self.per_pair))
        if earlier is None or self.missing is not earlier.missing:
            write_atomic(folder / MISSING, _csv(self.missing))
        if self.arrays and (earlier is None or self.arrays is not earlier.arrays):
            flat = {f"{metric}/{name}": array for metric, found in self.arrays.items() for name, array in found.items()}
            contiguous = {key: np.require(array, requirements="C") for key, array in flat.items()}
            write_atomic(folder / ARRAYS, safetensors.save(contiguous))
        if earlier is None or self.record is not earlier.record:
            write_atomic(folder / RECORD, self.record.model_dump_json(indent=2) + "\n")

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

    @classmethod
    def load(cls, folder: Path) -> Run:
        """Read a run's folder.

        Raises:
            UserError: If it holds no run, or one that is damaged or of another schema.
        """
        path = folder / RECORD
        try:
            data = path.read_bytes()
        except OSError as error:
            raise UserError(
                f"{folder} is not a run's folder ({RECORD}: {error.strerror}): give one that `fhpt-eval run -o` wrote."
            ) from None
        try:
            version = json.loads(data).get("schema_version")
            if version != SCHEMA_VERSION:
                raise UserError(
                    f"{path} has schema version {version}, this fhpt-eval reads {SCHEMA_VERSION}:"
                    " run it again, or use the fhpt-eval that wrote it."
                )
            record = RunRecord.model_validate_json(data)
            run = cls(record, *_read_tables(folder, record), _read_arrays(folder, record))
        except (ValidationError, ValueError, KeyError, AttributeError, OSError, SafetensorError) as error:
            first = str(error).splitlines()[0]
            raise UserError(
                f"the run in {folder} is damaged ({first}): run it again, which takes seconds from the cache."
            ) from None
        return run


def _csv(table: pd.DataFrame) -> str:
    """Return a table as CSV, with text as `fhpt_eval.text.cell` has it."""
    shown = table.copy()
    for column in shown.columns:
        if not is_numeric_dtype(shown[column]):
            shown[column] = shown[column].map(cell, na_action="ignore")
    return str(shown.rename(columns=cell).to_csv(index=False, lineterminator="\n"))


_MISSING_HEADER = "metric,pair,reason\n"


def claim_folder(folder: Path) -> None:
    """Make a run's folder, or take over one that holds an earlier run.

    Raises:
        UserError: If it cannot be written, or holds something else.
    """
    owned = OwnedFolder(folder, "fhpt-eval run")
    with claiming(folder):
        owned.claim(known=(folder / RECORD).exists() or _is_ours(folder / MISSING))
        owned.write(MISSING, _MISSING_HEADER)
        # A run that is killed before its first score must not look like the one that was here before.
        for file in (RECORD, ARRAYS):
            owned.remove(file)


def _is_ours(missing: Path) -> bool:
    """Whether a file is the one that marks the folder of a run that was killed."""
    with missing.open("rb") if missing.is_file() else io.BytesIO() as stream:
        return stream.readline() == _MISSING_HEADER.encode()


def _read_tables(folder: Path, record: RunRecord) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Read what the CSV files say of the scores in ``record``; a run that was killed may have written more."""
    metrics = [score.metric for protocol in record.protocols for score in protocol.scores]
    # A pair may be called NA or null: only an empty cell is one without a value.
    plain: Any = {"keep_default_na": False, "na_values": [""], "encoding": "utf-8"}
    names = dict.fromkeys(PAIR_COLUMNS, "object")
    per_pair = pd.read_csv(folder / PER_PAIR, dtype=names, float_precision="round_trip", **plain)
    per_pair = per_pair.rename(columns=of_cell)
    missing = pd.read_csv(folder / MISSING, dtype="object", **plain).map(of_cell, na_action="ignore")
    per_pair = per_pair[[*PAIR_COLUMNS, *(m for m in metrics if m in per_pair)]]
    per_pair = per_pair.astype(dict.fromkeys(per_pair.columns[len(PAIR_COLUMNS) :], "float64"))
    missing = missing.loc[missing["metric"].isin(metrics), ["metric", "pair", "reason"]].reset_index(drop=True)
    if len(per_pair) != record.pairs.total:
        raise ValueError(f"{PER_PAIR} has {len(per_pair)} rows for {record.pairs.total} pairs")
    if int(per_pair.drop(columns=[*PAIR_COLUMNS]).isna().sum().sum()) != len(missing):
        raise ValueError(f"{MISSING} does not name the empty cells of {PER_PAIR}")
    for column in PAIR_COLUMNS:
        text = per_pair[column].map(of_cell, na_action="ignore").astype(object)
        per_pair[column] = text.where(text.notna(), None)
    return per_pair, missing


def _read_arrays(folder: Path, record: RunRecord) -> dict[str, dict[str, npt.NDArray[Any]]]:
    metrics = {score.metric for protocol in record.protocols for score in protocol.scores}
    path = folder / ARRAYS
    arrays: dict[str, dict[str, npt.NDArray[Any]]] = {}
    for key, array in (safetensors.load(path.read_bytes()) if path.exists() else {}).items():
        metric, _, name = key.rpartition("/")
        if metric in metrics:
            arrays.setdefault(metric, {})[name] = array
    return arrays


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
