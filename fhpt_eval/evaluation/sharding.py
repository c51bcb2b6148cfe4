"""A part of an evaluation, computed into the cache for a later run on all of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from fhpt_eval.engine.contract import Plan
from fhpt_eval.engine.engine import Engine
from fhpt_eval.engine.sharding import Shard
from fhpt_eval.errors import UserError
from fhpt_eval.evaluation.plan import ImageSets, Prepared
from fhpt_eval.libraries import explained
from fhpt_eval.memory import no_memory_for
from fhpt_eval.progress import Progress
from fhpt_eval.records import Missing


@dataclass(frozen=True)
class ShardDone:
    """What came of a part.

    Attributes:
        shard: Which.
        cache: The folder that has the results.
        images: How many images of the part are looked at, and of the whole.
        pairs: The same of pairs that are compared.
        computed: How many results were computed, by extractor, ``decode`` among them; the others were in the
            cache.
        unreadable: Why files cannot be read, by path.
        faults: How many results there are not, by why.
        unavailable: Why protocols cannot run, by name.
        failed: What went wrong in extractors, by id, and whether each is a bug.
        incomplete: Whether pairs lack files, or files were left out.
        warnings: What the user should know.
        trouble: Whether results are not in the cache because it cannot be written.
    """

    shard: Shard
    cache: str
    images: tuple[int, int]
    pairs: tuple[int, int]
    computed: Mapping[str, int]
    unreadable: Mapping[str, str]
    faults: Mapping[str, int]
    unavailable: Mapping[str, str]
    failed: Mapping[str, tuple[str, bool]]
    incomplete: bool
    warnings: tuple[str, ...]
    trouble: bool

    @property
    def exit_code(self) -> int:
        """0 when all was done, 1 after a bug, 3 when it was done in part, as of a run."""
        if any(bug for _, bug in self.failed.values()):
            return 1
        lacking = self.unreadable or self.faults or self.unavailable or self.failed or self.incomplete or self.trouble
        return 3 if lacking else 0


def compute(shard: Shard, images: ImageSets, prepared: Prepared, engine: Engine, progress: Progress) -> ShardDone:
    """Compute a part of what protocols need on some images; no file of another part is read.

    Args:
        shard: Which part.
        images: All of them.
        prepared: What is to be computed on all.
        engine: Computes, and has the cache.
        progress: Called often; cheap.

    Raises:
        UserError: The cache cannot be used, so that nothing would be left.
    """
    _ = engine.cache.file
    part = shard.of(prepared.plan)
    extraction = engine.run(part, prepared.weights, progress)
    infos = ((str(ref.path), extraction.info(ref)) for ref in part.refs())
    failed = {}
    for extractor, error in extraction.broken.items():
        told = no_memory_for(extractor.name, error) or explained(error)
        failed[extractor.id] = str(told) or type(error).__name__, not isinstance(told, UserError)
    return ShardDone(
        shard,
        str(engine.cache.folder),
        (len(part.refs()), len(prepared.plan.refs())),
        (_pairs(part), _pairs(prepared.plan)),
        {**({"decode": extraction.decoded} if extraction.decoded else {}), **extraction.computed},
        {path: info.reason for path, info in infos if isinstance(info, Missing)},
        Counter(why.reason for why in extraction.faults.values()),
        {protocol.name: why for protocol, why in prepared.unavailable.items()},
        failed,
        bool(images.pairs.report.problems or images.left_out),
        extraction.warnings,
        engine.cache.trouble is not None,
    )


def _pairs(plan: Plan) -> int:
    return len({pair for both in plan.pairs.values() for pair in both})
