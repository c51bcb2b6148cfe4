"""Train and judge the networks that come with the package, by the package's own commands, in a given time.

python -m fhpt_eval.pretrained.build DATA -o OUT [--minutes 8] [--start DIR] [--processes 2] [--set OPTION=VALUE …]

DATA is a folder of ``fhpt-eval synth``. OUT gets ``drn/`` and ``gender/``, the networks with
their cards (``body/`` has the body before its last leg), the images of the test pairs, their scores (``scores/``,
``scores.csv``), ``gallery.png``, ``kec.png``, and a README with what was run, how long it took and how good it is. A
second call goes on in OUT.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from fhpt_eval.errors import UserError
from fhpt_eval.evaluation.run import Run
from fhpt_eval.extract.numerics import Precision
from fhpt_eval.files.atomic import write_atomic
from fhpt_eval.files.owned_folder import OwnedFolder, at_or_below
from fhpt_eval.pretrained import FOLDER
from fhpt_eval.reporting.leaderboards.leaderboard import Leaderboard
from fhpt_eval.reporting.leaderboards.tables import heading, tables

_BODY, _DETAIL, _FACE = 0.62, 0.1, 0.08
"""Shares of the time for which the body, then its detail branch alone, and the face are trained; what is left is for
reading, generating and scoring."""

_LOSSES = ("adversarial_weight=0", "style_weight=0")
"""Of the body: with them it was worse after equal time (docs/drn.md)."""

_DONE = (0, 3)
"""Exit codes of commands that did what they were told, if with something missing, which they name."""

_OURS = ("body", "drn", "gender", "images", "scores", "scores.csv", "gallery.png", "kec.png", "steps.json", "README.md")


@dataclass(frozen=True)
class Task:
    """What is asked for.

    Attributes:
        data: Folder of ``fhpt-eval synth``.
        output: Folder for everything.
        minutes: In all.
        start: Folder of the DRN whose weights to start from, and to compare with.
        processes: That train side by side; more than one pays on a CPU.
        device: As ``--device`` of the commands.
        precision: Of training the DRN.
        tests: How often each training is tested meanwhile; 0 leaves it to the scores at the end, which on a CPU is a
            matter of minutes.
        settings: Changes of the DRN's configuration, ``OPTION=VALUE``.
    """

    data: Path
    output: Path
    minutes: float
    start: Path
    processes: int
    device: str
    precision: Precision
    tests: int
    settings: tuple[str, ...]


@dataclass(frozen=True)
class Step:
    """One of the package's commands.

    Attributes:
        arguments: Of ``fhpt-eval``.
        processes: More than one go through torchrun.
    """

    arguments: tuple[str, ...]
    processes: int = 1

    @property
    def command(self) -> list[str]:
        """What is run."""
        launcher = (
            ["torch.distributed.run", "--nproc-per-node", str(self.processes), "-m"] if self.processes > 1 else []
        )
        return [sys.executable, "-m", *launcher, "fhpt_eval", *self.arguments]

    def shown(self, task: Task) -> str:
        """Return it as people give it, folders by what they are."""
        text = shlex.join(["fhpt-eval", *self.arguments])
        if self.processes > 1:
            text = f"torchrun --nproc-per-node {self.processes} -m fhpt_eval{text.removeprefix('fhpt-eval')}"
        for path, name in ((task.output, "OUT"), (task.data, "DATA"), (task.start, "START")):
            text = text.replace(str(path), name)
        return text


def steps(task: Task) -> dict[str, Step]:
    """Return the commands by what they do, in their order."""
    data, out, device = task.data, task.output, ("--device", task.device)
    images = str(data / "img")
    test = ("--pairs", str(data / "test-pairs.csv"), "-s", images, "-t", images)
    people = ("--target-keypoints", str(data / "test-annotation.csv"))
    body, drn, gender = out / "body", out / "drn", out / "gender" / "gender.safetensors"
    tested = (
        *("--test-pairs", str(data / "test-pairs.csv"), "--test-keypoints", str(data / "test-annotation.csv")),
        *("--tests", str(task.tests)),
    )
    training = (
        *("train", "drn", "--size", "small", "--pairs", str(data / "train-pairs.csv"), "-s", images),
        *("--target-keypoints", str(data / "train-annotation.csv")),
        *(tested if task.tests else ()),
        *("--precision", task.precision, *device, *_set("mirrored=true", *task.settings)),
    )
    whole = ("--start-from", str(task.start), *_set(*_LOSSES), "-o", str(body))
    detail = (
        *("--config", "pb-fix", "--start-from", str(body), "--transfer", str(body)),
        *_set(*_LOSSES, "perceptual_weight=0.3", "learning_rate=5e-4", "constant_epochs=0"),
        *("-o", str(drn)),
    )
    face = ("--part", "face", "--start-from", str(task.start), "-o", str(drn))
    made: dict[str, tuple[str, ...]] = {
        "refined": ("drn", "--checkpoint", str(drn), *people, *device),
        "coarse": ("drn", "--checkpoint", str(drn), "--image", "coarse", *people, *device),
        "before": ("drn", "--checkpoint", str(task.start), *people, *device),
        "copied": ("copy-source",),
    }
    folders = {name: (str(out / "images" / name), str(out / "scores" / name)) for name in made}
    scored = [scores for _, scores in folders.values()]
    return {
        **{
            name: Step((*training, *leg, "--max-time", f"{share * task.minutes:g}"), task.processes)
            for name, leg, share in (
                ("train the body", whole, _BODY),
                ("train its detail branch", detail, _DETAIL),
                ("train the face", face, _FACE),
            )
        },
        "train the gender classifier": Step(
            (
                *("train", "gender", "--network", "efficientnet_lite0", "--images", images),
                *("--labels", str(data / "train-labels.csv"), *device, "-o", str(out / "gender")),
            )
        ),
        **{
            f"generate {name}": Step(("generate", *model, *test, "-o", folders[name][0]))
            for name, model in made.items()
        },
        **{
            f"score {name}": Step(
                (
                    *("run", *test, "-g", folder, "--profile", "embedded", "--gender-classifier", str(gender)),
                    *(*device, "--name", name, "--overwrite", "-o", scores),
                )
            )
            for name, (folder, scores) in folders.items()
        },
        "list the scores": Step(("leaderboard", *scored, "--overwrite", "-o", str(out / "scores.csv"))),
        "draw the gallery": Step(
            ("plot", "gallery", *scored, "--choose", "median", "--overwrite", "-o", str(out / "gallery.png"))
        ),
        "draw the curves": Step(("plot", "kec", *scored, "--overwrite", "-o", str(out / "kec.png"))),
    }


def _set(*settings: str) -> tuple[str, ...]:
    return tuple(word for setting in settings for word in ("--set", setting))


def build(task: Task) -> None:
    """Run every step, and write down what came of it.

    Raises:
        UserError: The data set is not there, a step failed, or the folder holds something else.
    """
    if not (task.data / "train-pairs.csv").is_file():
        raise UserError(f"{task.data} is no data set of `fhpt-eval synth`: make one, or give its folder.")
    if not task.minutes > 0:
        raise UserError(f"--minutes cannot be {task.minutes:g}: give a number above 0.")
    OwnedFolder(task.output, "python -m fhpt_eval.pretrained.build").claim(at_or_below(set(_OURS)))
    task.output.mkdir(parents=True, exist_ok=True)
    log = task.output / "steps.json"
    seconds: dict[str, float] = json.loads(log.read_bytes()) if log.exists() else {}
    planned = steps(task)
    for number, (name, step) in enumerate(planned.items(), 1):
        print(f"[{number}/{len(planned)}] {name}: {step.shown(task)}", file=sys.stderr, flush=True)
        started = time.monotonic()
        _run(name, step)
        # A step that an earlier call finished takes a moment now: its time is what it took then.
        seconds[name] = max(time.monotonic() - started, seconds.get(name, 0.0))
        write_atomic(log, json.dumps(seconds, indent=2) + "\n")
    page = task.output / "README.md"
    write_atomic(page, readme(task, planned, seconds))
    print(f"trained, scored and drawn: {page}")
    print(f"ship it: cp {task.output}/drn/{{body,face}}.{{json,safetensors}} {FOLDER}/drn/")


def _run(name: str, step: Step) -> None:
    # Processes that train side by side share the cores, one thread each.
    several = {"OMP_NUM_THREADS": "1"} if step.processes > 1 else {}
    done = subprocess.run(step.command, env={**os.environ, **several}, stdout=sys.stderr, check=False)  # noqa: S603
    if done.returncode not in _DONE:
        raise UserError(
            f"could not {name} (exit code {done.returncode}): see above; the same command goes on from there."
        )


def readme(task: Task, planned: Mapping[str, Step], seconds: Mapping[str, float]) -> str:
    """Tell what was run, how long it took and how good it is."""
    runs = [Run.load(task.output / "scores" / name) for name in ("refined", "coarse", "before", "copied")]
    cards = {"body": "body/body", "detail branch": "drn/body", "face": "drn/face"}
    counts = {name: json.loads((task.output / f"{card}.json").read_bytes())["step"] for name, card in cards.items()}
    iterations = ", ".join(f"{name} {count}" for name, count in counts.items())
    took = sum(seconds.values()) / 60
    lines = "".join(f"| {name} | {seconds[name]:.0f} |\n" for name in planned)
    commands = "".join(f"{step.shown(task)}\n" for step in planned.values())
    return _PAGE.format(
        minutes=f"{task.minutes:g}", took=f"{took:.1f}", lines=lines, commands=commands, iterations=iterations,
        scores=table(runs),
    )  # fmt: skip


def table(runs: Sequence[Run]) -> str:
    """Put runs side by side, a metric a row, with 95 % intervals where there are any, as Markdown."""
    (whole,) = tables(Leaderboard.of(runs, everything=True, intervals=True), 0, math.inf)
    rows = [["", *(row.name for row in whole.runs)], ["---", *("---:" for _ in whole.runs)]]
    rows += [
        [heading(metric), *(row.cells[place].plain for row in whole.runs)] for place, metric in enumerate(whole.metrics)
    ]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


_PAGE = """\
# The networks that come with the package

Trained and scored in {took} of {minutes} minutes; iterations: {iterations}. The cards (`drn/body.json`,
`drn/face.json`, `gender/gender.json`) have every number. `refined` and `coarse` are the new DRN's images, `before`
those of the one that it started from, `copied` copies of the source; all are of the data set's test pairs.
Intervals are 95 %; ≈ stands after the best where it is not told apart from the next.

{scores}
![pairs about the median](gallery.png)

![keypoint error curves](kec.png)

## What was run

```
{commands}```

| step | seconds |
|---|---:|
{lines}"""


def parse(arguments: Sequence[str] | None = None) -> Task:
    """Read the options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder of fhpt-eval synth")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=8.0, help="in all; default: 8, for a GPU")
    parser.add_argument("--start", type=Path, default=FOLDER / "drn", help="a DRN's folder; default: the package's")
    parser.add_argument("--processes", type=int, default=1, help="that train; on a CPU one a core is best")
    parser.add_argument("--device", default="auto")
    parser.add_argument(
        "--precision", choices=get_args(Precision), default="float32", help="of training; a GPU: bfloat16"
    )
    parser.add_argument("--tests", type=int, default=10, help="while a network trains; 0 saves minutes on a CPU")
    parser.add_argument("--set", action="append", default=[], metavar="OPTION=VALUE", help="of the configuration")
    given = parser.parse_args(arguments)
    return Task(
        data=given.data.absolute(),
        output=given.output.absolute(),
        minutes=given.minutes,
        start=given.start.absolute(),
        processes=given.processes,
        device=given.device,
        precision=given.precision,
        tests=given.tests,
        settings=tuple(given.set),
    )


if __name__ == "__main__":
    try:
        build(parse())
    except UserError as error:
        sys.exit(f"fhpt-eval: {error}")
