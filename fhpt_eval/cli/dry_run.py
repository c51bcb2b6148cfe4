"""What a run would do, as ``--dry-run`` shows it."""

from __future__ import annotations

import json
from collections.abc import Sequence

import typer

from fhpt_eval.evaluation.plan import ImageSets, Prepared
from fhpt_eval.measuring.measurement import Measurement
from fhpt_eval.text import visible


def print_plan(
    images: ImageSets, chosen: Sequence[Measurement], prepared: Prepared, memory: int | None, *, as_json: bool
) -> None:
    """Print what a run would do; ``memory`` in bytes, None where it is not known."""
    pairs = images.pairs
    absent = {weights.name for weights in prepared.downloads}
    protocols: list[dict[str, str | None]] = []
    for measurement in chosen:
        protocol, reason = measurement.protocol, None
        status = "ready"
        if protocol in prepared.unavailable:
            status, reason = "unavailable", prepared.unavailable[protocol]
        elif lacks := sorted({w.name for n in images.needs(protocol) for w in n.extractor.weights()} & absent):
            status, reason = "needs download", f"ready after the download of {', '.join(lacks)}"
        protocols.append({"protocol": measurement.name, "status": status, "reason": reason})
    protocols.sort(key=lambda row: row["status"] == "unavailable")
    extractors = [{"extractor": e.id, "images": len(refs)} for e, refs in prepared.plan.images.items()]
    extractors += [{"extractor": e.id, "pairs": len(refs)} for e, refs in prepared.plan.pairs.items()]
    no_images = [str(listing.folder / name) for listing in images.listings for name in listing.others]
    if as_json:
        downloads = [{"weights": w.name, "bytes": w.bytes} for w in prepared.downloads]
        plan = {"pairs": len(pairs), "naming": pairs.naming, "left_out": images.left_out, "no_images": no_images}
        plan |= {"memory": memory, "protocols": protocols}
        typer.echo(json.dumps({**plan, "extractors": extractors, "downloads": downloads}, indent=2))
        return
    typer.echo(f"pairs: {pairs.report} (naming: {pairs.naming})")
    for file, why in images.left_out.items():
        typer.echo(f"left out: {file}: {why}")
    for file in no_images:
        typer.echo(f"no image: {visible(file)}")
    for row in protocols:
        typer.echo(f"protocol {row['protocol']}: {row['reason'] or 'ready'}")
    for entry in extractors:
        count = f"{entry['images']} different images" if "images" in entry else f"{entry['pairs']} different pairs"
        typer.echo(f"extractor {entry['extractor']}: {count}")
    known = "not known: the sizes of images at an address are not looked at"
    typer.echo(f"memory: {known if memory is None else f'at most {memory / 1e9:.1f} GB of this machine'}")
    for weights in prepared.downloads:
        typer.echo(f"download {weights.name}: {weights.bytes / 1e6:.0f} MB")
