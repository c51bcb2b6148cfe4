"""What generated images are compared with as a whole: what a protocol needs of it, and how it looks at it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice

from fhpt_eval.extract.extractor import ImageExtractor
from fhpt_eval.maths.statistics import GaussianStats
from fhpt_eval.records import Missing, Result, Role


@dataclass(frozen=True)
class ReferenceNeed:
    """What a protocol looks at of the images that it compares with.

    Attributes:
        extractor: The network.
        role: ``reference``, ``given`` or ``target``: whose images.
        feature: The key of its record.
        dim: Its dimension.
        each: Whether the features of each image are needed; otherwise their mean and covariance do.
        tail: Batch size whose last incomplete batch is dropped; 0 keeps all.
    """

    extractor: ImageExtractor
    role: Role
    feature: str
    dim: int
    each: bool
    tail: int = 0


@dataclass(frozen=True)
class ReferenceFeatures:
    """The features of the images that are compared with, in the order of their names.

    Attributes:
        results: Of each image.
        lacking: For each image why it has no features, or None where it has; None where nothing tells how many there
            are.
        statistics: Returns mean and covariance of the first so many features; of all for None.
        remark: What the reader of a number must know of it.
    """

    results: Sequence[Result]
    lacking: tuple[Missing | None, ...] | None
    statistics: Callable[[int | None], GaussianStats]
    remark: str = ""

    @classmethod
    def of_results(cls, results: Sequence[Result], need: ReferenceNeed) -> ReferenceFeatures:
        """Take images that were looked at here."""
        lacking = tuple(result if isinstance(result, Missing) else None for result in results)

        def statistics(first: int | None) -> GaussianStats:
            rows = (result[need.feature] for result in results if not isinstance(result, Missing))
            return GaussianStats.of(islice(rows, first), need.dim)

        return cls(results, lacking, statistics)

    @property
    def n(self) -> int | None:
        """How many have features; None where nothing tells."""
        return None if self.lacking is None else self.lacking.count(None)

    @property
    def missing(self) -> list[Missing]:
        """Why the others have none."""
        return [why for why in self.lacking or () if why is not None]
