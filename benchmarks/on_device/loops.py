"""Point 7, small: the whole command beside the peers that are installed, on the device."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from beside import weights
from beside.images import make
from beside.parts import PARTS
from beside.peers import PROGRAMS

from on_device.given import Given, tell, try_to

BESIDE = Path(__file__).resolve().parents[1] / "beside"
MEASURED = ("fid", "fid_kid_is", "lpips", "ssim")


def main(given: Given) -> None:
    """Tell wall seconds of ours and of each peer, from start to end, once each."""
    images = make(given.folder / "pairs", 12 if given.device == "cpu" else 500, (256, 176))
    env = {**os.environ, "TORCH_HOME": str(given.home), "FHPT_EVAL_WEIGHTS": str(weights.checkpoints(given.home))}
    env |= {"FHPT_EVAL_OFFLINE": "1"}
    folders = [str(folder) for folder in (images.generated(), images.targets, images.sources, images.pairs)]
    for name in MEASURED:
        part = PARTS[name]
        weights.make(given.home, part.weights)
        scratch = given.folder / f"run-{time.time_ns()}"
        ours = [str(BESIDE / "ours.py"), "run", *part.stages[0].args, "-g", folders[0], "-t", folders[1]]
        ours += ["--pairs", folders[3], "--device", given.device, "-o", str(scratch), "--quiet"]
        if "kid.subsets=100" in ours:
            ours += ["--set", f"kid.subset_size={images.count}"]
        env["FHPT_EVAL_CACHE"] = f"{scratch}-cache"
        what = f"{part.title}, {images.count} pairs"
        try_to(f"{what}: ours", partial(_timed, f"{what}: ours", ours, env))
        for peer in part.peers:
            if find_spec(PROGRAMS[peer][1]) is None:
                tell(f"{what}: {peer}", "not installed")
                continue
            command = [str(BESIDE / "peers.py"), peer, *folders, given.device, f"{scratch}.json"]
            try_to(f"{what}: {peer}", partial(_timed, f"{what}: {peer}", command, env))


def _timed(what: str, command: list[str], env: dict[str, str]) -> None:
    start = time.perf_counter()
    done = subprocess.run([sys.executable, *command], env=env, capture_output=True, text=True, check=False)
    if done.returncode not in {0, 3}:
        raise RuntimeError(f"exit code {done.returncode}: {done.stderr[-300:]}")
    tell(what, time.perf_counter() - start, "s, whole command")
