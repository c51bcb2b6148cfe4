"""What we measure in a dialect, and what a script's numbers are compared with. Of fhpt_eval, only what runs it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from dialect_files import COUNT, Floats, Folders
from dialect_people import annotated, people
from seeded import SeededStore

from fhpt_eval import Pairs, evaluate
from fhpt_eval.engine.cache import Cache
from fhpt_eval.engine.engine import open_engine
from fhpt_eval.evaluation.run import Run
from fhpt_eval.measuring.dialects import Dialect, dialect_named, measurements_of
from fhpt_eval.pairing.pairs import list_images

Runs = Callable[[str], tuple[Folders, Run]]


def measured(
    dialect: Dialect, folders: Folders, protocols: tuple[str, ...], cache: Path, weights: Path, *, done: bool = True
) -> Run:
    """Evaluate images in a dialect.

    Args:
        dialect: Whose numbers.
        folders: The images.
        protocols: Which of them, where the dialect has them.
        cache: A folder.
        weights: The folder of seeded weights.
        done: Whether every number must be there.
    """
    targets, generated = (annotated(folders.root / f"{r}.csv", people(folders, r)) for r in ("target", "generated"))
    pairs = Pairs.from_folders(folders.generated, folders.target, naming=dialect.naming or "auto")
    pairs.require_complete()
    assert len(pairs) == COUNT
    having = {metric.protocol for metric in dialect.metrics}
    chosen = measurements_of([dialect], [name for name in protocols if name in having])
    looked_at = {role for measurement in chosen for role in measurement.protocol.keypoint_roles()}
    with Cache(cache) as opened:
        run = evaluate(
            pairs,
            chosen,
            reference=list_images(folders.reference),
            generated_keypoints=generated if "generated" in looked_at else None,
            target_keypoints=targets if "target" in looked_at else None,
            engine=open_engine("local", opened, device="cpu"),
            store=SeededStore(weights),
        )
    assert not done or {record.status for record in run.record.protocols} == {"done"}
    return run


def runs_in(
    root: Path, laid_out: Callable[[Path, Dialect], Folders], protocols: tuple[str, ...], cache: Path, weights: Path
) -> Runs:
    """Evaluate each dialect on files of its own, once.

    Args:
        root: Where files are laid out.
        laid_out: Lays them out.
        protocols: Which of them, where a dialect has them.
        cache: A folder.
        weights: The folder of seeded weights.
    """

    @functools.cache
    def run_in(key: str) -> tuple[Folders, Run]:
        dialect = dialect_named(key)
        folders = laid_out(root / key, dialect)
        return folders, measured(dialect, folders, protocols, cache, weights)

    return run_in


def named(dialect: Dialect, metric: str) -> str:
    """What a run calls a number of a dialect."""
    return metric if dialect.key == "clean" else f"{dialect.id}:{metric}"


def per_pair(run: Run, metric: str) -> Floats:
    """In the order of generated file names."""
    values: Floats = run.per_pair.sort_values("generated")[metric].to_numpy(dtype=np.float64)
    return values


def assert_agrees(run: Run, metric: str, expected: Sequence[float], *, rel: float, abs: float) -> None:  # noqa: A002
    """Every pair, and the number that is printed; NaN where a pair is dropped."""
    assert per_pair(run, metric) == pytest.approx(np.array(expected), rel=rel, abs=abs, nan_ok=True)
    assert_number(run, metric, float(np.nanmean(expected)), int(np.isfinite(expected).sum()), rel=rel, abs=abs)


def assert_number(run: Run, metric: str, expected: float, n: int, *, rel: float, abs: float) -> None:  # noqa: A002
    """What is printed, and of how many."""
    score = run.scores[metric]
    assert score.value == pytest.approx(expected, rel=rel, abs=abs)
    assert score.n == n
