"""What a format of leaderboards is, and how those of this package and of others are found."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from fhpt_eval.plugins import Found, find_plugins
from fhpt_eval.reporting.leaderboards.leaderboard import Leaderboard

GROUP = "fhpt_eval.leaderboard_formats"


class LeaderboardFormat(ABC):
    """A way to write a leaderboard down.

    Class attributes:
        name: What it is called with ``--format``, and the ending of its files.
        everything: Whether it holds the details after the headlines, where nobody chose metrics.
    """

    name: ClassVar[str]
    everything: ClassVar[bool] = True

    @abstractmethod
    def text(self, board: Leaderboard) -> str:
        """Return what a file of it holds."""


def find_formats() -> Found[LeaderboardFormat]:
    """Import every format that an installed package declares."""
    return find_plugins(GROUP, "leaderboard format", LeaderboardFormat, lambda form: form())
