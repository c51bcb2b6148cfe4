"""Learned perceptual distance between generated image and target: LPIPS."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from pydantic import Field

from fhpt_eval.extract.perceptual_distance import InputRange, PerceptualDistance, Trunk
from fhpt_eval.maths.intervals import AT_LEAST_0
from fhpt_eval.measuring.masked import MaskedProtocol
from fhpt_eval.measuring.protocol import (
    Group,
    PairedProtocol,
    Records,
    Score,
    dropped,
    in_file_order,
    last_incomplete_batch,
    mean_over_pairs,
)
from fhpt_eval.measuring.tolerance import Tolerance
from fhpt_eval.pairing.pairs import Pairs


@dataclass(frozen=True, kw_only=True)
class Lpips(PairedProtocol, MaskedProtocol):
    """LPIPS ↓ (Zhang et al., CVPR 2018), v0.1 heads, native size, mean over pairs.

    Attributes:
        net: ``alex`` (the field's), ``vgg`` or ``squeeze``; the metric's name says which when it is not ``alex``.
            ``efficientnet_lite0`` is an unlearned distance on the embedded network, called ``pd_efficientnet_lite0``.
        range: ``-1..1``, or ``0..1``: images in [0, 1] are not brought to [−1, 1] first (PCDMs, DisCo, upgpt; by
            mistake, and too low); called ``lpips_unnormalised``.
        tail: Batch size whose last incomplete batch is dropped (GFLA, PIDM: 64), in the order of generated file names
            of the pairs that can be compared; nothing is dropped where there is less than one batch. 0 keeps all.
        mask: See below (GFLA on Market-1501, ``grey``).
    """

    name: ClassVar[str] = "lpips"
    title: ClassVar[str] = "learned perceptual distance to the target (AlexNet, v0.1)"
    group: ClassVar[Group] = "perceptual"
    metrics: ClassVar[tuple[str, ...]] = ("lpips",)
    headlines: ClassVar[tuple[str, ...]] = metrics
    embedded: ClassVar[Mapping[str, Any]] = {"net": "efficientnet_lite0"}
    version: ClassVar[int] = 2
    rank: ClassVar[int] = 40
    tolerance: ClassVar[Tolerance] = Tolerance(absolute=1e-6, relative=1e-5)
    together: ClassVar[tuple[tuple[str, ...], ...]] = (("net", "range"),)
    selecting: ClassVar[tuple[str, ...]] = ("tail",)
    libraries: ClassVar[tuple[str, ...]] = ("lpips",)
    net: Trunk = "alex"
    range: InputRange = "-1..1"
    tail: Annotated[int, Field(ge=0)] = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.net == "efficientnet_lite0" and self.range != "-1..1":
            raise ValueError("range belongs to LPIPS; efficientnet_lite0 has one way only")

    def depends_on_order(self) -> bool:
        """Where a tail is dropped."""
        return self.tail > 0

    def extractor(self) -> PerceptualDistance:
        """Return the distance on generated image and target."""
        return PerceptualDistance(
            net=self.net,
            range=self.range,
            first_geometry=self.generated_geometry,
            second_geometry=self.target_geometry,
        )

    def score(self, pairs: Pairs, records: Records) -> list[Score]:
        """Average over the pairs."""
        metric = {"alex": "lpips", "efficientnet_lite0": "pd_efficientnet_lite0"}.get(self.net, f"lpips_{self.net}")
        if self.range == "0..1":
            metric += "_unnormalised"
        values = self.values(records, "distance")
        tail = last_incomplete_batch([i for i, _ in in_file_order(pairs, values)], self.tail)
        values = [dropped(self.tail) if i in tail else value for i, value in enumerate(values)]
        return [mean_over_pairs(self.prefix() + metric, "lower", pairs, values, within=AT_LEAST_0)]
