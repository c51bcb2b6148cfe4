"""Fréchet distance between generated images and a reference set: FID."""

from __future__ import annotations

import math
from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import compress
from typing import Annotated, Any, ClassVar, Literal, get_args

from pydantic import Field

from fhpt_eval.extract.efficientnet_lite0 import EfficientNetLite0
from fhpt_eval.extract.embeddings import WIDTHS, Clip, Dinov2, EmbeddingNetwork, embedding
from fhpt_eval.extract.extractor import Extractor, ImageExtractor
from fhpt_eval.extract.inception import ImageNetInception, Inception, Preprocess
from fhpt_eval.images.geometry import Geometry
from fhpt_eval.maths.differences import Pooled
from fhpt_eval.maths.extrapolation import SEED, Extrapolated, extrapolated
from fhpt_eval.maths.influences import frechet_influences
from fhpt_eval.maths.intervals import AT_LEAST_0, interval
from fhpt_eval.maths.statistics import Floats, GaussianStats, Interval
from fhpt_eval.measuring.flaws import ON_ANY, Effect, Flaw
from fhpt_eval.measuring.protocol import (
    UNIQUE_TARGETS,
    Group,
    Need,
    Protocol,
    Records,
    Results,
    Score,
    Unscorable,
    dropped,
    influence_of_pairs,
    last_incomplete_batch,
    resampling_groups,
    resting_on_items,
    tally,
)
from fhpt_eval.measuring.reference_features import ReferenceFeatures, ReferenceNeed
from fhpt_eval.measuring.rows import PresentRows
from fhpt_eval.measuring.tolerance import Tolerance
from fhpt_eval.numbers import number
from fhpt_eval.pairing.folders import PairRole
from fhpt_eval.pairing.pairs import Pairs
from fhpt_eval.records import Missing, Result, Role

InceptionNetwork = Literal["inception-2015", "inception-v3-imagenet"]
FidNetwork = Literal[InceptionNetwork, "efficientnet-lite0", EmbeddingNetwork]


@dataclass(frozen=True, kw_only=True)
class FeatureDistribution(Protocol):
    """Compares the features of all generated images with those of a reference set.

    Class attributes:
        each_reference: Whether it looks at the features of each reference image, or at mean and covariance alone.

    Attributes:
        network: ``inception-2015`` (pool3, 2048-d). ``inception-v3-imagenet``: torchvision's (2048-d), the "FID" of
            GFLA, PIDM, CFLD and their kin; ``efficientnet-lite0`` (1280-d); ``dinov2-vits14``, ``dinov2-vitb14`` and
            ``dinov2-vitl14`` (384, 768, 1024-d; the last is FD-DINOv2's); ``clip-vitb32`` and ``clip-vitl14`` (512,
            768-d): none of these is called FID or KID.
        preprocess: Whose way to 299×299, for Inception: ``pytorch-fid``, ``torch-fidelity`` or ``clean-fid``; or
            ``pytorch-fid-2018``: the normalisation that was fixed in 2019 and that GFLA and its kin still have; what
            comes of it is called neither FID nor KID.
        reference: What is compared with. ``auto``: the unique targets of the evaluated pairs, unless a folder is given
            with ``--reference``; ``given``: such a folder only (GFLA, PIDM, CFLD and their kin use all 48,674 training
            images); ``targets``: the unique targets, whatever is given.
        tail: Batch size whose last incomplete batch is dropped (GFLA: 64, PCDMs: 128), on either side in the order of
            file names. 0 keeps all.
        fewer: What becomes of fewer images than one batch. ``lower``: the batch is lowered to the number of reference
            images, stays so for the generated ones, and is lowered to theirs if they are fewer (GFLA and its kin);
            ``fail``: there is no whole batch, and so no number (SPGNet).
        generated_geometry: What is done to a generated image before it is handed over.
        reference_geometry: The same for the reference set.
    """

    group: ClassVar[Group] = "perceptual"
    each_reference: ClassVar[bool] = True
    embedded: ClassVar[Mapping[str, Any]] = {"network": "efficientnet-lite0"}
    together: ClassVar[tuple[tuple[str, ...], ...]] = (("network", "preprocess"),)
    selecting: ClassVar[tuple[str, ...]] = ("tail", "fewer")
    tolerance: ClassVar[Tolerance] = Tolerance(absolute=1e-4, relative=1e-5, arrays=1e-4)
    tolerance_of: ClassVar[Mapping[str, Tolerance]] = {"pillow": Tolerance(absolute=1e-3, relative=2e-2, arrays=0.1)}
    extractors: ClassVar[tuple[type[Extractor], ...]] = (ImageNetInception, Dinov2, Clip)
    flaws: ClassVar[Mapping[Flaw, Effect]] = {
        **ON_ANY,
        "fewer": "different",
        "duplicates": "different",
        "source copies": "better",
    }
    network: FidNetwork = "inception-2015"
    preprocess: Preprocess = "pytorch-fid"
    reference: Literal["auto", "given", "targets"] = "auto"
    tail: Annotated[int, Field(ge=0)] = 0
    fewer: Literal["lower", "fail"] = "lower"
    generated_geometry: Geometry = Geometry()
    reference_geometry: Geometry = Geometry()

    def __post_init__(self) -> None:
        if self.fewer == "fail" and not self.tail:
            raise ValueError("fewer=fail goes with a batch: set tail")
        if self.network not in get_args(InceptionNetwork) and self.preprocess != "pytorch-fid":
            raise ValueError(f"preprocess belongs to Inception; {self.network} has one way only")

    def needs(self) -> tuple[Need, ...]:
        """Features of the generated and of the reference images."""
        return (
            Need(self.extractor("generated"), ("generated",)),
            Need(self.extractor("reference"), (self.reference_role,)),
        )

    def depends_on_order(self) -> bool:
        """Where a tail is dropped."""
        return self.tail > 0

    def extractor(self, role: Literal["generated", "reference"]) -> ImageExtractor:
        """Return the network on the images of one side."""
        geometry = self.generated_geometry if role == "generated" else self.reference_geometry
        if self.network == "efficientnet-lite0":
            return EfficientNetLite0(geometry=geometry)
        if self.network == "inception-2015":
            return Inception(preprocess=self.preprocess, geometry=geometry)
        if self.network == "inception-v3-imagenet":
            return ImageNetInception(preprocess=self.preprocess, geometry=geometry)
        return embedding(self.network, geometry)

    @property
    def reference_role(self) -> Role:
        """The role of the images that are compared with."""
        roles: dict[str, Role] = {"auto": "reference", "given": "given", "targets": "target"}
        return roles[self.reference]

    def reference_need(self) -> ReferenceNeed:
        """Return which features of the images that are compared with are looked at."""
        key, dim = self.feature
        return ReferenceNeed(self.extractor("reference"), self.reference_role, key, dim, self.each_reference, self.tail)

    def compared_with(self, records: Records) -> str:
        """Return what the reference set is, in words."""
        return UNIQUE_TARGETS if self.reference == "targets" else records.reference()

    def features(self, records: Records) -> tuple[Results, ReferenceFeatures]:
        """Return the records of the generated images and the reference set, without the tails.

        Raises:
            Unscorable: A side has less than the one batch that it must have.
        """
        generated = records.unique(self.extractor("generated"), "generated")
        reference = records.reference_features(self.reference_need())
        if not self.tail or reference.lacking is None:
            return generated, reference
        there = [
            [i for i, r in enumerate(side) if not isinstance(r, Missing)] for side in (generated, reference.lacking)
        ]
        if self.fewer == "fail" and min(map(len, there)) < self.tail:
            raise Unscorable(
                f"the original's script takes whole batches of {self.tail} and fails on fewer: here are {len(there[0])}"
                f" generated and {len(there[1])} reference images"
            )
        # Scripts look at the reference set first, and keep the batch that they have lowered to its size.
        batch = max(min(self.tail, len(there[1])), 1)
        tail = dropped(batch, "" if batch == self.tail else f"{self.tail}, lowered to the number of reference images")
        left_out = last_incomplete_batch(there[1], batch)
        return _without_tail(generated, last_incomplete_batch(there[0], batch), tail), replace(
            reference,
            results=_without_tail(reference.results, left_out, tail),
            lacking=tuple(tail if i in left_out else why for i, why in enumerate(reference.lacking)),
        )

    @property
    def feature(self) -> tuple[str, int]:
        """The record's key, and its dimension."""
        if self.network == "efficientnet-lite0":
            return "features", 1280
        if self.network == "inception-2015" or self.network == "inception-v3-imagenet":
            return "pool3", 2048
        return "features", WIDTHS[self.network]

    def metric(self, canonical: str, generic: str) -> str:
        """Return the canonical name for the canonical network, fed as it expects, else one with the network in it."""
        if self.network == "inception-2015" and self.preprocess != "pytorch-fid-2018":
            return canonical
        return f"{generic}_{self.network.replace('-', '_')}"


def _without_tail(results: Sequence[Result], tail: Collection[int], instead: Missing) -> Results:
    return Results(range(len(results)), lambda i: instead if i in tail else results[i])


ENOUGH = 10
"""With how many items the interval covers at least 92 % in nearly all simulations of docs/intervals.md."""

TIMES = 4
"""How many times more images than dimensions it takes for a straight line to tell the bias."""


@dataclass(frozen=True, kw_only=True)
class Fid(FeatureDistribution):
    """FID ↓ (Heusel et al., NeurIPS 2017): features of Inception-2015, float64 statistics, no matrix square root.

    A Fréchet distance of few images is too large. Its interval, over items by the derivative of each image, is of the
    value at this number of images and has nothing of that bias in it; ``details`` tell the bias as far as halves of
    few images can (``bias``).

    Attributes:
        extrapolate: Points of a line through the distances of parts of the items over one by their number (Chong &
            Forsyth, CVPR 2020, take 15). Where the line says that there are endlessly many is ``fid_infinity``. Of a
            reference set of its own, all images stand for endlessly many. None: no line.
    """

    name: ClassVar[str] = "fid"
    title: ClassVar[str] = "Fréchet Inception distance to the targets, or to --reference"
    metrics: ClassVar[tuple[str, ...]] = ("fid",)
    headlines: ClassVar[tuple[str, ...]] = metrics
    version: ClassVar[int] = 2
    rank: ClassVar[int] = 10
    each_reference: ClassVar[bool] = False
    extrapolate: Annotated[int, Field(ge=2, le=100)] | None = None

    def score(self, pairs: Pairs, records: Records) -> list[Score]:
        """Stream both sides' features into mean and covariance, and compare."""
        key, dim = self.feature
        results, reference = self.features(records)
        generated = PresentRows(results, key)
        a, b = GaussianStats.of(generated, dim), reference.statistics(reference.n)
        if min(a.n, b.n) < 2:
            raise Unscorable(f"a Fréchet distance needs at least 2 images on each side, here are {a.n} and {b.n}")
        # A given reference set is the same for all methods.
        targets = rows_of(reference, key) if self.compared_with(records) == UNIQUE_TARGETS else None
        moved = frechet_influences(a, b, generated, targets)
        missing, faults = missing_on_both_sides(generated, reference)
        influences: dict[PairRole, Floats] = {"generated": generated.spread(moved.first)}
        if targets is not None:
            influences["target"] = targets.spread(moved.second)
        arrays = {"influence": influence_of_pairs(pairs, influences)}
        # Of a set whose count nothing tells, the other side's alone can be judged.
        fewer = a.n if reference.n is None else min(a.n, reference.n)
        few = fewer <= dim
        line = self._line(records, generated, reference, b) if few or self.extrapolate else None
        fid = Score(
            metric=self.metric("fid", "fd"),
            value=moved.value,
            better="lower",
            n=a.n,
            missing=missing,
            faults=faults,
            arrays=arrays,
            details={"reference": self.compared_with(records), "reference_n": reference.n},
            warnings=told_of(reference, self.metric("fid", "fd")),
        )
        if few:
            fid = replace(fid, warnings=(*fid.warnings, self._too_few(fid, reference.n, line)))
        if line is not None:
            fid = replace(fid, details={**fid.details, "bias": line.bias})
        fid = _with_interval(fid, pairs)
        if self.extrapolate is None:
            return [fid]
        return [fid, self._infinity(fid, None if reference.n is None else fewer, line)]

    def _line(
        self, records: Records, generated: PresentRows, reference: ReferenceFeatures, statistics: GaussianStats
    ) -> Extrapolated | None:
        """Return the line through distances of parts; without the option it has two points.

        Args:
            records: Which tell the item of each image.
            generated: Features of the generated images.
            reference: Of the reference set, which is drawn along where it is of the same items.
            statistics: Of the reference set.
        """

        def grouped(rows: PresentRows, role: Role) -> tuple[PresentRows, list[Hashable]]:
            return rows, [*compress(records.unique_groups(role), rows.there)]

        own = self.compared_with(records) != UNIQUE_TARGETS
        other = statistics if own else grouped(rows_of(reference, self.feature[0]), self.reference_role)
        return extrapolated(*grouped(generated, "generated"), other, self.extrapolate or 2)

    def _too_few(self, fid: Score, reference_n: int | None, line: Extrapolated | None) -> str:
        _, dim = self.feature
        # A set that is nearly its reference has less bias than halves tell.
        there = line is not None and 0 < line.bias < (fid.value or 0)
        told = f", by {number(line.bias)} or more as far as half of them tell" if line and there else ""
        return (
            f"{fid.metric}: {fid.n} generated and {reference_n or 'an unknown number of'} reference images for {dim}"
            f" dimensions: so few bias the value upwards{told}; compare it only at equal counts, or use"
            f" {self.metric('kid', 'kd')}"
        )

    def _infinity(self, fid: Score, fewer: int | None, line: Extrapolated | None) -> Score:
        """Return the value of endlessly many images, with the interval of the distance and the error of the line."""
        metric, (_, dim) = f"{fid.metric}_infinity", self.feature
        score = replace(fid, metric=metric, value=None, interval=None, arrays={}, details={}, warnings=())
        if line is None:
            return replace(score, n=0, missing={**fid.missing, "too few items to take half of": fid.n})
        details = {
            "reference": fid.details["reference"],
            "reference_n": fid.details["reference_n"],
            "bias": line.bias,
            "seed": SEED,
            "points": [list(point) for point in line.points],
        }
        score = replace(score, value=line.value, details=details)
        if fewer is None or fewer < TIMES * dim:
            told = (
                "nothing tells how many reference images there are"
                if fewer is None
                else f"{fewer} images are fewer than {TIMES} times the {dim} dimensions, where the line bends"
            )
            warning = f"{metric}: {told}: the value is a rough one, mostly too large, and has no interval"
            return replace(score, warnings=(warning,))
        if fid.interval is None or fid.value is None or line.error is None:
            return score
        off = 2 * line.error
        low, high = (math.copysign(math.hypot(end - fid.value, off), end - fid.value) for end in fid.interval)
        moved = Interval(max(0.0, line.value + low), max(0.0, line.value + high))
        about = {name: fid.details[name] for name in ("interval_over", "interval_by", "interval_items")}
        return replace(score, interval=moved, details={**details, **about})


def _with_interval(score: Score, pairs: Pairs) -> Score:
    """Return a score with its interval over the items whose images move it."""
    influence = score.arrays["influence"]
    moving = influence != 0
    groups = [group for group, moves in zip(resampling_groups(pairs)[0], moving, strict=True) if moves]
    if score.value is None or not groups:
        return score
    pooled = Pooled.of_influences(score.value, influence[moving], groups)
    return resting_on_items(score, pairs, interval(pooled, AT_LEAST_0), len(pooled.total), ENOUGH)


def rows_of(reference: ReferenceFeatures, key: str) -> PresentRows:
    """Return the features of the images of a reference set, as sums read them."""
    return PresentRows(reference.results, key, reference.lacking)


def told_of(reference: ReferenceFeatures, metric: str) -> tuple[str, ...]:
    """Return what is to be said of a reference set with a metric."""
    return (f"{metric}: {reference.remark}",) if reference.remark else ()


def missing_on_both_sides(generated: PresentRows, reference: ReferenceFeatures) -> tuple[dict[str, int], int]:
    """Tally what is missing on either side, the reference's under its own name."""
    missing, faults = tally(generated.missing)
    reference_missing, reference_faults = tally(reference.missing)
    named = {f"reference image: {reason}": count for reason, count in reference_missing.items()}
    return {**missing, **named}, faults + reference_faults
