"""Scores at other thresholds: exactly those of a run with these thresholds, from what the run keeps alone."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_runs import made_run
from toys import StubRecords

from fhpt_eval.errors import UserError
from fhpt_eval.evaluation.rescoring import rescored
from fhpt_eval.evaluation.run import Run
from fhpt_eval.evaluation.run_record import ProtocolRecord, Recipe, score_record
from fhpt_eval.extract.dlib_face import NO_FACE
from fhpt_eval.extract.mediapipe_keypoints import NO_PERSON
from fhpt_eval.measuring.protocol import Protocol, Score
from fhpt_eval.pairing.pairs import Pair, PairReport, Pairs
from fhpt_eval.protocols import face_identity, kec, pckh
from fhpt_eval.protocols.face_identity import FaceIdentity
from fhpt_eval.protocols.kec import ABOUT, Kec
from fhpt_eval.protocols.pckh import Pckh
from fhpt_eval.records import Missing, Result

COUNT = 12
TORN = Missing("unreadable: torn")
PAIRS = Pairs(
    tuple(Pair(f"p{i:02}", None, None, None, item=f"g{i // 3}" if i else None) for i in range(COUNT)),
    PairReport(COUNT),
    "csv",
)
Results = tuple[Sequence[Result], Sequence[Result]]


def faces() -> Results:
    """A face in most images: lost ones on either side, and one file that is torn."""
    rng = np.random.default_rng(0)

    def face(distance: float) -> Result:
        embedding = np.zeros(128)
        embedding[0] = distance
        return {"box": np.zeros(4, np.int32), "embedding": embedding, "faces": np.array(1, np.int32)}

    generated = [face(distance) for distance in rng.uniform(0.3, 0.9, COUNT)]
    real = [face(0.0) for _ in range(COUNT)]
    generated[2], generated[5], generated[7], real[7], real[8] = NO_FACE, TORN, NO_FACE, NO_FACE, NO_FACE
    # Exactly at a threshold, which is not below it.
    generated[9] = face(0.5)
    return generated, real


def people() -> Results:
    """People whose points were moved; some lack points, one lacks a head, one a person, one a file."""
    rng = np.random.default_rng(1)

    def person(**points: Any) -> dict[str, Any]:
        return {"size": np.array((80, 100), np.int32), **points}

    target: list[Any] = []
    generated: list[Any] = []
    for _ in range(COUNT):
        points = {part: np.ones((n, 3), np.float32) for part, n in (("body", 18), ("face", 68), ("hands", 42))}
        for array in points.values():
            array[:, :2] = rng.uniform(20, 60, (len(array), 2))
        moved = {part: array + np.append(rng.normal(0, 9, 2), 0).astype(np.float32) for part, array in points.items()}
        moved["body"][rng.integers(18)] = (np.nan, np.nan, 0)
        for side in (points, moved):
            side["hands"] = side["hands"].reshape(2, 21, 3)
        target.append(person(**points))
        generated.append(person(**moved))
    target[1]["body"][:] = (np.nan, np.nan, 0)
    target[2]["hands"][:] = (np.nan, np.nan, 0)
    target[3]["body"][[0, 1, 14, 15, 16]] = (np.nan, np.nan, 0)
    generated[4], generated[5], target[6] = NO_PERSON, TORN, NO_PERSON
    return generated, target


def scores(protocol: Protocol, results: Results, against: str = "target") -> list[Score]:
    return protocol.score(PAIRS, StubRecords({("generated",): results[0], (against,): results[1]}))  # type: ignore[dict-item]


def run_with(protocol: Protocol, found: Sequence[Score], folder: Path) -> Run:
    """A run on disk that keeps these scores."""
    run = made_run("mine", {"ssim": [0.5] * COUNT}, items=[pair.item for pair in PAIRS])
    run.per_pair["pair"] = [pair.pair for pair in PAIRS]
    recipe = Recipe(protocol=protocol.name, version=1, parameters=protocol.parameters(), extractors={}, weights={},
                    reference=None)  # fmt: skip
    pending = ProtocolRecord(name=protocol.name, group=protocol.group, status="pending", recipe=recipe)
    record = run.record.model_copy(update={"protocols": [*run.record.protocols, pending]})
    done = pending.model_copy(update={"status": "done", "scores": [score_record(score) for score in found]})
    dataclasses.replace(run, record=record).with_scores(1, done, found).save(folder)
    return Run.load(folder)


def everything(score: Score) -> dict[str, Any]:
    """All of a score that is to be the same, but for its name."""
    return {
        "interval": tuple(score.interval or ()),
        **{name: getattr(score, name) for name in ("value", "better", "n", "unit", "faults")},
        **{name: dict(getattr(score, name)) for name in ("missing", "details")},
        "per_pair": tuple(score.per_pair),
        "arrays": {name: array.tobytes() for name, array in score.arrays.items()},
    }


@pytest.mark.parametrize("against", ["target", "source"])
def test_face_identity_at_another_threshold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, against: str) -> None:
    protocol = FaceIdentity(against=against)  # type: ignore[arg-type]
    run = run_with(protocol, scores(protocol, faces(), against), tmp_path / "run")
    monkeypatch.setattr(face_identity, "THRESHOLDS", (0.45, 0.5))
    expected = {score.metric: score for score in scores(protocol, faces(), against) if "face_same" in score.metric}
    found = {score.metric: score for score in rescored(run, "face_identity", {"thresholds": [0.45, 0.5]})}
    assert list(found) == list(expected)
    for metric, score in found.items():
        assert everything(score) == everything(expected[metric])
    both = [score for score in found.values() if "detected" in score.metric]
    assert 0 < (both[0].value or 0) <= (both[1].value or 0) < 1


@pytest.mark.parametrize("rule", ["radius", "box"])
def test_pckh_at_other_thresholds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rule: str) -> None:
    protocol = Pckh(rule=rule)  # type: ignore[arg-type]
    run = run_with(protocol, scores(protocol, people()), tmp_path / "run")
    found = rescored(run, "pckh", {})
    name = "pckh" if rule == "radius" else "pckh_box"
    assert [score.metric for score in found] == [f"{name}@{step / 10}" for step in range(1, 11)]
    for step, score in enumerate(found, start=1):
        monkeypatch.setattr(pckh, "ALPHA", step / 10)
        (expected,) = scores(protocol, people())
        assert everything(score) == everything(expected)
    values = [score.value or 0 for score in found]
    assert values == sorted(values)
    assert values[0] < values[4] < values[-1]
    assert values[4] == run.scores[name].value


def test_kec_to_another_alpha_max(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = run_with(Kec(), scores(Kec(), people()), tmp_path / "run")
    found = {score.metric: score for score in rescored(run, "kec", {"alpha_max": 0.07})}
    monkeypatch.setattr(kec, "ABOUT", {part: dataclasses.replace(about, limit=0.07) for part, about in ABOUT.items()})
    expected = {score.metric: score for score in scores(Kec(), people())}
    assert list(found) == [f"kec_auc_{part}{kind}@0.07" for part in ABOUT for kind in ("", "_detected")]
    for metric, score in found.items():
        assert everything(score) == everything(expected[metric.removesuffix("@0.07")])
        assert score.details["alpha_max"] == 0.07


def test_the_table_has_a_row_a_metric(tmp_path: Path) -> None:
    run = run_with(FaceIdentity(), scores(FaceIdentity(), faces()), tmp_path / "run")
    table = run.rescore("face_identity", thresholds=np.linspace(0.1, 0.3, 3))
    assert list(table["metric"])[::2] == ["face_same@0.1", "face_same@0.2", "face_same@0.3"]
    assert list(table) == ["metric", "value", "low", "high", "n", "missing", "better", "unit"]
    table = run.rescore("face_identity", thresholds=0.6).set_index("metric")
    stored = run.scores["face_same@0.6"]
    assert tuple(table.loc["face_same@0.6", ["value", "low", "high", "n"]]) == (
        stored.value, *(stored.interval or ()), stored.n,
    )  # fmt: skip


def test_a_run_from_before_is_to_be_run_again(tmp_path: Path) -> None:
    for protocol, metric in ((Kec(), "kec_auc_body"), (Pckh(), "pckh")):
        run = run_with(protocol, scores(protocol, people()), tmp_path / protocol.name)
        before = dataclasses.replace(run, arrays={metric: {"total": np.zeros(COUNT), "count": np.ones(COUNT)}})
        with pytest.raises(UserError, match=f"mine does not keep .* {metric} .*--protocols {protocol.name}"):
            before.rescore(protocol.name)


@pytest.mark.parametrize(
    ("protocol", "options", "sentence"),
    [
        ("kek", {}, r"'kek' cannot be scored at other thresholds\. Did you mean 'kec'\?"),
        ("ssim", {}, r"'ssim' cannot be scored at other thresholds\. Known: face_identity, kec, pckh\."),
        ("kec", {}, r"mine has no scores of kec: run it with --protocols kec\."),
        ("face_identity", {"threshold": 1}, r"has no option 'threshold'\. Did you mean 'thresholds'\?"),
        ("face_identity", {"thresholds": []}, r"option 'face_identity\.thresholds' cannot be '\[\]': .* at least 1"),
        ("face_identity", {"thresholds": "many"}, r"option 'face_identity\.thresholds' cannot be 'many'"),
        ("face_identity", {"thresholds": [0.5, -1]}, r"greater than 0\."),
        ("face_identity", {"thresholds": np.inf}, r"finite"),
        ("face_identity", {"thresholds": None}, r"option 'face_identity\.thresholds' cannot be 'None'"),
    ],
)
def test_wrong_use_is_one_sentence(tmp_path: Path, protocol: str, options: Mapping[str, Any], sentence: str) -> None:
    run = run_with(FaceIdentity(), scores(FaceIdentity(), faces()), tmp_path / "run")
    with pytest.raises(UserError, match=sentence):
        run.rescore(protocol, **options)
