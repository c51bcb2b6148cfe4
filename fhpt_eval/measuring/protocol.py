"""What a protocol is: a frozen value that names the records it needs and turns them into scores, purely."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, ClassVar, Literal, TypeAlias, TypeVar, get_args

import numpy as np
import numpy.typing as npt
from pydantic import BeforeValidator, Field

from fhpt_eval.errors import UserError
from fhpt_eval.extract.extractor import Extractor, ImageExtractor, PairExtractor
from fhpt_eval.extract.keypoint_detector import KeypointDetector
from fhpt_eval.images.geometry import Geometry
from fhpt_eval.maths.differences import Pooled
from fhpt_eval.maths.intervals import ANYTHING, METHOD, Range, fewest, interval
from fhpt_eval.maths.statistics import Interval
from fhpt_eval.measuring.flaws import ON_ANY, Effect, Flaw
from fhpt_eval.measuring.given import Given
from fhpt_eval.measuring.reference_features import ReferenceFeatures, ReferenceNeed
from fhpt_eval.measuring.tolerance import SUMMED, Tolerance
from fhpt_eval.options import configured, plain_options
from fhpt_eval.pairing.folders import PairRole
from fhpt_eval.pairing.pairs import Pairs
from fhpt_eval.records import Missing, Record, Result, Role

Profile: TypeAlias = Literal["paper", "embedded"]
Group: TypeAlias = Literal["perceptual", "structural", "semantic"]
Better: TypeAlias = Literal["higher", "lower"]
NotFinite: TypeAlias = Literal["NaN", "inf"]
P = TypeVar("P", bound="Protocol")

UNIQUE_TARGETS = "unique targets of the evaluated pairs"
"""What the reference set is called where none was given."""

GIVEN_FOLDER, GIVEN_FILE = "the folder given with --reference", "the file given with --reference"
"""What one is called that was given: as images, or as a file made of them."""


@dataclass(frozen=True)
class Need:
    """One extractor on the images of one role, or on pairs of two roles."""

    extractor: Extractor
    roles: tuple[Role, ...]

    def __post_init__(self) -> None:
        expected = 2 if isinstance(self.extractor, PairExtractor) else 1
        if len(self.roles) != expected:
            raise TypeError(f"{self.extractor.id} takes {expected} role(s), not {self.roles}")


@dataclass(frozen=True)
class Score:
    """One metric of one run.

    Attributes:
        metric: Its name, which names the network where that is not the canonical one.
        value: The number, or None when nothing could be scored.
        better: Which direction is good.
        unit: What it is measured in; empty for plain numbers.
        n: How many images or pairs the value rests on.
        missing: How many could not be scored, by reason.
        faults: How many of the missing are faults of the input rather than findings.
        interval: 95 % interval of the value.
        per_pair: A value for each pair in the order of the pairs, with `Missing` where there is none; empty when the
            metric is not a mean over pairs.
        arrays: Raw measurements behind the value, by name, stored with the run for what is drawn or computed later.
            What `fhpt-eval compare` resamples where there are no values per pair, float64 with an entry a pair: either
            ``total`` and ``count``, of which the value is Σ total / Σ count, or ``influence``, the derivative of the
            value by the weight of the pair (which is 1); its sum is 0.
        details: Whatever else belongs to the number: counts of the reference set, standard deviations.
        warnings: What the reader of the number must know or can do, one sentence each.
        not_finite: What a published script prints in place of a number; there is no value then.
    """

    metric: str
    value: float | None
    better: Better
    n: int
    unit: str = ""
    missing: Mapping[str, int] = field(default_factory=dict)
    faults: int = 0
    interval: Interval | None = None
    per_pair: Sequence[float | Missing] = ()
    arrays: Record = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)
    warnings: Sequence[str] = ()
    not_finite: NotFinite | None = None


@dataclass(frozen=True)
class Kept:
    """What a run keeps of a protocol.

    Attributes:
        run: Its name.
        pairs: The pairs in their order, with their items and without images.
        parameters: Of the protocol.
        scores: By metric, with all that is stored of each; missing values per pair count as faults.
    """

    run: str
    pairs: Pairs
    parameters: Mapping[str, Any]
    scores: Mapping[str, Score]

    def arrays(self, metric: str, protocol: str, *names: str) -> tuple[npt.NDArray[Any], ...]:
        """Return arrays of a score.

        Raises:
            UserError: The run was made before they were kept.
        """
        found = self.scores[metric].arrays if metric in self.scores else {}
        if not set(names) <= set(found):
            raise UserError(
                f"{self.run} does not keep what {metric} was computed from: run it again with --protocols {protocol}."
            )
        return tuple(found[name] for name in names)


@dataclass(frozen=True, kw_only=True)
class Rescoring(ABC):
    """Scores at other thresholds, of what a run keeps: no image is looked at. The fields are its options."""

    @abstractmethod
    def score(self, kept: Kept) -> list[Score]:
        """Return what the protocol's own functions give at the thresholds.

        Raises:
            UserError: The run lacks what it takes.
        """


def _thresholds(given: Any) -> Any:
    """Return numbers to the twelve digits that a metric's name shows, each once; anything else as it is."""
    if isinstance(given, str) or not isinstance(given, Iterable):
        given = [given]
    return tuple(dict.fromkeys(float(f"{n:.12g}") if isinstance(n, int | float) else n for n in given))


Thresholds: TypeAlias = Annotated[
    tuple[Annotated[float, Field(gt=0, allow_inf_nan=False)], ...], BeforeValidator(_thresholds), Field(min_length=1)
]
"""One number or several, above 0."""


class Unscorable(Exception):
    """Raised by a protocol that cannot give a score on this input; the sentence says why and what to do."""


class Results(Sequence[Result]):
    """Results of one extractor in a fixed order, read as they are asked for: the data set is never held in memory.

    Args:
        keys: Of the results.
        read: Returns the result of a key.
        read_all: Yields the results of many keys, where that is faster than one after the other.
    """

    def __init__(
        self,
        keys: Sequence[Any],
        read: Callable[[Any], Result],
        read_all: Callable[[Sequence[Any]], Iterator[Result]] | None = None,
    ) -> None:
        self._keys = keys
        self._read = read
        self._read_all = read_all

    def __len__(self) -> int:
        return len(self._keys)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return Results(self._keys[index], self._read, self._read_all)
        return self._read(self._keys[index])

    def among(self, numbers: Iterable[int]) -> Results:
        """Return those of some numbers, in that order."""
        return Results([self._keys[i] for i in numbers], self._read, self._read_all)

    def __iter__(self) -> Iterator[Result]:
        return map(self._read, self._keys) if self._read_all is None else self._read_all(self._keys)


class Records(ABC):
    """What the engine found, as a protocol sees it."""

    @abstractmethod
    def per_pair(self, extractor: ImageExtractor | PairExtractor, *roles: Role) -> Results:
        """Results in the order of the pairs: of the images of one role, or of the two images of two roles."""

    @abstractmethod
    def unique(self, extractor: ImageExtractor, role: Role) -> Results:
        """Results of each different image of a role once, in the order of their names."""

    @abstractmethod
    def unique_groups(self, role: Role) -> Sequence[Hashable]:
        """Return the item of each image of `unique`, or the image's own name where no item is known."""

    def reference_features(self, need: ReferenceNeed) -> ReferenceFeatures:
        """Return the images that are compared with, as a protocol looks at them."""
        return ReferenceFeatures.of_results(self.unique(need.extractor, need.role), need)

    @abstractmethod
    def reference(self) -> str:
        """Return what the reference set is, in words."""

    @property
    @abstractmethod
    def given(self) -> Given:
        """What the user gave beside images; per_pair and unique take it into account."""


@dataclass(frozen=True)
class Curve:
    """An error curve that can be drawn of a metric: the share of its points with an error below α, for every α.

    Attributes:
        metric: Whose score has the array ``distance``, the errors in pixels (infinite for a miss), and is the area.
        title: Of the panel.
        at_least: Another curve's metric, and how many times its axis this one's reaches at the least.
    """

    metric: str
    title: str
    at_least: tuple[str, float] | None = None


@dataclass(frozen=True)
class Threshold:
    """A metric of pairs that counts a pair where its value is below a threshold.

    Attributes:
        metric: Its name, without what options add in brackets.
        title: What reports call its pairs.
        at: The thresholds, the one to look at first in front.
    """

    metric: str
    title: str
    at: tuple[float, ...]


@dataclass(frozen=True)
class Classes:
    """A metric of pairs that is 1 where a classifier answers another of two classes than the pair's, else 0.

    Attributes:
        metric: Its name, without what options add in brackets.
        title: What reports call it.
        column: Of the pairs' table that has the class.
        names: Of the two classes.
    """

    metric: str
    title: str
    column: str
    names: tuple[str, str]


@dataclass(frozen=True, kw_only=True)
class Protocol(ABC):
    """A way to judge generated images. The fields are its parameters, each with a default.

    Class attributes:
        name: What it is called on the command line and in records.
        title: One line for listings.
        group: What it judges, in the paper's terms (§III).
        metrics: The names of the scores that the default gives under the `paper` profile.
        embedded: Field values that make it run on what packages carry.
        version: Raised when equal records would give another score.
        rank: Its place in tables among the protocols of its group, the lowest first; equals follow by name.
        headlines: Those of `metrics` to look at first; the others are details (see `is_headline`).
        table: Which of the paper's tables it stands in, as ``--table`` names it; the group where it is empty.
        curves: What `fhpt-eval plot kec` draws of a run.
        rescoring: What computes its scores at other thresholds, for `Run.rescore`; None for nothing.
        thresholds: Distances of pairs that a report shows beside the threshold.
        answers: Errors of classifiers that a report breaks down by class.
        together: Options that mean something only together, and change together between two dialects.
        units: Options that change what a number is measured in: at other values no two can be compared.
        selecting: Options that decide which images count: what they leave out is part of their effect.
        extractors: Those that only other options than the defaults of the two profiles bring in.
        libraries: Distributions whose version matters to the scores, beside those of the extractors.
        on_request: Runs only where it is named: neither with its group nor where no protocol is named.
        licence: What a user must know of the licence of what it calls; listings and its records say it.
        flaws: What flaws of the files do to its scores; for `fhpt-eval audit`.
        tolerance: How far its numbers may be from those of another machine; for `fhpt-eval verify`.
        tolerance_of: The same where a library, by its name in records, has another version.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    group: ClassVar[Group]
    metrics: ClassVar[tuple[str, ...]]
    embedded: ClassVar[Mapping[str, Any]] = {}
    version: ClassVar[int] = 1
    rank: ClassVar[int] = 1000
    headlines: ClassVar[tuple[str, ...]] = ()
    table: ClassVar[str] = ""
    curves: ClassVar[tuple[Curve, ...]] = ()
    rescoring: ClassVar[type[Rescoring] | None] = None
    thresholds: ClassVar[tuple[Threshold, ...]] = ()
    answers: ClassVar[tuple[Classes, ...]] = ()
    together: ClassVar[tuple[tuple[str, ...], ...]] = ()
    units: ClassVar[tuple[str, ...]] = ()
    selecting: ClassVar[tuple[str, ...]] = ()
    extractors: ClassVar[tuple[type[Extractor], ...]] = ()
    libraries: ClassVar[tuple[str, ...]] = ()
    on_request: ClassVar[bool] = False
    licence: ClassVar[str] = ""
    flaws: ClassVar[Mapping[Flaw, Effect]] = ON_ANY
    tolerance: ClassVar[Tolerance] = SUMMED
    tolerance_of: ClassVar[Mapping[str, Tolerance]] = {}

    @abstractmethod
    def needs(self) -> tuple[Need, ...]:
        """Which records `score` reads."""

    @classmethod
    def is_headline(cls, metric: str) -> bool:
        """Whether one of its metrics is to be looked at first, whatever name options or a dialect give it."""
        return cls.headlines == cls.metrics or metric in cls.headlines

    @classmethod
    def retrieves(cls, metric: str) -> int | None:  # noqa: ARG003 - protocols may look at it
        """How many of a ranking's first one of its metrics looks at, K of ``recall@K``; None for other metrics."""
        return None

    @classmethod
    def choices(cls) -> Mapping[str, Mapping[str, str]]:
        """Return what options can name that a library decides, for listings: by option, each name and what it is."""
        return {}

    def masked(self) -> bool:
        """Whether it looks at images through masks, which therefore can be given."""
        return False

    def keypoint_roles(self, *, masks: bool = False) -> frozenset[Role]:  # noqa: ARG002 - protocols may look at it
        """Roles of images whose keypoints it looks at, and which therefore can be given.

        Args:
            masks: Whether masks come as files, so that none are drawn.
        """
        return frozenset(n.roles[0] for n in self.needs() if isinstance(n.extractor, KeypointDetector))

    def lacks(self, given: Given) -> str | None:  # noqa: ARG002 - protocols may look at it
        """Return what has to be given before it can run as configured, in words; None for nothing."""
        return None

    def reference_need(self) -> ReferenceNeed | None:
        """Return what it looks at of a set that generated images are compared with as a whole; None for nothing."""
        return None

    def depends_on_order(self) -> bool:
        """Whether the order of the files decides the number, as configured."""
        return False

    def seen(self, pairs: Pairs, given: Given) -> Pairs:  # noqa: ARG002 - protocols may look at it
        """Return the images as the protocol looks at them, such as masked ones."""
        return pairs

    @abstractmethod
    def score(self, pairs: Pairs, records: Records) -> list[Score]:
        """Turn records into scores.

        Raises:
            Unscorable: When the input does not allow a score.
        """

    def parameters(self) -> dict[str, Any]:
        """All parameters in plain form, as they stand in the record of a run."""
        return plain_options(self)


@dataclass(frozen=True, kw_only=True)
class PairedProtocol(Protocol):
    """Compares each generated image with its target by one pair extractor.

    Attributes:
        generated_geometry: What is done to a generated image before it is compared.
        target_geometry: The same for its target.
    """

    flaws: ClassVar[Mapping[Flaw, Effect]] = {
        **ON_ANY,
        "sizes": "missing",
        "alignment": "worse",
        "borders": "better",
        "compression": "worse",
        "source copies": "worse",
    }
    generated_geometry: Geometry = Geometry()
    target_geometry: Geometry = Geometry()

    @abstractmethod
    def extractor(self) -> PairExtractor:
        """Return the comparison, with the two geometries."""

    def needs(self) -> tuple[Need, ...]:
        """Return the comparison of each pair."""
        return (Need(self.extractor(), ("generated", "target")),)

    def values(self, records: Records, key: str) -> list[float | Missing]:
        """One scalar of each pair's record, keeping what is missing."""
        results = records.per_pair(self.extractor(), "generated", "target")
        return [r if isinstance(r, Missing) else float(r[key]) for r in results]


def configure(protocol: type[P], profile: Profile, options: Mapping[str, Any]) -> P:
    """Return a protocol for a profile, with options given as text or values.

    Raises:
        UserError: If an option is unknown or has a value that it cannot take.
    """
    return configured(
        protocol, "protocol", protocol.name, options, protocol.embedded if profile == "embedded" else None
    )


def tally(results: Iterable[object]) -> tuple[dict[str, int], int]:
    """Count the `Missing` among results: by reason, and how many of them are faults."""
    missing = [r for r in results if isinstance(r, Missing)]
    return dict(Counter(m.reason for m in missing)), sum(m.fault for m in missing)


def mean_over_pairs(
    metric: str,
    better: Better,
    pairs: Pairs,
    values: Sequence[float | Missing],
    *,
    within: Range | None = ANYTHING,
    unit: str = "",
    details: Mapping[str, Any] | None = None,
    warnings: Sequence[str] = (),
) -> Score:
    """Score a mean over pairs, with its interval over items and what is missing.

    Where a value is `Missing` as NaN or as inf, so is the mean.

    Args:
        metric: Its name.
        better: Its direction.
        pairs: The pairs.
        values: Of each pair.
        within: The least and the largest that a value can be (`fhpt_eval.maths.intervals`: ``SHARE``, ``AT_LEAST_0``);
            None for no interval, where the values of pairs are not of these alone.
        unit: What it is measured in.
        details: Goes into the score.
        warnings: Go into the score.
    """
    there = [not isinstance(value, Missing) for value in values]
    numbers = [0.0 if isinstance(value, Missing) else value for value in values]
    missing, faults = tally(values)
    n = sum(there)
    gone = Counter((v.kind, v.reason) for v in values if isinstance(v, Missing) and v.kind in get_args(NotFinite))
    spoilt = [f"{metric}: {kind}, because of {count} × {reason}" for (kind, reason), count in gone.items()]
    kinds = {kind for kind, _ in gone}
    score = Score(
        metric=metric,
        value=float(np.mean([v for v in values if not isinstance(v, Missing)])) if n and not kinds else None,
        better=better,
        unit=unit,
        n=n,
        missing=missing,
        faults=faults,
        per_pair=tuple(values),
        details=details or {},
        warnings=(*warnings, *spoilt),
        not_finite=next((kind for kind in get_args(NotFinite) if kind in kinds), None),
    )
    if within is None or kinds:
        return score
    return with_interval(score, pairs, Pooled.of_values(numbers, there, resampling_groups(pairs)[0]), within)


def with_interval(score: Score, pairs: Pairs, number: Pooled, within: Range = ANYTHING) -> Score:
    """Return a score with its interval over items, what that rests on, and a warning where it rests on few.

    Args:
        score: Without.
        pairs: The pairs.
        number: Its value, as `resampling_groups` add up to it.
        within: The least and the largest that it can be.
    """
    return resting_on_items(score, pairs, interval(number, within), int((number.count > 0).sum()), fewest(within))


FEW = "may cover less than 92 % (docs/intervals.md)"
"""What is said of 95 % intervals over few items."""


def resting_on_items(score: Score, pairs: Pairs, found: Interval | None, items: int, enough: int) -> Score:
    """Return a score with an interval, how that came about, and a warning where it rests on few items.

    Args:
        score: Without.
        pairs: The pairs.
        found: The interval.
        items: How many it rests on.
        enough: With how many it holds.
    """
    _, over = resampling_groups(pairs)
    about = {"interval_over": over, "interval_by": METHOD, "interval_items": items}
    if not 0 < items < enough:
        return replace(score, interval=found, details={**score.details, **about})
    one = one_of(over)
    # In the same words of all metrics: it is said once then.
    warning = f"few {one}s ({items}): 95 % intervals {FEW}" if items > 1 else f"one {one}: no 95 % interval can be had"
    return replace(
        score,
        interval=found,
        details={**score.details, **about, "few_items": True},
        warnings=(*score.warnings, warning),
    )


def influence_of_pairs(
    pairs: Pairs, influences: Mapping[PairRole, Sequence[float] | npt.NDArray[np.float64]]
) -> npt.NDArray[np.float64]:
    """Return the influence of each pair: of its images, each of which counts with the first pair that has it.

    Args:
        pairs: The pairs.
        influences: For each role, the influence of its different images, in the order of `Pairs.unique`; what is there
            beyond those is of images that are missing.
    """
    summed = np.zeros(len(pairs))
    for role, of_images in influences.items():
        first: dict[str, int] = {}
        for i, row in enumerate(pairs):
            if (ref := getattr(row, role)) is not None:
                first.setdefault(ref.name, i)
        for ref, influence in zip(pairs.unique(role), of_images, strict=False):
            summed[first[ref.name]] += influence
    return summed


def resampling_groups(pairs: Pairs) -> tuple[list[str], str]:
    """Return what an interval resamples: the group of each pair (its item, or itself), and groups in words."""
    return [row.item or row.pair for row in pairs], resampled([row.item for row in pairs])


def resampled(items: Sequence[str | None]) -> str:
    """Return what is resampled in words, from the item of each pair."""
    if all(items):
        return "items"
    return "items where they are known, otherwise pairs" if any(items) else "pairs, because items are unknown"


def one_of(over: str) -> str:
    """Return what one of the groups is called that `resampled` tells of: ``item`` or ``pair``."""
    return "pair" if over.startswith("pairs") else "item"


def in_file_order(pairs: Pairs, values: Sequence[float | Missing]) -> list[tuple[int, float]]:
    """Index and value of the pairs that have one, in the order of generated file names: as scripts batch them."""
    names = [pair.generated.name if pair.generated else "" for pair in pairs]
    there = [(i, value) for i, value in enumerate(values) if not isinstance(value, Missing)]
    return sorted(there, key=lambda item: names[item[0]])


def last_incomplete_batch(order: Sequence[int], batch: int) -> frozenset[int]:
    """Return the end of ``order`` that fills no batch; nothing for batch 0, or where there is less than one batch."""
    whole = len(order) // batch * batch if batch else 0
    return frozenset(order[whole:] if whole else ())


def dropped(batch: int, why: str = "") -> Missing:
    """Return what stands for a result in the `last_incomplete_batch`, with what made the batch so small."""
    return Missing(f"dropped: in the last incomplete batch of {batch}{why and f' ({why})'}", "not asked")


def present(results: Iterable[Result]) -> Iterator[Record]:
    """Iterate over the records that are there."""
    return (r for r in results if not isinstance(r, Missing))
