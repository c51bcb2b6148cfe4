"""Each flaw that was put into folders is found, and nothing in folders without one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fhpt_eval.auditing.audit import audit
from fhpt_eval.auditing.findings import Finding

NAMES = "abcd"


def picture(seed: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 200, (64, 48, 3), dtype=np.uint8))


def save(folder: str, name: str, image: Image.Image, **options: Any) -> None:
    Path(folder).mkdir(exist_ok=True)
    image.save(Path(folder, name), **options)


def fill(folder: str, first: int, change: Callable[[Image.Image], Image.Image] = lambda image: image) -> None:
    for seed, name in enumerate(NAMES, first):
        save(folder, f"{name}.png", change(picture(seed)))


def padded(size: tuple[int, int], at: tuple[int, int] = (8, 0)) -> Callable[[Image.Image], Image.Image]:
    def pad(image: Image.Image) -> Image.Image:
        frame = Image.new("RGB", size, "white")
        frame.paste(image, at)
        return frame

    return pad


@pytest.fixture(autouse=True)
def clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Generated images, targets and sources without a flaw."""
    monkeypatch.chdir(tmp_path)
    fill("mine", 0)
    fill("real", 10)
    fill("src", 20)


def found(*, target: bool = True) -> list[Finding]:
    return list(audit(["mine"], "real" if target else None, "src" if target else None).findings)


def only() -> Finding:
    (finding,) = found()
    return finding


def test_clean_folders_give_nothing_to_look_at() -> None:
    assert found() == []


def test_a_loss_in_storing_is_found_of_generated_images_and_allowed_to_targets() -> None:
    for name in NAMES:
        save("mine", f"{name}.jpg", picture(0), quality=75)
        Path("mine", f"{name}.png").unlink()
        save("mine", f"{name}.jpg", picture(ord(name)), quality=75)
        Path("real", f"{name}.png").unlink()
        save("real", f"{name}.jpg", picture(ord(name) + 50), quality=95)
    assert only() == Finding(
        "mine", "compression", "stored with a loss (JPEG, quality 75, 4:2:0): save as PNG what a model made"
    )


def test_a_jpeg_under_a_name_without_loss_is_found_and_some_losses_among_many() -> None:
    save("mine", "b.png", picture(1), format="JPEG", quality=90)
    finding = only()
    assert (finding.flaw, finding.files) == ("compression", ["b.png"])
    assert finding.what == (
        "some are stored with more loss than others, though 1 of 4 images end as if without: PNG (3),"
        " JPEG, quality 90, 4:2:0 (1)"
    )


def test_formats_without_loss_may_be_mixed() -> None:
    Path("mine/b.png").unlink()
    save("mine", "b.tiff", picture(1))
    assert found() == []


def test_targets_stored_otherwise_are_named() -> None:
    for name in NAMES:
        Path("real", f"{name}.png").unlink()
        save("real", f"{name}.jpg", picture(ord(name)), quality=95)
    assert only() == Finding("mine", "compression", "PNG here, JPEG, quality 95, 4:2:0 in real")


def test_sizes_that_differ_come_with_the_borders() -> None:
    fill("mine", 0, padded((64, 64)))
    assert only() == Finding(
        "mine",
        "sizes",
        "64×64 with white borders of 8 pixels and the target 48×64 for all images: `fhpt-eval run` says whether to crop"
        " or to resize",
    )


def test_borders_of_both_are_borders_and_of_one_side_another_alignment() -> None:
    fill("mine", 0, padded((64, 64)))
    fill("real", 10, padded((64, 64)))
    assert only() == Finding("mine", "borders", "white borders of 8 pixels about all images")
    fill("real", 10, padded((64, 64), (0, 0)))
    assert only() == Finding(
        "mine", "alignment", "white borders of 8 pixels here, white borders of 16 pixels at the right in real"
    )
    assert [finding.flaw for finding in found(target=False)] == ["borders"]


def test_several_sizes_in_a_folder() -> None:
    save("mine", "b.png", picture(1).resize((24, 32)))
    sizes = [finding for finding in found(target=False) if finding.flaw == "sizes"]
    assert sizes == [Finding("mine", "sizes", "pictures of several sizes: 48×64 (3), 24×32 (1)", ["b.png"])]


def transparent(image: Image.Image) -> Image.Image:
    image.putalpha(128)
    return image


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (transparent, "1 of 4 images with transparency, which is put on white here and dropped elsewhere"),
        (lambda image: image.convert("L"), "1 of 4 images with no colours, only grey"),
        (lambda image: image.quantize(8), "1 of 4 images with a palette of 256 colours at most"),
        (
            lambda _: Image.fromarray(np.arange(48 * 64, dtype=np.uint16).reshape(64, 48)),
            "1 of 4 images with samples of 16 bits, of which the high byte counts",
        ),
    ],
)
def test_what_tools_read_differently(change: Callable[[Image.Image], Image.Image], what: str) -> None:
    save("mine", "b.png", change(picture(1)))
    assert Finding("mine", "reading", what, ["b.png"]) in found(target=False)


def test_an_alpha_channel_that_hides_nothing_is_no_transparency() -> None:
    save("mine", "b.png", picture(1).convert("RGBA"))
    assert found(target=False) == []
    assert only().what == "RGB (3), RGBA (1) here, RGB in real"


def test_an_exif_orientation_is_found() -> None:
    exif = Image.Exif()
    exif[0x0112] = 3
    save("mine", "b.png", picture(1), exif=exif)
    finding = only()
    assert finding.what == "1 of 4 images with an EXIF orientation, which is applied here and ignored elsewhere"


def test_copies_of_targets_of_sources_and_of_each_other() -> None:
    for copy, original in (("a", "real/c"), ("b", "src/b"), ("d", "mine/c")):
        Path("mine", f"{copy}.png").write_bytes(Path(f"{original}.png").read_bytes())
    assert found() == [
        Finding("mine", "duplicates", "1 image byte by byte the same as another", ["c.png = d.png"]),
        Finding("mine", "target copies", "1 of 4 images byte by byte the same as one in real", ["a.png"]),
        Finding("mine", "source copies", "1 of 4 images byte by byte the same as one in src", ["b.png"]),
    ]


def test_of_many_copies_of_a_file_three_are_named() -> None:
    for name in "bcdef":
        Path("mine", f"{name}.png").write_bytes(Path("mine/a.png").read_bytes())
    (finding,) = found(target=False)
    assert (finding.what, finding.files) == (
        "5 images byte by byte the same as another",
        ["a.png = b.png = c.png = 3 more"],
    )


def test_what_cannot_be_read_is_left_out_or_has_no_pair_is_named_with_the_reason() -> None:
    Path("mine/b.png").write_bytes(b"")
    Path("mine/c").write_bytes(Path("mine/a.png").read_bytes())
    save("mine", "x.png", picture(99))
    assert found() == [
        Finding("mine", "fewer", "1 image cannot be read", ["b.png: empty file"]),
        Finding("mine", "fewer", "1 image left out", ["c: PNG, but the name does not end as an image's does"]),
        Finding("mine", "fewer", "1 image without a pair in real", ["x: no target image 'x.png'"]),
    ]


def test_folders_without_a_pair_are_one_finding() -> None:
    for name in NAMES:
        Path("mine", f"{name}.png").rename(f"mine/{name}{name}{name}.png")
    assert only() == Finding("mine", "fewer", "no image could be paired by its name with one in real")
