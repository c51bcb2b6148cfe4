"""Networks that come with the package, trained on rendered people; docs/models.md tells how, and how good they are.

The gender classifier lies here, too: `fhpt_eval.extract.gender_classifier.SHIPPED`.
"""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).resolve().parent


def drn_checkpoint() -> Path | None:
    """Return the folder of `fhpt-eval train drn`, size ``small``; None where it is not here."""
    folder = FOLDER / "drn"
    return folder if folder.exists() else None
