"""The commands in README and docs run as they stand there, one after the other, in a folder with small data.

What would take hours is made smaller by the substitutions below, and by nothing else. `test_extending.py` runs the
commands of docs/extending.md, each with what it adds, and `make demo` the demo.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import Command
from PIL import Image, ImageFilter
from s3 import S3
from toy_faces import write_pack

from fhpt_eval import sample

ROOT = Path(__file__).resolve().parents[2]
# φ of the DRN's losses is left out: no canonical weights are here.
TRAINING = (
    "fhpt-eval train drn --size small --set width=4 --set max_width=8 --set transfer_blocks=1 --set perceptual_weight=0"
    " --set style_weight=0 --set epochs=1 --set constant_epochs=1 --set face_epochs=1 --set batch_size=2 "
)
SMALLER = MappingProxyType(
    {
        "--identities 100 --views 5": "--identities 2 --views 2 --size 32x48",
        "--identities 100 --views 6 --seed 1 --size 512x352": "--identities 2 --views 2 --seed 1 --size 64x96",
        "--identities 100 --views 12": "--identities 1 --views 12 --size 48x64",
        "--identities 480 --views 6": "--identities 6 --views 2 --size 64x96",
        "fhpt-eval train drn ": TRAINING,
        "train gender ": "train gender --epochs 1 --batch-size 2 ",
        "--images train/": "--network efficientnet_lite0 --images train/",
        "--all-dialects": "--all-dialects --protocols ssim,psnr,l1",
        "LEG1": str(ROOT / "fhpt_eval/pretrained/drn"),
        "pd_efficientnet_lite0,ssim,kec_auc_body,kec_auc_face,face_same@0.6": "ssim,kec_auc_body,kec_auc_face",
        "perceptual_weight=0.3": "perceptual_weight=0 --set batch_size=2",
    }
)
"""What is put in the place of what."""

IN_PART = 'fhpt-eval() { command fhpt-eval "$@" || [ $? -eq 3 ]; }\n'
"""Where weights or faces are missing, a command says so and ends with 3."""

DATA = """
fhpt-eval generate copy-source --quiet --pairs pairs.csv -s real -t real -o mine
fhpt-eval generate real --quiet --pairs pairs.csv -s real -t real -o theirs
cp -r mine ours
cp -r mine images
cp -r mine results_of_my_model
KEYPOINTS="--target-keypoints real.csv --generated-keypoints openpose/"
for NAME in A B baseline mine; do
    fhpt-eval run -g mine -t real -p ssim,kec $KEYPOINTS --name $NAME -o results/$NAME
done
for NAME in drn-refined drn-coarse copy-source; do
    fhpt-eval run -g mine -t real -p ssim,kec $KEYPOINTS --name $NAME -o results/demo/runs/$NAME
done
mkdir runs
cp -r results/A runs/epoch-0000
cp -r results/B runs/epoch-0001
for NAME in ours theirs; do
    fhpt-eval run -g $NAME -t real -s real --profile embedded -p ssim,kec,face_identity,retrieval --name $NAME \\
        -o results/$NAME
done
"""


def shown(page: Path) -> Iterator[str]:
    """The commands of a page: its blocks, and in its text what names more than a sub-command."""
    for index, part in enumerate(page.read_text(encoding="utf-8").split("```")):
        if index % 2:
            language, _, block = part.partition("\n")
            if not language and re.search(r"^(OMP_NUM_THREADS=\d torchrun .*|fhpt-eval) ", block, re.MULTILINE):
                yield block
        else:
            yield from (f"{text}\n" for text in re.findall(r"`(fhpt-eval [^`…]* -[^`…]*)`", part))


def to_run() -> dict[str, list[str]]:
    """The commands of each page that no earlier page has."""
    found: dict[str, list[str]] = {}
    for page in sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")]):
        before = "".join(script for scripts in found.values() for script in scripts)
        scripts = [s for s in shown(page) if s not in before and not s.startswith("fhpt-eval demo")]
        if scripts and page.name != "extending.md":
            found[page.name] = scripts
    return found


PAGES = to_run()


def run(script: str, folder: Path) -> None:
    """Run a script in bash, where `fhpt-eval` is this one."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(  # noqa: S603 - our own pages
        ["bash", "-eu", "-o", "pipefail", "-c", IN_PART + script],  # noqa: S607
        cwd=folder,
        env={**os.environ, "PATH": path, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}"


def flat(path: str) -> str:
    """PATN's name for an image of DeepFashion."""
    gender, category, item, view = path.removesuffix(".jpg").split("/")
    colour, number, side = view.split("_", 2)
    return f"fashion{gender}{category}{item.replace('_', '')}{colour}_{number}{side}"


def lay_out(folder: Path) -> None:
    """Put some of the sample under the names that pages use: of six people two pairs each."""
    pairs = pd.read_csv(sample.SAMPLE / sample.PAIRS)
    frontal = pairs[pairs["from"].str.contains("_front") & ~pairs["view"].isin(["back", "side"])]
    chosen = frontal.groupby("identity").head(2).groupby("gender").head(6)
    chosen.to_csv(folder / "pairs.csv", index=False)
    names = sorted({*chosen["from"], *chosen["to"]})
    for name in names:
        for place in ("real", "train"):
            (folder / place / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(sample.SAMPLE / sample.IMAGES / name, folder / place / name)
        # DeepFashion's archive has squares with white borders.
        square = Image.new("RGB", (256, 256), "white")
        square.paste(Image.open(folder / "real" / name), (40, 0))
        (folder / "img" / name).parent.mkdir(parents=True, exist_ok=True)
        square.save(folder / "img" / name)
        silhouette = folder / "silhouettes" / f"{name.removesuffix('.jpg')}_sil.png"
        silhouette.parent.mkdir(parents=True, exist_ok=True)
        with Image.open(folder / "real" / name) as image:
            Image.new("L", image.size, "white").save(silhouette)
    shutil.copy(sample.SAMPLE / sample.ANNOTATION, folder / "real.csv")
    write_pack(folder / "buffalo_s")
    np.savez(folder / "stats.npz", mu=np.zeros(2048), sigma=np.eye(2048))
    (folder / "openpose").mkdir()
    points = pd.read_csv(folder / "real.csv", sep=":", index_col="name")
    for source, target in zip(chosen["from"], chosen["to"], strict=True):
        y, x = (json.loads(points.loc[source, f"keypoints_{axis}"]) for axis in "yx")
        joints = [value for px, py in zip(x, y, strict=True) for value in (px, py, float(px >= 0))]
        name = f"{flat(source)}_2_{flat(target)}_vis_keypoints.json"
        (folder / "openpose" / name).write_text(json.dumps({"people": [{"pose_keypoints_2d": joints}]}))
    people = sorted(set(chosen["identity"]))
    split = {
        part: chosen[chosen["identity"].isin(some)]
        for part, some in {"train": people[:-1], "test": people[-1:]}.items()
    }
    for part, rows in split.items():
        (folder / f"{part}.lst").write_text("".join(f"{flat(n)}.jpg\n" for n in sorted({*rows["from"], *rows["to"]})))
        rows[["from", "to"]].map(lambda name: f"{flat(name)}.jpg").to_csv(folder / f"{part}_pairs.csv", index=False)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    lay_out(folder)
    run(DATA, folder)
    return folder


@pytest.mark.usefixtures("own_folders")
@pytest.mark.parametrize("page", PAGES)
def test_the_commands_of_a_page_run(page: str, data: Path, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    folder = tmp_path / "data"
    shutil.copytree(data, folder)
    if page == "remote.md":
        s3: S3 = request.getfixturevalue("s3")
        for images in ("mine", "real"):
            s3.upload(folder / images)
    for script in PAGES[page]:
        for large, small in SMALLER.items():
            script = script.replace(large, small)
        run(script, folder)
        for made in re.findall(r"(?:-o|--output|>) ([\w./-]+)(?= |$)", script.replace("\\\n", " "), re.MULTILINE):
            assert (folder / made).exists(), f"{script}\nmade no {made}"


def test_the_blocks_of_the_python_page_run_as_in_a_notebook(
    command: Command, own_folders: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
    lay_out(own_folders)
    for name, model in (("A", "real"), ("B", "copy-source")):
        given = ("--quiet", "--pairs", "pairs.csv", "-s", "real", "-t", "real", "-o", f"images/{name}")
        assert command("generate", model, *given).code == 0
    shutil.copytree("images/A", "images/C")
    for path in Path("images/C").glob("*.png"):
        with Image.open(path) as image:
            image.filter(ImageFilter.GaussianBlur(2)).save(path)
    names: dict[str, Any] = {}
    capsys.readouterr()
    for part in page.split("```python\n")[1:]:
        block = part.partition("```")[0]
        exec(compile(block, "docs/python.md", "exec"), names)  # noqa: S102 - our own page
    printed = capsys.readouterr().out
    for told in ("face_same@0.5", "pckh@0.1", "pckh@1.0", "kec_auc_body@0.05", "kec_auc_hands_detected@0.1"):
        assert told in printed
    for file in ("kec.pdf", "bars.pdf", "retrieval.svg", "radar.png", "gallery.png", "topk.png"):
        assert Path(file).stat().st_size > 5_000
    columns = page.split("a row a run and metric: ")[1].partition(".")[0]
    assert list(names["table"]) == columns.replace("\n", " ").split(", ")
    assert set(names["compared"].table["second"]) == {"B", "C"}
