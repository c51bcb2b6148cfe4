"""A run's folder: arrays beside the tables."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from toys import write_image

from fhpt_eval.engine.cache import Cache
from fhpt_eval.engine.engine import open_engine
from fhpt_eval.errors import UserError
from fhpt_eval.evaluation.evaluate import evaluate
from fhpt_eval.evaluation.run import ARRAYS, Run
from fhpt_eval.measuring.protocol import Records, Score
from fhpt_eval.pairing.pairs import Pairs
from fhpt_eval.protocols.l1 import L1


@dataclasses.dataclass(frozen=True, kw_only=True)
class WithArrays(L1):
    def score(self, pairs: Pairs, records: Records) -> list[Score]:
        (score,) = super().score(pairs, records)
        return [dataclasses.replace(score, arrays={"distances": np.arange(6.0).reshape(2, 3).T})]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("generated", "target"):
        write_image(tmp_path / name / "a.png", len(name))
    pairs = Pairs.from_folders(tmp_path / "generated", tmp_path / "target")
    with Cache(tmp_path / "cache") as cache:
        evaluate(pairs, [WithArrays()], output=tmp_path / "run", engine=open_engine("local", cache, device="cpu"))
    return tmp_path / "run"


def test_arrays_of_a_score_are_stored_with_the_run(folder: Path) -> None:
    arrays = Run.load(folder).arrays
    np.testing.assert_array_equal(arrays["l1"]["distances"], np.arange(6.0).reshape(2, 3).T)


def test_damaged_arrays_are_one_sentence(folder: Path) -> None:
    (folder / ARRAYS).write_bytes(b"x" * 20)
    with pytest.raises(UserError, match="damaged"):
        Run.load(folder)
