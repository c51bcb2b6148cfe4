"""A reference set in a file gives the numbers of its folder; what does not fit, or lies, is refused in a sentence."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest
from safetensors import safe_open
from toy_sets import Moments, ToyFid, ToyKid, ToyPrdc
from toys import write_image

from fhpt_eval.engine.cache import Cache
from fhpt_eval.engine.engine import Engine, open_engine
from fhpt_eval.errors import UserError
from fhpt_eval.evaluation import reference_file as module
from fhpt_eval.evaluation.evaluate import evaluate
from fhpt_eval.evaluation.evaluator import Evaluator
from fhpt_eval.evaluation.reference_check import hash_of, in_memory
from fhpt_eval.evaluation.reference_file import ReferenceFile
from fhpt_eval.evaluation.reference_given import read_reference
from fhpt_eval.evaluation.reference_making import make_reference
from fhpt_eval.evaluation.run import Run
from fhpt_eval.extract.weights import Weights
from fhpt_eval.files import tensors
from fhpt_eval.images.geometry import Geometry
from fhpt_eval.measuring.protocol import Protocol, configure
from fhpt_eval.pairing.pairs import Pairs, list_images
from fhpt_eval.protocols.fid import Fid
from fhpt_eval.reporting.blocks import difference

SHIRTS = [f"fashionWOMENTees_Tanksid0000{item:04d}0{view}_{view}front" for item in range(6) for view in (1, 2)]


@pytest.fixture
def engine(tmp_path: Path) -> Any:
    with Cache(tmp_path / "cache") as cache:
        yield open_engine("local", cache, device="cpu")


@pytest.fixture
def pairs(tmp_path: Path) -> Pairs:
    for i, name in enumerate(SHIRTS):
        write_image(tmp_path / "generated" / f"{name}.png", i)
        write_image(tmp_path / "target" / f"{name}.png", 100 + i)
    return Pairs.from_folders(tmp_path / "generated", tmp_path / "target")


@pytest.fixture
def train(tmp_path: Path) -> Callable[[int], Path]:
    """A set of so many images, half of which show the items of the pairs; the third cannot be read."""

    def draw(count: int) -> Path:
        folder = tmp_path / f"train{count}"
        for i in range(count):
            name = SHIRTS[i] if i % 2 and i < len(SHIRTS) else f"other{i:03d}"
            write_image(folder / f"{name}.png", 1000 + i)
        (folder / "other004.png").write_bytes(b"no image")
        return folder

    return draw


def made(folder: Path, protocols: list[Protocol], engine: Engine, **options: Any) -> Path:
    file = folder.with_suffix(".safetensors")
    file.write_bytes(make_reference(list_images(folder), protocols, engine=engine, **options).data)
    return file


def numbers(run: Run) -> list[Any]:
    """All that scores say, but for the words that name the set."""
    found = []
    for protocol in run.record.protocols:
        assert protocol.reason is None
        for score in protocol.scores:
            plain = score.model_dump()
            plain["details"].pop("reference")
            found.append(plain)
    return found


@pytest.mark.parametrize("count", [6, 30])
@pytest.mark.parametrize(
    "protocol",
    [
        ToyFid(),
        ToyFid(extrapolate=3),
        ToyFid(tail=4),
        ToyFid(tail=4, fewer="fail"),
        ToyKid(),
        ToyKid(same_item="counted"),
        ToyKid(subsets=5, subset_size=3),
        ToyKid(tail=4),
        ToyPrdc(neighbourhood=2, density_neighbourhood=3),
        ToyFid(reference_geometry=Geometry.parse("crop(left=2, top=2, width=20, height=20)")),
    ],
    ids=repr,
)
def test_a_file_gives_the_numbers_of_its_folder_to_the_bit(
    protocol: Protocol, count: int, pairs: Pairs, train: Callable[[int], Path], engine: Engine
) -> None:
    folder = train(count)
    by_images = evaluate(pairs, [protocol], reference=folder, engine=engine)
    by_file = evaluate(pairs, [protocol], reference=made(folder, [protocol], engine), engine=engine)
    assert numbers(by_file) == numbers(by_images)
    assert any("reference image" in reason for score in by_images.scores.values() for reason in score.missing)
    assert by_file.record.warnings == by_images.record.warnings
    assert by_file.record.images.root == by_images.record.images.root
    (why,) = by_images.record.images.unreadable.values()
    assert by_file.record.images.unreadable == {f"{folder}.safetensors/other004.png": why}
    assert by_file.record.images.sizes["reference"] == by_images.record.images.sizes["reference"]
    assert {m: {k: v.tolist() for k, v in a.items()} for m, a in by_file.arrays.items()} == {
        m: {k: v.tolist() for k, v in a.items()} for m, a in by_images.arrays.items()
    }
    assert by_file.record.protocols[0].recipe == by_images.record.protocols[0].recipe
    assert difference(by_images, by_file) is None
    told = by_file.record.protocols[0].reference_file
    assert told is not None
    assert (told.images, told.n) == (count, count - 1)
    assert told.content == by_images.record.protocols[0].recipe.reference


def test_images_of_items_that_are_generated_are_left_out_as_with_the_folder(
    pairs: Pairs, train: Callable[[int], Path], engine: Engine
) -> None:
    file = made(train(30), [ToyKid()], engine)
    (score,) = evaluate(pairs, [ToyKid()], reference=file, engine=engine).scores.values()
    assert score.details["left_out_pairs"]["across"] > 0  # type: ignore[call-overload]


def test_statistics_alone_serve_fid_and_say_what_kid_needs(
    pairs: Pairs, train: Callable[[int], Path], engine: Engine
) -> None:
    file = made(train(30), [ToyFid()], engine)
    assert {*tensors.parse(file.read_bytes())[0]} == {"names", "contents", "0.29.mean", "0.29.scatter"}
    run = evaluate(pairs, [ToyFid(), ToyKid()], reference=file, engine=engine)
    fid, kid = run.record.protocols
    assert fid.status == "done"
    assert kid.status == "unavailable"
    assert kid.reason == (
        f"{file} has no features of each image, which kid compares; make the file again with --protocols kid and this"
        " run's options."
    )
    assert run.exit_code == 3


def test_a_tail_that_was_not_foreseen_is_taken_off_features_or_asked_for(
    pairs: Pairs, train: Callable[[int], Path], engine: Engine
) -> None:
    folder, tail = train(30), ToyFid(tail=8)
    by_images = evaluate(pairs, [tail], reference=folder, engine=engine)
    by_features = evaluate(pairs, [tail], reference=made(folder, [ToyKid()], engine), engine=engine)
    assert numbers(by_features) == numbers(by_images)
    run = evaluate(pairs, [tail], reference=made(folder, [ToyFid()], engine), engine=engine)
    assert "has no statistics of the first 24 of its 29 images" in str(run.record.protocols[0].reason)


def test_float16_moves_kid_within_bounds_and_is_another_recipe(
    pairs: Pairs, train: Callable[[int], Path], engine: Engine
) -> None:
    folder = train(30)
    both: list[Protocol] = [ToyFid(), ToyKid()]
    whole = evaluate(pairs, both, reference=made(folder, both, engine), engine=engine)
    halved = made(folder, both, engine, features="float16")
    assert tensors.parse(halved.read_bytes())[0]["0.each"].dtype == np.float16
    half = evaluate(pairs, both, reference=halved, engine=engine)
    (fid, kid), (fid_half, kid_half) = whole.scores.values(), half.scores.values()
    assert fid_half == fid
    assert kid_half.value == pytest.approx(kid.value, abs=5e-5)
    assert kid_half.value != kid.value
    assert difference(whole, half) == (
        "kid by another recipe than run: features of the reference set are float16 instead of float32"
    )


def test_after_a_run_with_the_folder_nothing_is_computed(
    pairs: Pairs, train: Callable[[int], Path], engine: Engine
) -> None:
    folder = train(30)
    whole_frame = ToyKid(reference_geometry=Geometry.parse("crop(left=0, top=0, width=24, height=32)"))
    evaluate(pairs, [whole_frame], reference=folder, engine=engine)
    Moments.calls.clear()
    file = made(folder, [whole_frame], engine)
    evaluate(pairs, [whole_frame], reference=file, engine=engine)
    assert Moments.calls == []


def test_an_evaluator_takes_the_file(pairs: Pairs, train: Callable[[int], Path], engine: Engine) -> None:
    file = made(train(30), [ToyFid()], engine)
    images = [np.random.default_rng(i).integers(0, 256, (32, 24, 3), dtype=np.uint8) for i in range(8)]
    with Evaluator([ToyFid()], reference=file, engine=engine) as evaluator:
        evaluator.update(np.stack(images))
        assert evaluator.compute().scores["fid"].details["reference_n"] == 29


def cropped(**fields: int) -> ToyFid:
    box = {"left": 0, "top": 0, "width": 20, "height": 20, **fields}
    return ToyFid(reference_geometry=Geometry.parse(f"crop({', '.join(f'{k}={v}' for k, v in box.items())})"))


def reason(pairs: Pairs, file: Path, engine: Engine, protocol: Protocol) -> str:
    (record,) = evaluate(pairs, [protocol], reference=file, engine=engine).record.protocols
    assert record.status == "unavailable"
    assert record.reference_file is None
    return str(record.reason)


def test_another_geometry_is_named_with_both_values(pairs: Pairs, train: Callable[[int], Path], engine: Engine) -> None:
    file = made(train(30), [cropped()], engine)
    assert reason(pairs, file, engine, cropped(left=4)) == (
        f"{file} has features of another recipe: geometry is 'crop(left=0, top=0, width=20, height=20)' in the file,"
        " and 'crop(left=4, top=0, width=20, height=20)' in this run; make the file again with --protocols fid and this"
        " run's options."
    )
    assert "geometry is 'crop(left=0" in reason(pairs, file, engine, ToyFid())
    assert "and native in this run" in reason(pairs, file, engine, ToyFid())


def test_another_network_is_named_with_both_names(pairs: Pairs, train: Callable[[int], Path], engine: Engine) -> None:
    file = made(train(30), [ToyFid()], engine)
    assert "network is moments in the file, and efficientnet-lite0 in this run" in reason(
        pairs, file, engine, Fid(network="efficientnet-lite0")
    )


def test_other_weights_and_code_are_named(
    pairs: Pairs, train: Callable[[int], Path], engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = made(train(30), [ToyFid()], engine)
    monkeypatch.setattr(Moments, "version", 2)
    assert "version of moments is 1 in the file, and 2 in this run" in reason(pairs, file, engine, ToyFid())
    monkeypatch.undo()
    monkeypatch.setattr(Moments, "file", (Weights("w", "w.pth", 1, "f" * 64, "MIT", "fid"),))
    expected = f"SHA-256 of the weights w is none in the file, and {'f' * 64} in this run"
    assert expected in reason(pairs, file, engine, ToyFid())


def rewritten(file: Path, change: Callable[[dict[str, Any], dict[str, Any]], None], *, rehash: bool = True) -> Path:
    """Change card and arrays of a file, as a stranger could."""
    arrays, card = tensors.parse(file.read_bytes())
    assert card is not None
    arrays = {name: np.array(array) for name, array in arrays.items()}
    change(card, arrays)
    if rehash:
        card["tensors"] = hash_of(in_memory(arrays))
    file.write_bytes(tensors.dump(arrays, card))
    return file


@pytest.mark.parametrize(
    ("library", "expected"),
    [("pillow", "pillow, which resizes images for moments and not alike in all versions, is 1.0 in the file, and")],
)
def test_another_pillow_is_refused_where_it_resizes(
    library: str, expected: str, pairs: Pairs, train: Callable[[int], Path], engine: Engine
) -> None:
    def older(card: dict[str, Any], _: object) -> None:
        card["features"][0]["recipe"]["libraries"][library] = "1.0"

    file = rewritten(made(train(30), [ToyFid()], engine), older)
    assert expected in reason(pairs, file, engine, ToyFid())


def test_other_versions_that_move_last_digits_are_a_warning(
    pairs: Pairs, train: Callable[[int], Path], engine: Engine
) -> None:
    def older(card: dict[str, Any], _: object) -> None:
        card["features"][0]["recipe"]["libraries"]["torch"] = "1.0"
        card["features"][0]["recipe"]["device"] = "cuda"

    file = rewritten(made(train(30), [ToyFid()], engine), older)
    run = evaluate(pairs, [ToyFid()], reference=file, engine=engine)
    (told,) = [warning for warning in run.record.warnings if "other versions" in warning]
    assert "torch 1.0 (here " in told
    # Moments compute on the CPU wherever they run.
    assert "cuda (here cpu)" in told


@pytest.mark.parametrize(("field", "value"), [("precision", "bfloat16"), ("reference_math", True)])
def test_other_arithmetic_is_refused(
    field: str, value: object, pairs: Pairs, train: Callable[[int], Path], engine: Engine
) -> None:
    def otherwise(card: dict[str, Any], _: object) -> None:
        card["features"][0]["recipe"][field] = value

    file = rewritten(made(train(30), [ToyFid()], engine), otherwise)
    assert f"{field} is {value} in the file, and" in reason(pairs, file, engine, ToyFid())


def _nan(_: dict[str, Any], arrays: dict[str, Any]) -> None:
    arrays["0.29.mean"][1] = np.nan


def _nan_feature(_: dict[str, Any], arrays: dict[str, Any]) -> None:
    arrays["0.each"][3, 2] = np.inf


def _negative(_: dict[str, Any], arrays: dict[str, Any]) -> None:
    arrays["0.29.scatter"] -= 2 * np.eye(6) * arrays["0.29.scatter"].max()


def _skew(_: dict[str, Any], arrays: dict[str, Any]) -> None:
    arrays["0.29.scatter"][0, 1] += arrays["0.29.scatter"].max()


def _shape(_: dict[str, Any], arrays: dict[str, Any]) -> None:
    arrays["0.29.scatter"] = arrays["0.29.scatter"][:5, :5]


def _kind(_: dict[str, Any], arrays: dict[str, Any]) -> None:
    arrays["0.29.mean"] = arrays["0.29.mean"].astype(np.float32)


def _other_mean(_: dict[str, Any], arrays: dict[str, Any]) -> None:
    arrays["0.29.mean"] += 1


def _more(card: dict[str, Any], _: object) -> None:
    card["images"] = 1000


def _fewer_lack(card: dict[str, Any], _: object) -> None:
    card["features"][0]["lacking"] = []


def _beyond(card: dict[str, Any], _: object) -> None:
    card["features"][0]["lacking"][0]["image"] = 5000


def _huge(card: dict[str, Any], _: object) -> None:
    card["features"][0]["dim"] = 10**9


def _other_set(card: dict[str, Any], _: object) -> None:
    card["content"] = "0" * 64


def _named_twice(_: dict[str, Any], arrays: dict[str, Any]) -> None:
    arrays["names"] = np.frombuffer(json.dumps(["a"]).encode(), dtype=np.uint8)


def _no_names(_: dict[str, Any], arrays: dict[str, Any]) -> None:
    arrays["names"] = np.frombuffer(b"[1,", dtype=np.uint8)


def _lists_an_image_twice(_: dict[str, Any], arrays: dict[str, Any]) -> None:
    names = json.loads(arrays["names"].tobytes())
    arrays["names"] = np.frombuffer(json.dumps([names[1], *names[1:]]).encode(), dtype=np.uint8)
    arrays["contents"][0] = arrays["contents"][1]


def _rings_a_bell(_: dict[str, Any], arrays: dict[str, Any]) -> None:
    names = json.loads(arrays["names"].tobytes())
    arrays["names"] = np.frombuffer(json.dumps(["\x07", *names[1:]]).encode(), dtype=np.uint8)


def _statistics_twice(card: dict[str, Any], _: object) -> None:
    card["features"][0]["statistics"] = [29, 29]


def _fewer_than_none(card: dict[str, Any], arrays: dict[str, Any]) -> None:
    card["features"][0]["statistics"] = [29, -5]
    arrays |= {"0.-5.mean": arrays["0.29.mean"], "0.-5.centred": arrays["0.29.scatter"][:5]}


def _extractor_twice(card: dict[str, Any], arrays: dict[str, Any]) -> None:
    card["features"] *= 2
    arrays |= {f"1{name[1:]}": array for name, array in arrays.items() if name.startswith("0.")}


def _scaled(_: dict[str, Any], arrays: dict[str, Any]) -> None:
    arrays["0.29.scatter"] *= 3


def _one_scaled(_: dict[str, Any], arrays: dict[str, Any]) -> None:
    rows = arrays["0.each"]
    rows[:, 2] = rows[:, 2].mean(dtype=float) + 1.001 * (rows[:, 2] - rows[:, 2].mean(dtype=float))


def _absurd(_: dict[str, Any], arrays: dict[str, Any]) -> None:
    arrays["0.29.mean"] += 1e300


def _nobody_counts(card: dict[str, Any], _: object) -> None:
    card["images"] = card["features"][0]["n"] = 10**400


def _size_that_is_none(card: dict[str, Any], _: object) -> None:
    card["sizes"] = {"\x1b[31m": 30}


def _says_nothing(card: dict[str, Any], _: object) -> None:
    card["features"][0]["recipe"] = {}


def _without_decoding(card: dict[str, Any], _: object) -> None:
    del card["features"][0]["recipe"]["decoding"]


def _no_libraries(card: dict[str, Any], _: object) -> None:
    card["features"][0]["recipe"]["libraries"] = "all"


def _no_rows(_: dict[str, Any], arrays: dict[str, Any]) -> None:
    arrays["names"] = arrays["names"][:0]


def _without(_: dict[str, Any], arrays: dict[str, Any]) -> None:
    del arrays["0.29.mean"]


def _as_stated(card: dict[str, Any], _: object) -> None:
    card["stated"] = "x.npz"


def _newer(card: dict[str, Any], _: object) -> None:
    card["version"] = 2


LIES = {
    _nan: "statistics of moments hold NaN or infinite values",
    _nan_feature: "features of moments hold NaN or infinite values",
    _negative: "has a negative eigenvalue",
    _skew: "is not symmetric",
    _shape: r"array '0.29.scatter' is float64 \(5, 5\) instead of float64 \(6, 6\)",
    _kind: "array '0.29.mean' is float32",
    _other_mean: "the mean of its features of moments is not that of its statistics",
    _more: "says of 1000 images that 29 have moments and 1 lack it",
    _fewer_lack: "says of 30 images that 29 have moments and 0 lack it",
    _beyond: "says of 30 images that 29 have moments",
    _huge: "does not say what this fhpt-eval expects at 'features.0.dim'",
    _other_set: "its hash of all images does not follow from those of each",
    _named_twice: "has 1 names of 30 images",
    _no_names: "its list of names cannot be read",
    _lists_an_image_twice: "it lists an image twice",
    _rings_a_bell: "its list of names cannot be read",
    _statistics_twice: "it says twice what it has of moments",
    _fewer_than_none: r"it has statistics of \[29, -5\] of 29 images",
    _extractor_twice: "it says twice what it has of moments",
    _scaled: "the deviation of its features of moments is not that of its statistics",
    _one_scaled: "the deviation of its features of moments is not that of its statistics",
    _absurd: "the mean of its features of moments is not that of its statistics",
    _nobody_counts: "does not say what this fhpt-eval expects at 'images'",
    _size_that_is_none: "does not say what this fhpt-eval expects at 'sizes",
    _says_nothing: "the recipe of its moments does not tell name",
    _without_decoding: "the recipe of its moments does not tell decoding",
    _no_libraries: "the recipe of its moments does not tell libraries",
    _no_rows: "its array 'names' is uint8",
    _without: "do not fit",
    _as_stated: "do not fit",
    _newer: "expects at 'version'",
}


@pytest.mark.parametrize("lie", LIES)
def test_a_file_that_contradicts_itself_is_refused_in_a_sentence(
    lie: Callable[..., None], train: Callable[[int], Path], engine: Engine
) -> None:
    file = rewritten(made(train(30), [ToyFid(), ToyKid()], engine), lie)
    with pytest.raises(UserError, match=LIES[lie]) as told:
        ReferenceFile.at(file)
    assert str(told.value).startswith(f"{file} cannot be used as a reference set, ")
    assert "\n" not in str(told.value)


def test_few_rows_that_are_not_about_their_mean_are_refused(train: Callable[[int], Path], engine: Engine) -> None:
    def shift(_: dict[str, Any], arrays: dict[str, Any]) -> None:
        arrays["0.5.centred"] += 1

    with pytest.raises(UserError, match="are not about their mean"):
        ReferenceFile.at(rewritten(made(train(6), [ToyFid()], engine), shift))


def test_few_rows_that_are_scaled_are_refused(train: Callable[[int], Path], engine: Engine) -> None:
    def scale(_: dict[str, Any], arrays: dict[str, Any]) -> None:
        arrays["0.5.centred"] *= 3

    with pytest.raises(UserError, match="the deviation of its features of moments is not that of its statistics"):
        ReferenceFile.at(rewritten(made(train(6), [ToyKid(), ToyFid()], engine), scale))


def test_statistics_without_a_tail_are_held_to_their_features(train: Callable[[int], Path], engine: Engine) -> None:
    def others(_: dict[str, Any], arrays: dict[str, Any]) -> None:
        arrays["0.28.mean"] *= 1.001

    file = made(train(30), [ToyKid(), ToyFid(tail=4)], engine)
    with pytest.raises(UserError, match="the mean of its features of moments is not that of its statistics"):
        ReferenceFile.at(rewritten(file, others))


def test_a_file_that_takes_its_place_meanwhile_is_not_read(
    train: Callable[[int], Path], engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, other = made(train(30), [ToyFid()], engine), made(train(6), [ToyFid()], engine)
    sha256 = hashlib.sha256(file.read_bytes()).hexdigest()

    def late(path: str, **options: Any) -> Any:
        other.replace(file)
        return safe_open(path, **options)

    monkeypatch.setattr(module, "safe_open", late)
    found = ReferenceFile.at(file)
    assert (found.sha256, found.record.images) == (sha256, 30)


@pytest.mark.parametrize("place", ["pipe", "link", "nothing", "/dev/zero"])
def test_what_is_neither_a_folder_nor_a_file_is_refused_at_once(place: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("gone")
    with pytest.raises(UserError) as told:
        read_reference(tmp_path / place)
    assert str(told.value) == (
        f"{tmp_path / place} cannot be read ({OTHERS[place]}): give --reference a folder of images, or what `fhpt-eval"
        " reference make` or `use` wrote."
    )


OTHERS = {
    "pipe": "a named pipe, not a file",
    "link": "a link to what is not there",
    "nothing": "No such file or directory",
    "/dev/zero": "a device, not a file",
}


def test_a_file_at_an_address_is_to_be_copied(train: Callable[[int], Path], engine: Engine) -> None:
    files = fsspec.filesystem("memory")
    files.pipe("/sets/train.safetensors", made(train(6), [ToyFid()], engine).read_bytes())
    for name in ("other000.png", "other002.png"):
        files.pipe(f"/sets/folder/{name}", (train(6) / name).read_bytes())
    try:
        with pytest.raises(UserError) as told:
            read_reference("memory://sets/train.safetensors")
        assert str(told.value) == (
            "memory://sets/train.safetensors is no folder, and the file of a reference set is read here only: copy it"
            " here."
        )
        images = read_reference("memory://sets/folder")
        assert not isinstance(images, ReferenceFile)
        assert make_reference(images, [ToyFid()], engine=engine).record.features[0].n == 2
    finally:
        files.rm("/sets", recursive=True)


def test_the_profile_that_a_file_fits_is_named(train: Callable[[int], Path], engine: Engine) -> None:
    def as_embedded(card: dict[str, Any], arrays: dict[str, Any]) -> None:
        need = configure(Fid, "embedded", {}).reference_need()
        assert need is not None
        card["features"][0] |= {"recipe": need.extractor.recipe(engine.numerics), "feature": need.feature}
        card["features"][0] |= {"dim": need.dim, "extractor": need.extractor.id}
        del arrays["0.29.scatter"]
        arrays |= {"0.29.mean": np.zeros(need.dim), "0.29.centred": np.zeros((29, need.dim))}

    file = ReferenceFile.at(rewritten(made(train(30), [ToyFid()], engine), as_embedded))
    need = configure(Fid, "paper", {}).reference_need()
    assert need is not None
    assert str(file.why_not(need, engine.numerics, "fid")).endswith(
        "; give --profile embedded, which it fits, or make the file again with --protocols fid and this run's options."
    )


def test_a_changed_byte_is_found(train: Callable[[int], Path], engine: Engine) -> None:
    file = made(train(30), [ToyFid()], engine)
    data = bytearray(file.read_bytes())
    data[-20] ^= 1
    file.write_bytes(data)
    with pytest.raises(UserError, match="its arrays are not those that were written"):
        ReferenceFile.at(file)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 some zip", b"\x80\x04pickle", b"\xff" * 64])
def test_other_files_are_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "x.safetensors").write_bytes(content)
    with pytest.raises(UserError, match="is no file of a reference set: give --reference a folder of images, or what"):
        ReferenceFile.at(tmp_path / "x.safetensors")


def test_half_a_file_and_foreign_tensors_are_refused(
    tmp_path: Path, train: Callable[[int], Path], engine: Engine
) -> None:
    file = made(train(30), [ToyFid()], engine)
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(UserError, match="is no file of a reference set"):
        ReferenceFile.at(file)
    file.write_bytes(tensors.dump({"x": np.zeros(3)}, {}))
    with pytest.raises(UserError, match="does not say what this fhpt-eval expects"):
        ReferenceFile.at(file)


def test_what_cannot_be_opened_leaves_a_set_without_its_hash(train: Callable[[int], Path], engine: Engine) -> None:
    folder = train(6)
    images = list_images(folder)
    (folder / "other000.png").unlink()
    with pytest.raises(UserError, match=r"1 images cannot be opened, the first is .*other000\.png"):
        make_reference(images, [ToyFid()], engine=engine)


def test_names_that_differ_in_spelling_alone_are_two(
    tmp_path: Path, pairs: Pairs, train: Callable[[int], Path], engine: Engine
) -> None:
    folder = train(6)
    for spelling in ("NFC", "NFD"):
        name = f"{unicodedata.normalize(spelling, 'é')}.png"
        (folder / name).write_bytes((folder / "other000.png").read_bytes())
    if len(list(folder.iterdir())) < 8:
        pytest.skip("this file system takes them for one")
    evaluate(pairs, [ToyFid()], reference=folder, engine=engine, output=tmp_path / "run")
    assert Run.load(tmp_path / "run").scores.keys() >= {"fid"}
    assert ReferenceFile.at(made(folder, [ToyFid()], engine)).record.images == 8


def test_a_set_of_one_image_is_none(tmp_path: Path, engine: Engine) -> None:
    write_image(tmp_path / "one" / "a.png", 1)
    with pytest.raises(UserError, match="only 1 of 1 images have features: a reference set has at least two"):
        make_reference(list_images(tmp_path / "one"), [ToyFid()], engine=engine)


def test_protocols_that_compare_with_the_targets_need_no_file(train: Callable[[int], Path], engine: Engine) -> None:
    with pytest.raises(UserError, match="none of the chosen protocols compares with a reference set"):
        make_reference(list_images(train(6)), [ToyFid(reference="targets")], engine=engine)


def test_the_targets_are_compared_with_whatever_file_is_given(
    pairs: Pairs, train: Callable[[int], Path], engine: Engine
) -> None:
    file = made(train(30), [ToyFid()], engine)
    targets = dataclasses.replace(ToyFid(), reference="targets")
    run = evaluate(pairs, [targets], reference=file, engine=engine)
    assert numbers(run) == numbers(evaluate(pairs, [targets], engine=engine))
    assert run.record.protocols[0].reference_file is None
