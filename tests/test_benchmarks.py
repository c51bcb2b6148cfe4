"""The benchmarks in small: that they run, go on, and put numbers where they belong. No time is tested."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import cluster as cluster_benchmark
import million
import numpy as np
import pytest
from beside import figures, page
from beside.images import make
from on_device import files
from PIL import Image

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"
HIDDEN = ("mediapipe", "dlib", "face_recognition", "faiss", "matplotlib", "tensorboard", "psutil")
"""What the machine with a GPU lacks."""


def row(part: str, who: str, wall: float, stage: str = "cold", **about: Any) -> dict[str, Any]:
    usual = {"count": 100, "size": "256x176", "repeat": 0, "cpu": 2 * wall, "peak_mb": 100.0, "numbers": {}}
    return {"part": part, "stage": stage, "who": who, "wall": wall, **usual, **about}


def run(*args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *args], capture_output=True, text=True, timeout=300, check=False)  # noqa: S603


@pytest.mark.slow
def test_ours_is_measured_beside_the_peers_and_goes_on_where_it_was(tmp_path: Path) -> None:
    written = tmp_path / "page.md"
    written.write_text(f"above\n{page.BEGIN}\nold\n{page.END}\nbelow\n", encoding="utf-8")
    options = ["--count", "3", "--sizes", "64x48", "--repeats", "1", "--parts", "ssim", "--device", "cpu"]
    asked = [str(BENCHMARKS / "side_by_side.py"), *options, "--output", str(tmp_path / "out"), "--page", str(written)]
    done = run(*asked)
    text = written.read_text(encoding="utf-8")
    assert done.returncode in {0, 3}, done.stderr
    # Where the extra `benchmark` is not installed, piq is named.
    assert (done.returncode == 3) == ("not measured: piq" in text)
    (line,) = [line for line in text.splitlines() if "| scikit-image |" in line]
    gaps = [float(gap) for gap in line.split("|")[-2].split()[1::2] for gap in [gap.rstrip(",")]]
    assert len(gaps) == 2
    assert max(gaps) < 1e-12
    assert text.startswith("above")
    assert text.endswith("below\n")
    assert "old" not in text
    assert (tmp_path / "performance_ratios.png").stat().st_size > 5000
    before = (tmp_path / "out" / "measurements.jsonl").read_text(encoding="utf-8")
    assert run(*asked).stdout.count("0 of") == 1
    assert (tmp_path / "out" / "measurements.jsonl").read_text(encoding="utf-8") == before


def test_medians_ratios_and_sums_are_what_was_measured() -> None:
    rows = [row("lpips", "fhpt-eval", wall, repeat=i, numbers={"lpips": 0.5}) for i, wall in enumerate((1, 9, 2))]
    rows += [row("lpips", "lpips", wall, repeat=i, numbers={"lpips": 0.4}) for i, wall in enumerate((4, 8, 6))]
    (line,) = page.lines(rows)
    assert line.ratio == 3
    assert line.differs == "lpips 2e-1"
    # What was measured again after a failure counts once.
    (line,) = page.lines([*rows, row("lpips", "lpips", 5, repeat=2)])
    assert line.ratio == 2.5


def test_the_peers_in_sequence_are_there_only_where_all_are() -> None:
    peers = [
        *(("fid_kid_is", "torch-fidelity"), ("lpips", "lpips"), ("ssim", "scikit-image")),
        *(("face_identity", "face_recognition loop"), ("kec", "MediaPipe Holistic loop")),
        ("retrieval", "NumPy and torchvision"),
    ]
    rows = [row(part, who, 10) for part, who in peers]
    stages = {"cold": 20, "second method": 10, "repeated": 1}
    rows += [row("suite", "fhpt-eval", wall, stage) for stage, wall in stages.items()]
    assert [line.ratio for line in page.lines(rows)] == [3, 6, 60]
    assert page.lines(rows[1:]) == []


def test_what_has_no_number_is_told() -> None:
    assert page.difference({"a": None}, {"a": 1.0}, None) == "a: none against 1.0"
    assert page.difference({"a": 1.0}, {"a": 1.0}, "why") == "a 0 (why)"
    assert page.difference({"a": 1.0}, {}, "why") == ""


def test_the_slope_of_a_line_is_its_power() -> None:
    rows = []
    for count in (10, 100, 1000):
        rows += [row(p, who, count**1.5 / 6, count=count) for p, who in (("ssim", "scikit-image"),)]
        rows.append(row("pixels", "fhpt-eval", count**0.5, count=count))
    figure = figures.growth(page.lines(rows))
    assert figure is not None
    legend = figure.axes[0].get_legend()
    assert legend is not None
    told = [text.get_text() for text in legend.get_texts()]
    assert told == ["ours (slope 0.50)", "scikit-image (slope 1.50)"]


def test_all_files_differ_and_targets_stand_in_several_pairs(tmp_path: Path) -> None:
    images = make(tmp_path, 6, (32, 24))
    names = [images.generated(1), images.generated(2), images.sources]
    contents = [path.read_bytes() for folder in names for path in folder.iterdir()]
    assert len(contents) == len(set(contents)) == 6 + 6 + 3
    assert len({path.read_bytes() for path in images.targets.iterdir()}) == 3
    assert len(list(images.targets.iterdir())) == 6
    with Image.open(images.sources / "000000.jpg") as image:
        assert image.size == (24, 32)


@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_files_with_a_comment_show_the_same_picture(suffix: str, tmp_path: Path) -> None:
    people = 144
    first, *_, last = files.write(tmp_path, suffix, people + 1)
    assert first.read_bytes() != last.read_bytes()
    with Image.open(first) as a, Image.open(last) as b:
        assert a.size == (176, 256)
        assert np.array_equal(np.asarray(a), np.asarray(b))


def test_what_an_image_more_takes_is_told_by_numbers_of_images() -> None:
    def of_each(clock: float, core: float, memory: int) -> million.Meter:
        stages = million.STAGES
        return million.Meter(dict.fromkeys(stages, clock), dict.fromkeys(stages, core), dict.fromkeys(stages, memory))

    few = of_each(0.5, 0.25, 2_000_000)
    many = of_each(6.0, 3.0, 8_000_000)
    *_, one, other = million.table({1000: few, 4000: many}).splitlines()
    assert one.split(" | ")[6:8] == ["0.5", "500"]
    assert one.endswith("| – |")
    assert other == "| 4,000 | 6.0 | 6.0 | 6.0 | 6.0 | 6.0 | 6.0 | 1500 | 8 | 8 | 8 | 8 | 8 | 2,000 |"


@pytest.mark.slow
def test_all_beside_decoding_is_measured_by_numbers_of_images(tmp_path: Path) -> None:
    options = ["--images", "40", "60", "--protocols", "ssim", "fid", "--folder", str(tmp_path)]
    done = run(str(BENCHMARKS / "million.py"), *options)
    assert done.returncode == 0, done.stderr
    assert [line.split(" | ")[0] for line in done.stdout.splitlines()[-2:]] == ["| 40", "| 60"]
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_the_pipeline_is_measured_where_detectors_and_figures_are_missing(tmp_path: Path) -> None:
    script = f"""
import sys
from pathlib import Path
sys.path.insert(0, {str(BENCHMARKS)!r})
sys.modules.update(dict.fromkeys({HIDDEN!r}))
from on_device import drn, files, given, loops, mathematics, pipeline
asked = given.Given(Path({str(tmp_path)!r}), "cpu", 0.01)
jpg = files.write(asked.folder / "jpg", "jpg", 24)
name = "EfficientNet-Lite0"
network = pipeline.NETWORKS[name]
alone = pipeline.forward(asked, name, network)
pipeline.engine(asked, name, network, jpg, jpg, alone)
pipeline.exactness(asked, name, network, jpg)
"""
    done = run("-c", script)
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line.removeprefix("ROW ")) for line in done.stdout.splitlines()]
    found = {what: value for what, value, *_ in rows}
    assert float(found["EfficientNet-Lite0: off from the CPU, float32"]) == 0
    assert found["EfficientNet-Lite0: engine, JPEG, float32, 16 images"]
    assert not [value for value in found.values() if str(value).startswith("failed")]


@pytest.mark.slow
def test_a_part_that_takes_longer_than_its_limit_is_stopped_and_named(tmp_path: Path) -> None:
    options = ["--device", "cpu", "--parts", "mathematics", "--slower", "0.06", "--folder", str(tmp_path)]
    done = run(str(BENCHMARKS / "gpu.py"), *options)
    assert done.returncode == 0, done.stderr
    assert "| mathematics: the rest | stopped after 2 s |" in done.stdout


def test_workers_are_busy_by_arithmetic_and_less_so_the_more_there_are() -> None:
    busy = cluster_benchmark.paper((1, 32))
    assert busy[1] > busy[32] > 0.9
