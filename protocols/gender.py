"""How often generated people are taken for the other gender: the generator's gender bias."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from fhpt_eval.extract.gender_classifier import NO_PERSON, UNKNOWN_GENDER, ClassifierNetwork, GenderClassifier
from fhpt_eval.images.geometry import Geometry
from fhpt_eval.maths.differences import Pooled
from fhpt_eval.maths.intervals import SHARE, fewest, interval, interval_of_mean
from fhpt_eval.measuring.flaws import ON_ANY, Effect, Flaw
from fhpt_eval.measuring.given import Given
from fhpt_eval.measuring.protocol import (
    Classes,
    Group,
    Need,
    Protocol,
    Records,
    Score,
    Unscorable,
    mean_over_pairs,
    resampling_groups,
    resting_on_items,
)
from fhpt_eval.pairing.naming import Gender as Label
from fhpt_eval.pairing.pairs import Pair, Pairs
from fhpt_eval.records import Missing, Result

Value = float | Missing


@dataclass(frozen=True, kw_only=True)
class Gender(Protocol):
    """Gender error ↓ of a classifier on generated images, against the gender of the pair (§V, Table VI).

    A generator that was trained on far more women than men tends to turn men into women. The classifier is trained on
    real images by `fhpt-eval train gender`; it answers WOMEN or MEN, and an answer that is not the pair's counts as 1.
    The profile `embedded` has one that comes with the package and was trained on rendered people (docs/models.md).

    * gender_error: mean over the pairs. Of DeepFashion's test pairs 88 % show women, so it says little about men.
    * gender_error_men, gender_error_women: mean over the pairs of that gender.
    * gender_error_balanced: mean of these two; the one to compare methods by. Its interval comes of theirs, and
      ``interval_items`` are those of the gender that has fewer.

    The controls stand in each score's ``details``: ``targets``, the classifier's own error on the real targets of the
    scored pairs, which no method should be expected to beat, and ``majority``, the error of always answering the
    gender that more of the scored pairs have (WOMEN where they are even). Flat-lay views show no person: they are left
    out and counted. With another network than VGG-16 the names say so: gender_error[efficientnet_lite0]. The numbers
    of two classifiers cannot be compared: the recipe holds the hash of the file.

    This measures a generator on test pairs of known label; it must not be used to find out anything about a person.

    Attributes:
        network: ``vgg16``, the paper's, or ``efficientnet_lite0``, on which the classifier is a linear layer.
        ceiling: Whether the real targets are judged, too; ``false`` for runs without targets.
        generated_geometry: What is done to a generated image before it is looked at.
        target_geometry: The same for its target.
    """

    name: ClassVar[str] = "gender"
    title: ClassVar[str] = "error of a gender classifier, per gender and balanced"
    group: ClassVar[Group] = "semantic"
    metrics: ClassVar[tuple[str, ...]] = (
        "gender_error",
        "gender_error_men",
        "gender_error_women",
        "gender_error_balanced",
    )
    headlines: ClassVar[tuple[str, ...]] = ("gender_error",)
    table: ClassVar[str] = "gender"
    answers: ClassVar[tuple[Classes, ...]] = (Classes("gender_error", "Gender", "gender", ("WOMEN", "MEN")),)
    version: ClassVar[int] = 2
    rank: ClassVar[int] = 30
    flaws: ClassVar[Mapping[Flaw, Effect]] = {**ON_ANY, "source copies": "better"}
    embedded: ClassVar[Mapping[str, Any]] = {"network": "efficientnet_lite0"}
    network: ClassifierNetwork = "vgg16"
    ceiling: bool = True
    generated_geometry: Geometry = Geometry()
    target_geometry: Geometry = Geometry()

    @classmethod
    def is_headline(cls, metric: str) -> bool:
        """Whether it is the error over all pairs, by whichever network."""
        return metric.partition("[")[0] in cls.headlines

    def lacks(self, given: Given) -> str | None:
        """Return the classifier, where none is given."""
        if given.gender_classifier is not None:
            return super().lacks(given)
        train = "fhpt-eval train gender --images DIR -o DIR"
        if self.network != "vgg16":
            train += f" --network {self.network}"
        return f"a classifier is needed: train one with `{train}` and give it with --gender-classifier FILE"

    def needs(self) -> tuple[Need, ...]:
        """Return the classifier's answers on the generated images, and on the targets."""
        generated = Need(self.extractor(self.generated_geometry), ("generated",))
        return (generated, Need(self.extractor(self.target_geometry), ("target",))) if self.ceiling else (generated,)

    def extractor(self, geometry: Geometry) -> GenderClassifier:
        """Return the given classifier on the images of one side."""
        return GenderClassifier(network=self.network, geometry=geometry)

    def score(self, pairs: Pairs, records: Records) -> list[Score]:
        """Compare the answers with the genders of the pairs."""
        if all(row.gender is None for row in pairs):
            raise Unscorable(
                "no pair's gender is known: it comes from DeepFashion names, or from a gender column in --pairs"
            )
        generated = records.per_pair(self.extractor(self.generated_geometry), "generated")
        errors = [_error(row, result) for row, result in zip(pairs, generated, strict=True)]
        controls: dict[str, list[Value]] = {}
        if self.ceiling:
            targets = records.per_pair(self.extractor(self.target_geometry), "target")
            controls["targets"] = [
                own if isinstance(own, Missing) else _error(row, result)
                for row, own, result in zip(pairs, errors, targets, strict=True)
            ]
        controls["majority"], answer = _majority(pairs, errors)

        def details(part: Sequence[bool], *, balanced: bool = False) -> dict[str, Any]:
            found = {name: _control(pairs, values, part, balanced=balanced) for name, values in controls.items()}
            found["majority"]["answer"] = answer
            return {"controls": found}

        everything = [True] * len(pairs)
        scores = [mean_over_pairs(self._metric(), "lower", pairs, errors, within=SHARE, details=details(everything))]
        for label in ("MEN", "WOMEN"):
            # A pair of unknown gender may belong to either.
            part = [row.gender in (label, None) for row in pairs]
            rows = tuple(row for row, inside in zip(pairs, part, strict=True) if inside)
            own = [error for error, inside in zip(errors, part, strict=True) if inside]
            score = mean_over_pairs(
                self._metric(f"_{label.lower()}"),
                "lower",
                replace(pairs, rows=rows),
                own,
                within=SHARE,
                details=details(part),
            )
            # Not a column of its own: the column of gender_error has these values, beside that of the gender.
            scores.append(replace(score, per_pair=()))
        scores.append(self._balanced(pairs, errors, scores[0], details(everything, balanced=True)))
        return scores

    def _metric(self, which: str = "") -> str:
        return f"gender_error{which}" + ("" if self.network == "vgg16" else f"[{self.network}]")

    def _balanced(self, pairs: Pairs, errors: Sequence[Value], overall: Score, details: dict[str, Any]) -> Score:
        groups = {label: _by_item(pairs, errors, label) for label in ("MEN", "WOMEN")}
        absent = [label for label, group in groups.items() if not group.count.any()]
        score = Score(
            metric=self._metric("_balanced"),
            value=None,
            better="lower",
            n=0,
            missing=overall.missing,
            faults=overall.faults,
            details=details,
        )
        if not absent:
            rates = [group.value for group in groups.values()]
            found = interval_of_mean(rates, [interval(group, SHARE) for group in groups.values()])
            fewer = min(int((group.count > 0).sum()) for group in groups.values())
            score = replace(score, value=float(np.mean(rates)), n=overall.n)
            return resting_on_items(score, pairs, found, fewer, fewest(SHARE))
        if not overall.n:
            return score
        reason = f"no pair of {absent[0]} is scored, so there is nothing to balance"
        return replace(score, missing={**overall.missing, reason: overall.n})


def _error(row: Pair, result: Result) -> Value:
    """1 where the classifier answers otherwise than the pair's gender, else 0."""
    if isinstance(result, Missing):
        return result
    if row.view == "flat":
        return NO_PERSON
    if row.gender is None:
        return UNKNOWN_GENDER
    return float((float(result["score"]) > 0) != (row.gender == "WOMEN"))


def _majority(pairs: Pairs, errors: Sequence[Value]) -> tuple[list[Value], Label]:
    """Return the errors of one answer for all, and that answer."""
    genders = [row.gender for row, error in zip(pairs, errors, strict=True) if not isinstance(error, Missing)]
    answer: Label = "MEN" if genders.count("MEN") > genders.count("WOMEN") else "WOMEN"
    values = [
        error if isinstance(error, Missing) else float(row.gender != answer)
        for row, error in zip(pairs, errors, strict=True)
    ]
    return values, answer


def _control(pairs: Pairs, values: Sequence[Value], part: Sequence[bool], *, balanced: bool) -> dict[str, Any]:
    there = [
        (row.gender, value)
        for row, value, inside in zip(pairs, values, part, strict=True)
        if inside and not isinstance(value, Missing)
    ]
    if not balanced:
        return {"value": float(np.mean([v for _, v in there])) if there else None, "n": len(there)}
    by_gender = [[v for gender, v in there if gender == label] for label in ("MEN", "WOMEN")]
    if not all(by_gender):
        return {"value": None, "n": 0}
    return {"value": float(np.mean([np.mean(group) for group in by_gender])), "n": len(there)}


def _by_item(pairs: Pairs, errors: Sequence[Value], label: Label) -> Pooled:
    """Return what the errors of one gender come to, item by item."""
    groups, _ = resampling_groups(pairs)
    there = [row.gender == label and not isinstance(error, Missing) for row, error in zip(pairs, errors, strict=True)]
    values = [0.0 if isinstance(error, Missing) else error for error in errors]
    return Pooled.of_values(np.where(there, values, 0.0), there, groups)
