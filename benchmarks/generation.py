"""How fast the DRN generates 256×176 images, and how much memory that takes, for each configuration and size.

python benchmarks/generation.py [cpu|cuda]
"""

from __future__ import annotations

import multiprocessing
import resource
import sys
import time

import torch

from fhpt_eval.engine.machine import pick_device
from fhpt_eval.reference_models.drn.config import SIZES, named_config
from fhpt_eval.reference_models.drn.network import DetailReplenishingNetwork

HEIGHT, WIDTH = 256, 176
CASES = [("drn", "full"), ("pb-only", "full"), ("texture64", "full"), ("drn", "small")]


@torch.inference_mode()
def measure(name: str, size: str, device: str) -> tuple[float, float, float]:
    """Millions of parameters, images a second, and the peak memory in MB (of the process; on a GPU of its tensors)."""
    network = DetailReplenishingNetwork(named_config(name, size)).eval()
    network = network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    batch, repeats = (16, 20) if device != "cpu" else (1, 5)
    source = torch.rand(batch, 3, HEIGHT, WIDTH, device=device)
    poses = torch.rand(batch, 36, HEIGHT, WIDTH, device=device)

    def run() -> None:
        network(source, poses)
        if device != "cpu":
            torch.cuda.synchronize()

    run()
    started = time.perf_counter()
    for _ in range(repeats):
        run()
    seconds = time.perf_counter() - started
    peak = (
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        if device == "cpu"
        else torch.cuda.max_memory_allocated() / 2**20
    )
    return sum(p.numel() for p in network.parameters()) / 1e6, batch * repeats / seconds, peak


def main(device: str) -> None:
    """Measure each case in a process of its own, whose peak memory is then its own."""
    chosen = pick_device(device)
    print(f"{HEIGHT}×{WIDTH} on {chosen}; sizes: {', '.join(SIZES)}")
    context = multiprocessing.get_context("spawn")
    for name, size in CASES:
        with context.Pool(1) as pool:
            parameters, rate, peak = pool.apply(measure, (name, size, chosen))
        print(f"{name:10} {size:6} {parameters:6.1f} M parameters {rate:8.2f} images/s {peak:8.0f} MB", flush=True)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "auto")
