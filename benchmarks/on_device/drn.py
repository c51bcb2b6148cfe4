"""Point 6: pairs a second of `train drn`, images a second of `generate drn`, by the commands as users give them."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

from beside import weights

from fhpt_eval.sample import ANNOTATION, IMAGES, PAIRS, SAMPLE
from on_device.given import Given, tell, try_to

OURS = Path(__file__).resolve().parents[1] / "beside" / "ours.py"
PRECISIONS = ("float32", "tf32", "bfloat16")
_PEOPLE = ("--pairs", str(SAMPLE / PAIRS), "-s", str(SAMPLE / IMAGES), "-t", str(SAMPLE / IMAGES))
_KEYPOINTS = ("--source-keypoints", str(SAMPLE / ANNOTATION), "--target-keypoints", str(SAMPLE / ANNOTATION))


def train(given: Given) -> None:
    """Train for some seconds in each arithmetic; the first rows of the curves, which hold the start, are left out."""
    weights.make(given.home, ("vgg19",))
    small = given.device == "cpu"
    smaller = ("--set", "width=4", "--set", "max_width=8", "--set", "transfer_blocks=1") if small else ()
    batch = 2 if small else 32
    for name in PRECISIONS:
        output = given.folder / f"drn-{name}-{time.time_ns()}"
        asked = [*_PEOPLE, *_KEYPOINTS, "-o", str(output), "--size", "small", "--set", f"batch_size={batch}", *smaller]
        asked += ["--max-time", str(4 * given.seconds / 60), "--device", given.device]
        if try_to(f"train drn, {name}", partial(_ours, given, "train", "drn", *asked, "--precision", name)) is None:
            continue
        with (output / "body" / "history.csv").open(encoding="utf-8") as stream:
            rows = [(int(row["step"]), float(row["seconds"])) for row in csv.DictReader(stream)]
        steps, seconds = (rows[-1][i] - (rows[0][i] if len(rows) > 1 else 0) for i in (0, 1))
        goal = "≥ 350" if name == "bfloat16" and not small else ""
        what = f"train drn --size small, batch {batch}, {name}, {steps} iterations"
        tell(what, steps * batch / seconds, "pairs/s", goal)


def generate(given: Given) -> None:
    """Generate the sample's pairs, and a tenth of them: the difference has no start in it."""
    pairs = (SAMPLE / PAIRS).read_text(encoding="utf-8").splitlines(keepends=True)
    counts = (4, 12) if given.device == "cpu" else (28, len(pairs) - 1)
    seconds = []
    for count in counts:
        listed = given.folder / f"pairs-{count}.csv"
        listed.write_text("".join(pairs[: count + 1]), encoding="utf-8")
        output = str(given.folder / f"made-{count}-{time.time_ns()}")
        people = ["--pairs", str(listed), *_PEOPLE[2:], *_KEYPOINTS, "-o", output, "--device", given.device]
        start = time.perf_counter()
        _ours(given, "generate", "drn", *people)
        seconds.append(time.perf_counter() - start)
    tell(f"generate drn, {counts[1]} images with their start", seconds[1], "s")
    gone = seconds[1] - seconds[0]
    found: float | str = (counts[1] - counts[0]) / gone if gone > 0 else "too few images to tell"
    tell("generate drn, without the start", found, "images/s", "≥ 500")


def _ours(given: Given, *args: str) -> str:
    env = {**os.environ, "FHPT_EVAL_WEIGHTS": str(weights.checkpoints(given.home)), "FHPT_EVAL_OFFLINE": "1"}
    env["FHPT_EVAL_CACHE"] = str(given.folder / "cache")
    command = [sys.executable, str(OURS), *args, "--quiet"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    if done.returncode not in {0, 3}:
        raise RuntimeError(f"exit code {done.returncode}: {done.stderr[-300:]}")
    return done.stdout or "done"
