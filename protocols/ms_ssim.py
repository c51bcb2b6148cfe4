"""Structural similarity between generated image and target over several scales: MS-SSIM."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from fhpt_eval.extract.multi_scale import MultiScaleSimilarity
from fhpt_eval.measuring.protocol import Group, PairedProtocol, Records, Score, mean_over_pairs
from fhpt_eval.measuring.tolerance import Tolerance
from fhpt_eval.pairing.pairs import Pairs


@dataclass(frozen=True, kw_only=True)
class MsSsim(PairedProtocol):
    """MS-SSIM ↑ (Wang et al., Asilomar 2003) over five scales, as pytorch-msssim computes it (upgpt), mean over pairs.

    Both sides have to be longer than 160 pixels. It needs the extra ``msssim``, and runs only where it is named.
    """

    name: ClassVar[str] = "ms_ssim"
    title: ClassVar[str] = "structural similarity to the target over five scales"
    group: ClassVar[Group] = "perceptual"
    metrics: ClassVar[tuple[str, ...]] = ("ms_ssim",)
    rank: ClassVar[int] = 55
    on_request: ClassVar[bool] = True
    tolerance: ClassVar[Tolerance] = Tolerance(absolute=1e-6, relative=1e-5)

    def extractor(self) -> MultiScaleSimilarity:
        """Return the similarity of generated image and target."""
        return MultiScaleSimilarity(first_geometry=self.generated_geometry, second_geometry=self.target_geometry)

    def score(self, pairs: Pairs, records: Records) -> list[Score]:
        """Average over the pairs."""
        return [mean_over_pairs("ms_ssim", "higher", pairs, self.values(records, "value"))]
