"""One evaluation: what was measured on what, with which recipe, and what is missing."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path
from typing import Any

import pandas as pd

from fhpt_eval.evaluation.rescoring import rescored, tidy
from fhpt_eval.evaluation.run_folder import RunFolder, read_run
from fhpt_eval.evaluation.run_record import ProtocolRecord, ScoreRecord, StoredRun
from fhpt_eval.measuring.protocol import Score
from fhpt_eval.numbers import decimals_of, fixed
from fhpt_eval.records import Missing


@dataclass(frozen=True, repr=False)
class Run(StoredRun):
    """A run: what is stored of it, what it comes to, and how it grows score by score."""

    def __repr__(self) -> str:
        """Return a table of the scores, and a line for each protocol that has none."""
        rows = []
        for score in self.scores.values():
            decimals = decimals_of(score.numbers)
            ends = [fixed(end, decimals) for end in score.interval or ()]
            rows.append(
                {
                    "metric": f"{score.metric} {'↑' if score.better == 'higher' else '↓'}",
                    "value": score.shown(decimals),
                    "95 % interval": " … ".join(ends),
                    "n": score.n,
                    "missing": sum(score.missing.values()) or "",
                }
            )
        lines = [f"Run '{self.record.name}': {self.record.pairs.total} pairs, profile {self.record.profile}"]
        if rows:
            lines.append(pd.DataFrame(rows).to_string(index=False))
        lines += [f"{p.label}: {p.reason or p.status}" for p in self.record.protocols if p.status != "done"]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        """Return the scores as a table, as notebooks show it; what has none stands below."""
        left = [f"{p.label}: {p.reason or p.status}" for p in self.record.protocols if p.status != "done"]
        about = f"{self.record.name}: {self.record.pairs.total} pairs, profile {self.record.profile}"
        table = str(tidy(self.scores.values()).to_html(index=False, na_rep="–"))
        return f"<p>{escape(about)}</p>{table}" + "".join(f"<p>{escape(line)}</p>" for line in left)

    @property
    def scores(self) -> dict[str, ScoreRecord]:
        """All scores by metric."""
        return {score.metric: score for protocol in self.record.protocols for score in protocol.scores}

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
        """Write ``run.json`` and the tables beside it (docs/verify.md names all), at once.

        Args:
            folder: The run's own; made where it is not there. Where it holds scores of the same pairs and generated
                images, those of other protocols stay.
            overwrite: Replace the record of another evaluation.

        Raises:
            UserError: The folder cannot be written, or holds something else.
        """
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
            self.image_list,
        )

    def rescore(self, protocol: str, **options: Any) -> pd.DataFrame:
        """Return a table of a protocol's scores at other thresholds, from what the run keeps: no image is read.

        They are what a run with these thresholds would give. ``run.rescore("face_identity", thresholds=[0.5])``,
        ``run.rescore("pckh")`` (at 0.1, 0.2 … 1.0), ``run.rescore("kec", alpha_max=0.1)``.

        Args:
            protocol: ``face_identity``, ``pckh``, ``kec``, or another package's that says how.
            options: The thresholds; without, those that the protocol names.

        Returns:
            A row a metric: metric, value, low, high (of the 95 % interval), n, missing, better, unit.

        Raises:
            UserError: The run has no such protocol or lacks what it takes, or an option is unknown or impossible.
        """
        return tidy(rescored(self, protocol, options))

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
        stored = read_run(Path(folder))
        return cls(stored.record, stored.per_pair, stored.missing, stored.arrays, stored.image_list)


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
