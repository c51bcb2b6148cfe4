"""``fhpt-eval weights``: see, bring, check and add the weights that extractors need."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer
from rich import progress as bars
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.filesize import decimal as readable_size
from rich.table import Table
from rich.text import Text

from fhpt_eval.cli.shared import DONE_IN_PART, AsJson, WeightsDir
from fhpt_eval.errors import Unavailable, UserError, did_you_mean
from fhpt_eval.extract import weights as weights_store
from fhpt_eval.extract.weights import Store, Weights, WrongFileError, by_name

app = typer.Typer(no_args_is_help=True, help="List, fetch, verify and add the weights of networks.")


@app.command("list")
def list_weights(weights_dir: WeightsDir = None, as_json: AsJson = False) -> None:
    """Show what is registered: name, size, licence, who needs it, and where it is."""
    store = Store(weights_dir)
    found = [(weights, *_find(store, weights)) for weights in registered().values()]
    if as_json:
        rows = [
            {**dataclasses.asdict(weights), "path": str(path) if path else None, "problem": problem}
            for weights, path, problem in found
        ]
        typer.echo(json.dumps(rows, indent=2))
        return
    table = Table("name", "size", "licence", "needed by", "where", box=SIMPLE_HEAD)
    table.columns[0].no_wrap = table.columns[1].no_wrap = True
    table.columns[-1].overflow = "fold"
    for weights, path, problem in found:
        where = problem or _where(weights, path)
        # Text: square brackets in a path are not markup.
        cells = (weights.name, readable_size(weights.bytes), weights.licence, weights.used_by, where)
        table.add_row(*map(Text, cells))
    Console().print(table)
    # Below the table an address is never broken into lines, so that it can be copied.
    for weights, _, _ in found:
        if weights.url is not None:
            typer.echo(f"{weights.name}  {weights.url}")


def _where(weights: Weights, path: Path | None) -> str:
    if path is None:
        return "absent"
    inside = weights.package is not None and path.name == Path(weights.package).name
    return f"package {str(weights.package).partition(':')[0]}" if inside else str(path)


@app.command()
def fetch(
    names: Annotated[list[str] | None, typer.Argument(metavar="NAME", help="Which weights.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Fetch all that are registered.")] = False,
    weights_dir: WeightsDir = None,
) -> None:
    """Download weights that are not here yet; their size and hash are checked."""
    known = registered()
    if bool(names) == everything:
        choice = ", ".join(f"{name} ({readable_size(w.bytes)})" for name, w in known.items() if w.url) or "nothing"
        raise UserError(f"give either names or --all; what can be fetched: {choice}.")
    store = Store(weights_dir)
    wanted = _named(names or known, known)
    with _download_bars() as display:
        outcomes = {weights.name: _fetch_one(store, weights, display) for weights in wanted}
    for name, outcome in outcomes.items():
        if isinstance(outcome, Path):
            typer.echo(f"{name}  {outcome}")
        else:
            typer.echo(str(outcome), err=True)
    if not all(isinstance(outcome, Path) for outcome in outcomes.values()):
        raise typer.Exit(DONE_IN_PART)


@app.command()
def verify(
    names: Annotated[list[str] | None, typer.Argument(metavar="NAME", help="Which; default: all here.")] = None,
    weights_dir: WeightsDir = None,
    as_json: AsJson = False,
) -> None:
    """Hash all files again, in every place; weights that are named must be present."""
    known = registered()
    store = Store(weights_dir)
    rows = [row for weights in _named(names or known, known) for row in _verify_one(store, weights, bool(names))]
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
    for row in rows:
        if row["problem"]:
            typer.echo(row["problem"], err=True)
        elif not as_json:
            typer.echo(f"{row['status']:<6}  {row['name']}  {row['path'] or ''}".rstrip())
    if any(row["problem"] for row in rows):
        raise typer.Exit(DONE_IN_PART)


@app.command()
def add(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A weights file under any name.")],
    weights_dir: WeightsDir = None,
) -> None:
    """Recognise a file by its hash and copy it to where it is found."""
    store = Store(weights_dir)
    weights = weights_store.add(file, store, registered())
    typer.echo(f"{weights.name}  {store.target / weights.filename}")


def registered() -> dict[str, Weights]:
    """Return the weights that installed protocols and reference models ask for, by name.

    Raises:
        UserError: Two packages call different files alike, or one gives an address that is not https.
    """
    from fhpt_eval.generation.reference_model import find_reference_models
    from fhpt_eval.measuring.registry import find_protocols
    from fhpt_eval.measuring.requirements import weights_of

    models = find_reference_models().classes.values()
    files = [*weights_of(find_protocols().classes.values()), *(file for m in models for file in m.training_weights)]
    try:
        return by_name(files)
    except ValueError as error:
        raise UserError(f"{error}: uninstall the package that brings it, or tell its authors.") from None


def _named(names: Iterable[str], known: dict[str, Weights]) -> list[Weights]:
    names = dict.fromkeys(names)
    for name in names:
        if name not in known:
            raise UserError(f"no weights are called '{name}'.{did_you_mean(name, known)}")
    return [known[name] for name in names]


def _find(store: Store, weights: Weights) -> tuple[Path | None, str | None]:
    """Return where the weights are, or what is wrong with the file that is there."""
    try:
        return store.find(weights), None
    except UserError as error:
        return None, str(error)


def _download_bars() -> bars.Progress:
    return bars.Progress(
        bars.TextColumn("{task.description}"),
        bars.BarColumn(),
        bars.DownloadColumn(),
        bars.TransferSpeedColumn(),
        bars.TimeRemainingColumn(),
        console=Console(stderr=True),
    )


def _fetch_one(store: Store, weights: Weights, display: bars.Progress) -> Path | UserError:
    """Return where the weights are, or why these cannot be had; other weights may still be fetched."""
    # Hidden until bytes come: weights that are here already need no bar.
    task = display.add_task(weights.name, total=weights.bytes, visible=False)
    try:
        return store.get(weights, lambda done, _: display.update(task, completed=done, visible=True))
    except (Unavailable, WrongFileError) as error:
        return error


def _verify_one(store: Store, weights: Weights, must_be_here: bool) -> list[dict[str, str | None]]:
    """Return one row for each file of ``weights``, or one row that says that there is none."""
    rows: list[dict[str, str | None]] = []
    for path in store.present(weights):
        row: dict[str, str | None] = {"name": weights.name, "path": str(path), "status": "good", "problem": None}
        try:
            weights_store.verify(path, weights)
        except UserError as error:
            row |= {"status": "bad", "problem": str(error)}
        rows.append(row)
    if not rows:
        problem = f"{weights.name} is absent: run `fhpt-eval weights fetch {weights.name}`." if must_be_here else None
        rows.append({"name": weights.name, "path": None, "status": "absent", "problem": problem})
    return rows
