"""Published numbers, as ``results/literature.csv`` has them: each with its source and the dialect that measured it."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from importlib import resources

from fhpt_eval.measuring.dialects import find_dialects
from fhpt_eval.measuring.registry import find_protocols

UNKNOWN = "unknown"
"""The dialect of a number of which nobody says which code measured it."""


@dataclass(frozen=True)
class Published:
    """One published number.

    Attributes:
        method: Whose images.
        metric: As its dialect calls it; as we call it where the dialect is unknown.
        value: As it is printed, with its trailing zeros.
        std: Likewise, where it is printed; else empty.
        unit: Empty for plain numbers.
        resolution: Of the images as papers print it, ``256x176``, the height first; empty where it is not told.
        dialect: Id in the registry (``gfla@2``), or `UNKNOWN`.
        source: Where it stands.
        note: What else must be known.
    """

    method: str
    metric: str
    value: str
    std: str
    unit: str
    resolution: str
    dialect: str
    source: str
    note: str

    @property
    def name(self) -> str:
        """The metric with its dialect, as runs name it: ``gfla@2:ssim_256``."""
        return f"{self.dialect}:{self.metric}"

    @property
    def shown(self) -> str:
        """The value with its standard deviation."""
        return f"{self.value} ± {self.std}" if self.std else self.value


def read_literature() -> tuple[Published, ...]:
    """Return every published number, in the order of the file."""
    text = resources.files("fhpt_eval.results").joinpath("literature.csv").read_text(encoding="utf-8")
    return tuple(Published(**row) for row in csv.DictReader(io.StringIO(text)))


def protocols_of(numbers: tuple[Published, ...]) -> dict[str, str]:
    """Return which protocol measures what a published number is of, by its full name; nothing where none does."""
    known = {f"{d.id}:{metric.name}": metric.protocol for d in find_dialects().values() for metric in d.metrics}
    known |= {f"{UNKNOWN}:{name}": name for name in find_protocols().classes}
    return {number.name: known[number.name] for number in numbers if number.name in known}
