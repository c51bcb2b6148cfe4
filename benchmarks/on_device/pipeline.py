"""Point 1: images a second through the engine beside the forward pass alone, what bounds it, and how exact it is."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor as Pool
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from beside import weights

from fhpt_eval.engine.cache import Cache
from fhpt_eval.engine.contract import Plan
from fhpt_eval.engine.engine import open_engine
from fhpt_eval.extract._torch import fold_batch_norm
from fhpt_eval.extract.efficientnet_lite0 import EfficientNetLite0
from fhpt_eval.extract.extractor import Extractor, ImageExtractor, PairExtractor
from fhpt_eval.extract.imagenet_features import ImageNetFeatures
from fhpt_eval.extract.inception import Inception, build_network
from fhpt_eval.extract.numerics import Precision
from fhpt_eval.extract.perceptual_distance import HEADS, PerceptualDistance
from fhpt_eval.extract.weights import Store
from fhpt_eval.images.decoding import ImageRef, read_image
from fhpt_eval.records import Missing
from on_device import files
from on_device.given import Given, rate, tell, try_to

BATCH = 64
GOAL = "≥ 80 %"
PRECISIONS: tuple[Precision, ...] = ("float32", "tf32", "bfloat16")
SIZE = (256, 176)


class Network(NamedTuple):
    """One row group: our extractor, and its network alone.

    Attributes:
        extractor: Through the engine.
        alone: Returns the network.
        size: What the network sees, height and width.
        weights: Names of seeded files.
    """

    extractor: Extractor
    alone: Callable[[], Any]
    size: tuple[int, int] = SIZE
    weights: tuple[str, ...] = ()


def _inception() -> Any:
    network = build_network().eval()
    fold_batch_norm(network)
    return network


def _torchvision(name: str, *, features: bool = False) -> Callable[[], Any]:
    def build() -> Any:
        from torch import nn
        from torchvision import models

        network = getattr(models, name)(weights=None)
        return network.features if features else nn.Sequential(*list(network.children())[:-1])

    return build


def _efficientnet() -> Any:
    import timm

    return timm.create_model("tf_efficientnet_lite0", num_classes=0)


NETWORKS: Mapping[str, Network] = {
    "Inception-2015": Network(Inception(), _inception, (299, 299), ("inception-2015",)),
    "ResNet-50": Network(ImageNetFeatures(), _torchvision("resnet50"), weights=("resnet50",)),
    "VGG-16": Network(ImageNetFeatures(backbone="vgg16"), _torchvision("vgg16", features=True), weights=("vgg16",)),
    "EfficientNet-Lite0": Network(EfficientNetLite0(), _efficientnet, (224, 224)),
    "LPIPS alex": Network(PerceptualDistance(), _torchvision("alexnet", features=True), weights=("alexnet",)),
    "LPIPS vgg": Network(PerceptualDistance(net="vgg"), _torchvision("vgg16", features=True), weights=("vgg16",)),
}


def main(given: Given) -> None:
    """Tell the rates of decoding, then of each network."""
    jpg = files.write(given.folder / "jpg", "jpg", max(64, int(1500 * given.seconds)))
    png = files.write(given.folder / "png", "png", max(64, int(500 * given.seconds)))
    decoding(given, jpg[:512], png[:512])
    for name, network in NETWORKS.items():
        weights.make(given.home, network.weights)
        fastest = try_to(f"{name}: forward pass", partial(forward, given, name, network)) or {}
        try_to(f"{name}: engine", partial(engine, given, name, network, jpg, png, fastest))
        try_to(f"{name}: exactness", partial(exactness, given, name, network, jpg))


def _read(paths: Sequence[Path]) -> int:
    return sum(len(read_image(ImageRef(path))) > 0 for path in paths)


def _read_by(pool: Pool, groups: Sequence[Sequence[Path]]) -> int:
    return sum(pool.map(_read, groups))


def decoding(given: Given, *folders: list[Path]) -> None:
    """Files decoded a second by one thread, by threads (which share an interpreter) and by processes on all cores."""
    cores = len(os.sched_getaffinity(0))
    for paths in folders:
        kind = {".jpg": "JPEG", ".png": "PNG"}[paths[0].suffix]
        groups = list(files.batches(paths, 8))
        seconds = given.seconds / 2
        tell(f"decode {kind}, one thread", rate(partial(_read, paths[:64]), 64, "cpu", seconds), "images/s")
        with ThreadPoolExecutor(cores) as threads:
            found = rate(partial(_read_by, threads, groups), len(paths), "cpu", seconds)
            tell(f"decode {kind}, {cores} threads", found, "images/s")
        with ProcessPoolExecutor(cores, mp_context=get_context("spawn")) as processes:
            found = rate(partial(_read_by, processes, groups), len(paths), "cpu", seconds)
            tell(f"decode {kind}, {cores} processes", found, "images/s")


def forward(given: Given, name: str, network: Network) -> dict[str, float]:
    """Images a second of the network alone, in each arithmetic, on tensors that lie on the device."""
    import torch

    found: dict[str, float] = {}
    for precision in PRECISIONS:
        exact = precision != "tf32"
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = not exact
        dtype = torch.bfloat16 if precision == "bfloat16" else torch.float32
        module = network.alone().eval().to(given.device, dtype, memory_format=torch.channels_last)
        batch = BATCH if given.device != "cpu" else 4
        images = torch.rand(batch, 3, *network.size, device=given.device, dtype=dtype)
        images = images.contiguous(memory_format=torch.channels_last)
        with torch.inference_mode():
            found[precision] = rate(partial(module, images), batch, given.device, given.seconds / 4)
        tell(f"{name}: forward pass, {precision}, batch {batch}", found[precision], "images/s")
    return found


def engine(
    given: Given, name: str, network: Network, jpg: list[Path], png: list[Path], alone: Mapping[str, float]
) -> None:
    """Images a second through the engine, its start not counted, and the share of the forward pass."""
    extractor = network.extractor
    wanted: list[tuple[str, list[Path], Precision]] = [("JPEG", jpg, "float32")]
    if name == "Inception-2015":
        wanted += [("PNG", png, "float32"), ("JPEG", jpg, "tf32"), ("JPEG", jpg, "bfloat16")]
    wanted = [each for each in wanted if "tf32" not in each or given.device != "cpu"]  # which has none
    for kind, paths, precision in wanted:
        most = len(paths) if given.device != "cpu" else 64
        few = paths[: max(8, min(256, most // 8))]
        # As many as take the seconds, if the engine were as fast as the network.
        many = paths[: max(2 * len(few), min(most, int(alone.get(precision, 1000) * given.seconds)))]
        _seconds(given, extractor, few, precision)
        first, second = (_seconds(given, extractor, some, precision) for some in (few, many))
        what = f"{name}: engine, {kind}, {precision}, {len(many)} images"
        if second <= first:
            tell(what, "too few images to tell")
            continue
        found = (len(many) - len(few)) / (second - first)
        tell(what, found, "images/s")
        if precision in alone:
            share = f"{found / alone[precision]:.0%}"
            tell(f"{name}: share of the forward pass, {kind}, {precision}", share, "", GOAL)


def _plan(extractor: Extractor, paths: Sequence[Path]) -> Plan:
    refs = [ImageRef(path) for path in paths]
    if isinstance(extractor, PairExtractor):
        return Plan({}, {extractor: tuple(zip(refs[::2], refs[1::2], strict=False))})
    assert isinstance(extractor, ImageExtractor)
    return Plan({extractor: tuple(refs)}, {})


def _files(given: Given, extractor: Extractor) -> dict[str, Path]:
    seeded = weights.checkpoints(given.home)
    packaged = Store(offline=True)
    heads = set(HEADS.values())
    known = {f.name: seeded / f.filename for f in extractor.weights() if (seeded / f.filename).exists()}
    others = {f.name: packaged.get(f) for f in extractor.weights() if f in heads or f.name not in known}
    return {**known, **others}


def _seconds(given: Given, extractor: Extractor, paths: Sequence[Path], precision: Precision) -> float:
    with tempfile.TemporaryDirectory(dir=given.folder) as folder, Cache(folder) as cache:
        runs = open_engine("local", cache, device=given.device, precision=precision)
        start = time.perf_counter()
        extraction = runs.run(_plan(extractor, paths), _files(given, extractor))
        seconds = time.perf_counter() - start
        for error in extraction.broken.values():
            raise error
    return seconds


def _vectors(
    given: Given, extractor: Extractor, paths: Sequence[Path], device: str, precision: Precision
) -> npt.NDArray[np.float64]:
    plan = _plan(extractor, paths)
    with tempfile.TemporaryDirectory(dir=given.folder) as folder, Cache(folder) as cache:
        runs = open_engine("local", cache, device=device, precision=precision)
        extraction = runs.run(plan, _files(given, extractor))
        found = [extraction.image(e, ref) for e, refs in plan.images.items() for ref in refs]
        found += [extraction.pair(e, *pair) for e, pairs in plan.pairs.items() for pair in pairs]
    records = [record for record in found if not isinstance(record, Missing)]
    if len(records) < len(found):
        raise RuntimeError(f"{len(found) - len(records)} of {len(found)} records are missing")
    # Of the arrays of a record the longest: features, not classes.
    longest = [max(record.values(), key=np.size) for record in records]
    vectors: npt.NDArray[np.float64] = np.stack([np.ravel(array) for array in longest]).astype(np.float64)
    return vectors


def exactness(given: Given, name: str, network: Network, jpg: list[Path]) -> None:
    """How far records are from the CPU's in float32, relative to their length, at most."""
    some = jpg[:8]
    exact = _vectors(given, network.extractor, some, "cpu", "float32")
    for precision in PRECISIONS:
        if precision == "tf32" and given.device == "cpu":
            continue  # which has none
        gaps = _vectors(given, network.extractor, some, given.device, precision) - exact
        error = np.linalg.norm(gaps, axis=1) / np.linalg.norm(exact, axis=1)
        goal = "≤ 1e-5" if precision == "float32" else ""
        tell(f"{name}: off from the CPU, {precision}", float(error.max()), "relative", goal)
