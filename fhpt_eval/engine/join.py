"""Brings the two encoded images of each pair together, while images come in any order."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import TypeAlias

from fhpt_eval.engine.contract import PairOfKeys
from fhpt_eval.extract.extractor import Encoded, PairExtractor
from fhpt_eval.images.geometry import Geometry
from fhpt_eval.records import Missing

BUDGET = 2**30
"""Bytes of encoded images kept while their pairs are not complete, for all extractors together."""

_Node: TypeAlias = tuple[Geometry, str]


class Join:
    """The pairs of one extractor that are still to be compared.

    Args:
        extractor: Whose two geometries say how each side is seen.
        pairs: Content keys of the first and the second image, each pair once.
        budget: Bytes of encoded images to keep.
    """

    def __init__(self, extractor: PairExtractor, pairs: Sequence[PairOfKeys], budget: float = BUDGET) -> None:
        self.extractor = extractor
        self._budget = budget
        self._open: dict[_Node, set[PairOfKeys]] = {}
        for pair in pairs:
            for node in self._nodes(pair):
                self._open.setdefault(node, set()).add(pair)
        self._codes: OrderedDict[_Node, Encoded | Missing] = OrderedDict()
        self._bytes = 0
        self._fresh: list[_Node] = []
        self._forgotten: set[_Node] = set()

    def wants(self, geometry: Geometry, key: str) -> bool:
        """Whether an image in this geometry stands in an open pair."""
        return (geometry, key) in self._open

    def add(self, geometry: Geometry, key: str, code: Encoded | Missing) -> None:
        """Take in an encoded image."""
        node = (geometry, key)
        self._codes[node] = code
        self._bytes += _size(code)
        self._fresh.append(node)

    def complete(self) -> Iterator[tuple[PairOfKeys, Encoded | Missing, Encoded | Missing]]:
        """Yield the pairs that became complete; forget what no open pair needs, and the oldest beyond the budget."""
        for node in self._fresh:
            for pair in sorted(self._open.get(node, ())):
                first, second = self._nodes(pair)
                if first in self._codes and second in self._codes:
                    yield pair, self._codes[first], self._codes[second]
                    self._close(pair)
        self._fresh = []
        while self._bytes > self._budget and self._codes:
            node, code = self._codes.popitem(last=False)
            self._bytes -= _size(code)
            self._forgotten.add(node)

    def late(self) -> list[PairOfKeys]:
        """Open pairs of which an image was forgotten: both images have to be read again."""
        return sorted({pair for node in self._forgotten for pair in self._open.get(node, ())})

    def _nodes(self, pair: PairOfKeys) -> tuple[_Node, _Node]:
        return (self.extractor.first_geometry, pair[0]), (self.extractor.second_geometry, pair[1])

    def _close(self, pair: PairOfKeys) -> None:
        for node in dict.fromkeys(self._nodes(pair)):
            self._open[node].discard(pair)
            if not self._open[node]:
                del self._open[node]
                self._bytes -= _size(self._codes.pop(node))


def _size(code: Encoded | Missing) -> int:
    return 0 if isinstance(code, Missing) else sum(getattr(part, "nbytes", 0) for part in code)
