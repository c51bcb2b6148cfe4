"""``fhpt-eval dialects``: how the published methods measured, what sets them apart, and what that is worth."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fhpt_eval.cli.shared import (
    DONE,
    AsJson,
    Eyes,
    GeneratedKeypoints,
    TargetKeypoints,
    TargetMasks,
    WeightsDir,
    read_keypoints,
    read_masks,
    read_pairs,
)
from fhpt_eval.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import TypedDict

    from fhpt_eval.evaluation.run import Run
    from fhpt_eval.evaluation.run_record import ScoreRecord
    from fhpt_eval.extract.weights import Store
    from fhpt_eval.measuring.dialects import Dialect
    from fhpt_eval.measuring.measurement import Measurement
    from fhpt_eval.pairing.pairs import Pairs
    from fhpt_eval.people.keypoint_files import KeypointFiles
    from fhpt_eval.people.mask_files import MaskFiles
    from fhpt_eval.reporting.dialect_effects import Difference, Family

    class _Given(TypedDict):
        generated_keypoints: KeypointFiles | None
        target_keypoints: KeypointFiles | None
        target_masks: MaskFiles | None


app = typer.Typer(help="How the published methods measured: list, show, diff, check, explain.", no_args_is_help=True)

_SAMPLED = 24
"""Pairs of the sample: one a person."""

Name = Annotated[str, typer.Argument(metavar="NAME|FILE", help="A dialect, an alias of it, or a TOML file.")]


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """List the dialects, and those that nobody can know."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    from fhpt_eval.measuring.dialects import dialects_of_packages, find_dialects

    found, others = find_dialects().values(), dialects_of_packages()
    for warning in others.warnings:
        print(f"fhpt-eval: warning: {warning}", file=sys.stderr)
    if as_json:
        plain = [
            {**dialect.model_dump(mode="json", exclude_defaults=True), **_package(dialect, others.packages)}
            for dialect in found
        ]
        typer.echo(json.dumps(plain, indent=2))
        return
    table = Table("dialect", "also", "measures", box=SIMPLE_HEAD, pad_edge=False)
    for column in table.columns[:2]:
        column.no_wrap = True
    for dialect in found:
        measures = " ".join(metric.name for metric in dialect.metrics) or f"unknown: {dialect.refused}"
        if dialect.key in others.packages:
            measures += f" (from {others.packages[dialect.key]})"
        table.add_row(dialect.id, " ".join(dialect.aliases), measures)
    Console().print(table)


@app.command()
def show(
    name: Name,
    toml: Annotated[bool, typer.Option("--toml", help="Print the file itself, to start one of your own from.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show a dialect: whose it is, what is known and unknown, every option of its metrics."""
    from fhpt_eval.measuring.dialects import dialect_named, dialects_of_packages, file_of
    from fhpt_eval.options import option_text

    if toml:
        typer.echo(file_of(name).read_text(encoding="utf-8"), nl=False)
        return
    dialect = dialect_named(name)
    package = _package(dialect, dialects_of_packages().packages)
    if as_json:
        plain = {**dialect.model_dump(mode="json"), **package, "configured": _configured(dialect)}
        typer.echo(json.dumps(plain, indent=2))
        return
    typer.echo(f"{dialect.id}: {dialect.title}")
    about = {
        "also": ", ".join(dialect.aliases),
        **package,
        "paper": dialect.paper,
        "code": f"{dialect.repository} {dialect.commit} {' '.join(dialect.files)}".strip(),
        "reference set": dialect.reference,
        "order of files": dialect.order,
        "unknown": dialect.refused,
    }
    for what, text in about.items():
        if text:
            typer.echo(f"  {what}: {text}")
    for what, sentences in (("known", dialect.known), ("unknown", dialect.unknown)):
        for sentence in sentences:
            typer.echo(f"  {what}: {sentence}")
    for metric, parameters in _configured(dialect).items():
        options = ", ".join(f"{option}={option_text(value)}" for option, value in parameters.items())
        typer.echo(f"  {metric}: {options}")


def _package(dialect: Dialect, packages: Mapping[str, str]) -> dict[str, str]:
    """Return which package brings a dialect; nothing for ours and files."""
    return {"package": packages[dialect.key]} if dialect.key in packages else {}


def _configured(dialect: Dialect) -> dict[str, dict[str, Any]]:
    if dialect.refused:
        return {}
    return {
        m.metric or m.name: {"protocol": m.protocol.name, **m.protocol.parameters()} for m in dialect.measurements()
    }


@app.command()
def check(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A TOML file of your own.")],
) -> None:
    """Check a file of your own: unknown keys, protocols, options and values are errors."""
    from fhpt_eval.measuring.dialects import dialect_named

    dialect = dialect_named(str(file))
    count = len(dialect.measurements())
    typer.echo(f"{dialect.id}: {count} metrics, all of them known; use it with --dialect {shlex.quote(str(file))}")


@app.command()
def diff(
    one: Name,
    other: Name,
    generated: Annotated[
        Path | None, typer.Option("--generated", "-g", help="Measure what each difference is worth on these images.")
    ] = None,
    target: Annotated[Path | None, typer.Option("--target", "-t", help="Their targets.")] = None,
    pairs: Annotated[Path | None, typer.Option("--pairs", help="CSV of the pairs.")] = None,
    naming: Annotated[str, typer.Option("--naming", help="How generated files are named.")] = "auto",
    reference: Annotated[Path | None, typer.Option("--reference", help="Folder of FID's reference set.")] = None,
    generated_keypoints: GeneratedKeypoints = None,
    target_keypoints: TargetKeypoints = None,
    target_masks: TargetMasks = None,
    eyes: Eyes = "right-first",
    weights_dir: WeightsDir = None,
    offline: Annotated[bool, typer.Option("--offline", help="Never use the network.")] = False,
    as_json: AsJson = False,
) -> None:
    """Say in which options two dialects differ, and what each of them is worth.

    Each option is changed by itself, from the first dialect's value to the second's, and measured on images: without -g
    and -t on copied sources of the sample of rendered people, by what needs no download.
    """
    from fhpt_eval.cli import display
    from fhpt_eval.cli.choosing import refuse_unused
    from fhpt_eval.extract.weights import Store
    from fhpt_eval.measuring.dialects import dialect_named
    from fhpt_eval.reporting.dialect_effects import brought_to_size, differences, without_counterpart
    from fhpt_eval.sample import copied_sources

    first, second = dialect_named(one), dialect_named(other)
    found = differences(first, second)
    if not found:
        raise UserError(f"'{one}' and '{other}' measure nothing by the same protocol: there is nothing to compare.")
    if (generated is None) != (target is None):
        raise UserError("what a difference is worth is measured on images and their targets: give both -g and -t.")
    steps = [step for difference in found for step in difference.steps()]
    if generated is None:
        images = copied_sources(_SAMPLED)
        steps = [brought_to_size(step) for step in steps]
        store = Store(weights_dir, offline=True)
        told = (
            f"on {len(images)} copied sources of the sample of rendered people, resized where a size is expected;"
            " -g and -t take others"
        )
    else:
        images = read_pairs(pairs, generated, target, None, naming)
        store = Store(weights_dir, offline)
        told = f"on {len(images)} pairs"
    named = {"--generated-keypoints": generated_keypoints, "--target-keypoints": target_keypoints}
    of_generated, of_targets = read_keypoints(named, eyes).values()
    masks = read_masks(target_masks)
    refuse_unused(steps, {"generated": of_generated, "target": of_targets}, masks)
    given: _Given = {"generated_keypoints": of_generated, "target_keypoints": of_targets, "target_masks": masks}
    run = _measured(steps, images, reference, store, given)
    only = {a.id: without_counterpart(a, b) for a, b in ((first, second), (second, first))}
    if as_json:
        typer.echo(json.dumps({"differences": [_plain(d, run.scores) for d in found], "only": only}, indent=2))
    else:
        for difference in found:
            _print_difference(difference, run.scores)
        for dialect, metrics in only.items():
            if metrics:
                typer.echo(f"only in {dialect}: {', '.join(metrics)}")
        typer.echo(told)
    for line in display.remarks(run):
        print(f"fhpt-eval: {line}", file=sys.stderr)
    # What cannot be measured without a download was not asked for where no images are given.
    raise typer.Exit(DONE if generated is None else run.exit_code)


def _measured(
    steps: Sequence[Measurement],
    pairs: Pairs,
    reference: Path | None,
    store: Store,
    given: _Given,
) -> Run:
    from fhpt_eval.cli import display
    from fhpt_eval.engine.cache import Cache
    from fhpt_eval.engine.engine import open_engine
    from fhpt_eval.evaluation.evaluate import evaluate
    from fhpt_eval.evaluation.reference_given import read_reference

    images = None if reference is None else read_reference(reference)
    with display.ProgressDisplay() as progress, Cache() as cache:
        return evaluate(
            pairs,
            steps,
            reference=images,
            **given,
            engine=open_engine("local", cache),
            store=store,
            progress=progress,
        )


def _plain(difference: Difference, scores: Mapping[str, ScoreRecord]) -> dict[str, Any]:
    from fhpt_eval.reporting.dialect_effects import effect

    first, *changed, last = [scores.get(step.name) for step in difference.steps()]
    return {
        "one": difference.one.name,
        "other": difference.other.name,
        **_plain_score(first),
        **{f"other_{key}": value for key, value in _plain_score(last).items()},
        "changes": [
            {
                "options": {name: list(values) for name, values in change.options.items()},
                **_plain_score(score),
                "effect": effect(change, first, score) if first and score else None,
            }
            for change, score in zip(difference.changes, changed, strict=True)
        ],
    }


def _plain_score(score: ScoreRecord | None) -> dict[str, Any]:
    return {"value": score and score.value, "n": score.n if score else 0}


def _print_difference(difference: Difference, scores: Mapping[str, ScoreRecord]) -> None:
    from fhpt_eval.options import option_text
    from fhpt_eval.reporting.dialect_effects import effect

    first, *changed, last = [scores.get(step.name) for step in difference.steps()]
    typer.echo(f"{difference.one.name} → {difference.other.name}  {_told(first)} → {_told(last)}")
    for change, score in zip(difference.changes, changed, strict=True):
        alike: dict[str, list[str]] = {}
        for name, (old, new) in change.options.items():
            alike.setdefault(f"{option_text(old)} → {option_text(new)}", []).append(name)
        what = ", ".join(f"{', '.join(names)}: {values}" for values, names in alike.items())
        worth = effect(change, first, score) if first and score else None
        told = f"{_told(score)}, of other images" if worth is None and score and score.n else ""
        typer.echo(f"  {what}  {told if worth is None else f'{worth:+.4f}'}".rstrip())
    if not difference.changes:
        typer.echo("  the same")


def _told(score: ScoreRecord | None) -> str:
    if score is None or score.value is None:
        return "–" if score is None else score.shown()
    return f"{score.shown()} (n {score.n})"


@app.command()
def explain(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a run with several dialects.")],
    as_json: AsJson = False,
) -> None:
    """Show the same images under every dialect of a run (`fhpt-eval run --all-dialects`), with the spread.

    There is no spread where the numbers are of different images.
    """
    from fhpt_eval.evaluation.run import Run
    from fhpt_eval.reporting.dialect_effects import families

    found = families(Run.load(run))
    if not found:
        raise UserError(f"{run} has no number in two dialects: measure with `fhpt-eval run --all-dialects` first.")
    if as_json:
        plain = [
            {
                "protocol": f.protocol,
                "better": f.better,
                "unit": f.unit,
                "spread": f.spread,
                "values": {name: score and score.value for name, score in f.scores.items()},
                "n": {name: score.n if score else 0 for name, score in f.scores.items()},
            }
            for f in found
        ]
        typer.echo(json.dumps(plain, indent=2))
        return
    _print_families(found)


def _print_families(found: list[Family]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    from fhpt_eval.cli.display import print_table, score_value
    from fhpt_eval.numbers import number
    from fhpt_eval.reporting.metrics import ARROWS

    table = Table("metric", "value", "n", box=SIMPLE_HEAD, pad_edge=False)
    for column in table.columns[1:]:
        column.justify = "right"
    for family in found:
        spread = "" if family.spread is None else f"spread {number(family.spread)}"
        told = spread if family.comparable else "of different images"
        title = f"{family.protocol} {ARROWS[family.better]}" if family.better else family.protocol
        table.add_row(Text(title, style="bold"), Text(told, style="bold"))
        there = {name: score for name, score in family.scores.items() if score and score.shown() != "–"}
        for name, score in there.items():
            table.add_row(f"  {name}", score_value(score), str(score.n))
        if absent := len(family.scores) - len(there):
            table.add_row(Text(f"  not measured: {absent}", style="dim"))
        table.add_section()
    print_table(table)
