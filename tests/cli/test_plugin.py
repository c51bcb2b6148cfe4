from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Command

Folders = tuple[str, str, str, str]
Install = Callable[..., None]

GOOD = '''
    from __future__ import annotations

    from dataclasses import dataclass
    from typing import ClassVar

    from fhpt_eval import Geometry, Missing, PairedProtocol, Pairs, Records, Score, mean_over_pairs
    from fhpt_eval.extract.pixels import PixelDifference


    @dataclass(frozen=True, kw_only=True)
    class Brightest(PairedProtocol):
        """Twice the mean difference.

        Attributes:
            factor: By which it is multiplied.
        """

        name: ClassVar[str] = "twice"
        title: ClassVar[str] = "a stranger's protocol"
        group: ClassVar[str] = "semantic"
        metrics: ClassVar[tuple[str, ...]] = ("twice",)
        factor: float = 2.0

        def extractor(self) -> PixelDifference:
            return PixelDifference(first_geometry=self.generated_geometry, second_geometry=self.target_geometry)

        def score(self, pairs: Pairs, records: Records) -> list[Score]:
            values = [v if isinstance(v, Missing) else self.factor * v for v in self.values(records, "mae")]
            SCORE
'''
SCORE = 'return [mean_over_pairs("twice", "lower", pairs, values)]'


@pytest.fixture
def install(own_folders: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Put a distribution with one module and its entry points on the path."""

    def put(module: str, source: str, *entries: str, group: str = "fhpt_eval.protocols") -> None:
        site = own_folders / f"site-{module}"
        about = site / f"{module}-1.0.dist-info"
        about.mkdir(parents=True)
        (site / f"{module}.py").write_text(dedent(source), encoding="utf-8")
        (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n", encoding="utf-8")
        lines = "\n".join([f"[{group}]", *entries])
        (about / "entry_points.txt").write_text(lines + "\n", encoding="utf-8")
        monkeypatch.syspath_prepend(str(site))

    return put


def test_protocol_of_another_package_is_listed_explained_and_run_like_ours(
    command: Command, folders: Folders, install: Install
) -> None:
    install("stranger_good", GOOD.replace("SCORE", SCORE), "twice = stranger_good:Brightest")
    listed = {row["name"]: row for row in json.loads(command("protocols", "--json").out)}
    assert listed["twice"]["group"] == "semantic"
    assert listed["twice"]["lacks"] == {"paper": [], "embedded": []}
    assert "--set twice.factor=2.0" in command("protocols", "twice").out
    outcome = command("run", *folders, "-p", "l1,twice", "--device", "cpu", "--set", "twice.factor=510", "--json")
    assert outcome.code == 0
    assert outcome.err == ""
    scores = {s["metric"]: s["value"] for p in json.loads(outcome.out)["protocols"] for s in p["scores"]}
    assert scores["twice"] == pytest.approx(2 * 255 * 255 * scores["l1"])
    wrong = command("run", *folders, "-p", "twice", "--set", "twice.facto=3")
    assert wrong.code == 2
    assert "Did you mean 'factor'?" in wrong.sentence
    semantic = json.loads(command("run", *folders, "-p", "semantic", "--dry-run", "--json").out)
    assert "twice" in {row["protocol"] for row in semantic["protocols"]}


@pytest.mark.parametrize(
    ("module", "source", "why"),
    [
        ("stranger_import", "import no_such_module_anywhere", "ModuleNotFoundError"),
        ("stranger_exit", "raise SystemExit(7)", "SystemExit"),
        ("stranger_lines", "raise RuntimeError('first\\nsecond')", "first second"),
        ("stranger_nothing", "", "AttributeError"),
        ("stranger_function", "def Brightest(): return 1", "not a fhpt_eval.Protocol class"),
        ("stranger_group", GOOD.replace("SCORE", SCORE).replace('"semantic"', '"taste"'), "its group 'taste'"),
        (
            "stranger_flaw",
            GOOD.replace("SCORE", SCORE).replace(" = 2.0", " = 2.0; flaws = {'fog': 'worse'}"),
            "the flaw 'fog'",
        ),
        (
            "stranger_abstract",
            "from fhpt_eval import Protocol\nclass Brightest(Protocol):\n    name = 'x'\n    group = 'semantic'",
            "abstract",
        ),
        ("stranger_nameless", "from fhpt_eval import PairedProtocol as Brightest", "group"),
        ("stranger_thief", GOOD.replace("SCORE", SCORE).replace('"twice"', '"ssim"'), "the name is taken"),
    ],
)
def test_a_protocol_that_cannot_be_used_is_a_warning_with_its_name(
    command: Command, folders: Folders, install: Install, module: str, source: str, why: str
) -> None:
    install(module, source, f"odd = {module}:Brightest")
    outcome = command("run", *folders, "-p", "ssim", "--device", "cpu")
    assert outcome.code == 0
    assert outcome.sentence.startswith("warning: protocol '")
    assert module in outcome.sentence.replace("-", "_")
    assert why in outcome.sentence
    assert command("run", *folders, "-p", "ssim", "--device", "cpu", "--quiet").err == ""
    listing = command("protocols", "--json")
    assert listing.code == 0
    assert why in listing.err
    assert "odd" not in {row["name"] for row in json.loads(listing.out)}
    assert why in " ".join(json.loads(command("doctor", "--json").out)["todo"])


@pytest.mark.parametrize(
    ("module", "score", "why"),
    [
        ("stranger_raises", "raise ZeroDivisionError('oh')", "ZeroDivisionError: oh"),
        ("stranger_nan", "return [Score('twice', float('nan'), 'lower', 5)]", "twice"),
        (
            "stranger_metric",
            'return [mean_over_pairs("ssim", "lower", pairs, values)]',
            "'ssim' is already in this run",
        ),
        (
            "stranger_column",
            'return [mean_over_pairs("pair", "lower", pairs, values)]',
            "'pair' is already in this run",
        ),
        ("stranger_short", "return [Score('twice', 1.0, 'lower', 1, per_pair=(1.0,))]", "1 values for 5 pairs"),
        ("stranger_details", "return [Score('twice', 1.0, 'lower', 1, details={'a': object()})]", "details"),
    ],
)
def test_a_protocol_that_fails_is_named_as_a_bug_and_the_others_are_kept(
    command: Command, folders: Folders, install: Install, module: str, score: str, why: str
) -> None:
    install(module, GOOD.replace("SCORE", score), f"twice = {module}:Brightest")
    outcome = command("run", *folders, "-p", "ssim,twice,l1", "--device", "cpu", "-o", "out")
    assert outcome.code == 1
    (line,) = (line for line in outcome.err.splitlines() if line.startswith("fhpt-eval: twice: this is a bug: "))
    assert why in line
    record = json.loads(Path("out/run.json").read_text(encoding="utf-8"))
    states = {protocol["name"]: protocol["status"] for protocol in record["protocols"]}
    assert states == {"ssim": "done", "twice": "failed", "l1": "done"}
    assert {s["metric"] for p in record["protocols"] for s in p["scores"]} == {"ssim", "l1"}


EXECUTOR = """
    from toy_executor import OneByOne


    class Toy(OneByOne):
        name = "toy"
"""


def documented_executor() -> str:
    """The one that docs/extending.md shows."""
    page = (Path(__file__).parents[2] / "docs" / "extending.md").read_text(encoding="utf-8")
    (block,) = (block for block in page.split("```python\n")[1:] if "(Executor)" in block)
    return block.partition("```")[0]


@pytest.mark.parametrize(
    ("name", "source", "entry"),
    [("toy", EXECUTOR, "Toy"), ("one-by-one", documented_executor(), "OneByOne")],
)
def test_executor_of_another_package_computes_the_same(
    command: Command, folders: Folders, install: Install, name: str, source: str, entry: str
) -> None:
    module = f"stranger_{entry.lower()}"
    install(module, source, f"{name} = {module}:{entry}", group="fhpt_eval.executors")
    chosen = (*folders, "--profile", "embedded", "-p", "fid,lpips,ssim,l1", "--device", "cpu", "--json")
    theirs = command("run", *chosen, "--engine", name, "-o", "theirs")
    assert theirs.code == 0
    command("cache", "clear")
    ours = command("run", *chosen, "-o", "ours")
    one, other = (
        {score["metric"]: score["value"] for p in json.loads(outcome.out)["protocols"] for score in p["scores"]}
        for outcome in (ours, theirs)
    )
    assert len(one) == 4
    # What docs/extending.md shows leaves the number of threads alone, which may change the last digit.
    assert other == pytest.approx(one, rel=1e-4)
    wrong = command("run", *folders, "-p", "l1", "--engine", f"{name}e")
    assert wrong.code == 2
    assert wrong.sentence == f"there is no engine '{name}e'. Did you mean '{name}'?"


@pytest.mark.parametrize(
    ("module", "source", "why"),
    [
        ("executor_thief", EXECUTOR.replace('"toy"', '"local"'), "the name local is taken"),
        ("executor_function", "def Toy(): return 1", "not a fhpt_eval.Executor class"),
        ("executor_half", "from fhpt_eval.engine.executor import Executor as Toy", "it lacks __init__, numerics, run"),
        ("executor_import", "import no_such_module_anywhere", "no_such_module_anywhere"),
    ],
)
def test_an_executor_that_cannot_be_used_is_told_where_it_is_asked_for(
    command: Command, folders: Folders, install: Install, module: str, source: str, why: str
) -> None:
    install(module, source, "toy = " + module + ":Toy", group="fhpt_eval.executors")
    outcome = command("run", *folders, "-p", "l1", "--engine", "toy")
    assert outcome.code == 2
    assert outcome.sentence.startswith("there is no engine 'toy'")
    assert why in outcome.sentence
    assert any(why in line for line in json.loads(command("doctor", "--json").out)["todo"])
    assert command("run", *folders, "-p", "l1", "--device", "cpu").code == 0


@pytest.mark.parametrize("arguments", [("generate", "copy-source"), ("train", "gender"), ("train", "drn")])
def test_commands_that_take_a_device_take_an_engine(command: Command, arguments: tuple[str, ...]) -> None:
    assert "--engine" in command(*arguments, "--help").out


LAB = """
title = "lab"

[[metrics]]
name = "ssim"
protocol = "ssim"
"""


@pytest.fixture
def install_package(own_folders: Path, install: Install) -> Install:
    """Put a distribution with a package of files on the path."""

    def put(name: str, files: dict[str, str]) -> None:
        install(name, "", f"{name} = {name}_files", group="fhpt_eval.dialects")
        folder = own_folders / f"site-{name}" / f"{name}_files"
        folder.mkdir()
        for file, text in files.items():
            (folder / file).write_text(text, encoding="utf-8")

    return put


@pytest.mark.parametrize(
    ("name", "files", "why"),
    [
        ("lab_raises", {"__init__.py": "raise SystemExit('no\\nway')"}, "cannot be used (SystemExit: no way)"),
        ("lab_import", {"__init__.py": "import no_such_module_anywhere"}, "cannot be used (ModuleNotFoundError"),
        ("lab_empty", {"__init__.py": ""}, "cannot be used (lab_empty_files holds no *.toml file)"),
        ("lab_broken", {"odd.toml": "title ="}, "dialect 'odd' of lab_broken cannot be used ("),
        ("lab_keys", {"odd.toml": LAB.replace("title", "titel")}, "'titel' is not known. Did you mean 'title'?"),
        ("lab_binary", {"odd.toml": LAB + "\0"}, "is not TOML"),
        ("lab_asks", {"odd.toml": LAB.replace('"ssim"', '"ssmi"')}, "there is no protocol 'ssmi'"),
        ("lab_thief", {"gfla.toml": LAB}, "dialect 'gfla' of lab_thief is left out: the name 'gfla' is taken"),
        (
            "lab_alias",
            {"odd.toml": "aliases = ['adgan']" + LAB},
            "dialect 'odd' of lab_alias is left out: the name 'adgan' is taken",
        ),
        (
            "lab_case",
            {"odd.toml": "aliases = ['ADGAN']" + LAB},
            "dialect 'odd' of lab_case is left out: the name 'ADGAN' is taken",
        ),
        ("lab_path", {"odd.toml": "aliases = ['../etc']" + LAB}, "an alias may have letters, digits, '.', '_' and '-'"),
    ],
)
def test_dialects_that_cannot_be_used_are_a_warning_and_the_others_are_there(
    command: Command, folders: Folders, install_package: Install, name: str, files: dict[str, str], why: str
) -> None:
    install_package(name, {**files, **({"fine.toml": LAB} if "odd.toml" in files else {})})
    listing = command("dialects", "list", "--json")
    assert (listing.code, listing.err.count("warning: ")) == (0, 1)
    assert why in listing.err
    keys = {row["key"]: row for row in json.loads(listing.out)}
    assert "odd" not in keys
    assert "package" not in keys["gfla"]
    assert ("fine" in keys) == ("odd.toml" in files)
    assert why in " ".join(json.loads(command("doctor", "--json").out)["todo"])
    outcome = command("run", *folders, "--dialect", "fine" if "fine" in keys else "clean", "-p", "ssim")
    assert outcome.code == 0
    assert why in outcome.err
    assert command("run", *folders, "-p", "ssim", "--quiet").err == ""


def test_a_dialect_of_two_packages_is_that_of_the_first(command: Command, install_package: Install) -> None:
    for name in ("lab_two", "lab_one"):
        install_package(name, {"same.toml": LAB})
    listing = command("dialects", "list", "--json")
    assert "dialect 'same' of lab_two is left out: the name 'same' is taken" in listing.err
    assert {row["key"]: row.get("package") for row in json.loads(listing.out)}["same"] == "lab_one"


def test_a_module_is_no_package_of_dialects(command: Command, install: Install) -> None:
    install("lab_module", "", "lab_module = lab_module", group="fhpt_eval.dialects")
    listing = command("dialects", "list")
    assert listing.code == 0
    assert "dialects 'lab_module' of lab_module cannot be used (lab_module is not a package" in listing.err
