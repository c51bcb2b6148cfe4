"""From Python: paths may be text everywhere, and a run prints as a table."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import fhpt_eval
from fhpt_eval.datasets.deepfashion import prepare_deepfashion
from fhpt_eval.demo import run_demo
from fhpt_eval.engine.cache import Cache
from fhpt_eval.engine.cache_place import clear
from fhpt_eval.errors import UserError
from fhpt_eval.evaluation.run import Run
from fhpt_eval.extract.weights import Store, add, verify
from fhpt_eval.files.given import GivenFile
from fhpt_eval.generation.generate import Generation, holds_another, list_requests
from fhpt_eval.images.decoding import ImageRef
from fhpt_eval.measuring.dialects import dialect_named, read_dialect
from fhpt_eval.pairing.pairs import Pairs, list_images
from fhpt_eval.people.keypoint_files import KeypointFiles
from fhpt_eval.reference_models.drn.command import DrnPlan
from fhpt_eval.reference_models.drn.model import Drn
from fhpt_eval.reporting.figures.style import save_figure
from fhpt_eval.synthetic.dataset import make
from fhpt_eval.synthetic.dataset_folder import read_truth
from fhpt_eval.training.classifier import train_gender

if TYPE_CHECKING:
    from conftest import Draw

TAKE_PATHS: tuple[Callable[..., Any], ...] = (
    *(Pairs.from_folders, Pairs.from_csv, list_images, fhpt_eval.evaluate, Run.load, Run.save, Cache, clear, verify),
    *(add, GivenFile.at, KeypointFiles.at, dialect_named, read_dialect, list_requests, Generation, holds_another),
    *(save_figure, run_demo, prepare_deepfashion, make, read_truth, train_gender),
)


@pytest.mark.parametrize("function", TAKE_PATHS, ids=lambda f: f.__qualname__)
def test_where_a_path_is_taken_its_text_is_too(function: Callable[..., Any]) -> None:
    called = function.__init__ if inspect.isclass(function) else function
    annotations = {name: str(note) for name, note in called.__annotations__.items() if name != "return"}
    paths = {name: note for name, note in annotations.items() if "Path" in note.replace("KeypointFiles", "")}
    assert paths
    assert {name for name, note in paths.items() if "str" not in note} == set()


def test_an_evaluation_with_text_for_paths_gives_what_paths_give(draw: Draw, own_folders: Path) -> None:
    draw("mine", seed=1)
    draw("real", seed=2)
    draw("train", seed=3)
    Path("pairs.csv").write_text(
        "generated,target\n" + "".join(f"{n}.png,{n}.png\n" for n in "abcde"), encoding="utf-8"
    )
    by_text, by_path = Pairs.from_folders("mine", "real"), Pairs.from_folders(Path("mine"), Path("real"))
    assert by_text == by_path
    assert Pairs.from_csv("pairs.csv", "mine", "real") == Pairs.from_csv(Path("pairs.csv"), Path("mine"), Path("real"))
    assert list_images("train") == list_images(Path("train"))
    assert ImageRef("mine/a.png") == ImageRef(Path("mine/a.png"))  # type: ignore[arg-type]
    run = fhpt_eval.evaluate(by_text, ["ssim"], output="out")
    assert run.scores == fhpt_eval.evaluate(by_path, ["ssim"], output=Path("out")).scores
    run.save("deep/er")
    assert Run.load("deep/er").record == run.record
    assert Store("weights").target == Path("weights")
    assert Drn(checkpoint="somewhere").checkpoint == Path("somewhere")  # type: ignore[arg-type]
    plan = DrnPlan(pairs="p", source="s", target="t", output="o", start="a")  # type: ignore[arg-type]
    assert (plan.pairs, plan.output, plan.start, plan.transfer) == (Path("p"), Path("o"), Path("a"), None)


def test_what_is_given_by_its_path_is_what_is_read_from_it(draw: Draw, own_folders: Path) -> None:
    draw("mine", seed=1)
    draw("real", seed=2)
    draw("train", seed=3)
    pairs = Pairs.from_folders("mine", "real")
    embedded: dict[str, Any] = {"profile": "embedded"}
    by_path = fhpt_eval.evaluate(pairs, ["fid"], reference="train", **embedded)
    assert by_path.scores == fhpt_eval.evaluate(pairs, ["fid"], reference=list_images("train"), **embedded).scores
    with pytest.raises(UserError, match=r"keypoints\.csv"):
        fhpt_eval.evaluate(pairs, ["pckh"], target_keypoints="keypoints.csv")
    with pytest.raises(UserError, match=r"gender\.safetensors"):
        fhpt_eval.evaluate(pairs, ["gender"], gender_classifier="gender.safetensors")


def test_a_run_prints_as_a_short_table(draw: Draw, own_folders: Path) -> None:
    draw("mine", seed=1)
    draw("real", seed=2)
    run = fhpt_eval.evaluate(Pairs.from_folders("mine", "real"), ["ssim", "fid"], name="ours")
    first, heading, score, absent = repr(run).splitlines()
    assert first == "Run 'ours': 5 pairs, profile paper"
    assert heading.split() == ["metric", "value", "95", "%", "interval", "n", "missing"]
    low, high = run.scores["ssim"].interval or (np.nan, np.nan)
    value = run.scores["ssim"].value
    assert score.split() == ["ssim", "↑", f"{value:.4f}", f"{low:.4f}", "…", f"{high:.4f}", "5"]
    assert absent.startswith("fid: ")
    assert len(repr(run)) < 1000


def test_one_protocol_may_be_named_alone(draw: Draw, own_folders: Path) -> None:
    draw("mine", seed=1)
    draw("real", seed=2)
    assert list(fhpt_eval.evaluate(Pairs.from_folders("mine", "real"), "ssim").scores) == ["ssim"]


def test_a_name_does_nothing_to_the_terminal_it_is_printed_on(draw: Draw, own_folders: Path) -> None:
    draw("mine", seed=1)
    draw("real", seed=2)
    run = fhpt_eval.evaluate(Pairs.from_folders("mine", "real"), ["ssim"], name="\x1b[31mours\n")
    assert repr(run).splitlines()[0] == r"Run '\u001b[31mours\u000a': 5 pairs, profile paper"
