"""docs/extending.md, as it stands: every file is installed, every command is run."""

from __future__ import annotations

import csv
import json
import re
import shlex
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tomli
from PIL import Image
from skimage.metrics import normalized_mutual_information

if TYPE_CHECKING:
    from conftest import Command

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = ROOT / "fhpt_eval" / "sample" / "img"
PAGE = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")


@dataclass(frozen=True)
class Addition:
    """What one section of the page shows: a file, the line that declares it, and a command."""

    file: str
    text: str
    declared: dict[str, dict[str, str]]
    command: tuple[str, ...]


def additions() -> dict[str, Addition]:
    """The sections of the page that show a file, by their headings."""
    found = {}
    for section in re.split(r"^## ", PAGE, flags=re.MULTILINE)[1:]:
        blocks = re.findall(r"^```(\w*)\n(.*?)^```$", section, flags=re.MULTILINE | re.DOTALL)
        files = [text for _, text in blocks if re.match(r"# \S+\.(py|toml)\n", text)]
        if not files:
            continue
        (text,) = files
        entries = [
            tomli.loads(other)["project"]["entry-points"] for kind, other in blocks if kind == "toml" if other != text
        ]
        (command,) = (other for kind, other in blocks if not kind)
        assert len(command.splitlines()) == 1
        program, *arguments = shlex.split(command)
        assert program == "fhpt-eval"
        name = text.split()[1]
        found[section.splitlines()[0]] = Addition(name, text, entries[0] if entries else {}, tuple(arguments))
    return found


ADDITIONS = additions()


@pytest.fixture
def added(own_folders: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Addition]:
    """Install what a section shows as a package would: its file and its entry points on the path."""

    def install(heading: str) -> Addition:
        addition = ADDITIONS[heading]
        if addition.file.endswith(".toml") and not addition.declared:
            (own_folders / addition.file).write_text(addition.text, encoding="utf-8")
            return addition
        module = addition.file.partition("/")[0].removesuffix(".py")
        site = own_folders / "site"
        about = site / f"{module}-1.0.dist-info"
        about.mkdir(parents=True)
        (site / addition.file).parent.mkdir(exist_ok=True)
        (site / addition.file).write_text(addition.text, encoding="utf-8")
        if "/" in addition.file:
            (site / module / "__init__.py").touch()
        (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n", encoding="utf-8")
        lines = [
            line
            for group, entries in addition.declared.items()
            for line in (f"[{group}]", *(f"{name} = {value}" for name, value in entries.items()))
        ]
        (about / "entry_points.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
        monkeypatch.syspath_prepend(str(site))
        # Worker processes find it, too.
        monkeypatch.setenv("PYTHONPATH", str(site), prepend=":")
        monkeypatch.delitem(sys.modules, module, raising=False)
        return addition

    return install


def scores_of(folder: str) -> dict[str, dict[str, Any]]:
    record = json.loads(Path(folder, "run.json").read_text(encoding="utf-8"))
    return {score["metric"]: score for protocol in record["protocols"] for score in protocol["scores"]}


def test_each_addition_is_one_file_and_at_most_one_line() -> None:
    assert list(ADDITIONS) == [
        "A paired metric from any function of a library",
        "A detector",
        "A dialect",
        "Dialects in a package",
        "A format of leaderboards",
        "An executor",
    ]
    for addition in ADDITIONS.values():
        assert sum(map(len, addition.declared.values())) == (0 if addition.file == "grey.toml" else 1)


def test_a_paired_metric(command: Command, folders: tuple[str, ...], added: Callable[[str], Addition]) -> None:
    addition = added("A paired metric from any function of a library")
    outcome = command(*addition.command)
    assert (outcome.code, outcome.err) == (0, "")
    with Path("results/mine/per_pair.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    for row in rows:
        x, y = (np.asarray(Image.open(Path(folder, row["pair"] + ".png"))) for folder in ("mine", "real"))
        assert float(row["nmi"]) == pytest.approx(float(normalized_mutual_information(x, y)), abs=1e-12)
    score = scores_of("results/mine")["nmi"]
    assert (score["better"], score["n"]) == ("higher", 5)
    assert score["interval"] is not None
    versions = json.loads(command("doctor", "--json").out)["environment"]["packages"]
    assert "scikit-image" in versions


def test_a_detector(command: Command, own_folders: Path, added: Callable[[str], Addition]) -> None:
    addition = added("A detector")
    pictures = sorted(SAMPLE.rglob("*.jpg"))[:24]
    for i, picture in enumerate(pictures):
        for folder, shown in (("real", picture), ("mine", picture if i % 2 else SAMPLE / pictures[0])):
            (own_folders / folder).mkdir(exist_ok=True)
            shutil.copy(shown, own_folders / folder / f"{i:02}.jpg")
    # Every fourth image is without anybody.
    for i in range(0, len(pictures), 4):
        Image.new("RGB", (176, 256), "grey").save(own_folders / "mine" / f"{i:02}.jpg")
    outcome = command(*addition.command)
    assert outcome.code == 0, outcome.err
    score = scores_of("results/mine")["frontal_faces"]
    ((reason, count),) = score["missing"].items()
    assert reason == "no frontal face found"
    assert score["n"] + count == len(pictures)
    assert 0 < score["value"] < 1
    listing = command("protocols", "frontal_faces").out
    assert "Headlines: frontal_faces" in listing
    assert "--set frontal_faces.neighbours=3" in listing


def test_a_dialect(command: Command, folders: tuple[str, ...], added: Callable[[str], Addition]) -> None:
    addition = added("A dialect")
    outcome = command(*addition.command)
    assert outcome.code == 0, outcome.err
    assert set(scores_of("results/mine")) == {"grey@1:ssim", "grey@1:mae"}


def test_dialects_in_a_package(command: Command, folders: tuple[str, ...], added: Callable[[str], Addition]) -> None:
    addition = added("Dialects in a package")
    outcome = command(*addition.command)
    assert (outcome.code, outcome.err) == (0, "")
    grey = command("run", *folders, "--dialect", "disco", "-p", "ssim", "-o", "results/disco")
    assert grey.code == 0
    theirs = scores_of("results/disco")["disco@1:ssim"]["value"]
    assert scores_of("results/mine")["lab@1:ssim"]["value"] == theirs
    record = json.loads(Path("results/mine/run.json").read_text(encoding="utf-8"))
    assert record["environment"]["packages"]["lab_dialects"] == "1.0"
    assert command("verify", "results/mine", *folders).code == 0
    listed = {row["key"]: row for row in json.loads(command("dialects", "list", "--json").out)}
    assert listed["lab"]["package"] == "lab_dialects"
    assert not any("package" in row for key, row in listed.items() if key != "lab")
    assert "(from lab_dialects)" in " ".join(command("dialects", "list").out.split())
    assert "  package: lab_dialects" in command("dialects", "show", "lab").out
    assert command("dialects", "show", "lab", "--toml").out == addition.text
    assert "known" in json.loads(command("dialects", "show", "lab", "--json").out)
    assert "disco@1:ssim → lab@1:ssim" in command("dialects", "diff", "disco", "lab").out
    every = command("run", *folders, "--all-dialects", "-p", "ssim", "-o", "results/all", "--quiet")
    assert every.code == 3  # sizes that others expect
    assert "lab@1:ssim" in command("dialects", "explain", "results/all").out
    Path("lab.toml").write_text(addition.text, encoding="utf-8")
    taken = command("dialects", "check", "lab.toml")
    assert (taken.code, "'lab' is a dialect of another package" in taken.sentence) == (2, True)


def test_a_format(command: Command, folders: tuple[str, ...], added: Callable[[str], Addition]) -> None:
    addition = added("A format of leaderboards")
    for name in ("one", "two"):
        assert command("run", *folders, "-p", "ssim,l1", "--name", name, "-o", f"results/{name}").code == 0
    outcome = command(*addition.command)
    assert (outcome.code, outcome.out) == (0, "board.tsv\n")
    with Path("board.tsv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream, delimiter="\t"))
    assert [(row["block"], row["run"], row["metric"]) for row in rows] == [
        ("1", name, metric) for name in ("one", "two") for metric in ("ssim", "l1")
    ]
    assert float(rows[0]["value"]) == pytest.approx(scores_of("results/one")["ssim"]["value"], rel=1e-5)
    assert command("leaderboard", "results/one", "--format", "tsv").out.startswith("block\trun")
    wrong = command("leaderboard", "results/one", "--format", "tvs")
    assert (wrong.code, wrong.sentence) == (2, "there is no format 'tvs'. Did you mean 'tsv'?")


def test_an_executor(command: Command, folders: tuple[str, ...], added: Callable[[str], Addition]) -> None:
    addition = added("An executor")
    local = command("run", *folders, "-p", "ssim,l1,kec", "-o", "results/local", "--device", "cpu")
    # Nothing of what this machine found may be taken from the cache.
    shutil.rmtree("cache")
    outcome = command(*addition.command)
    assert (
        (outcome.code, outcome.err)
        == (local.code, local.err)
        == (3, "fhpt-eval: missing: 5 × target: no person found (kec)\n")
    )
    assert scores_of("results/mine") == scores_of("results/local")
    wrong = command(*("one-by-on" if word == "one-by-one" else word for word in addition.command))
    assert (wrong.code, wrong.sentence) == (2, "there is no engine 'one-by-on'. Did you mean 'one-by-one'?")


def test_weights_of_an_extractor_of_another_package_are_listed(
    command: Command, own_folders: Path, added: Callable[[str], Addition]
) -> None:
    addition = added("A detector")
    file = own_folders / "site" / addition.file
    weights = 'Weights("haar", "haar.bin", 3, "0" * 64, "MIT", "frontal_faces", "https://example.org/haar.bin")'
    text = addition.text.replace(
        "    process: ClassVar[bool] = True\n", f"    process: ClassVar[bool] = True\n    all_weights = ({weights},)\n"
    )
    file.write_text(f"from fhpt_eval.extract.weights import Weights\n{text}", encoding="utf-8")
    listed = {row["name"]: row for row in json.loads(command("weights", "list", "--json").out)}
    assert listed["haar"]["used_by"] == "frontal_faces"
    assert {"inception-2015", "vgg19"} <= set(listed)
    absent = {row["name"]: row["lacks"]["paper"] for row in json.loads(command("protocols", "--json").out)}
    assert absent["frontal_faces"] == ["haar"]
