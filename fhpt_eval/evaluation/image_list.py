"""Which images a run looked at, one by one: the list behind the hashes of its record."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable


def generated_hash(contents: Iterable[tuple[str, str | None]]) -> str:
    """Hash the generated images by the content of each pair's, in the order of the pairs."""
    lines = "\n".join(f"{pair}\t{content or 'none'}" for pair, content in contents)
    return hashlib.sha256(lines.encode("utf-8", "surrogateescape")).hexdigest()
