"""``fhpt-eval cache``: look at the cache of results, carry results from one to another, and empty it."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fhpt_eval.cli.shared import DONE, DONE_IN_PART, AsJson, Overwrite, Quiet
from fhpt_eval.numbers import binary_size
from fhpt_eval.text import visible

if TYPE_CHECKING:
    from fhpt_eval.evaluation.carrying import OfExtractor

app = typer.Typer(no_args_is_help=True, help="Look at the cache of results, carry results elsewhere, and empty it.")


@app.command()
def where(as_json: AsJson = False) -> None:
    """Print the folder of the cache, and nothing else.

    FHPT_EVAL_CACHE names this folder itself, not one above it. Exit code 3 says that it cannot lie there: LMDB does not
    work on network file systems.
    """
    from fhpt_eval.engine.cache_place import default_folder, default_limit, refused
    from fhpt_eval.files.mounts import file_system

    folder = default_folder()
    why = refused(folder)
    if as_json:
        about = {"folder": str(folder), "file_system": file_system(folder), "limit": default_limit(), "refused": why}
        typer.echo(json.dumps(about, indent=2))
    else:
        typer.echo(str(folder))
        if why is not None:
            print(f"fhpt-eval: {why}", file=sys.stderr)
    raise typer.Exit(DONE_IN_PART if why else DONE)


@app.command("export")
def export_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="File to write.")],
    overwrite: Overwrite = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Write all results of the cache into one file, for a machine without the images.

    The same results give the same bytes. The file holds what was computed of images, embeddings of faces among it, but
    no image. Damaged results are left out and counted (exit code 3).
    """
    from fhpt_eval.cli.display import ProgressDisplay
    from fhpt_eval.engine.cache import Cache
    from fhpt_eval.evaluation.carrying import export_results

    with ProgressDisplay(quiet=quiet) as progress, Cache() as cache:
        results = export_results(cache, file, progress, overwrite=overwrite)
        folder, damaged = cache.folder, cache.damaged
    size = file.stat().st_size
    if as_json:
        typer.echo(json.dumps({"file": str(file), "results": results, "bytes": size, "damaged": damaged}, indent=2))
    else:
        typer.echo(f"{file}: {results} results, {binary_size(size)}")
    if not results and not quiet:
        print(
            f"fhpt-eval: the cache in {folder} has no results: if runs kept theirs elsewhere, name that folder by"
            " FHPT_EVAL_CACHE",
            file=sys.stderr,
        )
    if damaged and not quiet:
        print(
            f"fhpt-eval: {damaged} damaged results in {folder} were left out: runs that need them compute them again",
            file=sys.stderr,
        )
    raise typer.Exit(DONE_IN_PART if damaged else DONE)


@app.command("import")
def import_(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Files that `fhpt-eval cache export` wrote.")],
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Add the results in files to the cache.

    All files are looked at first: where one is damaged, or the results do not fit within FHPT_EVAL_CACHE_SIZE, nothing
    is imported. A result that is here stays as it is; one that differs from it is counted and named (exit code 3): the
    two machines do not compute alike. A killed import leaves a whole cache, and the same command goes on.
    """
    from fhpt_eval.cli.display import ProgressDisplay
    from fhpt_eval.engine.cache import Cache
    from fhpt_eval.engine.machine import pick_device
    from fhpt_eval.evaluation.carrying import import_results
    from fhpt_eval.extract.numerics import Numerics

    with ProgressDisplay(quiet=quiet) as progress, Cache() as cache:
        found = import_results(cache, files, Numerics(pick_device("auto")), progress)
        folder = cache.folder
    other = {of.extractor: of.joined.other for of in found.values() if of.joined.other}
    if as_json:
        typer.echo(_json(folder, found))
    else:
        _print(folder, found)
    if not quiet:
        for extractor, number in other.items():
            print(
                f"fhpt-eval: {visible(extractor)}: {number} results differ from those that are here, which stay: two"
                " machines do not compute alike",
                file=sys.stderr,
            )
    raise typer.Exit(DONE_IN_PART if other else DONE)


def _json(folder: Path, found: Mapping[str, OfExtractor]) -> str:
    extractors = [
        {
            "extractor": of.extractor,
            "fingerprint": of.fingerprint,
            "use": of.use,
            "new": of.joined.new,
            "same": of.joined.same,
            "other": of.joined.other,
        }
        for of in found.values()
    ]
    totals = {what: sum(getattr(of.joined, what) for of in found.values()) for what in ("new", "same", "other")}
    return json.dumps({"folder": str(folder), **totals, "extractors": extractors}, indent=2)


def _print(folder: Path, found: Mapping[str, OfExtractor]) -> None:
    new, same, other = (sum(getattr(of.joined, what) for of in found.values()) for what in ("new", "same", "other"))
    typer.echo(f"{folder}: {new} results are new, {same} were here, {other} differ")
    uses: dict[str, list[str]] = {}
    for of in found.values():
        uses.setdefault(of.use, []).append(visible(of.extractor).partition("[")[0])
    told = {
        "asked for": "what runs on this machine ask for",
        "other version": "by other versions of libraries, or on another kind of device: not used on this machine",
        "unknown": "not of the protocols of this machine as they are by default or in a dialect",
    }
    typer.echo(f"of {len(found)} fingerprints are")
    for use, what in told.items():
        names = uses.get(use, [])
        about = f" ({', '.join(sorted({*names}))})" if names and use != "asked for" else ""
        typer.echo(f"  {len(names)} {what}{about}")


@app.command()
def info(as_json: AsJson = False) -> None:
    """Show where the cache is, how large it is and may become, and what keeps how much of it.

    FHPT_EVAL_CACHE names the folder itself (on a local disk: LMDB does not work on network file systems),
    FHPT_EVAL_CACHE_SIZE another limit, such as 50G (of GiB). Beyond the limit the oldest results are dropped. The whole
    file is checked; exit code 3 says that it cannot be used.
    """
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from fhpt_eval.engine.cache import Cache
    from fhpt_eval.engine.cache_place import default_folder, default_limit, refused

    if (why := refused(default_folder())) is not None:
        folder, limit = default_folder(), default_limit()
        if as_json:
            about = {"folder": str(folder), "bytes": 0, "limit": limit, "trouble": why}
            typer.echo(json.dumps({**about, "extractors": []}, indent=2))
        else:
            typer.echo(f"{folder}: at most {binary_size(limit)}\n{why}")
        raise typer.Exit(DONE_IN_PART)
    with Cache() as cache:
        usage = cache.usage()
        size = cache.size
        if as_json:
            rows = [
                {"extractor": u.extractor, "fingerprint": u.fingerprint, "results": u.results, "bytes": u.bytes}
                for u in usage
            ]
            about = {"folder": str(cache.folder), "bytes": size, "limit": cache.limit}
            about["trouble"] = cache.unusable or None
            typer.echo(json.dumps({**about, "extractors": rows}, indent=2))
            raise typer.Exit(DONE_IN_PART if cache.unusable else DONE)
        typer.echo(f"{cache.folder}: {binary_size(size)} of at most {binary_size(cache.limit)}")
        if cache.unusable:
            typer.echo(cache.unusable)
    if usage:
        table = Table("extractor", "fingerprint", "results", "size", box=SIMPLE_HEAD)
        for u in usage:
            table.add_row(Text(u.extractor), u.fingerprint[:12], str(u.results), binary_size(u.bytes))
        Console().print(table)
    raise typer.Exit(DONE_IN_PART if cache.unusable else DONE)


@app.command()
def clear() -> None:
    """Delete all cached results, without asking; the next run computes them again."""
    from fhpt_eval.engine.cache_place import clear, default_folder

    typer.echo(f"{default_folder()}: {binary_size(clear())} freed")
