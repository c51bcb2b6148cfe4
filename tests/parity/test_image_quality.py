"""The extractors of `iqa` against pyiqa called plainly on the same tensors: equal to the bit.

Metrics that read weights do so from a folder of seeded ones, on both sides.
"""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from toys import compare_two, record_of

from fhpt_eval.errors import UserError
from fhpt_eval.extract.extractor import Context, Pixels
from fhpt_eval.extract.image_quality import ImageFidelity, ImageQuality
from fhpt_eval.extract.pyiqa_library import known
from fhpt_eval.files.given import GivenFolder
from fhpt_eval.records import Missing

FORMULAS = [name for name, metric in known().items() if not metric.reads_files]


def image(seed: int, height: int = 208, width: int = 176) -> Pixels:
    """Blurred noise: pyramids and phases of pure noise say little."""
    noise = torch.from_numpy(np.random.default_rng(seed).random((1, 3, height + 8, width + 8)))
    smooth = torch.nn.functional.avg_pool2d(noise, 9, stride=1)
    spread = ((smooth - 0.5) * 4 + 0.5).clamp(0, 1) * 255
    return spread[0].permute(1, 2, 0).round().to(torch.uint8).numpy()


def plain(name: str, *images: Pixels, state: Any = None, **options: Any) -> float:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pyiqa

        metric = pyiqa.create_metric(name, device="cpu", **options)
        if state is not None:
            metric.net.load_state_dict(state)
        tensors = [torch.from_numpy(x).permute(2, 0, 1).unsqueeze(0).float().contiguous() / 255 for x in images]
        torch.manual_seed(0)
        with torch.inference_mode():
            return float(metric(*tensors))


def ours(name: str, *images: Pixels, files: GivenFolder | None = None) -> float:
    if known()[name].reference:
        model = ImageFidelity(metric=name, files=files).load(Context())
        return float(record_of(compare_two(model, images[0], images[1]))["value"])
    (result,) = ImageQuality(metric=name, files=files).load(Context())([images[0]])
    return float(record_of(result)["value"])


@pytest.mark.parametrize("name", FORMULAS)
def test_a_metric_without_weights_is_pyiqas(name: str) -> None:
    images = (image(1), image(2))[: 2 if known()[name].reference else 1]
    assert ours(name, *images) == plain(name, *images)


@pytest.fixture
def seeded(tmp_path: Path) -> Path:
    """A folder laid out as pyiqa leaves it."""
    from pyiqa.archs.cnniqa_arch import CNNIQA
    from pyiqa.archs.msswd_arch import MS_SWD_learned

    folder = tmp_path / "given" / "hub" / "pyiqa"
    folder.mkdir(parents=True)
    torch.manual_seed(3)
    torch.save({"params": CNNIQA(pretrained=None).state_dict()}, folder / "CNNIQA_koniq10k-e6f14c91.pth")
    torch.save({"net_dict": MS_SWD_learned(pretrained=False).state_dict()}, folder / "msswd_weights.pth")
    return tmp_path / "given"


def test_a_metric_with_weights_reads_those_of_the_folder(seeded: Path) -> None:
    files = GivenFolder.at(seeded)
    folder = seeded / "hub" / "pyiqa"
    weights = str(folder / "CNNIQA_koniq10k-e6f14c91.pth")
    assert ours("cnniqa", image(1), files=files) == plain("cnniqa", image(1), pretrained_model_path=weights)
    state = torch.load(folder / "msswd_weights.pth", weights_only=True)["net_dict"]
    both = (image(1), image(2))
    assert ours("msswd", *both, files=files) == plain("msswd", *both, pretrained=False, state=state)


def test_a_metric_on_torchvisions_network_reads_that_from_the_folder_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pyiqa.utils import download_util
    from torchvision.models import vgg16

    torch.manual_seed(4)
    state = vgg16(weights=None, init_weights=False).state_dict()
    for name, tensor in state.items():
        if name.startswith("classifier"):
            # DISTS does not look at it: one number takes the place of 120 million.
            state[name] = torch.zeros(1).expand(tensor.shape)
        elif tensor.ndim > 1:
            torch.nn.init.kaiming_normal_(tensor, nonlinearity="relu")
    hub = tmp_path / "hub"
    for folder in ("checkpoints", "pyiqa"):
        (hub / folder).mkdir(parents=True)
    torch.save(state, hub / "checkpoints" / "vgg16-397923af.pth")
    learned = {name: torch.rand(1, 1475, 1, 1) for name in ("alpha", "beta")}
    torch.save(learned, hub / "pyiqa" / "DISTS_weights-f5e65c96.pth")
    images = (image(1), image(2))
    found = ours("dists", *images, files=GivenFolder.at(tmp_path))
    before = torch.hub.get_dir()
    torch.hub.set_dir(hub)
    monkeypatch.setattr(download_util, "DEFAULT_CACHE_DIR", str(hub / "pyiqa"))
    try:
        assert found == plain("dists", *images)
    finally:
        torch.hub.set_dir(before)
    assert 0.01 < found < 1


def test_no_batch_and_no_neighbour_changes_a_value() -> None:
    extract = ImageQuality(metric="piqe").load(Context())
    images = [image(1), image(2, 96, 64), image(3)]
    together = [float(record_of(r)["value"]) for r in extract(images)]
    assert together == [float(record_of(extract([x])[0])["value"]) for x in images]


@pytest.mark.parametrize("files", [False, True])
def test_an_absent_file_is_named_and_nothing_is_downloaded(
    seeded: Path, files: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = seeded.parent / "home"
    monkeypatch.setenv("TORCH_HOME", str(home))
    extractor = ImageFidelity(metric="stlpips", files=GivenFolder.at(seeded) if files else None)
    with pytest.raises(UserError, match=r"asks for https.*alex_shift_tolerant.pth.*TORCH_HOME=DIR") as caught:
        extractor.load(Context())
    assert "\n" not in str(caught.value)
    assert not home.exists()


def test_a_model_hub_is_not_asked_either(seeded: Path) -> None:
    with pytest.raises(UserError, match="pyiqa cannot make nima"):
        ImageQuality(metric="nima", files=GivenFolder.at(seeded)).load(Context())


class Code:
    """Runs when it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.folder / "ran"),)


def test_no_code_of_a_file_runs(seeded: Path) -> None:
    torch.save({"params": Code(seeded)}, seeded / "hub" / "pyiqa" / "CNNIQA_koniq10k-e6f14c91.pth")
    with pytest.raises(UserError, match="could run code"):
        ImageQuality(metric="cnniqa", files=GivenFolder.at(seeded)).load(Context())
    assert not (seeded / "ran").exists()


def test_the_fence_is_taken_down() -> None:
    before = {name: os.environ.get(name) for name in ("TORCH_FORCE_WEIGHTS_ONLY_LOAD", "TORCH_HOME")}
    hub = torch.hub.get_dir()
    ours("psnr", image(1), image(2))
    assert torch.hub.get_dir() == hub
    assert {name: os.environ.get(name) for name in before} == before


def test_images_that_a_metric_cannot_take_are_missing() -> None:
    model = ImageFidelity(metric="ms_ssim").load(Context())
    result = compare_two(model, image(1, 24, 32), image(2, 24, 32))
    assert isinstance(result, Missing)
    assert "takes no image of 32×24" in result.reason
