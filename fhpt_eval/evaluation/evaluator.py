"""Evaluation of images that are arrays, fed batch by batch: in a training loop, for example."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from fhpt_eval.engine.engine import Engine
from fhpt_eval.evaluation.evaluate import evaluate
from fhpt_eval.evaluation.fed_images import ROLES, FedImages
from fhpt_eval.evaluation.reference_file import ReferenceFile
from fhpt_eval.evaluation.reference_given import read_reference
from fhpt_eval.evaluation.run import Run
from fhpt_eval.extract.insight_face import FaceModels
from fhpt_eval.extract.weights import Store
from fhpt_eval.files.given import GivenFile
from fhpt_eval.images.decoding import ImageRef
from fhpt_eval.measuring.measurement import Measurement
from fhpt_eval.measuring.protocol import Profile, Protocol
from fhpt_eval.pairing.pairs import Pairs
from fhpt_eval.progress import Progress


class Evaluator(FedImages):
    """Scores arrays as `evaluate` scores files, to the bit of lossless ones.

    Images are kept as files of a temporary folder until `reset` or `close`, never all in memory.

    Args:
        protocols: As in `evaluate`, and so for all that follows.
        profile: Which networks.
        reference: The reference set of FID and KID, its folder, or a file made of it; None for the targets, equal ones
            once.
        gender_classifier: What judges genders.
        face_models: What finds and embeds faces.
        name: What the runs are called.
        engine: What computes.
        store: Where weights are looked for.
        progress: Called with a stage, the steps done and their number.
    """

    def __init__(
        self,
        protocols: Sequence[Measurement | Protocol | str] | None = None,
        *,
        profile: Profile = "paper",
        reference: Sequence[ImageRef] | ReferenceFile | str | Path | None = None,
        gender_classifier: GivenFile | str | Path | None = None,
        face_models: FaceModels | str | Path | None = None,
        name: str = "run",
        engine: Engine | None = None,
        store: Store | None = None,
        progress: Progress | None = None,
    ) -> None:
        super().__init__()
        self._protocols = protocols
        self._options: dict[str, Any] = {
            "profile": profile,
            # A file is checked once, and not with each score.
            "reference": read_reference(reference) if isinstance(reference, str | Path) else reference,
            "gender_classifier": gender_classifier,
            "face_models": face_models,
            "name": name,
            "engine": engine,
            "store": store,
            "progress": progress,
        }

    def compute(self) -> Run:
        """Score all that was fed since the last `reset`; more can be fed afterwards.

        Returns:
            The run. Its table of pairs has names where another one has paths.

        Raises:
            UserError: Nothing was fed, or as `evaluate`.
        """
        return evaluate_fed(self.pairs, self._protocols, **self._options)


def evaluate_fed(pairs: Pairs, protocols: Sequence[Measurement | Protocol | str] | None, **options: Any) -> Run:
    """Evaluate images that were fed, by `evaluate`; the run calls them by their names, not by their temporary files."""
    run = evaluate(pairs, protocols, **options)
    table: pd.DataFrame = run.per_pair.copy()
    for role in ROLES:
        table[role] = [ref.name if (ref := getattr(row, role)) is not None else None for row in pairs]
    return replace(run, per_pair=table)
