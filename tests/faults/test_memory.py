"""A lack of memory is a named missing image, wherever it comes, and never takes the other pairs with it."""

from __future__ import annotations

import json
import os
import re
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image
from toys import Difference

from fhpt_eval.engine import opening
from fhpt_eval.engine.cache import Cache
from fhpt_eval.engine.contract import Plan
from fhpt_eval.engine.engine import open_engine
from fhpt_eval.extract.pixels import PixelDifference, StructuralSimilarity
from fhpt_eval.images import decoding
from fhpt_eval.images.decoding import ImageRef
from fhpt_eval.images.formats import ImageError
from fhpt_eval.measuring.registry import select
from fhpt_eval.memory import out_of_memory
from fhpt_eval.records import Missing

if TYPE_CHECKING:
    from conftest import Command, Draw

FAST = ("-p", "ssim,l1,psnr", "--device", "cpu")


def fail(*_: object, **__: object) -> Any:
    raise MemoryError


def paint(path: Path, side: int, seed: int) -> None:
    path.parent.mkdir(exist_ok=True)
    blocks = np.random.default_rng(seed).integers(0, 256, (side // 8, side // 8, 3), dtype=np.uint8)
    Image.fromarray(np.kron(blocks, np.ones((8, 8, 1), np.uint8))).save(path, compress_level=1)


@pytest.fixture
def large(own_folders: Path) -> Path:
    """Three pairs of 64×64, and one of 3200×3200."""
    for name, side in (("a", 64), ("b", 64), ("c", 64), ("large", 3200)):
        paint(Path(f"mine/{name}.png"), side, 1)
        paint(Path(f"real/{name}.png"), side, 2)
    return own_folders


def run_with(limit: int | None, *arguments: str) -> tuple[int, str, str, int]:
    """Run the command under a limit of address space; return its code, what it said, and its peak in bytes."""

    def lower() -> None:
        if limit is not None:
            resource.setrlimit(resource.RLIMIT_AS, (limit, limit))

    # Not `ru_maxrss`, into which that of the process of the tests enters.
    told = (
        "import re, sys\nfrom pathlib import Path\nfrom fhpt_eval.cli.main import main\n"
        "try:\n    main(sys.argv[1:])\nfinally:\n"
        "    found = re.search(r'VmHWM:\\s+(\\d+)', Path('/proc/self/status').read_text())\n"
        "    print('peak', int(found[1]) * 1024, file=sys.stderr)\n"
    )
    command = [sys.executable, "-c", told, *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(  # noqa: S603
        command, capture_output=True, text=True, check=False, preexec_fn=lower, env=environment, timeout=240
    )
    peak = re.search(r"^peak (\d+)$", done.stderr, re.MULTILINE)
    return done.returncode, done.stdout, done.stderr, int(peak[1]) if peak else 0


@pytest.mark.slow
@pytest.mark.parametrize("gigabytes", [0.9, 1.5, 2.5])
def test_under_a_limit_the_large_pair_is_missing_and_the_others_are_scored(large: Path, gigabytes: float) -> None:
    code, out, err, _ = run_with(int(gigabytes * 1e9), "run", "-g", "mine", "-t", "real", *FAST, "-o", "out", "--json")
    assert code == 3, err
    assert "bug" not in err
    assert "broken" not in err
    scores = {s["metric"]: s for p in json.loads(out)["protocols"] for s in p["scores"]}
    assert scores.keys() == {"ssim", "l1", "psnr"}
    assert all(score["n"] >= 3 for score in scores.values())
    assert scores["ssim"]["n"] == 3
    assert all("not enough memory" in reason for score in scores.values() for reason in score["missing"])


@pytest.mark.slow
@pytest.mark.parametrize("mismatch", [True, False])
def test_a_run_stays_below_the_figure_that_a_dry_run_states(large: Path, mismatch: bool) -> None:
    if mismatch:
        paint(Path("real/large.png"), 64, 2)
    _, out, _, _ = run_with(None, "run", "-g", "mine", "-t", "real", *FAST, "--dry-run", "--json")
    stated = json.loads(out)["memory"]
    code, _, _, peak = run_with(None, "run", "-g", "mine", "-t", "real", *FAST, "-o", "out")
    assert code == (3 if mismatch else 0)
    assert 0.1 * stated < peak < stated
    if mismatch:
        # 3200 · 3200 pixels: it was not encoded, which takes 72 bytes a pixel for SSIM alone.
        assert peak < 0.5e9


def test_sizes_are_compared_before_anything_is_encoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paint(tmp_path / "a.png", 64, 0)
    paint(tmp_path / "b.png", 72, 0)
    one, other = ImageRef(tmp_path / "a.png"), ImageRef(tmp_path / "b.png")
    seen: list[int] = []
    extractors = (StructuralSimilarity(), PixelDifference())
    for extractor in extractors:
        load = type(extractor).load

        def counting(self: Any, context: Any, load: Callable[..., Any] = load) -> Any:
            seen.append(1)
            return load(self, context)

        monkeypatch.setattr(type(extractor), "load", counting)
    for attempt in range(2):
        with Cache(tmp_path / "cache") as cache:
            for extractor in extractors:
                found = open_engine("local", cache, device="cpu").run(Plan({}, {extractor: ((one, other),)}), {})
                assert found.pair(extractor, one, other) == Missing(
                    "sizes differ: 64×64 against 72×72 (width×height)"
                ), attempt
                assert not isinstance(found.info(other), Missing)
    assert not seen


@pytest.mark.parametrize(
    ("module", "name"), [(decoding, "_reserve"), (decoding, "_rgb"), (opening, "read_regular"), (opening, "decode")]
)
def test_no_memory_to_decode_is_no_broken_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: Any, name: str
) -> None:
    for seed in range(2):
        paint(tmp_path / f"{seed}.png", 64, seed)
    one, other = (ImageRef(tmp_path / f"{seed}.png") for seed in range(2))
    monkeypatch.setattr(module, name, fail)
    with Cache(tmp_path / "cache") as cache:
        found = open_engine("local", cache, device="cpu").run(Plan({}, {Difference(): ((one, other),)}), {})
        assert found.pair(Difference(), one, other) == Missing("unreadable: not enough memory for this image")


def test_no_memory_to_load_or_to_score_is_said_and_costs_one_protocol(
    command: Command, draw: Draw, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw("mine", "ab")
    draw("real", "ab", seed=1)
    (l1,) = select(["l1"], "paper")
    monkeypatch.setattr(StructuralSimilarity, "load", fail)
    monkeypatch.setattr(type(l1), "score", fail)
    outcome = command("run", "-g", "mine", "-t", "real", *FAST)
    assert outcome.code == 3
    assert "fhpt-eval: ssim: not enough memory for ssim: free some" in outcome.err
    assert "fhpt-eval: l1: not enough memory for scoring l1: free some" in outcome.err
    assert "bug" not in outcome.err
    assert "psnr" in outcome.out


def test_no_memory_for_a_command_is_one_sentence(command: Command, draw: Draw, monkeypatch: pytest.MonkeyPatch) -> None:
    draw("mine", "ab")
    draw("real", "ab", seed=1)
    monkeypatch.setattr("fhpt_eval.pairing.pairs.find_files", fail)
    outcome = command("run", "-g", "mine", "-t", "real", *FAST)
    assert outcome.code == 2
    assert outcome.sentence.startswith("not enough memory for this command")


def test_generation_goes_on_without_the_image_that_memory_does_not_suffice_for(
    command: Command, draw: Draw, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw("real", "abc")
    Path("list.csv").write_text("from,to\na,b\nc,b\n", encoding="utf-8")
    few = lambda ref: fail() if ref.name == "a.png" else decoding.read_image(ref)  # noqa: E731
    monkeypatch.setattr("fhpt_eval.reference_models.trivial.read_image", few)
    outcome = command("generate", "copy-source", "--pairs", "list.csv", "-s", "real", "-o", "made")
    assert outcome.code == 3
    assert "not made: a_2_b_vis: not enough memory for this image" in outcome.err
    assert Path("made/c_2_b_vis.png").exists()


def test_what_lacks_memory_is_told_from_other_errors() -> None:
    assert out_of_memory(MemoryError())
    assert out_of_memory(OSError(12, os.strerror(12)))
    assert out_of_memory(RuntimeError("can't start new thread"))
    assert out_of_memory(ImportError("libx.so: failed to map segment from shared object"))
    assert not out_of_memory(OSError(2, os.strerror(2)))
    assert not out_of_memory(ImageError("broken PNG"))
