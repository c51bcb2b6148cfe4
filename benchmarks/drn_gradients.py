"""Which frequencies of an image each loss of the DRN asks to change: the cause of a weave of pixels, in a minute.

python benchmarks/drn_gradients.py DATA [--start DIR] [--set OPTION=VALUE …] [--steps 100] [--pictures NAME.png]

DATA is a folder of `fhpt-eval synth`. The network stays as it is; discriminators are trained on what it paints. Printed
are the size of each loss's gradient in the refined image, and how its energy is spread over four bands of frequencies
(the last one holds all that alternates from pixel to pixel, or nearly); then the same of what fools the discriminators
when pixels are moved along the gradient. The picture shows refined images, the same with that, and that alone, tenfold.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import torch
from drn_trials import pairs_of, start_from
from torch import Tensor

from fhpt_eval.extract.feature_maps import FILES, build_feature_maps
from fhpt_eval.extract.weights import Store
from fhpt_eval.options import configured
from fhpt_eval.pretrained import drn_checkpoint
from fhpt_eval.reference_models.drn.config import DrnConfig, named_config
from fhpt_eval.reference_models.drn.journal import grid
from fhpt_eval.reference_models.drn.losses import least_squares, perceptual_loss, reconstruction_loss, style_loss
from fhpt_eval.reference_models.drn.pose import heatmaps
from fhpt_eval.reference_models.drn.resident import Resident
from fhpt_eval.reference_models.drn.samples import to_images
from fhpt_eval.reference_models.drn.updates import BodyUpdates

_BANDS = (0, 1 / 8, 1 / 4, 3 / 8, 1 / 2)
_PAIRS = 240
_SHOWN = 16


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--start", type=Path, default=drn_checkpoint())
    parser.add_argument("--set", action="append", default=[])
    parser.add_argument("--steps", type=int, default=100, help="of the discriminators, with 8 pairs each")
    parser.add_argument("--pictures", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    changes = dict(setting.split("=", 1) for setting in options.set)
    small = dataclasses.asdict(named_config("drn", "small"))
    config = configured(DrnConfig, "configuration", "drn", changes, small)
    features = build_feature_maps(config.perceptual, Store().get(FILES[config.perceptual]), "cpu")
    updates = BodyUpdates(config, features, "cpu")
    start_from(updates, options.start)
    source, target, pose, coarse, refined = _painted(updates, options.data)

    random = torch.Generator().manual_seed(0)
    for _ in range(options.steps):
        chosen = torch.randint(len(source), (8,), generator=random)
        updates.update_discriminators(
            refined[chosen], target[chosen], source[chosen], pose[chosen], updates.discriminators
        )
    source, target, pose, coarse, refined = (x[:_SHOWN] for x in (source, target, pose, coarse, refined))
    updates.discriminators.requires_grad_(requires_grad=False)
    true_maps = features(target)

    def adversarial(image: Tensor) -> Tensor:
        scores = updates.discriminators(image, source, pose)
        return torch.stack([least_squares(s, real=True) for s in scores]).sum()

    losses: dict[str, tuple[float, Callable[[Tensor], Tensor]]] = {
        "L1": (config.reconstruction_weight, lambda image: reconstruction_loss(image, target)),
        "φ": (config.perceptual_weight, lambda image: perceptual_loss(features(image), true_maps)),
        "style": (config.style_weight, lambda image: style_loss(features(image), true_maps)),
        "adversarial": (config.adversarial_weight, adversarial),
    }
    for name, image in (("target", target), ("coarse", coarse), ("refined", refined), ("residual", refined - coarse)):
        print(_row(name, image))
    for name, (weight, loss) in losses.items():
        image = refined.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(weight * loss(image), image)
        print(_row(f"gradient of {name}", gradient))
    added = _fooling(adversarial, refined)
    print(_row("what fools", added))
    with torch.no_grad():
        print(f"adversarial loss: {float(adversarial(refined)):.3f} → {float(adversarial(refined + added)):.3f}")
    if options.pictures:
        from PIL import Image

        columns = [refined[:6], (refined + added)[:6], 10 * added[:6]]
        Image.fromarray(grid(columns)).save(options.pictures)


@torch.no_grad()
def _painted(updates: BodyUpdates, folder: Path) -> list[Tensor]:
    """Source, target, the target's pose, coarse and refined images of training pairs."""
    listed = pairs_of(folder, "train")
    kept = Resident(listed, "cpu")
    chosen = torch.randperm(len(listed), generator=torch.Generator().manual_seed(0))[:_PAIRS]
    parts = []
    for part in chosen.split(8):
        batch = kept.batch(part)
        source, target = to_images(batch["source_image"]), to_images(batch["target_image"])
        poses = heatmaps(torch.cat([batch["source_body"], batch["target_body"]], 1), *source.shape[2:])
        images = updates.network(source, poses)
        parts.append((source, target, poses[:, poses.shape[1] // 2 :], images.coarse, images.refined))
    return [torch.cat(x) for x in zip(*parts, strict=True)]


def _row(name: str, image: Tensor) -> str:
    centred = image - image.mean((2, 3), keepdim=True)
    energy = torch.fft.fft2(centred).abs().square().sum((0, 1))
    down, across = (torch.fft.fftfreq(size).abs() for size in image.shape[2:])
    higher = torch.maximum(down[:, None], across[None])
    shares = [energy[(higher > a) & (higher <= b)].sum() / energy.sum() for a, b in pairwise(_BANDS)]
    return f"{name:24s} {float(centred.square().mean().sqrt()):.1e} " + " ".join(f"{float(s):6.1%}" for s in shares)


def _fooling(adversarial: Callable[[Tensor], Tensor], image: Tensor) -> Tensor:
    added = torch.zeros_like(image, requires_grad=True)
    optimiser = torch.optim.Adam([added], lr=0.003)
    for _ in range(30):
        optimiser.zero_grad()
        adversarial(image + added).backward()
        optimiser.step()
    return added.detach()


if __name__ == "__main__":
    main()
