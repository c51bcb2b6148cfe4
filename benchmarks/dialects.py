"""What each knob of the dialects is worth: the table in docs/dialects.md.

python benchmarks/dialects.py --target DIR GENERATED...

Each option is changed by itself, from ours; every folder of generated images is a method on the same targets.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from fhpt_eval.engine.cache import Cache
from fhpt_eval.engine.engine import open_engine
from fhpt_eval.evaluation.evaluate import evaluate
from fhpt_eval.images.geometry import Geometry
from fhpt_eval.measuring.measurement import Measurement
from fhpt_eval.measuring.protocol import Protocol
from fhpt_eval.pairing.pairs import Pairs
from fhpt_eval.protocols.l1 import L1
from fhpt_eval.protocols.psnr import Psnr
from fhpt_eval.protocols.ssim import Ssim


def _both(text: str) -> dict[str, Any]:
    return dict.fromkeys(("generated_geometry", "target_geometry"), Geometry.parse(text))


PADDED = _both("pad(width=256, height=256)")
STRETCHED = _both("resize(width=256, height=256, filter=pil-bicubic)")
COMPRESSED = _both("jpeg(quality=75)")
HALF_COMPRESSED: dict[str, Any] = {"generated_geometry": Geometry.parse("jpeg(quality=75)")}

KNOBS: dict[str, tuple[Protocol, dict[str, Protocol]]] = {
    "SSIM": (
        Ssim(),
        {
            "white padding to 256×256 (PATN, DPTN, DiOr)": Ssim(**PADDED),
            "both stretched to 256×256 (GFLA, PIDM)": Ssim(**STRETCHED),
            "JPEG of quality 75 on both (PATN)": Ssim(**COMPRESSED),
            "JPEG of quality 75 on generated images only (SPGNet)": Ssim(**HALF_COMPRESSED),
            "data range of the generated image (PATN, GFLA's ssim_256)": Ssim(data_range="generated"),
            "σ 1.2 (PIDM, PCDMs)": Ssim(sigma=1.2),
            "13 taps (scikit-image before 0.15)": Ssim(taps=13),
            "7×7 uniform (PG2)": Ssim(window="uniform", taps=7, covariance="sample"),
            "51×51 uniform (GFLA's ssim)": Ssim(window="uniform", taps=51, covariance="sample"),
            "sample covariance": Ssim(covariance="sample"),
            "grey (DisCo)": Ssim(**_both("grey")),
            "float32 (CFLD)": Ssim(data_range="1", arithmetic="float32"),
        },
    ),
    "PSNR": (
        Psnr(),
        {
            "white padding to 256×256 (DPTN)": Psnr(**PADDED),
            "both stretched to 256×256 (GFLA, PIDM)": Psnr(**STRETCHED),
            "MSE pooled over batches of 16 (Leffa)": Psnr(batch=16),
            "uint8 that wraps around (PISE, early DisCo)": Psnr(arithmetic="uint8"),
        },
    ),
    "L1": (
        L1(),
        {
            "on [−1, 1] (DSC, PATN)": L1(scale="2"),
            "white padding to 256×256 (DPTN)": L1(**PADDED),
            "relative to the sum (GFLA's mae)": L1(form="relative"),
            "divided by the area once more (DisCo)": L1(scale="per-pixel"),
        },
    ),
}


def main(target: Path, methods: list[Path]) -> None:
    """Print a table in Markdown."""
    print("| | ours | changed | difference, mean over methods | smallest … largest |\n|---|---:|---:|---:|---:|")
    with Cache() as cache:
        engine = open_engine("local", cache, device="cpu")
        for metric, (ours, changed) in KNOBS.items():
            steps = [Measurement(p, dialect="step", metric=str(i)) for i, p in enumerate([ours, *changed.values()])]
            runs = [evaluate(Pairs.from_folders(method, target), steps, engine=engine) for method in methods]
            values = np.array([[run.scores[step.name].value for step in steps] for run in runs], dtype=float)
            means = values.mean(0)
            for column, knob in enumerate(changed, start=1):
                gaps = values[:, column] - values[:, 0]
                print(
                    f"| {metric}: {knob} | {means[0]:.4f} | {means[column]:.4f} | {gaps.mean():+.4f} |"
                    f" {gaps.min():+.4f} … {gaps.max():+.4f} |"
                )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--target", type=Path, required=True)
    parser.add_argument("generated", type=Path, nargs="+")
    arguments = parser.parse_args()
    main(arguments.target, arguments.generated)
