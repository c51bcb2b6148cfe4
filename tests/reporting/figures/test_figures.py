"""Bars, recall over K and the radar: what each mark stands for, and what cannot be drawn."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from made_runs import made_run
from matplotlib.patches import Rectangle

from fhpt_eval.errors import UserError
from fhpt_eval.evaluation.run import Run
from fhpt_eval.evaluation.run_record import ProtocolRecord, Recipe, ScoreRecord
from fhpt_eval.measuring.protocol import Group
from fhpt_eval.reporting.figures.bars import plot_bars
from fhpt_eval.reporting.figures.radar import plot_radar, share_won
from fhpt_eval.reporting.figures.recall import plot_retrieval

Numbers = Any
"""A sequence or an array of numbers."""

ITEMS = [f"item {i}" for i in range(24)]
GOOD, BAD = np.linspace(0.7, 0.9, 24), np.linspace(0.3, 0.5, 24)
HOSTILE = "$\\frac{a}$|<script>%&_\x1b[31m"


def run_of(name: str, ssim: Numbers, **others: Numbers) -> Run:
    """A run of 24 pairs of 24 items: SSIM, and by protocol one of its headlines."""
    run = made_run(name, {"ssim": ssim}, items=ITEMS[: len(ssim)])
    groups: Mapping[str, tuple[str, Group]] = {
        "kec": ("kec_auc_body", "structural"), "face_identity": ("face_same@0.6", "semantic"),
    }  # fmt: skip
    for protocol, values in others.items():
        metric, group = groups[protocol]
        run.per_pair[metric] = np.asarray(values, dtype=np.float64)
        run = adding(run, protocol, group, score(metric, float(np.mean(values)), len(values)))
    return run


def score(metric: str, value: float | None, n: int = 24, **about: Any) -> ScoreRecord:
    plain: dict[str, Any] = {
        "better": "higher",
        "unit": "",
        "missing": {},
        "faults": 0,
        "interval": None,
        "details": {},
    }
    return ScoreRecord(metric=metric, value=value, n=n, **{**plain, **about})


def adding(run: Run, name: str, group: Group, *scores: ScoreRecord) -> Run:
    recipe = Recipe(protocol=name, version=1, parameters={}, extractors={}, weights={}, reference=None)
    record = ProtocolRecord(name=name, group=group, status="done", recipe=recipe, scores=list(scores))
    return dataclasses.replace(run, record=run.record.model_copy(update={"protocols": [*run.record.protocols, record]}))


def recalls(run: Run, values: Mapping[int, float | None], net: str = "vgg16", chance: float = 0.1) -> Run:
    controls = {"targets": {"value": 0.9, "n": 24}, "chance": {"value": chance, "n": 24}, "source": {"value": None}}
    scores = [
        score(f"recall@{k}[{net}]", value, interval=None if value is None else (value - 0.1, value + 0.1),
              details={"controls": controls})
        for k, value in values.items()
    ]  # fmt: skip
    return adding(run, "retrieval", "semantic", *scores)


def xs(line: Any) -> list[float]:
    return list(line.get_xdata())


def ys(line: Any) -> list[float]:
    return list(line.get_ydata())


def texts(panel: Any) -> list[str]:
    return [text.get_text() for text in panel.texts]


# Bars


def test_bars_are_the_values_from_zero_with_intervals_and_letters() -> None:
    runs = [run_of("best", GOOD), run_of("same", GOOD + np.tile([0.01, -0.01], 12)), run_of("worst", BAD)]
    record = runs[0].record
    (protocol,) = record.protocols
    changed = protocol.model_copy(update={"scores": [protocol.scores[0].model_copy(update={"interval": (0.75, 0.85)})]})
    runs[0] = dataclasses.replace(runs[0], record=record.model_copy(update={"protocols": [changed]}))
    (panel,) = plot_bars(runs).axes
    bars = [patch for patch in panel.patches if isinstance(patch, Rectangle)]
    assert [bar.get_x() for bar in bars] == [0, 0, 0]
    assert [bar.get_width() for bar in bars] == pytest.approx([GOOD.mean(), GOOD.mean(), BAD.mean()])
    assert len({bar.get_hatch() for bar in bars}) == 3
    assert texts(panel) == ["0.8000 a", "0.8000 a", "0.4000 b"]
    assert [label.get_text() for label in panel.get_yticklabels()] == ["best", "same", "worst"]
    assert panel.get_ylim()[0] > panel.get_ylim()[1], "the first run is on top"
    assert panel.get_title(loc="left") == "ssim ↑"
    assert [xs(line) for line in panel.lines[:2]] == [[0.75, 0.85]] * 2


def test_values_of_a_metric_have_the_same_decimals() -> None:
    runs = [made_run("a", {"psnr": [9.87] * 8}), made_run("b", {"psnr": [20.5] * 8})]
    assert texts(plot_bars(runs).axes[0]) == ["9.87", "20.50"]


def test_two_runs_have_no_letters_and_a_missing_value_is_a_dash() -> None:
    one = run_of("one", GOOD)
    two = adding(run_of("two", BAD), "l1", "perceptual", score("l1", None, better="lower"))
    shown = plot_bars([one, two], ["l1", "ssim"])
    assert [texts(panel) for panel in shown.axes] == [["–", "–"], ["0.8000", "0.4000"]]
    assert shown.axes[0].get_title(loc="left") == "l1 ↓"
    assert "cannot be told apart" not in str(shown._supxlabel.get_text())  # type: ignore[attr-defined]


def test_a_dozen_runs_with_hostile_names_are_drawn() -> None:
    rng = np.random.default_rng(0)
    runs = [run_of(f"{HOSTILE}{i}", GOOD + rng.normal(0, 0.05, 24)) for i in range(12)]
    shown = plot_bars(runs, table="perceptual")
    shown.savefig(io.BytesIO())
    labels = [label.get_text() for label in shown.axes[0].get_yticklabels()]
    assert all(label.isprintable() and r"\$" in label for label in labels)
    looks = {(bar.get_facecolor(), bar.get_hatch()) for bar in shown.axes[0].patches}
    assert len(looks) == 12


# Recall over K


def test_recall_over_k_has_a_panel_a_network_and_the_controls() -> None:
    one = recalls(recalls(run_of("one", GOOD), {3: 0.5, 5: 0.6, 10: 0.8}), {3: 0.2, 5: 0.3, 10: 0.4}, "resnet50")
    two = recalls(run_of("two", GOOD), {3: 0.4, 5: None, 10: 0.7}, chance=0.12)
    shown = plot_retrieval([one, two])
    first, second = shown.axes
    assert (first.get_title(), second.get_title()) == ("recall@K[vgg16] ↑", "recall@K[resnet50] ↑")
    lines = {str(line.get_label()): line for line in first.lines if not str(line.get_label()).startswith("_")}
    assert list(lines) == ["one", "two", "targets", "chance"], "a control without a value is not drawn"
    assert ys(lines["one"]) == [0.5, 0.6, 0.8]
    assert ys(lines["two"]) == [0.4, 0.7]
    assert lines["two"].get_xdata() == pytest.approx([3.07, 10.07])
    assert lines["one"].get_marker() != lines["two"].get_marker()
    chances = [ys(line) for line in first.lines if line.get_label() == "chance"]
    assert chances == [[0.1] * 3, [0.12] * 3], "what differs between runs is a band"
    assert [ys(line) for line in second.lines if line.get_label() == "two"] == [[]]
    named = [text.get_text() for text in shown.legends[0].get_texts()]
    assert named == ["one", "two", "targets", "chance"]


def test_without_recall_the_sentence_says_what_to_run() -> None:
    plain = run_of("plain", GOOD)
    with pytest.raises(UserError, match=r"no run has recall over K: run them with --protocols retrieval\."):
        plot_retrieval([plain])
    with pytest.raises(UserError, match=r"plain has no recall over K: run it with --protocols retrieval\."):
        plot_retrieval([recalls(run_of("one", GOOD), {3: 0.5}), plain])


# The radar


def three() -> list[Run]:
    same = GOOD + np.tile([0.01, -0.01], 12)
    hits = np.tile([1.0, 1.0, 0.0], 8)
    return [
        run_of("a", GOOD, kec=BAD, face_identity=hits),
        run_of("b", same, kec=GOOD, face_identity=hits),
        run_of("c", BAD, kec=BAD, face_identity=np.zeros(24)),
    ]


def test_an_axis_is_the_share_of_comparisons_won() -> None:
    # By SSIM a and b cannot be told apart and both are better than c; by KEC b is best; by faces c is worst.
    assert share_won(three()) == [[0.75, 0.25, 0.75], [0.75, 1, 0.75], [0, 0.25, 0]]
    assert share_won(three()[1:]) == [[1, 1, 1], [0, 0, 0]]
    assert share_won([three()[0], three()[1]]) == [[0.5, 0, 0.5], [0.5, 1, 0.5]]


def test_the_radar_says_what_its_axes_are_and_encloses_nothing() -> None:
    shown = plot_radar(three())
    (panel,) = shown.axes
    assert [label.get_text() for label in panel.get_xticklabels()] == ["perceptual", "structural", "semantic"]
    assert panel.get_ylim()[0] == 0
    lines = [line for line in panel.lines if not str(line.get_label()).startswith("_")]
    assert [ys(line) for line in lines][1] == [0.75, 1, 0.75, 0.75]
    assert str(lines[1].get_label()) == "b (0.75, 1.00, 0.75)"
    assert not panel.patches
    assert not panel.collections
    title = shown.get_suptitle()
    for said in ("share", "other runs shown", "headline", "½"):
        assert said in title


def test_metrics_of_one_table_count_together() -> None:
    runs = three()
    runs[1] = dataclasses.replace(runs[1], per_pair=runs[1].per_pair.assign(gender_error=BAD))
    with_two = []
    for run, values in zip(runs, (BAD, GOOD, GOOD), strict=True):
        run.per_pair["gender_error[vgg16]"] = values
        headline = score("gender_error[vgg16]", float(values.mean()), better="lower")
        with_two.append(adding(run, "gender", "semantic", headline))
    # a: faces ¾, gender 1; the mean of the two tables.
    assert share_won(with_two)[0][2] == pytest.approx((0.75 + 1) / 2)


def test_what_cannot_be_compared_is_one_sentence() -> None:
    with pytest.raises(UserError, match="needs two runs"):
        plot_radar([three()[0]])
    few = [run_of(name, values[:3], kec=values[:3], face_identity=values[:3]) for name, values in
           (("a", GOOD), ("b", BAD), ("c", GOOD))]  # fmt: skip
    with pytest.raises(UserError, match="a cannot be compared in what is perceptual: too few items to tell"):
        plot_radar(few)
    with pytest.raises(UserError, match=r"in what is structural: it has no headline metric"):
        plot_radar([run_of("a", GOOD), run_of("b", BAD)])


@pytest.mark.parametrize("plot", [plot_bars, plot_retrieval, plot_radar])
def test_runs_that_cannot_share_a_figure_are_one_sentence(plot: Any) -> None:
    one = recalls(run_of("one", GOOD), {3: 0.5})
    with pytest.raises(UserError, match="a figure needs a run"):
        plot([])
    with pytest.raises(UserError, match="two runs are called 'one'"):
        plot([one, one])
    other = dataclasses.replace(made_run("other", {"ssim": [*BAD]}, hash="z"))
    with pytest.raises(UserError, match="other cannot share the figure: other pairs than one"):
        plot([one, other])


def test_a_metric_or_table_that_no_run_has_is_one_sentence() -> None:
    runs = [run_of("one", GOOD), run_of("two", BAD)]
    with pytest.raises(UserError, match=r"metric 'sim' is not in any run\. Did you mean 'ssim'\?"):
        plot_bars(runs, ["sim"])
    with pytest.raises(UserError, match="--table faces"):
        plot_bars(runs, table="faces")
