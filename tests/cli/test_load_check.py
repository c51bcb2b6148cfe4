"""The doctor looks at libraries again when anything changed that can keep one from being loaded, and only then."""

from __future__ import annotations

import importlib
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from fhpt_eval.cli import load_check
from fhpt_eval.engine import cache_place


@pytest.fixture
def tried(own_folders: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Say each time that libraries are loaded; what comes of it stands in ``broken.txt``, a line each."""
    (own_folders / "lib").mkdir()
    (own_folders / "lib" / "loaded_library.py").write_text("", encoding="utf-8")
    monkeypatch.syspath_prepend(own_folders / "lib")
    times: list[str] = []

    def load() -> list[str]:
        times.append("tried")
        importlib.import_module("loaded_library")
        broken = own_folders / "broken.txt"
        return broken.read_text(encoding="utf-8").splitlines() if broken.exists() else []

    monkeypatch.delitem(sys.modules, "loaded_library", raising=False)
    monkeypatch.setattr(sys, "dont_write_bytecode", False)  # as a rule it is written, into a folder of the path
    monkeypatch.setattr(load_check, "load_errors", load)
    monkeypatch.setattr(load_check, "_torch_trouble", lambda: None)
    return times


def test_what_could_be_loaded_is_not_loaded_again(tried: list[str], own_folders: Path) -> None:
    assert load_check.load_troubles() == []
    assert load_check.load_troubles() == []
    assert tried == ["tried"]
    known = json.loads((own_folders / "cache" / cache_place.LIBRARIES).read_text())
    assert str(own_folders / "lib" / "loaded_library.py") in known["files"]
    assert any(".so" in file for file in known["files"]) or sys.platform != "linux"


def test_what_a_library_does_to_the_process_counts_for_no_change(
    tried: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    load: Callable[[], list[str]] = getattr(load_check, "load_errors")  # noqa: B009 - which the fixture has set

    def as_opencv() -> list[str]:
        os.environ["LD_LIBRARY_PATH"] = "elsewhere"
        sys.path.append("elsewhere")
        return load()

    with monkeypatch.context() as process:
        process.delenv("LD_LIBRARY_PATH", raising=False)
        process.setattr(sys, "path", [*sys.path])
        process.setattr(load_check, "load_errors", as_opencv)
        assert load_check.load_troubles() == []
        os.environ.pop("LD_LIBRARY_PATH")
    monkeypatch.delenv("LD_LIBRARY_PATH", raising=False)
    assert load_check.load_troubles() == []
    assert tried == ["tried"]


def _edit(root: Path) -> None:
    (root / "lib" / "loaded_library.py").write_text("raise OSError", encoding="utf-8")


def _edit_with_its_old_time(root: Path) -> None:
    file = root / "lib" / "loaded_library.py"
    times = file.stat().st_atime_ns, file.stat().st_mtime_ns
    file.write_text("", encoding="utf-8")
    os.utime(file, ns=times)


def _remove(root: Path) -> None:
    (root / "lib" / "loaded_library.py").unlink()


def _shadow(root: Path) -> None:
    (root / "lib" / "torch.py").touch()


def _forget(_: Path) -> None:
    cache_place.clear()


def _damage(root: Path) -> None:
    (root / "cache" / cache_place.LIBRARIES).write_text('{"where": 1}', encoding="utf-8")


@pytest.mark.parametrize("change", [_edit, _edit_with_its_old_time, _remove, _shadow, _forget, _damage])
def test_a_change_of_what_was_loaded_is_seen(
    change: Callable[[Path], None], tried: list[str], own_folders: Path
) -> None:
    load_check.load_troubles()
    change(own_folders)
    load_check.load_troubles()
    assert len(tried) == 2


def test_so_is_one_of_where_libraries_are_looked_for(
    tried: list[str], own_folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load_check.load_troubles()
    monkeypatch.setenv("LD_LIBRARY_PATH", "/elsewhere")
    load_check.load_troubles()
    assert len(tried) == 2
    monkeypatch.syspath_prepend(own_folders)
    load_check.load_troubles()
    assert len(tried) == 3


def test_what_cannot_be_loaded_is_told_each_time(tried: list[str], own_folders: Path) -> None:
    (own_folders / "broken.txt").write_text("cv2 cannot be loaded", encoding="utf-8")
    assert load_check.load_troubles() == load_check.load_troubles() == ["cv2 cannot be loaded"]
    assert len(tried) == 2
    (own_folders / "broken.txt").unlink()
    assert load_check.load_troubles() == []


def test_where_nothing_can_be_kept_it_is_tried_each_time(tried: list[str], own_folders: Path) -> None:
    (own_folders / "cache").write_text("a file", encoding="utf-8")
    assert load_check.load_troubles() == load_check.load_troubles() == []
    assert len(tried) == 2
