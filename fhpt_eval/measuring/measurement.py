"""What an evaluation is asked for: a configured protocol, and what its numbers are called."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from fhpt_eval.measuring.protocol import Protocol, Score

DEFAULT = "clean"
"""The dialect that needs no name: ours."""


@dataclass(frozen=True)
class Measurement:
    """A protocol as somebody measures by it.

    Attributes:
        protocol: Configured.
        dialect: Whose way, with its version (``gfla@2``); None for ours, with or without options of the user's.
        metric: What the dialect calls the number; None for ours.
        note: What the reader of the number must know.
    """

    protocol: Protocol
    dialect: str | None = None
    metric: str | None = None
    note: str | None = None

    @property
    def name(self) -> str:
        """What it is called in listings and remarks: ``ssim``, ``gfla@2:ssim_256``."""
        return self.protocol.name if self.dialect is None else f"{self.dialect}:{self.metric}"

    def named(self, scores: Sequence[Score]) -> list[Score]:
        """Return the scores under the names that records have for them, so that no two dialects share one.

        A dialect's number is the protocol's first.
        """
        if self.dialect is None:
            return list(scores)
        first = scores[0]
        warnings = [re.sub(rf"^{re.escape(first.metric)}: ", f"{self.name}: ", told) for told in first.warnings]
        return [replace(first, metric=self.name, warnings=warnings)]
