"""What sets two dialects apart, and what that is worth in numbers."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fhpt_eval.errors import UserError
from fhpt_eval.evaluation.run import Run
from fhpt_eval.evaluation.run_record import ProtocolRecord, ScoreRecord
from fhpt_eval.images.geometry import Expect, Geometry, Resize, Usual
from fhpt_eval.measuring.dialects import Dialect, default_id
from fhpt_eval.measuring.masked import MaskedProtocol
from fhpt_eval.measuring.measurement import Measurement
from fhpt_eval.measuring.protocol import Better, Protocol, configure
from fhpt_eval.measuring.registry import find_protocols


@dataclass(frozen=True)
class Change:
    """Options of one metric in which two dialects differ, and which change together.

    Attributes:
        options: By name, their value in the one and in the other.
        protocol: The one's, with the other's values of these options.
    """

    options: Mapping[str, tuple[Any, Any]]
    protocol: Protocol


@dataclass(frozen=True)
class Difference:
    """A metric of one dialect, and the nearest by the same protocol of another.

    Attributes:
        one: The first dialect's.
        other: The second's.
        changes: What leads from one to the other; empty where they are the same number.
    """

    one: Measurement
    other: Measurement
    changes: tuple[Change, ...]

    def steps(self) -> list[Measurement]:
        """Return what has to be measured: the one, each change by itself, the other."""
        dialect, metric = self.one.dialect or default_id(), self.one.metric or self.one.protocol.name
        steps = {metric: self.one.protocol}
        for change in self.changes:
            steps[f"{metric} with other {', '.join(change.options)}"] = change.protocol
        steps[f"{metric} as {self.other.name}"] = self.other.protocol
        return [Measurement(protocol, dialect=dialect, metric=name) for name, protocol in steps.items()]


def without_counterpart(one: Dialect, other: Dialect) -> list[str]:
    """Names of the one's metrics that the other measures nothing like."""
    theirs = {metric.protocol for metric in other.metrics}
    return [metric.name for metric in one.metrics if metric.protocol not in theirs]


def effect(change: Change, before: ScoreRecord, after: ScoreRecord) -> float | None:
    """Return what a change adds to a number; None where one is missing, or they are of different images.

    Images that a change of a protocol's ``selecting`` options drops or keeps are part of its effect.
    """
    if before.value is None or after.value is None:
        return None
    of_the_same = before.missing == after.missing or set(change.options) <= set(change.protocol.selecting)
    return after.value - before.value if of_the_same else None


def differences(one: Dialect, other: Dialect) -> list[Difference]:
    """Compare each metric of a dialect with the other's that is nearest to it.

    Raises:
        UserError: Nobody can measure in one of them.
    """
    theirs = other.measurements()
    found = []
    for measurement in one.measurements():
        alike = [m for m in theirs if m.protocol.name == measurement.protocol.name]
        compared = [Difference(measurement, m, _changes(measurement.protocol, m.protocol)) for m in alike]
        if compared:
            found.append(min(compared, key=lambda difference: len(difference.changes)))
    return found


def _changes(one: Protocol, other: Protocol) -> tuple[Change, ...]:
    names = [field.name for field in dataclasses.fields(one)]
    geometries = [name for name in names if isinstance(getattr(one, name), Geometry)]
    groups = [*map(list, one.together), geometries]
    grouped = {name for group in groups for name in group}
    groups += [[name] for name in names if name not in grouped]
    mine, theirs = one.parameters(), other.parameters()
    changes = []
    for group in groups:
        differing = {name: (mine[name], theirs[name]) for name in group if mine[name] != theirs[name]}
        if differing:
            try:
                changed = dataclasses.replace(one, **{name: getattr(other, name) for name in group})
            except (ValueError, UserError):  # They do not go with the one's other options.
                return (Change({n: (mine[n], theirs[n]) for n in names if mine[n] != theirs[n]}, other),)
            changes.append(Change(differing, changed))
    return tuple(changes)


def brought_to_size(measurement: Measurement) -> Measurement:
    """Return the same on images of another size: where a geometry is for one, they are resized to it first."""
    protocol = measurement.protocol
    changed = {}
    for field in dataclasses.fields(protocol):
        geometry = getattr(protocol, field.name)
        if (
            isinstance(geometry, Geometry)
            and geometry.steps
            and isinstance(expected := geometry.steps[0], Expect | Usual)
        ):
            # A grey mask leaves fractions.
            grey = isinstance(protocol, MaskedProtocol) and protocol.mask == "grey"
            way = "pil-float-bicubic" if grey else "pil-bicubic"
            resize = Resize(expected.width, expected.height, way)
            changed[field.name] = Geometry((resize, *geometry.steps))
    return dataclasses.replace(measurement, protocol=dataclasses.replace(protocol, **changed))


@dataclass(frozen=True)
class Family:
    """All numbers of a run that measure the same thing, in the same units, in some dialect.

    Attributes:
        protocol: What measures it, with the options that change the units.
        scores: By dialect and metric; None where there is none.
    """

    protocol: str
    scores: Mapping[str, ScoreRecord | None]

    @property
    def better(self) -> Better | None:
        """Which direction is good; None where nothing has a score that says so."""
        return next((score.better for score in self.scores.values() if score), None)

    @property
    def unit(self) -> str:
        """Of the numbers."""
        return next((score.unit for score in self.scores.values() if score), "")

    @property
    def measured(self) -> list[ScoreRecord]:
        """The scores that have a value."""
        return [score for score in self.scores.values() if score is not None and score.value is not None]

    @property
    def comparable(self) -> bool:
        """Whether all that is measured lacks the same images."""
        return all(score.missing == self.measured[0].missing for score in self.measured)

    @property
    def spread(self) -> float | None:
        """Largest less smallest number; None where there is one only, or where they are of different images."""
        numbers = [score.value for score in self.measured if score.value is not None]
        return max(numbers) - min(numbers) if self.comparable and len(numbers) > 1 else None


def families(run: Run) -> list[Family]:
    """Put a run's numbers together by what they measure, those that two dialects have."""
    known = find_protocols().classes
    groups: dict[str, list[ProtocolRecord]] = {}
    for record in run.record.protocols:
        units = known[record.name].units if record.name in known else ()
        usual = configure(known[record.name], "paper", {}).parameters() if units else {}
        changed = [f"{o}={v}" for o in units if (v := record.recipe.parameters.get(o, usual[o])) != usual[o]]
        groups.setdefault(f"{record.name}[{','.join(changed)}]" if changed else record.name, []).append(record)
    return [
        Family(name, {_title(record): record.scores[0] if record.scores else None for record in records})
        for name, records in groups.items()
        if len(records) > 1
    ]


def _title(record: ProtocolRecord) -> str:
    return record.label if record.metric is not None else f"{record.dialect or 'your own options'}:{record.name}"
