"""How much an evaluation beside a training slows the training down: the small DRN's iterations, alone and beside it.

python benchmarks/beside_training.py [ROUNDS]

A round is the same number of iterations twice, in turn first: alone, and while `BackgroundEvaluator` computes. Prints
each round's ratio of times, their median, and how long the evaluations took.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path

import numpy as np
import torch

from fhpt_eval import BackgroundEvaluator, Run
from fhpt_eval.engine.machine import pick_device
from fhpt_eval.reference_models.drn.config import named_config
from fhpt_eval.reference_models.drn.network import DetailReplenishingNetwork

ITERATIONS = 40
IMAGES = 96
START = 8.0
"""Seconds after which the process computes, having imported what it needs."""


def iteration(device: str) -> Callable[[], None]:
    """Return forward, backward and update of the small network on one pair."""
    network = DetailReplenishingNetwork(named_config(size="small")).to(device)
    optimiser = torch.optim.RAdam(network.parameters(), 1e-4)
    source, poses = (torch.rand(1, channels, 256, 176, device=device) for channels in (3, 36))

    def iterate() -> None:
        optimiser.zero_grad()
        torch.autograd.backward(network(source, poses).refined.abs().mean())
        optimiser.step()
        if device.startswith("cuda"):
            torch.cuda.synchronize()

    return iterate


def seconds(iterate: Callable[[], None]) -> float:
    """How long the iterations of a round take."""
    started = time.perf_counter()
    for _ in range(ITERATIONS):
        iterate()
    return time.perf_counter() - started


def main(rounds: int) -> None:
    """Measure."""
    device = pick_device("auto")
    iterate, random = iteration(device), np.random.default_rng(0)
    iterate()
    ratios = []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(rounds):
            with BackgroundEvaluator(Path(folder), ["fid", "lpips"], profile="embedded") as evaluator:
                alone = seconds(iterate) if number % 2 == 0 else None
                images = random.integers(0, 256, (2, IMAGES, 256, 176, 3), dtype=np.uint8)
                evaluator.update(*images)
                run: Future[Run] = evaluator.submit(number)
                time.sleep(START)
                beside = seconds(iterate)
                whole = not run.done()
                run.result()
            alone = alone or seconds(iterate)
            ratios.append(beside / alone)
            print(
                f"round {number}: alone {alone:.1f} s, beside {beside:.1f} s, ratio {ratios[-1]:.3f}"
                f"{'' if whole else ' (the evaluation ended before)'}",
                flush=True,
            )
    print(f"{device}, {torch.get_num_threads()} threads: median ratio {statistics.median(ratios):.3f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 6)
