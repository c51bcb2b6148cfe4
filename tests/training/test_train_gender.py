"""Training of the gender classifier: what it learns from, what it holds out, and that it can be stopped at any time."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from fhpt_eval.engine.cache import Cache
from fhpt_eval.engine.engine import Engine, open_engine
from fhpt_eval.errors import UserError
from fhpt_eval.extract.gender_classifier import NO_PERSON, TOO_SMALL, UNKNOWN_GENDER, read_checkpoint
from fhpt_eval.extract.gender_network import LinearClassifier, Vgg16Classifier
from fhpt_eval.extract.numerics import Numerics
from fhpt_eval.extract.weights import Store, Weights
from fhpt_eval.files.given import GivenFile
from fhpt_eval.files.tensors import dump, parse
from fhpt_eval.images.decoding import ImageRef
from fhpt_eval.pairing.naming import Gender
from fhpt_eval.records import Missing
from fhpt_eval.training.classifier import (
    CARD,
    CHECKPOINT,
    FIGURE,
    HISTORY,
    IDENTICAL,
    LEFT_OUT,
    STATE,
    Trained,
    train_gender,
)
from fhpt_eval.training.inputs import Inputs, Pictures
from fhpt_eval.training.labels import Example, read_labels
from fhpt_eval.training.loop import Trainer
from fhpt_eval.training.sampling import Indices, Parts, balanced_batches, split
from fhpt_eval.training.settings import DEFAULTS, GenderTraining

HEAD = replace(DEFAULTS["efficientnet_lite0"], epochs=4, batch_size=16, learning_rate=1e-2)
COLOURS: dict[Gender, tuple[int, int, int]] = {"MEN": (60, 60, 200), "WOMEN": (200, 60, 60)}


def paint(
    folder: Path, items: int, size: tuple[int, int] = (40, 32), views: Sequence[str] = ("1front", "2side")
) -> Path:
    """Seeded noise about one colour a gender; every third item is one of MEN. Named as DeepFashion's."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(0)
    for item in range(items):
        gender: Gender = "WOMEN" if item % 3 else "MEN"
        for view in views:
            noisy = np.clip(random.normal(COLOURS[gender], 40, (*size, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(noisy).save(folder / f"fashion{gender}Denimid{item:08}01_{view}.png")
    return folder


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return paint(tmp_path_factory.mktemp("pictures"), 20)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with Cache(tmp_path_factory.mktemp("cache")) as cache:
        yield open_engine("local", cache, device="cpu")


@pytest.fixture
def head(pictures: Path, engine: Engine) -> Callable[..., Trained]:
    """Train a linear layer."""

    def call(output: Path, options: GenderTraining = HEAD, images: Path = pictures, **more: Any) -> Trained:
        return train_gender(images, output, options, engine=engine, store=Store(offline=True), **more)

    return call


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir() if file.name not in (HISTORY, FIGURE)}


def rows(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def course(folder: Path) -> list[dict[str, str]]:
    """The history without the time that it took."""
    return [{**row, "seconds": ""} for row in rows(folder / HISTORY)]


class Stop(Exception):
    """Ends a training as Ctrl-C would."""


def stop_after(steps: int) -> Callable[[str, int, int], None]:
    def progress(stage: str, done: int, total: int) -> None:
        if stage == "training" and done == steps:
            raise Stop

    return progress


# Labels


def test_labels_come_from_deepfashions_names(tmp_path: Path) -> None:
    for name in (
        "fashionMENDenimid0000000101_1front.jpg",
        "WOMEN/Dresses/id_00000002/03_6_flat.jpg",
        "WOMEN/Dresses/id_00000002/03_7_additional.jpg",
        "portrait.png",
        "notes.txt",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    labelled = read_labels(tmp_path)
    assert [(e.ref.name, e.gender, e.item) for e in labelled.examples] == [
        ("WOMEN/Dresses/id_00000002/03_7_additional.jpg", "WOMEN", "id_00000002"),
        ("fashionMENDenimid0000000101_1front.jpg", "MEN", "id_00000001"),
    ]
    assert labelled.examples[0].ref.path == tmp_path / labelled.examples[0].ref.name
    assert labelled.left_out == {"WOMEN/Dresses/id_00000002/03_6_flat.jpg": NO_PERSON, "portrait.png": UNKNOWN_GENDER}


def test_a_csv_goes_before_names_and_lists_what_counts(tmp_path: Path) -> None:
    listed = tmp_path / "labels.csv"
    listed.write_text(
        "image,gender,item,view\n"
        "a.png,Female,x,\n"
        "b.png,MEN,,FLAT\n"
        "\n"
        "sub/c.png,,,front\n"
        "fashionMENDenimid0000000101_1front.jpg,,,\n"
        "fashionMENDenimid0000000101_2side.jpg,women,y,\n"
        "d.png,male,,\n"
        "e.png,male,,flat-lay\n"
        "f.png,male,,6\n",
        encoding="utf-8-sig",
    )
    (tmp_path / "unlisted.png").touch()
    labelled = read_labels(tmp_path, listed)
    assert [(e.ref.name, e.gender, e.item) for e in labelled.examples] == [
        ("a.png", "WOMEN", "x"),
        ("d.png", "MEN", "d"),
        ("fashionMENDenimid0000000101_1front.jpg", "MEN", "id_00000001"),
        ("fashionMENDenimid0000000101_2side.jpg", "WOMEN", "y"),
    ]
    assert labelled.left_out == {**dict.fromkeys(("b.png", "e.png", "f.png"), NO_PERSON), "sub/c.png": UNKNOWN_GENDER}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "has no column 'image'|lists no images"),
        ("picture,gender\na.png,MEN\n", "has no column 'image'"),
        ("image,gendre\na.png,MEN\n", r"unknown column 'gendre'\. Did you mean 'gender'\?"),
        ("image,image\na.png,b.png\n", "two columns for 'image'"),
        ("image,gender\n", "lists no images: below the header"),
        ("image,gender\na.png,boy\n", r"labels\.csv, row 2: gender 'boy' is not known; write MEN or WOMEN"),
        ("image,gender\na.png\n", r"row 2: 1 cells where the header has 2"),
        ("image\na.png\nb.png\na.png\n", r"row 4: 'a\.png' is listed a second time"),
        ("image\n../a.png\n", r"row 2: '\.\./a\.png' is no path below the folder of images"),
        ("image\n/a.png\n", "is no path below"),
        # Python 3.10's csv refuses it by itself.
        ("image\na\0.png\n", "row 2: .*(holds a control character; fix|line contains NUL)"),
        ('image\n"a.png\n', "not readable as CSV"),
    ],
)
def test_a_csv_that_is_wrong_is_one_sentence(tmp_path: Path, text: str, told: str) -> None:
    listed = tmp_path / "labels.csv"
    listed.write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=told) as error:
        read_labels(tmp_path, listed)
    assert str(listed) in str(error.value)


def test_files_that_are_not_there_are_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"does not exist: .*nowhere; check --images"):
        read_labels(tmp_path / "nowhere")
    with pytest.raises(UserError, match=r"cannot be read .* check --labels"):
        read_labels(tmp_path, tmp_path / "nowhere.csv")
    with pytest.raises(UserError, match=r"no images in the folder of training images"):
        read_labels(tmp_path)
    (tmp_path / "latin.csv").write_bytes(b"image\nf\xe9.png\n")
    with pytest.raises(UserError, match="not UTF-8 text"):
        read_labels(tmp_path, tmp_path / "latin.csv")


# The split, and the batches


def example(gender: Gender, item: str) -> Example:
    return Example(ImageRef(Path("x")), gender, item)


def test_no_item_is_on_both_sides_and_each_gender_gives_its_share() -> None:
    # Numbers with gaps stand for images that cannot be read.
    examples = {3 * i: example("WOMEN" if i % 5 else "MEN", f"{'w' if i % 5 else 'm'}{i // 10}") for i in range(1000)}
    parts = split(examples, 0.2, seed=4)
    assert sorted([*parts.training, *parts.validation]) == sorted(examples)
    sides = [{examples[i].item for i in part.tolist()} for part in parts]
    assert not sides[0] & sides[1]
    assert Counter(item[0] for item in sides[1]) == {"m": 20, "w": 20}
    again = split(dict(reversed(examples.items())), 0.2, seed=4)
    np.testing.assert_array_equal(again.validation, parts.validation)
    assert set(split(examples, 0.2, seed=5).validation) != set(parts.validation)


def test_an_item_of_both_genders_is_on_one_side() -> None:
    examples = [example(gender, f"i{i}") for i in range(10) for gender in ("MEN", "WOMEN")]
    parts = split(dict(enumerate(examples)), 0.3, seed=0)
    assert len(parts.validation) == 6
    assert not {examples[i].item for i in parts.training} & {examples[i].item for i in parts.validation}


def test_a_gender_that_cannot_be_learned_is_one_sentence() -> None:
    women = [example("WOMEN", "a"), example("WOMEN", "b")]
    with pytest.raises(UserError, match=r"no image of MEN can be learned from: .* column gender of --labels"):
        split(dict(enumerate(women)), 0.5, seed=0)
    with pytest.raises(UserError, match=r"all 2 images of MEN show one item, .* two or more items"):
        split(dict(enumerate([*women, example("MEN", "c"), example("MEN", "c")])), 0.5, seed=0)


@pytest.mark.parametrize("size", [2, 10, 64])
def test_every_batch_is_half_men_and_every_example_of_the_larger_gender_comes_once(size: int) -> None:
    women = np.arange(100) % 8 != 0
    batches = balanced_batches(women, size, np.random.default_rng(0))
    assert all(women[batch].sum() * 2 == len(batch) for batch in batches)
    assert {len(batch) for batch in batches[:-1]} <= {size}
    drawn = Counter(np.concatenate(batches).tolist())
    assert all(drawn[i] == 1 for i in np.flatnonzero(women))
    assert sum(drawn[i] for i in np.flatnonzero(~women)) == women.sum()
    other = balanced_batches(women, size, np.random.default_rng(1))
    assert np.concatenate(other).tolist() != np.concatenate(batches).tolist()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"epochs": 0}, "--epochs cannot be 0: it has to be 1 or more."),
        ({"batch_size": 5}, "--batch-size cannot be 5: it has to be even"),
        ({"learning_rate": float("nan")}, "--learning-rate cannot be nan"),
        ({"patience": 0}, "--patience cannot be 0"),
        ({"seed": -1}, "--seed cannot be -1"),
        ({"validation": 1.0}, "--validation cannot be 1.0: it has to be a share between 0 and 1."),
    ],
)
def test_options_that_cannot_be_are_refused(change: dict[str, Any], told: str) -> None:
    with pytest.raises(UserError) as error:
        replace(HEAD, **change)
    assert told in str(error.value)


# Training


def test_two_colours_are_learned_without_error(tmp_path: Path, head: Callable[..., Trained]) -> None:
    calls: list[tuple[str, int, int]] = []
    out = tmp_path / "out"
    options = replace(HEAD, epochs=20)
    trained = head(out, options, progress=lambda *call: calls.append(call))
    assert {file.name for file in out.iterdir()} == {CHECKPOINT, CARD, HISTORY, FIGURE, LEFT_OUT, IDENTICAL}
    card = trained.card
    assert card["best"]["validation_error"] == {"MEN": 0, "WOMEN": 0, "balanced": 0}
    assert card["data"]["training"] == {"MEN": 12, "WOMEN": 24, "items": 18}
    assert card["data"]["validation"] == {"MEN": 2, "WOMEN": 2, "items": 2}
    assert card["finished"]
    assert card["recipe"]["seed"] == 0
    assert json.loads((out / CARD).read_text(encoding="utf-8")) == card
    checkpoint = read_checkpoint(GivenFile.at(out / CHECKPOINT), "efficientnet_lite0")
    assert checkpoint.card == card
    history = rows(out / HISTORY)
    assert [int(row["epoch"]) for row in history] == list(range(1, card["epochs"] + 1))
    assert float(history[-1]["loss"]) < float(history[0]["loss"])
    assert (out / FIGURE).read_bytes().startswith(b"\x89PNG")
    steps = [call for call in calls if call[0] == "training"]
    assert steps[-1][1] == len(steps) == card["epochs"] * 4
    assert {total for _, _, total in steps} == {20 * 4}


def test_a_seed_gives_the_same_bits_and_another_seed_others(tmp_path: Path, head: Callable[..., Trained]) -> None:
    for name, seed in (("one", 0), ("two", 0), ("three", 1)):
        head(tmp_path / name, replace(HEAD, seed=seed))
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    assert contents(tmp_path / "one")[CHECKPOINT] != contents(tmp_path / "three")[CHECKPOINT]


# Of 3 batches and 1 of validation an epoch: in the first epoch, in the third, and at its end.
@pytest.mark.parametrize("steps", [2, 10, 12])
def test_a_training_that_was_stopped_gives_the_bits_of_one_that_was_not(
    tmp_path: Path, head: Callable[..., Trained], steps: int
) -> None:
    head(tmp_path / "whole")
    with pytest.raises(Stop):
        head(tmp_path / "parts", progress=stop_after(steps))
    assert (tmp_path / "parts" / STATE).exists() == (steps > 4)
    assert head(tmp_path / "parts").epochs_before == (steps - 1) // 4
    assert contents(tmp_path / "parts") == contents(tmp_path / "whole")
    assert course(tmp_path / "parts") == course(tmp_path / "whole")


def test_what_a_stopped_training_leaves_can_be_used_and_says_that_it_is_not_finished(
    tmp_path: Path, head: Callable[..., Trained]
) -> None:
    with pytest.raises(Stop):
        head(tmp_path, progress=stop_after(10))
    card = read_checkpoint(GivenFile.at(tmp_path / CHECKPOINT), "efficientnet_lite0").card
    assert (card["epochs"], card["finished"]) == (2, False)
    arrays, state = parse((tmp_path / STATE).read_bytes())
    assert state is not None
    assert len(state["history"]) == 2
    assert {name.partition(".")[0] for name in arrays} == {"network", "best", "optimiser"}


def test_a_stopped_training_without_its_state_is_not_finished(tmp_path: Path, head: Callable[..., Trained]) -> None:
    with pytest.raises(Stop):
        head(tmp_path, progress=stop_after(10))
    (tmp_path / STATE).unlink()
    with pytest.raises(
        UserError, match=r"was stopped, without the last\.safetensors .* begin again with --overwrite\."
    ):
        head(tmp_path)
    assert head(tmp_path, overwrite=True).card["finished"]


def without(name: str) -> Callable[[dict[str, Any]], Any]:
    return lambda card: card.pop(name)


@pytest.mark.parametrize(
    "damage",
    [
        without("history"),
        without("recipe"),
        lambda card: card.update(recipe=["seed"]),
        lambda card: card.update(history=[]),
        lambda card: card.update(history={"epoch": 1}),
        lambda card: card["history"][1].update(epoch=3),
        lambda card: card["history"][1].update(loss="low"),
        lambda card: card["history"][0].pop("loss"),
    ],
)
def test_a_state_whose_card_is_damaged_is_one_sentence(
    tmp_path: Path, head: Callable[..., Trained], damage: Callable[[dict[str, Any]], Any]
) -> None:
    with pytest.raises(Stop):
        head(tmp_path, progress=stop_after(10))
    arrays, card = parse((tmp_path / STATE).read_bytes())
    assert card is not None
    damage(card)
    (tmp_path / STATE).write_bytes(dump(arrays, card))
    with pytest.raises(UserError, match=r"last\.safetensors is damaged: begin the training again with --overwrite"):
        head(tmp_path)


def test_a_state_whose_arrays_do_not_fit_is_one_sentence(tmp_path: Path, head: Callable[..., Trained]) -> None:
    with pytest.raises(Stop):
        head(tmp_path, progress=stop_after(10))
    arrays, card = parse((tmp_path / STATE).read_bytes())
    assert card is not None
    (tmp_path / STATE).write_bytes(dump({**arrays, "network.head.weight": np.zeros(3, np.float32)}, card))
    with pytest.raises(UserError, match=r"last\.safetensors is damaged"):
        head(tmp_path)


@pytest.mark.parametrize("below", ["", "sub/out"])
def test_an_output_among_the_images_is_refused(tmp_path: Path, head: Callable[..., Trained], below: str) -> None:
    images = paint(tmp_path / "images", 3)
    before = sorted(images.rglob("*"))
    with pytest.raises(UserError, match=r"lies in the folder of images, .*: choose a folder outside of it with -o\."):
        head(images / below, images=images)
    assert sorted(images.rglob("*")) == before


def test_identical_images_under_different_labels_are_counted_and_named(
    tmp_path: Path, head: Callable[..., Trained]
) -> None:
    images = paint(tmp_path / "images", 9, views=("1front",))
    man, woman, other = (
        f"fashion{g}Denimid0000000{n}01_1front.png" for g, n in (("MEN", 0), ("WOMEN", 1), ("WOMEN", 2))
    )
    copies = {
        "fashionWOMENDenimid0000010001_1front.png": man,
        "fashionWOMENDenimid0000010002_1front.png": woman,
        # The same item in another colour is no other item.
        "fashionWOMENDenimid0000000207_1front.png": other,
    }
    for copy, of in copies.items():
        (images / copy).write_bytes((images / of).read_bytes())
    trained = head(tmp_path / "out", replace(HEAD, epochs=1), images)
    named = [(sorted(e.ref.name for e in identical.examples), identical.contradict) for identical in trained.identical]
    assert named == [
        (sorted([man, "fashionWOMENDenimid0000010001_1front.png"]), True),
        (sorted([woman, "fashionWOMENDenimid0000010002_1front.png"]), False),
    ]
    assert trained.card["data"]["identical"] == {"images": 4, "contradicting": 2}
    listed = rows(tmp_path / "out" / IDENTICAL)
    assert [(row["group"], row["gender"], row["item"]) for row in listed] == [
        ("1", "MEN", "id_00000000"),
        ("1", "WOMEN", "id_00000100"),
        ("2", "WOMEN", "id_00000001"),
        ("2", "WOMEN", "id_00000100"),
    ]
    assert head(tmp_path / "out", replace(HEAD, epochs=1), images).identical == trained.identical


def test_a_finished_training_is_left_as_it_is(tmp_path: Path, head: Callable[..., Trained]) -> None:
    first = head(tmp_path)
    before = {file.name: file.stat().st_mtime_ns for file in tmp_path.iterdir()}
    again = head(tmp_path)
    assert (again.card, again.epochs_before, first.epochs_before) == (first.card, 4, 0)
    assert {file.name: file.stat().st_mtime_ns for file in tmp_path.iterdir()} == before
    again = head(tmp_path, replace(HEAD, seed=3), overwrite=True)
    assert (again.card["recipe"]["seed"], again.epochs_before) == (3, 0)


def test_a_folder_of_another_training_names_what_differs(
    tmp_path: Path, pictures: Path, head: Callable[..., Trained]
) -> None:
    head(tmp_path / "out")
    with pytest.raises(UserError, match=r"another training \(epochs 4 there and 5 here, seed 0 there and 2 here\)"):
        head(tmp_path / "out", replace(HEAD, epochs=5, seed=2))
    other = tmp_path / "other"
    other.mkdir()
    for file in pictures.iterdir():
        (other / file.name).write_bytes(file.read_bytes())
    assert head(tmp_path / "out", images=other).epochs_before == 4
    Image.new("RGB", (32, 40)).save(next(other.iterdir()))
    with pytest.raises(UserError, match=r"another training \(other images or labels\): .* --overwrite"):
        head(tmp_path / "out", images=other)


def test_a_folder_with_other_files_or_a_damaged_state_is_refused(tmp_path: Path, head: Callable[..., Trained]) -> None:
    (tmp_path / "thesis.txt").write_text("years of work", encoding="utf-8")
    for overwrite in (False, True):
        with pytest.raises(
            UserError, match=r"thesis\.txt was not made by `fhpt-eval train gender`: choose a new or an"
        ):
            head(tmp_path, overwrite=overwrite)
    (tmp_path / "thesis.txt").unlink()
    (tmp_path / STATE).write_bytes(b"half of it")
    with pytest.raises(UserError, match=r"last\.safetensors is damaged: begin the training again with --overwrite"):
        head(tmp_path)
    assert head(tmp_path, overwrite=True).epochs_before == 0


def test_training_ends_when_nothing_better_comes(tmp_path: Path, head: Callable[..., Trained]) -> None:
    # Steps of this length overshoot: the loss goes up and down.
    trained = head(tmp_path, replace(HEAD, epochs=60, learning_rate=3.0, patience=2))
    history = rows(tmp_path / HISTORY)
    best = trained.card["best"]["epoch"]
    assert len(history) == trained.card["epochs"] == best + 2 < 60
    ranked = sorted(history, key=lambda row: (float(row["error_balanced"]), float(row["validation_loss"])))
    assert int(ranked[0]["epoch"]) == best


def test_what_is_left_out_is_counted_and_named(tmp_path: Path, head: Callable[..., Trained]) -> None:
    images = paint(tmp_path / "images", 12, views=("1front", "6flat"))
    (images / "fashionWOMENDenimid0000009901_1front.png").write_bytes(b"torn")
    (images / "stranger.png").write_bytes(b"")
    trained = head(tmp_path / "out", replace(HEAD, epochs=1), images)
    assert trained.card["data"]["left_out"] == {
        NO_PERSON.reason: 12,
        UNKNOWN_GENDER.reason: 1,
        "unreadable: not an image (found text)": 1,
    }
    named = {row["image"]: row["reason"] for row in rows(tmp_path / "out" / LEFT_OUT)}
    assert named == {name: why.reason for name, why in trained.left_out.items()}
    assert len(named) == 14
    assert {name for name, why in trained.left_out.items() if why.fault} == {
        "fashionWOMENDenimid0000009901_1front.png",
        "stranger.png",
    }
    assert sum(trained.card["data"][part][gender] for part in ("training", "validation") for gender in COLOURS) == 12


def test_a_gender_whose_images_are_all_unreadable_is_one_sentence(tmp_path: Path, head: Callable[..., Trained]) -> None:
    images = paint(tmp_path / "images", 6, views=("1front",))
    for file in images.glob("fashionMEN*"):
        file.write_bytes(b"torn")
    head(tmp_path / "out")
    before = contents(tmp_path / "out")
    with pytest.raises(UserError, match="no image of MEN can be learned from"):
        head(tmp_path / "out", images=images, overwrite=True)
    # What was there is deleted only when something can take its place.
    assert contents(tmp_path / "out") == before


class Endless(Inputs):
    """Features that no network can learn from."""

    def batches(self, batches: Sequence[Indices], random: np.random.Generator | None = None) -> Iterator[torch.Tensor]:
        return (torch.full((len(batch), 1280), torch.inf) for batch in batches)


def test_a_training_that_diverges_is_one_sentence() -> None:
    parts = Parts(np.array([0, 1]), np.array([2, 3]))
    trainer = Trainer(LinearClassifier(1280), Endless(), np.array([True, False, True, False]), parts, HEAD)
    with pytest.raises(UserError, match=r"diverged in epoch 1 .*: give a smaller --learning-rate than 0\.01\."):
        trainer.epoch(lambda: None)


# VGG-16


@dataclass(frozen=True)
class SeededStore(Store):
    """Gives a VGG-16 with seeded weights under which no layer dies out."""

    file: Path = Path()

    def get(self, weights: Weights, progress: Any = None) -> Path:
        assert weights.name == "vgg16"
        if not self.file.exists():
            torch.manual_seed(5)
            network = Vgg16Classifier(Numerics()).features
            for module in network:
                if isinstance(module, torch.nn.Conv2d):
                    torch.nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            torch.save({f"features.{k}": v for k, v in network.state_dict().items()}, self.file)
        return self.file


def test_vgg16_is_trained_as_a_whole_on_images_of_several_sizes_and_goes_on_after_a_stop(
    tmp_path: Path, engine: Engine
) -> None:
    images = paint(tmp_path / "images", 6, size=(40, 32), views=("1front",))
    paint(images, 6, size=(32, 36), views=("2side",))
    paint(images, 1, size=(31, 40), views=("3back",))
    options = replace(DEFAULTS["vgg16"], epochs=2, batch_size=8, learning_rate=1e-3, validation=0.5)

    def call(name: str, **more: Any) -> Trained:
        return train_gender(
            images, tmp_path / name, options, engine=engine, store=SeededStore(file=tmp_path / "vgg.pth"), **more
        )

    whole = call("whole")
    assert whole.left_out == {"fashionMENDenimid0000000001_3back.png": TOO_SMALL}
    # A batch to learn from and one to validate in each epoch.
    with pytest.raises(Stop):
        call("parts", progress=stop_after(3))
    assert call("parts").epochs_before == 1
    assert contents(tmp_path / "parts") == contents(tmp_path / "whole")
    # Also where the first epoch stays the best one.
    assert course(tmp_path / "parts") == course(tmp_path / "whole")
    state = read_checkpoint(GivenFile.at(tmp_path / "whole" / CHECKPOINT), "vgg16").state
    begin = torch.load(tmp_path / "vgg.pth", weights_only=True)
    assert all((state[name] != tensor.numpy()).any() for name, tensor in begin.items())
    history = rows(tmp_path / "whole" / HISTORY)
    assert len(history) == 2
    assert all(np.isfinite(float(row["loss"])) for row in history)


def test_an_image_that_changes_while_it_is_learned_from_stops_the_training(tmp_path: Path) -> None:
    images = paint(tmp_path / "images", 3, views=("1front",))
    refs = [*(e.ref for e in read_labels(images).examples), ImageRef(images / "lost.png")]
    inputs = Pictures(refs, lambda *_: None)
    order = [np.array([2, 0]), np.array([1])]
    plain = list(inputs.batches(order))
    assert [len(batch) for batch in plain] == [2, 1]
    np.testing.assert_array_equal(plain[0][0], np.asarray(Image.open(refs[2].path)))
    mirrored = list(inputs.batches(order * 8, np.random.default_rng(0)))
    kinds = {bool((a == b).all()) for batch in mirrored for a, b in [(batch[0], plain[0][0])] if len(batch) == 2}
    assert kinds == {True, False}
    assert all((b[0] == plain[0][0]).all() or (b[0] == plain[0][0][:, ::-1]).all() for b in mirrored if len(b) == 2)
    Image.new("RGB", (50, 50)).save(refs[1].path)
    with pytest.raises(UserError, match=r"changed while it was .* give the same command again"):
        list(inputs.batches(order))
    assert [content for content in inputs.contents if isinstance(content, Missing)] == [
        Missing("unreadable: No such file or directory")
    ]
