"""What is found about an image: a record, or why there is none; and what images are to an evaluation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy.typing as npt

Record: TypeAlias = Mapping[str, npt.NDArray[Any]]
"""What an extractor found, as named arrays; dtypes and shapes are stated by each extractor."""

MissingKind: TypeAlias = Literal["finding", "fault", "not asked", "NaN", "inf"]


@dataclass(frozen=True)
class Missing:
    """No record, and why.

    Attributes:
        reason: One short phrase for people, the same for all cases alike, because it is counted. Code looks at `kind`.
        kind: ``finding``, where the absence says something about the image, such as a face that is not there;
            ``fault``, where something is wrong with the input or the machine (an unreadable file, a size that does not
            fit); ``not asked``, where what was chosen does not look for it; ``NaN`` or ``inf``, where a published
            script goes on with such a value, so that its mean over all images is one, too.
    """

    reason: str
    kind: MissingKind = "fault"

    @property
    def fault(self) -> bool:
        """Whether something is wrong, so that a run was done in part only."""
        return self.kind == "fault"


Result: TypeAlias = Record | Missing

Role: TypeAlias = Literal["generated", "target", "source", "reference", "given"]
"""``reference``: the reference set that is given, or else the unique targets; ``given``: only one that is given."""
