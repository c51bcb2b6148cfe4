"""Writing a file that a user named: what is there is not lost, and what cannot be written is said at once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fhpt_eval.errors import UserError
from fhpt_eval.evaluation.named_file import require_place, write_named


@pytest.mark.parametrize("what", ["link", "pipe", "other"])
def test_what_is_there_is_replaced_only_when_asked(what: str, tmp_path: Path) -> None:
    file = tmp_path / what
    match what:
        case "link":
            file.symlink_to("gone")
        case "pipe":
            os.mkfifo(file)
        case _:
            file.write_text("other")
    with pytest.raises(UserError, match="is there and holds something else: choose another file with -o, or replace"):
        write_named(file, "text", overwrite=False)
    write_named(file, "text", overwrite=True)
    write_named(file, "text", overwrite=False)
    assert not file.is_symlink()
    assert file.read_text() == "text"


def test_a_place_that_takes_no_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="is a folder: name a file with -o"):
        require_place(tmp_path)
    with pytest.raises(UserError, match=r"there is no folder .*gone: make it"):
        require_place(tmp_path / "gone" / "x")
    with pytest.raises(UserError, match="nothing is written to memory://"):
        require_place(Path("memory://bucket/x"))
    require_place(tmp_path / "x")
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(UserError, match="cannot be written: choose another file with -o"):
        require_place(tmp_path / "x")
