"""What is told of a folder is what was put into it."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fhpt_eval.auditing.folder import audit_folder, glance
from fhpt_eval.auditing.known_headers import keep_headers, known_headers
from fhpt_eval.engine.cache import Cache
from fhpt_eval.errors import UserError
from fhpt_eval.images.borders import Borders
from fhpt_eval.images.decoding import Decoded, decode
from fhpt_eval.images.headers import Header, header_of
from fhpt_eval.images.listing import list_folder


def picture(seed: int, borders: tuple[int, int, int, int] = (0, 0, 0, 0)) -> Image.Image:
    """Dark noise of 48×64 with white borders about it: left, top, right, bottom."""
    inner = np.random.default_rng(seed).integers(0, 200, (64, 48, 3), dtype=np.uint8)
    left, top, right, bottom = borders
    return Image.fromarray(np.pad(inner, ((top, bottom), (left, right), (0, 0)), constant_values=255))


def fill(folder: Path, count: int, borders: tuple[int, int, int, int] = (0, 0, 0, 0), first: int = 0) -> Path:
    folder.mkdir(exist_ok=True)
    for seed in range(first, first + count):
        picture(seed, borders).save(folder / f"{seed:03}.png")
    return folder


def test_everything_in_a_folder_is_counted(tmp_path: Path) -> None:
    folder = fill(tmp_path / "mine", 3)
    picture(7).save(folder / "a.jpg", quality=80, subsampling="4:2:0")
    picture(8, (4, 0, 4, 0)).convert("L").save(folder / "b.png")
    (folder / "c.png").write_bytes((folder / "000.png").read_bytes())
    (folder / "d.png").write_bytes((folder / "000.png").read_bytes()[:-40])
    (folder / "e").write_bytes((folder / "000.png").read_bytes())
    (folder / "notes.txt").touch()
    audit = audit_folder(folder)
    assert len(audit.pictures) == 7
    assert audit.stored == {"PNG": 5, "JPEG, quality 80, 4:2:0": 1}
    assert audit.endings == {".png": 6, ".jpg": 1}
    assert audit.sizes == {"48×64": 5, "56×64": 1}
    assert audit.modes == {"RGB": 5, "L": 1}
    assert audit.duplicates == (("000.png", "c.png"),)
    assert audit.unreadable == {"d.png": "truncated PNG"}
    assert [*audit.listing.left_out] == ["e"]
    assert audit.listing.others == ("notes.txt",)
    assert audit.line == (
        f"{folder}: 7 images, PNG and JPEG, quality 80, 4:2:0, 48×64 and 56×64, RGB and L, 1 duplicate,"
        " 1 unreadable, 1 left out"
    )


def test_borders_of_almost_all_are_told_and_one_picture_without_does_not_hide_them(tmp_path: Path) -> None:
    folder = fill(tmp_path / "mine", 20, (8, 0, 8, 3))
    fill(folder, 1, first=100)
    assert audit_folder(folder).borders == (Borders(8, 0, 8, 3), 20)


def test_the_same_borders_about_some_are_told_with_their_number(tmp_path: Path) -> None:
    folder = fill(tmp_path / "mine", 8)
    fill(folder, 2, (9, 0, 9, 0), first=50)
    assert audit_folder(folder).borders == (Borders(9, 0, 9, 0), 2)


def test_white_backdrops_that_differ_are_no_borders(tmp_path: Path) -> None:
    folder = fill(tmp_path / "mine", 4)
    for seed, width in enumerate((5, 9, 14, 21), 50):
        fill(folder, 1, (width, 0, width + 1, 0), first=seed)
    assert audit_folder(folder).borders is None


def test_borders_in_words() -> None:
    assert str(Borders(40, 0, 40, 0)) == "40 pixels"
    assert str(Borders(0, 0, 16, 6)) == "16 pixels at the right, 6 at the bottom"


def test_a_glance_decodes_eight_small_pictures_at_most(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = fill(tmp_path / "mine", 30, (8, 0, 8, 0))
    Image.new("RGB", (1200, 1000)).save(folder / "large.png")
    decoded: list[int] = []

    def counted(data: bytes) -> Decoded:
        decoded.append(len(data))
        return decode(data)

    monkeypatch.setattr("fhpt_eval.auditing.folder.decode", counted)
    audit = glance(list_folder(folder))
    assert 4 <= len(decoded) <= 8
    assert len(audit.headers) == 31
    assert audit.line == f"{folder}: 31 images, PNG, 64×64 and 1200×1000 (white borders of 8 pixels)"
    assert {p.name: p.content for p in audit.pictures} == {
        name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in audit.listing.images
    }


def test_headers_come_from_the_cache_for_the_same_bytes_and_for_no_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = fill(tmp_path / "mine", 12)
    picture(7).save(folder / "a.jpg", quality=80, subsampling="4:2:0")
    (folder / "b.png").write_bytes(b"no picture")
    listing = list_folder(folder)
    hashes = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in listing.images}
    with Cache(tmp_path / "cache") as cache:
        assert known_headers(cache, hashes.values()) == {}
        first = glance(listing, hashes)
        keep_headers(cache, {str(p.content): p.header for p in first.pictures if p.header is not None})
        known = known_headers(cache, hashes.values())
        assert known == {hashes[name]: header for name, header in first.headers.items()}
        read: list[bytes] = []

        def counted(data: bytes) -> Header:
            read.append(data)
            return header_of(data)

        monkeypatch.setattr("fhpt_eval.auditing.folder.header_of", counted)
        again = glance(listing, hashes, known)
        assert (again.headers, again.unreadable, again.line) == (first.headers, first.unreadable, first.line)
        assert read == [b"no picture"]
        picture(99).convert("L").save(folder / "000.png")
        changed = {**hashes, "000.png": hashlib.sha256((folder / "000.png").read_bytes()).hexdigest()}
        assert glance(listing, changed, known).headers["000.png"].mode == "L"


def test_a_header_is_kept_for_the_bytes_it_was_read_from(tmp_path: Path) -> None:
    folder = fill(tmp_path / "mine", 1)
    before = hashlib.sha256((folder / "000.png").read_bytes()).hexdigest()
    # Changed after it was hashed.
    picture(9, (8, 0, 8, 0)).save(folder / "000.png")
    (seen,) = glance(list_folder(folder), {"000.png": before}).pictures
    assert seen.content == hashlib.sha256((folder / "000.png").read_bytes()).hexdigest()


def test_what_is_no_folder_of_images_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    with pytest.raises(UserError, match=r"a\.png is no folder: give one of images\."):
        audit_folder(tmp_path / "a.png")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"no images in .*empty: files ending in"):
        audit_folder(tmp_path / "empty")
