"""Learned perceptual distance between generated image and target: LPIPS."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from fhpt_eval.extract.lpips import PerceptualDistance, Trunk
from fhpt_eval.pairs import Pairs
from fhpt_eval.protocol import Group, PairedProtocol, Records, Score, mean_over_pairs


@dataclass(frozen=True, kw_only=True)
class Lpips(PairedProtocol):
    """LPIPS ↓ (Zhang et al., CVPR 2018), v0.1 heads, input in [−1, 1] at native size, mean over all pairs.

    Attributes:
        net: ``alex`` (the field's), ``vgg`` or ``squeeze``; the metric's name says which when it is not ``alex``.
            ``efficientnet_lite0`` is an unlearned distance on the embedded network, called ``pd_efficientnet_lite0``.
    """

    name: ClassVar[str] = "lpips"
    title: ClassVar[str] = "learned perceptual distance to the target (AlexNet, v0.1)"
    group: ClassVar[Group] = "perceptual"
    metrics: ClassVar[tuple[str, ...]] = ("lpips",)
    embedded: ClassVar[Mapping[str, Any]] = {"net": "efficientnet_lite0"}
    net: Trunk = "alex"

    def extractor(self) -> PerceptualDistance:
        """The distance on generated image and target."""
        return PerceptualDistance(
            net=self.net, first_geometry=self.generated_geometry, second_geometry=self.target_geometry
        )

    def score(self, pairs: Pairs, records: Records) -> list[Score]:
        """Average over the pairs."""
        metric = {"alex": "lpips", "efficientnet_lite0": "pd_efficientnet_lite0"}.get(self.net, f"lpips_{self.net}")
        values = self.values(records, "distance")
        return [mean_over_pairs(metric, "lower", pairs, values)]
