"""Evaluation of fine-grained human pose transfer: folders of generated images in, scores with their recipe out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from fhpt_eval._version import __version__

if TYPE_CHECKING:
    from fhpt_eval.errors import Unavailable, UserError
    from fhpt_eval.evaluation.evaluate import evaluate
    from fhpt_eval.evaluation.run import Run
    from fhpt_eval.extract.extractor import ImageExtractor, PairExtractor
    from fhpt_eval.extract.pair_function import PairFunction
    from fhpt_eval.images.geometry import Geometry
    from fhpt_eval.measuring.protocol import Need, PairedProtocol, Protocol, Records, Score, mean_over_pairs
    from fhpt_eval.pairing.pairs import Pair, Pairs
    from fhpt_eval.records import Missing
    from fhpt_eval.reporting.board import Leaderboard
    from fhpt_eval.reporting.leaderboard_format import LeaderboardFormat

# In a checkout, protocols/, reference_models/ and results/ lie beside this folder; installed, they lie inside it.
_beside = Path(__file__).resolve().parent.parent
if (_beside / "setup.cfg").is_file() and (_beside / "protocols").is_dir():
    __path__.append(str(_beside))

_PUBLIC = {
    "Geometry": "images.geometry",
    "ImageExtractor": "extract.extractor",
    "Leaderboard": "reporting.board",
    "LeaderboardFormat": "reporting.leaderboard_format",
    "Missing": "records",
    "Need": "measuring.protocol",
    "Pair": "pairing.pairs",
    "PairExtractor": "extract.extractor",
    "PairFunction": "extract.pair_function",
    "PairedProtocol": "measuring.protocol",
    "Pairs": "pairing.pairs",
    "Protocol": "measuring.protocol",
    "Records": "measuring.protocol",
    "Run": "evaluation.run",
    "Score": "measuring.protocol",
    "Unavailable": "errors",
    "UserError": "errors",
    "evaluate": "evaluation.evaluate",
    "mean_over_pairs": "measuring.protocol",
}

__all__ = [
    "Geometry",
    "ImageExtractor",
    "Leaderboard",
    "LeaderboardFormat",
    "Missing",
    "Need",
    "Pair",
    "PairExtractor",
    "PairFunction",
    "PairedProtocol",
    "Pairs",
    "Protocol",
    "Records",
    "Run",
    "Score",
    "Unavailable",
    "UserError",
    "__version__",
    "evaluate",
    "mean_over_pairs",
]


def __getattr__(name: str) -> Any:
    """Import public names when they are first used: ``fhpt-eval --help`` must not wait for pandas."""
    if name not in _PUBLIC:
        raise AttributeError(f"module 'fhpt_eval' has no attribute '{name}'")
    from importlib import import_module

    return getattr(import_module(f"fhpt_eval.{_PUBLIC[name]}"), name)
