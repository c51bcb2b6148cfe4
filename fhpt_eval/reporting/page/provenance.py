"""Where the numbers come from: warnings, recipes, versions, environment, and what the page was made with."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from fhpt_eval._version import __version__
from fhpt_eval.evaluation.run import Run
from fhpt_eval.evaluation.run_record import ProtocolRecord
from fhpt_eval.options import option_text
from fhpt_eval.reporting.page.shown import Section, Shown


def section(shown: Shown) -> Section:
    """Return what all runs have in common once, and beside it what they do not."""
    runs = [run for block in shown.blocks for run in block.runs]
    facts = {
        "name": [run.record.name for run in runs],
        "command": [shlex.join(run.record.command) if run.record.command else "–" for run in runs],
        "made": [run.record.created for run in runs],
        "profile": [run.record.profile for run in runs],
        "pairs": [f"{run.record.pairs.total} (naming {run.record.pairs.naming})" for run in runs],
        "hash of the pairs": [run.record.pairs.hash[:16] for run in runs],
        "hash of the targets": [(run.record.pairs.content or "–")[:16] for run in runs],
        "hash of the generated images": [(run.record.pairs.generated or "–")[:16] for run in runs],
        "generated images": [_sizes(run, "generated") for run in runs],
        "Python": [run.record.environment.python for run in runs],
        "platform": [run.record.environment.platform for run in runs],
        "device": [run.record.environment.device for run in runs],
        "commit": [run.record.environment.git or "–" for run in runs],
    }
    packages = dict.fromkeys(name for run in runs for name in run.record.environment.packages)
    facts |= {name: [run.record.environment.packages.get(name, "–") for run in runs] for name in packages}
    view: dict[str, Any] = {
        "doubts": _said({run.record.name: run.record.doubts for run in runs}, len(runs)),
        "warnings": _said({run.record.name: run.record.warnings for run in runs}, len(runs)),
        "runs": [run.record.name for run in runs],
        "facts": facts,
        "recipes": _recipes(shown.runs),
        "version": __version__,
    }
    return Section("provenance", "Recipe and versions", view)


def _said(by_run: Mapping[str, Sequence[str]], runs: int) -> list[tuple[str, str]]:
    """Return each sentence once, with who says it where not all do."""
    sentences: dict[str, list[str]] = {}
    for name, said in by_run.items():
        for sentence in said:
            sentences.setdefault(sentence, []).append(name)
    return [(sentence, "" if len(names) == runs else ", ".join(names)) for sentence, names in sentences.items()]


def _sizes(run: Run, role: str) -> str:
    return ", ".join(f"{count} of {size}" for size, count in run.record.images.sizes.get(role, {}).items()) or "–"


def _recipes(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """Return each protocol of the first run that has it: in a block, recipes are equal."""
    first: dict[str, ProtocolRecord] = {}
    for run in runs:
        for protocol in run.record.protocols:
            first.setdefault(protocol.label, protocol)
    return [
        {
            "label": label,
            "dialect": protocol.dialect or "own options",
            "note": protocol.note or "",
            "options": [f"{name}={option_text(value)}" for name, value in protocol.recipe.parameters.items()],
            "extractors": [f"{name} {version}" for name, version in protocol.recipe.extractors.items()],
            "weights": [f"{name} {sha256[:16]}" for name, sha256 in protocol.recipe.weights.items()],
            "keypoints": [f"{role}: {form}" for role, form in protocol.recipe.keypoints.items()],
            "masks": [f"masks {protocol.recipe.masks[:23]}"] if protocol.recipe.masks else [],
            "scores": [score.metric for score in protocol.scores],
        }
        for label, protocol in first.items()
    ]
