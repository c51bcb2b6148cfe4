"""``fhpt-eval doctor``: whether this machine is ready, and if not, what to do."""

from __future__ import annotations

import json
import shutil
from typing import Any

import typer

from fhpt_eval.cli.shared import DONE, DONE_IN_PART, AsJson, WeightsDir


def doctor(
    weights_dir: WeightsDir = None,
    as_json: AsJson = False,
) -> None:
    """Check packages, device, cache, weights and protocols; exit with 3 when something is to be done."""
    from rich.filesize import decimal

    from fhpt_eval.cli.protocols import absent_by_default, describe, state
    from fhpt_eval.engine.cache import Cache
    from fhpt_eval.engine.executor import find_executors
    from fhpt_eval.engine.machine import cpu_count, pick_device
    from fhpt_eval.evaluation.environment import describe_environment
    from fhpt_eval.extract.numerics import Numerics
    from fhpt_eval.extract.weights import Store
    from fhpt_eval.libraries import load_errors
    from fhpt_eval.measuring.dialects import dialects_of_packages
    from fhpt_eval.measuring.registry import find_protocols

    found = find_protocols()
    environment = describe_environment(Numerics(pick_device("auto")))
    broken: list[str | None] = [*load_errors()]
    todo = [
        *(broken or [_torch_trouble()]),
        *found.warnings,
        *find_executors().warnings,
        *dialects_of_packages().warnings,
    ]
    with Cache() as cache:
        todo += cache.remarks
        about_cache = {
            "folder": str(cache.folder),
            "bytes": cache.size,
            "limit": cache.limit,
            "free": shutil.disk_usage(cache.folder).free if cache.folder.exists() else None,
        }
    store = Store(weights_dir, offline=True)
    rows = [describe(p, store) for p in found.classes.values()]
    if absent := absent_by_default(rows):
        todo.append(f"for the paper profile run: fhpt-eval weights fetch {' '.join(absent)}")
    problems = [t for t in todo if t]
    if as_json:
        report: dict[str, Any] = {
            "environment": environment.model_dump(),
            "cores": cpu_count(),
            "cache": about_cache,
            "protocols": rows,
            "todo": problems,
        }
        typer.echo(json.dumps(report, indent=2))
    else:
        typer.echo(f"python {environment.python} on {environment.platform}, {cpu_count()} cores")
        typer.echo(f"device {environment.device}")
        typer.echo("packages " + ", ".join(f"{k} {v}" for k, v in environment.packages.items()))
        free = about_cache["free"]
        room = f", {decimal(int(str(free)))} free on the disk" if free is not None else ""
        typer.echo(f"cache {cache.folder}: {decimal(cache.size)} of at most {decimal(cache.limit)}{room}")
        for row in rows:
            states = [f"{p}: {state(row, p)}" for p in row["lacks"]]
            typer.echo(f"protocol {row['name']}: {', '.join(states)}")
        typer.echo("all is ready" if not problems else "to do:\n" + "\n".join(f"  {p}" for p in problems))
    raise typer.Exit(DONE_IN_PART if problems else DONE)


def _torch_trouble() -> str | None:
    try:
        import torch
        import torchvision

        torchvision.ops.nms(torch.zeros(1, 4), torch.zeros(1), 0.5)
    except Exception as error:  # noqa: BLE001 - a mismatched pair fails in many ways
        return f"torch and torchvision do not fit together ({error}): install them again, and not torch 2.13.0"
    return None
