"""Writing files so that a reader, or a killed run, never sees half of one."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Collection, Iterator
from pathlib import Path

from fhpt_eval.errors import UserError


def write_atomic(path: Path, content: str | bytes) -> None:
    """Replace ``path`` by ``content`` (text as UTF-8) at once.

    Raises:
        UserError: If the folder cannot be written or the disk is full.
    """
    temporary: Path | None = None
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as stream:
            temporary = Path(stream.name)
            stream.write(content.encode() if isinstance(content, str) else content)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    except OSError as error:
        if temporary is not None:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
        raise UserError(
            f"cannot write {path} ({error.strerror or error}): free some room or choose another folder with -o."
        ) from None


@contextlib.contextmanager
def claiming(path: Path) -> Iterator[None]:
    """While a folder of results is made or taken over: say in one sentence what cannot be done there.

    Raises:
        UserError: In place of an `OSError`.
    """
    try:
        yield
    except OSError as error:
        what = error.filename or path
        raise UserError(f"cannot write to {what} ({error.strerror}): choose another folder with -o.") from None


def own_folder(path: Path, ours: Collection[str]) -> None:
    """Make a folder, or take over one that holds nothing but what is called as one of ``ours``, and hidden files.

    Raises:
        UserError: It cannot be made or read, or holds something else.
    """
    with claiming(path):
        path.mkdir(parents=True, exist_ok=True)
        foreign = sorted(p.name for p in path.iterdir() if p.name not in ours and not p.name.startswith("."))
    if foreign:
        raise UserError(f"{path} holds '{foreign[0]}', which is none of this command's: choose a new folder with -o.")
