"""Several files of one folder that change together: a killed command leaves all of the old ones, or all of the new."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from fhpt_eval.files.atomic import write_atomic
from fhpt_eval.files.owned_folder import claiming

_PART, _COMPLETE = ".part.", ".complete"
"""Folders in the folder: of files that are being written, and of files that are all written and take their places."""


@contextlib.contextmanager
def exclusively(folder: Path) -> Iterator[None]:
    """Keep other processes that do the same out of a folder; where a file system has no locks, nothing is kept out.

    Raises:
        OSError: The folder is not there, or is none: a named pipe is not waited for.
    """
    at = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with contextlib.suppress(OSError):
            fcntl.flock(at, fcntl.LOCK_EX)
        yield
    finally:
        os.close(at)


def write_together(folder: Path, files: Mapping[str, str | bytes]) -> None:
    """Replace files of a folder, all of them or none; to be called in `exclusively`.

    Args:
        folder: Has to be there.
        files: Their content by name.

    Raises:
        UserError: The folder cannot be written or the disk is full.
    """
    with claiming(folder):
        _finish(folder)
        for left in folder.glob(f"{_PART}*"):
            shutil.rmtree(left)
        part = Path(tempfile.mkdtemp(dir=folder, prefix=_PART))
        part.chmod(0o755)
        try:
            for name, content in files.items():
                write_atomic(part / name, content)
            part.rename(folder / _COMPLETE)
        except BaseException:
            shutil.rmtree(part, ignore_errors=True)
            raise
        _finish(folder)


def current(folder: Path, name: str) -> Path:
    """Return where a file of the folder is: a killed command may have left it on the way to its place."""
    waiting = folder / _COMPLETE / name
    return waiting if waiting.exists() else folder / name


def _finish(folder: Path) -> None:
    """Put files into their places that are all written."""
    complete = folder / _COMPLETE
    if complete.is_dir():
        for file in sorted(complete.iterdir()):
            file.replace(folder / file.name)
        complete.rmdir()
