"""Reference models by entry point, lists of pairs to images, and what can be missing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from PIL import Image
from toys import write_image

from fhpt_eval import Pairs
from fhpt_eval.engine.cache import Cache
from fhpt_eval.engine.contract import Plan
from fhpt_eval.engine.engine import Engine, open_engine
from fhpt_eval.engine.executor import ExecutorOptions
from fhpt_eval.engine.local import LocalExecutor
from fhpt_eval.engine.reading import Extraction
from fhpt_eval.errors import UserError
from fhpt_eval.generation.generate import Generation, ListedImages, list_requests, with_people
from fhpt_eval.generation.reference_model import Generator, ReferenceModel, Request, find_reference_models
from fhpt_eval.images.decoding import Rgb, read_image
from fhpt_eval.people.keypoint_files import KeypointFiles
from fhpt_eval.reference_models.trivial import CopySource, Real

FRONT, BACK = "fashionWOMENDressesid0000020301_1front", "fashionWOMENDressesid0000020301_3back"


@dataclass(frozen=True, kw_only=True)
class Grey(ReferenceModel):
    """A grey image; its shade is its option."""

    name: ClassVar[str] = "grey"
    title: ClassVar[str] = "grey"
    shade: int = 128

    def load(self, device: str) -> Generator:
        def paint(sources: Sequence[Rgb]) -> list[Rgb]:
            return [np.full_like(source, self.shade) for source in sources]

        return Generator(paint, lambda request: read_image(request.source))


@pytest.fixture
def listed(tmp_path: Path) -> ListedImages:
    return list_requests(pairs_of(tmp_path, "a.png,b.png", "b.png,a.png"), *folders(tmp_path), tmp_path / "out")


def folders(root: Path, names: Sequence[str] = ("a.png", "b.png")) -> tuple[Path, Path]:
    for index, name in enumerate(names):
        write_image(root / "real" / name, index)
    return root / "real", root / "real"


def pairs_of(root: Path, *rows: str) -> Path:
    path = root / "pairs.csv"
    path.write_text("\n".join(["from,to", *rows]) + "\n")
    return path


def test_our_reference_models_are_found_by_entry_point() -> None:
    found = find_reference_models()
    assert {"drn", "copy-source", "real"} <= found.classes.keys()
    assert found.classes["copy-source"] is CopySource
    assert not found.warnings


def test_floor_and_ceiling_are_the_sources_and_the_targets(tmp_path: Path, listed: ListedImages) -> None:
    real = {name: read_image_at(tmp_path / "real" / f"{name}.png") for name in "ab"}
    for model, expected in ((CopySource(), ("a", "b")), (Real(), ("b", "a"))):
        output = tmp_path / f"by-{model.name}"
        made = Generation(model, output, device="cpu").make(listed.requests, batch_size=2)
        assert made.made == ("a_2_b_vis", "b_2_a_vis")
        for name, of in zip(made.made, expected, strict=True):
            np.testing.assert_array_equal(read_image_at(output / f"{name}.png"), real[of])


def read_image_at(path: Path) -> Rgb:
    with Image.open(path) as image:
        return np.asarray(image)


def test_run_reads_what_generate_writes(tmp_path: Path, listed: ListedImages) -> None:
    output = tmp_path / "made"
    Generation(CopySource(), output, device="cpu").make(listed.requests, batch_size=1)
    for pairs in (
        Pairs.from_csv(tmp_path / "pairs.csv", output, tmp_path / "real", tmp_path / "real"),
        Pairs.from_folders(output, tmp_path / "real", tmp_path / "real"),
    ):
        assert pairs.naming == "a_2_b_vis"
        assert (pairs.report.matched, pairs.report.problems, pairs.report.extra) == (2, (), ())


def test_deepfashion_names_are_written_flat(tmp_path: Path) -> None:
    names = ("WOMEN/Dresses/id_00000203/01_1_front.png", "WOMEN/Dresses/id_00000203/01_3_back.png")
    found = list_requests(pairs_of(tmp_path, ",".join(names)), *folders(tmp_path, names), tmp_path / "out")
    assert [request.name for request in found.requests] == [f"{FRONT}_2_{BACK}_vis"]
    by_flat = list_requests(pairs_of(tmp_path, f"{FRONT}.jpg,{BACK}.jpg"), *folders(tmp_path, names), tmp_path / "out")
    assert [request.name for request in by_flat.requests] == [f"{FRONT}_2_{BACK}_vis"]


def test_a_stopped_generation_goes_on(tmp_path: Path, listed: ListedImages) -> None:
    output = tmp_path / "out"
    Generation(Grey(), output, device="cpu").make(listed.requests[:1], batch_size=1)
    again = Generation(Grey(), output, device="cpu").make(listed.requests, batch_size=1)
    assert (again.made, again.kept) == (("b_2_a_vis",), ("a_2_b_vis",))
    assert json.loads((output / "generation.json").read_text())["options"] == {"shade": 128}


def test_an_image_that_was_cut_off_is_made_anew(tmp_path: Path, listed: ListedImages) -> None:
    output = tmp_path / "out"
    Generation(CopySource(), output, device="cpu").make(listed.requests, batch_size=1)
    file = output / "a_2_b_vis.png"
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) * 2 // 3])
    again = Generation(CopySource(), output, device="cpu").make(listed.requests, batch_size=1)
    assert (again.made, again.kept) == (("a_2_b_vis",), ("b_2_a_vis",))
    assert file.read_bytes() == whole


def test_an_image_of_other_inputs_is_replaced_only_when_asked(tmp_path: Path, listed: ListedImages) -> None:
    output = tmp_path / "out"
    Generation(CopySource(), output, device="cpu").make(listed.requests, batch_size=1)
    before = {path.name: path.read_bytes() for path in output.iterdir()}
    write_image(tmp_path / "real" / "a.png", 9)
    with pytest.raises(UserError, match=r"1 images of other inputs .*a_2_b_vis\.png.*--overwrite"):
        Generation(CopySource(), output, device="cpu").make(listed.requests, batch_size=1)
    assert {path.name: path.read_bytes() for path in output.iterdir()} == before
    asked = Generation(CopySource(), output, device="cpu", overwrite=True)
    assert len(asked.make(listed.requests, batch_size=1).made) == 2
    np.testing.assert_array_equal(read_image_at(output / "a_2_b_vis.png"), read_image_at(tmp_path / "real" / "a.png"))


def test_what_a_program_asks_to_replace_is_replaced_and_no_more(tmp_path: Path, listed: ListedImages) -> None:
    output = tmp_path / "out"
    Generation(CopySource(), output, device="cpu").make(listed.requests, batch_size=1)
    write_image(tmp_path / "real" / "a.png", 9)
    again = Generation(CopySource(), output, device="cpu").make(listed.requests, batch_size=1, replace_others=True)
    assert (again.made, again.kept) == (("a_2_b_vis",), ("b_2_a_vis",))


@pytest.mark.parametrize("options", [{"overwrite": True}, {}])
def test_an_image_of_somebody_else_is_never_replaced(
    tmp_path: Path, listed: ListedImages, options: dict[str, bool]
) -> None:
    output = tmp_path / "out"
    Generation(CopySource(), output, device="cpu").make(listed.requests[1:], batch_size=1)
    own = write_image(output / "a_2_b_vis.png", 3).read_bytes()
    for replace_others in (False, True):
        with pytest.raises(UserError, match=r"a_2_b_vis\.png"):
            Generation(CopySource(), output, device="cpu", **options).make(
                listed.requests, batch_size=1, replace_others=replace_others
            )
        assert (output / "a_2_b_vis.png").read_bytes() == own


def test_overwriting_leaves_no_image_of_the_model_before(tmp_path: Path, listed: ListedImages) -> None:
    output = tmp_path / "out"
    Generation(CopySource(), output, device="cpu").make(listed.requests, batch_size=1)
    write_image(output / "mine.png", 3)
    Generation(Real(), output, device="cpu", overwrite=True).make(listed.requests[:1], batch_size=1)
    assert sorted(path.name for path in output.glob("*.png")) == ["a_2_b_vis.png", "mine.png"]
    assert Generation(Real(), output, device="cpu").make(listed.requests, batch_size=1).made == ("b_2_a_vis",)


def test_a_damaged_record_is_a_sentence(tmp_path: Path, listed: ListedImages) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "generation.json").write_text("[" * 100_000)
    with pytest.raises(UserError, match="is damaged"):
        Generation(Grey(), tmp_path / "out", device="cpu").make(listed.requests, batch_size=1)


def test_a_name_that_no_file_can_have_is_missing(tmp_path: Path) -> None:
    long = f"{'x' * 150}.png"
    found = list_requests(
        pairs_of(tmp_path, f"{long},{long}", "a.png,b.png"),
        *folders(tmp_path, ("a.png", "b.png", long)),
        tmp_path / "o",
    )
    assert len(found.requests) == 1
    assert "too long" in next(iter(found.missing.values()))


def test_images_of_two_models_are_not_mixed(tmp_path: Path, listed: ListedImages) -> None:
    output = tmp_path / "out"
    Generation(Grey(), output, device="cpu").make(listed.requests, batch_size=1)
    with pytest.raises(UserError, match=r"another model made \(options .*7.* here\): .* --overwrite"):
        Generation(Grey(shade=7), output, device="cpu")
    again = Generation(Grey(shade=7), output, device="cpu", overwrite=True)
    assert len(again.make(listed.requests, batch_size=2).made) == 2
    assert (read_image_at(output / "a_2_b_vis.png") == 7).all()


def test_a_foreign_folder_is_left_alone(tmp_path: Path) -> None:
    write_image(tmp_path / "mine" / "x.png", 1)
    with pytest.raises(UserError, match=r"x\.png was not made by `fhpt-eval generate`"):
        Generation(Grey(), tmp_path / "mine", device="cpu")
    with pytest.raises(UserError, match="Not a directory"):
        Generation(Grey(), tmp_path / "mine" / "x.png", device="cpu")


def test_what_cannot_be_made_is_named_and_the_rest_is_made(tmp_path: Path) -> None:
    rows = ("a.png,b.png", "a.png,gone.png", "torn.png,a.png")
    real = folders(tmp_path)
    (tmp_path / "real" / "torn.png").write_bytes((tmp_path / "real" / "a.png").read_bytes()[:60])
    found = list_requests(pairs_of(tmp_path, *rows), *real, tmp_path / "out")
    assert found.missing == {"a_2_gone_vis": "no target image 'gone.png'"}
    made = Generation(CopySource(), tmp_path / "out", device="cpu").make(found.requests, batch_size=8)
    assert made.made == ("a_2_b_vis",)
    assert "torn.png cannot be read" in made.missing["torn_2_a_vis"]
    assert not (tmp_path / "out" / "torn_2_a_vis.png").exists()


@dataclass(frozen=True, kw_only=True)
class Watched(ReferenceModel):
    """Copies the source; ``_read`` and ``_drawn`` say how many were, and the fourth image can be an interruption."""

    name: ClassVar[str] = "watched"
    title: ClassVar[str] = "watched"
    stop: bool = False
    _read: ClassVar[list[str]] = []
    _drawn: ClassVar[list[tuple[int, int]]] = []

    def load(self, device: str) -> Generator:
        self._read.clear()
        self._drawn.clear()

        def read(request: Request) -> Rgb:
            self._read.append(request.name)
            return read_image(request.source)

        def draw(images: Sequence[Rgb]) -> list[Rgb]:
            if self.stop and len(self._drawn) == 4:
                raise KeyboardInterrupt
            self._drawn.append((len(images), len(self._read)))
            return list(images)

        return Generator(draw, read)


@pytest.fixture
def many(tmp_path: Path) -> ListedImages:
    names = [f"{letter}.png" for letter in "abcdefghij"]
    listed = pairs_of(tmp_path, *(f"{name},a.png" for name in names))
    return list_requests(listed, *folders(tmp_path, names), tmp_path / "out")


def test_reading_is_ahead_of_drawing_by_two_batches_at_most(tmp_path: Path, many: ListedImages) -> None:
    made = Generation(Watched(), tmp_path / "out", device="cpu").make(many.requests, batch_size=2)
    assert list(made.made) == [request.name for request in many.requests]
    assert sorted(Watched._read) == sorted(made.made)
    assert [count for count, _ in Watched._drawn] == [2] * 5
    assert all(2 * (batch + 1) <= read <= 2 * (batch + 3) for batch, (_, read) in enumerate(Watched._drawn))


def test_an_interrupted_generation_leaves_whole_images_and_goes_on(tmp_path: Path, many: ListedImages) -> None:
    output = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        Generation(Watched(stop=True), output, device="cpu").make(many.requests, batch_size=2)
    left = sorted(path.stem for path in output.glob("*.png"))
    # What was drawn is written, unless it waited behind what was read.
    assert 4 <= len(left) <= 8
    again = Generation(Watched(stop=True), output, device="cpu").make(many.requests[:8], batch_size=2)
    assert sorted(again.kept) == left
    assert len(again.made) == 8 - len(left)
    for request in many.requests[:8]:
        np.testing.assert_array_equal(read_image_at(output / f"{request.name}.png"), read_image(request.source))
    assert not list(output.glob(".*.png*"))


def test_a_folder_that_cannot_be_written_any_more_is_a_sentence(
    tmp_path: Path, many: ListedImages, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, _content: bytes) -> None:
        raise UserError(f"cannot write {path} (No space left on device)")

    generation = Generation(CopySource(), tmp_path / "out", device="cpu")
    monkeypatch.setattr("fhpt_eval.generation.generate.write_atomic", full)
    with pytest.raises(UserError, match="No space left"):
        generation.make(many.requests, batch_size=2)


def test_two_pairs_for_one_file_name_are_refused(tmp_path: Path) -> None:
    names = ("x/a.png", "y/a.png", "b.png")
    with pytest.raises(UserError, match=r"row 3: another pair's image is called a_2_b_vis"):
        list_requests(pairs_of(tmp_path, "x/a.png,b.png", "y/a.png,b.png"), *folders(tmp_path, names), tmp_path / "out")


def test_no_pair_at_all_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no listed pair has its files"):
        list_requests(pairs_of(tmp_path, "q.png,r.png"), *folders(tmp_path), tmp_path / "out")


def annotation_list(root: Path, *names: str, y: int = 5) -> KeypointFiles:
    rows = [f"{name}:{list(range(y, y + 18))}:{list(range(2, 20))}" for name in names]
    path = root / "keypoints.csv"
    path.write_text("\n".join(["name:keypoints_y:keypoints_x", *rows]) + "\n")
    return KeypointFiles.at(path)


def test_nothing_is_detected_where_files_have_the_bodies_and_faces_are_not_asked_for(tmp_path: Path) -> None:
    source, target = folders(tmp_path)
    found = list_requests(pairs_of(tmp_path, "a.png,b.png"), source, target, tmp_path / "out")
    planned: list[Plan] = []

    class Watched(Engine):
        def run(self, plan: Plan, *rest: Any) -> Extraction:
            planned.append(plan)
            return super().run(plan, *rest)

    with Cache(tmp_path / "cache") as cache:
        keypoints = annotation_list(tmp_path, "a.png", "b.png")
        people = with_people(
            found, Watched(LocalExecutor(ExecutorOptions()), cache), target_keypoints=keypoints, faces=False
        )
    assert [list(plan.images) for plan in planned] == [[]]
    assert people.requests[0].people[1].face_box is None
    np.testing.assert_array_equal(people.requests[0].people[1].body[0], [2.5, 5.5, 1])


def test_a_file_for_one_side_is_that_of_both_and_two_files_are_each_its_own_sides(tmp_path: Path) -> None:
    source, target = folders(tmp_path)
    found = list_requests(pairs_of(tmp_path, "a.png,b.png"), source, target, tmp_path / "out")
    both, sources = annotation_list(tmp_path, "a.png", "b.png"), annotation_list(tmp_path, "a.png", y=7)
    given: list[dict[str, Any]] = [
        {"source_keypoints": both},
        {"target_keypoints": both},
        {"source_keypoints": sources, "target_keypoints": both},
    ]
    heights = []
    with Cache(tmp_path / "cache") as cache:
        for files in given:
            (request,) = with_people(found, open_engine("local", cache, device="cpu"), **files, faces=False).requests
            heights.append([float(person.body[0, 1]) for person in request.people])
    assert heights == [[5.5, 5.5], [5.5, 5.5], [7.5, 5.5]]


def test_poses_can_come_from_files_without_target_images(tmp_path: Path) -> None:
    source, _ = folders(tmp_path)
    found = list_requests(pairs_of(tmp_path, "a.png,b.png", "a.png,c.png"), source, None, tmp_path / "out")
    with Cache(tmp_path / "cache") as cache:
        engine = open_engine("local", cache)
        with_poses = with_people(found, engine, target_keypoints=annotation_list(tmp_path, "a.png", "b.png"))
        with pytest.raises(UserError, match="the target poses are needed"):
            with_people(found, engine)
    (request,) = with_poses.requests
    source_person, target_person = request.people
    np.testing.assert_array_equal(target_person.body[0], [2.5, 5.5, 1])
    assert source_person.face_box is None
    assert with_poses.missing == {"a_2_c_vis": "target: not in the keypoint files"}


def test_images_without_a_person_are_missing_with_the_reason(tmp_path: Path, listed: ListedImages) -> None:
    with (
        Cache(tmp_path / "cache") as cache,
        pytest.raises(UserError, match=r"in no pair a person was found .*no person found"),
    ):
        with_people(listed, open_engine("local", cache, workers=1))
