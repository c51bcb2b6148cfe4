"""Writing files so that a reader, or a killed run, never sees half of one."""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from fhpt_eval.errors import UserError

NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""What the system says where a disk is full, or what a user may have of it, or where a file may not grow further."""


def write_atomic(path: Path, content: str | bytes) -> None:
    """Replace ``path`` by ``content`` (text as UTF-8) at once.

    Raises:
        UserError: If the folder cannot be written or the disk is full.
    """
    with replacing(path) as stream:
        stream.write(content.encode() if isinstance(content, str) else content)


@contextlib.contextmanager
def replacing(path: Path, instead: str = "another folder with -o") -> Iterator[IO[bytes]]:
    """Give a stream whose content takes the place of ``path`` at once, at the end; not where anything is raised.

    Args:
        path: A link is replaced itself, not what it leads to.
        instead: What the user may choose where this cannot be written.

    Raises:
        UserError: If the folder cannot be written or the disk is full.
    """
    temporary: Path | None = None
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as stream:
            temporary = Path(stream.name)
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
        temporary = None
    except OSError as error:
        if error.errno == errno.ENOENT and not path.parent.exists():
            raise UserError(
                f"cannot write {path}: the folder {path.parent} is not there; make it first, or choose {instead}."
            ) from None
        room = "free some room or " if error.errno in NO_ROOM else ""
        raise UserError(f"cannot write {path} ({error.strerror or error}): {room}choose {instead}.") from None
    finally:
        if temporary is not None:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
