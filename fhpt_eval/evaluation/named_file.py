"""Writing a file that a user named, which never costs them the record of a run."""

from __future__ import annotations

from pathlib import Path

from fhpt_eval.errors import UserError
from fhpt_eval.evaluation.run_record import FILES, RECORD
from fhpt_eval.files.atomic import write_atomic
from fhpt_eval.files.remote import refuse_address
from fhpt_eval.files.together import current


def write_named(path: Path, content: str | bytes, *, overwrite: bool) -> None:
    """Write a file that a user named; another one that is there is replaced only when asked.

    Raises:
        UserError: It is there with other content and ``overwrite`` is not set, or belongs to the record of a run; or as
            `write_atomic`.
    """
    refuse_address(path)
    data = content.encode() if isinstance(content, str) else content
    refuse_file_of_run(path)
    if not overwrite and path.is_file() and path.read_bytes() != data:
        raise UserError(
            f"{path} is there and holds something else: choose another file with -o, or replace it with --overwrite."
        )
    write_atomic(path, data)


def refuse_file_of_run(path: Path, instead: str = "another file with -o") -> None:
    """Refuse a file that belongs to the record of a run.

    Raises:
        UserError: It does.
    """
    if path.name in FILES and current(path.parent, RECORD).exists():
        raise UserError(f"{path} belongs to the record of the run in {path.parent}: choose {instead}.")
