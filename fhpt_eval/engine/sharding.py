"""Parts of a plan that machines compute without asking each other: which part is whose follows from the plan alone."""

from __future__ import annotations

import heapq
import re
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fhpt_eval.engine.contract import Plan
from fhpt_eval.errors import UserError
from fhpt_eval.extract.extractor import ImageExtractor, PairExtractor


@dataclass(frozen=True)
class Shard:
    """A part of a plan.

    Attributes:
        index: Which part, from 1.
        count: How many parts there are.
    """

    index: int
    count: int

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Read ``3/16``.

        Raises:
            UserError: It is something else, or no part of that many.
        """
        if (match := re.fullmatch(r"(\d{1,9})/(\d{1,9})", text, re.ASCII)) is None:
            raise UserError(f"--shard '{text}' is no part of a whole: write for example 3/16, the third of 16 parts.")
        index, count = map(int, match.groups())
        if not 1 <= index <= count:
            raise UserError(f"--shard {text}: parts count from 1, so that the last of {count} is {count}/{count}.")
        return cls(index, count)

    def __str__(self) -> str:
        """As `parse` reads it."""
        return f"{self.index}/{self.count}"

    def of(self, plan: Plan) -> Plan:
        """Return this part of a plan; all parts together are the plan, and no two have anything in common.

        Pairs of one target are together, with the target and their generated images: it is decoded and encoded once.
        Which part that is depends on the names of images, not on what files hold, so that no file of another part is
        read. Images that are only hashed are in no part.
        """
        unit_of = _units(plan)
        mine = _dealt(plan, unit_of, self.count)[self.index - 1]
        images = {e: tuple(ref for ref in refs if unit_of[ref.path] in mine) for e, refs in plan.images.items()}
        pairs = {e: tuple(pair for pair in both if pair[1].path in mine) for e, both in plan.pairs.items()}
        return Plan({e: refs for e, refs in images.items() if refs}, {e: both for e, both in pairs.items() if both})


def _units(plan: Plan) -> dict[Path, Path]:
    """Return for each file what it stays together with: the file that pairs compare it with, or itself.

    What is compared with several belongs to the first of them.
    """
    pairs = [pair for both in plan.pairs.values() for pair in both]
    units = {second.path: second.path for _, second in pairs}
    compared: dict[Path, Path] = {}
    for first, second in pairs:
        if first.path not in units:
            compared[first.path] = min(second.path, compared.get(first.path, second.path))
    alone = {ref.path: ref.path for refs in plan.images.values() for ref in refs}
    return alone | compared | units


def _dealt(plan: Plan, unit_of: Mapping[Path, Path], count: int) -> list[set[Path]]:
    """Return the units of each part.

    Those of one kind, which the same extractors look at, are dealt out by themselves, the largest first, each to the
    part that has least of that kind, and least in all where several have.
    """
    sizes: Counter[Path] = Counter()
    kinds: defaultdict[Path, set[int]] = defaultdict(set)
    names: dict[Path, str] = {}
    for number, extractor in enumerate(plan.extractors()):
        asked = plan.images.get(extractor, ()) if isinstance(extractor, ImageExtractor) else ()
        compared = plan.pairs.get(extractor, ()) if isinstance(extractor, PairExtractor) else ()
        for ref in (*asked, *(second for _, second in compared)):
            unit = unit_of[ref.path]
            sizes[unit] += 1
            kinds[unit].add(number)
            if unit == ref.path:
                names[unit] = min(ref.name, names.get(unit, ref.name))
    groups: defaultdict[tuple[int, ...], list[Path]] = defaultdict(list)
    for unit, numbers in kinds.items():
        groups[tuple(sorted(numbers))].append(unit)
    parts: list[set[Path]] = [set() for _ in range(count)]
    loads = [0] * count
    for _, units in sorted(groups.items()):
        # The folder may be called otherwise on another machine.
        units.sort(key=lambda unit: (-sizes[unit], names[unit], str(unit)))
        heap = [(0, load, part) for part, load in enumerate(loads)]
        heapq.heapify(heap)
        for unit in units:
            of_kind, load, part = heap[0]
            heapq.heapreplace(heap, (of_kind + sizes[unit], load + sizes[unit], part))
            parts[part].add(unit)
            loads[part] += sizes[unit]
    return parts
