"""What is installed, and that it is found however it was installed."""

from __future__ import annotations

import configparser
import importlib
import inspect
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pandas
import pytest
from made_runs import made_run

import fhpt_eval

ROOT = Path(__file__).resolve().parents[1]
MAPPED = {
    "fhpt_eval": "fhpt_eval",
    "protocols": "fhpt_eval/protocols",
    "reference_models": "fhpt_eval/reference_models",
    "results": "fhpt_eval/results",
}
BESIDE = {ROOT / "reference_models/README.md", ROOT / "results/README.md"}
"""What lies in these folders and is not installed; below results/ lie runs."""
FILES = ("setup.cfg", "pyproject.toml", "README.md", "LICENSE")
LOCATE = (
    "import fhpt_eval.protocols, fhpt_eval.reference_models, importlib.util as u\n"
    "names = ['fhpt_eval', 'fhpt_eval.protocols', 'fhpt_eval.protocols.ssim', 'fhpt_eval.reference_models']\n"
    "print(*(u.find_spec(name).origin for name in names), sep='\\n')"
)


def python(code: str, cwd: Path, *path: Path) -> str:
    """Run code where only ``path``, the standard library and the current folder can be imported from."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, path))}
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-B", "-S", "-c", code],
        cwd=cwd, env=environment, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def own_files(folder: str) -> list[Path]:
    """What is installed of a folder."""
    found = (ROOT / folder).glob("*") if folder == "results" else (ROOT / folder).rglob("*")
    return [path for path in found if path.is_file() and path.suffix != ".pyc" and path not in BESIDE]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the sources, as nothing may be built beside the originals."""
    copy = tmp_path_factory.mktemp("checkout")
    ignore = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for folder in MAPPED:
        if folder != "results":
            shutil.copytree(ROOT / folder, copy / folder, ignore=ignore)
    for path in own_files("results"):
        (copy / path.relative_to(ROOT)).parent.mkdir(exist_ok=True)
        shutil.copy(path, copy / path.relative_to(ROOT))
    (copy / "results" / "run").mkdir()
    (copy / "results" / "run" / "run.json").touch()
    for name in FILES:
        shutil.copy(ROOT / name, copy / name)
    for folder in ("tests", "benchmarks"):
        (copy / folder).mkdir()
        (copy / folder / "__init__.py").touch()
    return copy


def unpacked(checkout: Path, kind: str, folder: Path) -> Path:
    """Build a wheel as pip would, and unpack it as pip would."""
    build = f"import setuptools.build_meta as b; b.build_{kind}({str(folder)!r})"
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", build], cwd=checkout, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


@pytest.fixture(scope="module")
def installed(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpacked(checkout, "wheel", tmp_path_factory.mktemp("wheel"))


def test_regular_install_is_found_from_anywhere(installed: Path, tmp_path: Path) -> None:
    assert python(LOCATE, tmp_path, installed).split() == [
        str(installed / "fhpt_eval/__init__.py"),
        str(installed / "fhpt_eval/protocols/__init__.py"),
        str(installed / "fhpt_eval/protocols/ssim.py"),
        str(installed / "fhpt_eval/reference_models/__init__.py"),
    ]


def in_checkout(checkout: Path) -> list[str]:
    names = ("fhpt_eval/__init__.py", "protocols/__init__.py", "protocols/ssim.py", "reference_models/__init__.py")
    return [str(checkout / name) for name in names]


def test_checkout_is_found_from_its_own_root_and_shadows_a_regular_install(checkout: Path, installed: Path) -> None:
    assert python(LOCATE, checkout).split() == in_checkout(checkout)
    assert python(LOCATE, checkout, installed).split() == in_checkout(checkout)


def test_editable_install_is_found_from_anywhere(checkout: Path, tmp_path: Path) -> None:
    site = unpacked(checkout, "editable", tmp_path)
    found = python(f"import site; site.addsitedir({str(site)!r})\n{LOCATE}", tmp_path)
    assert found.split() == in_checkout(checkout)


def test_wheel_holds_every_file_and_nothing_beside_the_one_package(installed: Path) -> None:
    top = {path.name for path in installed.iterdir()}
    assert top == {"fhpt_eval", f"fhpt_eval-{fhpt_eval.__version__}.dist-info"}
    expected = {
        f"{place}/{path.relative_to(ROOT / folder).as_posix()}"
        for folder, place in MAPPED.items()
        for path in own_files(folder)
    }
    held = {path.relative_to(installed).as_posix() for path in (installed / "fhpt_eval").rglob("*") if path.is_file()}
    assert held == expected
    assert "fhpt_eval/py.typed" in held


def test_published_numbers_and_the_template_come_with_the_wheel(installed: Path, tmp_path: Path) -> None:
    made_run("mine", {"ssim": [0.5] * 8}).save(tmp_path / "mine")
    libraries = Path(pandas.__file__).parents[1]
    for form, told in (("md", "| VUNet [1] | *0.763 (unknown)* |"), ("html", "0.763 <small>(unknown)</small>")):
        asked = ["leaderboard", "mine", "--with-literature", "--format", form]
        code = (
            f"from fhpt_eval.cli.main import main\ntry: main({asked})\nexcept SystemExit as end: assert not end.code\n"
        )
        origin = "import fhpt_eval.results as r\nprint(r.__file__)"
        *shown, origin = python(code + origin, tmp_path, installed, libraries).splitlines()
        assert told in "\n".join(shown)
        assert Path(origin).is_relative_to(installed)


def test_wheel_declares_the_command_and_a_class_for_every_protocol(installed: Path) -> None:
    (about,) = installed.glob("*.dist-info")
    declared = configparser.ConfigParser()
    declared.read(about / "entry_points.txt", encoding="utf-8")
    assert dict(declared["console_scripts"]) == {"fhpt-eval": "fhpt_eval.cli.main:main"}
    for name, value in declared["fhpt_eval.protocols"].items():
        module, _, member = value.partition(":")
        assert getattr(importlib.import_module(module), member).name == name
    modules = {f"fhpt_eval.protocols.{path.stem}" for path in (ROOT / "protocols").glob("[!_]*.py")}
    assert {value.partition(":")[0] for value in declared["fhpt_eval.protocols"].values()} == modules


def test_every_requirement_has_an_upper_bound_and_a_reason_above_it() -> None:
    lines = (ROOT / "setup.cfg").read_text(encoding="utf-8").splitlines()
    start = lines.index("install_requires =")
    end = next(number for number in range(start + 1, len(lines)) if not lines[number].strip())
    requirements = [n for n in range(start + 1, end) if not lines[n].lstrip().startswith("#")]
    assert len(requirements) > 10
    for number in requirements:
        assert re.search(r"<\d", lines[number]), f"no upper bound: {lines[number].strip()}"
        assert lines[number - 1].lstrip().startswith("# "), f"no reason: {lines[number].strip()}"


def test_every_extra_requirement_has_an_upper_bound() -> None:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    extras = [line for extra in config["options.extras_require"].values() for line in extra.split("\n") if line]
    assert extras
    for requirement in extras:
        assert requirement.startswith("#") or re.search(r"<\d", requirement), requirement


def test_public_names_are_sorted_importable_and_documented() -> None:
    assert fhpt_eval.__all__ == sorted(fhpt_eval.__all__)
    for name in fhpt_eval.__all__:
        value = getattr(fhpt_eval, name)
        if name != "__version__":
            assert inspect.isclass(value) or inspect.isfunction(value), name
            assert value.__module__.startswith("fhpt_eval.")
            assert inspect.getdoc(value)


def test_public_names_stay_what_they_are_when_their_modules_are_imported() -> None:
    for name in fhpt_eval.__all__:
        first = getattr(fhpt_eval, name)
        importlib.import_module(getattr(first, "__module__", "fhpt_eval"))
        assert getattr(fhpt_eval, name) is first


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = fhpt_eval.nothing
