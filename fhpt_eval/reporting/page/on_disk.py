"""Whether the files that runs name still hold what was measured."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fhpt_eval.engine.contents import Contents
from fhpt_eval.evaluation.image_list import generated_hash
from fhpt_eval.evaluation.run import Run
from fhpt_eval.images.decoding import ImageRef
from fhpt_eval.pairing.folders import PairRole
from fhpt_eval.pairing.naming import NAMINGS
from fhpt_eval.progress import Progress

_ROLES: tuple[PairRole, ...] = ("generated", "target", "source")


def ref_of(run: Run, row: int, role: PairRole) -> ImageRef | None:
    """Return an image of a run's pair; None where it has none. Of a strip it is the panel, as the naming says."""
    path = run.per_pair[role].iloc[row]
    if not isinstance(path, str) or not path:
        return None
    naming = NAMINGS.get(run.record.pairs.naming)
    strip = naming.strip if naming is not None else ()
    if role in strip and path == run.per_pair["generated"].iloc[row]:
        return ImageRef(Path(path), strip.index(role), len(strip))
    return ImageRef(Path(path))


def changes(runs: Sequence[Run], progress: Progress) -> list[str]:
    """Say of each run what its files no longer are; nothing where all of them hold what was measured.

    Generated images are held to the hash in the record. Of targets and sources only the presence is looked at.
    """
    refs = {role: [[ref_of(run, i, role) for i in range(len(run.per_pair))] for run in runs] for role in _ROLES}
    contents = Contents((ref.path for images in refs["generated"] for ref in images if ref), progress)
    told = []
    for run, generated in zip(runs, refs["generated"], strict=True):
        name = run.record.name
        there = [ref for ref in generated if ref is not None]
        gone = sum(contents.of_file(ref.path) is None for ref in there)
        keys = [ref and contents.key(ref) for ref in generated]
        if gone == len(there):
            if gone:
                told.append(f"none of the generated images of {name} is where the run found it")
        elif gone:
            told.append(f"{gone} of {len(there)} generated images of {name} are not where the run found them")
        elif (known := run.record.pairs.generated) is not None and known != generated_hash(
            zip(map(str, run.per_pair["pair"]), keys, strict=True)
        ):
            told.append(f"some generated images of {name} have changed since they were measured")
    for role in _ROLES[1:]:
        paths = {ref.path for images in refs[role] for ref in images if ref}
        if gone := sum(not path.is_file() for path in paths):
            told.append(f"{gone} of {len(paths)} {role} images are not where the runs found them")
    return told
