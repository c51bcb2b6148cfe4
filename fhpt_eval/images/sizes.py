"""Whether all pictures of a set have one size, told from the files' headers."""

from __future__ import annotations

from collections.abc import Iterable

from fhpt_eval.files.remote import RemotePath
from fhpt_eval.images.decoding import ImageRef, size_of
from fhpt_eval.images.formats import ImageError


def common_size(refs: Iterable[ImageRef]) -> tuple[int, int] | None:
    """Width and height that all pictures have; None where they differ or cannot be told, as of files at an address."""
    common: tuple[int, int] | None = None
    for ref in refs:
        if isinstance(ref.path, RemotePath):  # a request for each header
            return None
        try:
            size = size_of(ref)
        except (OSError, ImageError):
            return None
        if common not in (None, size):
            return None
        common = size
    return common
