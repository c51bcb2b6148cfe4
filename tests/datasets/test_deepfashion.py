"""Preparing DeepFashion: crops, splits, leakage, and what may lie in the way."""

from __future__ import annotations

import csv
import errno
import hashlib
import json
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fhpt_eval.datasets import deepfashion, leakage, lists
from fhpt_eval.datasets.deepfashion import prepare_deepfashion
from fhpt_eval.datasets.report import Report
from fhpt_eval.errors import UserError
from fhpt_eval.files.atomic import write_atomic
from fhpt_eval.files.regular import read_regular
from fhpt_eval.images.geometry import Geometry
from fhpt_eval.pairing.folders import Folder
from fhpt_eval.pairing.naming import parse_deepfashion

SHARED = Path(__file__).resolve().parents[2] / "../shared/data"
EIGHT = SHARED / "real/deepfashion8/img"
LISTS = SHARED / "deepfashion"
real_photographs = pytest.mark.skipif(not EIGHT.is_dir(), reason="the shared photographs are not here")
real_lists = pytest.mark.skipif(not LISTS.is_dir(), reason="the shared split lists are not here")

# Two items in two colours, a man, and a garment that stands under two categories.
TRAIN = (
    "WOMEN/Dresses/id_00000203/03_1_front",
    "WOMEN/Dresses/id_00000203/03_2_side",
    "MEN/Jackets_Vests/id_00000094/02_2_side",
)
TEST = ("WOMEN/Dresses/id_00000203/01_1_front", "MEN/Suiting/id_00000094/02_1_front")


def flat(path: str) -> str:
    name = parse_deepfashion(path)
    assert name is not None
    return f"{name.flat_name}.jpg"


def draw(file: Path, seed: int, size: tuple[int, int] = (256, 256)) -> None:
    """Save seeded noise of a width and height, a pixel of it as wide as a block: JPEG keeps that."""
    blocks = np.random.default_rng(seed).integers(0, 256, (size[1] // 8 + 1, size[0] // 8 + 1, 3), dtype=np.uint8)
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.kron(blocks, np.ones((8, 8, 1), np.uint8))[: size[1], : size[0]]).save(file, quality=95)


class Given:
    """A small data set in the layout of the archives, and its lists."""

    def __init__(self, root: Path, size: tuple[int, int] = (256, 256)) -> None:
        self.root, self.images, self.output = root, root / "img", root / "out"
        self.train, self.test = root / "given" / "my-train.lst", root / "given" / "my-test.lst"
        for seed, path in enumerate((*TRAIN, *TEST)):
            draw(self.images / f"{path}.jpg", seed, size)
        self.train.parent.mkdir()
        self.list_train(map(flat, TRAIN))
        self.list_test(map(flat, TEST))

    def list_train(self, names: Iterable[str]) -> None:
        self.train.write_text("".join(f"{name}\n" for name in names))

    def list_test(self, names: Iterable[str]) -> None:
        self.test.write_text("".join(f"{name}\n" for name in names))

    def pairs(self, *rows: tuple[str, str], header: str = "from,to") -> Path:
        path = self.root / "given" / "pairs.csv"
        path.write_text("\n".join([header, *(",".join(row) for row in rows)]) + "\n")
        return path

    def prepare(self, **options: object) -> Report:
        return prepare_deepfashion(self.images, self.train, self.test, self.output, **options)  # type: ignore[arg-type]

    def refused(self, **options: object) -> str:
        with pytest.raises(UserError) as error:
            self.prepare(**options)
        (sentence,) = str(error.value).splitlines()
        return sentence


@pytest.fixture
def given(tmp_path: Path) -> Given:
    return Given(tmp_path)


def tree(folder: Path) -> dict[str, bytes]:
    return {f.relative_to(folder).as_posix(): f.read_bytes() for f in folder.rglob("*") if f.is_file()}


def pixels(file: Path) -> np.ndarray:
    with Image.open(file) as image:
        return np.asarray(image.convert("RGB"))


def test_low_res_pictures_become_the_columns_that_patn_takes(given: Given) -> None:
    report = given.prepare()
    for split, paths in (("train", TRAIN), ("test", TEST)):
        made = {file.name for file in (given.output / split).iterdir()}
        assert made == {flat(path).replace(".jpg", ".png") for path in paths}
        for path in paths:
            crop = pixels(given.output / split / flat(path).replace(".jpg", ".png"))
            np.testing.assert_array_equal(crop, pixels(given.images / f"{path}.jpg")[:, 40:216])
    assert (report.archive, report.source_size, report.encoding) == ("low-res", (256, 256), "PNG")
    assert report.geometry == "crop(left=40, top=0, width=176, height=256)"
    assert (report.made, report.missing) == (5, ())


def test_high_res_pictures_are_resized_as_nted_resizes(tmp_path: Path) -> None:
    given = Given(tmp_path, size=(750, 1101))
    report = given.prepare()
    assert (report.archive, report.geometry) == ("high-res", "resize(width=176, height=256, filter=pil-bicubic)")
    for path in TEST:
        with Image.open(given.images / f"{path}.jpg") as image:
            expected = np.asarray(image.resize((176, 256), Image.Resampling.BICUBIC))
        np.testing.assert_array_equal(pixels(given.output / "test" / flat(path).replace(".jpg", ".png")), expected)


@real_photographs
def test_jpg_gives_patns_own_files_and_png_their_pixels_before_the_second_loss(tmp_path: Path) -> None:
    names = sorted(file.relative_to(EIGHT).as_posix() for file in EIGHT.rglob("*.jpg"))
    train, test = tmp_path / "train.lst", tmp_path / "test.lst"
    train.write_text("\n".join(map(flat, names[:5])))
    test.write_text("\n".join(map(flat, names[5:])))
    for image_format in ("jpg", "png"):
        report = prepare_deepfashion(EIGHT, train, test, tmp_path / image_format, image_format=image_format)
        assert report.missing == ()
        assert [report.splits[split].images for split in ("train", "test")] == [5, 3]
    for index, name in enumerate(names):
        split = "train" if index < 5 else "test"
        with Image.open(EIGHT / name) as image:
            crop = image.crop((40, 0, 216, 256))
        crop.save(tmp_path / "patn.jpg")
        ours = tmp_path / "jpg" / split / flat(name)
        np.testing.assert_array_equal(pixels(ours), pixels(tmp_path / "patn.jpg"))
        png = pixels(tmp_path / "png" / split / flat(name).replace(".jpg", ".png"))
        np.testing.assert_array_equal(png, np.asarray(crop))
        stored = Geometry.parse("jpeg(quality=75, subsampling=4:2:0)").apply(png)
        np.testing.assert_array_equal(stored, pixels(ours))


def test_the_folder_holds_what_the_report_says(given: Given) -> None:
    row = (flat(TEST[0]), flat(TEST[1]))
    pairs = given.pairs(row, row[::-1])
    report = given.prepare(test_pairs=pairs)
    assert {name for name in tree(given.output) if "/" not in name} == {
        "train.lst", "test.lst", "pairs-test.csv", "missing.csv", "report.json", "recipe.json", "crops.csv",
    }  # fmt: skip
    assert (given.output / "train.lst").read_bytes() == given.train.read_bytes()
    assert (given.output / "pairs-test.csv").read_bytes() == pairs.read_bytes()
    assert (given.output / "missing.csv").read_text() == "list,row,name,reason\n"
    written = json.loads((given.output / "report.json").read_text())
    assert written == json.loads(report.as_json())
    assert written["lists"]["test.lst"] == hashlib.sha256(given.test.read_bytes()).hexdigest()
    assert written["pairs"] == {"test": {"listed": 2, "complete": 2}}
    assert written["splits"]["train"] == {
        "listed": 3,
        "images": 3,
        "items": 2,
        "item_colours": 2,
        "genders": {"MEN": 1, "WOMEN": 2},
        "views": {"front": 1, "side": 2, "back": 0, "full": 0, "flat": 0, "additional": 0},
    }
    assert str(given.root) not in (given.output / "report.json").read_text()


def test_a_run_finds_the_crops_by_the_names_of_the_lists(given: Given) -> None:
    given.prepare()
    assert Folder(given.output / "test", "target").find(flat(TEST[0])) == (flat(TEST[0]).replace(".jpg", ".png"),)


def test_names_are_found_in_any_spelling_and_keep_that_of_the_list(given: Given) -> None:
    file = given.images / f"{TRAIN[2]}.jpg"
    file.rename(given.images / flat(TRAIN[2]).replace("_Vests", "Vests"))
    given.list_test([flat(TEST[0]), "MEN_Suiting_id_00000094_02_1_front.jpg", "", "  "])
    report = given.prepare()
    assert report.missing == ()
    assert (given.output / "test/MEN_Suiting_id_00000094_02_1_front.png").is_file()


def test_leakage_is_found_from_the_same_file_to_the_same_garment(given: Given) -> None:
    copied = given.images / "WOMEN/Skirts/id_00000629/04_3_back.jpg"
    copied.parent.mkdir(parents=True)
    copied.write_bytes((given.images / f"{TRAIN[1]}.jpg").read_bytes())
    given.list_test([*map(flat, TEST), flat(TRAIN[0]), "fashionWOMENSkirtsid0000062904_3back.jpg"])
    leaks = {leak.level: leak for leak in given.prepare().leakage}
    counts = {level: (leak.shared, leak.train_images, leak.test_images) for level, leak in leaks.items()}
    assert counts == {
        "file_name": (1, 1, 1),
        "file_content": (2, 2, 2),
        "item_colour": (1, 2, 1),
        "item_colour_any_category": (2, 3, 2),
        "item": (1, 2, 2),
        "item_any_category": (2, 3, 3),
    }
    item = leaks["item"]
    assert (item.train_share, item.test_share) == (2 / 3, 1 / 2)
    assert item.examples == (
        leakage.LeakedPair("WOMEN/Dresses/id_00000203", flat(TRAIN[0]), min(flat(TEST[0]), flat(TRAIN[0]))),
    )
    twins = {(example.train, example.test) for example in leaks["file_content"].examples}
    assert twins == {(flat(TRAIN[0]), flat(TRAIN[0])), (flat(TRAIN[1]), "fashionWOMENSkirtsid0000062904_3back.jpg")}
    assert (given.output / "train" / flat(TRAIN[0]).replace(".jpg", ".png")).is_file()
    assert (given.output / "test" / flat(TRAIN[0]).replace(".jpg", ".png")).is_file()


def test_splits_without_anything_in_common_do_not_leak(given: Given) -> None:
    given.list_train([flat(TRAIN[2])])
    given.list_test([flat(TEST[0])])
    report = given.prepare()
    assert all((leak.shared, leak.test_share, leak.examples) == (0, 0.0, ()) for leak in report.leakage)


@real_lists
def test_the_fields_own_split_leaks_as_set_arithmetic_says() -> None:
    names = {split: (LISTS / f"{split}.lst").read_text().split() for split in ("train", "test")}
    read = {split: lists.read_split_list(LISTS / f"{split}.lst", f"--{split}").images for split in names}
    assert (len(read["train"]), len(read["test"])) == (48_674, 4_038)

    # "fashion" + gender + category + "id" + 8 digits of the id, 2 of the colour + "_" + view
    person = {split: [name.rpartition("_")[0] for name in listed] for split, listed in names.items()}
    cuts: dict[str, Callable[[str], str]] = {
        "item_colour": lambda text: text,
        "item_colour_any_category": lambda text: text[-10:],
        "item": lambda text: text[:-2],
        "item_any_category": lambda text: text[-10:-2],
    }
    pictures = {
        split: [leakage.Picture(listed.name, listed.shows, listed.name) for listed in images]
        for split, images in read.items()
    }
    leaks = {leak.level: leak for leak in leakage.find_leakage(pictures["train"], pictures["test"])}
    for level, cut in cuts.items():
        train, test = ([cut(text) for text in person[split]] for split in ("train", "test"))
        both = set(train) & set(test)
        leak = leaks[level]
        assert leak.shared == len(both)
        assert leak.train_images == sum(key in both for key in train)
        assert leak.test_images == sum(key in both for key in test)
        assert len(leak.examples) == min(len(both), 10)
    # What is known of this split; by category, no item and colour is in both, but 15 are under another category.
    assert leaks["file_name"].shared == leaks["item_colour"].shared == 0
    assert leaks["item_colour_any_category"].shared == 15
    assert (leaks["item"].shared, leaks["item_any_category"].shared) == (503, 513)


@real_lists
def test_the_fields_own_pairs_are_read() -> None:
    pairs = lists.read_list_of_pairs(LISTS / "test_pairs.csv", "--test-pairs").pairs
    assert len(pairs) == 8570
    assert len({source.name for source, _ in pairs}) == 3144


def test_what_is_not_there_or_not_readable_is_named_and_never_replaced(given: Given) -> None:
    absent = "fashionWOMENSkirtsid0000062904_3back.jpg"
    given.list_train([*map(flat, TRAIN), absent])
    broken, small = (given.images / f"{path}.jpg" for path in TRAIN[:2])
    broken.write_bytes(broken.read_bytes()[:2000])
    draw(small, 7, size=(128, 256))
    pairs = given.pairs((flat(TEST[0]), flat(TEST[1])), (flat(TRAIN[2]), absent), (flat(TRAIN[2]), flat(TEST[0])))
    report = given.prepare(train_pairs=pairs)
    rows = [(row.list, row.row, row.name, row.reason) for row in report.missing]
    assert rows == [
        ("train", 1, flat(TRAIN[0]), "truncated JPEG"),
        ("train", 2, flat(TRAIN[1]), "128×256 pixels, not the 256×256 of the low-res archive"),
        ("train", 4, absent, "no file shows it"),
        ("pairs-train", 2, flat(TEST[0]), "not in train.lst"),
        ("pairs-train", 2, flat(TEST[1]), "not in train.lst"),
        ("pairs-train", 3, absent, "no crop, see train"),
        ("pairs-train", 4, flat(TEST[0]), "not in train.lst"),
    ]
    with (given.output / "missing.csv").open(newline="") as stream:
        listed = list(csv.reader(stream))
    assert listed == [["list", "row", "name", "reason"], *([*map(str, row)] for row in rows)]
    assert [file.name for file in (given.output / "train").iterdir()] == [flat(TRAIN[2]).replace(".jpg", ".png")]
    assert (report.splits["train"].listed, report.splits["train"].images) == (4, 1)
    assert (report.pairs["train"].listed, report.pairs["train"].complete) == (3, 0)


def test_a_file_that_may_not_be_read_is_named(given: Given, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbid(path: Path) -> bytes:
        if path == given.images / f"{TRAIN[0]}.jpg":
            raise PermissionError(errno.EACCES, "Permission denied")
        return read_regular(path)

    monkeypatch.setattr(deepfashion, "read_regular", forbid)
    assert [row.reason for row in given.prepare().missing] == ["cannot be read (Permission denied)"]


def test_a_picture_in_two_files_is_not_guessed(given: Given) -> None:
    draw(given.images / "copy" / flat(TRAIN[0]), 9)
    (row,) = given.prepare().missing
    assert (row.name, row.reason) == (
        flat(TRAIN[0]),
        f"several files show it: {TRAIN[0]}.jpg and copy/{flat(TRAIN[0])}",
    )


def test_one_picture_of_the_other_archive_does_not_decide(given: Given) -> None:
    draw(given.images / f"{TRAIN[0]}.jpg", 0, size=(750, 1101))
    report = given.prepare()
    assert report.archive == "low-res"
    assert [row.reason for row in report.missing] == ["750×1101 pixels, not the 256×256 of the low-res archive"]


def test_a_stopped_call_goes_on_and_gives_the_same(given: Given, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = given.root / "whole"
    prepare_deepfashion(given.images, given.train, given.test, whole)

    def stop(path: Path, content: str | bytes) -> None:
        if path.parent.name == "test":
            raise KeyboardInterrupt
        write_atomic(path, content)

    with monkeypatch.context() as patch:
        patch.setattr("fhpt_eval.files.owned_folder.write_atomic", stop)
        with pytest.raises(KeyboardInterrupt):
            given.prepare()
    assert not (given.output / "report.json").exists()
    kept = {file: file.stat().st_mtime_ns for file in (given.output / "train").iterdir()}
    assert len(kept) == 3
    # What a kill in the middle of a write leaves.
    (given.output / "test" / f".{flat(TEST[0]).replace('.jpg', '.png')}.abc123").write_bytes(b"half")
    (given.output / ".crops.csv.abc123").write_bytes(b"half")
    report = given.prepare()
    assert report.made == 2
    assert {file: file.stat().st_mtime_ns for file in kept} == kept
    assert tree(given.output) == tree(whole)

    again = given.prepare()
    assert again.made == 0
    assert tree(given.output) == tree(whole)


def test_a_crop_of_a_source_that_changed_is_made_again(given: Given) -> None:
    given.prepare()
    changed = given.images / f"{TRAIN[0]}.jpg"
    draw(changed, 99)
    report = given.prepare()
    assert (report.made, report.missing) == (1, ())
    crop = given.output / "train" / flat(TRAIN[0]).replace(".jpg", ".png")
    np.testing.assert_array_equal(pixels(crop), pixels(changed)[:, 40:216])


def test_a_crop_of_a_source_that_cannot_be_read_any_more_is_missing(given: Given) -> None:
    given.prepare()
    (given.images / f"{TRAIN[0]}.jpg").write_bytes(b"junk")
    report = given.prepare()
    assert [(row.list, row.row, row.reason) for row in report.missing] == [("train", 1, "not an image (found text)")]
    assert report.splits["train"].images == 2
    crop = flat(TRAIN[0]).replace(".jpg", ".png")
    assert not (given.output / "train" / crop).exists()
    assert crop not in (given.output / "crops.csv").read_text()


def test_a_crop_that_is_damaged_is_made_again(given: Given) -> None:
    given.prepare()
    whole = tree(given.output)
    crop = given.output / "test" / flat(TEST[0]).replace(".jpg", ".png")
    crop.write_bytes(crop.read_bytes()[:1000])
    assert given.prepare().made == 1
    assert tree(given.output) == whole


@pytest.mark.parametrize("content", [b"", b'\xff\x00\n"', b"crop,source_sha256,crop_sha256\ntrain/x.png,1\n"])
def test_what_is_of_unknown_origin_is_made_again(given: Given, content: bytes) -> None:
    given.prepare()
    whole = tree(given.output)
    (given.output / "crops.csv").write_bytes(content)
    assert given.prepare().made == 5
    assert tree(given.output) == whole


def test_pairs_stay_where_a_later_call_does_not_give_them(given: Given) -> None:
    pairs = given.pairs((flat(TEST[0]), flat(TEST[1])))
    given.prepare(test_pairs=pairs)
    whole = tree(given.output)
    assert given.prepare().pairs["test"].complete == 1
    assert tree(given.output) == whole
    # Their own copy may be given, too, even where everything else is made again.
    for overwrite in (False, True):
        given.prepare(test_pairs=given.output / "pairs-test.csv", overwrite=overwrite)
        assert tree(given.output) == whole
    pairs.write_text(f"from,to\n{flat(TEST[1])},{flat(TEST[0])}\n")
    given.prepare(test_pairs=pairs)
    assert (given.output / "pairs-test.csv").read_bytes() == pairs.read_bytes()


def test_pairs_in_a_folder_of_somebody_else_are_not_taken(given: Given) -> None:
    given.output.mkdir()
    (given.output / "pairs-test.csv").write_text("mine")
    (given.output / "recipe.json").write_text("[" * 100_000)
    assert "was not made by" in given.refused()


def test_a_full_disk_leaves_nothing_half_written(given: Given, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        if Path(f"/proc/self/fd/{descriptor}").readlink().parent.name == "test":
            raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("fhpt_eval.files.atomic.os.fsync", full)
        sentence = given.refused()
    assert "No space left on device" in sentence
    assert list((given.output / "test").iterdir()) == []
    assert not (given.output / "report.json").exists()
    assert given.prepare().missing == ()


def test_overwrite_makes_everything_anew(given: Given) -> None:
    given.prepare(test_pairs=given.pairs((flat(TEST[0]), flat(TEST[1]))))
    draw(given.images / f"{TRAIN[0]}.jpg", 99)
    given.list_test([flat(TEST[0])])
    assert "test.lst" in given.refused()
    report = given.prepare(overwrite=True, image_format="jpg")
    assert report.made == 4
    assert sorted(tree(given.output)) == sorted(
        [f"test/{flat(TEST[0])}", "crops.csv", "missing.csv", "recipe.json", "report.json", "test.lst", "train.lst"]
        + [f"train/{flat(path)}" for path in TRAIN]
    )


def test_a_folder_with_another_recipe_is_not_mixed(given: Given) -> None:
    given.prepare()
    before = tree(given.output)
    assert given.refused(image_format="jpg") == (
        f"{given.output} was made otherwise (encoding PNG there and JPEG (quality 75, 4:2:0) here): choose another"
        " folder with -o, or make it again with --overwrite."
    )
    assert tree(given.output) == before


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("name", ["notes.txt", "train/me.png", "train/folder", "test/notes.txt"])
def test_foreign_files_are_refused_and_nothing_is_touched(given: Given, name: str, overwrite: bool) -> None:
    given.prepare()
    foreign = given.output / name
    if name.endswith("folder"):
        foreign.mkdir()
    else:
        foreign.write_text("mine")
    before = tree(given.output)
    assert given.refused(overwrite=overwrite).startswith(f"{foreign} was not made by `fhpt-eval data deepfashion`")
    assert tree(given.output) == before


def test_a_picture_that_no_list_has_is_foreign(given: Given) -> None:
    given.prepare()
    stray = given.output / "train" / "fashionWOMENSkirtsid0000062904_3back.png"
    stray.write_bytes(b"mine")
    before = tree(given.output)
    assert given.refused().startswith(f"{stray} was not made")
    assert tree(given.output) == before


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_folder_of_somebody_elses_crops_is_refused(given: Given, overwrite: bool) -> None:
    theirs = given.output / "train" / flat(TRAIN[0])
    draw(theirs, 0)
    before = tree(given.output)
    assert "was not made by" in given.refused(overwrite=overwrite)
    assert tree(given.output) == before


def test_nothing_is_written_through_a_link(given: Given) -> None:
    given.prepare()
    elsewhere = given.root / "elsewhere"
    (given.output / "test").rename(elsewhere)
    (given.output / "test").symlink_to(elsewhere)
    before = tree(elsewhere)
    assert "was not made by" in given.refused(overwrite=True)
    assert tree(elsewhere) == before


def test_an_output_among_the_images_is_refused(given: Given) -> None:
    given.output = given.images / "crops"
    assert "lies in the folder of images" in given.refused()
    assert not given.output.exists()


def test_an_output_that_is_a_file_is_refused(given: Given) -> None:
    given.output.write_text("mine")
    assert given.refused() == f"cannot write to {given.output} (File exists): choose another folder with -o."


@pytest.mark.parametrize(
    "name",
    [
        f"../../{flat(TRAIN[0])}",
        f"/tmp/{flat(TRAIN[0])}",  # noqa: S108
        f"{TRAIN[0]}.jpg",
    ],
)
def test_a_list_with_folders_in_its_names_is_refused(given: Given, name: str) -> None:
    given.list_train([flat(TRAIN[1]), name])
    assert given.refused() == (
        f"{given.train}, line 2: {name!r} has a folder in it; write flat names like {flat(TRAIN[0])}."
    )
    assert not given.output.exists()


@pytest.mark.parametrize("name", ["photo.jpg", "..", "a\x00b", flat(TRAIN[0]).replace("/", "\\") + "\\..\\x.jpg"])
def test_a_line_that_names_nothing_known_is_refused(given: Given, name: str) -> None:
    given.list_train([flat(TRAIN[1]), "", name])
    assert given.refused().startswith(f"{given.train}, line 3: {name!r} names no DeepFashion picture;")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "lists no images"),
        (b"\n\n", "lists no images"),
        (b"fashion\xff\n", "is not UTF-8 text (byte 7)"),
        (f"{flat(TRAIN[0])}\n{flat(TRAIN[0])}\n".encode(), "line 2: "),
        (f"{flat(TRAIN[0])}\n{flat(TRAIN[0])[:-4]}.png\n".encode(), "is already listed in line 1; keep one"),
    ],
)
def test_a_list_that_is_no_list_is_refused(given: Given, content: bytes, told: str) -> None:
    given.test.write_bytes(content)
    sentence = given.refused()
    assert sentence.startswith(str(given.test))
    assert told in sentence


def test_a_list_may_come_from_windows(given: Given) -> None:
    given.train.write_bytes(b"\xef\xbb\xbf" + "".join(f"{flat(path)}\r\n" for path in TRAIN).encode())
    assert given.prepare().missing == ()


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "expects a CSV with the header from,to"),
        ("a.jpg,b.jpg\n", "expects a CSV with the header from,to"),
        ("from,to\n", "lists no pairs"),
        (f"from,to\n{flat(TEST[0])}\n", "row 2: 1 cells where the header has 2"),
        (f"from,to\n\n{flat(TEST[0])},b.jpg\n", "row 3: 'b.jpg' names no DeepFashion picture"),
        (f'from,to\n"{flat(TEST[0])},b.jpg\n', "not readable as CSV"),
    ],
)
def test_a_list_of_pairs_that_is_none_is_refused(given: Given, content: str, told: str) -> None:
    path = given.pairs()
    path.write_text(content)
    sentence = given.refused(test_pairs=path)
    assert sentence.startswith(str(path))
    assert told in sentence
    assert not given.output.exists()


def test_pairs_may_have_their_columns_the_other_way_round(given: Given) -> None:
    path = given.pairs((flat(TEST[1]), flat(TEST[0])), header="to\tfrom")
    path.write_text(path.read_text().replace(",", "\t"))
    ((source, target),) = lists.read_list_of_pairs(path, "--test-pairs").pairs
    assert (source.name, target.name) == (flat(TEST[0]), flat(TEST[1]))


@pytest.mark.parametrize("option", ["train", "test"])
def test_a_list_that_is_not_there_is_named(given: Given, option: str) -> None:
    getattr(given, option).unlink()
    assert given.refused() == (
        f"{getattr(given, option)} cannot be read (No such file or directory); check --{option}."
    )


def test_a_folder_that_is_not_there_is_named(given: Given) -> None:
    given.images = given.root / "imgs"
    assert given.refused().startswith(f"{given.images} is no folder: --images expects the folder img or img_highres")


def test_a_folder_below_the_right_one_is_told_what_is_expected(given: Given) -> None:
    given.images = given.images / "WOMEN"
    sentence = given.refused()
    assert sentence.startswith(f"{given.images} holds no DeepFashion images: ")
    assert "WOMEN/Dresses/id_00000203/03_1_front.jpg" in sentence


def test_a_folder_with_other_pictures_than_the_lists_is_told(given: Given) -> None:
    given.list_train(["fashionWOMENSkirtsid0000062904_3back.jpg"])
    given.list_test(["fashionWOMENSkirtsid0000062904_1front.jpg"])
    assert "holds none of the listed images, 'fashionWOMENSkirtsid0000062904_3back.jpg'" in given.refused()


def test_pictures_of_neither_archive_are_refused(tmp_path: Path) -> None:
    given = Given(tmp_path, size=(176, 256))
    assert given.refused() == (
        f"the images in {given.images} are 176×256, neither 256×256 (img) nor 750×1101 (img_highres): give the folder"
        " of an archive as it is."
    )


def test_an_unknown_format_is_refused(given: Given) -> None:
    assert given.refused(image_format="jpeg") == "there is no --format 'jpeg'. Did you mean 'jpg'?"


def test_progress_counts_every_picture(given: Given) -> None:
    calls: list[tuple[str, int, int]] = []
    given.prepare(progress=lambda *call: calls.append(call))
    assert calls == [("cropping", done, 5) for done in range(1, 6)]


def test_the_archives_are_described_as_geometry_reads_them() -> None:
    for archive in deepfashion.ARCHIVES:
        assert Geometry.parse(str(archive.geometry)) == archive.geometry
        width, height = archive.size
        assert archive.geometry.apply(np.zeros((height, width, 3), np.uint8)).shape == (256, 176, 3)
