"""The libraries that numbers rest on: which version is here, and what to do where one cannot be loaded."""

from __future__ import annotations

import importlib
import importlib.util
import re
import sys
import threading
import warnings
from collections.abc import Sequence
from importlib import metadata
from typing import Any, TypeVar

from fhpt_eval.errors import Unavailable

E = TypeVar("E", bound=BaseException)

_DISTRIBUTIONS = {
    "cv2": "opencv-contrib-python-headless",
    "dlib": "dlib-bin",
    "face_recognition": "face-recognition",
    "face_recognition_models": "face-recognition-models setuptools",
    "faiss": "faiss-cpu",
    "lmdb": "lmdb",
    "lpips": "lpips",
    "matplotlib": "matplotlib",
    "mediapipe": "mediapipe",
    "pandas": "pandas",
    "scipy": "scipy",
    "skimage": "scikit-image",
    "tensorboard": "tensorboard",
    "timm": "timm",
    "torch": "torch",
    "torchvision": "torchvision",
}
"""What brings each library back, by the name it is imported by."""

_importing = threading.Lock()

_told: dict[str, str] = {}
"""What was said of each library when it first could not be loaded: what a second try says leads astray."""


def version(distribution: str) -> str | None:
    """Return the installed version of a distribution, or None where it is absent.

    Args:
        distribution: As it is called in ``setup.cfg``; ``opencv`` for the OpenCV that is imported, which any of four
            distributions can have brought. An OpenCV that cannot be imported counts as absent.
    """
    if distribution == "opencv":
        return None if load_error("cv2") else str(importlib.import_module("cv2").__version__)
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def load_error(module: str) -> str | None:
    """Return the sentence for a library of the table above that cannot be imported, or None when it can."""
    load = import_face_recognition if module.startswith("face_recognition") else lambda: importlib.import_module(module)
    try:
        load()
    except Exception as error:  # noqa: BLE001 - native code may raise anything when it is loaded
        return _sentence([*_importing_when(error), module], error)
    return None


def load_errors() -> list[str]:
    """Return a sentence for each library that cannot be imported."""
    return list(dict.fromkeys(error for module in _DISTRIBUTIONS if (error := load_error(module)) is not None))


def explained(error: E) -> E | Unavailable:
    """Return an error as `Unavailable` when it comes from a library that cannot be loaded, or else as it is.

    Native libraries raise ImportError, OSError, RuntimeError and others when they are loaded. What these have in common
    is that the module was not found, or that it was being executed.
    """
    libraries = _importing_when(error)
    return Unavailable(_sentence(libraries, error)) if libraries else error


def import_face_models() -> Any:
    """Import ``face_recognition_models``, which tells where the networks of ``face_recognition`` lie.

    Raises:
        ImportError: If it is not here.
    """
    with _importing:
        # Set once and narrowly, because catch_warnings swaps the filters of all threads.
        warnings.filterwarnings(
            "ignore", message="pkg_resources is deprecated as an API", module="face_recognition_models"
        )
        return importlib.import_module("face_recognition_models")


def import_face_recognition() -> Any:
    """Import ``face_recognition`` without what it does to a process on the way.

    It prints advice and quits where the package of its networks cannot be imported, and tells Pillow to fill in
    truncated files from then on.

    Returns:
        The module.

    Raises:
        ImportError: If it, dlib or the networks are not here.
        RuntimeError: If dlib cannot read a network's file.
    """
    import_face_models()  # where this fails, face_recognition would quit
    with _importing:
        from PIL import ImageFile

        fill_in_truncated = ImageFile.LOAD_TRUNCATED_IMAGES
        try:
            return importlib.import_module("face_recognition")
        finally:
            ImageFile.LOAD_TRUNCATED_IMAGES = fill_in_truncated


def import_mediapipe() -> Any:
    """Import ``mediapipe`` with its graphs, and the rest of it once something is asked of it that is not there.

    As it is, it imports all its solutions, and with them a drawing library that takes most of the time.

    Raises:
        ImportError: If it is not here.
    """
    with _importing:
        spec = importlib.util.find_spec("mediapipe")
        if "mediapipe" in sys.modules or spec is None or spec.loader is None or not spec.submodule_search_locations:
            return importlib.import_module("mediapipe")
        package: Any = importlib.util.module_from_spec(spec)
        load = spec.loader.exec_module

        def the_rest(name: str) -> Any:
            if name.startswith("__"):
                raise AttributeError(name)
            del package.__getattr__
            load(package)
            return getattr(package, name)

        package.__getattr__ = the_rest
        sys.modules["mediapipe"] = package
        try:
            importlib.import_module("mediapipe.python")
        except Exception:  # noqa: BLE001 - it can tell the reason better
            del sys.modules["mediapipe"]
            return importlib.import_module("mediapipe")
        return package


def _importing_when(error: BaseException) -> list[str]:
    """Return the libraries that were being imported when an error was raised, the innermost, guilty one first."""
    libraries, step = [], error.__traceback__
    while step is not None:
        if step.tb_frame.f_code.co_name == "<module>":
            libraries.append(_top(step.tb_frame.f_globals.get("__name__")))
        step = step.tb_next
    if isinstance(error, ImportError):
        libraries.append(_top(error.name))
    return [library for library in dict.fromkeys(reversed(libraries)) if library in _DISTRIBUTIONS]


def _top(module: str | None) -> str:
    return (module or "").partition(".")[0]


def _requirements(distributions: str) -> str:
    """Return the requirements of this package on distributions, as a shell takes them.

    NumPy is among them: installed again by themselves, most would bring one that mediapipe does not take.
    """
    wanted = [*distributions.split(), "numpy"]
    asked = [requirement.partition(";")[0].strip() for requirement in metadata.requires("fhpt-eval") or ()]
    bounds = {re.split(r"[^\w.-]", requirement)[0]: requirement for requirement in asked}
    return " ".join(f"'{bounds.get(name, name)}'" for name in wanted)


def _sentence(libraries: Sequence[str], error: BaseException) -> str:
    guilty = libraries[0]
    why = " ".join(str(error).split()).rstrip(".") or type(error).__name__
    sentence = (
        f"{guilty} cannot be loaded ({why}): install it again with pip install --force-reinstall"
        f" {_requirements(_DISTRIBUTIONS[guilty])}."
    )
    sentence = next((_told[library] for library in libraries if library in _told), sentence)
    for library in libraries:
        _told.setdefault(library, sentence)
    return sentence
