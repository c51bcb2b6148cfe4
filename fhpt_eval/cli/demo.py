"""``fhpt-eval demo``: all of it, on a small sample that comes with the package."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fhpt_eval.cli.shared import BUG, DONE, AsJson, Quiet

if TYPE_CHECKING:
    from fhpt_eval.demo import Demo


def demo(
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder for everything; new, empty, or from an earlier demo.")
    ],
    pairs: Annotated[
        int, typer.Option("--pairs", min=10, help="How many of the sample's 288 pairs; fewer take less time.")
    ] = 72,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Generate, score and compare on rendered people that come with the package, without any download.

    Four methods: the DRN (refined and coarse image), the source itself, and the real target. Each is scored by every
    protocol of the profile embedded. Writes a report, a leaderboard, keypoint error curves, a gallery, the images, and
    a folder a run. Minutes the first time; the same command again takes seconds.
    """
    from fhpt_eval.cli.display import ProgressDisplay
    from fhpt_eval.demo import run_demo
    from fhpt_eval.engine.cache import Cache
    from fhpt_eval.engine.engine import open_engine

    with ProgressDisplay(quiet=quiet) as progress, Cache() as cache:
        done = run_demo(output, pairs, open_engine("local", cache), progress)
    if as_json:
        typer.echo(_json(done, pairs))
    else:
        _print(done, pairs)
    if not quiet:
        _remark(done)
    # That the real target has no PSNR, being identical to itself, is no gap here.
    codes = {run.exit_code if run.faulty else DONE for run in done.runs}
    raise typer.Exit(BUG if BUG in codes else max(codes))


def _json(done: Demo, pairs: int) -> str:
    scores = {
        run.record.name: {
            metric: {"value": score.value, "n": score.n, "missing": score.missing}
            for metric, score in run.scores.items()
        }
        for run in done.runs
    }
    files = {
        "leaderboard": done.board,
        "curves": done.curves,
        "gallery": done.gallery,
        "report": done.report,
        "runs": done.folder,
    }
    return json.dumps(
        {"pairs": pairs, "scores": scores, "files": {name: str(path) for name, path in files.items()}}, indent=2
    )


def _print(done: Demo, pairs: int) -> None:
    from fhpt_eval.cli.display import print_board
    from fhpt_eval.reporting.leaderboards.leaderboard import Leaderboard

    typer.echo(f"{pairs} pairs of the sample of rendered people, profile embedded")
    print_board(Leaderboard.of(done.runs))
    typer.echo(f"{pairs} images are few for fd, kd and is: here they tell methods roughly apart, and nothing more.")
    typer.echo()
    typer.echo(f"leaderboard, with intervals and what is missing: {done.board}")
    typer.echo(f"keypoint error curves: {done.curves}")
    typer.echo(f"gallery: {done.gallery}")
    typer.echo(f"one folder per run: {done.folder}")
    typer.echo(_NEXT)
    typer.echo(f"\nall of it on one page, with pictures: {done.report}")


_NEXT = """
what to do next, with images of your own:
  fhpt-eval run --profile embedded -g GENERATED -t REAL -s REAL        # score what your model made
  fhpt-eval compare results/A results/B                                # is B better than A
  fhpt-eval report results/A results/B -o report.html                  # all about them on one page
  fhpt-eval leaderboard results/A results/B -o leaderboard.tex         # a table for the paper
  fhpt-eval generate drn --pairs pairs.csv -s REAL -t REAL -o images   # pairs.csv: from,to
  fhpt-eval train drn --pairs pairs.csv -s REAL -o drn --size small    # a DRN of your own
  fhpt-eval doctor                                                     # what FID, LPIPS … need here"""


def _remark(done: Demo) -> None:
    """Say once what is to be said of the runs, and of each what could not be done."""
    from fhpt_eval.cli.display import left_undone

    lines = [f"{run.record.name}: {line}" for run in done.runs for line in left_undone(run)]
    lines += dict.fromkeys(warning for run in done.runs for warning in run.record.warnings)
    for line in lines:
        print(f"fhpt-eval: {line}", file=sys.stderr)
