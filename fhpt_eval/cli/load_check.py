"""Whether the libraries can be loaded: tried, and remembered for as long as no file that this took has changed.

To load all of them takes many seconds and a gigabyte. What can change the outcome is in what is compared: every file
that was loaded (modules, and shared objects with those of the system), the folders where Python looks first, the
interpreter, the machine and the variables that lead a loader elsewhere. A failure is never remembered.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from fhpt_eval._version import __version__
from fhpt_eval.engine.cache_place import LIBRARIES, default_folder
from fhpt_eval.errors import UserError
from fhpt_eval.files.atomic import write_atomic
from fhpt_eval.libraries import load_errors

_VARIABLES = ("LD_LIBRARY_PATH", "LD_PRELOAD", "DYLD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES", "PYTHONHOME")
_MAPS = Path("/proc/self/maps")


def load_troubles() -> list[str]:
    """Return a sentence for each library that cannot be loaded."""
    place = default_folder() / LIBRARIES
    # As they are before anything is loaded: OpenCV changes both.
    path, variables = [*sys.path], {name: os.environ.get(name) for name in _VARIABLES}
    if _unchanged(place, _where(path, variables)):
        return []
    told = load_errors() or [*filter(None, [_torch_trouble()])]
    if not told:
        # A folder that cannot be written is told of the cache in it.
        with contextlib.suppress(UserError, OSError):
            place.parent.mkdir(parents=True, exist_ok=True)
            # Folders as they are after it: the first load writes bytecode into them.
            write_atomic(place, json.dumps({"where": _where(path, variables), "files": _states(_loaded())}))
    return told


def _unchanged(place: Path, where: dict[str, Any]) -> bool:
    """Whether all was loaded here before, from the same files."""
    try:
        known = json.loads(place.read_bytes())
        return bool(known["where"] == where and known["files"] == _states(known["files"]))
    except (OSError, ValueError, LookupError, TypeError):
        return False


def _where(path: list[str], variables: dict[str, str | None]) -> dict[str, Any]:
    return {
        "fhpt-eval": __version__,
        "python": [sys.executable, sys.version],
        "machine": [platform.node(), platform.platform()],
        "path": _states(path),
        "variables": variables,
    }


def _loaded() -> set[str]:
    """Return the files that this process has loaded."""
    files = {file for module in [*sys.modules.values()] if isinstance(file := getattr(module, "__file__", None), str)}
    with contextlib.suppress(OSError):
        mapped = (line.split(maxsplit=5)[5:] for line in _MAPS.read_text(errors="surrogateescape").splitlines())
        files |= {rest[0] for rest in mapped if rest and ".so" in rest[0]}
    return {file for file in files if Path(file).is_file()}


def _states(paths: Iterable[str]) -> dict[str, list[int] | None]:
    """Return when each file or folder was changed, and its size; None of what is not there."""
    return {path: _state(path) for path in paths}


def _state(path: str) -> list[int] | None:
    try:
        status = os.stat(path)  # noqa: PTH116 - thousands of them
    except OSError:
        return None
    return [status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino]


def _torch_trouble() -> str | None:
    try:
        import torch
        import torchvision

        torchvision.ops.nms(torch.zeros(1, 4), torch.zeros(1), 0.5)
    except Exception as error:  # noqa: BLE001 - a mismatched pair fails in many ways
        return f"torch and torchvision do not fit together ({error}): install them again, and not torch 2.13.0"
    return None
