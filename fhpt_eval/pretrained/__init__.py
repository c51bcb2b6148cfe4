"""Networks that come with the package, trained on rendered people; docs/models.md tells how, and how good they are."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).resolve().parent


def gender_classifier() -> Path | None:
    """The file of `fhpt-eval train gender`, on EfficientNet-Lite0's features; None where it is not here."""
    file = FOLDER / "gender.safetensors"
    return file if file.exists() else None


def drn_checkpoint() -> Path | None:
    """The folder of `fhpt-eval train drn`, size ``small``; None where it is not here."""
    folder = FOLDER / "drn"
    return folder if folder.exists() else None
