"""Writing files so that a reader, or a killed run, never sees half of one."""

from __future__ import annotations

import contextlib
import os
import tempfile
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
