"""The demo: on the sample that comes with the package, make images, score them, and show what came of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fhpt_eval.engine.contract import Plan
from fhpt_eval.engine.engine import Engine
from fhpt_eval.evaluation.evaluate import evaluate
from fhpt_eval.evaluation.giving import given_for
from fhpt_eval.evaluation.plan import ImageSets, prepare
from fhpt_eval.evaluation.run import Run
from fhpt_eval.extract.weights import Store
from fhpt_eval.files.atomic import write_atomic
from fhpt_eval.files.owned_folder import OwnedFolder, at_or_below
from fhpt_eval.generation.generate import Generation, holds_another, list_requests, with_people
from fhpt_eval.generation.reference_model import ReferenceModel, Request
from fhpt_eval.images.decoding import ImageRef, read_image
from fhpt_eval.measuring.protocol import Protocol
from fhpt_eval.measuring.registry import select
from fhpt_eval.pairing.pairs import Pairs
from fhpt_eval.people.keypoint_files import KeypointFiles
from fhpt_eval.progress import Progress
from fhpt_eval.reference_models.drn.model import Drn
from fhpt_eval.reference_models.trivial import CopySource, Real
from fhpt_eval.reporting.figures.error_curves import plot_kec
from fhpt_eval.reporting.figures.gallery import Cell, draw_gallery
from fhpt_eval.reporting.figures.style import save_figure
from fhpt_eval.reporting.leaderboards.as_csv import Csv
from fhpt_eval.reporting.leaderboards.leaderboard import Leaderboard
from fhpt_eval.reporting.page.document import write_report
from fhpt_eval.sample import ANNOTATION, IMAGES, SAMPLE, some_pairs

BOARD, CURVES, GALLERY, REPORT = "leaderboard.csv", "kec.png", "gallery.png", "report.html"
_CHOSEN, _MADE, _RUNS = "pairs.csv", "images", "runs"
_OURS = (BOARD, CURVES, GALLERY, REPORT, _CHOSEN, _MADE, _RUNS, "README.md")
"""What the folder may hold. A README that somebody added is left alone."""

_SHOWN = 6
"""Pairs in the gallery, at most."""


@dataclass(frozen=True)
class Demo:
    """What came of it.

    Attributes:
        runs: Of each method; the records are in ``folder``, too.
        folder: Of these.
        board: The leaderboard.
        curves: The keypoint error curves.
        gallery: The pictures side by side.
        report: The page about all of it.
    """

    runs: tuple[Run, ...]
    folder: Path
    board: Path
    curves: Path
    gallery: Path
    report: Path


def run_demo(output: str | Path, count: int, engine: Engine, progress: Progress) -> Demo:
    """Generate by the DRN, copy-source and real, score by every protocol of the profile ``embedded``, and draw.

    A second call finds images and results where the first one left them.

    Args:
        output: Folder that is new, empty, or from an earlier call.
        count: How many pairs of the sample; the same ones are among those of a larger number.
        engine: Finds people and scores.
        progress: Called often.

    Raises:
        UserError: The sample has no such number of pairs, or the folder holds something else or cannot be written.
    """
    output, text = Path(output), some_pairs(count)
    OwnedFolder(output, "fhpt-eval demo").claim(at_or_below(_OURS))
    chosen, real = output / _CHOSEN, SAMPLE / IMAGES
    write_atomic(chosen, text)
    listed = list_requests(chosen, real, real, output)
    keypoints = KeypointFiles.at(SAMPLE / ANNOTATION)
    requests = with_people(listed, engine, target_keypoints=keypoints, progress=progress).requests
    methods: dict[str, Pairs] = {}
    for name, model in _methods().items():
        made = output / _MADE / name
        # Of a version of the package with another checkpoint.
        stale = holds_another(made, model)
        Generation(model, made, device=engine.own_device, overwrite=stale).make(
            requests, replace_others=True, progress=_of(name, progress)
        )
        methods[name] = Pairs.from_csv(chosen, made, real, real)
        methods[name].require_complete()
    protocols, store = select(None, "embedded"), Store()
    _extract(methods.values(), protocols, engine, store, progress)
    runs = [
        evaluate(
            pairs, protocols, profile="embedded", name=name, output=output / _RUNS / name, overwrite=True,
            engine=engine, store=store, progress=_of(name, progress),
        )
        for name, pairs in methods.items()
    ]  # fmt: skip
    demo = Demo(tuple(runs), output / _RUNS, *(output / name for name in (BOARD, CURVES, GALLERY, REPORT)))
    write_atomic(demo.board, Csv().text(Leaderboard.of(runs, everything=True)))
    save_figure(plot_kec(runs), demo.curves, overwrite=True)
    _draw(requests[:_SHOWN], output / _MADE, demo.gallery)
    # What the others are compared with stands first: a copy of the input.
    floor = next(run for run in runs if run.record.name == _FLOOR)
    others = [run for run in runs if run is not floor]
    write_report([floor, *others], demo.report, progress, overwrite=True)
    return demo


_FLOOR = "copy-source"


def _methods() -> Mapping[str, ReferenceModel]:
    return {
        "drn-refined": Drn(image="refined"),
        "drn-coarse": Drn(image="coarse"),
        _FLOOR: CopySource(),
        "real": Real(),
    }


def _extract(
    methods: Iterable[Pairs], protocols: Sequence[Protocol], engine: Engine, store: Store, progress: Progress
) -> None:
    """Compute for all methods at once what their runs will find in the cache: networks and workers start once."""
    prepared = [
        prepare(ImageSets(pairs, given=given_for(pairs, "embedded")), protocols, store, progress) for pairs in methods
    ]
    engine.run(Plan.union(each.plan for each in prepared), prepared[0].weights, progress)


def _of(method: str, progress: Progress) -> Progress:
    return lambda stage, done, total: progress(f"{method}: {stage}", done, total)


def _draw(requests: Sequence[Request], made: Path, file: Path) -> None:
    columns = {
        "source": [request.source for request in requests],
        "target": [request.target for request in requests if request.target is not None],
        **{name: [ImageRef(made / name / f"{request.name}.png") for request in requests] for name in _methods()},
    }
    figure = draw_gallery({heading: [Cell(read_image(ref)) for ref in refs] for heading, refs in columns.items()})
    save_figure(figure, file, dpi=figure.dpi, overwrite=True)
