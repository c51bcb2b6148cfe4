"""What pyiqa offers, and the fence that its code runs behind.

pyiqa, and the libraries that it calls, download what they miss and unpickle what they load. Neither happens here: where
its code runs, the network is refused, files come from a folder of the user alone, and of pickles tensors alone.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import os
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, NamedTuple

from fhpt_eval.errors import UserError
from fhpt_eval.files.given import GivenFolder

_SETS = "it compares sets of images: the protocols fid, kid and is do"
_LANGUAGE = "it asks a language model of gigabytes"
REFUSED: Mapping[str, str] = {
    "fid": _SETS,
    "sfid": _SETS,
    "fid_dinov2": _SETS,
    "inception_score": _SETS,
    "clipscore": "it needs a text for each image",
    "fgresq_pair": "it gives a comparison of two images, and not one number",
    "compare2score": _LANGUAGE,
    "qalign": _LANGUAGE,
    "qalign_8bit": _LANGUAGE,
    "qalign_4bit": _LANGUAGE,
    "qrealign": _LANGUAGE,
    "qrealign-mini": _LANGUAGE,
    "qrealign-lite": _LANGUAGE,
    "qrealign-pro": _LANGUAGE,
}
"""Metrics of pyiqa that are not offered, and why."""

_FORMULAS = frozenset(
    ("cw_ssim", "entropy", "fsim", "gmsd", "mad", "ms_ssim", "nlpd", "piqe", "psnr", "psnry", "ssim", "ssimc", "vif")
) | {"vsi"}
"""Metrics that read no file."""


class Metric(NamedTuple):
    """A metric of pyiqa.

    Attributes:
        name: Pyiqa's.
        reference: Whether it compares with a real image.
        better: Which direction is good, as pyiqa has it.
        range: Of its values, roughly, as pyiqa has it.
        reads_files: Whether it needs weights.
    """

    name: str
    reference: bool
    better: Literal["higher", "lower"]
    range: str
    reads_files: bool

    def __str__(self) -> str:
        needs = "with the target" if self.reference else "without reference"
        weights = ", needs weights" if self.reads_files else ""
        # A tilde is pyiqa's "about".
        return f"{self.better} is better, in [{self.range}], {needs}{weights}"


@cache
def known() -> Mapping[str, Metric]:
    """Return the metrics that the installed pyiqa offers, without importing it; none where there is no pyiqa."""
    spec = importlib.util.find_spec("pyiqa")
    if spec is None or not spec.submodule_search_locations:
        return {}
    # The table imports nothing but the standard library; as a part of its package it would import all of it.
    file = Path(spec.submodule_search_locations[0]) / "default_model_configs.py"
    table = importlib.util.spec_from_file_location("_fhpt_eval_pyiqa_table", file)
    if table is None or table.loader is None:
        raise ImportError(f"{file} cannot be read")
    module = importlib.util.module_from_spec(table)
    table.loader.exec_module(module)
    return {
        name: Metric(
            name,
            about["metric_mode"] == "FR",
            "lower" if about.get("lower_better") else "higher",
            about.get("score_range", "~"),
            name not in _FORMULAS,
        )
        for name, about in sorted(module.DEFAULT_CONFIGS.items())
        if name not in REFUSED and about.get("metric_mode") in ("FR", "NR")
    }


Measure = Callable[..., Any]
"""From one or two 1×3×H×W tensors in [0, 1] to a tensor of one number."""

_alone = threading.Lock()
"""Some metrics keep what they saw last, or crop at random: one image at a time, from one seed."""


def load(name: str, files: GivenFolder | None, device: str) -> Measure:
    """Return a metric with its weights in memory.

    Raises:
        UserError: A file that it needs is not in the folder, or holds more than tensors.
    """
    with TemporaryDirectory() as nothing, _alone, _fenced(Path(nothing) if files is None else files.path):
        from pyiqa.models.inference_model import InferenceModel

        try:
            model = InferenceModel(name, device=device).eval()
        except Exception as error:
            raise UserError(f"pyiqa cannot make {name} ({_reason(error)}): {how_to_bring([name])}.") from error

    def measure(*images: Any) -> Any:
        import numpy as np
        import torch

        with _alone, _fenced(None if files is None else files.path), torch.inference_mode():
            torch.manual_seed(0)
            state = np.random.get_state()  # noqa: NPY002 - what pyiqa draws from
            np.random.seed(0)  # noqa: NPY002
            try:
                return model(*images)
            finally:
                np.random.set_state(state)  # noqa: NPY002

    return measure


def how_to_bring(names: list[str]) -> str:
    """Return how a user comes by the weights of metrics, in words."""
    made = "; ".join(f"pyiqa.create_metric('{name}')" for name in names)
    return (
        f'where there is a network, run TORCH_HOME=DIR HF_HOME=DIR python -c "import pyiqa; {made}", and give the'
        " folder with --set iqa.weights=DIR"
    )


def _reason(error: BaseException) -> str:
    chain: list[BaseException] = [error]
    while (cause := chain[-1].__cause__ or chain[-1].__context__) is not None:
        chain.append(cause)
    refused = next((e for e in chain if isinstance(e, _Refused)), None)
    if refused is not None:
        return str(refused)
    if any("weights only" in str(e).lower() or "weights_only" in str(e) for e in chain):
        return "a file of its weights holds more than tensors, and could run code"
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"


class _Refused(Exception):
    """Raised in the place of a connection."""


_inside: ContextVar[bool] = ContextVar("inside", default=False)


@cache
def _watch() -> None:
    """Have Python ask before it connects to anything."""

    def ask(event: str, arguments: tuple[Any, ...]) -> None:
        if event in {"socket.connect", "socket.getaddrinfo", "urllib.Request"} and _inside.get():
            asked = arguments[0] if event == "urllib.Request" else "the network"
            raise _Refused(f"it asks for {asked}")

    sys.addaudithook(ask)


@contextlib.contextmanager
def _fenced(folder: Path | None) -> Iterator[None]:
    """Keep pyiqa offline, its files in a folder (None: where they were), its pickles tensors, and its prints unseen."""
    _watch()
    inside = _inside.set(True)
    with contextlib.ExitStack() as undo:
        undo.callback(_inside.reset, inside)
        undo.enter_context(contextlib.redirect_stdout(io.StringIO()))
        undo.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        _set_variable(undo, "TORCH_FORCE_WEIGHTS_ONLY_LOAD", "1")
        _set_variable(undo, "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "0")
        if folder is not None:
            import pyiqa.utils.download_util
            import torch
            from huggingface_hub import constants

            undo.callback(torch.hub.set_dir, torch.hub.get_dir())
            torch.hub.set_dir(folder / "hub")
            _set(undo, pyiqa.utils.download_util, "DEFAULT_CACHE_DIR", str(folder / "hub" / "pyiqa"))
            _set(undo, constants, "HF_HUB_CACHE", str(folder / "hub"))
            _set(undo, constants, "HF_HUB_OFFLINE", True)
        yield


def _set(undo: contextlib.ExitStack, owner: Any, name: str, value: object) -> None:
    undo.callback(setattr, owner, name, getattr(owner, name))
    setattr(owner, name, value)


def _set_variable(undo: contextlib.ExitStack, name: str, value: str) -> None:
    before = os.environ.get(name)
    undo.callback(os.environ.pop, name, None) if before is None else undo.callback(os.environ.update, {name: before})
    os.environ[name] = value
