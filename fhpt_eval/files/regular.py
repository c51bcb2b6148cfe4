"""Opening files of the user without waiting for what is none: a named pipe would hold a command for good."""

from __future__ import annotations

import errno
import io
import os
import stat
from pathlib import Path
from typing import IO

from fhpt_eval.files.remote import RemotePath

_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFBLK: "a device",
    stat.S_IFCHR: "a device",
}


def not_regular(path: Path) -> str | None:
    """Return what stands in a file's place, in a few words; None for a file, and for what is at an address."""
    if isinstance(path, RemotePath):  # which reading tells, without a request more
        return None
    try:
        mode = os.stat(path).st_mode  # noqa: PTH116 - half the time of Path.stat, for each of many files
    except FileNotFoundError:
        return "a link to what is not there" if path.is_symlink() else os.strerror(errno.ENOENT)
    except OSError as error:
        return error.strerror or type(error).__name__
    return None if stat.S_ISREG(mode) else f"{_KINDS.get(stat.S_IFMT(mode), 'something else')}, not a file"


def open_regular(path: Path) -> IO[bytes]:
    """Open a file for reading in large blocks: unbuffered, a small one is opened in half the time.

    Raises:
        OSError: It cannot be opened, or is no file; ``strerror`` says which.
    """
    if isinstance(path, RemotePath):
        return io.BytesIO(path.read_bytes())
    _check(path)
    return open(path, "rb", buffering=0)  # noqa: PTH123


def read_regular(path: Path) -> bytes:
    """Return the content of a file.

    Raises:
        OSError: As `open_regular`.
    """
    with open_regular(path) as stream:
        return stream.read()


def read_head(path: Path, count: int) -> bytes:
    """Return so many bytes of a file's beginning, or all where there are fewer.

    Raises:
        OSError: It cannot be opened.
    """
    if isinstance(path, RemotePath):
        return path.read_head(count)
    with path.open("rb") as stream:
        return stream.read(count)


def _check(path: Path) -> None:
    if (what := not_regular(path)) is not None:
        raise OSError(errno.EINVAL, what, str(path))
