"""Seeded weights under the canonical names, for both sides: nothing is downloaded, and the time is that of real ones.

The folder is one of torch hub (TORCH_HOME), from which pytorch-fid, torch-fidelity, lpips and torchvision load their
weights by themselves.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from fhpt_eval.extract.weights import file_sha256
from fhpt_eval.sample import IMAGES, SAMPLE

REGISTRY = "registry.json"
FILENAMES: Mapping[str, str] = {
    "inception-2015": "pt_inception-2015-12-05-6726825d.pth",
    "alexnet": "alexnet-owt-7be5be79.pth",
    "vgg16": "vgg16-397923af.pth",
    "vgg19": "vgg19-dcbb9e9d.pth",
    "resnet50": "resnet50-0676ba61.pth",
}


def checkpoints(home: Path) -> Path:
    """Return where in a torch hub its files lie."""
    return home / "hub" / "checkpoints"


def make(home: Path, names: Iterable[str]) -> None:
    """Write what is not there yet, and the size and SHA-256 of each as the launcher registers them."""
    import torch

    folder = checkpoints(home)
    folder.mkdir(parents=True, exist_ok=True)
    registry = folder / REGISTRY
    known = json.loads(registry.read_text(encoding="utf-8")) if registry.exists() else {}
    for name in names:
        if name not in known:
            file = folder / FILENAMES[name]
            torch.manual_seed(0)
            torch.save(_BUILDERS[name]().state_dict(), file)
            known[name] = {"bytes": file.stat().st_size, "sha256": file_sha256(file)}
            registry.write_text(json.dumps(known, indent=1), encoding="utf-8")


def _inception() -> Any:
    sys.path.append(str(Path(__file__).resolve().parents[2] / "tests" / "parity"))
    from seeded import enlivened

    from fhpt_eval.extract.inception import build_network

    pictures = [Image.open(path).resize((299, 299)) for path in sorted((SAMPLE / IMAGES).rglob("*.jpg"))[:8]]
    return enlivened(build_network(), 2015, np.stack([np.asarray(p) for p in pictures]))


def _torchvision(name: str) -> Callable[[], Any]:
    def build() -> Any:
        from torchvision import models

        return getattr(models, name)(weights=None)

    return build


_BUILDERS: Mapping[str, Callable[[], Any]] = {
    "inception-2015": _inception,
    **{name: _torchvision(name) for name in ("alexnet", "vgg16", "vgg19", "resnet50")},
}
