"""Images at an address: a real S3 server, and the numbers of local folders."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from conftest import Command, Draw
from PIL import Image
from s3 import BUCKET, S3, SECRET, forget
from toys import write_image

from fhpt_eval import sample
from fhpt_eval.engine import contents, opening
from fhpt_eval.engine.cache import Cache
from fhpt_eval.engine.contract import Work
from fhpt_eval.engine.engine import Engine, open_engine
from fhpt_eval.engine.executor import ExecutorOptions
from fhpt_eval.engine.local import LocalExecutor
from fhpt_eval.evaluation.evaluate import evaluate
from fhpt_eval.evaluation.run import Run
from fhpt_eval.files.remote import RemotePath
from fhpt_eval.pairing.pairs import Pairs
from fhpt_eval.progress import Progress
from fhpt_eval.records import Missing

FAST = ("-p", "ssim,psnr,l1", "--device", "cpu")


@pytest.fixture
def no_cache(own_folders: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Give a fresh cache, so that nothing of an earlier run is found."""
    return lambda name: monkeypatch.setenv("FHPT_EVAL_CACHE", str(own_folders / f"cache-{name}"))


def scores(folder: str) -> list[Any]:
    """Return all of a record that says what the numbers are, and not where the images lay."""
    record = json.loads(Path(folder, "run.json").read_text(encoding="utf-8"))
    numbers = [(p["name"], p["status"], p["reason"], p["recipe"], p["scores"]) for p in record["protocols"]]
    images = {key: value for key, value in record["images"].items() if key != "unreadable"}
    return [numbers, images, record["pairs"], record["warnings"], record["doubts"]]


def values(folder: str) -> pd.DataFrame:
    """Return the table of pairs without the columns that name files."""
    table: pd.DataFrame = Run.load(folder).per_pair.drop(columns=["generated", "target", "source"])
    return table


def same(one: str, other: str) -> None:
    """Hold two runs' numbers to each other, to the bit."""
    assert scores(one) == scores(other)
    pd.testing.assert_frame_equal(values(one), values(other), check_exact=True)
    for name in ("missing.csv", "images.csv"):
        assert Path(one, name).read_bytes() == Path(other, name).read_bytes()


@pytest.mark.slow
def test_networks_and_detectors_give_the_same_bits(
    command: Command, s3: S3, own_folders: Path, no_cache: Callable[[str], None]
) -> None:
    images = own_folders / "people"
    listed = sample.some_pairs(2)
    (own_folders / "pairs.csv").write_text(listed)
    rows = [line.split(",")[:2] for line in listed.splitlines()[1:]]
    for name in {name for row in rows for name in row}:
        (images / "real" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(sample.SAMPLE / sample.IMAGES / name, images / "real" / name)
    asked = ("--quiet", "--pairs", "pairs.csv", "-s", images / "real", "-t", images / "real", "-o", images / "mine")
    assert command("generate", "copy-source", *asked).code == 0
    how = ("--profile", "embedded", "-p", "fid,kec", "--workers", "2", "--quiet")
    at = s3.upload(images, "people")
    s3.put("pairs.csv", listed.encode())
    codes = []
    for name, root, pairs in (("here", images, "pairs.csv"), ("there", at, f"s3://{BUCKET}/pairs.csv")):
        no_cache(name)
        folders = ("-g", f"{root}/mine", "-t", f"{root}/real", "-s", f"{root}/real", "--reference", f"{root}/real")
        outcome = command("run", *folders, "--pairs", pairs, *how, "-o", name)
        codes.append(outcome.code)
    assert codes[0] == codes[1]
    numbers = Run.load("there").scores
    assert numbers["kec_auc_body"].n > 0
    assert numbers["fd_efficientnet_lite0"].value is not None
    same("here", "there")


def test_addresses_are_recorded_as_they_were_given(command: Command, draw: Draw, s3: S3) -> None:
    address = s3.upload(draw("exp1/mine/images", seed=1), "exp1/mine/images")
    real = s3.upload(draw("real", seed=2))
    outcome = command("run", "-g", address, "-t", f"{real}/", *FAST)
    assert (outcome.code, outcome.err) == (0, "")
    run = Run.load("results/mine")
    assert [*run.per_pair["generated"]] == [f"s3://{BUCKET}/exp1/mine/images/{name}.png" for name in "abcde"]
    assert [*run.per_pair["target"]] == [f"s3://{BUCKET}/real/{name}.png" for name in "abcde"]
    assert run.record.command is not None
    assert address in run.record.command
    assert {row.name for row in run.image_list.rows if row.role == "target"} == {f"{n}.png" for n in "abcde"}  # type: ignore[union-attr]
    assert not any(SECRET in file.read_text(errors="replace") for file in Path("results/mine").iterdir())


def test_a_second_run_computes_nothing_and_a_changed_object_is_seen(
    command: Command, draw: Draw, s3: S3, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[Sequence[str]] = []
    compute = LocalExecutor.run

    def run(self: LocalExecutor, work: Work, progress: Progress) -> Any:
        done.append([ref.name for ref in work.files.values()])
        return compute(self, work, progress)

    monkeypatch.setattr(LocalExecutor, "run", run)
    folders = ("-g", s3.upload(draw("mine", seed=1)), "-t", s3.upload(draw("real", seed=2)))
    assert command("run", *folders, *FAST).code == 0
    assert len(done.pop()) == 10
    before = values("results/mine")
    assert command("run", *folders, *FAST).code == 0
    assert not done
    draw("mine", "c", seed=3)
    s3.put("mine/c.png", Path("mine/c.png").read_bytes())
    outcome = command("run", *folders, *FAST)
    assert outcome.code == 2
    assert f"other generated images (from {folders[1]}, of " in outcome.sentence
    assert command("run", *folders, *FAST, "--overwrite").code == 0
    (names,) = done
    assert sorted(names) == ["c.png", "c.png"]
    changed = values("results/mine").compare(before)
    assert [*changed.index] == [2]
    s3.put("mine/f.png", b"")
    assert "with the 6 pairs: f: no target image 'f.png'" in command("run", *folders, *FAST).err


def test_a_run_asks_twice_for_each_image_and_a_second_run_once(
    command: Command, draw: Draw, s3: S3, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    read = RemotePath.read_bytes

    def counted(self: RemotePath) -> bytes:
        asked.append(str(self))
        return read(self)

    monkeypatch.setattr(RemotePath, "read_bytes", counted)
    monkeypatch.setattr(RemotePath, "read_head", lambda self, _: pytest.fail(f"a header of {self} is read"))
    folders = ("-g", s3.upload(draw("mine", seed=1)), "-t", s3.upload(draw("real", seed=2)))
    images = [f"{folder}/{name}.png" for folder in folders[1::2] for name in "abcde"]
    assert command("run", *folders, *FAST).code == 0
    assert sorted(asked) == sorted([*images, *images])
    asked.clear()
    assert command("run", *folders, *FAST).code == 0
    assert sorted(asked) == images


def test_an_object_that_cannot_be_read_is_counted_and_named(
    command: Command, draw: Draw, s3: S3, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = ("-g", s3.upload(draw("mine", seed=1)), "-t", s3.upload(draw("real", seed=2)))
    s3.put("mine/d.png", Path("mine/d.png").read_bytes()[:1000])
    s3.forbid(monkeypatch, "mine/b.png")
    outcome = command("run", *folders, *FAST)
    assert outcome.code == 3
    assert f"s3://{BUCKET}/mine/b.png: access is forbidden" in outcome.out + outcome.err
    run = Run.load("results/mine")
    assert run.record.images.unreadable == {
        f"s3://{BUCKET}/mine/b.png": "access is forbidden",
        f"s3://{BUCKET}/mine/d.png": "truncated PNG",
    }
    assert run.scores["ssim"].missing == {"unreadable: access is forbidden": 1, "unreadable: truncated PNG": 1}
    assert run.scores["ssim"].n == 3


def test_an_object_that_is_deleted_meanwhile_is_counted(draw: Draw, s3: S3) -> None:
    pairs = Pairs.from_folders(s3.upload(draw("mine", seed=1)), s3.upload(draw("real", seed=2)))
    s3.client("s3").delete_object(Bucket=BUCKET, Key="real/e.png")
    run = evaluate(pairs, ["ssim"], reference=f"s3://{BUCKET}/real")
    assert run.scores["ssim"].missing == {"unreadable: No such file or directory": 1}


def test_an_object_that_goes_between_both_readings_is_counted(
    draw: Draw, s3: S3, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed = opening.hash_file

    def gone(path: Path) -> str | Missing:
        found = hashed(path)
        s3.client("s3").delete_object(Bucket=BUCKET, Key="mine/a.png")
        return found

    pairs = Pairs.from_folders(s3.upload(draw("mine", "a", seed=1)), s3.upload(draw("real", "a", seed=2)))
    monkeypatch.setattr(contents, "READERS_OF_REMOTE", 1)
    monkeypatch.setattr(contents, "hash_file", gone)
    run = evaluate(pairs, ["ssim"])
    assert run.scores["ssim"].missing == {"unreadable: No such file or directory": 1}


def test_sizes_that_differ_are_told_as_of_local_files(
    command: Command, draw: Draw, s3: S3, no_cache: Callable[[str], None]
) -> None:
    mine, real = draw("mine", seed=1), draw("real", seed=2)
    write_image(mine / "b.png", 5, (40, 64))
    (mine / "README").write_text("about")
    no_cache("one")
    here = command("run", "-g", mine, "-t", real, *FAST, "-o", "here")
    no_cache("other")
    there = command("run", "-g", s3.upload(mine), "-t", s3.upload(real), *FAST, "-o", "there")
    assert here.code == there.code == 3
    assert "sizes differ: 40×64 against 48×64" in Path("there/missing.csv").read_text(encoding="utf-8")
    same("here", "there")


def test_dialects_give_the_same_numbers_though_no_header_is_read(
    command: Command, draw: Draw, s3: S3, no_cache: Callable[[str], None]
) -> None:
    mine, real = draw("mine", "ab", 1, (256, 176)), draw("real", "ab", 2, (256, 176))
    dialects = [word for name in ("gfla", "pose-with-style", "spgnet") for word in ("--dialect", name)]
    asked = (*dialects, "-p", "ssim,l1,psnr", "--device", "cpu")
    for name, at in (("here", str), ("there", s3.upload)):
        no_cache(name)
        outcome = command("run", "-g", at(mine), "-t", at(real), *asked, "-o", name)
        assert outcome.code in {0, 3}, outcome.err
    assert scores("here")[0]
    same("here", "there")


def test_a_list_may_have_whole_addresses(command: Command, draw: Draw, s3: S3) -> None:
    mine, real = s3.upload(draw("mine", seed=1)), s3.upload(draw("real", seed=2))
    rows = [f"{mine}/{name}.png,{real}/{name}.png" for name in "abc"]
    Path("pairs.csv").write_text("\n".join(["generated,target", *rows]))
    assert command("run", "-g", mine, "-t", real, "--pairs", "pairs.csv", *FAST).code == 0
    assert len(values("results/mine")) == 3
    Path("pairs.csv").write_text(f"generated,target\ns3://others/a.png,{real}/a.png\n")
    assert command("run", "-g", mine, "-t", real, "--pairs", "pairs.csv", *FAST).sentence == (
        "pairs.csv, row 2: 's3://others/a.png' leads out of the folder of generated images; write it relative to"
        f" --generated {mine}."
    )


def test_keypoints_and_masks_come_from_a_bucket_too(
    command: Command, draw: Draw, s3: S3, no_cache: Callable[[str], None]
) -> None:
    mine, real = draw("mine", "ab", seed=1), draw("real", "ab", seed=2)
    masks, keypoints = Path("masks"), Path("keypoints")
    masks.mkdir()
    keypoints.mkdir()
    for name in "ab":
        mask = Image.new("L", (48, 64), 0)
        mask.paste(255, (8, 8, 40, 60))
        mask.save(masks / f"{name}.png")
        points = [value for i in range(18) for value in (10 + i, 12 + 2 * i, 0.9)]
        (keypoints / f"{name}_keypoints.json").write_text(json.dumps({"people": [{"pose_keypoints_2d": points}]}))
    given = {"--target-masks": masks, "--target-keypoints": keypoints, "--generated-keypoints": keypoints}
    asked = ("-p", "ssim,pckh", "--set", "ssim.mask=black", "--device", "cpu")
    found = {}
    for name, at in (("here", str), ("there", s3.upload)):
        no_cache(name)
        files = [word for option, folder in given.items() for word in (option, at(folder))]
        outcome = command("run", "-g", at(mine), "-t", at(real), *files, *asked, "-o", name)
        found[name] = (outcome.code, len(outcome.err.splitlines()))
    assert found["here"] == found["there"]
    same("here", "there")


def test_other_commands_read_the_same_addresses(command: Command, draw: Draw, s3: S3) -> None:
    mine, real = s3.upload(draw("mine", seed=1)), s3.upload(draw("real", seed=2))
    assert command("run", "-g", mine, "-t", real, *FAST).code == 0
    assert command("verify", "results/mine", "-g", mine, "-t", real).code == 0
    dry = command("run", "-g", mine, "-t", real, *FAST, "--dry-run")
    assert (dry.code, "memory: not known: the sizes of images at an address are not looked at" in dry.out) == (0, True)
    assert json.loads(command("run", "-g", mine, "-t", real, *FAST, "--dry-run", "--json").out)["memory"] is None
    assert command("audit", mine, "--target", real).out.startswith(f"{mine}: 5 images\n")
    assert command("plot", "gallery", "results/mine", "--by", "ssim", "-o", "gallery.png").code == 0
    assert command("report", "results/mine", "-o", "report.html").code == 0
    assert Path("report.html").read_text(encoding="utf-8").count("data:image/") >= 5
    s3.put("mine/a.png", Path("mine/b.png").read_bytes())
    s3.client("s3").delete_object(Bucket=BUCKET, Key="real/e.png")
    changed = command("report", "results/mine", "-o", "again.html")
    assert changed.code == 3
    assert "1 generated images of mine have changed since they were measured" in changed.err
    assert "1 of 5 target images are not where the runs found them" in changed.err
    assert command("verify", "results/mine", "-g", mine, "-t", real, "--quiet").code != 0


# What is refused


def _no_bucket(_: S3, __: pytest.MonkeyPatch) -> str:
    return "s3://elsewhere/mine"


def _no_folder(_: S3, __: pytest.MonkeyPatch) -> str:
    return f"s3://{BUCKET}/nothing"


def _no_credentials(_: S3, environment: pytest.MonkeyPatch) -> str:
    environment.delenv("AWS_ACCESS_KEY_ID")
    environment.delenv("AWS_SECRET_ACCESS_KEY")
    forget()
    return f"s3://{BUCKET}/mine"


def _not_allowed(s3: S3, _: pytest.MonkeyPatch) -> str:
    s3.call("reset-auth", "0")
    return f"s3://{BUCKET}/mine"


def _no_server(_: S3, environment: pytest.MonkeyPatch) -> str:
    environment.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    environment.setenv("AWS_MAX_ATTEMPTS", "1")
    forget()
    return f"s3://{BUCKET}/mine"


@pytest.mark.parametrize(
    ("arrange", "sentence"),
    [
        (_no_bucket, "the folder of generated images does not exist: s3://elsewhere/mine; check --generated."),
        (_no_folder, f"the folder of generated images does not exist: s3://{BUCKET}/nothing; check --generated."),
        (
            _no_credentials,
            f"cannot read the folder s3://{BUCKET}/mine: no credentials: set AWS_PROFILE, or AWS_ACCESS_KEY_ID and"
            " AWS_SECRET_ACCESS_KEY, or for a public bucket FSSPEC_S3_ANON=true (docs/remote.md).",
        ),
        (_not_allowed, f"cannot read the folder s3://{BUCKET}/mine: access is forbidden (docs/remote.md)."),
        (
            _no_server,
            f"cannot read the folder s3://{BUCKET}/mine: the server 127.0.0.1:9 cannot be reached (docs/remote.md).",
        ),
    ],
)
def test_a_folder_that_cannot_be_listed_is_refused_in_one_sentence(
    command: Command,
    draw: Draw,
    s3: S3,
    monkeypatch: pytest.MonkeyPatch,
    arrange: Callable[[S3, pytest.MonkeyPatch], str],
    sentence: str,
) -> None:
    s3.upload(draw("mine"))
    outcome = command("run", "-g", arrange(s3, monkeypatch), "-t", draw("real"), *FAST)
    assert (outcome.code, outcome.sentence) == (2, sentence)
    assert not Path("results").exists()
    forget()


def test_a_file_where_a_folder_should_be_is_refused(command: Command, s3: S3) -> None:
    s3.put("mine.zip", b"PK")
    outcome = command("run", "-g", f"s3://{BUCKET}/mine.zip", *FAST)
    assert outcome.sentence == (
        f"--generated expects a folder of images, but s3://{BUCKET}/mine.zip is a file; give the folder that it is in."
    )


def test_a_password_stands_neither_in_the_error_nor_anywhere_else(command: Command, draw: Draw) -> None:
    outcome = command("run", "-g", "s3://me:hidden@bucket/mine", "-t", draw("real"), *FAST)
    assert outcome.code == 2
    assert "hidden" not in outcome.out + outcome.err
    assert not Path("results").exists()


@pytest.mark.parametrize("arguments", [("run", "-o"), ("leaderboard", "results/mine", "--format", "md", "-o")])
def test_nothing_is_written_to_an_address(command: Command, folders: tuple[str, ...], arguments: Sequence[str]) -> None:
    assert command("run", *folders, *FAST).code == 0
    given = folders if arguments[0] == "run" else ()
    outcome = command(*arguments, "s3://bucket/out", *given)
    assert (outcome.code, outcome.sentence) == (
        2,
        "nothing is written to s3://: give a folder of this machine with -o.",
    )
    assert not Path("s3:").exists()


# Who reads


def test_an_executor_may_have_files_hashed_where_the_work_is(draw: Draw) -> None:
    asked: list[Path] = []

    class Elsewhere(LocalExecutor):
        def hash_files(self, paths: Sequence[Path], progress: Progress) -> Iterator[str | Missing]:
            progress("reading files", 0, len(paths))
            for path in paths:
                asked.append(path)
                yield Missing("not this one") if path.name == "c.png" else opening.hash_file(path)

    pairs = Pairs.from_folders(draw("mine", seed=1), draw("real", seed=2))
    with Cache() as cache:
        run = evaluate(pairs, ["ssim"], engine=Engine(Elsewhere(ExecutorOptions(device="cpu")), cache))
        here = evaluate(pairs, ["ssim"], engine=open_engine("local", cache, device="cpu"))
    assert asked == sorted([*Path("mine").resolve().iterdir(), *Path("real").resolve().iterdir()])
    assert run.scores["ssim"].missing == {"unreadable: not this one": 1}
    assert here.scores["ssim"].n == 5


@pytest.mark.slow
def test_a_process_of_its_own_says_nothing_more(draw: Draw, s3: S3) -> None:
    folders = ("-g", s3.upload(draw("mine", seed=1)), "-t", s3.upload(draw("real", seed=2)))
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-m", "fhpt_eval", "run", *folders, *FAST, "--quiet", "-o", "out"],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert len(values("out")) == 5


def test_a_password_on_the_command_line_is_not_shown(command: Command) -> None:
    for words in (
        ["-g", "g", "s3://me:hidden@bucket/x"],
        ["-g", "s3://me:hidden@bucket/x"],
        ["--ray-address", "m:hidden@h"],
    ):
        outcome = command("run", *words)
        assert outcome.code == 2
        assert "hidden" not in outcome.err
