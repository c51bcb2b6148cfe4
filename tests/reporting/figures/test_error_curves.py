"""Figures of keypoint error curves: shared axes, and what cannot be drawn."""

from __future__ import annotations

import dataclasses
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from toys import write_image

from fhpt_eval.engine.cache import Cache
from fhpt_eval.engine.engine import open_engine
from fhpt_eval.errors import UserError
from fhpt_eval.evaluation.evaluate import evaluate
from fhpt_eval.evaluation.run import Run
from fhpt_eval.evaluation.run_record import ScoreRecord
from fhpt_eval.maths.keypoints import PARTS, areas
from fhpt_eval.measuring.protocol import Curve, Protocol
from fhpt_eval.pairing.pairs import Pairs
from fhpt_eval.plugins import Found
from fhpt_eval.protocols.kec import Kec
from fhpt_eval.protocols.l1 import L1
from fhpt_eval.reporting.figures import error_curves
from fhpt_eval.reporting.figures.error_curves import axis_limit, axis_limits, plot_kec
from fhpt_eval.reporting.figures.style import ENDINGS, save_figure


def with_distances(run: Run, name: str, body: list[float], face: list[float], hands: list[float]) -> Run:
    arrays = {
        f"kec_auc_{part}": {"distance": np.array(values)}
        for part, values in zip(PARTS, (body, face, hands), strict=True)
    }
    return dataclasses.replace(run, record=run.record.model_copy(update={"name": name}), arrays=arrays)


@pytest.fixture
def plain(tmp_path: Path) -> Run:
    for folder in ("generated", "target"):
        write_image(tmp_path / folder / "a.png", len(folder))
    with Cache(tmp_path / "cache") as cache:
        pairs = Pairs.from_folders(tmp_path / "generated", tmp_path / "target")
        return evaluate(pairs, [L1()], engine=open_engine("local", cache, device="cpu"))


@pytest.mark.parametrize(("reach", "limit"), [(0.9, 1), (1.0, 1), (1.01, 2), (6.5, 8), (9, 10), (11, 20), (0.04, 0.1)])
def test_axes_end_at_round_numbers_that_cover_the_distances(reach: float, limit: float) -> None:
    assert axis_limit(np.full(10, reach)) == pytest.approx(limit)


def test_axes_come_from_all_runs_together_and_hands_have_twice_the_body(plain: Run) -> None:
    near = with_distances(plain, "near", [1.0] * 10, [0.5] * 10, [1.0] * 10)
    far = with_distances(plain, "far", [3.5] * 10, [0.5, np.inf] * 5, [1.5] * 10)
    one, both = axis_limits([near], Kec.curves), axis_limits([near, far], Kec.curves)
    assert one == pytest.approx({"kec_auc_body": 1, "kec_auc_face": 0.5, "kec_auc_hands": 2})
    assert both == pytest.approx({"kec_auc_body": 4, "kec_auc_face": 0.5, "kec_auc_hands": 8})


def with_heights(run: Run, distances: list[float], heights: list[float]) -> Run:
    """A run of body points whose metric is what `kec` gives for these distances."""
    share = 0.05
    area = float(areas(np.array(distances) / np.array(heights), share).mean())
    score = ScoreRecord(
        metric="kec_auc_body", value=area, better="higher", unit="", n=1, missing={}, faults=0, interval=None,
        details={"alpha_max": share, "alpha_max_unit": "target height"},
    )  # fmt: skip
    (protocol,) = run.record.protocols
    record = run.record.model_copy(update={"protocols": [protocol.model_copy(update={"scores": [score]})]})
    arrays = {"kec_auc_body": {"distance": np.array(distances), "height": np.array(heights)}}
    return dataclasses.replace(run, record=record, arrays=arrays)


def drawn(run: Run) -> Any:
    (panel,) = error_curves._draw([run], Kec.curves[:1]).axes
    return panel


def test_the_number_in_the_legend_is_the_area_up_to_the_mark(plain: Run) -> None:
    distances = np.linspace(0.5, 60, 40).tolist()
    panel = drawn(with_heights(plain, distances, [256.0] * 40))
    (mark,) = [line for line in panel.lines if line.get_linestyle() == ":"]
    at = float(mark.get_xdata()[0])
    assert at == pytest.approx(12.8)
    solid = next(line for line in panel.lines if line.get_linestyle() == "-")
    area = np.interp(np.linspace(0, at, 20_000), *solid.get_data()).mean()
    (label,) = panel.get_legend().get_texts()
    told = float(label.get_text().partition("(")[2].rstrip(")"))
    assert told == pytest.approx(area, abs=0.01)
    # Up to the end of the axis it would be another number.
    assert np.interp(np.linspace(0, panel.get_xlim()[1], 999), *solid.get_data()).mean() > 3 * told
    assert [text.get_text() for text in panel.texts] == [r"α$_\mathrm{max}$ = 12.8 px"]
    assert "area up to α" in panel.get_legend().get_title().get_text()


def test_the_mark_is_a_band_for_targets_of_several_sizes_and_an_arrow_beyond_the_axis(plain: Run) -> None:
    several = drawn(with_heights(plain, [1.0, 2.0, 30.0, 70.0], [256.0, 512.0, 256.0, 256.0]))
    assert sorted(line.get_xdata()[0] for line in several.lines if line.get_linestyle() == ":") == [12.8, 25.6]
    assert "12.8–25.6 px" in several.texts[0].get_text()
    beyond = drawn(with_heights(plain, [1.0, 2.0], [256.0, 256.0]))
    assert not [line for line in beyond.lines if line.get_linestyle() == ":"]
    assert beyond.texts[0].get_text().endswith("12.8 px →")
    without = drawn(with_distances(plain, "one", [1.0], [], []))
    assert not list(without.texts)


def test_a_name_is_no_formula_of_a_figure(plain: Run) -> None:
    panel = drawn(with_distances(plain, "$\\nothing$ \x1b[31m", [1.0], [], []))
    panel.figure.savefig(io.BytesIO())
    assert panel.get_legend().get_texts()[0].get_text().startswith(r"\$\nothing\$ \u001b[31m (")


@pytest.mark.parametrize("ending", ["png", "svg", "pdf"])
def test_figures_are_written_in_each_format(plain: Run, tmp_path: Path, ending: str) -> None:
    runs = [
        with_distances(plain, "one", [1.0, 2.0, np.inf], [0.5], []),
        with_distances(plain, "two", [1.5, 4.0, 3.0], [0.7], [np.inf]),
    ]
    file = tmp_path / f"kec.{ending}"
    save_figure(plot_kec(runs), file)
    head = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}[ending]
    assert file.read_bytes().startswith(head)
    if ending == "png":
        assert np.asarray(Image.open(file).convert("L")).std() > 10


def test_a_part_that_was_not_measured_is_not_called_absent_in_the_targets(plain: Run, tmp_path: Path) -> None:
    save_figure(plot_kec([with_distances(plain, "one", [1.0], [], [])]), tmp_path / "kec.svg")
    # matplotlib writes glyphs as paths, and the text as a comment.
    text = (tmp_path / "kec.svg").read_text(encoding="utf-8")
    assert text.count("one (not measured)") == 2
    assert "no target" not in text


def test_a_curve_of_another_package_is_drawn_and_one_that_no_run_has_is_not(
    plain: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    curves = (Curve("feet", "feet", at_least=("kec_auc_body", 2)), Curve("tails", "tails"))
    found: Found[Protocol] = Found({"kec": Kec, "stranger": type("Stranger", (L1,), {"curves": curves})}, ())
    monkeypatch.setattr(error_curves, "find_protocols", lambda: found)
    run = dataclasses.replace(plain, arrays={"feet": {"distance": np.array([1.0, 2.0])}})
    save_figure(plot_kec([run]), tmp_path / "kec.svg")
    text = (tmp_path / "kec.svg").read_text(encoding="utf-8")
    assert "<!-- feet -->" in text
    for absent in ("tails", "body", "kec_auc"):
        assert absent not in text
    with pytest.raises(UserError, match="no error curves: run it with --protocols kec,stranger"):
        plot_kec([plain])


@pytest.mark.parametrize("ending", ENDINGS)
def test_the_same_figure_is_drawn_again_and_another_only_when_asked(plain: Run, tmp_path: Path, ending: str) -> None:
    one, other = ([with_distances(plain, "one", [1.0, far], [], [])] for far in (2.0, 3.0))
    file = tmp_path / f"kec.{ending}"
    save_figure(plot_kec(one), file)
    drawn = file.read_bytes()
    save_figure(plot_kec(one), file)
    with pytest.raises(UserError, match="--overwrite"):
        save_figure(plot_kec(other), file)
    assert file.read_bytes() == drawn
    save_figure(plot_kec(other), file, overwrite=True)
    assert file.read_bytes() != drawn


def test_what_cannot_be_drawn_is_one_sentence(plain: Run, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"\.png, \.svg or \.pdf"):
        save_figure(plot_kec([with_distances(plain, "one", [1.0], [1.0], [1.0])]), tmp_path / "kec.jpg")
    with pytest.raises(UserError, match="--protocols kec"):
        plot_kec([plain])
