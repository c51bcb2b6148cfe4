"""Evaluation of fine-grained human pose transfer: folders of generated images in, scores with their recipe out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from fhpt_eval._version import __version__

if TYPE_CHECKING:
    from fhpt_eval.cli.display import ProgressDisplay
    from fhpt_eval.errors import Unavailable, UserError
    from fhpt_eval.evaluation.background import BackgroundEvaluator
    from fhpt_eval.evaluation.evaluate import evaluate
    from fhpt_eval.evaluation.evaluator import Evaluator
    from fhpt_eval.evaluation.run import Run
    from fhpt_eval.extract.extractor import ImageExtractor, PairExtractor
    from fhpt_eval.extract.pair_function import PairFunction
    from fhpt_eval.images.geometry import Geometry
    from fhpt_eval.measuring.protocol import Need, PairedProtocol, Protocol, Records, Score, mean_over_pairs
    from fhpt_eval.pairing.pairs import Pair, Pairs
    from fhpt_eval.records import Missing
    from fhpt_eval.reporting.comparing.compare import compare
    from fhpt_eval.reporting.figures.bars import plot_bars
    from fhpt_eval.reporting.figures.error_curves import plot_kec
    from fhpt_eval.reporting.figures.gallery import plot_gallery
    from fhpt_eval.reporting.figures.radar import plot_radar
    from fhpt_eval.reporting.figures.recall import plot_retrieval
    from fhpt_eval.reporting.figures.style import save_figure
    from fhpt_eval.reporting.figures.topk import plot_topk
    from fhpt_eval.reporting.frames import leaderboard, load_runs
    from fhpt_eval.reporting.leaderboards.format import LeaderboardFormat
    from fhpt_eval.reporting.leaderboards.leaderboard import Leaderboard

# In a checkout, protocols/, reference_models/ and results/ lie beside this folder; installed, they lie inside it.
_beside = Path(__file__).resolve().parent.parent
if (_beside / "setup.cfg").is_file() and (_beside / "protocols").is_dir():
    __path__.append(str(_beside))

_PUBLIC = {
    "BackgroundEvaluator": "evaluation.background",
    "Evaluator": "evaluation.evaluator",
    "Geometry": "images.geometry",
    "ImageExtractor": "extract.extractor",
    "Leaderboard": "reporting.leaderboards.leaderboard",
    "LeaderboardFormat": "reporting.leaderboards.format",
    "Missing": "records",
    "Need": "measuring.protocol",
    "Pair": "pairing.pairs",
    "PairExtractor": "extract.extractor",
    "PairFunction": "extract.pair_function",
    "PairedProtocol": "measuring.protocol",
    "Pairs": "pairing.pairs",
    "ProgressDisplay": "cli.display",
    "Protocol": "measuring.protocol",
    "Records": "measuring.protocol",
    "Run": "evaluation.run",
    "Score": "measuring.protocol",
    "Unavailable": "errors",
    "UserError": "errors",
    "compare": "reporting.comparing.compare",
    "evaluate": "evaluation.evaluate",
    "leaderboard": "reporting.frames",
    "load_runs": "reporting.frames",
    "mean_over_pairs": "measuring.protocol",
    "plot_bars": "reporting.figures.bars",
    "plot_gallery": "reporting.figures.gallery",
    "plot_kec": "reporting.figures.error_curves",
    "plot_radar": "reporting.figures.radar",
    "plot_retrieval": "reporting.figures.recall",
    "plot_topk": "reporting.figures.topk",
    "save_figure": "reporting.figures.style",
}

__all__ = [
    "BackgroundEvaluator",
    "Evaluator",
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
    "ProgressDisplay",
    "Protocol",
    "Records",
    "Run",
    "Score",
    "Unavailable",
    "UserError",
    "__version__",
    "compare",
    "evaluate",
    "leaderboard",
    "load_runs",
    "mean_over_pairs",
    "plot_bars",
    "plot_gallery",
    "plot_kec",
    "plot_radar",
    "plot_retrieval",
    "plot_topk",
    "save_figure",
]


def __getattr__(name: str) -> Any:
    """Import public names when they are first used: ``fhpt-eval --help`` must not wait for pandas."""
    if name not in _PUBLIC:
        raise AttributeError(f"module 'fhpt_eval' has no attribute '{name}'")
    from importlib import import_module

    return getattr(import_module(f"fhpt_eval.{_PUBLIC[name]}"), name)
