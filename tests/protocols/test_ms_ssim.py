"""MS-SSIM: what it needs, and what is said of images that are too small; its values are in tests/parity."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from fhpt_eval.measuring import requirements
from fhpt_eval.measuring.registry import select

if TYPE_CHECKING:
    from conftest import Command, Draw


def test_it_runs_where_it_is_named_and_small_images_are_missing(command: Command, draw: Draw) -> None:
    folders = [draw(name, "ab", seed, (192, 164)) for name, seed in (("mine", 1), ("real", 2))]
    for folder, seed in zip(folders, (1, 2), strict=True):
        noise = np.random.default_rng(seed).integers(0, 256, (160, 200, 3), dtype=np.uint8)
        Image.fromarray(noise).save(folder / "small.png")
    outcome = command("run", "-g", str(folders[0]), "-t", str(folders[1]), "-p", "ms_ssim", "--json")
    assert outcome.code == 3
    ((score,),) = (protocol["scores"] for protocol in json.loads(outcome.out)["protocols"])
    assert (score["metric"], score["n"], score["better"]) == ("ms_ssim", 2, "higher")
    assert score["missing"] == {"a side of 160 pixels or less, too small for five scales": 1}
    assert 0 < score["value"] < 0.5
    assert "ms_ssim" not in {protocol.name for protocol in select(None, "paper")}
    assert "ms_ssim" not in {protocol.name for protocol in select(["perceptual"], "paper")}


def test_equal_images_are_1(command: Command, draw: Draw) -> None:
    for name in ("mine", "real"):
        draw(name, "ab", 1, (192, 164))
    outcome = command("run", "-g", "mine", "-t", "real", "-p", "ms_ssim", "--json", "-o", "out")
    ((score,),) = (protocol["scores"] for protocol in json.loads(outcome.out)["protocols"])
    assert score["value"] == pytest.approx(1, abs=1e-6)


def test_without_its_library_it_says_which_extra_brings_it(
    command: Command, folders: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requirements, "version", lambda name: None if name == "pytorch-msssim" else "1")
    outcome = command("run", *folders, "--dialect", "upgpt", "-p", "ssim,ms_ssim")
    assert outcome.code == 3
    assert "it needs pytorch-msssim: install the extra with pip install 'fhpt-eval[msssim]'" in outcome.err


def test_convolutions_have_a_gaussian_window(command: Command, folders: tuple[str, ...]) -> None:
    outcome = command(
        *("run", *folders, "-p", "ssim", "--set", "ssim.arithmetic=float32-pytorch-msssim", "--set", "ssim.border=kept")
    )
    assert outcome.code == 2
    assert outcome.sentence.endswith(
        "goes with window=gaussian, covariance=population, border=cut and data_range=1 or 255."
    )
