"""What a number was computed with."""

from __future__ import annotations

import platform
import subprocess
from pathlib import Path

from fhpt_eval.evaluation.run import Environment
from fhpt_eval.libraries import version

PACKAGES = (
    "fhpt-eval", "torch", "torchvision", "timm", "lpips", "numpy", "scipy", "pandas", "pillow", "opencv",
    "mediapipe", "face-recognition", "dlib", "dlib-bin", "faiss-cpu",
)  # fmt: skip


def describe_environment(device: str) -> Environment:
    """Versions, platform, device (with the GPU's name) and the commit of the checkout, where there is one."""
    return Environment(
        python=platform.python_version(),
        platform=f"{platform.system()} {platform.machine()}",
        device=_device_name(device),
        packages={name: found for name in PACKAGES if (found := version(name)) is not None},
        git=_commit(),
    )


def _device_name(device: str) -> str:
    if not device.startswith("cuda"):
        return device
    import torch

    return f"{device} ({torch.cuda.get_device_name(device)})"


def _commit() -> str | None:
    root = Path(__file__).resolve().parent.parent
    if not (root / ".git").exists():
        return None
    try:
        commit = _git(root, "rev-parse", "--short=12", "HEAD")
        changed = _git(root, "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.SubprocessError):
        return None
    return commit + ("+" if changed else "")


def _git(root: Path, *arguments: str) -> str:
    command = ["git", "-C", str(root), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()  # noqa: S603
