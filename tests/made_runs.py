"""Runs made up in memory, with values, arrays and pictures as protocols leave them; no image is measured."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, TypeAlias

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
from fhpt_eval.measuring.protocol import Protocol
from fhpt_eval.measuring.registry import find_protocols
from fhpt_eval.pairing.lists import PAIR_COLUMNS

HOSTILE = 'a\n|[x](y)<script>alert(1)</script>$ \\end{x} %&_{}~^#"`*\x1b[31m\x9b\u202e'

KEYPOINTS = 5
"""Of each pair of `pictured_run`."""

_LOWER = {"fid", "kid", "lpips", "l1", "gender_error", "face_distance"}

Values: TypeAlias = "Sequence[float] | np.ndarray | float | None"


def made_run(
    name: str,
    metrics: Mapping[str, Values],
    *,
    pairs: int = 8,
    items: bool | Sequence[str | None] = True,
    columns: Mapping[str, Any] | None = None,
    arrays: Mapping[str, dict[str, Any]] | None = None,
    details: Mapping[str, dict[str, Any]] | None = None,
    reason: str = "gone",
    **about: Any,
) -> Run:
    """Return a run. The interval of a metric with values for each pair is from the smallest to the largest.

    Args:
        name: Its name.
        metrics: A value for each pair (NaN: missing), or one of the whole set; with a dialect before a colon.
        pairs: How many, where no metric says.
        items: Of the pairs, or whether each has one of its own; else they are not known.
        columns: Of ``per_pair``, such as ``view``.
        arrays: By metric.
        details: By metric.
        reason: Why values are missing.
        about: Other fields of `PairsRecord` or `RunRecord`.
    """
    per_pair = {
        metric: np.asarray(values, dtype=np.float64)
        for metric, values in metrics.items()
        if isinstance(values, Sequence | np.ndarray)
    }
    pairs = len(next(iter(per_pair.values()), range(pairs)))
    table: dict[str, Any] = {column: [None] * pairs for column in PAIR_COLUMNS}
    table |= {"pair": [f"p{i}" for i in range(pairs)]}
    table["generated"] = table["target"] = [f"{i}.png" for i in range(pairs)]
    if items:
        table["item"] = [f"i{i}" for i in range(pairs)] if items is True else list(items)
    table |= {**(columns or {}), **per_pair}
    scores = [
        (metric, _score(metric, per_pair.get(metric, value), pairs, reason, (details or {}).get(metric, {})))
        for metric, value in metrics.items()
    ]
    known: dict[str, Any] = {"hash": "h", "content": "c", "generated": f"of {name}", "naming": "same-name"}
    known |= {"total": pairs, "matched": pairs, "missing": [], "extra": [], "ambiguous": [], "duplicate": []}
    known |= {key: about.pop(key) for key in [*about] if key in PairsRecord.model_fields}
    record = RunRecord(
        name=name,
        created="2026-01-02T03:04:05+00:00",
        profile="paper",
        pairs=PairsRecord(**known),
        images=ImagesRecord(sizes={}, notes={}, unreadable={}),
        protocols=[
            _protocol(key, [score for _, score in of_protocol]) for key, of_protocol in groupby(scores, _protocol_of)
        ],
        environment=Environment(python="3", platform="toy", device="cpu", packages={}, git=None),
        seconds={},
        warnings=[],
    ).model_copy(update=about)
    gaps = [
        (metric, pair, reason)
        for metric, values in per_pair.items()
        for pair, value in zip(table["pair"], values, strict=True)
        if np.isnan(value)
    ]
    return Run(record, pd.DataFrame(table), pd.DataFrame(gaps, columns=["metric", "pair", "reason"]), arrays or {})


def _score(metric: str, values: Values, pairs: int, reason: str, details: dict[str, Any]) -> ScoreRecord:
    own = metric.rpartition(":")[2]
    found = values[~np.isnan(values)] if isinstance(values, np.ndarray) else None
    n = pairs if found is None else len(found)
    return ScoreRecord(
        metric=metric,
        value=values if found is None else float(found.mean()),  # type: ignore[arg-type]
        better="lower" if own in _LOWER else "higher",
        unit="dB" if own == "psnr" else "",
        n=n,
        missing={reason: pairs - n} if n < pairs else {},
        faults=0,
        interval=None if found is None or not n else (float(found.min()), float(found.max())),
        details=details,
    )


def _protocol_of(scored: tuple[str, ScoreRecord]) -> tuple[type[Protocol], str, str]:
    """Return whose a metric is, and for one of a dialect also which, and its own name."""
    dialect, _, own = scored[0].rpartition(":")
    names = {own, own.removesuffix("_256"), own.partition("[")[0]}
    protocol = next(p for p in find_protocols().classes.values() if names & {*p.metrics, p.name})
    return protocol, dialect, own if dialect else ""


def _protocol(key: tuple[type[Protocol], str, str], scores: list[ScoreRecord]) -> ProtocolRecord:
    protocol, dialect, metric = key
    recipe = Recipe(
        protocol=protocol.name, version=1, parameters={"sigma": 1.5}, extractors={}, weights={}, reference=None
    )
    return ProtocolRecord(
        name=protocol.name,
        dialect=dialect or "clean@2",
        metric=metric or None,
        group=protocol.group,
        status="done",
        recipe=recipe,
        scores=scores,
    )


def write_pictures(folder: Path, count: int, seed: int) -> list[str]:
    """Write small pictures of noise, and return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(seed)
    paths = [folder / f"{i}.png" for i in range(count)]
    for path in paths:
        Image.fromarray(random.integers(0, 256, (32, 22, 3), dtype=np.uint8)).save(path)
    return [str(path) for path in paths]


def pictured_run(name: str, folder: Path, count: int = 12, seed: int = 1, better: float = 0.0) -> Run:
    """Return a run of the protocols that the report shows, with pictures.

    Args:
        name: Of the run.
        folder: Where its pictures are written.
        count: How many pairs, two an item.
        seed: Of values and pictures.
        better: Added to its values of SSIM.
    """
    random = np.random.default_rng(seed)
    images = {
        role: write_pictures(folder / role, count, place) for place, role in enumerate(("target", "source"), start=100)
    }
    images["generated"] = write_pictures(folder / f"generated-{seed}", count, seed)
    pairs = [f"pair {i}" for i in range(count)]
    ssim = random.uniform(0.4, 0.6, count) + better
    face = random.uniform(0.3, 0.9, count)
    face[0] = np.nan
    gender = (random.uniform(size=count) < 0.3).astype(float)
    nearest = np.stack([random.permutation(count)[:10] for _ in range(count)]).astype(np.int32)
    relevant = nearest // 2 == (np.arange(count) // 2)[:, None]
    distance = random.exponential(4, count * KEYPOINTS)
    distance[::7] = np.inf
    pair = np.repeat(np.arange(count, dtype=np.int32), KEYPOINTS)
    areas = np.clip(1 - distance / 12.8, 0, None)
    found = {f"recall@{k}[resnet50]": relevant[:, :k].any(axis=1).astype(float) for k in (3, 5, 10)}
    controls = {"chance": {"value": 0.2, "n": count}, "targets": {"value": 0.9, "n": count}}
    wrong = {"targets": {"value": 0.1, "n": count}, "majority": {"value": 0.4, "n": count, "answer": "MEN"}}
    contents = [hashlib.sha256(Path(path).read_bytes()).hexdigest() for path in images["generated"]]
    return made_run(
        name,
        {
            "ssim": ssim,
            "kec_auc_body": float(areas.mean()),
            "face_distance": face,
            "face_same@0.6": np.where(np.isnan(face), np.nan, face < 0.6),
            **found,
            "gender_error": gender,
        },
        items=[f"item {i // 2}" for i in range(count)],
        columns={
            "pair": pairs, **images, "view": ["front"] * count,
            "gender": ["MEN" if i % 3 else "WOMEN" for i in range(count)],
        },
        arrays={
            "kec_auc_body": {
                "distance": distance, "pair": pair, "height": np.full(count * KEYPOINTS, 256.0),
                "total": np.bincount(pair, areas), "count": np.bincount(pair).astype(float),
            },
            "recall@10[resnet50]": {"nearest": nearest, "relevant": relevant},
        },
        details={
            "kec_auc_body": {"alpha_max": 0.05},
            **{metric: {"controls": controls} for metric in found},
            "gender_error": {"controls": wrong},
        },
        reason="no face in target",
        generated=generated_hash(zip(pairs, contents, strict=True)),
        images=ImagesRecord(sizes={"generated": {"22×32": count}}, notes={}, unreadable={}),
        warnings=["few images for FID"],
    )  # fmt: skip
