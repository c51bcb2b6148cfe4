"""Whether the files that runs name still hold what was measured."""

from __future__ import annotations

from collections.abc import Sequence

from fhpt_eval.engine.contents import READERS_OF_REMOTE, Contents
from fhpt_eval.engine.processes import threads
from fhpt_eval.evaluation.image_list import generated_hash
from fhpt_eval.evaluation.run import Run
from fhpt_eval.images.decoding import ImageRef
from fhpt_eval.pairing.folders import PairRole
from fhpt_eval.progress import Progress
from fhpt_eval.reporting.figures.pictures import ref_at

_REAL: tuple[PairRole, ...] = ("target", "source")


def changes(runs: Sequence[Run], progress: Progress) -> list[str]:
    """Say of each run what its files no longer are; nothing where all of them hold what was measured.

    Generated images are held to the hash in the record. Of targets and sources only the presence is looked at.
    """
    generated = [[ref_at(run, "generated", path, path) for path in run.per_pair["generated"]] for run in runs]
    contents = Contents((ref.path for refs in generated for ref in refs if ref), progress)
    told = [what for run, refs in zip(runs, generated, strict=True) if (what := _change(run, refs, contents))]
    for role in _REAL:
        found = (ref_at(run, role, path, "") for run in runs for path in run.per_pair[role].unique())
        paths = {ref.path for ref in found if ref is not None}
        with threads(READERS_OF_REMOTE) as readers:
            gone = sum(not there for there in readers.map(lambda path: path.is_file(), paths))
        if gone:
            told.append(f"{gone} of {len(paths)} {role} images are not where the runs found them")
    return told


def _change(run: Run, refs: Sequence[ImageRef | None], contents: Contents) -> str:
    """Say what the generated images of a run no longer are."""
    there = [ref for ref in refs if ref is not None]
    if gone := sum(contents.of_file(ref.path) is None for ref in there):
        return f"{gone} of {len(there)} generated images of {run.record.name} are not where the run found them"
    pairs = map(str, run.per_pair["pair"])
    keys = {pair: None if ref is None else contents.key(ref) for pair, ref in zip(pairs, refs, strict=True)}
    known = run.record.pairs.generated
    if known is None or known == generated_hash(keys.items()):
        return ""
    listed = run.image_list.of("generated") if run.image_list is not None else {}
    changed = sum(listed[pair] != (key or "") for pair, key in keys.items() if pair in listed)
    return f"{changed or 'some'} generated images of {run.record.name} have changed since they were measured"
