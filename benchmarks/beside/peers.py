"""What users of other packages run on two folders, each as its documentation says to use it.

python benchmarks/beside/peers.py NAME GENERATED TARGETS SOURCES PAIRS DEVICE RESULT

Writes the numbers as JSON, under our names of the metrics.
"""

from __future__ import annotations

import csv
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

BATCH = 16


class Given(NamedTuple):
    """What a program is given."""

    generated: Path
    targets: Path
    sources: Path
    pairs: Path
    device: str

    def rows(self) -> list[dict[str, str]]:
        """Return the rows of the list of pairs."""
        with self.pairs.open(encoding="utf-8", newline="") as stream:
            return list(csv.DictReader(stream))

    def files(self) -> Iterator[tuple[Path, Path]]:
        """Yield each generated image and its target."""
        for row in self.rows():
            yield self.generated / row["generated"], self.targets / row["target"]

    def batches(self) -> Iterator[tuple[Any, Any]]:
        """Yield tensors N×3×H×W in 0…255, generated and real, of at most `BATCH` pairs."""
        import torch
        from PIL import Image

        pairs = list(self.files())
        for start in range(0, len(pairs), BATCH):
            both = [
                [torch.from_numpy(np.array(Image.open(path).convert("RGB"))).permute(2, 0, 1) for path in column]
                for column in zip(*pairs[start : start + BATCH], strict=True)
            ]
            x, y = (torch.stack(side).float().to(self.device) for side in both)
            yield x, y


Numbers = Mapping[str, float]


def pytorch_fid(given: Given) -> Numbers:
    """`python -m pytorch_fid GENERATED TARGETS`."""
    from pytorch_fid.fid_score import calculate_fid_given_paths

    folders = [str(given.generated), str(given.targets)]
    workers = min(8, len(os.sched_getaffinity(0)))
    return {"fid": float(calculate_fid_given_paths(folders, 50, given.device, 2048, workers))}


def torch_fidelity(given: Given) -> Numbers:
    """`fidelity --isc --fid --kid`, all in one call."""
    from torch.hub import get_dir
    from torch_fidelity import calculate_metrics

    count = len(given.rows())
    found = calculate_metrics(
        input1=str(given.generated),
        input2=str(given.targets),
        cuda=given.device != "cpu",
        isc=True,
        fid=True,
        kid=True,
        kid_subset_size=min(1000, count),
        isc_splits=min(10, count),
        samples_shuffle=False,
        save_cpu_ram=False,
        verbose=False,
        feature_extractor_weights_path=f"{get_dir()}/checkpoints/pt_inception-2015-12-05-6726825d.pth",
    )
    return {
        "fid": found["frechet_inception_distance"],
        "kid": found["kernel_inception_distance_mean"],
        "is": found["inception_score_mean"],
    }


def clean_fid(given: Given) -> Numbers:
    """`fid.compute_fid(GENERATED, TARGETS)`, on the same network with seeded weights (its own file is TorchScript)."""
    import torch
    from cleanfid import fid
    from pytorch_fid.inception import InceptionV3

    network = InceptionV3([3], resize_input=False, normalize_input=False).eval().to(given.device)

    class Whole(torch.nn.Module):
        def forward(self, x: Any) -> Any:
            return network((x - 128) / 128)[0].flatten(1)

    with torch.inference_mode():
        traced = torch.jit.trace(Whole(), torch.zeros(2, 3, 299, 299, device=given.device))
    fid.build_feature_extractor = lambda *_, **__: traced
    device = torch.device(given.device)
    folders = str(given.generated), str(given.targets)
    return {"fid": float(fid.compute_fid(*folders, device=device, use_dataparallel=False, verbose=False))}


def lpips(given: Given) -> Numbers:
    """Run the loop of its `lpips_2dirs.py`, without gradients."""
    import lpips as package
    import torch

    distance = package.LPIPS(net="alex", verbose=False).to(given.device)
    found = []
    with torch.no_grad():
        for paths in given.files():
            x, y = (package.im2tensor(package.load_image(str(path))).to(given.device) for path in paths)
            found.append(float(distance(x, y)))
    return {"lpips": float(np.mean(found))}


def scikit_image(given: Given) -> Numbers:
    """Loop over pairs, with the options that its documentation gives for Wang's SSIM."""
    from PIL import Image
    from skimage.metrics import peak_signal_noise_ratio, structural_similarity

    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 255}
    ssim, psnr = [], []
    for paths in given.files():
        x, y = (np.asarray(Image.open(path).convert("RGB")) for path in paths)
        ssim.append(structural_similarity(x, y, channel_axis=2, **options))
        psnr.append(peak_signal_noise_ratio(y, x, data_range=255))
    return {"ssim": float(np.mean(ssim)), "psnr": float(np.mean(psnr))}


def torchmetrics(given: Given) -> Numbers:
    """Its modular metrics, updated batch by batch."""
    from torchmetrics.image import PeakSignalNoiseRatio, StructuralSimilarityIndexMeasure

    ssim: Any = StructuralSimilarityIndexMeasure(data_range=255.0).to(given.device)
    psnr = PeakSignalNoiseRatio(data_range=255.0, dim=(1, 2, 3), reduction="elementwise_mean").to(given.device)
    for x, y in given.batches():
        ssim.update(x, y)
        psnr.update(x, y)
    return {"ssim": float(ssim.compute()), "psnr": float(psnr.compute())}


def piq(given: Given) -> Numbers:
    """Its functions, batch by batch, at native size."""
    import piq as package

    ssim, psnr = [], []
    for x, y in given.batches():
        ssim += package.ssim(x, y, data_range=255.0, downsample=False, reduction="none").tolist()
        psnr += package.psnr(x, y, data_range=255.0, reduction="none").tolist()
    return {"ssim": float(np.mean(ssim)), "psnr": float(np.mean(psnr))}


def face_recognition(given: Given) -> Numbers:
    """Loop over pairs: the largest face of both images, embedded, and the distance."""
    import face_recognition as package

    def face(path: Path) -> Any:
        image = package.load_image_file(str(path))
        boxes = package.face_locations(image, number_of_times_to_upsample=2)
        if not boxes:
            return None
        largest = max(boxes, key=lambda box: (box[2] - box[0]) * (box[1] - box[3]))
        return package.face_encodings(image, [largest])[0]

    distances = []
    shown = 0
    for x, y in given.files():
        generated, target = face(x), face(y)
        shown += target is not None
        if generated is not None and target is not None:
            distances.append(float(package.face_distance([target], generated)[0]))
    same = float(sum(d < 0.6 for d in distances) / max(1, shown))
    return {"face_distance": float(np.mean(distances)) if distances else float("nan"), "face_same@0.6": same}


def mediapipe_holistic(given: Given) -> Numbers:
    """Loop over both images of each pair; its keypoints are others than ours, so no number is compared."""
    from mediapipe.python.solutions.holistic import Holistic
    from PIL import Image

    with Holistic(static_image_mode=True) as holistic:
        for paths in given.files():
            for path in paths:
                holistic.process(np.asarray(Image.open(path).convert("RGB")))
    return {}


def numpy_retrieval(given: Given) -> Numbers:
    """Torchvision's networks in batches, their last maps averaged, and an inner product in NumPy."""
    import torch
    from PIL import Image
    from torchvision import models

    rows = given.rows()
    gallery = sorted({row["source"] for row in rows})
    item_of = {row["source"]: row["item"] for row in rows}
    shows = np.array([item_of[name] for name in gallery])
    wanted = np.array([row["item"] for row in rows])
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    resnet = models.resnet50(weights="IMAGENET1K_V1")
    networks = {
        "resnet50": torch.nn.Sequential(*list(resnet.children())[:-2]),
        "vgg16": models.vgg16(weights="IMAGENET1K_V1").features,
    }
    numbers: dict[str, float] = {}
    for name, network in networks.items():
        network.eval().to(given.device)

        def features(paths: list[Path], network: Any = network) -> Any:
            found = []
            with torch.inference_mode():
                for start in range(0, len(paths), BATCH):
                    pictures = [np.array(Image.open(p).convert("RGB")) for p in paths[start : start + BATCH]]
                    tensors = [(torch.from_numpy(p).permute(2, 0, 1) / 255 - mean) / std for p in pictures]
                    found.append(network(torch.stack(tensors).to(given.device)).mean((2, 3)).cpu().numpy())
            rows = np.concatenate(found)
            return rows / np.linalg.norm(rows, axis=1, keepdims=True)

        asked = features([given.generated / row["generated"] for row in rows])
        nearest = np.argsort(-(asked @ features([given.sources / name for name in gallery]).T), axis=1, kind="stable")
        hits = shows[nearest[:, :10]] == wanted[:, None]
        numbers |= {f"recall@{k}[{name}]": float(hits[:, :k].any(1).mean()) for k in (3, 5, 10)}
    return numbers


PROGRAMS: Mapping[str, tuple[Callable[[Given], Numbers], str]] = {
    "pytorch-fid": (pytorch_fid, "pytorch_fid"),
    "torch-fidelity": (torch_fidelity, "torch_fidelity"),
    "clean-fid": (clean_fid, "cleanfid"),
    "lpips": (lpips, "lpips"),
    "scikit-image": (scikit_image, "skimage"),
    "torchmetrics": (torchmetrics, "torchmetrics"),
    "piq": (piq, "piq"),
    "face_recognition loop": (face_recognition, "face_recognition"),
    "MediaPipe Holistic loop": (mediapipe_holistic, "mediapipe"),
    "NumPy and torchvision": (numpy_retrieval, "torchvision"),
}
"""What a program is called, and the module without which it cannot run."""

if __name__ == "__main__":
    # A program is no package: what lies beside this file must not hide the packages of the same names.
    sys.path.pop(0)
    name, generated, targets, sources, pairs, device, result = sys.argv[1:]
    program, _ = PROGRAMS[name]
    numbers = program(Given(Path(generated), Path(targets), Path(sources), Path(pairs), device))
    Path(result).write_text(json.dumps(numbers), encoding="utf-8")
