"""What ``--reference`` names: a folder of images, or a file made of them."""

from __future__ import annotations

from pathlib import Path

from fhpt_eval.evaluation.reference_file import ReferenceFile
from fhpt_eval.files.remote import path_at
from fhpt_eval.pairing.pairs import ReferenceSet, list_images


def read_reference(path: str | Path) -> ReferenceSet | ReferenceFile:
    """Return the reference set at a path.

    Raises:
        UserError: It is neither a folder of images nor a file that can be used.
    """
    at = path_at(path)
    return list_images(at) if at.is_dir() else ReferenceFile.at(at)
