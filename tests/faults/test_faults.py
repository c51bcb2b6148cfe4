"""What users do wrong and what breaks under them: one sentence each, and the right exit code."""

from __future__ import annotations

import errno
import hashlib
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import pytest

from fhpt_eval.errors import UserError
from fhpt_eval.evaluation.run import Run
from fhpt_eval.evaluation.run_record import IMAGES, MISSING, PER_PAIR, RECORD

if TYPE_CHECKING:
    from conftest import Command, Draw, Outcome

Folders = tuple[str, str, str, str]
FAST = ("--protocols", "ssim,psnr,l1", "--device", "cpu")


def scores(outcome: Outcome) -> dict[str, Any]:
    return {s["metric"]: s for p in json.loads(outcome.out)["protocols"] for s in p["scores"]}


def remarks(outcome: Outcome) -> list[str]:
    lines = outcome.err.splitlines()
    assert all(line.startswith("fhpt-eval: ") for line in lines)
    return [line.removeprefix("fhpt-eval: ") for line in lines]


# Folders


@pytest.mark.parametrize("option", ["--generated", "--target", "--source", "--reference"])
@pytest.mark.parametrize("kind", ["absent", "empty", "no images", "a file"])
def test_a_folder_that_is_none_or_holds_no_image_is_refused(
    command: Command, draw: Draw, option: str, kind: str
) -> None:
    given = {"--generated": draw("mine"), "--target": draw("real"), option: Path("wrong")}
    if kind == "empty":
        Path("wrong").mkdir()
    elif kind == "no images":
        Path("wrong").mkdir()
        Path("wrong/readme.txt").write_text("no picture", encoding="utf-8")
    elif kind == "a file":
        Path("wrong").write_text("no folder", encoding="utf-8")
    protocols = ("--protocols", "fid,l1") if option == "--reference" else FAST
    outcome = command("run", *(str(part) for pair in given.items() for part in pair), *protocols)
    assert outcome.code == 2
    assert option in outcome.sentence
    assert "wrong" in outcome.sentence
    assert not Path("results").exists()


def test_a_folder_in_place_of_the_list_is_refused(command: Command, folders: Folders) -> None:
    outcome = command("run", *folders, "--pairs", folders[1], *FAST)
    assert outcome.code == 2
    assert "--pairs" in outcome.sentence


def test_folders_whose_names_have_nothing_in_common_are_refused(command: Command, draw: Draw) -> None:
    outcome = command("run", "-g", draw("mine", "abc"), "-t", draw("real", "xyz"), *FAST)
    assert outcome.code == 2
    assert "--naming" in outcome.sentence or "--pairs" in outcome.sentence


# Images


def damage(path: Path, how: str) -> None:
    data = path.read_bytes()
    broken = {
        "truncated": data[: len(data) // 2],
        "empty": b"",
        "text": b"this is not a picture\n",
        "html": b"<!DOCTYPE html><html><body>404</body></html>",
        "header only": data[:24],
    }
    if how == "folder":
        path.unlink()
        path.mkdir()
    elif how == "dangling link":
        path.unlink()
        path.symlink_to(path.parent / "gone")
    else:
        path.write_bytes(broken[how])


@pytest.mark.parametrize("how", ["truncated", "empty", "text", "html", "header only"])
def test_an_unreadable_image_is_named_and_the_others_are_scored(command: Command, folders: Folders, how: str) -> None:
    damage(Path("mine/c.png"), how)
    outcome = command("run", *folders, *FAST, "--json")
    assert outcome.code == 3
    named = [line for line in remarks(outcome) if line.startswith("unreadable: ")]
    assert len(named) == 1
    assert "mine/c.png: " in named[0]
    for score in scores(outcome).values():
        assert score["n"] == 4
        assert list(score["missing"].values()) == [1]
        assert score["faults"] == 1
    assert [
        reason for reason in Path("results/mine", MISSING).read_text(encoding="utf-8").splitlines() if ",c," in reason
    ]


def test_an_unreadable_target_costs_every_pair_that_it_stands_in(command: Command, draw: Draw) -> None:
    draw("mine", "abc")
    draw("real", "xy", seed=1)
    Path("list.csv").write_text("generated,target\na.png,x.png\nb.png,x.png\nc.png,y.png\n", encoding="utf-8")
    damage(Path("real/x.png"), "truncated")
    outcome = command("run", "-g", "mine", "-t", "real", "--pairs", "list.csv", *FAST, "--json")
    assert outcome.code == 3
    assert {score["n"] for score in scores(outcome).values()} == {1}
    assert len([line for line in remarks(outcome) if line.startswith("unreadable: ")]) == 1


def test_a_mended_image_is_read_again(command: Command, folders: Folders) -> None:
    whole = Path("mine/c.png").read_bytes()
    damage(Path("mine/c.png"), "truncated")
    assert command("run", *folders, *FAST).code == 3
    Path("mine/c.png").write_bytes(whole)
    outcome = command("run", *folders, *FAST, "--json", "--overwrite")
    assert outcome.code == 0
    assert {score["n"] for score in scores(outcome).values()} == {5}


def test_when_no_image_can_be_read_there_are_no_numbers_and_it_is_said(command: Command, folders: Folders) -> None:
    for path in Path("mine").iterdir():
        damage(path, "text")
    outcome = command("run", *folders, *FAST, "--json")
    assert outcome.code == 3
    assert {(score["value"], score["n"], score["interval"]) for score in scores(outcome).values()} == {(None, 0, None)}
    assert Run.load(Path("results/mine")).scores["ssim"].value is None
    table = command("run", *folders, *FAST)
    assert "–" in table.out


def test_many_unreadable_images_are_counted_and_a_few_are_named(command: Command, draw: Draw) -> None:
    names = "abcdefgh"
    draw("mine", names)
    draw("real", names, seed=1)
    for name in names[:7]:
        damage(Path(f"mine/{name}.png"), "empty")
    outcome = command("run", "-g", "mine", "-t", "real", *FAST)
    named = [line for line in remarks(outcome) if line.startswith("unreadable: ")]
    assert len(named) == 6
    assert named[-1] == "unreadable: and 2 more, all named in run.json"


def test_pictures_of_other_sizes_are_missing_with_both_sizes_and_a_way_out(command: Command, draw: Draw) -> None:
    draw("mine", "ab", seed=1)
    draw("mine", "c", seed=2, size=(32, 24))
    draw("real", "abc", seed=3)
    outcome = command("run", "-g", "mine", "-t", "real", *FAST)
    assert outcome.code == 3
    lines = remarks(outcome)
    assert "missing: 1 × sizes differ: 24×32 against 48×64 (width×height) (l1, psnr, ssim)" in lines
    assert any("--generated-geometry" in line for line in lines)


def test_an_image_beyond_the_limit_is_refused_undecoded(command: Command, draw: Draw) -> None:
    draw("mine", "ab")
    draw("mine", "b", size=(200, 200))
    draw("real", "ab", seed=1)
    outcome = command("run", "-g", "mine", "-t", "real", *FAST, "--max-pixels", "10000")
    assert outcome.code == 3
    (line,) = (line for line in remarks(outcome) if line.startswith("unreadable: "))
    assert "mine/b.png" in line


def test_one_pair_has_scores_but_no_interval_and_no_distribution(command: Command, draw: Draw) -> None:
    draw("mine", "a")
    draw("real", "a", seed=1)
    options = ("-p", "ssim,l1,fid", "--profile", "embedded", "--device", "cpu", "--json")
    outcome = command("run", "-g", "mine", "-t", "real", *options)
    assert outcome.code == 3
    assert {m: (s["n"], s["interval"]) for m, s in scores(outcome).items()} == {"ssim": (1, None), "l1": (1, None)}
    (line,) = (line for line in remarks(outcome) if line.startswith("fid: "))
    assert "at least 2 images" in line


def test_odd_file_names_are_paired_scored_and_written(command: Command, draw: Draw) -> None:
    names = ["two words", "komma,im namen", 'with "quotes"', "ünïcödé 人物", "semi;colon", "[brackets]", "-dash", "NA"]
    draw("mine", names)
    draw("real", names, seed=1)
    outcome = command("run", "-g", "mine", "-t", "real", *FAST, "-o", "out")
    assert (outcome.code, outcome.err) == (0, "")
    assert sorted(Run.load(Path("out")).per_pair["pair"]) == sorted(names)


def test_a_file_name_with_a_line_break_is_refused(command: Command, draw: Draw) -> None:
    draw("mine", ["two\nlines", "b"])
    draw("real", ["two\nlines", "b"], seed=1)
    outcome = command("run", "-g", "mine", "-t", "real", *FAST, "-o", "out")
    assert outcome.code == 2
    assert "control character" in outcome.sentence


def test_a_file_name_that_is_not_utf_8_is_one_sentence(command: Command, draw: Draw) -> None:
    for folder in ("mine", "real"):
        (draw(folder, "ab") / "a.png").rename(Path(folder, os.fsdecode(b"latin\xe9.png")))
    outcome = command("run", "-g", "mine", "-t", "real", *FAST)
    assert outcome.code == 2
    assert "UTF-8" in outcome.sentence


# Weights


@pytest.fixture
def alexnet(own_folders: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file under AlexNet's name in the folder of weights, registered as it is, with a NaN in it."""
    import torch

    from fhpt_eval.extract import perceptual_distance as lpips

    weights = lpips.TRUNKS["alex"]
    path = own_folders / "weights" / weights.filename
    path.parent.mkdir()
    values = torch.linspace(-1, 1, 12)
    values[7] = float("nan")
    torch.save({"features.0.weight": values}, path)
    data = path.read_bytes()
    registered = replace(weights, bytes=len(data), sha256=hashlib.sha256(data).hexdigest())
    monkeypatch.setitem(lpips.TRUNKS, "alex", registered)
    return path


def test_weights_with_nan_stop_only_the_protocol_that_needs_them(
    command: Command, folders: Folders, alexnet: Path
) -> None:
    outcome = command("run", *folders, "-p", "lpips,l1", "--device", "cpu", "--json")
    assert outcome.code == 3
    (line,) = remarks(outcome)
    assert line.startswith(f"lpips: weights file {alexnet} holds NaN")
    assert scores(outcome).keys() == {"l1"}


def test_a_wrong_file_under_the_name_of_weights_stops_only_the_protocol_that_needs_them(
    command: Command, folders: Folders, alexnet: Path
) -> None:
    alexnet.write_bytes(b"an error page")
    outcome = command("run", *folders, "-p", "lpips,l1", "--device", "cpu", "--json")
    assert outcome.code == 3
    (line,) = remarks(outcome)
    assert line.startswith(f"lpips: {alexnet} is not the alexnet that is registered")
    assert "fhpt-eval weights fetch alexnet" in line
    assert scores(outcome).keys() == {"l1"}


# Output


def test_an_output_that_is_a_file_or_lies_in_one_is_refused(command: Command, folders: Folders) -> None:
    Path("file").write_text("mine", encoding="utf-8")
    for output in ("file", "file/run"):
        outcome = command("run", *folders, *FAST, "-o", output)
        assert outcome.code == 2
        assert f"cannot write to {output}" in outcome.sentence
        assert "-o" in outcome.sentence
    assert Path("file").read_text(encoding="utf-8") == "mine"


def test_a_read_only_output_is_refused_before_anything_is_computed(
    command: Command, folders: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Root may write everywhere, so the refusal is simulated.
    def refuse(*_: object, **__: object) -> IO[str]:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr("tempfile.NamedTemporaryFile", refuse)
    outcome = command("run", *folders, *FAST, "-o", "out")
    assert outcome.code == 2
    assert "(Permission denied)" in outcome.sentence
    assert json.loads(command("cache", "info", "--json").out)["extractors"] == []


@pytest.mark.parametrize("writes", [0, 2, 5])
def test_a_disk_that_fills_up_is_one_sentence_and_leaves_no_half_file(
    command: Command, folders: Folders, monkeypatch: pytest.MonkeyPatch, writes: int
) -> None:
    room = iter(range(writes))

    def synchronise(_: int) -> None:
        if next(room, None) is None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("os.fsync", synchronise)
    monkeypatch.setattr("fhpt_eval.evaluation.evaluate._SECONDS_UNSAVED", -1.0)  # written after each protocol
    outcome = command("run", *folders, *FAST, "-o", "out")
    assert outcome.code == 2
    assert "(No space left on device)" in outcome.sentence
    assert {path.name for path in Path("out").iterdir()} <= {RECORD, PER_PAIR, MISSING, IMAGES}
    if writes == 5:
        assert list(Run.load(Path("out")).scores) == ["ssim"]


def test_a_cache_that_cannot_be_used_costs_time_but_no_score(command: Command, folders: Folders) -> None:
    Path("cache").write_text("not a folder", encoding="utf-8")
    outcome = command("run", *folders, *FAST, "--json")
    assert outcome.code == 0
    assert scores(outcome)["ssim"]["n"] == 5
    (line,) = remarks(outcome)
    assert "FHPT_EVAL_CACHE" in line


def test_a_damaged_cache_costs_time_but_no_score(command: Command, folders: Folders) -> None:
    Path("cache").mkdir()
    Path("cache/data.mdb").write_bytes(b"\x07" * 65536)
    outcome = command("run", *folders, *FAST, "--json")
    assert outcome.code == 0
    (line,) = remarks(outcome)
    assert "fhpt-eval cache clear" in line
    assert command("cache", "clear").code == 0
    assert command("run", *folders, *FAST).err == ""


# Records


def edited(record: dict[str, Any], **changes: object) -> bytes:
    return json.dumps({**record, **changes}).encode()


def test_a_record_that_cannot_be_trusted_is_refused_with_a_reason(command: Command, folders: Folders) -> None:
    damage(Path("mine/c.png"), "truncated")
    command("run", *folders, *FAST, "-o", "out")
    out = Path("out")
    files = {name: (out / name).read_bytes() for name in (RECORD, PER_PAIR, MISSING, IMAGES)}
    record = json.loads(files[RECORD])
    rows = files[PER_PAIR].splitlines(keepends=True)
    cases: list[tuple[str, bytes | None, str]] = [
        (RECORD, None, "is not a run's folder"),
        (RECORD, b"", "is damaged"),
        (RECORD, files[RECORD][:100], "is damaged"),
        (RECORD, b"[]", "is damaged"),
        (RECORD, b"\xff\xfe" + files[RECORD], "is damaged"),
        (RECORD, edited(record, schema_version=2), "schema version 2"),
        (RECORD, edited(record, schema_version=None), "schema version None"),
        (RECORD, edited(record, name=7), "is damaged"),
        (RECORD, edited(record, surprise=1), "is damaged"),
        (RECORD, files[RECORD].replace(b'"faults": 1', b'"faults": NaN'), "is damaged"),
        (PER_PAIR, None, "is damaged"),
        (PER_PAIR, b"", "is damaged"),
        (PER_PAIR, b"".join(rows[:-1]), "is damaged"),
        (PER_PAIR, b"".join(rows[1:]), "is damaged"),
        (PER_PAIR, files[PER_PAIR].replace(b"0.", b"zero.", 1), "is damaged"),
        (MISSING, None, "is damaged"),
        (MISSING, b"metric,pair,reason\n", "is damaged"),
        (IMAGES, None, "is damaged"),
        (IMAGES, b'"', "is damaged"),
        (IMAGES, b"role,name\n", "is damaged"),
        (IMAGES, files[IMAGES].replace(b",a,", b",b,"), "is damaged .images.csv is not the list"),
        (RECORD, edited(record, pairs={**record["pairs"], "generated": "0"}), "lists other generated images"),
        (RECORD, edited(record, pairs={**record["pairs"], "content": "0"}), "lists other targets"),
    ]
    for name, content, reason in cases:
        for other, data in files.items():
            (out / other).write_bytes(data)
        assert Run.load(out).record.name == "mine"
        if content is None:
            (out / name).unlink()
        else:
            assert content != files[name]
            (out / name).write_bytes(content)
        with pytest.raises(UserError, match=reason) as refusal:
            Run.load(out)
        assert "out" in str(refusal.value)
        assert "\n" not in str(refusal.value)
