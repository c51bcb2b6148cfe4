"""What is under way in pools of threads and processes, and what follows once a piece of it is done."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, TypeAlias, TypeVar

from fhpt_eval.engine.contract import Outcome

T = TypeVar("T")

Lane: TypeAlias = deque[tuple[Future[Any], Callable[[Future[Any]], Iterable[Outcome]]]]
"""Pieces of work that are followed up in the order in which they were begun, whichever is done first."""


class Flow:
    """Follows up pieces of work as they end, all in the thread that runs the flow."""

    def __init__(self) -> None:
        self._ended: SimpleQueue[Lane] = SimpleQueue()
        self._under_way = 0

    def follow(
        self, future: Future[T], then: Callable[[Future[T]], Iterable[Outcome]], lane: Lane | None = None
    ) -> None:
        """Have something done once a piece of work has ended.

        Args:
            future: The piece.
            then: Is called with it; may have more followed.
            lane: After what was put on it before.
        """
        lane = deque() if lane is None else lane
        lane.append((future, then))
        self._under_way += 1
        future.add_done_callback(lambda _: self._ended.put(lane))

    def run(self) -> Iterator[Outcome]:
        """Yield what follows, until nothing is under way."""
        while self._under_way:
            lane = self._ended.get()
            while lane and lane[0][0].done():
                future, then = lane.popleft()
                self._under_way -= 1
                yield from then(future)
