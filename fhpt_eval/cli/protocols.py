"""``fhpt-eval protocols``: what there is, what can run here, and what each can be told."""

from __future__ import annotations

import inspect
import json
import sys
import textwrap
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from fhpt_eval.cli.shared import AsJson, WeightsDir
from fhpt_eval.errors import UserError, did_you_mean

if TYPE_CHECKING:
    from fhpt_eval.extract.weights import Store
    from fhpt_eval.measuring.protocol import Protocol


def protocols(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="Show one protocol's options.")] = None,
    weights_dir: WeightsDir = None,
    as_json: AsJson = False,
) -> None:
    """List the protocols and whether they can run here, or explain one."""
    from fhpt_eval.extract.weights import Store
    from fhpt_eval.measuring.registry import find_protocols

    found = find_protocols()
    for warning in found.warnings:
        print(f"fhpt-eval: warning: {warning}", file=sys.stderr)
    if name is not None and name not in found.classes:
        raise UserError(f"there is no protocol '{name}'.{did_you_mean(name, found.classes)}")
    store = Store(weights_dir, offline=True)
    rows = [describe(p, store) for n, p in found.classes.items() if name in (None, n)]
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
    elif name is not None:
        _explain(found.classes[name], rows[0])
    else:
        _print_table(rows)


def describe(protocol: type[Protocol], store: Store) -> dict[str, Any]:
    """Return a protocol as plain values: what it is, its options, and for each profile what it lacks."""
    from fhpt_eval.evaluation.giving import own_classifier
    from fhpt_eval.measuring.given import Given
    from fhpt_eval.measuring.protocol import configure
    from fhpt_eval.measuring.requirements import lacks_packages

    paper, embedded = configure(protocol, "paper", {}), configure(protocol, "embedded", {})
    return {
        "name": protocol.name,
        "group": protocol.group,
        "title": protocol.title,
        "metrics": list(protocol.metrics),
        "headlines": list(protocol.headlines),
        "options": paper.parameters(),
        "needs": sorted({role for need in paper.needs() for role in need.roles}),
        "lacks": {"paper": absent_weights(paper, store), "embedded": absent_weights(embedded, store)},
        "packages": {"paper": lacks_packages(paper), "embedded": lacks_packages(embedded)},
        "asks": {"paper": paper.lacks(Given()), "embedded": embedded.lacks(Given({}, own_classifier("embedded")))},
        "on_request": protocol.on_request,
        "licence": protocol.licence,
        "choices": {option: dict(names) for option, names in protocol.choices().items()},
    }


def absent_weights(protocol: Protocol, store: Store) -> list[str]:
    """Names of the weights that a protocol needs and that are not here."""
    weights = {w.name: w for need in protocol.needs() for w in need.extractor.weights()}
    absent = []
    for name, file in weights.items():
        try:
            path = store.find(file)
        except UserError:
            path = None
        if path is None:
            absent.append(name)
    return absent


def absent_by_default(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the weights that protocols, as `describe` returns them, lack under the paper profile, if none is named."""
    return sorted({name for row in rows if not row["on_request"] for name in row["lacks"]["paper"]})


def _print_table(rows: list[dict[str, Any]]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    table = Table("protocol", "what it is", "paper", "embedded", box=SIMPLE_HEAD, pad_edge=False)
    for index in (0, 2, 3):
        table.columns[index].no_wrap = True
    for group in dict.fromkeys(row["group"] for row in rows):
        table.add_row(Text(group, "bold"))
        for row in (row for row in rows if row["group"] == group):
            states = [_state(row, profile) for profile in row["lacks"]]
            title = ". ".join(filter(None, [row["title"], row["licence"]]))
            table.add_row(f"  {row['name']}{'*' if row['on_request'] else ''}", Text(title), *states)
        table.add_section()
    Console().print(table)
    if any(row["on_request"] for row in rows):
        typer.echo("*: runs only where it is named, such as with --protocols NAME")
    if absent := absent_by_default(rows):
        typer.echo(f"To enable the rest: fhpt-eval weights fetch {' '.join(absent)}")
    typer.echo("Options of one: fhpt-eval protocols NAME")


def _state(row: Mapping[str, Any], profile: str) -> Text:
    text = state(row, profile)
    return Text(text, "green" if text == "ready" else "yellow")


def state(row: Mapping[str, Any], profile: str) -> str:
    """Return whether a protocol, as `describe` returns it, can run here, in a few words."""
    if row["packages"][profile]:
        return "needs an extra"
    if lacks := row["lacks"][profile]:
        return f"lacks {', '.join(lacks)}"
    return "needs an option" if row["asks"][profile] else "ready"


def _plain(docstring: str) -> str:
    """Return a protocol's docstring as text for people who know its options, not its class."""
    return inspect.cleandoc(docstring).replace("``", "`").replace("\nAttributes:\n", "\nOptions:\n")


def _explain(protocol: type[Protocol], row: dict[str, Any]) -> None:
    from fhpt_eval.measuring.protocol import Protocol

    typer.echo(f"{protocol.name} ({protocol.group}): {protocol.title}\n")
    if protocol.licence:
        typer.echo(f"Licence: {protocol.licence}\n")
    bases = (c for c in protocol.__mro__ if issubclass(c, Protocol) and c is not Protocol)
    typer.echo("\n\n".join(_plain(c.__doc__ or "") for c in bases))
    details = [metric for metric in protocol.metrics if metric not in protocol.headlines]
    typer.echo("")
    for what, metrics in (("Headlines", protocol.headlines), ("Details", details)):
        if metrics:
            typer.echo(textwrap.fill(f"{what}: {', '.join(metrics)}", 100, subsequent_indent="  "))
    typer.echo("\nDefaults:")
    for option, default in row["options"].items():
        typer.echo(f"  --set {protocol.name}.{option}={'none' if default is None else default}")
    for option, names in row["choices"].items():
        typer.echo(f"\nNames for {protocol.name}.{option}:")
        width = max(map(len, names), default=0)
        for name, what in names.items():
            typer.echo(f"  {name:<{width}}  {what}")
        typer.echo("")
    for profile, lack in row["lacks"].items():
        weights = f"lacks {', '.join(lack)}: fhpt-eval weights fetch {' '.join(lack)}" if lack else "ready"
        typer.echo(f"profile {profile}: {row['packages'][profile] or row['asks'][profile] or weights}")
