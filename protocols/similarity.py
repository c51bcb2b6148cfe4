"""Cosine similarity of generated image and target, as large self-supervised networks see them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, get_args

import numpy as np
from pydantic import BeforeValidator, PlainSerializer

from fhpt_eval.extract.efficientnet_lite0 import EfficientNetLite0
from fhpt_eval.extract.embeddings import Clip, EmbeddingNetwork, embedding
from fhpt_eval.extract.extractor import Extractor, ImageExtractor
from fhpt_eval.images.geometry import Geometry
from fhpt_eval.measuring.flaws import ON_ANY, Effect, Flaw
from fhpt_eval.measuring.protocol import Group, Need, Protocol, Records, Score, mean_over_pairs
from fhpt_eval.measuring.tolerance import Tolerance
from fhpt_eval.pairing.pairs import Pairs
from fhpt_eval.records import Missing, Result

SimilarityNetwork = Literal[EmbeddingNetwork, "efficientnet-lite0"]

Networks = Annotated[
    tuple[SimilarityNetwork, ...],
    BeforeValidator(lambda v: tuple(part.strip() for part in v.split(",")) if isinstance(v, str) else v),
    PlainSerializer(lambda v: ",".join(v), return_type=str),
]
"""In text: names with commas between them."""


@dataclass(frozen=True, kw_only=True)
class Similarity(Protocol):
    """Cosine similarity ↑ of the features of generated image and target, from −1 to 1, mean over pairs.

    With DINOv2 and CLIP it is what the literature on personalised generation calls DINO-I and CLIP-I, here against the
    pair's own target. It looks past small shifts, and says little of faces and hands. The name says the network:
    ``similarity[dinov2-vitl14]``.

    Attributes:
        networks: Any of ``dinov2-vits14``, ``dinov2-vitb14``, ``dinov2-vitl14``, ``clip-vitb32`` and ``clip-vitl14``,
            with commas between them, and of ``efficientnet-lite0``, which says little. DINOv2 sees the whole image
            squeezed to 224×224, CLIP the middle square.
        generated_geometry: What is done to a generated image before it is handed over.
        target_geometry: The same for its target.
    """

    name: ClassVar[str] = "similarity"
    title: ClassVar[str] = "cosine similarity with the target in DINOv2's or CLIP's features"
    group: ClassVar[Group] = "perceptual"
    metrics: ClassVar[tuple[str, ...]] = ("similarity[dinov2-vitl14]",)
    headlines: ClassVar[tuple[str, ...]] = metrics
    rank: ClassVar[int] = 50
    on_request: ClassVar[bool] = True
    flaws: ClassVar[Mapping[Flaw, Effect]] = {**ON_ANY, "source copies": "better"}
    tolerance: ClassVar[Tolerance] = Tolerance(absolute=1e-5, relative=1e-5)
    tolerance_of: ClassVar[Mapping[str, Tolerance]] = {"pillow": Tolerance(absolute=1e-3, relative=1e-3)}
    extractors: ClassVar[tuple[type[Extractor], ...]] = (Clip,)
    embedded: ClassVar[Mapping[str, Any]] = {"networks": ("efficientnet-lite0",)}
    networks: Networks = ("dinov2-vitl14",)
    generated_geometry: Geometry = Geometry()
    target_geometry: Geometry = Geometry()

    def __post_init__(self) -> None:
        if not self.networks or len(set(self.networks)) < len(self.networks):
            raise ValueError(f"name one or more of {', '.join(get_args(SimilarityNetwork))}, each once")

    def needs(self) -> tuple[Need, ...]:
        """Features of the generated images and of their targets."""
        roles: tuple[Literal["generated", "target"], ...] = ("generated", "target")
        return tuple(Need(self._extractor(network, role), (role,)) for network in self.networks for role in roles)

    def _extractor(self, network: SimilarityNetwork, role: Literal["generated", "target"]) -> ImageExtractor:
        geometry = self.generated_geometry if role == "generated" else self.target_geometry
        if network == "efficientnet-lite0":
            return EfficientNetLite0(geometry=geometry)
        return embedding(network, geometry)

    def score(self, pairs: Pairs, records: Records) -> list[Score]:
        """Compare the two sides by each network."""
        return [self._score(network, pairs, records) for network in self.networks]

    def _score(self, network: SimilarityNetwork, pairs: Pairs, records: Records) -> Score:
        generated = records.per_pair(self._extractor(network, "generated"), "generated")
        targets = records.per_pair(self._extractor(network, "target"), "target")
        values = [cosine(one, other) for one, other in zip(generated, targets, strict=True)]
        return mean_over_pairs(f"similarity[{network}]", "higher", pairs, values)


def cosine(one: Result, other: Result) -> float | Missing:
    """Return the cosine of the angle between two records' features, or what is missing."""
    if isinstance(one, Missing):
        return one
    if isinstance(other, Missing):
        return other
    x, y = (record["features"].astype(np.float64) for record in (one, other))
    lengths = np.sqrt((x @ x) * (y @ y))
    return float(x @ y / lengths) if lengths else Missing("its features are all 0, which has no direction")
