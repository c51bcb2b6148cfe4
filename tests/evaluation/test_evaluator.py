"""Arrays that are fed batch by batch give what the same images give as files."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from arrays import NAMES, assert_same_numbers, drawn, written

from fhpt_eval import Evaluator, Pairs, UserError, evaluate
from fhpt_eval.evaluation.run import Run

pytestmark = pytest.mark.usefixtures("temporary")


@pytest.fixture
def evaluator() -> Iterator[Evaluator]:
    with Evaluator(["ssim", "l1"]) as made:
        yield made


def test_arrays_give_what_files_give_to_the_bit() -> None:
    generated, target, source = drawn(1), drawn(2), drawn(3)
    for folder, images in (("g", generated), ("t", target), ("s", source)):
        written(folder, dict(zip(NAMES, images, strict=True)))
    protocols = ["ssim", "psnr", "l1", "fid", "kid", "is", "lpips", "retrieval"]
    files = evaluate(Pairs.from_folders("g", "t", "s", naming="same-name"), protocols, profile="embedded")
    with Evaluator(protocols, profile="embedded") as evaluator:
        # In any order, of NumPy and of torch, one and several.
        evaluator.update(torch.tensor(generated[3:]), torch.tensor(target[3:]), source[3:], names=NAMES[3:])
        evaluator.update(generated[0], target[0], source[0], names=NAMES[:1])
        evaluator.update(list(generated[1:3]), target[1:3], source[1:3], names=tuple(NAMES[1:3]))
        assert len(evaluator) == 5
        run = evaluator.compute()
    assert all(score.value is not None for score in run.scores.values())
    assert_same_numbers(files, run)
    assert list(run.per_pair["target"]) == NAMES


def test_a_list_of_pairs_with_shared_pictures_gives_the_same_too() -> None:
    generated, target, source = drawn(1, 6), drawn(2, 3)[[2, 0, 1, 0, 2, 1]], drawn(3, 2)[[0, 1, 0, 0, 1, 1]]
    names = [f"{i}.png" for i in range(6)]
    target_names = [f"t{i}.png" for i in (2, 0, 1, 0, 2, 1)]
    source_names = [f"s{i}.png" for i in (0, 1, 0, 0, 1, 1)]
    about = {
        "items": [*"xxyyzz"],
        "genders": ["man", "F", "", "MEN", "women", "m"],
        "views": ["front", "6-flat", *"abcd"],
    }
    written("g", dict(zip(names, generated, strict=True)))
    written("t", dict(zip(target_names, target, strict=True)))
    written("s", dict(zip(source_names, source, strict=True)))
    listed = {"generated": names, "target": target_names, "source": source_names}
    rows = {"item": about["items"], "gender": about["genders"], "view": about["views"]}
    pd.DataFrame(listed | rows).to_csv("list.csv", index=False)
    protocols = ["ssim", "fid", "kid", "retrieval"]
    files = evaluate(Pairs.from_csv("list.csv", "g", "t", "s"), protocols, profile="embedded")
    with Evaluator(protocols, profile="embedded") as evaluator:
        evaluator.update(
            generated, target, source, names=names, target_names=target_names, source_names=source_names, **about
        )
        run = evaluator.compute()
        assert_same_numbers(files, run)
        assert run.scores["fd_efficientnet_lite0"].details["reference_n"] == 3
        # Without names, equal pixels are one picture.
        evaluator.reset()
        evaluator.update(generated[:4], target[:4], source[:4], names=names[:4])
        evaluator.update(generated[4:], target[4:], source[4:], names=names[4:])
        again = evaluator.compute()
    assert again.scores["fd_efficientnet_lite0"].details["reference_n"] == 3
    value = run.scores["fd_efficientnet_lite0"].value
    assert again.scores["fd_efficientnet_lite0"].value == pytest.approx(value, rel=1e-9)


def test_names_of_deepfashion_tell_what_they_tell_as_files(evaluator: Evaluator) -> None:
    target = "fashionWOMENTees_Tanksid0000762403_1front.jpg"
    evaluator.update(drawn(1, 1), drawn(2, 1), names=["x.png"], target_names=[target])
    (pair,) = evaluator.compute().per_pair.to_dict("records")
    assert (pair["item"], pair["gender"], pair["view"]) == ("WOMEN/Tees_Tanks/id_00007624", "WOMEN", "front")


def test_it_counts_on_and_starts_again(evaluator: Evaluator, temporary: Path) -> None:
    evaluator.update(drawn(1), drawn(2))
    assert evaluator.compute().scores["ssim"].n == 5
    evaluator.update(drawn(3), drawn(4))
    run = evaluator.compute()
    assert run.scores["ssim"].n == 10
    assert list(run.per_pair["pair"]) == [f"{i:06}" for i in range(10)]
    evaluator.reset()
    assert len(evaluator) == 0
    assert [*next(temporary.iterdir()).iterdir()] == []
    evaluator.update(drawn(5))
    # Without targets nothing can be compared, which is said as of files.
    assert {p.status for p in evaluator.compute().record.protocols} == {"unavailable"}


def test_a_run_is_saved_and_read_as_any_other(evaluator: Evaluator) -> None:
    evaluator.update(drawn(1), drawn(2))
    run = evaluator.compute()
    run.save("out")
    assert Run.load("out").record == run.record
    assert run.record.command is None


@pytest.mark.parametrize(
    ("generated", "sentence"),
    [
        (np.zeros((2, 8, 8, 3), np.float32), r"float32, and their range cannot be told: .* \(\(x \+ 1\) \* 127.5\)"),
        (torch.zeros((2, 8, 8, 3)), r"generated images are float32"),
        (np.zeros((2, 8, 8, 3), np.int64), r"are int64: give uint8"),
        (np.zeros((2, 3, 8, 8), np.uint8), r"of the shape 2×3×8×8 are not .*permute\(0, 2, 3, 1\)"),
        (np.zeros((8, 8), np.uint8), r"of the shape 8×8 are not N×H×W×3, nor H×W×3\."),
        (np.zeros((0, 8, 8, 3), np.uint8), r"of the shape 0×8×8×3"),
        ("images", r"are .*: give uint8"),
    ],
)
def test_what_is_no_batch_of_images_is_refused(evaluator: Evaluator, generated: Any, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        evaluator.update(generated, np.zeros((2, 8, 8, 3), np.uint8))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"names": ["a", "a"]}, "names: 'a' is there already: give each generated image a name of its own"),
        ({"names": ["a.png", "a.jpg"]}, "names: 'a.jpg' is there already"),
        ({"names": ["old", "b"]}, "names: 'old' is there already"),
        ({"names": ["a", "b\x1b[31m"]}, r"names: 'b\\u001b\[31m' is no printable text"),
        ({"names": ["a", ""]}, "names: a name is empty"),
        ({"names": ["a", 3]}, "names: '3' is no printable text"),
        ({"names": ["a"]}, "names: one for each of the 2 generated images is expected"),
        ({"names": "ab"}, "names: one for each of the 2"),
        ({"target_names": ["t", "t"]}, "target_names: 't' is the name of two different pictures"),
        ({"genders": ["MEN", "cat"]}, "genders: 'cat' is not known"),
        ({"source": drawn(3, 2)}, r"give images of generated and target in every update, or .* reset\(\)"),
        ({"target": drawn(3, 3)}, "target: one for each of the 2"),
        ({"target": None}, "give images of generated and target in every update"),
    ],
)
def test_what_does_not_fit_is_refused_and_nothing_of_it_is_taken(
    evaluator: Evaluator, options: dict[str, Any], sentence: str
) -> None:
    evaluator.update(drawn(7, 1), drawn(8, 1), names=["old"])
    before = evaluator.compute()
    with pytest.raises(UserError, match=sentence):
        evaluator.update(**{"generated": drawn(1, 2), "target": drawn(2, 2), **options})
    assert_same_numbers(evaluator.compute(), before)
    evaluator.update(drawn(1, 2), drawn(2, 2), names=["a", "b"])
    assert len(evaluator) == 3


def test_a_pair_of_one_source_and_one_target_counts_once(evaluator: Evaluator) -> None:
    both = {"target_names": ["t.png"], "source_names": ["s.png"]}
    evaluator.update(drawn(1, 1), drawn(2, 1), drawn(3, 1), names=["a"], **both)
    with pytest.raises(UserError, match="the pair 's__t' of 'b' is there already: a source and a target make one pair"):
        evaluator.update(drawn(4, 1), drawn(2, 1), drawn(3, 1), names=["b"], **both)


def test_nothing_to_score_and_a_closed_evaluator_are_one_sentence(evaluator: Evaluator, temporary: Path) -> None:
    with pytest.raises(UserError, match=r"no images to score: feed some with update\(\)"):
        evaluator.compute()
    evaluator.close()
    assert [*temporary.iterdir()] == []
    evaluator.close()
    with pytest.raises(UserError, match="closed"):
        evaluator.update(drawn(1))


def test_a_disk_that_is_full_is_one_sentence(evaluator: Evaluator, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, data: bytes) -> int:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(UserError, match=r"No space left on device\): name a folder with room by TMPDIR"):
        evaluator.update(drawn(1))


def test_what_is_forgotten_leaves_nothing(temporary: Path) -> None:
    Evaluator(["ssim"]).update(drawn(1))
    assert [*temporary.iterdir()] == []


def test_the_loop_of_the_page_runs(capsys: pytest.CaptureFixture[str]) -> None:
    page = Path(__file__).resolve().parents[2] / "docs" / "training_loop.md"
    code, *_ = re.findall("```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    batches = [torch.rand((3, 2, 3, 64, 48), generator=torch.manual_seed(seed)) * 2 - 1 for seed in range(2)]
    loader = [(source, target, None) for source, target, _ in batches]
    exec(code, {"torch": torch, "loader": loader, "model": lambda source, pose: source})  # noqa: S102 - our own page
    first, second = capsys.readouterr().out.splitlines()
    assert first.removeprefix("0") == second.removeprefix("1")
    assert float(first.split()[1]) == pytest.approx(0, abs=0.1)


KILLED = """
import os, signal, numpy as np
from fhpt_eval import Evaluator
evaluator = Evaluator(["l1"])
images = np.zeros((2, 8, 8, 3), np.uint8)
evaluator.update(images, images)
evaluator.compute()
if (child := os.fork()) == 0:
    raise SystemExit  # as a data loader's worker might
os.waitpid(child, 0)
assert len(evaluator) == 2 and evaluator.compute().scores["l1"].value == 0
print("ready", flush=True)
END
"""


@pytest.mark.parametrize("end", ["os.kill(os.getpid(), signal.SIGKILL)", "raise SystemExit"])
def test_a_process_that_ends_leaves_nothing_in_the_users_folders(own_folders: Path, temporary: Path, end: str) -> None:
    home = own_folders / "work"
    home.mkdir()
    done = subprocess.run(  # noqa: S603 - our own script
        [sys.executable, "-c", KILLED.replace("END", end)],
        cwd=home,
        env={**os.environ, "TMPDIR": str(temporary), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "ready" in done.stdout, done.stderr
    assert done.returncode == (-signal.SIGKILL if "kill" in end else 0)
    assert [*home.iterdir()] == []
    assert len([*temporary.iterdir()]) == ("kill" in end)
