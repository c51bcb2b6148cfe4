"""Our pieces beside the peers' on the same input in one run: what counts is the ratio.

python benchmarks/peers.py
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from typing import Any

import lpips
import numpy as np
import pytorch_fid.inception as pytorch_fid
import torch
from scipy import linalg
from skimage.metrics import structural_similarity

from fhpt_eval.engine.machine import cpu_count
from fhpt_eval.extract.extractor import Context, PairExtractor
from fhpt_eval.extract.inception import Inception, build_network
from fhpt_eval.extract.perceptual_distance import HEADS, PerceptualDistance
from fhpt_eval.extract.pixels import StructuralSimilarity
from fhpt_eval.extract.weights import Store
from fhpt_eval.maths.statistics import GaussianStats, frechet_distance

RANDOM = np.random.default_rng(0)
REPEATS = 5


def photographs(count: int, height: int = 256, width: int = 176) -> list[np.ndarray]:
    """Noise of the field's size; the time does not depend on what is in an image."""
    return [RANDOM.integers(0, 256, (height, width, 3), dtype=np.uint8) for _ in range(count)]


def on_all_cores(call: Callable[[Any], Any], items: list[Any]) -> None:
    """As the engine does it on a CPU: one image a thread."""
    with ThreadPoolExecutor(cpu_count(), initializer=lambda: torch.set_num_threads(1)) as cores:
        list(cores.map(call, items))


def compare(name: str, count: int, ours: Callable[[], Any], peer: Callable[[], Any], repeats: int = REPEATS) -> None:
    """Time both in turn and print medians an item and their ratio."""
    ours()
    peer()
    times: list[tuple[float, float]] = []
    for _ in range(repeats):
        start = time.perf_counter()
        ours()
        middle = time.perf_counter()
        peer()
        times.append((middle - start, time.perf_counter() - middle))
    mine, theirs = (1000 * median(column) / count for column in zip(*times, strict=True))
    ratio = median(b / a for a, b in times)
    print(f"{name:58} ours {mine:9.2f} ms   peer {theirs:9.2f} ms   {ratio:6.2f} times as fast", flush=True)


def inception(folder: Path) -> None:
    """pool3 features of one image."""
    network = build_network()
    torch.save(network.state_dict(), folder / "inception.pth")
    extract = Inception().load(Context(weights={"inception-2015": folder / "inception.pth"}))
    state = network.state_dict()
    pytorch_fid.load_state_dict_from_url = lambda *_, **__: state
    peer = pytorch_fid.InceptionV3([3]).eval()
    images = photographs(16)

    @torch.inference_mode()
    def batch() -> None:
        peer(torch.stack([torch.from_numpy(x).permute(2, 0, 1).float() / 255 for x in images]))

    compare(
        "Inception features, an image (pytorch-fid, batch 16)",
        16,
        lambda: on_all_cores(lambda x: extract([x]), images),
        batch,
    )


def pair_by_pair(
    extractor: PairExtractor, context: Context, peer: Callable[[np.ndarray, np.ndarray], Any], name: str
) -> None:
    """Twelve pairs on three targets, as DeepFashion's list has them (2.7 pairs a target)."""
    model = extractor.load(context)
    generated, targets = photographs(9), photographs(3)

    def ours() -> None:
        first: list[Any] = []
        second: list[Any] = []
        on_all_cores(lambda x: first.append(model.encode([x])[0]), generated)
        on_all_cores(lambda x: second.append(model.encode([x])[0]), targets)
        on_all_cores(lambda i: model.compare([(first[i], second[i // 3])]), list(range(9)))

    def theirs() -> None:
        for i, image in enumerate(generated):
            peer(image, targets[i // 3])

    compare(name, 9, ours, theirs)


def frechet() -> None:
    """Return the distance of two sets of 2,500 vectors of 2,048 dimensions."""
    a, b = (GaussianStats.of(RANDOM.random((2500, 2048)) ** 3 + shift, 2048) for shift in (0, 0.01))
    covariances = [f @ f.T for f in (a.factor, b.factor)]
    compare(
        "Fréchet distance, 2048-d (SciPy sqrtm)",
        1,
        lambda: frechet_distance(a, b),
        lambda: linalg.sqrtm(covariances[0] @ covariances[1]),
        repeats=1,
    )


def main() -> None:
    """Run all."""
    print(f"torch {torch.__version__}, {cpu_count()} cores, median of {REPEATS} runs in turn")
    with tempfile.TemporaryDirectory() as name, torch.inference_mode():
        folder = Path(name)
        inception(folder)
        torch.set_num_threads(cpu_count())
        from torchvision.models import alexnet

        torch.save(alexnet(weights=None).state_dict(), folder / "alexnet.pth")
        reference = lpips.LPIPS(net="alex", pnet_rand=True, verbose=False)
        head = Store(offline=True).get(HEADS["alex"])

        def package(x: np.ndarray, y: np.ndarray) -> None:
            reference(*(torch.from_numpy(i).permute(2, 0, 1)[None].float() / 127.5 - 1 for i in (x, y)))

        context = Context(weights={"alexnet": folder / "alexnet.pth", "lpips-alex": head})
        pair_by_pair(PerceptualDistance(), context, package, "LPIPS AlexNet, a pair (lpips)")

        def scikit(x: np.ndarray, y: np.ndarray) -> None:
            structural_similarity(
                x, y, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=255, channel_axis=2
            )

        pair_by_pair(StructuralSimilarity(), Context(), scikit, "SSIM, a pair (scikit-image)")
        frechet()


if __name__ == "__main__":
    main()
