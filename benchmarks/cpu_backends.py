"""One network in several CPU back ends, on the same image in turn: time, error, start, memory, and what bits depend on.

python benchmarks/cpu_backends.py [NETWORK ...] [BACK END ...]

Besides torch, those are tried that are installed: openvino, onnxruntime (with onnx and onnxscript), and torch.compile
where there is a C++ compiler. Weights are seeded, except EfficientNet-Lite0's. All use one thread, as the engine does.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from fhpt_eval.extract._torch import freeze, ready
from fhpt_eval.extract.inception import build_network
from fhpt_eval.extract.numerics import Numerics

Run = Callable[[Tensor], np.ndarray]
Backend = Callable[[nn.Module, Tensor], Run]

SIZES = {
    "inception": (299, 299),
    "resnet50": (256, 176),
    "vgg16": (256, 176),
    "alexnet": (256, 176),
    "efficientnet_lite0": (224, 224),
}
REPEATS = 9


class Averaged(nn.Module):
    """A network's last maps, averaged over the image."""

    def __init__(self, maps: nn.Module) -> None:
        super().__init__()
        self.maps = maps

    def forward(self, x: Tensor) -> Tensor:
        """N×3×H×W to N×C."""
        averages: Tensor = self.maps(x).mean((2, 3))
        return averages


def network(name: str) -> nn.Module:
    """Build a network whose maps neither die nor explode; as published, that is with batch normalisation."""
    from torchvision import models

    torch.manual_seed(0)
    if name == "efficientnet_lite0":
        from fhpt_eval.extract.efficientnet_lite0 import EFFICIENTNET_LITE0
        from fhpt_eval.extract.efficientnet_lite0 import build_network as build_efficientnet
        from fhpt_eval.extract.weights import Store

        built: Any = build_efficientnet(Store().get(EFFICIENTNET_LITE0))
        return Averaged(nn.Sequential(built.conv_stem, built.bn1, built.blocks, built.conv_head, built.bn2)).eval()
    if name == "inception":
        whole: nn.Module = build_network()
    elif name == "resnet50":
        resnet = models.resnet50(weights=None)
        whole = Averaged(nn.Sequential(*list(resnet.children())[:-2]))
    else:
        whole = Averaged({"vgg16": models.vgg16, "alexnet": models.alexnet}[name](weights=None).features)
    for module in whole.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None
            nn.init.uniform_(module.weight, 0.3, 0.7)
    with torch.no_grad():
        whole.train()(image(*SIZES[name], count=4))
    whole.eval()
    return whole


def image(height: int, width: int, count: int = 1) -> Tensor:
    """Smooth noise."""
    coarse = torch.rand((count, 3, height // 8, width // 8), generator=torch.Generator().manual_seed(1)) * 2 - 1
    return nn.functional.interpolate(coarse, (height, width), mode="bilinear")


def published(built: nn.Module, _: Tensor) -> Run:
    """Torch, as published: the reference."""
    freeze(built, "cpu", torch.contiguous_format)
    return lambda x: built(x).numpy()


def eager(built: nn.Module, _: Tensor) -> Run:
    """Torch, as this package runs it."""
    ready(built, Numerics())
    return lambda x: built(x.contiguous(memory_format=torch.channels_last)).numpy()


def compiled(built: nn.Module, example: Tensor) -> Run:
    """torch.compile with frozen weights."""
    import torch._inductor.config as inductor

    inductor.freezing = True
    fast = torch.compile(ready(built, Numerics()), dynamic=True if example.shape[2] != example.shape[3] else None)
    return lambda x: fast(x.contiguous(memory_format=torch.channels_last)).numpy()


def openvino(built: nn.Module, example: Tensor) -> Run:
    """OpenVINO, in float32."""
    import openvino as ov

    model = ov.convert_model(freeze(built, "cpu", torch.contiguous_format), example_input=example)
    model.reshape([-1, *example.shape[1:]])
    settings = {
        "INFERENCE_NUM_THREADS": torch.get_num_threads(), "NUM_STREAMS": 1, "INFERENCE_PRECISION_HINT": "f32",
        "ENABLE_CPU_PINNING": False,
    }  # fmt: skip
    request = ov.Core().compile_model(model, "CPU", settings).create_infer_request()
    return lambda x: np.array(request.infer([x.numpy()])[0])


def onnxruntime(built: nn.Module, example: Tensor) -> Run:
    """ONNX Runtime, with all optimisations."""
    import onnxruntime as ort

    frozen = freeze(built, "cpu", torch.contiguous_format)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "network.onnx"
        batch = torch.export.Dim("batch")
        torch.onnx.export(
            frozen, (example.repeat(2, 1, 1, 1),), file, dynamo=True, dynamic_shapes=({0: batch},), verbose=False
        )
        options = ort.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        session = ort.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda x: session.run(None, {name: x.numpy()})[0]


BACKENDS: dict[str, Backend] = {
    "published": published, "eager": eager, "openvino": openvino, "onnxruntime": onnxruntime, "compiled": compiled,
}  # fmt: skip


def resident() -> float:
    """MB that this process holds now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def serve(name: str, backend: str) -> None:
    """Load one network in one back end, say what it took, and run it whenever a line is read."""
    torch.set_num_threads(1)
    x = image(*SIZES[name])
    built = network(name)
    before = resident()
    start = time.process_time()
    with torch.inference_mode():
        run = BACKENDS[backend](built, x)
        found = run(x)
        took, memory = time.process_time() - start, resident() - before
        np.save(sys.stdin.readline().strip(), found)
        batch = run(image(*SIZES[name], count=3).index_copy(0, torch.tensor([1]), x))
        torch.set_num_threads(2)
        threads = BACKENDS[backend](network(name), x)(x)
        torch.set_num_threads(1)
        same = ["yes" if np.array_equal(found, other) else "no" for other in (batch[1:2], threads)]
        print(f"{took:.1f} {memory:.0f} {' '.join(same)}", flush=True)
        for _ in sys.stdin:
            start = time.process_time()
            run(x)
            print(time.process_time() - start, flush=True)


class Served:
    """A back end in a process of its own."""

    def __init__(self, name: str, backend: str, file: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__, "--serve", name, backend],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        try:
            self.about = self.ask(str(file)).split()
            self.found = np.load(file)
        except (BrokenPipeError, ValueError, OSError):
            self.about = []
            self.error = self._process.communicate()[1].strip().splitlines()[-1:]

    def ask(self, line: str) -> str:
        """Write a line and return the next that is no message of a library."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        while answer := self._process.stdout.readline():
            if answer[:1].isdigit():
                return answer
        raise ValueError("it ended")

    def end(self) -> None:
        """Have it end."""
        self._process.communicate("")


def main(asked: list[str]) -> None:
    """Print a table, of all networks and back ends unless some are asked for."""
    names = [name for name in SIZES if name in asked] or list(SIZES)
    backends = [name for name in BACKENDS if name in asked] or list(BACKENDS)
    print(
        "network | back end | CPU ms an image | eager / it | error | start, CPU s | MB | same in a batch | in 2 threads"
    )
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            served = {
                b: Served(name, b, Path(folder) / f"{b}.npy") for b in dict.fromkeys(["published", "eager", *backends])
            }
        times: dict[str, list[float]] = {b: [] for b, s in served.items() if s.about}
        for _ in range(REPEATS):
            for b, taken in times.items():
                taken.append(float(served[b].ask("")))
        reference = served["published"].found
        for b, one in served.items():
            if not one.about:
                print(name, b, *one.error, sep=" | ")
                continue
            ratio = statistics.median(e / t for e, t in zip(times["eager"], times[b], strict=True))
            error = np.linalg.norm(one.found - reference) / np.linalg.norm(reference)
            start, memory, in_batch, in_threads = one.about
            print(name, b, f"{1000 * statistics.median(times[b]):.1f}", f"{ratio:.2f}", f"{error:.0e}", start, memory,
                  in_batch, in_threads, sep=" | ", flush=True)  # fmt: skip
            one.end()


if __name__ == "__main__":
    serve(*sys.argv[2:]) if sys.argv[1:2] == ["--serve"] else main(sys.argv[1:])
