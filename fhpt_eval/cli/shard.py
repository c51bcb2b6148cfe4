"""What ``fhpt-eval run --shard`` says."""

from __future__ import annotations

import json
import sys

import typer

from fhpt_eval.cli.shared import name_some
from fhpt_eval.evaluation.sharding import ShardDone
from fhpt_eval.text import visible


def print_shard(done: ShardDone, *, as_json: bool, quiet: bool) -> None:
    """Print what came of a part and what comes next; beside it what is missing."""
    number = done.shard.count
    if as_json:
        about = {
            "shard": str(done.shard),
            "cache": done.cache,
            "images": {"part": done.images[0], "all": done.images[1]},
            "pairs": {"part": done.pairs[0], "all": done.pairs[1]},
            "computed": dict(done.computed),
            "unreadable": dict(done.unreadable),
            "faults": dict(done.faults),
            "unavailable": dict(done.unavailable),
            "failed": {extractor: why for extractor, (why, _) in done.failed.items()},
            "warnings": list(done.warnings),
        }
        typer.echo(json.dumps(about, indent=2))
    else:
        of_images, of_pairs = (f"{part} of {all_}" for part, all_ in (done.images, done.pairs))
        computed = sum(done.computed.values())
        typer.echo(f"shard {done.shard}: {of_images} images, {of_pairs} pairs; {computed} results computed")
        typer.echo(f"cache: {done.cache}")
        typer.echo(
            f"next: when all {number} shards are done, `fhpt-eval cache export FILE` beside each cache,"
            " `fhpt-eval cache import FILE...` into one, and there this command without --shard"
            if number > 1
            else "next: this command without --shard"
        )
    if quiet:
        return
    name_some("unreadable", [f"{visible(path)}: {why}" for path, why in done.unreadable.items()])
    lines = [f"missing: {count} × {why}" for why, count in done.faults.items()]
    lines += [f"{name}: {why}" for name, why in done.unavailable.items()]
    lines += [f"{name}: {'this is a bug: ' if bug else ''}{why}" for name, (why, bug) in done.failed.items()]
    for line in (*lines, *done.warnings):
        print(f"fhpt-eval: {visible(line)}", file=sys.stderr)
