"""A run's folder: arrays beside the tables, and how often each file is written."""

from __future__ import annotations

import csv
import dataclasses
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from toys import write_image

from fhpt_eval.engine.cache import Cache
from fhpt_eval.engine.engine import open_engine
from fhpt_eval.errors import UserError
from fhpt_eval.evaluation.evaluate import evaluate
from fhpt_eval.evaluation.run import Run
from fhpt_eval.evaluation.run_record import ARRAYS, IMAGES, MISSING, PER_PAIR, RECORD
from fhpt_eval.files import together
from fhpt_eval.files.atomic import write_atomic
from fhpt_eval.measuring.protocol import Records, Score
from fhpt_eval.pairing.pairs import Pairs
from fhpt_eval.protocols.l1 import L1
from fhpt_eval.protocols.psnr import Psnr
from fhpt_eval.protocols.ssim import Ssim


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


def test_a_file_is_written_once_for_each_protocol_that_changes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "b"):
        write_image(tmp_path / "generated" / f"{name}.png", ord(name))
        write_image(tmp_path / "target" / f"{name}.png", ord("a"))
    pairs = Pairs.from_folders(tmp_path / "generated", tmp_path / "target")
    written: Counter[str] = Counter()

    def count(path: Path, content: str | bytes) -> None:
        written[path.name] += 1
        write_atomic(path, content)

    monkeypatch.setattr(together, "write_atomic", count)

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class OfTheSet(L1):
        name = "of-the-set"

        def score(self, pairs: Pairs, records: Records) -> list[Score]:
            return [Score("of-the-set", 1.0, "lower", 2)]

    with Cache(tmp_path / "cache") as cache:
        engine = open_engine("local", cache, device="cpu")
        # Where scoring takes no time, all is written at the end.
        monkeypatch.setattr("fhpt_eval.evaluation.evaluate._SECONDS_UNSAVED", 1e9)
        evaluate(pairs, [OfTheSet(), Ssim(), WithArrays()], output=tmp_path / "quick", engine=engine)
        assert {*written.values()} == {1}
        assert {*written} >= {RECORD, PER_PAIR, MISSING, ARRAYS, IMAGES}
        written.clear()
        monkeypatch.setattr("fhpt_eval.evaluation.evaluate._SECONDS_UNSAVED", -1.0)
        run = evaluate(pairs, [OfTheSet(), L1(), Ssim(), Psnr()], output=tmp_path / "run", engine=engine)
        # Once a protocol, and the seconds at the end.
        assert written[RECORD] == 4 + 1
        # After the first protocol, and after each of the three that have a value for each pair.
        assert written[PER_PAIR] == 1 + 3
        # After the first protocol, and after psnr, which has no value for identical images.
        assert written[MISSING] == 1 + 1
        assert written[ARRAYS] == 0
        written.clear()
        evaluate(pairs, [OfTheSet(), WithArrays()], output=tmp_path / "other", engine=engine)
        assert written == {RECORD: 2 + 1, PER_PAIR: 1 + 1, MISSING: 1, ARRAYS: 1, IMAGES: 1}
    loaded = Run.load(tmp_path / "run")
    assert loaded.record == run.record
    assert loaded.per_pair.equals(run.per_pair)
    assert loaded.missing.to_dict() == run.missing.to_dict()


class OfNothing(L1):
    """Has two metrics, one of them without a value, for a reason that is nobody's fault."""

    name = "of-nothing"

    def score(self, pairs: Pairs, records: Records) -> list[Score]:
        found = Score("found", 1.0, "lower", n=len(pairs))
        return [found, Score("of-nothing", None, "lower", n=0, missing={"nothing found": len(pairs)})]


def test_a_metric_without_one_value_is_done_in_part_whatever_the_protocol(tmp_path: Path) -> None:
    for name in ("generated", "target"):
        write_image(tmp_path / name / "a.png", 1)
    pairs = Pairs.from_folders(tmp_path / "generated", tmp_path / "target")
    with Cache(tmp_path / "cache") as cache:
        engine = open_engine("local", cache, device="cpu")
        runs = [evaluate(pairs, [protocol], engine=engine) for protocol in (L1(), Psnr(), OfNothing())]
    assert [(run.exit_code, run.faulty) for run in runs] == [(0, False), (3, False), (3, False)]


def test_a_record_of_before_there_were_doubts_is_read(folder: Path) -> None:
    file = folder / RECORD
    record = json.loads(file.read_bytes())
    assert record.pop("doubts") == []
    file.write_text(json.dumps(record), encoding="utf-8")
    assert Run.load(folder).exit_code == 0


def test_names_in_tables_are_no_formulas_and_are_read_as_they_were(tmp_path: Path) -> None:
    names = ["=1+1", "'=1+1", "+a", "-b", "@c", "-1", "1e5", "'quoted", "plain"]
    for name in names:
        for folder in ("generated", "target"):
            write_image(tmp_path / folder / f"{name}.png", 1 if name == "+a" else len(folder))
    listed = tmp_path / "pairs.csv"
    listed.write_text("".join(["generated,item\n", *(f"{n}.png,={n}\n" for n in names)]), encoding="utf-8")
    pairs = Pairs.from_csv(listed, tmp_path / "generated", tmp_path / "target", naming="same-name")
    with Cache(tmp_path / "cache") as cache:
        engine = open_engine("local", cache, device="cpu")
        run = evaluate(pairs, [Psnr()], output=tmp_path / "run", engine=engine)
    for file in (PER_PAIR, MISSING):
        with (tmp_path / "run" / file).open(encoding="utf-8", newline="") as stream:
            _, *rows = csv.reader(stream)
        cells = [cell for row in rows for cell in row]
        assert not [cell for cell in cells if cell[:1] in {"=", "+", "-", "@"} and cell != "-1"]
    assert {"'=1+1", "''=1+1", "-1"} <= {line.split(",")[0] for line in _lines(tmp_path / "run" / PER_PAIR)}
    loaded = Run.load(tmp_path / "run")
    assert list(loaded.per_pair["pair"]) == sorted(names)
    assert loaded.per_pair.equals(run.per_pair)
    assert loaded.missing.to_dict() == run.missing.to_dict()


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()
