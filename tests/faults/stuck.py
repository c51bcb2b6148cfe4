"""``fhpt-eval`` that gets stuck at one place, ``STUCK``, and tells of it by files in the folder ``AT_WORK``.

Imported again in each worker process, as the script that it is, so that it is stuck there, too.
"""

from __future__ import annotations

import ctypes
import importlib
import os
import pkgutil
import signal
import sys
import threading
from pathlib import Path
from typing import Any


def stuck(*_: Any, **__: Any) -> Any:
    """Never return, as native code that keeps the interpreter to itself."""
    tell()
    while True:
        ctypes.PyDLL(None).pause()


def busy(*_: Any, **__: Any) -> Any:
    """Never return, as native code that lets other threads run."""
    tell()
    while True:
        threading.Event().wait()


def tell() -> None:
    Path(os.environ["AT_WORK"], f"{os.getpid()}-{threading.get_ident()}").touch()


def die_with_a_process_just_started(*_: Any) -> None:
    tell()
    os.kill(os.getpid(), signal.SIGKILL)


def load_stuck(*_: Any) -> Any:
    return stuck


def load_by_colour(*_: Any) -> Any:
    """Load a detector that a white image kills, that hangs on a black one, and that finds a face in any other."""
    import numpy as np

    def detect(images: Any) -> Any:
        (image,) = images
        if image.min() == 255:
            os.kill(os.getpid(), signal.SIGKILL)
        if not image.any():
            stuck()
        return [{"box": np.arange(4, dtype=np.int32), "embedding": np.zeros(128), "faces": np.array(1, np.int32)}]

    return detect


def die(*_: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def find_stuck_renderer() -> Any:
    from synthetic.toy_people import STUCK

    return STUCK


def train(folder: Path) -> None:
    # Its folder is called as a package of ours is.
    sys.path.insert(0, str(Path(__file__).parents[1] / "reference_models"))
    test_training = importlib.import_module("test_training")
    test_training.Noise.__getitem__ = stuck
    test_training.training(folder, workers=2).run()


_DETECTOR = "fhpt_eval.extract.dlib_face:DlibFace"
PLACES: dict[str, tuple[tuple[str, str, Any], ...]] = {
    "detecting": ((_DETECTOR, "load", load_stuck),),
    "some images": ((_DETECTOR, "load", load_by_colour),),
    "loading": ((_DETECTOR, "load", die),),
    "starting": (("fhpt_eval.engine.workers:_Process", "await_start", die_with_a_process_just_started),),
    "decoding": (("fhpt_eval.engine.decoders", "open_image", busy),),
    "comparing": (("fhpt_eval.extract.pixels:_Ssim", "encode", busy),),
    "generating": (("fhpt_eval.reference_models.trivial", "_sources", busy),),
    "rendering": (("fhpt_eval.synthetic.dataset", "find_renderer", find_stuck_renderer),),
    "training": (),
}
"""What stands in for what: owner, name, and function."""

for owner, name, stand_in in PLACES[os.environ["STUCK"]]:
    if __name__ == "__main__" or owner == _DETECTOR:  # what workers do not need would make them start later
        setattr(pkgutil.resolve_name(owner), name, stand_in)

if __name__ == "__main__":
    if os.environ["STUCK"] == "training":
        train(Path(sys.argv[1]))
    else:
        from fhpt_eval.cli.main import main

        main(sys.argv[1:])
