"""Where the cache lies, how large it may become, and where it must not lie."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import platformdirs

from fhpt_eval.engine.cache_file import NAME
from fhpt_eval.errors import UserError
from fhpt_eval.files.mounts import network_file_system
from fhpt_eval.files.remote import refuse_address

LIBRARIES = "libraries.json"
"""Beside the results: from which files `fhpt-eval doctor` could load every library."""

DEFAULT_LIMIT = 20 * 2**30
"""Bytes on disk before the oldest results are dropped."""

_LOCAL = ("SLURM_TMPDIR", "TMPDIR", "/var/tmp", "/tmp", "/dev/shm")  # noqa: S108 - only named, to the user
"""Variables and folders that mostly name a local disk, best first: a job's own, and those that outlive a restart."""


def default_folder() -> Path:
    """``FHPT_EVAL_CACHE``, or the user's cache folder.

    Raises:
        UserError: It is an address.
    """
    if not (given := os.environ.get("FHPT_EVAL_CACHE")):
        return platformdirs.user_cache_path("fhpt-eval") / "records"
    refuse_address(Path(given), "no cache can lie at", "name a folder of this machine by FHPT_EVAL_CACHE")
    return Path(given)


def parse_size(text: str) -> int:
    """Read what ``FHPT_EVAL_CACHE_SIZE`` says: ``500M``, ``20G``, ``1T`` or plain bytes.

    Raises:
        UserError: If it is none of these.
    """
    units = {"K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
    number, unit = (text[:-1], units[text[-1].upper()]) if text[-1:].upper() in units else (text, 1)
    try:
        size = int(float(number) * unit)
    except (ValueError, OverflowError):
        raise UserError(f"FHPT_EVAL_CACHE_SIZE '{text}' is not a size: write for example 500M or 20G.") from None
    if not 2**20 <= size <= 2**50:
        raise UserError(f"FHPT_EVAL_CACHE_SIZE cannot be {text}: give between 1M and 1024T.")
    return size


def default_limit() -> int:
    """``FHPT_EVAL_CACHE_SIZE`` (such as ``50G``), or 20 GiB."""
    given = os.environ.get("FHPT_EVAL_CACHE_SIZE")
    return parse_size(given) if given else DEFAULT_LIMIT


def refused(folder: Path) -> str | None:
    """Return why a cache cannot lie in a folder, with the command that helps; None where it can.

    LMDB must not be used on a network file system, not by one machine alone either: its locks and its mapped file rest
    on the kernel of one machine. No option overrules that, because every machine has some local folder.
    """
    if (system := network_file_system(folder)) is None:
        return None
    return (
        f"the cache in {folder} lies on a network file system ({system}), which would damage it: name a folder on a"
        f" local disk, for example by `export FHPT_EVAL_CACHE={_local_folder()}`, and give the same command again."
    )


def clear(folder: str | Path | None = None) -> int:
    """Delete the cache; return the bytes that were freed. A process that has it open goes on with its own copy."""
    folder = Path(folder) if folder else default_folder()
    files = [f for f in (folder / NAME, folder / "lock.mdb", folder / LIBRARIES) if f.exists()]
    freed = sum(f.stat().st_blocks * 512 for f in files)
    for file in files:
        file.unlink()
    if folder.is_dir() and not any(folder.iterdir()):
        shutil.rmtree(folder)
    return freed


def _local_folder() -> Path:
    """Return a folder for a cache that lies on a local disk here, as far as that can be told."""
    for place in _LOCAL:
        given = place if place.startswith("/") else os.environ.get(place)
        if given and os.access(given, os.W_OK | os.X_OK) and network_file_system(Path(given)) is None:
            return Path(given) / f"fhpt-eval-{os.getuid()}"
    return Path("/local/disk/fhpt-eval")
