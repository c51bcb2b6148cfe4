"""Train the small DRN on the rendered sample, and evaluate every epoch in a second process meanwhile.

python benchmarks/train_and_evaluate.py OUTPUT [--epochs 5] [--pairs 40] [--device auto] [--alone]

tensorboard --logdir OUTPUT/tensorboard shows losses, scores with intervals, and pictures; OUTPUT/runs has a run an
epoch, which `fhpt-eval leaderboard OUTPUT/runs/*` ranks. A loop of your own needs the lines with `evaluator` only.
``--alone`` evaluates nothing, to see what the evaluation costs the training.
"""

from __future__ import annotations

import argparse
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from torch.utils.tensorboard import SummaryWriter

from fhpt_eval import BackgroundEvaluator
from fhpt_eval.engine.cache import Cache
from fhpt_eval.engine.engine import open_engine
from fhpt_eval.engine.machine import pick_device
from fhpt_eval.extract.feature_maps import FILES, build_feature_maps
from fhpt_eval.extract.weights import Store
from fhpt_eval.generation.generate import list_requests, with_people
from fhpt_eval.people.keypoint_files import KeypointFiles
from fhpt_eval.reference_models.drn.config import SIZES
from fhpt_eval.reference_models.drn.samples import BodyPairs, to_bytes
from fhpt_eval.reference_models.drn.updates import BodyUpdates
from fhpt_eval.sample import ANNOTATION, IMAGES, SAMPLE, some_pairs

BATCH = 4
METRICS = ("ssim", "psnr", "l1", "lpips", "fid")


def pairs_of_the_sample(count: int, folder: Path) -> tuple[BodyPairs, list[str]]:
    """Return pairs of the rendered sample as the DRN is trained on them, and the names of their generated images."""
    listed, images = folder / "pairs.csv", SAMPLE / IMAGES
    listed.write_text(some_pairs(count), encoding="utf-8")
    with Cache() as cache:
        engine, keypoints = open_engine("local", cache, device="cpu"), KeypointFiles.at(SAMPLE / ANNOTATION)
        requests = list_requests(listed, images, images, folder)
        requests = with_people(requests, engine, keypoints, faces=False)
    return BodyPairs(requests.requests, (256, 176)), [request.name for request in requests.requests]


def train(output: Path, *, epochs: int, pairs: int, device: str, alone: bool) -> float:
    """Train, with an evaluation of each epoch beside; return the seconds that the training took."""
    output.mkdir(parents=True, exist_ok=True)
    device = pick_device(device)
    torch.manual_seed(0)
    config = SIZES["small"]
    features = build_feature_maps(config.perceptual, Store(offline=True).get(FILES[config.perceptual]), device)
    updates = BodyUpdates(config, features, device)
    data, names = pairs_of_the_sample(pairs, output)
    beside: Any = nullcontext()
    with SummaryWriter(str(output / "tensorboard")) as writer:
        if not alone:
            beside = BackgroundEvaluator(
                output / "runs", METRICS, profile="embedded", writer=writer, device=device, waiting=1
            )
        with beside as evaluator:
            start = time.perf_counter()
            for epoch in range(epochs):
                for numbers in torch.randperm(len(data)).split(BATCH):
                    losses = updates.step(batch_of(data, numbers.tolist()))
                for name, loss in losses.items():
                    writer.add_scalar(f"losses/{name}", float(loss), epoch)
                if evaluator is not None:
                    for numbers in torch.arange(len(data)).split(BATCH):
                        drawn = updates.pictures(batch_of(data, numbers.tolist()))
                        generated, target, source = (to_bytes(drawn[role]) for role in ("refined", "target", "source"))
                        evaluator.update(generated, target, source, names=[names[i] for i in numbers])
                    evaluator.submit(epoch)
            return time.perf_counter() - start


def batch_of(data: BodyPairs, numbers: list[int]) -> dict[str, torch.Tensor]:
    """Return some pairs as one batch."""
    return torch.utils.data.default_collate([data[number] for number in numbers])  # type: ignore[no-any-return]


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--pairs", type=int, default=40)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--alone", action="store_true")
    given = parser.parse_args()
    seconds = train(given.output, epochs=given.epochs, pairs=given.pairs, device=given.device, alone=given.alone)
    print(f"trained for {seconds:.1f} s; tensorboard --logdir {given.output / 'tensorboard'}")


if __name__ == "__main__":
    main()
