"""Threads compute alone, whenever torch is loaded: by another thread just now, or after they have started."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

LOADED_MEANWHILE = """
import sys, threading, time
from pathlib import Path
from fhpt_eval.engine.machine import one_thread

loading = threading.Thread(target=__import__, args=("torch",))
loading.start()
while "torch" not in sys.modules:
    time.sleep(0.01)
one_thread()
assert sys.modules["torch"].told == 1
loading.join()
"""

SLOW_TORCH = """
import time
time.sleep(1)
told = None
def set_num_threads(count):
    global told
    told = count
"""

LOADED_LATER = """
import sys
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from fhpt_eval.engine.models import Models
from fhpt_eval.extract.extractor import Context
from fhpt_eval.records import Missing

class Plain(SimpleNamespace):
    __hash__ = object.__hash__

    def load(self, context):
        return lambda given: ["torch" in sys.modules for _ in given]

class OfTorch(Plain):
    def load(self, context):
        import torch

        return lambda given: [torch.get_num_threads() for _ in given]

with ThreadPoolExecutor(1) as cores:
    models = Models(Context(), 1, cores)
    for extractor in Plain(id="plain"), OfTorch(id="of-torch"):
        models.load(extractor)
        asked = models.submit(extractor, lambda model, given: model(given), {1: 1}, too_large=Missing("large"))
        print([future.result()[1] for future in asked])
"""


def run(code: str, *path: Path) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", code],
        env={**environment, "PYTHONPATH": os.pathsep.join([*map(str, path), os.environ.get("PYTHONPATH", "")])},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_torch_that_another_thread_is_loading_is_waited_for(tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text(SLOW_TORCH)
    run(LOADED_MEANWHILE, tmp_path)


@pytest.mark.slow
def test_a_thread_that_is_older_than_torch_computes_alone() -> None:
    assert run(LOADED_LATER).split() == ["[False]", "[1]"]
