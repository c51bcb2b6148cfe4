"""Similarity of the faces of generated image and target, by InsightFace."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from fhpt_eval.extract.insight_face import NO_FACE, InsightFace
from fhpt_eval.images.geometry import Geometry
from fhpt_eval.measuring.flaws import ON_ANY, Effect, Flaw
from fhpt_eval.measuring.given import Given
from fhpt_eval.measuring.protocol import (
    Better,
    Group,
    Need,
    Protocol,
    Records,
    Score,
    mean_over_pairs,
    present,
)
from fhpt_eval.measuring.tolerance import Tolerance
from fhpt_eval.pairing.pairs import Pairs
from fhpt_eval.records import Missing, Result

NO_TARGET_FACE = Missing("no face in target", "finding")
NO_GENERATED_FACE = Missing("no face in generated image", "finding")


@dataclass(frozen=True, kw_only=True)
class FaceSimilarity(Protocol):
    """Similarity of faces by InsightFace (MCLD): mean over the pairs in which both images show a face.

    The largest face of each image is found and embedded by the networks that are given with ``--face-models``, a folder
    of ONNX files such as InsightFace's buffalo_s; numbers of two model packs cannot be compared, and the recipe of a
    score has the hash of both files. Embeddings are taken as the network gives them, not brought to unit length.

    * face_cosine ↑: cosine of the two embeddings.
    * face_euclidean ↓: their Euclidean distance, whose scale is the network's.

    Pairs without a face in either image are counted as missing, by the image that lacks it: where methods differ in
    those, their means rest on different pairs. ``face_identity`` counts them against a method. This measures a
    generator on test pairs that are known to show one person; it is no test of who somebody is.

    Attributes:
        measure: Which of the two numbers, or ``both``.
        generated_geometry: What is done to a generated image before it is looked at.
        target_geometry: The same for its target.
    """

    name: ClassVar[str] = "face_similarity"
    title: ClassVar[str] = "cosine and distance of InsightFace's embeddings of the faces"
    group: ClassVar[Group] = "semantic"
    metrics: ClassVar[tuple[str, ...]] = ("face_cosine", "face_euclidean")
    table: ClassVar[str] = "face"
    rank: ClassVar[int] = 15
    on_request: ClassVar[bool] = True
    licence: ClassVar[str] = (
        "InsightFace's code is MIT; its networks, which you bring, are for non-commercial research only."
    )
    tolerance: ClassVar[Tolerance] = Tolerance(absolute=1e-5, relative=1e-4)
    flaws: ClassVar[Mapping[Flaw, Effect]] = {**ON_ANY, "source copies": "better"}
    measure: Literal["both", "cosine", "euclidean"] = "both"
    generated_geometry: Geometry = Geometry()
    target_geometry: Geometry = Geometry()

    def lacks(self, given: Given) -> str | None:
        """Return the networks, where none are given."""
        if given.face_models is not None:
            return super().lacks(given)
        return "it needs networks: give the folder of one of InsightFace's model packs with --face-models DIR"

    def needs(self) -> tuple[Need, ...]:
        """Return the largest face of the generated images and of the targets."""
        return (
            Need(InsightFace(geometry=self.generated_geometry), ("generated",)),
            Need(InsightFace(geometry=self.target_geometry), ("target",)),
        )

    def score(self, pairs: Pairs, records: Records) -> list[Score]:
        """Compare the faces of each pair, and average."""
        generated, targets = (records.per_pair(need.extractor, *need.roles) for need in self.needs())  # type: ignore[arg-type]
        both = [_embeddings(g, t) for g, t in zip(generated, targets, strict=True)]
        measures: dict[str, tuple[Better, Callable[[Any, Any], float]]] = {
            "cosine": ("higher", cosine),
            "euclidean": ("lower", euclidean),
        }
        return [
            mean_over_pairs(
                f"face_{name}",
                better,
                pairs,
                [pair if isinstance(pair, Missing) else measure(*pair) for pair in both],
                details={**self._several_faces(records), "licence": self.licence},
            )
            for name, (better, measure) in measures.items()
            if self.measure in ("both", name)
        ]

    def _several_faces(self, records: Records) -> dict[str, dict[str, int]]:
        """How many images show more than one face, of which the largest was taken."""
        found = {need.roles[0]: records.unique(need.extractor, need.roles[0]) for need in self.needs()}  # type: ignore[arg-type]
        return {"several_faces": {role: sum(int(r["faces"]) > 1 for r in present(rs)) for role, rs in found.items()}}


def cosine(first: Any, second: Any) -> float:
    """Cosine of two embeddings."""
    return float(np.dot(first, second) / (np.linalg.norm(first) * np.linalg.norm(second)))


def euclidean(first: Any, second: Any) -> float:
    """Euclidean distance of two embeddings."""
    return float(np.linalg.norm(first - second))


def _embeddings(generated: Result, target: Result) -> tuple[Any, Any] | Missing:
    if isinstance(target, Missing):
        return NO_TARGET_FACE if target == NO_FACE else target
    if isinstance(generated, Missing):
        return NO_GENERATED_FACE if generated == NO_FACE else generated
    return generated["embedding"], target["embedding"]
