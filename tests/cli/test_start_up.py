"""What a command imports: modules are counted, because seconds depend on the machine."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import fhpt_eval
from fhpt_eval.engine import machine

HELP = """
import sys, typer
from fhpt_eval.cli.main import app

def commands(command, path=()):
    yield path
    for name, inner in getattr(command, "commands", {}).items():
        yield from commands(inner, (*path, name))

shown = 0
for path in commands(typer.main.get_command(app)):
    try:
        app([*path, "--help"], standalone_mode=False)
    except SystemExit as stop:
        assert not stop.code, path
    shown += 1
print("\\n" + str(shown), *sorted({name.partition(".")[0] for name in sys.modules}))
"""

RUN = """
import sys
from fhpt_eval.cli.main import main

if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    finally:
        print("\\n" + " ".join(sorted({name.partition(".")[0] for name in sys.modules})))
"""

NETWORKS = {
    *("torch", "torchvision", "timm", "mediapipe", "dlib", "face_recognition"),
    *("pyiqa", "open_clip", "transformers", "huggingface_hub"),
}
WITHOUT_GPU = {"CUDA_VISIBLE_DEVICES": ""}


def python(code: str, *arguments: str) -> list[str]:
    """Run code in a process of its own; return the words of its last line."""
    root = str(Path(fhpt_eval.__file__).parent.parent)
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", code, *arguments],
        env={**os.environ, **WITHOUT_GPU, "PYTHONPATH": root},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode in {0, 3}, done.stderr
    return done.stdout.splitlines()[-1].split()


def test_help_of_no_command_waits_for_a_library_of_numbers() -> None:
    shown, *imported = python(HELP)
    assert int(shown) > 20
    assert "typer" in imported
    assert not {"numpy", "pandas", "scipy", "cv2", "PIL", "faiss", "matplotlib", "fsspec", *NETWORKS} & {*imported}


def test_a_run_whose_records_are_cached_and_a_leaderboard_load_no_network(folders: tuple[str, ...]) -> None:
    asked = ("run", *folders, "--profile", "embedded", "-p", "fid,lpips,ssim,kec,face_identity", "-o", "out", "--quiet")
    assert {"torch", "timm"} <= {*python(RUN, *asked)}
    again = python(RUN, *asked)
    assert "numpy" in again
    assert not {*NETWORKS, "faiss", "matplotlib", "fsspec"} & {*again}
    board = python(RUN, "leaderboard", "out")
    assert "pandas" in board
    assert not {*NETWORKS, "scipy", "faiss", "matplotlib"} & {*board}


@pytest.mark.parametrize("command", ["protocols", "protocols iqa", "weights list", "dialects list"])
def test_listings_load_neither_networks_nor_statistics(own_folders: Path, command: str) -> None:
    assert not {*NETWORKS, "scipy", "faiss", "matplotlib"} & {*python(RUN, *command.split())}


def test_where_there_can_be_no_gpu_torch_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    monkeypatch.setattr(machine, "load_error", lambda _: pytest.fail("torch was asked"))
    assert machine.pick_device("auto") == "cpu"


@pytest.mark.parametrize(("files", "possible"), [(("null", "nvram"), False), (("nvidia0",), True), (("kfd",), True)])
def test_a_gpu_is_possible_where_a_driver_left_its_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: tuple[str, ...], possible: bool
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    for file in files:
        (tmp_path / file).touch()
    monkeypatch.setattr(machine, "DEVICES", tmp_path)
    assert machine.gpu_possible() is possible
