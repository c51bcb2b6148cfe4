"""The data set writer, read back with the project's own parsers."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields, replace
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from processes import alive, started, wait_until
from synthetic import toy_people
from synthetic.toy_people import DEADLY, LABELS, TOY, WITHOUT_ROOM

from fhpt_eval.datasets.lists import read_list_of_pairs
from fhpt_eval.errors import Unavailable, UserError
from fhpt_eval.pairing.folders import Folder
from fhpt_eval.pairing.lists import read_pair_list
from fhpt_eval.pairing.naming import parse_deepfashion
from fhpt_eval.pairing.pairs import Pairs
from fhpt_eval.people.keypoint_files import KeypointFiles
from fhpt_eval.synthetic import rendering
from fhpt_eval.synthetic.card import count_photographs, data_card
from fhpt_eval.synthetic.dataset import Made, make
from fhpt_eval.synthetic.dataset_folder import DataSetFolder
from fhpt_eval.synthetic.photograph import Photograph
from fhpt_eval.synthetic.shots import VIEWS, Shot, pairs_of, plan_shots
from fhpt_eval.synthetic.truth import HIDDEN, OUTSIDE, VISIBLE, Truth
from fhpt_eval.training.labels import read_labels

SIZE = (48, 32)


def write(folder: Path, **options: Any) -> Made:
    chosen = {"identities": 4, "views": 5, "seed": 3, "size": SIZE, "workers": 1, "renderer": TOY, **options}
    return make(folder, **chosen)


def refused(folder: Path, **options: Any) -> str:
    with pytest.raises(UserError) as error:
        write(folder, **options)
    (sentence,) = str(error.value).splitlines()
    return sentence


def tree(folder: Path) -> dict[str, bytes]:
    return {f.relative_to(folder).as_posix(): f.read_bytes() for f in sorted(folder.rglob("*")) if f.is_file()}


def plan(identities: int = 4, views: int = 5, seed: int = 3) -> tuple[Shot, ...]:
    return plan_shots(lambda number: toy_people.sample_identity(seed, number), identities, views, seed)  # type: ignore[arg-type,return-value]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished data set; not to be changed."""
    folder = tmp_path_factory.mktemp("whole") / "set"
    write(folder)
    return folder


@pytest.fixture
def copy(whole: Path, tmp_path: Path) -> Path:
    for name, content in tree(whole).items():
        file = tmp_path / "set" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    return tmp_path / "set"


def truths(folder: Path) -> list[Truth]:
    rows = [Truth.parse(line) for line in (folder / "truth.jsonl").read_bytes().splitlines()]
    assert None not in rows
    return [row for row in rows if row is not None]


def drawn(shot: Shot) -> Any:
    person = toy_people.sample_identity(3, shot.identity)
    return toy_people.photograph(person, shot.item, shot.view, shot.seed, SIZE)


# The plan


@pytest.mark.parametrize("views", [*range(2, 16), 17, 32])
def test_each_person_has_v_photographs_spread_over_their_garments(views: int) -> None:
    for number in range(1, 5):
        shots = [shot for shot in plan(views=views) if shot.identity == number]
        assert len(shots) == len({shot.name for shot in shots}) == views
        of_item = Counter(shot.item for shot in shots)
        assert list(of_item) == list(range(min(3, views // 2)))
        assert min(of_item.values()) >= 2
        assert max(of_item.values()) - min(of_item.values()) <= 1
        for item in of_item:
            seen = [(shot.shows.colour, VIEWS.index(shot.view)) for shot in shots if shot.item == item]
            assert seen[0] == ("01", VIEWS.index("front"))
            assert seen == sorted(set(seen))
            # A view is photographed again only when all have been.
            assert Counter(take for take, _ in seen).most_common()[-1][1] == (of_item[item] - 1) % len(VIEWS) + 1
            assert len({take for take, _ in seen}) == -(-of_item[item] // len(VIEWS))


def test_every_garment_has_an_id_of_its_own_in_the_persons_gender_and_category() -> None:
    items = {shot.shows.item_id: (shot.identity, shot.item) for shot in plan(views=6)}
    assert list(items) == [f"id_{number:08}" for number in range(1, 13)]
    assert len(set(items.values())) == 12
    for shot in plan(views=6):
        person = toy_people.sample_identity(3, shot.identity)
        assert (shot.shows.gender, shot.shows.category) == (person.gender, person.items[shot.item].category)
        assert parse_deepfashion(f"img/{shot.name}") == shot.shows


def test_views_are_drawn_and_a_larger_plan_keeps_the_photographs_of_a_smaller_one() -> None:
    drawn_views = Counter(shot.view for shot in plan(identities=200, views=2))
    assert drawn_views["front"] == 200
    assert min(drawn_views[view] for view in VIEWS[1:]) > 25
    few = {shot.name: shot.seed for shot in plan(views=8)}
    many = {shot.name: shot.seed for shot in plan(identities=9, views=22)}
    assert few.items() <= many.items()
    assert len(set(many.values())) == len(many)
    assert {shot.seed for shot in plan(seed=4)}.isdisjoint(few.values())


@pytest.mark.parametrize(
    ("identities", "test"), [(1, 0), (2, 1), (10, 1), (14, 1), (15, 2), (24, 2), (100, 10), (203, 20)]
)
def test_a_tenth_of_the_people_are_the_test_split(identities: int, test: int) -> None:
    split = {shot.identity: shot.split for shot in plan(identities=identities, views=2)}
    assert [split[number] for number in range(1, identities + 1)] == ["train"] * (identities - test) + ["test"] * test


@pytest.mark.parametrize("views", [7, 20])
def test_pairs_are_all_of_an_item_in_both_directions(views: int) -> None:
    shots = plan(views=views)
    items: dict[str, list[str]] = {}
    for shot in shots:
        items.setdefault(shot.shows.item, []).append(shot.name)
    expected = [pair for names in items.values() for pair in permutations(names, 2)]
    assert [(source.name, target.name) for source, target in pairs_of(shots)] == expected


# What is written


def test_the_tree_holds_what_the_plan_says(whole: Path) -> None:
    stems = [shot.stem for shot in plan()]
    lists = {f"{split}-{kind}.csv" for split in ("train", "test") for kind in ("annotation", "labels", "pairs")}
    assert set(tree(whole)) == {
        *(f"img/{stem}.jpg" for stem in stems),
        *(f"masks/{stem}.png" for stem in stems),
        *(f"openpose/{stem}_keypoints.json" for stem in stems),
        *lists,
        *("truth.jsonl", "recipe.json", "README.md"),
    }
    assert stems[0] == "MEN/Pants/id_00000001/01_1_front"
    assert len(stems) == 20


def test_images_are_jpeg_of_quality_95_without_subsampling_and_masks_hold_the_classes(whole: Path) -> None:
    for shot in plan():
        expected = drawn(shot)
        with Image.open(whole / "img" / shot.name) as image:
            assert (image.format, image.mode, image.size) == ("JPEG", "RGB", SIZE[::-1])
            assert {layer[1:3] for layer in image.layer} == {(1, 1)}
            assert max(image.quantization[0]) <= 12
            assert np.abs(np.asarray(image).astype(int) - expected.pixels).mean() < 4
        with Image.open(whole / "masks" / f"{shot.stem}.png") as mask:
            assert (mask.format, mask.mode) == ("PNG", "P")
            np.testing.assert_array_equal(np.asarray(mask), expected.labels)
            assert np.reshape(mask.getpalette(), (-1, 3))[:3].tolist() == [[0, 0, 0], [128, 0, 0], [0, 128, 0]]


def test_photographic_images_are_blurred_noisy_and_compressed_and_all_else_stays(whole: Path, tmp_path: Path) -> None:
    folder = tmp_path / "set"
    write(folder, photographic=True)
    qualities = set()
    for shot in plan():
        with Image.open(folder / "img" / shot.name) as image:
            assert {layer[1:3] for layer in image.layer} == {(2, 2), (1, 1)}
            qualities.add(tuple(image.quantization[0]))
    assert len(qualities) > 5
    assert {n: c for n, c in tree(folder).items() if n.startswith(("masks", "openpose"))} == {
        n: c for n, c in tree(whole).items() if n.startswith(("masks", "openpose"))
    }
    assert json.loads((folder / "recipe.json").read_text())["photographic"] is True
    assert "--size 48x32 --photographic\n" in (folder / "README.md").read_text()
    assert "photographic" in refused(folder)


def test_label_colours_are_those_of_pascal_voc() -> None:
    colours = rendering.label_colours()
    assert colours[[0, 1, 2, 3, 8, 15, 20]].tolist() == [
        *([0, 0, 0], [128, 0, 0], [0, 128, 0], [128, 128, 0], [64, 0, 0], [192, 128, 128], [0, 64, 128])
    ]
    assert len({tuple(colour) for colour in colours.tolist()}) == 256


def test_the_truth_is_what_the_renderer_told(whole: Path) -> None:
    rows = truths(whole)
    assert [row.name for row in rows] == [shot.name for shot in plan()]
    for shot, row in zip(plan(), rows, strict=True):
        expected = drawn(shot)
        np.testing.assert_allclose(row.body, expected.body, atol=5.1e-4, rtol=0)
        np.testing.assert_allclose(row.face, expected.face, atol=5.1e-4, rtol=0)
        np.testing.assert_allclose(row.hands, expected.hands, atol=5.1e-4, rtol=0)
        assert (row.face_box, row.pose, row.view) == (expected.face_box, expected.pose, shot.view)
        assert (row.identity, row.item, row.gender) == (shot.identity, shot.shows.item, shot.shows.gender)
        assert (row.split, row.height, row.width) == (shot.split, *SIZE)
    assert {point[2] for row in rows for point in row.body} == {VISIBLE, HIDDEN, OUTSIDE}
    assert None in [row.face_box for row in rows]


def test_pandas_reads_the_truth_in_one_line(whole: Path) -> None:
    table = pd.read_json(whole / "truth.jsonl", lines=True)
    assert len(table) == 20
    assert np.array(table.body.tolist()).shape == (20, 18, 3)
    assert np.array(table.face.tolist()).shape == (20, 68, 3)
    assert np.array(table.hands.tolist()).shape == (20, 2, 21, 3)
    assert table.groupby("split").identity.unique().map(list).to_dict() == {"test": [4], "train": [1, 2, 3]}


def expected_points(rows: Any) -> np.ndarray:
    """What a reader has of points: those that are seen, the centre of the first pixel at 0.5."""
    points = np.array(rows, dtype=np.float32)
    seen = points[:, 2] == VISIBLE
    return np.where(seen[:, None], np.column_stack([points[:, :2] + 0.5, seen]), [np.nan, np.nan, 0])


def test_openpose_files_tell_what_is_seen(whole: Path) -> None:
    files = KeypointFiles.at(whole / "openpose")
    assert (files.form, files.parts, len(files.records)) == ("openpose-json", ("body", "face", "hands"), 20)
    for row in truths(whole):
        key = files.key(row.name)
        assert key is not None
        record = files.records[key]
        np.testing.assert_allclose(record["body"], expected_points(row.body), atol=1e-4)
        np.testing.assert_allclose(record["face"], expected_points(row.face), atol=1e-4)
        for side in (0, 1):
            np.testing.assert_allclose(record["hands"][side], expected_points(row.hands[side]), atol=1e-4)


def test_annotation_lists_have_whole_pixels_of_the_joints_that_are_seen(whole: Path) -> None:
    for split in ("train", "test"):
        path = whole / f"{split}-annotation.csv"
        files = KeypointFiles.at(path)
        rows = [row for row in truths(whole) if row.split == split]
        assert (files.form, len(files.records)) == ("annotations", len(rows))
        for row in rows:
            key = files.key(f"img/{row.name}")
            assert key is not None
            body, expected = files.records[key]["body"], expected_points(row.body)
            np.testing.assert_array_equal(np.isnan(body), np.isnan(expected))
            assert np.nanmax(np.abs(body - expected)) <= 0.5 + 1e-4
            assert np.nanmin(body[:, :2]) >= 0.5
            assert (np.nanmax(body[:, :2], axis=0) <= (31.5, 47.5)).all()
        table = pd.read_csv(path, sep=":")
        assert list(table.columns) == ["name", "keypoints_y", "keypoints_x"]
        assert json.loads(table.keypoints_x[0])[0] in (-1, *range(32))


def test_label_lists_are_what_the_gender_training_reads(whole: Path) -> None:
    for split in ("train", "test"):
        labelled = read_labels(whole / "img", whole / f"{split}-labels.csv")
        assert labelled.left_out == {}
        rows = [row for row in truths(whole) if row.split == split]
        assert {(e.ref.name, e.gender, e.item) for e in labelled.examples} == {(r.name, r.gender, r.item) for r in rows}


def test_points_on_the_border_stay_in_the_frame() -> None:
    row = replace(TRUTH, body=((31.4999, -0.5, VISIBLE), (-0.4, 47.5, VISIBLE), *TRUTH.body[2:]))
    name, y, x = row.annotation().split(": ")
    assert name == TRUTH.name
    assert (json.loads(y)[:3], json.loads(x)[:3]) == ([0, 47, -1], [31, 0, -1])


TRUTH = Truth(
    name="MEN/Pants/id_00000001/01_1_front.jpg", split="train", gender="MEN", identity=1, item="MEN/Pants/id_00000001",
    view="front", pose="standing", height=48, width=32, face_box=None, body=((3.0, 4.0, HIDDEN),) * 18,
    face=((0.0, 0.0, OUTSIDE),) * 68, hands=(((0.0, 0.0, OUTSIDE),) * 21,) * 2, sha256={},
)  # fmt: skip


def test_pair_lists_are_read_and_their_images_found(whole: Path) -> None:
    images = Folder(whole / "img", "source")
    for split, shots in (("train", plan()[:15]), ("test", plan()[15:])):
        path = whole / f"{split}-pairs.csv"
        listed = read_pair_list(path, whole, whole / "img", whole / "img")
        expected = list(pairs_of(shots))
        assert [(pair.source, pair.target) for pair in listed.pairs] == [(a.name, b.name) for a, b in expected]
        for pair, (_, target) in zip(listed.pairs, expected, strict=True):
            assert (pair.item, pair.gender, pair.view) == (target.shows.item, target.shows.gender, target.view)
            assert images.find(pair.source) == (pair.source,)
        assert len(read_list_of_pairs(path, "--pairs").pairs) == len(expected)
        people = pd.read_csv(path).identity.unique()
        assert set(people) == {shot.identity for shot in shots}


def test_a_run_scores_the_pairs(whole: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    pairs = list(pairs_of(plan()[15:]))
    for source, target in pairs:
        name = f"{source.shows.flat_name}_2_{target.shows.flat_name}_vis.png"
        (tmp_path / "mine" / name).write_bytes((whole / "img" / target.name).read_bytes())
    images = whole / "img"
    table = Pairs.from_csv(whole / "test-pairs.csv", tmp_path / "mine", images, images).table
    found = {
        (Path(a), Path(b), item) for a, b, item in zip(table["source"], table["target"], table["item"], strict=True)
    }
    assert found == {(images / source.name, images / target.name, source.shows.item) for source, target in pairs}


def test_the_card_tells_how_it_was_made_and_what_it_holds(whole: Path) -> None:
    card = (whole / "README.md").read_text(encoding="utf-8")
    assert "\nfhpt-eval synth -o DIR --identities 4 --views 5 --seed 3 --size 48x32\n" in card
    for row in ("| identities | 3 | 1 |", "| items | 6 | 2 |", "| images | 15 | 5 |", "| pairs | 24 | 8 |"):
        assert row in card
    for number, name in enumerate(LABELS):
        assert f"| {number} | {name} |" in card
    assert "CC0" in card
    assert "## Measured" not in card
    assert str(whole) not in "".join(str(content) for content in tree(whole).values())


def test_the_card_has_a_place_for_what_detectors_find() -> None:
    counts = count_photographs([TRUTH], [])
    card = data_card({"size": "48x32"}, {"train": counts, "test": counts}, LABELS, {"bodies found": "98.5 %"})
    assert "\n## Measured\n\n| what | value |\n| --- | --- |\n| bodies found | 98.5 % |\n\n## Limits\n" in card


def test_one_person_has_no_test_split(tmp_path: Path) -> None:
    done = write(tmp_path / "set", identities=1, views=2)
    assert (done.made, done.splits["train"].images, done.splits["test"].images) == (2, 2, 0)
    assert (tmp_path / "set" / "test-pairs.csv").read_text() == "from,to,identity,item,gender,view\n"


# The same bytes, however they came about


def test_two_workers_and_a_wider_machine_write_the_same_bytes(whole: Path, tmp_path: Path) -> None:
    seen: list[tuple[str, int, int]] = []
    done = write(tmp_path / "set", workers=2, progress=lambda *step: seen.append(step))
    assert tree(tmp_path / "set") == tree(whole)
    assert (done.made, done.kept) == (20, 0)
    assert seen == [("rendering", number, 20) for number in range(1, 21)]


def test_workers_have_one_maths_thread_each_and_this_process_what_it_had(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "7")
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    take: Any = toy_people.alone
    write(tmp_path / "set", identities=2, views=2, renderer=replace(TOY, photograph=take))
    with Image.open(tmp_path / "set" / "img" / plan(2, 2)[0].name) as image:
        assert np.median(np.asarray(image)[8:]) == 1
    assert os.environ["OPENBLAS_NUM_THREADS"] == "7"
    assert "OMP_NUM_THREADS" not in os.environ


def test_a_finished_data_set_is_left_as_it_is(copy: Path) -> None:
    (copy / "README.md").write_text("with measured numbers", encoding="utf-8")
    before = {file: file.stat().st_mtime_ns for file in copy.rglob("*")}
    done = write(copy)
    assert (done.made, done.kept) == (0, 20)
    assert {file: file.stat().st_mtime_ns for file in copy.rglob("*")} == before


@contextmanager
def running(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A command that has made four photographs; it and its workers have ended afterwards."""
    journal = folder / "unfinished.jsonl"
    with started("synthetic.toy_people", folder) as process:
        wait_until(lambda: journal.exists() and journal.read_bytes().count(b"\n") >= 4)
        yield process
        process.communicate(timeout=60)
        wait_until(lambda: not alive(process.pid))


def test_a_killed_command_goes_on_and_leaves_no_processes(whole: Path, tmp_path: Path) -> None:
    folder = tmp_path / "set"
    journal = folder / "unfinished.jsonl"
    with running(folder) as process:
        process.kill()
    assert not (folder / "truth.jsonl").exists()
    kept = {file: file.stat().st_mtime_ns for file in folder.glob("img/**/*.jpg")}
    assert 4 <= len(kept) < 20

    # What a kill in the middle of a write leaves.
    with journal.open("ab") as stream:
        stream.write(b'{"name":"WOMEN/Dr')
    (next(iter(kept)).parent / ".01_9_x.jpg.mine").write_bytes(b"not of this command")
    (next(iter(kept)).parent / f".{next(iter(kept)).name}.abc123").write_bytes(b"half")
    (folder / ".truth.jsonl.abc123").write_bytes(b"half")
    done = write(folder)
    assert done.kept >= 4
    assert done.made + done.kept == 20
    (next(iter(kept)).parent / ".01_9_x.jpg.mine").unlink()
    assert tree(folder) == tree(whole)
    assert sum(file.stat().st_mtime_ns == kept[file] for file in kept) == done.kept


@pytest.mark.parametrize("folder", ["img", "masks", "openpose"])
def test_what_is_damaged_or_gone_is_made_again(copy: Path, whole: Path, folder: str) -> None:
    first, second, *_ = sorted(file for file in (copy / folder).rglob("*") if file.is_file())
    first.write_bytes(first.read_bytes()[:50])
    second.unlink()
    (copy / "test-pairs.csv").write_text("from,to\n")
    done = write(copy)
    assert (done.made, done.kept) == (2, 18)
    assert tree(copy) == tree(whole)


# What is refused


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"identities": 0}, "--identities cannot be 0"),
        ({"identities": -1}, "--identities cannot be -1"),
        ({"identities": 10**9}, "--identities cannot be 1000000000"),
        ({"views": 1}, "--views cannot be 1"),
        ({"views": 0}, "--views cannot be 0"),
        ({"views": 1486}, "person 1 has 3 garments, so give 1485 or less"),
        ({"size": (31, 176)}, "--size cannot be 31x176"),
        ({"size": (256, 5000)}, "--size cannot be 256x5000"),
        ({"seed": -1}, "--seed begins at 0"),
        ({"workers": 0}, "--workers at 1"),
    ],
)
def test_numbers_that_cannot_be_are_refused_before_anything_is_written(
    tmp_path: Path, options: dict[str, Any], told: str
) -> None:
    assert told in refused(tmp_path / "set", **options)
    assert not (tmp_path / "set").exists()


def test_other_parameters_want_overwrite(copy: Path, tmp_path: Path) -> None:
    before = tree(copy)
    sentence = refused(copy, views=3)
    assert "(views 5 there and 3 here)" in sentence
    assert "--overwrite" in sentence
    assert tree(copy) == before
    write(copy, views=3, overwrite=True)
    write(tmp_path / "new", views=3)
    assert tree(copy) == tree(tmp_path / "new")
    assert {f.relative_to(copy) for f in copy.rglob("*")} == {
        f.relative_to(tmp_path / "new") for f in (tmp_path / "new").rglob("*")
    }


def test_overwrite_makes_everything_anew(copy: Path, whole: Path) -> None:
    assert write(copy, overwrite=True).made == 20
    assert tree(copy) == tree(whole)


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize(
    "foreign", ["notes.txt", "img/holiday.jpg", "img/MEN/Pants/id_00000099/01_7_additional.jpg", "masks/x/y.png"]
)
def test_files_of_others_are_never_touched(copy: Path, foreign: str, overwrite: bool) -> None:
    (copy / foreign).parent.mkdir(parents=True, exist_ok=True)
    (copy / foreign).write_bytes(b"mine")
    before = tree(copy)
    assert f"{copy / foreign} was not made by" in refused(copy, views=3, overwrite=overwrite)
    assert tree(copy) == before


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_folder_of_others_is_never_touched(tmp_path: Path, overwrite: bool) -> None:
    (tmp_path / "README.md").write_text("mine")
    assert "README.md was not made by" in refused(tmp_path, overwrite=overwrite)
    (tmp_path / "recipe.json").write_text('{"made_by": "fhpt-eval data deepfashion", "photographs": []}')
    assert "was not made by" in refused(tmp_path, overwrite=overwrite)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["README.md", "recipe.json"]


def test_a_link_out_of_the_folder_is_not_followed(copy: Path, tmp_path: Path) -> None:
    (copy / "masks").rename(tmp_path / "elsewhere")
    (copy / "masks").symlink_to(tmp_path / "elsewhere")
    before = tree(tmp_path / "elsewhere")
    assert "masks was not made by" in refused(copy, overwrite=True)
    assert tree(tmp_path / "elsewhere") == before


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "set").write_text("")
    assert "choose another folder with -o" in refused(tmp_path / "set")


# What breaks


def test_without_room_it_stops_with_one_sentence_and_goes_on_later(whole: Path, tmp_path: Path) -> None:
    sentence = refused(tmp_path / "set", renderer=WITHOUT_ROOM)
    assert "File too large" in sentence
    assert "free some room" in sentence
    done = write(tmp_path / "set")
    assert done.kept >= 1
    assert tree(tmp_path / "set") == tree(whole)


@pytest.mark.parametrize("there", [1, 100])
def test_without_room_for_a_row_it_is_said(tmp_path: Path, there: int) -> None:
    folder = DataSetFolder(tmp_path / "set", {}, [])
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    with folder.journal([]) as add:
        add("x" * (there - 1))
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
        try:
            with pytest.raises(UserError, match=r"unfinished.jsonl \(.*\): free some room"):
                add("y" * 200)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_killed_worker_is_one_sentence(tmp_path: Path) -> None:
    assert "a worker process was killed" in refused(tmp_path / "set", renderer=DEADLY)
    assert write(tmp_path / "set").kept >= 1


def test_a_person_in_both_splits_is_noticed(copy: Path) -> None:
    rows = (copy / "truth.jsonl").read_text().replace('"identity":2', '"identity":4')
    (copy / "truth.jsonl").write_text(rows)
    with pytest.raises(RuntimeError, match="identity"):
        write(copy)


def test_without_embree_it_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "embreex.rtcore_scene", None)
    with pytest.raises(Unavailable, match=r"pip install 'embreex>=4.4,<5'"):
        rendering.find_renderer()


def test_the_toy_is_a_photograph_as_the_renderer_makes_them() -> None:
    names = [field.name for field in fields(toy_people.Photograph)]
    assert names == [field.name for field in fields(Photograph)]


def test_ctrl_c_lets_photographs_be_finished_and_says_so_once(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    with running(folder) as process:
        os.killpg(process.pid, signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert errors.count("Traceback") == errors.count("\nKeyboardInterrupt") == 1
    assert not list(folder.rglob(".*"))
    assert write(folder).kept >= 4


def test_the_packages_renderer_is_one_that_can_be_written(tmp_path: Path) -> None:
    pytest.importorskip("embreex")
    folder = tmp_path / "set"
    write(folder, identities=2, views=2, size=(64, 44), workers=2, renderer=None)
    for row in truths(folder):
        points = np.concatenate([row.body, row.face, *row.hands])
        framed = points[points[:, 2] > OUTSIDE, :2]
        assert (framed >= -0.5).all()
        assert (framed <= (43.5, 63.5)).all()
        with Image.open(folder / "masks" / row.name.replace(".jpg", ".png")) as mask:
            classes = np.unique(np.asarray(mask))
        assert {0, 1} < set(classes.tolist()) <= set(range(len(rendering.find_renderer().labels)))
    alone = tmp_path / "alone"
    write(alone, identities=2, views=2, size=(64, 44), workers=1, renderer=None)
    assert tree(alone) == tree(folder)
