"""Galleries of runs and what retrieval found: which pairs, whose pictures, in which frames."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_runs import made_run
from matplotlib.colors import to_hex
from PIL import Image
from toys import write_image

from fhpt_eval.errors import UserError
from fhpt_eval.evaluation.run import Run
from fhpt_eval.images.decoding import Rgb
from fhpt_eval.reporting.figures.gallery import Cell, draw_gallery, plot_gallery
from fhpt_eval.reporting.figures.pictures import choose_pairs, picture
from fhpt_eval.reporting.figures.style import RIGHT, WRONG
from fhpt_eval.reporting.figures.topk import plot_topk

NAN = np.nan
SSIM = [0.5, 0.9, 0.1, 0.7, NAN]


def run_of(folder: Path, name: str, values: Sequence[float] = SSIM) -> Run:
    """A run whose images are noise, each another."""
    run = made_run(name, {"ssim": values}, items=[f"g{i}" for i in range(len(values))])
    for seed, role in enumerate(("generated", "target", "source")):
        own = name if role == "generated" else role
        paths = [write_image(folder / own / f"{i}.png", 1000 * len(own) + 10 * i + seed, (88, 96)) for i in
                 range(len(values))]  # fmt: skip
        run.per_pair[role] = [str(path) for path in paths]
    return run


def pixels(path: str) -> Rgb:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def drawn(figure: Any) -> dict[str, list[Rgb]]:
    """The pictures of each column of a gallery, by its heading."""
    columns: dict[float, tuple[str, list[Rgb]]] = {}
    for panel in figure.axes:
        at = round(panel.get_position().x0, 6)
        columns.setdefault(at, (panel.get_title(), []))[1].append(panel.images[0].get_array())
    return dict(columns.values())


def captions(figure: Any) -> list[str]:
    return [text.get_text() for panel in figure.axes for text in panel.texts]


# Which pairs


@pytest.mark.parametrize(
    ("choice", "better", "chosen"),
    [
        ("worst", "higher", [2, 3, 1]),
        ("best", "higher", [0, 1, 3]),
        ("worst", "lower", [0, 1, 3]),
        ("best", "lower", [2, 3, 1]),
        ("median", "higher", [1, 3, 0]),
    ],
)
def test_pairs_are_chosen_by_the_mean_of_the_runs_that_have_a_value(
    choice: str, better: Any, chosen: list[int]
) -> None:
    # Means are 0.75, 0.6875, 0.1875 and 0.5. Pairs 1 and 3 are as near to their median, and the first comes first.
    runs = [np.array([0.5, 0.875, 0.125, 0.5, NAN]), np.array([1.0, 0.5, 0.25, NAN, NAN])]
    assert choose_pairs(runs, better, choice, 3) == chosen
    assert len(choose_pairs(runs, better, choice, 99)) == 4, "one without a value is never chosen"


def test_infinite_values_are_values() -> None:
    runs = [np.array([np.inf, 1, np.inf]), np.array([np.inf, 2, 3])]
    assert choose_pairs(runs, "higher", "worst", 1) == [1]
    assert choose_pairs(runs, "higher", "best", 1) == [0]
    assert choose_pairs(runs, "higher", "disputed", 9) == [2, 1]


def test_disputed_pairs_are_those_on_which_runs_differ_most() -> None:
    values = [np.array([0.5, 0.5, 0.5, NAN, NAN, 0.3]), np.array([0.4, 0.9, 0.5, 1.0, NAN, 0.3]),
              np.array([0.5, 0.5, 0.2, 0.0, 9.0, 0.3])]  # fmt: skip
    assert choose_pairs(values, "higher", "disputed", 9) == [3, 1, 2, 0]
    with pytest.raises(UserError, match="runs differ on no pair: choose another metric with --by"):
        choose_pairs([np.ones(3)] * 2, "higher", "disputed", 1)
    with pytest.raises(UserError, match="two runs or more"):
        choose_pairs(values[:1], "higher", "disputed", 1)


def test_what_cannot_be_chosen_is_one_sentence() -> None:
    with pytest.raises(UserError, match=r"--choose cannot be 'worse'\. Did you mean 'worst'\?"):
        choose_pairs([np.ones(3)], "higher", "worse", 1)
    for choice in ("worst", "best", "median"):
        with pytest.raises(UserError, match="no pair has a value"):
            choose_pairs([np.full(3, NAN)] * 2, "higher", choice, 1)


# Galleries


def test_a_gallery_has_the_chosen_pairs_of_every_run_to_the_pixel(tmp_path: Path) -> None:
    mine, other = run_of(tmp_path, "mine"), run_of(tmp_path, "other", [0.2, 0.3, 0.4, 0.5, 0.6])
    # Rows of another order are the same pairs.
    other = dataclasses.replace(other, per_pair=other.per_pair.iloc[::-1].reset_index(drop=True))
    figure = plot_gallery([mine, other], "ssim", choose="worst", count=2)
    columns = drawn(figure)
    assert list(columns) == ["source", "target", "mine", "other"]
    for heading, role, run in (("source", "source", mine), ("mine", "generated", mine), ("other", "generated", other)):
        paths = run.per_pair.set_index("pair")[role]
        for image, pair in zip(columns[heading], ("p2", "p0"), strict=True):
            np.testing.assert_array_equal(image, pixels(paths[pair]))
    assert [text for text in captions(figure) if text] == ["0.1000", "0.5000", "0.4000", "0.2000"]
    (note,) = figure.texts
    assert " ".join(note.get_text().split()) == "the 2 worst of 5 pairs, by the runs' mean ssim ↑"


def test_a_smaller_picture_stands_in_the_middle_and_a_missing_one_is_said() -> None:
    large, small = np.zeros((64, 40, 3), np.uint8), np.full((32, 20, 3), 9, np.uint8)
    figure = draw_gallery({"a": [Cell(large)], "b": [Cell(small)], "c": [Cell(None)]})
    columns = drawn(figure)
    assert {image.shape for images in columns.values() for image in images} == {(64, 40, 3)}
    np.testing.assert_array_equal(columns["b"][0][16:48, 10:30], small)
    assert (columns["b"][0][:16] == 255).all()
    assert captions(figure) == ["missing"]


def test_without_a_metric_the_first_headline_with_values_per_pair_is_taken(tmp_path: Path) -> None:
    run = run_of(tmp_path, "mine")
    assert plot_gallery([run], count=1).texts[0].get_text().replace("\n", " ").endswith("by ssim ↑")


def test_hostile_names_are_inert_and_a_run_may_be_called_target(tmp_path: Path) -> None:
    run = run_of(tmp_path, "mine")
    for name in ("$\\frac$\x1b[31m<script>", "target"):
        named = dataclasses.replace(run, record=run.record.model_copy(update={"name": name}))
        figure = plot_gallery([named], count=1)
        figure.savefig(io.BytesIO())
        assert len(drawn(figure)) == 3
        assert all(panel.get_title().isprintable() for panel in figure.axes)


def test_what_a_gallery_cannot_show_is_one_sentence(tmp_path: Path) -> None:
    run = run_of(tmp_path, "mine")
    with pytest.raises(UserError, match=r"metric 'sim' is not in any run\. Did you mean 'ssim'\?"):
        plot_gallery([run], "sim")
    whole = made_run("mine", {"ssim": SSIM, "fid": 3.0})
    with pytest.raises(UserError, match="--by fid: some run has no value of it for each pair"):
        plot_gallery([whole], "fid")
    Path(run.per_pair["target"][2]).unlink()
    with pytest.raises(UserError, match=r"target/2\.png is not there: the run 'mine' was made of it"):
        plot_gallery([run], choose="worst")
    (tmp_path / "source" / "1.png").write_bytes(b"torn")
    with pytest.raises(UserError, match=r"source/1\.png cannot be read"):
        plot_gallery([run], choose="best", count=1)


def test_the_pictures_of_a_strip_are_cut_from_it(tmp_path: Path) -> None:
    strip = np.arange(5, dtype=np.uint8).repeat(10)[None, :, None].repeat(20, 0).repeat(3, 2) * 50
    Image.fromarray(strip).save(tmp_path / "strip.png")
    run = run_of(tmp_path, "mine")
    run.per_pair[["generated", "target", "source"]] = str(tmp_path / "strip.png")
    record = run.record.model_copy(update={"pairs": run.record.pairs.model_copy(update={"naming": "patn-strip"})})
    run = dataclasses.replace(run, record=record)
    found = {role: picture(run, 0, role) for role in ("source", "target", "generated")}
    assert {role: int(image[0, 0, 0]) for role, image in found.items() if image is not None} == {
        "source": 0, "target": 100, "generated": 200,
    }  # fmt: skip
    run.per_pair["target"] = str(write_image(tmp_path / "own.png", 5))
    own = picture(run, 0, "target")
    assert own is not None
    np.testing.assert_array_equal(own, pixels(str(tmp_path / "own.png")))


# What retrieval found


def with_ranking(run: Run, nearest: Any, relevant: Any, metric: str = "ssim") -> Run:
    arrays = {"nearest": np.array(nearest, np.int32), "relevant": np.array(relevant, bool)}
    return dataclasses.replace(run, arrays={**run.arrays, metric: arrays})


NEAREST = [[3, 1, 0], [1, 2, -1], [0, 1, 2], [2, 3, 1], [-1, -1, -1]]
RELEVANT = [[0, 0, 1], [1, 0, 0], [0, 0, 0], [0, 1, 0], [0, 0, 0]]


def test_the_nearest_sources_stand_in_order_in_frames_that_say_which_are_right(tmp_path: Path) -> None:
    run = with_ranking(run_of(tmp_path, "mine"), NEAREST, RELEVANT)
    figure = plot_topk([run], choose="best", count=2)
    columns = drawn(figure)
    assert list(columns) == ["query", "1", "2", "3"]
    paths = run.per_pair["source"]
    # The first right answers of pairs 1 and 3 come first and second.
    for rank, rows in (("1", (1, 2)), ("2", (2, 3))):
        for image, row in zip(columns[rank], rows, strict=True):
            np.testing.assert_array_equal(image, pixels(paths[row]))
    frames = [(panel.get_title(), patch) for panel in figure.axes for patch in panel.patches]
    assert len(frames) == 5, "the queries have none, nor what is not there"
    signs = {text.get_text(): to_hex(text.get_color()).upper() for panel in figure.axes for text in panel.texts}
    assert signs == {"✓": RIGHT, "×": WRONG}
    styles = {to_hex(patch.get_edgecolor()).upper(): patch.get_linestyle() for _, patch in frames}
    assert styles[RIGHT] == "solid"
    assert styles[WRONG] != "solid"


def test_of_several_runs_each_has_a_row_with_its_name(tmp_path: Path) -> None:
    mine = with_ranking(run_of(tmp_path, "mine"), NEAREST, RELEVANT)
    other = with_ranking(run_of(tmp_path, "other"), NEAREST, np.roll(RELEVANT, 1, axis=0))
    figure = plot_topk([mine, other], choose="disputed", count=1)
    # Ranks of the first right answer: 3 1 – 2 and, of the other, – 3 1 –: they differ most on pair 2.
    query = drawn(figure)["query"]
    assert len(query) == 2
    assert [text for text in captions(figure) if text in {"mine", "other"}] == ["mine", "other"]
    np.testing.assert_array_equal(query[0], pixels(mine.per_pair["generated"][2]))
    np.testing.assert_array_equal(query[1], pixels(other.per_pair["generated"][2]))


def test_a_run_without_rankings_is_to_be_run_again(tmp_path: Path) -> None:
    plain, kept = run_of(tmp_path, "plain"), with_ranking(run_of(tmp_path, "kept"), NEAREST, RELEVANT)
    with pytest.raises(UserError, match=r"plain keeps no ranking: run it again with --protocols retrieval\."):
        plot_topk([kept, plain])
    with pytest.raises(UserError, match=r"--by recall@3: its ranking is not kept by every run; kept: ssim\."):
        plot_topk([kept], "recall@3")
