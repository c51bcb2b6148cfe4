"""Inception Score."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from fhpt_eval.extract.efficientnet_lite0 import EfficientNetLite0
from fhpt_eval.extract.extractor import Extractor, ImageExtractor
from fhpt_eval.extract.inception import ImageNetClasses, Inception
from fhpt_eval.images.geometry import Geometry
from fhpt_eval.maths.influences import inception_score_influences
from fhpt_eval.maths.statistics import class_divergences, inception_score
from fhpt_eval.measuring.flaws import ON_ANY, Effect, Flaw
from fhpt_eval.measuring.masked import MaskedProtocol
from fhpt_eval.measuring.protocol import (
    Group,
    Need,
    Records,
    Score,
    Unscorable,
    influence_of_pairs,
    tally,
)
from fhpt_eval.measuring.rows import PresentRows
from fhpt_eval.measuring.tolerance import Tolerance
from fhpt_eval.pairing.pairs import Pairs


@dataclass(frozen=True, kw_only=True)
class InceptionScore(MaskedProtocol):
    """Inception Score ↑ (Salimans et al., NeurIPS 2016), mean over consecutive splits in the order of file names.

    Shown because the paper's Table III has it. The paper itself cautions that it depends on the network's weights and
    says little about people (§III-B1): the score looks at ImageNet classes only, and never at the target.

    Attributes:
        network: ``inception-2015`` with its 1008 logits without bias; ``inception-v3-imagenet``, torchvision's with its
            1000 classes (HR-VITON), or ``efficientnet-lite0`` with as many, which are named so.
        preprocess: Whose way to 299×299, for Inception: FID's, so that one pass serves both;
            ``torch-fidelity`` is the original graph's.
        splits: Parts that the images are cut into; the field prints the mean over 10.
        generated_geometry: What is done to a generated image before it is handed over.
        mask: See below (DSC and PATN on Market-1501).
    """

    name: ClassVar[str] = "is"
    title: ClassVar[str] = "Inception Score, mean over 10 splits (read the paper's caution)"
    group: ClassVar[Group] = "perceptual"
    metrics: ClassVar[tuple[str, ...]] = ("is",)
    embedded: ClassVar[Mapping[str, Any]] = {"network": "efficientnet-lite0"}
    rank: ClassVar[int] = 30
    tolerance: ClassVar[Tolerance] = Tolerance(relative=1e-5, arrays=4e-4)
    tolerance_of: ClassVar[Mapping[str, Tolerance]] = {"pillow": Tolerance(relative=4e-2, arrays=0.2)}
    together: ClassVar[tuple[tuple[str, ...], ...]] = (("network", "preprocess"),)
    extractors: ClassVar[tuple[type[Extractor], ...]] = (ImageNetClasses,)
    flaws: ClassVar[Mapping[Flaw, Effect]] = {
        **dict.fromkeys(ON_ANY, "different"),
        "duplicates": "different",
        "source copies": "different",
    }
    network: Literal["inception-2015", "inception-v3-imagenet", "efficientnet-lite0"] = "inception-2015"
    preprocess: Literal["pytorch-fid", "torch-fidelity", "clean-fid"] = "pytorch-fid"
    splits: Annotated[int, Field(ge=1)] = 10
    generated_geometry: Geometry = Geometry()

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.network == "efficientnet-lite0" and self.preprocess != "pytorch-fid":
            raise ValueError(f"preprocess belongs to Inception; {self.network} has one way only")

    def needs(self) -> tuple[Need, ...]:
        """Logits of the generated images."""
        return (Need(self.extractor(), ("generated",)),)

    def depends_on_order(self) -> bool:
        """Return True: the splits are cut in the order of the files."""
        return True

    def extractor(self) -> ImageExtractor:
        """Return the network on the generated images."""
        if self.network == "inception-2015":
            return Inception(preprocess=self.preprocess, geometry=self.generated_geometry)
        if self.network == "inception-v3-imagenet":
            return ImageNetClasses(preprocess=self.preprocess, geometry=self.generated_geometry)
        return EfficientNetLite0(geometry=self.generated_geometry)

    def score(self, pairs: Pairs, records: Records) -> list[Score]:
        """Score each split and average."""
        logits = PresentRows(records.unique(self.extractor(), "generated"), "logits")
        if len(logits) < self.splits:
            raise Unscorable(
                f"the Inception Score in {self.splits} splits needs at least {self.splits} images, here are"
                f" {len(logits)}; fewer splits: --set is.splits=1 (a score of its own, not comparable with tables)"
            )
        divergences = class_divergences(logits, self.splits)
        scores, influences = inception_score(divergences), inception_score_influences(divergences)
        missing, faults = tally(logits.missing)
        metric = "is" if self.network == "inception-2015" else f"is_{self.network.replace('-', '_')}"
        return [
            Score(
                metric=self.prefix() + metric,
                value=float(scores.mean()),
                better="higher",
                n=len(logits),
                missing=missing,
                faults=faults,
                arrays={"influence": influence_of_pairs(pairs, {"generated": logits.spread(influences)})},
                details={"std": float(scores.std()), "splits": self.splits},
            )
        ]
