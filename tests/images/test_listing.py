"""Every entry of a folder is in one of three places."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from fhpt_eval.errors import UserError
from fhpt_eval.files.regular import not_regular, read_regular
from fhpt_eval.images.listing import list_folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "images"


def put(folder: Path, *names: str, content: bytes = b"?", save: str | None = None) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        if save:
            Image.new("RGB", (4, 4)).save(path, save)


def test_endings_decide_what_is_read_whatever_their_case(folder: Path) -> None:
    names = ["a.png", "b.JPG", "c.tif", "d.TIFF", "e.jfif", "f.ppm", "g.pgm", "h.webp", "i.bmp", "j.gif", "sub/k.heic"]
    put(folder, *names, save="PNG")
    assert list_folder(folder).images == tuple(sorted(names))


def test_what_cannot_be_an_image_is_listed(folder: Path) -> None:
    names = ("README", "Thumbs.db", "a.csv", "b.json", "sub/c.md", ".DS_Store", "._a.png")
    put(folder, *names, "empty", content=b"")
    put(folder, *names, content=b"\x00\x05\x16\x07 what macOS keeps")
    listing = list_folder(folder)
    assert (listing.images, dict(listing.left_out)) == ((), {})
    assert listing.others == tuple(sorted((*names, "empty")))


def test_pictures_under_other_names_are_left_out_with_the_reason(folder: Path) -> None:
    put(folder, "a.png.bak", "b", "c.raw", save="PNG")
    put(folder, "d.dat", save="TIFF")
    put(folder, "e", content=b"\0\0\0\x1cftypheic" + bytes(20))
    put(folder, ".f.png", ".cache/g.png", ".h", save="PNG")
    listing = list_folder(folder)
    assert (listing.images, listing.others) == ((), ())
    named = "but the name does not end as an image's does"
    hidden = "hidden: a name begins with a dot"
    assert listing.left_out == {
        ".cache/g.png": hidden,
        ".f.png": hidden,
        ".h": hidden,
        "a.png.bak": f"PNG, {named}",
        "b": f"PNG, {named}",
        "c.raw": f"PNG, {named}",
        "d.dat": f"TIFF, {named}",
        "e": f"HEIC, {named}",
    }
    assert "a.png.bak" in listing.no_images() or ".cache/g.png" in listing.no_images()


def test_what_is_no_file_is_an_image_where_it_is_called_so_and_never_waited_for(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(folder, "a.png", save="PNG")
    os.mkfifo(folder / "b.png")
    os.mkfifo(folder / "pipe")
    os.mkfifo(folder / "pipe.txt")
    (folder / "c.png").symlink_to("nowhere.png")
    (folder / "d").symlink_to("/nowhere/images")
    (folder / "e.png").symlink_to("e.png")
    monkeypatch.chdir(folder)  # because addresses are short
    with socket.socket(socket.AF_UNIX) as end:
        end.bind("socket.png")
    listing = list_folder(folder)
    assert listing.images == ("a.png", "b.png", "c.png", "e.png", "socket.png")
    assert listing.left_out == {"d": "a link to what is not there", "pipe": "a named pipe, not a file"}
    assert listing.others == ("pipe.txt",)
    reasons = {name: not_regular(folder / name) for name in listing.images}
    assert reasons.pop("e.png")
    assert reasons == {
        "a.png": None,
        "b.png": "a named pipe, not a file",
        "c.png": "a link to what is not there",
        "socket.png": "a socket, not a file",
    }
    with pytest.raises(OSError, match="a named pipe, not a file"):
        read_regular(folder / "b.png")


def test_a_linked_folder_is_read_and_a_loop_is_named(folder: Path, tmp_path: Path) -> None:
    put(tmp_path / "elsewhere", "x.png", save="PNG")
    put(folder, "real/a.png", save="PNG")
    (folder / "linked").symlink_to(tmp_path / "elsewhere")
    (folder / "again").symlink_to("real")
    (folder / "real/loop").symlink_to("..")
    listing = list_folder(folder)
    assert listing.images == ("linked/x.png", "real/a.png")
    assert listing.left_out == {
        "again": "a link to real, which is looked at already",
        "real/loop": "a link to the folder itself, which is looked at already",
    }


def test_what_cannot_be_read_makes_room_for_what_can(folder: Path) -> None:
    put(folder, "a.png", "b.png", "b.tiff", save="PNG")
    put(folder, "a.gif", "c.gif", "c.heic")
    (folder / "a.jpg").symlink_to("nowhere")
    listing = list_folder(folder)
    assert listing.images == ("a.png", "b.png", "b.tiff", "c.gif", "c.heic")
    assert listing.left_out == {"a.gif": "a.png is read instead", "a.jpg": "a.png is read instead"}


def test_a_name_that_no_record_can_hold_is_refused_where_it_counts(folder: Path) -> None:
    put(folder, "a.png", "\udce9.txt")
    assert list_folder(folder).others == (r"\udce9.txt",)
    put(folder, "\udce9.png")
    with pytest.raises(UserError, match="UTF-8"):
        list_folder(folder)


PARTS = st.text(st.characters(codec="utf-8", exclude_characters="/\0", exclude_categories=["Cc"]), min_size=1)
ENDINGS = st.sampled_from(["", ".png", ".PNG", ".tif", ".gif", ".txt", ".csv", ".bak", ".", ".tar.gz"])
CONTENTS = st.sampled_from([b"", b"text", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"\xff\xd8\xff\xe0", b"MM\0*", None])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(entries=st.lists(st.tuples(st.lists(PARTS, min_size=1, max_size=2), ENDINGS, CONTENTS), max_size=12))
def test_evaluated_and_named_and_listed_are_all_that_is_there(entries: Any, tmp_path_factory: Any) -> None:
    folder = tmp_path_factory.mktemp("images")
    for parts, ending, content in entries:
        path = folder.joinpath(*parts[:-1], parts[-1] + ending)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if content is None:
                path.symlink_to("nowhere")
            else:
                path.write_bytes(content)
        except OSError:  # too long, `..`, or there as a folder
            continue
    there = sorted(
        Path(root, name).relative_to(folder).as_posix() for root, _, names in os.walk(folder) for name in names
    )
    listing = list_folder(folder)
    assert sorted((*listing.images, *listing.left_out, *listing.others)) == there
    assert all(listing.left_out.values())
