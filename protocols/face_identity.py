"""Whether a generated person has the face of the real one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from fhpt_eval.extract.dlib_face import DlibFace, Landmarks
from fhpt_eval.images.geometry import Geometry
from fhpt_eval.maths.intervals import AT_LEAST_0, SHARE
from fhpt_eval.maths.statistics import Floats
from fhpt_eval.measuring.flaws import ON_ANY, Effect, Flaw
from fhpt_eval.measuring.protocol import (
    Group,
    Kept,
    Need,
    Protocol,
    Records,
    Rescoring,
    Score,
    Threshold,
    Thresholds,
    mean_over_pairs,
    present,
)
from fhpt_eval.pairing.pairs import Pairs
from fhpt_eval.records import Missing, Result

THRESHOLDS = (0.6, 0.7)
"""ε in §III-B of the paper."""

NO_GENERATED_FACE = Missing("no face in generated image", "finding")


@dataclass(frozen=True, kw_only=True)
class FaceThresholds(Rescoring):
    """The shares of preserved identities at other thresholds.

    Attributes:
        thresholds: Distances below which two faces count as the same.
    """

    thresholds: Thresholds = THRESHOLDS

    def score(self, kept: Kept) -> list[Score]:
        """Count the distances that the run has for each pair."""
        against = str(kept.parameters["against"])
        findings = {why.reason: why for why in (NO_GENERATED_FACE, _no_real_face(against))}
        coverage, distance = (kept.scores[_named(name, against)] for name in ("face_coverage", "face_distance"))
        distances = [findings.get(d.reason, d) if isinstance(d, Missing) else d for d in distance.per_pair]
        return _same(kept.pairs, distances, [found == 0 for found in coverage.per_pair], self.thresholds, against)


@dataclass(frozen=True, kw_only=True)
class FaceIdentity(Protocol):
    """Face identity (§III-B3): distance between the faces of the generated and of the real image.

    The largest face of each image is found by dlib's HOG detector and embedded in 128 dimensions by dlib's network, as
    the package face_recognition does; the distance is Euclidean. Which pairs count is part of each metric:

    * face_coverage ↑: share of the pairs with a face in the target in which the generated image has one too. Read it
      first: where it differs between methods, face_distance rests on different pairs.
    * face_distance ↓: mean over the pairs with both faces.
    * face_same@0.6, face_same@0.7 ↑: share of the pairs with a face in the target whose distance is below 0.6 (0.7),
      the paper's "lower than"; a generated image without a face has not preserved the person.
    * face_same@0.6[detected], face_same@0.7[detected] ↑: the same share of the pairs with both faces.

    Pairs whose target shows no face (a view from the back) are left out of all of these and are counted as missing.
    This measures a generator on test pairs that are known to show one person; it is no test of who somebody is.

    Attributes:
        against: ``target``, or ``source``, which the paper's "source/target image pairs" may mean as well; the names
            then say so: face_distance[source], face_same@0.6[source,detected].
        upsample: How often an image is doubled in size before faces are looked for; once more finds faces of half the
            size in four times the time. Faces in 256×176 are about 20 pixels wide, which takes 2.
        landmarks: Points that align a face: ``small`` (5, face_recognition's default) or ``large`` (68).
        generated_geometry: What is done to a generated image before it is looked at.
        target_geometry: The same for what it is compared with, target or source.
    """

    name: ClassVar[str] = "face_identity"
    title: ClassVar[str] = "distance to the target's face, share of preserved identities, coverage"
    group: ClassVar[Group] = "semantic"
    metrics: ClassVar[tuple[str, ...]] = (
        "face_coverage",
        "face_distance",
        "face_same@0.6",
        "face_same@0.6[detected]",
        "face_same@0.7",
        "face_same@0.7[detected]",
    )
    headlines: ClassVar[tuple[str, ...]] = tuple(f"face_same@{threshold}" for threshold in THRESHOLDS)
    table: ClassVar[str] = "face"
    rescoring: ClassVar[type[Rescoring]] = FaceThresholds
    thresholds: ClassVar[tuple[Threshold, ...]] = (Threshold("face_distance", "Face pairs", THRESHOLDS),)
    version: ClassVar[int] = 2
    rank: ClassVar[int] = 10
    flaws: ClassVar[Mapping[Flaw, Effect]] = {**ON_ANY, "source copies": "better"}
    against: Literal["target", "source"] = "target"
    upsample: Annotated[int, Field(ge=0, le=4)] = 2
    landmarks: Landmarks = "small"
    generated_geometry: Geometry = Geometry()
    target_geometry: Geometry = Geometry()

    @classmethod
    def is_headline(cls, metric: str) -> bool:
        """Whether it is the share of pairs with the same face, against targets or sources."""
        return metric.removesuffix("[source]") in cls.headlines

    def needs(self) -> tuple[Need, ...]:
        """Return the largest face of the generated and of the real images."""
        return (
            Need(self.extractor(self.generated_geometry), ("generated",)),
            Need(self.extractor(self.target_geometry), (self.against,)),
        )

    def extractor(self, geometry: Geometry) -> DlibFace:
        """Return the detector on the images of one side."""
        return DlibFace(upsample=self.upsample, landmarks=self.landmarks, geometry=geometry)

    def score(self, pairs: Pairs, records: Records) -> list[Score]:
        """Compare the faces of each pair, and average under each denominator."""
        generated = records.per_pair(self.extractor(self.generated_geometry), "generated")
        real = records.per_pair(self.extractor(self.target_geometry), self.against)
        distances = [self._distance(g, r) for g, r in zip(generated, real, strict=True)]
        both = [d if isinstance(d, Missing) else 1.0 for d in distances]
        lost = [not isinstance(r, Missing) and _no_face(g) for g, r in zip(generated, real, strict=True)]
        coverage = mean_over_pairs(self._metric("face_coverage"), "higher", pairs, _strict(both, lost), within=SHARE)
        if not coverage.n and any(map(_no_face, real)):
            coverage = replace(coverage, warnings=(self._warning(),))
        scores = [
            coverage,
            mean_over_pairs(
                self._metric("face_distance"),
                "lower",
                pairs,
                distances,
                within=AT_LEAST_0,
                details=self._several_faces(records),
            ),
        ]
        return scores + _same(pairs, distances, lost, THRESHOLDS, self.against)

    def _metric(self, name: str) -> str:
        return _named(name, self.against)

    def _distance(self, generated: Result, real: Result) -> float | Missing:
        for result in (real, generated):
            if isinstance(result, Missing) and result.fault:
                return result
        if isinstance(real, Missing):
            return _no_real_face(self.against)
        if isinstance(generated, Missing):
            return NO_GENERATED_FACE
        return face_distance(real["embedding"], generated["embedding"])

    def _several_faces(self, records: Records) -> dict[str, dict[str, int]]:
        """How many images show more than one face, of which the largest was taken."""
        images = {
            "generated": records.unique(self.extractor(self.generated_geometry), "generated"),
            self.against: records.unique(self.extractor(self.target_geometry), self.against),
        }
        return {"several_faces": {role: sum(int(r["faces"]) > 1 for r in present(rs)) for role, rs in images.items()}}

    def _warning(self) -> str:
        return (
            f"face_identity: no {self.against} has a face that is found with upsample={self.upsample};"
            " a larger --set face_identity.upsample finds smaller ones."
        )


def face_distance(first: Floats, second: Floats) -> float:
    """Euclidean distance of two 128-d embeddings, summed in the order of ``face_recognition.face_distance``."""
    return float(np.linalg.norm((first - second)[None], axis=1)[0])


def _same(
    pairs: Pairs, distances: Sequence[float | Missing], lost: Sequence[bool], thresholds: Sequence[float], against: str
) -> list[Score]:
    """Score the shares of distances below each threshold, under both denominators.

    Args:
        pairs: The pairs.
        distances: Of their faces.
        lost: Whether the generated image lacks the face that the real one has.
        thresholds: The distances.
        against: What the real images are.
    """
    scores = []
    for threshold in thresholds:
        same = [d if isinstance(d, Missing) else float(d < threshold) for d in distances]
        name = f"face_same@{threshold}"
        scores.append(mean_over_pairs(_named(name, against), "higher", pairs, _strict(same, lost), within=SHARE))
        scores.append(mean_over_pairs(_named(name, against, "detected"), "higher", pairs, same, within=SHARE))
    return scores


def _named(name: str, against: str, *qualifiers: str) -> str:
    if against != "target":
        qualifiers = (against, *qualifiers)
    return f"{name}[{','.join(qualifiers)}]" if qualifiers else name


def _no_real_face(against: str) -> Missing:
    return Missing(f"no face in {against}", "finding")


def _no_face(result: Result) -> bool:
    return isinstance(result, Missing) and not result.fault


def _strict(values: Sequence[float | Missing], lost: Sequence[bool]) -> list[float | Missing]:
    """Count a generated image without a face as 0."""
    return [0.0 if gone else value for value, gone in zip(values, lost, strict=True)]
