"""Writing a file that a user named, which never costs them the record of a run."""

from __future__ import annotations

import os
from pathlib import Path

from fhpt_eval.errors import UserError
from fhpt_eval.evaluation.run_record import FILES, RECORD
from fhpt_eval.files.atomic import write_atomic
from fhpt_eval.files.remote import refuse_address
from fhpt_eval.files.together import current


def write_named(path: Path, content: str | bytes, *, overwrite: bool) -> None:
    """Write a file that a user named; another one that is there is replaced only when asked.

    Raises:
        UserError: It is there with other content and ``overwrite`` is not set; or as `require_place` and
            `write_atomic`.
    """
    require_place(path)
    data = content.encode() if isinstance(content, str) else content
    # Of a link to what is not there, too: that is the user's as well.
    if not overwrite and os.path.lexists(path) and not (path.is_file() and path.read_bytes() == data):
        raise UserError(
            f"{path} is there and holds something else: choose another file with -o, or replace it with --overwrite."
        )
    write_atomic(path, data)


def require_place(path: Path) -> None:
    """Refuse what no file can be written to; also before its content is computed.

    Raises:
        UserError: It is an address, a folder, in a folder that is not there or cannot be written, or belongs to the
            record of a run.
    """
    refuse_address(path)
    refuse_file_of_run(path)
    if path.is_dir():
        raise UserError(f"{path} is a folder: name a file with -o.")
    if not path.parent.is_dir():
        raise UserError(f"there is no folder {path.parent}: make it, or choose another file with -o.")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise UserError(f"the folder {path.parent} cannot be written: choose another file with -o.")


def refuse_file_of_run(path: Path, instead: str = "another file with -o") -> None:
    """Refuse a file that belongs to the record of a run.

    Raises:
        UserError: It does.
    """
    if path.name in FILES and current(path.parent, RECORD).exists():
        raise UserError(f"{path} belongs to the record of the run in {path.parent}: choose {instead}.")
