"""``fhpt-eval verify`` and ``fhpt-eval pack``: what follows from images, and every way in which something does not."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import signal
import zipfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from toys import write_image

from fhpt_eval.evaluation import claim
from fhpt_eval.evaluation.image_list import ImageList, ListedImage, generated_hash
from fhpt_eval.evaluation.run_record import ARRAYS, IMAGES, MISSING, PER_PAIR, RECORD

if TYPE_CHECKING:
    from conftest import Command, Draw, Outcome

Folders = tuple[str, str, str, str]
PROTOCOLS = ("-p", "ssim,psnr,l1", "--device", "cpu")


@pytest.fixture
def recorded(command: Command, folders: Folders) -> Path:
    """The run of five pairs."""
    assert command("run", *folders, *PROTOCOLS, "-o", "out").code == 0
    return Path("out")


@pytest.fixture
def check(command: Command, folders: Folders) -> Callable[..., Any]:
    """What `verify --json` says of ``out``."""

    def verify(*options: str, code: int, run: str = "out") -> Any:
        outcome = command("verify", run, *folders, *options, "--json", "--device", "cpu")
        assert outcome.code == code, outcome
        return json.loads(outcome.out)

    return verify


def edit(change: Callable[[dict[str, Any]], object]) -> None:
    record = json.loads(Path("out", RECORD).read_bytes())
    change(record)
    Path("out", RECORD).write_text(json.dumps(record), encoding="utf-8")


def verdicts(found: Any) -> dict[str, str]:
    return {number["metric"]: number["verdict"] for number in found["numbers"]}


def images(found: Any) -> dict[str, Any]:
    return {image["role"]: image for image in found["images"]}


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_record_follows_from_its_images_and_stays_as_it_was(
    recorded: Path, command: Command, folders: Folders
) -> None:
    before = contents(recorded)
    outcome = command("verify", recorded, *folders, "--device", "cpu")
    assert (outcome.code, outcome.err) == (0, "")
    assert "generated: 5 of 5 are\n  target: 5 of 5 are" in outcome.out
    assert outcome.out.count("same bits") == 3
    assert outcome.out.splitlines()[-1] == "3 of 3 numbers follow from these images"
    assert contents(recorded) == before
    assert json.loads(before[RECORD])["command"][:3] == ["fhpt-eval", "run", "--generated"]


def test_some_protocols_are_checked_alone(recorded: Path, check: Callable[..., Any], command: Command) -> None:
    assert verdicts(check("-p", "l1", code=0)) == {"l1": "same bits"}
    assert len(verdicts(check("-p", "perceptual", code=0))) == 3
    refused = command("verify", "out", "-g", "mine", "-t", "real", "-p", "fid")
    assert refused.code == 2
    assert refused.sentence.startswith("--protocols fid: the record has no number by it. ")
    refused = command("verify", "out", "-g", "mine", "-t", "real", "--set", "kec.tasks=a.task")
    assert refused.code == 2
    assert refused.sentence.startswith("--set kec: none of the numbers is by it. ")


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("value", 0.5, "the value differs (0.5 recorded, "),
        ("interval", [0.1, 0.2], "the interval differs"),
        ("n", 4, "the number of images or pairs differs (4 recorded, 5 here)"),
        ("better", "lower", "the direction differs (lower recorded, higher here)"),
        ("details", {"interval_over": "items"}, "a detail differs"),
        ("missing", {"no face": 2}, "what is missing differs"),
        ("unit", "dB", "the unit differs"),
    ],
)
def test_a_number_that_was_changed_is_found(
    recorded: Path, check: Callable[..., Any], field: str, value: object, reason: str
) -> None:
    edit(lambda record: record["protocols"][0]["scores"][0].update({field: value}))
    found = check(code=3)
    assert verdicts(found) == {"ssim": "does not follow", "psnr": "same bits", "l1": "same bits"}
    assert found["numbers"][0]["reason"].startswith(reason)
    assert found["numbers"][0]["pair"] is None


def test_a_value_of_a_pair_that_was_changed_is_found_with_its_pair(
    recorded: Path, command: Command, folders: Folders
) -> None:
    table = pd.read_csv(recorded / PER_PAIR, float_precision="round_trip")
    true = float(table["ssim"].tolist()[2])
    table.loc[2, "ssim"] = 0.99
    table.to_csv(recorded / PER_PAIR, index=False)
    outcome = command("verify", recorded, *folders, "--device", "cpu")
    assert outcome.code == 3
    assert f"ssim does not follow: first at pair c, 0.99 recorded, {true!r} here" in outcome.out
    assert outcome.out.splitlines()[-1] == "2 of 3 numbers follow from these images"


def test_an_image_that_was_replaced_is_found_with_its_pair(recorded: Path, check: Callable[..., Any]) -> None:
    write_image(Path("mine/d.png"), 99, (48, 64))
    found = check(code=3)
    assert images(found)["generated"] == {
        "role": "generated",
        "recorded": 5,
        "equal": 4,
        "same": False,
        "differing": ["d"],
        "absent": [],
        "extra": [],
    }
    assert {number["pair"] for number in found["numbers"]} == {"d"}
    assert set(verdicts(found).values()) == {"does not follow"}


def test_images_that_are_missing_or_new_are_named(recorded: Path, check: Callable[..., Any]) -> None:
    Path("mine/b.png").rename("mine/f.png")
    shutil.copy("real/b.png", "real/f.png")
    found = images(check(code=3))
    assert (found["generated"]["absent"], found["generated"]["extra"]) == (["b"], ["f"])
    assert found["generated"]["equal"] == 4
    assert found["target"]["extra"] == ["f.png"]


def test_the_same_pixels_in_another_file_give_the_numbers_but_are_not_the_images(
    recorded: Path, check: Callable[..., Any]
) -> None:
    Image.open("mine/a.png").save("mine/a.png", compress_level=1)
    found = check(code=3)
    assert images(found)["generated"]["differing"] == ["a"]
    assert set(verdicts(found).values()) == {"same bits"}


def test_other_targets_and_what_was_left_out_are_told(recorded: Path, check: Callable[..., Any]) -> None:
    write_image(Path("real/e.png"), 77, (48, 64))
    write_image(Path("mine/.hidden.png"), 7)
    found = images(check(code=3))
    assert found["target"]["differing"] == ["e.png"]
    assert found["left out"]["extra"] == ["generated: .hidden.png"]
    assert found["generated"]["same"]


def test_a_pair_that_was_removed_from_the_whole_record_is_found(recorded: Path, check: Callable[..., Any]) -> None:
    rows = ImageList.parse(Path("out", IMAGES).read_text(encoding="utf-8")).rows
    fewer = ImageList(tuple(row for row in rows if row.name not in {"c", "c.png"}))
    Path("out", IMAGES).write_text(fewer.text, encoding="utf-8")
    table = Path("out", PER_PAIR).read_text(encoding="utf-8").splitlines(keepends=True)
    Path("out", PER_PAIR).write_text("".join(line for line in table if not line.startswith("c,")), encoding="utf-8")

    def hide(record: dict[str, Any]) -> None:
        record["pairs"] |= {"total": 4, "matched": 4, "generated": generated_hash(fewer.of("generated").items())}
        record["pairs"] |= {"content": None, "hash": "0"}
        record["images"]["root"] = fewer.hash

    edit(hide)
    found = check(code=3)
    assert images(found)["generated"]["extra"] == ["c"]
    assert {number["pair"] for number in found["numbers"]} == {"c"}
    assert any("other pairs" in remark for remark in found["remarks"])


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda r: r["pairs"].update(generated="0"), "lists other generated images"),
        (lambda r: r["pairs"].update(total=4), "5 rows for 4 pairs"),
        (lambda r: r["images"].update(root="0"), "is not the list that the record was written with"),
    ],
)
def test_a_record_at_odds_with_its_own_tables_is_refused(
    recorded: Path, command: Command, folders: Folders, change: Callable[..., None], sentence: str
) -> None:
    edit(change)
    outcome = command("verify", recorded, *folders)
    assert outcome.code == 2
    assert sentence in outcome.sentence


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda p: p["recipe"]["parameters"].update(sigma=1.2), "recorded as measured in clean@2, which is none"),
        (lambda p: p["recipe"].update(weights={"x": "0"}), "other weights"),
        (lambda p: p["recipe"].update(keypoints={"target": "annotations"}), "keypoints of target images are detected"),
        (lambda p: p.update(dialect="pidm@2", metric="ssim_256"), "its options are not those of pidm@2:ssim_256"),
    ],
)
def test_a_recipe_that_was_changed_is_found(
    recorded: Path, check: Callable[..., Any], change: Callable[..., None], reason: str
) -> None:
    edit(lambda record: change(record["protocols"][0]))
    number, *others = check(code=3)["numbers"]
    assert reason in number["reason"]
    assert number["verdict"] != "same bits"
    assert {other["verdict"] for other in others} == {"same bits"}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda p: p["recipe"].update(version=9), "version 9 of ssim, and this fhpt-eval has version 2"),
        (lambda p: p["recipe"].update(protocol="ours"), "no protocol 'ours' is installed here"),
        (lambda p: p["recipe"].update(extractors={"ssim": 7}), "it rests on version 7 of ssim"),
        (lambda p: p["recipe"]["parameters"].update(nonsense=1), "has no option 'nonsense'"),
        (lambda p: p["recipe"]["parameters"].update(window="sha256:0"), "give it with --set ssim.window=FILE"),
    ],
)
def test_what_cannot_be_checked_is_named(
    recorded: Path, check: Callable[..., Any], change: Callable[..., None], reason: str
) -> None:
    edit(lambda record: change(record["protocols"][0]))
    found = check(code=3)
    assert verdicts(found) == {"ssim": "not checked", "psnr": "same bits", "l1": "same bits"}
    assert reason in found["numbers"][0]["reason"]


def test_numbers_within_tolerance_follow_and_are_told_from_the_same_bits(
    recorded: Path, check: Callable[..., Any]
) -> None:
    table = pd.read_csv(recorded / PER_PAIR, float_precision="round_trip")
    table["ssim"] *= 1 + 1e-11
    table["l1"] *= 1 + 1e-7
    table.to_csv(recorded / PER_PAIR, index=False)
    found = check(code=3)
    assert verdicts(found) == {"ssim": "within tolerance", "psnr": "same bits", "l1": "does not follow"}
    assert (found["numbers"][0]["pair"], found["numbers"][0]["follows"]) == ("a", True)


def test_other_versions_are_told_and_widen_the_tolerance_that_rests_on_them(
    command: Command, folders: Folders, check: Callable[..., Any]
) -> None:
    command("run", *folders, "-p", "fid", "--profile", "embedded", "--device", "cpu", "-o", "out")

    def scale(record: dict[str, Any]) -> None:
        record["protocols"][0]["scores"][0]["value"] *= 1.005

    edit(scale)
    assert verdicts(check(code=3)) == {"fd_efficientnet_lite0": "does not follow"}
    edit(lambda record: record["environment"]["packages"].update(pillow="10.3.0"))
    found = check(code=0)
    assert verdicts(found) == {"fd_efficientnet_lite0": "within tolerance"}
    (remark,) = found["remarks"]
    assert remark.startswith("recorded with other versions: pillow 10.3.0 (here ")


def test_arrays_that_were_changed_are_found(command: Command, folders: Folders, check: Callable[..., Any]) -> None:
    import safetensors.numpy as safetensors

    command("run", *folders, "-p", "fid", "--profile", "embedded", "--device", "cpu", "-o", "out")
    assert set(verdicts(check(code=0)).values()) == {"same bits"}
    arrays = safetensors.load(Path("out", ARRAYS).read_bytes())
    (name,) = arrays
    arrays[name] = -arrays[name]
    Path("out", ARRAYS).write_bytes(safetensors.save(arrays))
    (number,) = check(code=3)["numbers"]
    assert number["reason"] == "the array 'influence' differs"


def test_a_record_of_before_tells_by_its_hashes_and_says_what_cannot_be_told(
    recorded: Path, check: Callable[..., Any]
) -> None:
    edit(lambda record: (record["images"].pop("root"), record.pop("command")))
    Path("out", IMAGES).unlink()
    found = check(code=0)
    assert [(image["role"], image["equal"]) for image in found["images"]] == [("generated", 5), ("target", 5)]
    assert "cannot be told" in found["remarks"][0]
    write_image(Path("mine/a.png"), 50, (48, 64))
    found = check(code=3)
    assert images(found)["generated"]["equal"] is None
    assert found["numbers"][0]["pair"] == "a"


def test_pairs_that_lack_files_are_verified_as_they_were_recorded(
    command: Command, draw: Draw, check: Callable[..., Any]
) -> None:
    draw("mine", "abcde", seed=1)
    draw("real", "abcdef", seed=2)
    Path("mine/b.png").write_bytes(b"")
    options = ("-g", "mine", "-t", "real", *PROTOCOLS)
    assert command("run", *options, "-o", "out", "--allow-missing").code == 3
    outcome = command("verify", "out", "-g", "mine", "-t", "real", "--json")
    assert outcome.code == 0
    assert set(verdicts(json.loads(outcome.out)).values()) == {"same bits"}
    text = Path("out", MISSING).read_text(encoding="utf-8")
    Path("out", MISSING).write_text(text.replace("no generated image", "no face"), encoding="utf-8")
    found = json.loads(command("verify", "out", "-g", "mine", "-t", "real", "--json").out)
    assert found["numbers"][0]["reason"] == "missing by 'no face' in the record, by 'no generated image' here"
    assert found["numbers"][0]["pair"] == "f"


def test_dialects_and_geometries_are_verified_by_their_recipes(command: Command, draw: Draw) -> None:
    folders = ("-g", draw("mine", "ab", seed=1, size=(256, 264)), "-t", draw("real", "ab", seed=2, size=(256, 256)))
    crop = ("--generated-geometry", "crop(left=4, top=0, width=256, height=256)")
    what = ("--dialect", "gfla", "-p", "ssim,l1", "--device", "cpu")
    assert command("run", *folders, *crop, *what, "-o", "out").code == 0
    outcome = command("verify", "out", *folders, "--json")
    assert outcome.code == 0, outcome
    assert len(verdicts(json.loads(outcome.out))) > 2


def test_hostile_names_are_inert(command: Command, folders: Folders) -> None:
    command("run", *folders, "-p", "l1", "-o", "out")
    edit(lambda record: record.update(name="\x1b[31m<script>[red]"))
    outcome = command("verify", "out", *folders)
    assert "\x1b" not in outcome.out
    assert r"\u001b[31m<script>[red]: are these" in outcome.out


def test_a_run_without_numbers_and_what_is_no_run_are_one_sentence(command: Command, folders: Folders) -> None:
    command("run", *folders, "-p", "fid", "-o", "out")
    assert command("verify", "out", *folders).sentence.endswith("has no numbers: there is nothing to verify.")
    assert command("pack", "out", "-o", "claim.zip").sentence == "out has no numbers: there is nothing to claim."
    for command_line in (("verify", "nowhere", *folders), ("pack", "nowhere", "-o", "claim.zip")):
        outcome = command(*command_line)
        assert outcome.code == 2
        assert "nowhere is not a run's folder" in outcome.sentence


@pytest.mark.parametrize(
    ("option", "sentence"),
    [
        ("ssim.sigma=1.2", "--set ssim.sigma: it was no file, and comes from the record; leave it out."),
        ("ssim.sigmas=1.2", "--set ssim.sigmas: the record has no such option. Did you mean 'sigma'?"),
        ("ssim.foo=1", "--set ssim.foo: the record has no such option. Known: "),
    ],
)
def test_no_option_is_given_again_but_one_that_was_a_file(
    recorded: Path, command: Command, folders: Folders, option: str, sentence: str
) -> None:
    outcome = command("verify", "out", *folders, "--set", option)
    assert outcome.code == 2
    assert outcome.sentence.startswith(sentence)


def test_an_option_that_was_a_file_is_given_again(recorded: Path, check: Callable[..., Any]) -> None:
    edit(lambda record: record["protocols"][0]["recipe"]["parameters"].update(window="sha256:0"))
    number = check("--set", "ssim.window=gaussian", code=3)["numbers"][0]
    assert number["verdict"] == "not checked"
    assert number["reason"].endswith("is gaussian instead of sha256:0: give the recorded one with --set")


@pytest.mark.parametrize("column", ["item", "item_colour", "gender", "view"])
def test_what_is_known_of_a_pair_and_was_changed_is_found_with_its_pair(
    recorded: Path, command: Command, folders: Folders, column: str
) -> None:
    table = pd.read_csv(recorded / PER_PAIR, float_precision="round_trip", dtype={column: "object"})
    table.loc[[1, 3], column] = "other"
    table.to_csv(recorded / PER_PAIR, index=False)
    outcome = command("verify", recorded, *folders, "--device", "cpu")
    assert outcome.code == 3
    assert f"{PER_PAIR}: pair b has the {column.replace('_', ' ')} other, here none: " in outcome.out
    assert outcome.out.splitlines()[-1] == (
        "3 of 3 numbers follow from these images, but not all else that the record says"
    )


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda r: r["pairs"].update(matched=4), "4 pairs had all their files when it was recorded, 5 have them here"),
        (
            lambda r: r["pairs"].update(missing=["z: no generated image"]),
            "what is missing is not as recorded (1 recorded, 0 here): z: no generated image",
        ),
        (lambda r: r["pairs"].update(extra=["x"]), "what is extra is not as recorded (1 recorded, 0 here): x"),
        (lambda r: r["pairs"].update(ambiguous=["x"]), "what is ambiguous is not as recorded (1 recorded, 0 here): x"),
        (lambda r: r["pairs"].update(duplicate=["x"]), "what is duplicate is not as recorded (1 recorded, 0 here): x"),
        (lambda r: r["pairs"].update(known="0"), f"{RECORD} has another hash of items, genders and views"),
        (lambda r: r["protocols"][1].update(status="failed"), "psnr has numbers, and is recorded as failed"),
    ],
)
def test_what_else_a_record_says_and_is_not_so_is_named(
    recorded: Path, check: Callable[..., Any], change: Callable[..., None], sentence: str
) -> None:
    edit(change)
    found = check(code=3)
    (contradiction,) = found["contradictions"]
    assert contradiction.startswith(sentence)
    assert not found["follows"]
    assert set(verdicts(found).values()) == {"same bits"}


def relist(change: Callable[[tuple[ListedImage, ...]], Iterable[ListedImage]], **pairs: object) -> None:
    """Rewrite the list of images, and the hashes of it."""
    listed = ImageList(tuple(change(ImageList.parse(Path("out", IMAGES).read_text(encoding="utf-8")).rows)))
    Path("out", IMAGES).write_text(listed.text, encoding="utf-8")
    edit(lambda record: (record["images"].update(root=listed.hash), record["pairs"].update(pairs)))


NOTHING_TOLD = "nothing in the record tells which generated images it is of"


def test_an_emptied_list_of_images_tells_nothing(recorded: Path, check: Callable[..., Any]) -> None:
    relist(lambda _: (), generated=None, content=None)
    found = check(code=3)
    assert found["contradictions"] == [NOTHING_TOLD]
    assert {role: (image["recorded"], len(image["extra"])) for role, image in images(found).items()} == {
        "generated": (0, 5),
        "target": (0, 5),
    }


def test_a_record_without_any_hash_of_its_images_says_so(recorded: Path, command: Command, folders: Folders) -> None:
    edit(lambda record: (record["images"].pop("root"), record["pairs"].update(generated=None, content=None)))
    (recorded / IMAGES).unlink()
    outcome = command("verify", "out", *folders)
    assert outcome.code == 3
    assert NOTHING_TOLD in outcome.out.splitlines()


def test_a_list_that_lacks_a_role_is_named(command: Command, folders: Folders, draw: Draw) -> None:
    rows = "".join(f"{name}.png,{name}.png,{name}.png,{name}\n" for name in "abcde")
    Path("list.csv").write_text(f"generated,target,source,item\n{rows}", encoding="utf-8")
    what = (*folders, "--source", str(draw("from", seed=3)), "--pairs", "list.csv")
    command("run", *what, "-p", "retrieval", "--profile", "embedded", "-o", "out")
    relist(lambda rows: [row for row in rows if row.role != "source"])
    found = json.loads(command("verify", "out", *what, "--json").out)
    assert images(found)["source"]["extra"] == [f"{name}.png" for name in "abcde"]
    assert not found["follows"]


def test_what_was_left_out_without_a_hash_and_is_not_here_is_named(recorded: Path, check: Callable[..., Any]) -> None:
    relist(lambda rows: [*rows, ListedImage("generated", "gone.png", "", "it cannot be read")])
    left = images(check(code=3))["left out"]
    assert (left["recorded"], left["equal"], left["absent"]) == (1, 0, ["generated: gone.png"])


@pytest.mark.parametrize("sha256", [None, "0" * 64])
def test_a_row_that_is_listed_twice_is_damage(
    recorded: Path, command: Command, folders: Folders, sha256: str | None
) -> None:
    relist(lambda rows: [rows[0]._replace(sha256=sha256 or rows[0].sha256), *rows])
    outcome = command("verify", recorded, *folders)
    assert outcome.code == 2
    assert "is damaged (the list of images has one twice)" in outcome.sentence


def test_a_reason_about_a_recipe_names_no_pair(recorded: Path, check: Callable[..., Any]) -> None:
    edit(lambda record: record["protocols"][0]["recipe"].update(weights={"x": "0"}))
    write_image(Path("mine/d.png"), 99, (48, 64))
    pairs = {number["metric"]: number["pair"] for number in check(code=3)["numbers"]}
    assert pairs == {"ssim": None, "psnr": "d", "l1": "d"}


# Archives


def test_an_archive_has_what_checks_it_elsewhere_and_no_image(
    recorded: Path, command: Command, folders: Folders
) -> None:
    assert command("pack", recorded, "-o", "claim.zip").out == "claim.zip\n"
    with zipfile.ZipFile("claim.zip") as archive:
        assert archive.namelist() == ["README.md", RECORD, PER_PAIR, MISSING, IMAGES]
        assert archive.read(RECORD) == (recorded / RECORD).read_bytes()
        readme = archive.read("README.md").decode()
    assert "fhpt-eval verify claim.zip --generated GENERATED --target TARGET\n" in readme
    assert "fhpt-eval run --generated " in readme
    shutil.rmtree(recorded)
    outcome = command("verify", "claim.zip", *folders, "--device", "cpu")
    assert (outcome.code, outcome.err) == (0, "")
    write_image(Path("mine/a.png"), 50, (48, 64))
    assert command("verify", "claim.zip", *folders).code == 3


def test_equal_runs_give_equal_archives(recorded: Path, command: Command) -> None:
    command("pack", recorded, "-o", "one.zip")
    Path("out", RECORD).touch()
    shutil.copytree(recorded, "copy")
    command("pack", "copy", "-o", "two.zip")
    assert Path("one.zip").read_bytes() == Path("two.zip").read_bytes()
    assert command("pack", recorded, "-o", "one.zip").code == 0
    Path("one.zip").write_bytes(b"mine")
    refused = command("pack", recorded, "-o", "one.zip")
    assert refused.code == 2
    assert "--overwrite" in refused.sentence
    assert command("pack", recorded, "-o", "one.zip", "--overwrite").code == 0


def test_the_list_of_pairs_travels_with_an_archive(command: Command, draw: Draw) -> None:
    draw("mine", "abc", seed=1)
    draw("real", "xyz", seed=2)
    rows = "".join(f"{one}.png,{other}.png,item{one}\n" for one, other in zip("abc", "xyz", strict=True))
    Path("list.csv").write_text(f"generated,target,item\n{rows}", encoding="utf-8")
    command("run", "-g", "mine", "-t", "real", "--pairs", "list.csv", *PROTOCOLS, "-o", "out")
    assert "give it with --pairs" in command("pack", "out", "-o", "claim.zip").sentence
    Path("other.csv").write_text(f"generated,target,item\n{rows}\n", encoding="utf-8")
    assert "other.csv is not the list" in command("pack", "out", "-o", "claim.zip", "--pairs", "other.csv").sentence
    assert "none.csv cannot be read" in command("pack", "out", "-o", "claim.zip", "--pairs", "none.csv").sentence
    assert command("pack", "out", "-o", "claim.zip", "--pairs", "list.csv").code == 0
    Path("list.csv").unlink()
    outcome = command("verify", "claim.zip", "-g", "mine", "-t", "real", "--json")
    assert outcome.code == 0
    # Items are known by the list alone, and intervals rest on them.
    assert json.loads(outcome.out)["remarks"] == []


def test_a_list_that_the_run_was_not_given_is_refused(recorded: Path, command: Command) -> None:
    Path("list.csv").write_text("generated\na.png\n", encoding="utf-8")
    outcome = command("pack", recorded, "-o", "claim.zip", "--pairs", "list.csv")
    assert outcome.code == 2
    assert "leave it out" in outcome.sentence


def archive(files: dict[str, bytes], change: Callable[[zipfile.ZipInfo], None] | None = None) -> None:
    with zipfile.ZipFile("claim.zip", "w") as made:
        for name, content in files.items():
            about = zipfile.ZipInfo(name)
            if change is not None:
                change(about)
            made.writestr(about, content)


@pytest.mark.parametrize("name", ["../run.json", "/etc/run.json", "a/run.json", "image.png", "..\\x"])
def test_an_archive_with_other_names_is_refused_and_writes_nothing(
    recorded: Path, command: Command, folders: Folders, name: str
) -> None:
    archive({**contents(recorded), name: b"x"})
    before = sorted(Path().rglob("*"))
    outcome: Outcome = command("verify", "claim.zip", *folders)
    assert outcome.code == 2
    assert "which no archive of `fhpt-eval pack` does so" in outcome.sentence
    assert [path for path in sorted(Path().rglob("*")) if path not in before and path.parts[0] != "cache"] == []


def test_a_link_in_an_archive_is_taken_for_its_text(recorded: Path, command: Command, folders: Folders) -> None:
    def link(about: zipfile.ZipInfo) -> None:
        about.create_system, about.external_attr = 3, 0o120777 << 16

    Path("secret.json").write_bytes((recorded / RECORD).read_bytes())
    archive({**contents(recorded), RECORD: str(Path("secret.json").resolve()).encode()}, link)
    outcome = command("verify", "claim.zip", *folders)
    assert outcome.code == 2
    assert "is damaged" in outcome.sentence


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        (RECORD, None, f"{RECORD}: No such file or directory"),
        (RECORD, b'{"schema_version": 9}', f"{RECORD} has schema version 9, this fhpt-eval reads 1"),
        (PER_PAIR, None, f"{PER_PAIR}: No such file or directory"),
        (IMAGES, b"role\n", "it is no list of images"),
    ],
)
def test_a_damaged_archive_is_named_and_not_the_folder_that_it_was_unpacked_to(
    recorded: Path, command: Command, folders: Folders, name: str, content: bytes | None, why: str
) -> None:
    files = {**contents(recorded), name: content}
    archive({name: content for name, content in files.items() if content is not None})
    outcome = command("verify", "claim.zip", *folders)
    assert outcome.code == 2
    assert outcome.sentence == f"claim.zip is damaged ({why}): whoever packed it should pack it again."


def test_an_archive_that_is_too_large_twice_or_broken_is_one_sentence(
    recorded: Path, command: Command, folders: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive(contents(recorded))
    whole = Path("claim.zip").read_bytes()
    for broken in (whole[: len(whole) // 2], b"PK", b"", whole.replace(b'"schema', b'"scheme', 1)):
        Path("claim.zip").write_bytes(broken)
        outcome = command("verify", "claim.zip", *folders)
        assert outcome.code == 2
        assert "cannot be read as an archive" in outcome.sentence
    Path("claim.zip").write_bytes(whole)
    with monkeypatch.context() as patch:
        patch.setattr(claim, "LIMIT", 100)
        assert "would unpack to more than" in command("verify", "claim.zip", *folders).sentence
    with pytest.warns(UserWarning, match="Duplicate name"), zipfile.ZipFile("claim.zip", "a") as made:
        made.writestr(RECORD, b"{}")
    assert "holds 'run.json'" in command("verify", "claim.zip", *folders).sentence


def test_what_an_archive_says_of_a_size_is_not_believed(
    recorded: Path, command: Command, folders: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = b"0" * 100_000
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr(RECORD, content)
    size = len(content).to_bytes(4, "little")
    Path("claim.zip").write_bytes(stream.getvalue().replace(size, (10).to_bytes(4, "little")))
    monkeypatch.setattr(claim, "LIMIT", 1000)
    outcome = command("verify", "claim.zip", *folders)
    assert outcome.code == 2


def test_the_hash_of_the_list_is_that_of_the_file_that_was_given(command: Command, folders: Folders) -> None:
    Path("list.csv").write_text("generated,target\na.png,a.png\n", encoding="utf-8")
    command("run", *folders, "--pairs", "list.csv", "-p", "l1", "-o", "out")
    record = json.loads(Path("out", RECORD).read_bytes())
    assert record["pairs"]["list_sha256"] == hashlib.sha256(Path("list.csv").read_bytes()).hexdigest()
    assert np.isfinite(record["protocols"][0]["scores"][0]["value"])


@pytest.mark.parametrize(
    "words",
    [
        ("compare", "out", "other", "-o", f"out/{PER_PAIR}"),
        ("compare", "out", "other", "-o", f"out/{IMAGES}"),
        ("leaderboard", "out", "-o", f"out/{MISSING}"),
        ("leaderboard", "out", "--format", "csv", "-o", f"out/{RECORD}"),
        ("leaderboard", "out", "--format", "csv", "-o", f"out/{ARRAYS}"),
    ],
)
def test_no_command_writes_over_a_record(recorded: Path, command: Command, words: tuple[str, ...]) -> None:
    shutil.copytree(recorded, "other")
    edit(lambda record: record.update(name="first"))
    before = contents(recorded)
    for overwrite in ((), ("--overwrite",)):
        outcome = command(*words, *overwrite)
        assert outcome.code == 2
        assert outcome.sentence == f"{words[-1]} belongs to the record of the run in out: choose another file with -o."
    assert contents(recorded) == before
    # Elsewhere such a name is one like others.
    Path("elsewhere").mkdir()
    assert command(*words[:-1], f"elsewhere/{Path(words[-1]).name}").code == 0


def test_an_archive_ends_in_zip(recorded: Path, command: Command) -> None:
    before = contents(recorded)
    outcome = command("pack", recorded, "-o", recorded / RECORD, "--overwrite")
    assert (outcome.code, outcome.sentence) == (2, "out/run.json: an archive ends in .zip.")
    assert contents(recorded) == before


# Named pipes


@pytest.fixture
def impatient() -> Iterator[None]:
    """Whoever waits for a pipe is ended, instead of the tests."""

    def give_up(_number: int, _frame: object) -> None:
        raise TimeoutError("it waits for a named pipe")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(60)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("name", [RECORD, PER_PAIR, MISSING, IMAGES, ARRAYS])
def test_no_command_waits_for_a_named_pipe_in_a_run(
    recorded: Path, command: Command, folders: Folders, name: str
) -> None:
    (recorded / name).unlink(missing_ok=True)
    os.mkfifo(recorded / name)
    again = ("run", *folders, *PROTOCOLS, "-o", "out")
    for words in (("verify", "out", *folders), ("pack", "out", "-o", "claim.zip"), ("leaderboard", "out"), again):
        outcome = command(*words)
        assert outcome.code == 2, words
        assert "a named pipe, not a file" in outcome.sentence
        assert name in outcome.sentence
    assert (recorded / name).is_fifo()


@pytest.mark.usefixtures("impatient")
def test_no_command_waits_for_a_named_pipe_in_a_runs_place(recorded: Path, command: Command, folders: Folders) -> None:
    os.mkfifo("pipe")
    for words in (("verify", "pipe", *folders), ("pack", "pipe", "-o", "claim.zip"), ("leaderboard", "out", "pipe")):
        outcome = command(*words)
        assert outcome.code == 2
        assert "pipe is not a run's folder" in outcome.sentence
    assert "cannot be read (a named pipe" in command("pack", "out", "-o", "claim.zip", "--pairs", "pipe").sentence


@pytest.mark.usefixtures("impatient")
def test_a_named_pipe_that_a_record_of_before_does_not_name_is_not_packed(recorded: Path, command: Command) -> None:
    edit(lambda record: record["images"].pop("root"))
    (recorded / IMAGES).unlink()
    os.mkfifo(recorded / IMAGES)
    outcome = command("pack", "out", "-o", "claim.zip")
    assert outcome.code == 2
    assert f"{IMAGES}: a named pipe, not a file" in outcome.sentence


# What is given beside images


def test_keypoints_reference_sets_and_strips_are_verified_too(command: Command, draw: Draw) -> None:
    draw("mine", "ab", seed=1)
    draw("real", "ab", seed=2)
    draw("train", "xyz", seed=3)
    row = json.dumps([20 + i for i in range(18)])
    lines = "".join(f"{name}.png: {row}: {row}\n" for name in "ab")
    for name in ("points.csv", "other.csv"):
        Path(name).write_text(f"name:keypoints_y:keypoints_x\n{lines}", encoding="utf-8")
    Path("other.csv").write_text(Path("other.csv").read_text(encoding="utf-8").replace("20", "19"), encoding="utf-8")
    both = ("-g", "mine", "-t", "real", "--device", "cpu")
    given = ("--target-keypoints", "points.csv", "--generated-keypoints", "points.csv", "--reference", "train")
    command("run", *both, *given, "-p", "fid,pckh", "--profile", "embedded", "-o", "out")
    found = json.loads(command("verify", "out", *both, *given, "--json").out)
    assert found["follows"], found
    assert {"generated", "target", "reference", "generated keypoints", "target keypoints"} == images(found).keys()
    assert command("pack", "out", "-o", "claim.zip").code == 0
    with zipfile.ZipFile("claim.zip") as made:
        assert (
            "--generated GENERATED --target TARGET --reference REFERENCE --generated-keypoints GENERATED_KEYPOINTS"
            " --target-keypoints TARGET_KEYPOINTS" in made.read("README.md").decode()
        )
    # Other ones, and none.
    others = ("--target-keypoints", "points.csv", "--generated-keypoints", "other.csv", "--reference", "train")
    outcome = command("verify", "out", *both, *others, "--json")
    assert outcome.code == 3
    found = json.loads(outcome.out)
    assert not images(found)["generated keypoints"]["same"]
    outcome = command("verify", "claim.zip", *both, *given[:4], "--json")
    reasons = {number["metric"]: number["reason"] for number in json.loads(outcome.out)["numbers"]}
    assert reasons == {"fd_efficientnet_lite0": "another reference set", "pckh": None}
    draw("train", "xyz", seed=4)
    found = json.loads(command("verify", "out", *both, *given, "--json").out)
    assert images(found)["reference"]["differing"] == ["x.png", "y.png", "z.png"]


def test_strips_are_verified_by_their_panels(command: Command, draw: Draw) -> None:
    draw("strips", ["a.jpg___b.jpg_vis.png", "c.jpg___d.jpg_vis.png"], seed=1, size=(64, 5 * 44))
    options = ("-g", "strips", "--naming", "patn-strip")
    assert command("run", *options, *PROTOCOLS, "-o", "out").code == 0
    found = json.loads(command("verify", "out", *options, "--json").out)
    assert found["follows"], found
    assert images(found)["target"]["recorded"] == 2


def test_a_run_of_several_commands_is_verified_whole(command: Command, folders: Folders) -> None:
    command("run", *folders, "-p", "ssim", "-o", "out")
    command("run", *folders, "-p", "fid", "--profile", "embedded", "-o", "other")
    command("run", *folders, "-p", "l1", "-o", "out")
    outcome = command("verify", "out", *folders, "--json")
    assert outcome.code == 0
    assert list(verdicts(json.loads(outcome.out))) == ["ssim", "l1"]
