"""What a GPU gives, in one command of at most four minutes that prints one table.

python benchmarks/gpu.py [--device cuda] [--seconds 3] [--parts pipeline train …]

Each part runs in a process of its own with a time limit; one that takes longer is stopped, and the table has what it
told until then. Runs on a bare machine without a network, MediaPipe, dlib, faiss or matplotlib: docs/performance.md
says what to bring. `--device cpu --seconds 0.2` tries all of it where there is no GPU.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from on_device.given import ROW, Given

MINUTES = 4.0
PARTS: Mapping[str, tuple[str, str, float]] = {
    "pipeline": ("on_device.pipeline", "main", 110),
    "train": ("on_device.drn", "train", 55),
    "generate": ("on_device.drn", "generate", 25),
    "mathematics": ("on_device.mathematics", "main", 25),
    "peers": ("on_device.loops", "main", 25),
}
"""Where each part is, and its seconds; all together the minutes."""


def measured(name: str, options: argparse.Namespace, folder: Path, limit: float) -> list[list[str]]:
    """Run a part, and return its rows, with one more where it was stopped or failed."""
    command = [sys.executable, __file__, "--part", name, "--folder", str(folder)]
    command += ["--device", options.device, "--seconds", str(options.seconds)]
    rows: list[list[str]] = []
    with (folder / f"{name}.log").open("w+", encoding="utf-8") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        try:
            code = process.wait(limit)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            # What a part started ends with it.
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        log.seek(0)
        said = [line for line in log.read().splitlines() if line.strip()]
    rows += [json.loads(line.removeprefix(ROW)) for line in said if line.startswith(ROW)]
    if code is None:
        rows.append([f"{name}: the rest", f"stopped after {limit:.0f} s", "", ""])
    elif code:
        rows.append([f"{name}: the rest", f"failed: {said[-1] if said else f'exit code {code}'}", "", ""])
    return rows


def machine(device: str) -> str:
    """Return what the numbers are of."""
    import torch

    gpu = torch.cuda.get_device_name() if device.startswith("cuda") else "no GPU"
    cores = len(os.sched_getaffinity(0))
    return f"{gpu}, {cores} cores, Python {platform.python_version()}, torch {torch.__version__}"


def main() -> None:
    """Run the parts one after the other, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--seconds", type=float, default=3.0, help="that a rate is measured for")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=[*PARTS])
    parser.add_argument("--slower", type=float, default=1.0, help="multiplies the time limits")
    parser.add_argument("--folder", type=Path, help="for images and weights; a temporary one, unless named")
    parser.add_argument("--part", choices=PARTS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.part:
        module, function, _ = PARTS[options.part]
        given = Given(options.folder.resolve(), options.device, options.seconds)
        getattr(importlib.import_module(module), function)(given)
        return
    end = time.monotonic() + 60 * MINUTES * options.slower
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        rows: list[list[str]] = []
        for name in options.parts:
            left = min(PARTS[name][2] * options.slower, end - time.monotonic())
            start = time.monotonic()
            rows += measured(name, options, folder, left) if left > 1 else [[name, "no time was left", "", ""]]
            print(f"{name}: {time.monotonic() - start:.0f} s", file=sys.stderr, flush=True)
    print(machine(options.device))
    print("\n| what | measured | | goal |\n|---|---:|---|---|")
    for row in rows:
        print(f"| {' | '.join(row)} |")


if __name__ == "__main__":
    main()
