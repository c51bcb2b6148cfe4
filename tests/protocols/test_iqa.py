"""The protocol `iqa`: what it offers and refuses, its scores from values that are written down, and a whole run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Command
from toys import StubRecords

from fhpt_eval.errors import UserError
from fhpt_eval.extract.pyiqa_library import REFUSED, known
from fhpt_eval.files.given import GivenFolder
from fhpt_eval.measuring.given import Given
from fhpt_eval.measuring.protocol import Score, configure
from fhpt_eval.measuring.requirements import lacks_packages
from fhpt_eval.pairing.pairs import Pair, PairReport, Pairs
from fhpt_eval.protocols.iqa import Iqa
from fhpt_eval.records import Missing, Result

GONE = Missing("gone")


def results(*values: float | Missing) -> list[Result]:
    return [v if isinstance(v, Missing) else {"value": np.array(v)} for v in values]


def score(protocol: Iqa, **of: list[Result]) -> Score:
    roles: dict[Any, list[Result]] = {tuple(name.split("_")): found for name, found in of.items()}
    n = len(next(iter(of.values())))
    rows = tuple(Pair(pair=f"p{i}", generated=None, target=None, source=None, item=None) for i in range(n))
    (found,) = protocol.score(Pairs(rows, PairReport(n), "csv"), StubRecords(roles))
    return found


def test_all_metrics_of_pyiqa_are_offered_or_refused_with_a_reason() -> None:
    from pyiqa.default_model_configs import DEFAULT_CONFIGS

    assert {*known()} | {*REFUSED} >= {*DEFAULT_CONFIGS}
    assert not {*known()} & {*REFUSED}
    for name, metric in known().items():
        configured = DEFAULT_CONFIGS[name]
        assert metric.reference == (configured["metric_mode"] == "FR")
        assert (metric.better == "lower") == bool(configured.get("lower_better"))
        assert metric.range == configured["score_range"]


def test_with_a_reference_it_is_a_mean_over_pairs() -> None:
    found = score(configure(Iqa, "paper", {"metric": "gmsd"}), generated_target=results(0.1, GONE, 0.3))
    assert (found.metric, found.better, found.n) == ("iqa_gmsd", "lower", 2)
    assert found.value == pytest.approx(0.2)
    assert found.missing == {"gone": 1}
    assert found.details["range"] == "0, ~1"
    assert "non-commercial" in found.details["licence"]
    assert "controls" not in found.details


def test_without_a_reference_the_targets_of_the_scored_pairs_are_the_ceiling() -> None:
    protocol = configure(Iqa, "paper", {"metric": "piqe"})
    assert [need.roles for need in protocol.needs()] == [("generated",), ("target",)]
    found = score(protocol, generated=results(50, GONE, 70, 60), target=results(20, 10, 40, GONE))
    assert found.value == pytest.approx(60)
    assert found.details["controls"] == {"targets": {"value": pytest.approx(30), "n": 2}}
    alone = configure(Iqa, "paper", {"metric": "piqe", "ceiling": "false"})
    assert [need.roles for need in alone.needs()] == [("generated",)]
    assert "controls" not in score(alone, generated=results(50)).details


def test_several_metrics_are_named_with_commas() -> None:
    protocol = configure(Iqa, "paper", {"metric": "fsim, entropy"})
    assert [need.extractor.id for need in protocol.needs()] == [
        "image-fidelity",
        *["image-quality[metric=entropy]"] * 2,
    ]


@pytest.mark.parametrize(
    ("metric", "told"),
    [
        ("distss", "pyiqa has no metric 'distss'. Did you mean 'dists'?"),
        ("inception_score", "inception_score is not offered: it compares sets of images"),
        ("clipscore", "it needs a text for each image"),
        ("qalign", "it asks a language model"),
        ("fsim,fsim", "each once"),
    ],
)
def test_what_is_not_offered_is_refused_in_one_sentence(metric: str, told: str) -> None:
    with pytest.raises(UserError) as caught:
        configure(Iqa, "paper", {"metric": metric})
    assert told in str(caught.value)


def test_a_metric_that_needs_weights_tells_how_to_bring_them(tmp_path: Path) -> None:
    lacking = configure(Iqa, "paper", {"metric": "fsim,dists,niqe"}).lacks(Given())
    assert lacking is not None
    assert lacking.startswith("pyiqa may not download the weights of dists and niqe: where there is a network, run")
    assert "pyiqa.create_metric('dists'); pyiqa.create_metric('niqe')" in lacking
    (tmp_path / "file").write_bytes(b"x")
    protocol = configure(Iqa, "paper", {"metric": "fsim,dists", "weights": str(tmp_path)})
    assert protocol.lacks(Given()) is None
    fsim, dists = (need.extractor.parameters() for need in protocol.needs())
    assert fsim["files"] is None
    assert dists["files"] == f"sha256:{GivenFolder.at(tmp_path).sha256}"


def test_where_there_is_no_pyiqa_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fhpt_eval.protocols.iqa.known", dict)
    monkeypatch.setattr("fhpt_eval.measuring.requirements.version", lambda name: None if name == "pyiqa" else "1")
    lacking = lacks_packages(configure(Iqa, "paper", {"metric": "whatever"}))
    assert lacking is not None
    assert "pip install 'fhpt-eval[iqa]'" in lacking
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    assert known.__wrapped__() == {}


def test_a_folder_is_known_by_its_files(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name / "hub").mkdir(parents=True)
        (tmp_path / name / "hub" / "x.pth").write_bytes(b"1")
    one, other = GivenFolder.at(tmp_path / "a"), GivenFolder.at(tmp_path / "b")
    assert one == other
    (tmp_path / "b" / ".locks").mkdir()
    (tmp_path / "b" / ".locks" / "x").write_bytes(b"")
    assert GivenFolder.at(tmp_path / "b") == one
    (tmp_path / "b" / "hub" / "x.pth").write_bytes(b"2")
    assert GivenFolder.at(tmp_path / "b") != one
    (tmp_path / "a" / "hub" / "x.pth").rename(tmp_path / "a" / "hub" / "y.pth")
    assert GivenFolder.at(tmp_path / "a") != one
    with pytest.raises(UserError, match="no file in a folder"):
        GivenFolder.at(tmp_path / "nowhere")


def test_it_runs_where_it_is_named_alone(command: Command, folders: tuple[str, ...]) -> None:
    done = command("run", *folders, "-p", "iqa,ssim", "--set", "iqa.metric=gmsd,entropy", "-o", "out", "--quiet")
    assert done.code == 0
    record = json.loads(Path("out/run.json").read_text(encoding="utf-8"))
    scores = {s["metric"]: s for p in record["protocols"] for s in p["scores"]}
    assert {"iqa_gmsd", "iqa_entropy", "ssim"} == {*scores}
    assert scores["iqa_entropy"]["details"]["controls"]["targets"]["n"] == 5
    unnamed = command("run", *folders, "-p", "perceptual", "--profile", "embedded", "-o", "other", "--quiet")
    # Five images are too few for the ten splits of the Inception Score.
    assert unnamed.code == 3
    other = json.loads(Path("other/run.json").read_text(encoding="utf-8"))
    assert "iqa" not in {p["recipe"]["protocol"] for p in other["protocols"]}


def test_the_names_are_listed(command: Command) -> None:
    listed = command("protocols", "iqa").out
    assert "Licence: pyiqa: non-commercial use only" in listed
    assert "gmsd                 lower is better, in [0, ~1], with the target\n" in listed
    assert "niqe                 lower is better, in [~0, ~100], without reference, needs weights\n" in listed
    (row,) = json.loads(command("protocols", "iqa", "--json").out)
    assert {*row["choices"]["metric"]} == {*known()}
