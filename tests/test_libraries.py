"""Libraries that cannot be loaded: the sentence for each, and what still runs without it."""

from __future__ import annotations

import configparser
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from packaging.requirements import Requirement

from fhpt_eval import libraries, sample
from fhpt_eval.errors import Unavailable

ROOT = Path(__file__).resolve().parents[1]
NEEDED_BY = {
    "cv2": {"ssim", "psnr", "l1"},
    "dlib": {"face_identity"},
    "mediapipe": {"kec", "pckh"},
    "torch": {"fid", "kid", "is", "lpips", "retrieval", "gender"},
    "faiss": {"retrieval"},
}
"""Which protocols of the profile `embedded` cannot run without a library."""

WHY = "libGL.so.1: cannot open shared object file"


@pytest.fixture(autouse=True)
def _nothing_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(libraries, "_told", {})


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four front views of the sample in one folder, and beside it a list in which each is paired with itself."""
    folder = tmp_path_factory.mktemp("people")
    rows = ["generated,target,source,item,gender"]
    for index, path in enumerate(sorted((sample.SAMPLE / sample.IMAGES).rglob("*_1_front.jpg"))[:4]):
        shutil.copy(path, folder / f"{index}.jpg")
        rows.append(f"{index}.jpg,{index}.jpg,{index}.jpg,item{index},{path.parts[-4]}")
    (folder / "pairs.csv").write_text("\n".join(rows), encoding="utf-8")
    return folder


def fhpt_eval_without(module: str, cwd: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own, where importing a module fails as it does for a missing library."""
    broken = cwd / "broken" / module
    broken.mkdir(parents=True)
    (broken / "__init__.py").write_text(f"raise OSError({WHY!r})\n", encoding="utf-8")
    environment = {
        **os.environ,
        "PYTHONPATH": str(broken.parent),
        "FHPT_EVAL_CACHE": str(cwd / "cache"),
        "FHPT_EVAL_OFFLINE": "1",
    }
    return subprocess.run(  # noqa: S603
        [sys.executable, "-m", "fhpt_eval", *map(str, arguments)],
        cwd=cwd, env=environment, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("module", NEEDED_BY)
def test_what_needs_a_broken_library_says_so_and_the_rest_runs(module: str, people: Path, tmp_path: Path) -> None:
    roles = [argument for role in ("generated", "target", "source") for argument in (f"--{role}", people)]
    how = ("--pairs", people / "pairs.csv", "--profile", "embedded", "--set", "is.splits=1", "-o", "out", "--json")
    done = fhpt_eval_without(module, tmp_path, "run", *roles, *how)
    assert done.returncode == 3, done.stderr
    assert "bug" not in done.stderr
    assert "Traceback" not in done.stderr
    protocols = {p["name"]: p for p in json.loads(done.stdout)["protocols"]}
    lost = {name for name, protocol in protocols.items() if protocol["status"] != "done"}
    assert lost == NEEDED_BY[module]
    for name in lost:
        assert protocols[name]["status"] == "unavailable"
        assert f"{module} cannot be loaded ({WHY}): install it again with pip " in protocols[name]["reason"]
        assert protocols[name]["reason"] in done.stderr


@pytest.mark.parametrize("module", NEEDED_BY)
def test_doctor_names_a_broken_library_and_what_brings_it(module: str, tmp_path: Path) -> None:
    done = fhpt_eval_without(module, tmp_path, "doctor", "--json")
    assert done.returncode == 3, done.stderr
    todo = json.loads(done.stdout)["todo"]
    assert [line for line in todo if f"{module} cannot be loaded ({WHY})" in line]


@pytest.mark.parametrize("module", ["cv2", "torch"])
def test_a_command_that_cannot_do_without_it_says_one_sentence(module: str, people: Path, tmp_path: Path) -> None:
    (tmp_path / "pairs.csv").write_text("from,to\n0.jpg,1.jpg\n", encoding="utf-8")
    done = fhpt_eval_without(
        module, tmp_path, "generate", "drn", "--pairs", "pairs.csv", "-s", people, "-t", people, "-o", "images", "-q"
    )
    assert done.returncode == 2, done.stderr
    (line,) = done.stderr.splitlines()
    assert f"{module} cannot be loaded ({WHY})" in line


def test_the_library_that_failed_is_blamed_and_not_the_one_that_imports_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in {"mediapipe": "import cv2", "cv2": "def start(): import gone\nstart()"}.items():
        monkeypatch.delitem(sys.modules, name, raising=False)
        (tmp_path / f"{name}.py").write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    sentence = libraries.load_error("mediapipe")
    assert sentence is not None
    assert sentence.startswith("cv2 cannot be loaded (No module named 'gone'): install it again with pip ")
    assert "opencv-contrib-python-headless" in sentence
    # Tried again, native libraries and what imports them give reasons that lead astray: the first one stays.
    (tmp_path / "cv2.py").write_text("raise ImportError('recursion is detected')", encoding="utf-8")
    (tmp_path / "mediapipe.py").write_text("modules", encoding="utf-8")
    assert libraries.load_error("cv2") == sentence
    assert libraries.load_error("mediapipe") == sentence


def test_other_errors_stay_what_they_are() -> None:
    with pytest.raises(ValueError, match="could not be broadcast") as caught:
        np.zeros(2) + np.zeros(3)
    assert libraries.explained(caught.value) is caught.value
    assert not isinstance(libraries.explained(ImportError("no", name="a_plugin")), Unavailable)


def test_versions_are_those_of_what_is_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    import cv2

    monkeypatch.setattr(cv2, "__version__", "4.99")
    assert libraries.version("opencv") == "4.99"
    assert libraries.version("no-such-distribution") is None
    monkeypatch.setitem(sys.modules, "cv2", None)
    assert libraries.version("opencv") is None


def test_remedies_have_the_bounds_of_the_requirements() -> None:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    lists = [config["options"]["install_requires"], *config["options.extras_require"].values()]
    required = {Requirement(line) for each in lists for line in each.splitlines() if line and line[0] != "#"}
    for distributions in libraries._DISTRIBUTIONS.values():
        remedies = libraries._requirements(distributions).split("' '")
        assert {Requirement(remedy.strip("'")) for remedy in remedies} <= required
