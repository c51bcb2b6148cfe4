"""One comparison by itself."""

from __future__ import annotations

from typing import Any

from fhpt_eval.maths.differences import Difference, Pooled, differences


def difference(first: Pooled, second: Pooled, **options: Any) -> Difference:
    """Compare two numbers as `differences` does several."""
    return differences([(first, second)], **options)[0]
