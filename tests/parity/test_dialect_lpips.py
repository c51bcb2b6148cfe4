"""LPIPS of every dialect against its script, written again on the lpips package, with seeded trunks on both sides.

From files to numbers, twenty pairs each; to 1e-4 of the distance in every pair, and of the mean that is printed.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import lpips
import numpy as np
import pytest
import torch
from dialect_files import Pixels, bilinear, crops_saved_again, cubic, images_of, lay_out
from dialect_people import masks
from dialect_runs import Runs, assert_agrees, measured, named, runs_in
from torchvision import models

from fhpt_eval.measuring.dialects import FOLDER, dialect_named, find_dialects

PROTOCOLS = ("lpips",)
DIGITS = {"rel": 1e-4, "abs": 0}

# What scripts feed LPIPS with: a tensor 3×H×W


def symmetric(image: Pixels) -> torch.Tensor:
    """[-1, 1]."""
    return torch.from_numpy(image.astype(np.float32) / 127.5 - 1).permute(2, 0, 1)


def not_normalised(image: Pixels) -> torch.Tensor:
    """[0, 1]."""
    return torch.from_numpy(image.astype(np.float32) / 255).permute(2, 0, 1)


@dataclass(frozen=True)
class Lpips:
    """How a script measures LPIPS."""

    net: str = "alex"
    generated: Callable[[Pixels], Pixels] = np.asarray
    target: Callable[[Pixels], Pixels] = np.asarray
    scale: Callable[[Pixels], torch.Tensor] = symmetric
    batch: int = 1


LPIPS = {
    "clean": Lpips(),
    "cfld": Lpips(),
    "dior": Lpips(batch=8),
    "disco": Lpips("vgg", scale=not_normalised),
    "dptn": Lpips(),
    "gfla": Lpips(batch=64),
    "gfla-market": Lpips(batch=64),
    "leffa": Lpips("squeeze"),
    "pcdm": Lpips("alex", partial(cubic, (176, 256)), partial(cubic, (176, 256)), not_normalised, 64),
    "pcdm-512": Lpips("alex", partial(cubic, (352, 512)), partial(cubic, (352, 512)), not_normalised, 64),
    "pidm": Lpips("alex", partial(bilinear, (176, 256)), partial(bilinear, (176, 256)), batch=64),
    "pocold": Lpips(batch=64),
    "spgnet": Lpips(batch=64),
}


class Peers:
    """The lpips package's networks, their trunks from files of seeded weights that we get, too."""

    FILES: ClassVar = {
        "alex": (models.alexnet, "alexnet-owt-7be5be79.pth"),
        "vgg": (models.vgg16, "vgg16-397923af.pth"),
        "squeeze": (models.squeezenet1_1, "squeezenet1_1-b8a52dc0.pth"),
    }

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.networks: dict[str, Any] = {}
        self.known: dict[tuple[str, bytes, bytes], float] = {}
        for net, (build, filename) in self.FILES.items():
            torch.manual_seed(len(net))
            with torch.device("meta"):
                trunk: Any = build(weights=None).features
            trunk = trunk.to_empty(device="cpu")
            for module in trunk.modules():
                if isinstance(module, torch.nn.Conv2d) and module.bias is not None:
                    torch.nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                    torch.nn.init.normal_(module.bias, 0, 0.1)
            weights = trunk.state_dict()
            torch.save({f"features.{name}": tensor for name, tensor in weights.items()}, folder / filename)
            with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
                patch.setattr(torch.nn.Linear, "reset_parameters", lambda layer: None)  # ten seconds for VGG's
                warnings.filterwarnings("ignore", "(The parameter 'pretrained'|Arguments other than a weight enum)")
                whole = lpips.LPIPS(net=net, pnet_rand=True, verbose=False)
            # The package's slices keep torchvision's numbers: slice3.5.weight is features.5.weight.
            whole.net.load_state_dict({name: weights[name.split(".", 1)[1]] for name in whole.net.state_dict()})
            self.networks[net] = whole.eval()

    def distance(self, net: str, first: torch.Tensor, second: torch.Tensor) -> float:
        key = (net, first.numpy().tobytes(), second.numpy().tobytes())
        if key not in self.known:
            with torch.inference_mode():
                self.known[key] = float(self.networks[net](first[None], second[None]))
        return self.known[key]

    def distances(self, how: Lpips, images: list[tuple[Pixels, Pixels]]) -> list[float]:
        """Of each pair; dropped ones are NaN."""
        found = [self.distance(how.net, how.scale(how.generated(g)), how.scale(how.target(t))) for g, t in images]
        batch = min(how.batch, len(found))
        whole = len(found) // batch * batch
        return found[:whole] + [math.nan] * (len(found) - whole)


@pytest.fixture(scope="module")
def peers(tmp_path_factory: pytest.TempPathFactory) -> Peers:
    return Peers(tmp_path_factory.mktemp("weights"))


@pytest.fixture(scope="module")
def runs(peers: Peers, tmp_path_factory: pytest.TempPathFactory) -> Runs:
    """Each dialect on its own files, once."""
    return runs_in(tmp_path_factory.mktemp("dialects"), lay_out, PROTOCOLS, peers.folder / "cache", peers.folder)


def test_every_lpips_of_every_dialect_is_compared() -> None:
    for key, dialect in find_dialects().items():
        own = {metric.name for metric in dialect.metrics if metric.protocol in PROTOCOLS}
        assert own == {*(["lpips"] if key in LPIPS else []), *(["mask_lpips"] if key == "gfla-market" else [])}, key


@pytest.mark.parametrize("key", LPIPS)
def test_lpips_agrees_to_4_digits_in_every_pair(runs: Runs, peers: Peers, key: str) -> None:
    folders, run = runs(key)
    expected = peers.distances(LPIPS[key], crops_saved_again(folders) if key == "spgnet" else images_of(folders))
    assert_agrees(run, named(dialect_named(key), "lpips"), expected, **DIGITS)
    assert np.nanmax(expected) > 3 * np.nanmin(expected), "the pairs must not be all alike"
    assert np.isnan(expected).sum() == (4 if key == "dior" else 0)


def test_masked_lpips_of_market_agrees_to_4_digits(runs: Runs, peers: Peers) -> None:
    folders, run = runs("gfla-market")
    expected = [
        peers.distance("alex", *(symmetric(image) * torch.from_numpy(mask).permute(2, 0, 1) for image in pair))
        for pair, mask in zip(images_of(folders), masks(folders), strict=True)
    ]
    assert_agrees(run, "gfla-market@2:mask_lpips", expected, **DIGITS)


def test_lpips_of_a_tail_of_8_takes_the_first_16_names(runs: Runs, peers: Peers, tmp_path: Path) -> None:
    folders, whole = runs("gfla")
    text = (FOLDER / "gfla.toml").read_text(encoding="utf-8")
    assert text.count("tail = 64") == 2
    (tmp_path / "gfla-8.toml").write_text(text.replace("tail = 64", "tail = 8"), encoding="utf-8")
    dialect = dialect_named(str(tmp_path / "gfla-8.toml"))
    run = measured(dialect, folders, PROTOCOLS, peers.folder / "cache", peers.folder)
    expected = peers.distances(replace(LPIPS["gfla"], batch=8), images_of(folders))
    assert np.isnan(expected[16:]).all()
    assert_agrees(run, "gfla-8@2:lpips", expected, **DIGITS)
    assert list(run.scores["gfla-8@2:lpips"].missing.values()) == [4]
    assert whole.scores["gfla@2:lpips"].value != pytest.approx(np.nanmean(expected), rel=1e-3)
