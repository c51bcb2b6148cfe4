"""``fhpt-eval cache``: look at the cache of results, and empty it."""

from __future__ import annotations

import json

import typer

from fhpt_eval.cli.shared import DONE, DONE_IN_PART, AsJson

app = typer.Typer(no_args_is_help=True, help="Look at the cache of results, and empty it.")


@app.command()
def info(as_json: AsJson = False) -> None:
    """Show where the cache is, how large it is and may become, and what keeps how much of it.

    FHPT_EVAL_CACHE names another folder (on a local disk: LMDB does not work on network file systems),
    FHPT_EVAL_CACHE_SIZE another limit, such as 50G. Beyond the limit the oldest results are dropped. The whole file is
    checked; exit code 3 says that it cannot be used.
    """
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.filesize import decimal
    from rich.table import Table
    from rich.text import Text

    from fhpt_eval.engine.cache import Cache

    with Cache() as cache:
        usage = cache.usage()
        size = cache.size
        if as_json:
            rows = [
                {"extractor": u.extractor, "fingerprint": u.fingerprint, "results": u.results, "bytes": u.bytes}
                for u in usage
            ]
            about = {"folder": str(cache.folder), "bytes": size, "limit": cache.limit, "trouble": cache.trouble}
            typer.echo(json.dumps({**about, "extractors": rows}, indent=2))
            raise typer.Exit(DONE_IN_PART if cache.trouble else DONE)
        typer.echo(f"{cache.folder}: {decimal(size)} of at most {decimal(cache.limit)}")
        for remark in cache.remarks:
            typer.echo(remark)
    if usage:
        table = Table("extractor", "fingerprint", "results", "size", box=SIMPLE_HEAD)
        for u in usage:
            table.add_row(Text(u.extractor), u.fingerprint[:12], str(u.results), decimal(u.bytes))
        Console().print(table)
    raise typer.Exit(DONE_IN_PART if cache.trouble else DONE)


@app.command()
def clear() -> None:
    """Delete all cached results; the next run computes them again."""
    from rich.filesize import decimal

    from fhpt_eval.engine.cache import clear, default_folder

    typer.echo(f"{default_folder()}: {decimal(clear())} freed")
