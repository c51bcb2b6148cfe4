"""What protocols make of DINOv2's features, from folders to scores, against NumPy on the extractor's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from prdc import compute_prdc
from seeded import SeededStore
from toys import record_of

from fhpt_eval.engine.cache import Cache
from fhpt_eval.engine.engine import open_engine
from fhpt_eval.evaluation.evaluate import evaluate
from fhpt_eval.extract.embeddings import FILES, Dinov2
from fhpt_eval.extract.extractor import Context
from fhpt_eval.pairing.pairs import Pairs
from fhpt_eval.protocols.fid import Fid
from fhpt_eval.protocols.kid import Kid
from fhpt_eval.protocols.prdc import Prdc
from fhpt_eval.protocols.retrieval import Retrieval
from fhpt_eval.protocols.similarity import Similarity

COUNT = 8


def test_scores_are_those_of_the_features(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = timm.create_model("vit_small_patch14_dinov2", pretrained=False)
    for name, parameter in network.named_parameters():
        if name.endswith("gamma"):
            torch.nn.init.constant_(parameter, 0.5)
    file = tmp_path / FILES["dinov2-vits14"].filename
    torch.save(network.state_dict(), file)
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (2, COUNT, 60, 40, 3), dtype=np.uint8)
    for folder, of_folder in zip(("mine", "real"), images, strict=True):
        (tmp_path / folder).mkdir()
        for i, pixels in enumerate(of_folder):
            Image.fromarray(pixels).save(tmp_path / folder / f"{i}.png")
    with Cache(tmp_path / "cache") as cache:
        run = evaluate(
            Pairs.from_folders(tmp_path / "mine", tmp_path / "real", naming="same-name"),
            [
                Fid(network="dinov2-vits14"),
                Kid(network="dinov2-vits14", same_item="counted"),
                Prdc(network="dinov2-vits14", neighbourhood=3, density_neighbourhood=3),
                Similarity(networks=("dinov2-vits14",)),
            ],
            engine=open_engine("local", cache, device="cpu"),
            store=SeededStore(tmp_path),
        )
    found = {metric: score.value for metric, score in run.scores.items()}
    extract = Dinov2(network="dinov2-vits14").load(Context(weights={"dinov2-vits14": file}))
    mine, real = (
        np.array([record_of(extract([pixels])[0])["features"] for pixels in of_folder], dtype=np.float64)
        for of_folder in images
    )
    a, b = mine - mine.mean(0), real - real.mean(0)
    # The trace of the root of two covariances is the sum of the singular values of the product of their factors.
    shared = np.linalg.svd(a @ b.T, compute_uv=False).sum()
    expected = np.square(mine.mean(0) - real.mean(0)).sum()
    expected += (np.square(a).sum() + np.square(b).sum() - 2 * shared) / (COUNT - 1)
    assert found["fd_dinov2_vits14"] == pytest.approx(expected, rel=1e-6)

    def kernel(x: Any, y: Any) -> Any:
        return (x @ y.T / 384 + 1) ** 3

    off = ~np.eye(COUNT, dtype=bool)
    expected = kernel(mine, mine)[off].mean() + kernel(real, real)[off].mean() - 2 * kernel(mine, real).mean()
    assert found["kd_dinov2_vits14"] == pytest.approx(expected, rel=1e-6)
    for name, value in compute_prdc(real, mine, 3).items():
        assert found[f"{name}[dinov2-vits14]"] == pytest.approx(value, abs=1e-12)
    lengths = np.linalg.norm(mine, axis=1) * np.linalg.norm(real, axis=1)
    expected = ((mine * real).sum(1) / lengths).mean()
    assert found["similarity[dinov2-vits14]"] == pytest.approx(expected, abs=1e-6)


def test_retrieval_takes_the_same_networks() -> None:
    protocol = Retrieval(networks=("dinov2-vits14", "clip-vitl14"))
    assert {need.extractor.id for need in protocol.needs()} == {
        "dinov2[network=dinov2-vits14]",
        "clip[network=clip-vitl14]",
    }
