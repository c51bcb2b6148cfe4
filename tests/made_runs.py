"""Runs made up in memory, with values, arrays and pictures as protocols leave them; no image is measured."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from fhpt_eval.evaluation.image_list import generated_hash
from fhpt_eval.evaluation.run import Run
from fhpt_eval.evaluation.run_record import (
    Environment,
    ImagesRecord,
    PairsRecord,
    ProtocolRecord,
    Recipe,
    RunRecord,
    ScoreRecord,
)

KEYPOINTS = 5
"""Of each pair."""


def write_pictures(folder: Path, count: int, seed: int) -> list[str]:
    """Write small pictures of noise, and return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(seed)
    paths = [folder / f"{i}.png" for i in range(count)]
    for path in paths:
        Image.fromarray(random.integers(0, 256, (32, 22, 3), dtype=np.uint8)).save(path)
    return [str(path) for path in paths]


def made_run(name: str, folder: Path, count: int = 12, seed: int = 1, better: float = 0.0, **about: Any) -> Run:
    """Return a run of the protocols that reports show.

    Args:
        name: Of the run.
        folder: Where its pictures are written; none are where it has ``images`` already.
        count: How many pairs.
        seed: Of values and pictures.
        better: Added to its values.
        about: Fields of the record that are otherwise.
    """
    random = np.random.default_rng(seed)
    images = {
        role: write_pictures(folder / role, count, place) for place, role in enumerate(("target", "source"), start=100)
    }
    images["generated"] = write_pictures(folder / f"generated-{seed}", count, seed)
    table = pd.DataFrame({"pair": [f"pair {i}" for i in range(count)], **images})
    table = table[["pair", "generated", "target", "source"]]
    table["item"] = [f"item {i // 2}" for i in range(count)]
    table["item_colour"], table["view"] = None, "front"
    table["gender"] = ["MEN" if i % 3 else "WOMEN" for i in range(count)]
    protocols, arrays, missing = _protocols(table, random, better)
    contents = [hashlib.sha256(Path(path).read_bytes()).hexdigest() for path in table["generated"]]
    record = RunRecord(
        name=name,
        created="2026-01-02T03:04:05+00:00",
        profile="paper",
        pairs=PairsRecord(
            hash="a" * 64, content="b" * 64, generated=generated_hash(zip(table["pair"], contents, strict=True)),
            naming="same-name", total=count, matched=count, missing=[], extra=[], ambiguous=[], duplicate=[],
        ),
        images=ImagesRecord(sizes={"generated": {"22×32": count}}, notes={}, unreadable={}),
        protocols=protocols,
        environment=Environment(python="3.12", platform="Linux", device="cpu", packages={"numpy": "1.26.4"}, git=None),
        seconds={},
        warnings=["few images for FID"],
    ).model_copy(update=about)  # fmt: skip
    return Run(record, table, missing, arrays)


def _protocols(table: pd.DataFrame, random: np.random.Generator, better: float) -> tuple[Any, Any, Any]:
    """Return protocols, arrays and missing values; adds columns to the table."""
    count = len(table)
    ssim = random.uniform(0.4, 0.6, count) + better
    face = random.uniform(0.3, 0.9, count)
    face[0] = np.nan
    gender = (random.uniform(size=count) < 0.3).astype(float)
    nearest = np.stack([random.permutation(count)[:10] for _ in range(count)]).astype(np.int32)
    relevant = nearest // 2 == (np.arange(count) // 2)[:, None]
    columns = {
        "ssim": ssim,
        "face_distance": face,
        "face_same@0.6": np.where(np.isnan(face), np.nan, face < 0.6),
        **{f"recall@{k}[resnet50]": relevant[:, :k].any(axis=1).astype(float) for k in (3, 5, 10)},
        "gender_error": gender,
    }
    for metric, values in columns.items():
        table[metric] = values
    distance = random.exponential(4, count * KEYPOINTS)
    distance[::7] = np.inf
    pair = np.repeat(np.arange(count, dtype=np.int32), KEYPOINTS)
    areas = np.clip(1 - distance / 12.8, 0, None)
    arrays = {
        "kec_auc_body": {
            "distance": distance, "pair": pair, "height": np.full(count * KEYPOINTS, 256.0),
            "total": np.bincount(pair, areas), "count": np.bincount(pair).astype(float),
        },
        "recall@10[resnet50]": {"nearest": nearest, "relevant": relevant},
    }  # fmt: skip
    rows = [(metric, "pair 0", "no face in target") for metric in ("face_distance", "face_same@0.6")]
    missing = pd.DataFrame(rows, columns=["metric", "pair", "reason"])
    lost = {"no face in target": 1}
    controls = {"chance": {"value": 0.2, "n": count}, "targets": {"value": 0.9, "n": count}}
    wrong = {"targets": {"value": 0.1, "n": count}, "majority": {"value": 0.4, "n": count, "answer": "MEN"}}
    scores = {
        "ssim": [_score("ssim", ssim)],
        "kec": [_score("kec_auc_body", areas, n=count, details={"alpha_max": 0.05})],
        "face_identity": [
            _score("face_distance", face, "lower", missing=lost),
            _score("face_same@0.6", columns["face_same@0.6"], missing=lost),
        ],
        "retrieval": [_score(m, columns[m], details={"controls": controls}) for m in columns if m.startswith("recall")],
        "gender": [_score("gender_error", gender, "lower", details={"controls": wrong})],
    }
    groups = {"ssim": "perceptual", "kec": "structural"}
    protocols = [
        ProtocolRecord(name=name, dialect="clean@1", group=groups.get(name, "semantic"), status="done",  # type: ignore[arg-type]
                       recipe=_recipe(name), scores=own)
        for name, own in scores.items()
    ]  # fmt: skip
    return protocols, arrays, missing


def _score(metric: str, values: Any, better: Any = "higher", n: int | None = None, **about: Any) -> ScoreRecord:
    value = float(np.nanmean(values))
    known = {"unit": "", "missing": {}, "faults": 0, "details": {}, **about}
    n = int((~np.isnan(values)).sum()) if n is None else n
    return ScoreRecord(metric=metric, value=value, better=better, n=n, interval=(value - 0.05, value + 0.05), **known)


def _recipe(protocol: str) -> Recipe:
    return Recipe(
        protocol=protocol, version=1, parameters={"sigma": 1.5}, extractors={protocol: 1}, weights={}, reference=None
    )
