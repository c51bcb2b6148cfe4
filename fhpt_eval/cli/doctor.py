"""``fhpt-eval doctor``: whether this machine is ready, and if not, what to do."""

from __future__ import annotations

import json
import shutil
from typing import Any

import typer

from fhpt_eval.cli.shared import DONE, DONE_IN_PART, AsJson, WeightsDir
from fhpt_eval.numbers import binary_size


def doctor(
    weights_dir: WeightsDir = None,
    as_json: AsJson = False,
) -> None:
    """Check packages, device, cache, weights and protocols; exit with 3 when something is to be done.

    Every library is loaded, which takes a while; that all of them can be is remembered until one of their files, the
    system's or the Python changes, or `fhpt-eval cache clear`.
    """
    from fhpt_eval.cli.load_check import load_troubles
    from fhpt_eval.cli.protocols import absent_by_default, describe, state
    from fhpt_eval.engine.cache import Cache
    from fhpt_eval.engine.cache_place import default_folder, default_limit, refused
    from fhpt_eval.engine.executor import find_executors
    from fhpt_eval.engine.machine import cpu_count, pick_device
    from fhpt_eval.evaluation.environment import describe_environment
    from fhpt_eval.extract.numerics import Numerics
    from fhpt_eval.extract.weights import Store
    from fhpt_eval.measuring.dialects import dialects_of_packages
    from fhpt_eval.measuring.registry import find_protocols

    found = find_protocols()
    environment = describe_environment(Numerics(pick_device("auto")))
    todo = [
        *load_troubles(),
        *found.warnings,
        *find_executors().warnings,
        *dialects_of_packages().warnings,
    ]
    folder, limit, size = default_folder(), default_limit(), 0
    if (why := refused(folder)) is not None:
        todo.append(why)
    else:
        with Cache() as cache:
            todo += [cache.unusable] if cache.unusable else []
            limit, size = cache.limit, cache.size
    free = shutil.disk_usage(folder).free if folder.exists() else None
    about_cache = {"folder": str(folder), "bytes": size, "limit": limit, "free": free}
    store = Store(weights_dir, offline=True)
    rows = [describe(p, store) for p in found.classes.values()]
    if absent := absent_by_default(rows):
        todo.append(f"for the paper profile run: fhpt-eval weights fetch {' '.join(absent)}")
    if as_json:
        report: dict[str, Any] = {
            "environment": environment.model_dump(),
            "cores": cpu_count(),
            "cache": about_cache,
            "protocols": rows,
            "todo": todo,
        }
        typer.echo(json.dumps(report, indent=2))
    else:
        typer.echo(f"python {environment.python} on {environment.platform}, {cpu_count()} cores")
        typer.echo(f"device {environment.device}")
        typer.echo("packages " + ", ".join(f"{k} {v}" for k, v in environment.packages.items()))
        room = f", {binary_size(free)} free on the disk" if free is not None else ""
        typer.echo(f"cache {folder}: {binary_size(size)} of at most {binary_size(limit)}{room}")
        for row in rows:
            states = [f"{p}: {state(row, p)}" for p in row["lacks"]]
            typer.echo(f"protocol {row['name']}: {', '.join(states)}")
        typer.echo("all is ready" if not todo else "to do:\n" + "\n".join(f"  {p}" for p in todo))
    raise typer.Exit(DONE_IN_PART if todo else DONE)
