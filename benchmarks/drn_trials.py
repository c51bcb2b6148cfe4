"""Short trainings of the DRN that rank choices: each gets the same CPU time, and is tested on held-out pairs.

python benchmarks/drn_trials.py DATA --name NAME [--start DIR | --scratch] [--config drn] [--set OPTION=VALUE …]
    [--seconds 600] [--table trials.csv] [--pictures NAME.png]

DATA is a folder of `fhpt-eval synth` (half the size, 128x88, is enough to rank). A row is added to the table: what was
changed, iterations, and for the coarse and the refined image L1, SSIM, the distance in φ's features, how much more
often than real images they alternate from pixel to pixel (1: as often), and of the patterns of clothes (waves of some
4 to 16 pixels, where the target has them) how many arrive: their correlation with the target's, and their strength.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from skimage.metrics import structural_similarity
from torch import Tensor
from torch.nn import functional

from fhpt_eval.engine.cache import Cache
from fhpt_eval.engine.engine import open_engine
from fhpt_eval.extract.feature_maps import FILES, build_feature_maps
from fhpt_eval.extract.weights import Store
from fhpt_eval.generation.generate import list_requests, with_people
from fhpt_eval.options import configured
from fhpt_eval.people.keypoint_files import KeypointFiles
from fhpt_eval.pretrained import drn_checkpoint
from fhpt_eval.reference_models.drn import checkpoint
from fhpt_eval.reference_models.drn.batches import order_of_epoch
from fhpt_eval.reference_models.drn.config import DrnConfig, named_config
from fhpt_eval.reference_models.drn.journal import grid
from fhpt_eval.reference_models.drn.resident import Resident
from fhpt_eval.reference_models.drn.samples import BodyPairs, to_pixels
from fhpt_eval.reference_models.drn.updates import BodyUpdates

_BATCH = 16
_SHOWN = 8
_CLOTHES = (3, 4, 5, 6, 7)
_SEEN = 0.08
"""How strong a garment's pattern is at least, as a root mean square of values in [−1, 1]; shading is weaker."""


def main() -> None:
    """Train, test, and add a row."""
    options = _options()
    torch.set_num_threads(1)
    torch.manual_seed(options.seed)
    config = _config(options)
    features = build_feature_maps(config.perceptual, Store().get(FILES[config.perceptual]), "cpu")
    updates = BodyUpdates(config, features, "cpu")
    if not options.scratch:
        start_from(updates, options.start)
    train, test = (pairs_of(options.data, split) for split in ("train", "test"))
    steps = _train(updates, Resident(train, "cpu"), len(train), options)
    row = {"name": options.name, "set": " ".join(options.set), "iterations": steps, "seconds": options.seconds}
    row |= _test(updates, test, options.tested, options.pictures)
    print(json.dumps(row))
    new = not options.table.exists()
    with options.table.open("a", newline="") as stream:
        writer = csv.DictWriter(stream, list(row), lineterminator="\n")
        if new:
            writer.writeheader()
        writer.writerow(row)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--name", required=True)
    parser.add_argument("--start", type=Path, default=drn_checkpoint())
    parser.add_argument("--scratch", action="store_true")
    parser.add_argument("--config", default="drn")
    parser.add_argument("--set", action="append", default=[])
    parser.add_argument("--seconds", type=float, default=600.0, help="CPU time of training")
    parser.add_argument("--constant", type=float, default=0.5, help="share of it at the full learning rate")
    parser.add_argument("--tested", type=int, default=144)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--table", type=Path, default=Path("trials.csv"))
    parser.add_argument("--pictures", type=Path)
    return parser.parse_args()


def _config(options: argparse.Namespace) -> DrnConfig:
    changes = dict(setting.split("=", 1) for setting in options.set)
    return configured(
        DrnConfig, "configuration", options.config, changes, dataclasses.asdict(named_config(options.config, "small"))
    )


def start_from(updates: BodyUpdates, folder: Path | None) -> None:
    """Load what fits; what the checkpoint lacks begins anew."""
    if folder is None:
        raise SystemExit("no weights are here: give those to start from, --start DIR, or --scratch")
    tensors, _, _ = checkpoint.load(folder / "body.safetensors", "body")
    own = {key.removeprefix("network."): t for key, t in tensors.items() if key.startswith("network.")}
    missing, unexpected = updates.network.load_state_dict(own, strict=False)
    print(f"begun anew: {missing or 'nothing'}; left out: {unexpected or 'nothing'}")


def pairs_of(folder: Path, split: str) -> BodyPairs:
    """Return the listed pairs of a data set, poses and all."""
    images = folder / "img"
    listed = list_requests(folder / f"{split}-pairs.csv", images, images, folder / "made")
    people = KeypointFiles.at(folder / f"{split}-annotation.csv")
    with Cache() as cache:
        engine = open_engine("local", cache, device="cpu")
        requests = with_people(listed, engine, target_keypoints=people, faces=False).requests
    with Image.open(requests[0].source.path) as first:
        return BodyPairs(requests, (first.height, first.width))


def _train(updates: BodyUpdates, kept: Resident, count: int, options: argparse.Namespace) -> int:
    size, step, started, shown = updates.config.batch_size, 0, time.process_time(), 0.0
    per_epoch = -(-count // size)
    while (done := (time.process_time() - started) / options.seconds) < 1:
        epoch, place = divmod(step, per_epoch)
        if place == 0:
            order = order_of_epoch(count, size, options.seed, epoch).view(-1, size)
        updates.set_learning_rate(updates.config.learning_rate * min(1.0, (1 - done) / (1 - options.constant)))
        losses = updates.step(kept.batch(order[place]))
        step += 1
        if done >= shown:
            print(f"{done:4.0%} {step:5d} " + " ".join(f"{k} {float(v):.4f}" for k, v in losses.items()), flush=True)
            shown += 0.1
    return step


def _test(updates: BodyUpdates, data: BodyPairs, count: int, pictures: Path | None) -> dict[str, Any]:
    chosen = np.unique(np.linspace(0, len(data) - 1, count).round().astype(int))
    sums: dict[str, list[float]] = {}
    drawn: list[Tensor] = []
    for start in range(0, len(chosen), _BATCH):
        numbers = [int(i) for i in chosen[start : start + _BATCH]]
        batch = torch.utils.data.default_collate([data[i] for i in numbers])
        clothes = _clothes([data.pictures[int(data.pairs[i, 1])][0].path for i in numbers])
        made = updates.pictures(batch)
        target = made["target"]
        if start == 0:
            drawn = [images[:_SHOWN] for images in made.values()]
        for name in ("coarse", "refined"):
            images = made[name]
            for key, values in (_scores(updates, images, target) | _patterns(images, target, clothes)).items():
                sums.setdefault(f"{name} {key}", []).extend(values)
    if pictures:
        Image.fromarray(grid(drawn)).save(pictures)
    return {key: round(float(np.mean(values)), 5) for key, values in sums.items()}


def _scores(updates: BodyUpdates, images: Tensor, target: Tensor) -> dict[str, list[float]]:
    made, real = to_pixels(images), to_pixels(target)
    shown, true = (torch.from_numpy(x).movedim(-1, 1).float() / 127.5 - 1 for x in (made, real))
    with torch.no_grad():
        maps, true_maps = updates.features(shown), updates.features(true)
    far = torch.stack(
        [
            (functional.normalize(a, dim=1) - functional.normalize(b, dim=1)).square().sum(1).mean((1, 2))
            for a, b in zip(maps, true_maps, strict=True)
        ]
    ).sum(0)
    ssim = [
        structural_similarity(a, b, channel_axis=-1, data_range=255, gaussian_weights=True, sigma=1.5,
                              use_sample_covariance=False)
        for a, b in zip(made, real, strict=True)
    ]  # fmt: skip
    return {
        "l1": (np.abs(made.astype(float) - real).mean((1, 2, 3)) / 255).tolist(),
        "ssim": [float(v) for v in ssim],
        "pd": far.tolist(),
        "weave": (_alternation(shown) / _alternation(true)).tolist(),
    }


def _clothes(images: list[Path]) -> Tensor:
    """Where the garments are in rendered images, N×garments×1×H×W, without their borders."""
    masks = [Image.open(str(p).replace("/img/", "/masks/").replace(".jpg", ".png")) for p in images]
    classes = torch.from_numpy(np.stack([np.array(mask) for mask in masks]))
    each = torch.stack([(classes == garment).float() for garment in _CLOTHES], dim=1)
    return -functional.max_pool2d(-each, 3, 1, 1)[:, :, None]


def _patterns(images: Tensor, target: Tensor, clothes: Tensor) -> dict[str, list[float]]:
    """Of each image that has a pattern: its correlation with what was made of it, and the ratio of their strengths."""
    found: dict[str, list[float]] = {"pattern": [], "strength": []}
    for made, true, garments in zip(images.clamp(-1, 1), target, clothes, strict=True):
        kept = [garment for garment in garments if float(garment.sum()) > 200]
        pairs = [(_band(made, garment), _band(true, garment), float(garment.sum())) for garment in kept]
        seen = [(a, b) for a, b, size in pairs if float(b.square().sum() / size / 3) > _SEEN**2]
        if seen:
            a, b = (torch.cat([x.flatten() for x in bands]) for bands in zip(*seen, strict=True))
            found["pattern"].append(float(functional.cosine_similarity(a, b, dim=0)))
            found["strength"].append(float(a.norm() / b.norm()))
    return found


def _band(image: Tensor, mask: Tensor) -> Tensor:
    """Waves of some 4 to 16 pixels within a mask: a narrow minus a wide average of what is in it."""
    return mask * (_blurred(image * mask, 0.8) / _blurred(mask, 0.8).clamp(min=1e-3)
                   - _blurred(image * mask, 3.0) / _blurred(mask, 3.0).clamp(min=1e-3))  # fmt: skip


def _blurred(image: Tensor, sigma: float) -> Tensor:
    reach = round(3 * sigma)
    line = torch.exp(-(torch.arange(-reach, reach + 1) ** 2) / (2 * sigma**2))
    across = functional.conv2d(image[:, None], (line / line.sum()).view(1, 1, 1, -1), padding=(0, reach))
    return functional.conv2d(across, (line / line.sum()).view(1, 1, -1, 1), padding=(reach, 0))[:, 0]


def _alternation(images: Tensor) -> Tensor:
    """How strongly each image's pixels alternate: its mean response to −1, 2, −1 across, down, and both."""
    line = torch.tensor([-1.0, 2.0, -1.0]) / 4
    kernels = torch.stack([line.view(1, 3) * torch.tensor([[0.0], [1.0], [0.0]]), line.view(3, 1) *
                           torch.tensor([[0.0, 1.0, 0.0]]), torch.outer(line, line)])  # fmt: skip
    n, c, h, w = images.shape
    found = functional.conv2d(images.reshape(n * c, 1, h, w), kernels[:, None])
    return found.abs().reshape(n, -1).mean(1)


if __name__ == "__main__":
    main()
