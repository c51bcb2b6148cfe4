"""What a number was computed with."""

from __future__ import annotations

import platform
import subprocess
from pathlib import Path

from fhpt_eval.evaluation.run_record import Environment
from fhpt_eval.extract.numerics import Numerics
from fhpt_eval.libraries import version
from fhpt_eval.measuring.dialects import dialects_of_packages
from fhpt_eval.measuring.registry import find_protocols
from fhpt_eval.measuring.requirements import packages_of

_ALWAYS = ("fhpt-eval", "torch", "numpy", "scipy", "pandas", "pillow", "opencv")
"""What reading images and statistics rest on; protocols and extractors name the rest, and dialects come with some."""


def describe_environment(numerics: Numerics) -> Environment:
    """Versions, platform, device (with the GPU's name) and the commit of the checkout, where there is one."""
    rested_on = packages_of(find_protocols().classes.values())
    packages = dict.fromkeys((*_ALWAYS, *rested_on, *dialects_of_packages().packages.values()))
    return Environment(
        python=platform.python_version(),
        platform=f"{platform.system()} {platform.machine()}",
        device=_device_name(numerics.device),
        packages={name: found for name in packages if (found := version(name)) is not None},
        git=_commit(),
        reference_math=numerics.reference_math,
    )


def _device_name(device: str) -> str:
    if not device.startswith("cuda"):
        return device
    import torch

    if not torch.cuda.is_available():
        return device  # that of the workers of a cluster
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
