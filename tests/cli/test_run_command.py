from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

import fhpt_eval
from fhpt_eval.engine.cache import Cache
from fhpt_eval.engine.engine import open_engine
from fhpt_eval.evaluation.run import Run
from fhpt_eval.evaluation.run_record import IMAGES, MISSING, PER_PAIR, RECORD
from fhpt_eval.extract.weights import Store
from fhpt_eval.files.atomic import write_atomic

if TYPE_CHECKING:
    from conftest import Command, Draw

Folders = tuple[str, str, str, str]

ROOT = Path(__file__).resolve().parents[2]
FAST = ("--protocols", "ssim,psnr,l1", "--device", "cpu")
NEEDS_WEIGHTS = {"fid": "inception-2015", "kid": "inception-2015", "is": "inception-2015", "lpips": "alexnet"}


def record_of(folder: Path) -> dict[str, Any]:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    record: dict[str, Any] = json.loads((folder / RECORD).read_text(encoding="utf-8"), parse_constant=refuse)
    return record


def values_of(folder: Path, metric: str) -> list[float]:
    with (folder / PER_PAIR).open(encoding="utf-8", newline="") as stream:
        return [float(row[metric]) for row in csv.DictReader(stream) if row[metric]]


# What a run leaves


def test_run_writes_a_record_and_both_tables_and_prints_the_scores(command: Command, folders: Folders) -> None:
    outcome = command("run", *folders, *FAST)
    assert outcome.code == 0
    assert all(metric in outcome.out for metric in ("ssim ↑", "psnr ↑", "l1 ↓"))
    assert outcome.out.rstrip().endswith("results/mine/run.json")
    folder = Path("results/mine")
    assert sorted(path.name for path in folder.iterdir()) == [IMAGES, MISSING, PER_PAIR, RECORD]
    record = record_of(folder)
    assert record["schema_version"] == 1
    assert record["name"] == "mine"
    assert record["pairs"]["total"] == record["pairs"]["matched"] == 5
    assert record["images"]["sizes"] == {"generated": {"48×64": 5}, "target": {"48×64": 5}}
    assert [(p["name"], p["status"]) for p in record["protocols"]] == [(n, "done") for n in ("ssim", "psnr", "l1")]


def test_scores_are_the_means_of_the_table_and_missing_names_its_empty_cells(command: Command, draw: Draw) -> None:
    generated, target = draw("mine", "abcd", seed=1), draw("real", "abcd", seed=2)
    draw("mine", "a", seed=9, size=(64, 32))
    (generated / "b.png").write_bytes((target / "b.png").read_bytes())
    outcome = command("run", "-g", generated, "-t", target, *FAST, "-o", "out")
    assert outcome.code == 3
    record = record_of(Path("out"))
    with Path("out", MISSING).open(encoding="utf-8", newline="") as stream:
        missing = list(csv.DictReader(stream))
    for protocol in record["protocols"]:
        (score,) = protocol["scores"]
        values = values_of(Path("out"), score["metric"])
        assert score["value"] == pytest.approx(sum(values) / len(values), rel=1e-12)
        assert score["n"] == len(values)
        reasons = [row["reason"] for row in missing if row["metric"] == score["metric"]]
        assert {reason: reasons.count(reason) for reason in reasons} == score["missing"]
        assert score["n"] + len(reasons) == 4
    assert {row["pair"] for row in missing if row["metric"] == "psnr"} == {"a", "b"}
    assert {row["pair"] for row in missing if row["metric"] == "ssim"} == {"a"}


def test_loaded_run_equals_the_run_that_was_saved(own_folders: Path, draw: Draw) -> None:
    draw("mine", ["NA", "null", "ünï cödé", "a,b", 'say "x"', "d"], seed=1)
    draw("real", ["NA", "null", "ünï cödé", "a,b", 'say "x"', "d"], seed=2)
    draw("mine", ["d"], size=(32, 48))
    pairs = fhpt_eval.Pairs.from_folders(Path("mine"), Path("real"))
    with Cache() as cache:
        run = fhpt_eval.evaluate(
            pairs, ["ssim", "l1"], output=Path("out"), engine=open_engine("local", cache, device="cpu"), store=Store()
        )
    loaded = Run.load(Path("out"))
    assert loaded.record == run.record
    pd.testing.assert_frame_equal(loaded.per_pair, run.per_pair, check_exact=True)
    pd.testing.assert_frame_equal(loaded.missing, run.missing, check_dtype=False)
    assert set(loaded.per_pair["pair"]) == {"NA", "null", "ünï cödé", "a,b", 'say "x"', "d"}
    assert list(loaded.missing["pair"]) == ["d", "d"]


def test_python_gives_the_numbers_of_the_command_and_writes_nothing_unasked(
    command: Command, folders: Folders, own_folders: Path
) -> None:
    command("run", *folders, *FAST, "-o", "out")
    before = sorted(own_folders.iterdir())
    pairs = fhpt_eval.Pairs.from_folders(Path("mine"), Path("real"))
    run = fhpt_eval.evaluate(pairs, ["ssim", "psnr", "l1"])
    assert sorted(own_folders.iterdir()) == before
    assert isinstance(run.per_pair, pd.DataFrame)
    assert list(run.per_pair["pair"]) == list("abcde")
    assert {m: s.value for m, s in run.scores.items()} == {m: s.value for m, s in Run.load(Path("out")).scores.items()}
    assert run.per_pair["ssim"].mean() == pytest.approx(run.scores["ssim"].value)


def test_same_pairs_in_other_folders_have_the_same_hash_and_recipe(command: Command, draw: Draw) -> None:
    for method, seed in (("one", 1), ("two", 2)):
        draw(f"{method}/generated", seed=seed)
        draw(f"{method}/real", seed=7)
        assert command("run", "-g", f"{method}/generated", "-t", f"{method}/real", *FAST).code == 0
    one, two = record_of(Path("results/one")), record_of(Path("results/two"))
    assert one["name"] == "one"
    assert one["pairs"]["hash"] == two["pairs"]["hash"]
    assert one["pairs"]["content"] == two["pairs"]["content"]
    assert [p["recipe"] for p in one["protocols"]] == [p["recipe"] for p in two["protocols"]]
    assert one["protocols"][0]["scores"] != two["protocols"][0]["scores"]


def test_other_pairs_other_targets_and_other_options_are_told_apart(command: Command, draw: Draw) -> None:
    def run(name: str, *options: str) -> dict[str, Any]:
        assert (
            command(
                "run", "-g", f"{name}/g", "-t", f"{name}/t", "-p", "ssim", "-o", "out", "--overwrite", *options
            ).code
            == 0
        )
        return record_of(Path("out"))

    for name, images, seed in (("base", "abc", 1), ("fewer", "ab", 1), ("repainted", "abc", 2)):
        draw(f"{name}/g", images)
        draw(f"{name}/t", images, seed=seed)
    base, fewer, repainted = run("base"), run("fewer"), run("repainted")
    assert base["pairs"]["hash"] != fewer["pairs"]["hash"]
    assert base["pairs"]["hash"] == repainted["pairs"]["hash"]
    assert base["pairs"]["content"] != repainted["pairs"]["content"]
    assert base["protocols"][0]["recipe"] != run("base", "--set", "ssim.sigma=1.2")["protocols"][0]["recipe"]


def test_second_run_comes_from_the_cache_and_gives_the_same_bits(command: Command, folders: Folders) -> None:
    command("run", *folders, *FAST, "-o", "one")
    results = json.loads(command("cache", "info", "--json").out)["extractors"]
    command("run", *folders, *FAST, "-o", "two")
    assert json.loads(command("cache", "info", "--json").out)["extractors"] == results
    assert Path("one", PER_PAIR).read_bytes() == Path("two", PER_PAIR).read_bytes()


# What is not there


def test_paper_profile_without_weights_names_a_command_for_each_protocol_and_runs_the_others(
    command: Command, folders: Folders
) -> None:
    outcome = command("run", *folders)
    assert outcome.code == 3
    record = record_of(Path("results/mine"))
    states = {protocol["name"]: protocol["status"] for protocol in record["protocols"]}
    for protocol, weights in NEEDS_WEIGHTS.items():
        (line,) = (line for line in outcome.err.splitlines() if protocol in line.split(": ")[1].split(", "))
        assert line.count(f"`fhpt-eval weights fetch {weights}`") == 1
        assert states[protocol] == "unavailable"
    assert {name for name, state in states.items() if state == "done"} >= {"ssim", "psnr", "l1"}
    assert "ssim ↑" in outcome.out


def test_generated_images_alone_score_what_needs_no_target(command: Command, draw: Draw) -> None:
    draw("mine", seed=1)
    outcome = command("run", "-g", "mine", "-p", "is,ssim,fid", "--profile", "embedded", "--device", "cpu")
    assert outcome.code == 3
    states = {p["name"]: (p["status"], p["reason"]) for p in record_of(Path("results/mine"))["protocols"]}
    assert states["ssim"] == ("unavailable", "target images are needed: give --target DIR")
    assert states["fid"] == ("unavailable", "real images are needed: give --target DIR or --reference DIR")


def test_embedded_profile_runs_networks_without_a_download_under_their_own_names(
    command: Command, folders: Folders
) -> None:
    outcome = command("run", *folders, "-p", "fid,kid,lpips", "--profile", "embedded", "--device", "cpu", "--json")
    assert outcome.code == 0
    record = json.loads(outcome.out)
    metrics = {score["metric"] for protocol in record["protocols"] for score in protocol["scores"]}
    assert "pd_efficientnet_lite0" in metrics
    assert "fd_efficientnet_lite0" in metrics
    assert not metrics & {"fid", "kid", "lpips"}


def test_pairs_without_files_stop_the_run_unless_they_may_be_missing(command: Command, draw: Draw) -> None:
    draw("mine", "ab")
    draw("real", "abc")
    Path("list.csv").write_text("generated,target\na.png,a.png\nb.png,b.png\nc.png,c.png\n", encoding="utf-8")
    arguments = ("run", "-g", "mine", "-t", "real", "--pairs", "list.csv", *FAST)
    refused = command(*arguments)
    assert refused.code == 2
    assert "--allow-missing" in refused.sentence
    assert not Path("results").exists()
    outcome = command(*arguments, "--allow-missing")
    assert outcome.code == 3
    assert record_of(Path("results/mine"))["protocols"][0]["scores"][0]["missing"] == {"no generated image": 1}
    assert "missing: 1 × no generated image (l1, psnr, ssim)" in outcome.err


# Options


def test_json_is_all_that_stands_on_stdout(command: Command, folders: Folders) -> None:
    outcome = command("run", *folders, "-p", "ssim,fid", "--json")
    assert outcome.code == 3
    assert json.loads(outcome.out) == record_of(Path("results/mine"))


def test_quiet_leaves_stderr_empty_even_when_something_is_missing(command: Command, folders: Folders) -> None:
    outcome = command("run", *folders, "-p", "ssim,fid", "--quiet")
    assert outcome.code == 3
    assert outcome.err == ""
    assert "unavailable" in outcome.out


def test_dry_run_tells_the_plan_and_leaves_no_trace(command: Command, folders: Folders, own_folders: Path) -> None:
    before = sorted(own_folders.rglob("*"))
    outcome = command("run", *folders, "--dry-run", "--json")
    assert outcome.code == 0
    plan = json.loads(outcome.out)
    assert plan["pairs"] == 5
    states = {row["protocol"]: row["status"] for row in plan["protocols"]}
    assert states["ssim"] == "ready"
    assert states["fid"] == "unavailable"
    assert {"extractor": "ssim", "pairs": 5} in plan["extractors"]
    told = command("run", *folders, "--dry-run")
    assert "protocol ssim: ready" in told.out
    assert "extractor ssim: 5 different pairs" in told.out
    assert sorted(own_folders.rglob("*")) == before


def test_a_file_name_makes_no_line_of_its_own_in_a_dry_run(command: Command, folders: Folders) -> None:
    Path("mine", "a\nprotocol l1: ready.txt").touch()
    outcome = command("run", *folders, "-p", "ssim", "--dry-run")
    assert r"a\u000aprotocol l1: ready.txt" in outcome.out
    assert "protocol l1: ready" not in {line.removesuffix(".txt") for line in outcome.out.splitlines()}


def test_dry_run_tells_what_would_be_downloaded(
    command: Command, folders: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("FHPT_EVAL_OFFLINE")
    outcome = command("run", *folders, "-p", "fid,kid,ssim", "--dry-run", "--json")
    plan = json.loads(outcome.out)
    assert {row["status"] for row in plan["protocols"]} == {"ready", "needs download"}
    assert plan["downloads"] == [{"weights": "inception-2015", "bytes": 95_628_359}]
    assert "download inception-2015: 96 MB" in command("run", *folders, "-p", "fid", "--dry-run").out


def test_a_geometry_that_nobody_uses_is_refused(command: Command, folders: Folders) -> None:
    outcome = command("run", *folders, "-p", "is", "--target-geometry", "native")
    assert outcome.code == 2
    assert "--target-geometry" in outcome.sentence


def test_a_target_of_many_pairs_is_one_image_in_the_plan(command: Command, draw: Draw) -> None:
    draw("mine", "abc", seed=1)
    draw("real", "x", seed=2)
    Path("list.csv").write_text("generated,target\na.png,x.png\nb.png,x.png\nc.png,x.png\n", encoding="utf-8")
    outcome = command("run", "-g", "mine", "-t", "real", "--pairs", "list.csv", "-p", "ssim,l1", "-o", "out")
    assert outcome.code == 0
    assert record_of(Path("out"))["images"]["sizes"] == {"generated": {"48×64": 3}, "target": {"48×64": 1}}


def test_a_group_stands_for_its_protocols(command: Command, folders: Folders) -> None:
    plan = json.loads(command("run", *folders, "-p", "perceptual", "--dry-run", "--json").out)
    assert {row["protocol"] for row in plan["protocols"]} >= {"ssim", "psnr", "l1", "fid", "kid", "is", "lpips"}


def test_set_reaches_the_recipe(command: Command, folders: Folders) -> None:
    outcome = command("run", *folders, "-p", "ssim", "--set", "ssim.sigma=1.2", "--set", "ssim.taps=13", "--json")
    parameters = json.loads(outcome.out)["protocols"][0]["recipe"]["parameters"]
    assert (parameters["sigma"], parameters["taps"]) == (1.2, 13)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--set", "ssim.sigma=abc"), ("ssim.sigma", "'abc'", "number")),
        (("--set", "ssim.sigma=0"), ("ssim.sigma", "greater than")),
        (("--set", "ssim.taps=10"), ("ssim", "odd number of taps")),
        (("--set", "ssim.window=gausian"), ("ssim.window", "'gausian'", "'gaussian' or 'uniform'")),
        (("--set", "lpips.net=alexx"), ("lpips.net", "'alexx'", "'alex'")),
        (("--set", "ssim.windw=uniform"), ("'windw'", "Did you mean 'window'?")),
        (("--set", "sim.sigma=1"), ("'sim'", "Did you mean 'ssim'?")),
        (("--set", "nonsense"), ("nonsense", "PROTOCOL.OPTION=VALUE")),
        (("--set", "ssim.generated_geometry=sqeeze(3)"), ("ssim.generated_geometry", "sqeeze")),
        (("--protocols", "l1", "--set", "ssim.sigma=1"), ("'ssim'", "not among the selected")),
        (("--protocols", "sssim"), ("'sssim'", "Did you mean 'ssim'?")),
        (("--protocols", "percptual"), ("'percptual'", "Did you mean 'perceptual'?")),
        (("--protocols", ","), ("--protocols", "fhpt-eval protocols")),
        (("--profile", "papr"), ("'papr'", "Did you mean 'paper'?")),
        (("--naming", "same-nme"), ("--naming", "'same-nme'")),
        (("--generated-geometry", "resise(width=1, height=2)"), ("resise",)),
        (("--name", "a/b"), ("'a/b'", "--name")),
        (("--name", ".."), ("'..'", "--name")),
        (("--name", ""), ("''", "--name")),
        (("--batch-size", "0"), ("--batch-size", "`fhpt-eval run --help`")),
        (("--workers", "many"), ("--workers", "integer")),
        (("--device", "cpux"), ("'cpux'", "auto")),
        (("--protocls", "ssim"), ("--protocls", "--protocols")),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_a_wrong_option_is_one_sentence_that_helps(
    command: Command, folders: Folders, options: tuple[str, ...], told: tuple[str, ...]
) -> None:
    outcome = command("run", *folders, *options)
    assert outcome.code == 2
    assert outcome.out == ""
    for part in told:
        assert part in outcome.sentence
    assert not Path("results").exists()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("-p", "fid", "--reference", ""), "--reference '' is empty"),
        (("-p", "ssim", "--reference="), "--reference '' is empty"),
        (("-p", "ssim", "-s", ""), "-s '' is empty"),
        (("-p", "ssim", "-o", ""), "-o '' is empty"),
        (("-p", "ssim", ""), "an argument '' is empty"),
    ],
)
def test_an_unset_shell_variable_is_not_the_current_folder(
    command: Command, folders: Folders, own_folders: Path, options: tuple[str, ...], told: str
) -> None:
    before = set(own_folders.iterdir())
    outcome = command("run", *folders, *options)
    assert outcome.code == 2
    assert outcome.sentence.startswith(told)
    assert set(own_folders.iterdir()) == before


def test_the_missing_option_is_named(command: Command) -> None:
    outcome = command("run", "--target", "real")
    assert outcome.code == 2
    assert "--generated" in outcome.sentence


def test_a_geometry_brings_different_sizes_together(command: Command, draw: Draw) -> None:
    draw("mine", "abc", seed=1, size=(32, 24))
    draw("real", "abc", seed=2)
    arguments = ("run", "-g", "mine", "-t", "real", *FAST)
    assert command(*arguments).code == 3
    resize = "resize(width=48, height=64, filter=pil-bicubic)"
    outcome = command(*arguments, "--generated-geometry", resize)
    assert outcome.code == 0
    assert record_of(Path("results/mine"))["protocols"][0]["recipe"]["parameters"]["generated_geometry"] == resize


# The folder of the run


def test_a_folder_with_other_files_is_refused_and_left_alone(command: Command, folders: Folders) -> None:
    Path("thesis").mkdir()
    Path("thesis/chapter.txt").write_text("mine", encoding="utf-8")
    outcome = command("run", *folders, *FAST, "-o", "thesis")
    assert outcome.code == 2
    assert "-o" in outcome.sentence
    assert [path.name for path in Path("thesis").iterdir()] == ["chapter.txt"]


def test_a_folder_name_with_brackets_is_printed_as_it_is(command: Command, draw: Draw) -> None:
    draw("ours [v2] (final)", "ab", seed=1)
    draw("real", "ab", seed=2)
    outcome = command("run", "-g", "ours [v2] (final)", "-t", "real", *FAST)
    assert outcome.code == 0
    first, second, *_ = outcome.out.splitlines()
    assert first == "ours [v2] (final): 2 images, PNG, 48×64"
    assert second.startswith("ours [v2] (final): 2 pairs")


# As a process


@pytest.fixture
def environment(own_folders: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}


def test_ctrl_c_is_one_sentence_and_130(folders: Folders, environment: dict[str, str]) -> None:
    # The interrupt comes from inside, at a moment that is certain; a shell without job control would have it ignored.
    script = (
        "import os, signal, sys\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from fhpt_eval.cli.main import main\n"
        "from fhpt_eval.extract import pixels\n"
        "pixels._Ssim.encode = lambda self, images: os.kill(os.getpid(), signal.SIGINT)\n"
        "main(sys.argv[1:])\n"
    )
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", script, "run", *folders, "-p", "ssim", "--device", "cpu", "-o", "out"],
        env=environment, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 130, done.stderr
    lines = [line for line in done.stderr.splitlines() if line]
    assert lines == ["fhpt-eval: interrupted; what was done is kept, the same command goes on from there."]
    assert not Path("out", RECORD).exists()


def test_a_killed_run_leaves_what_was_there_or_a_whole_record_and_the_next_goes_on(
    command: Command, folders: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process dies at each of its writes in turn; what it leaves loads."""
    from fhpt_eval.files import together as module

    monkeypatch.setattr("fhpt_eval.evaluation.evaluate._SECONDS_UNSAVED", -1.0)  # written after each protocol

    class Killed(BaseException):
        pass

    command("run", *folders, "-p", "psnr", "-o", "out")
    pairs = fhpt_eval.Pairs.from_folders(Path(folders[1]), Path(folders[3]))
    write, seen = write_atomic, set()
    for last in range(1, 12):
        left = iter(range(last))

        def write_or_die(path: Path, text: str, left: Any = left) -> None:
            if next(left, None) is None:
                raise Killed
            write(path, text)

        monkeypatch.setattr(module, "write_atomic", write_or_die)
        died = False
        try:
            with Cache() as cache:
                fhpt_eval.evaluate(
                    pairs,
                    ["ssim", "l1"],
                    output=Path("out"),
                    engine=open_engine("local", cache, device="cpu"),
                    store=Store(),
                )
        except Killed:
            died = True
        loaded = Run.load(Path("out"))
        assert [m for m in loaded.per_pair.columns if m in {"psnr", "ssim", "l1"}] == list(loaded.scores)
        seen.add(tuple(loaded.scores))
        if not died:
            break
    assert seen == {("psnr",), ("psnr", "ssim"), ("psnr", "ssim", "l1")}
