"""What detectors find in a rendered data set, against what is known: the "measured" part of its data card.

python benchmarks/rendered.py DIR [--gender GENDER.safetensors] [--sheet PICTURE]

DIR is a folder of `fhpt-eval synth`; its test split is measured, or all of it where that has fewer than 100 images.
With --sheet, 48 of its images are put side by side instead.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from PIL import Image
from scipy.stats import mannwhitneyu

from fhpt_eval.extract.dlib_face import DlibFace
from fhpt_eval.extract.efficientnet_lite0 import EfficientNetLite0
from fhpt_eval.extract.extractor import Context, ImageExtractor
from fhpt_eval.extract.gender_classifier import GenderClassifier
from fhpt_eval.extract.mediapipe_keypoints import MediapipeKeypoints
from fhpt_eval.extract.weights import Store
from fhpt_eval.files.given import GivenFile
from fhpt_eval.images.decoding import ImageRef, read_image
from fhpt_eval.maths.keypoints import BODY_JOINTS, FACE_POINTS, HAND_POINTS
from fhpt_eval.records import Missing, Result

_BATCH = 16
_ROWS, _COLUMNS = 4, 12
_GROUPS = {
    "nose": ("nose",),
    "eyes": ("right eye", "left eye"),
    "ears": ("right ear", "left ear"),
    "neck": ("neck",),
    "shoulders": ("right shoulder", "left shoulder"),
    "elbows": ("right elbow", "left elbow"),
    "wrists": ("right wrist", "left wrist"),
    "hips": ("right hip", "left hip"),
    "knees": ("right knee", "left knee"),
    "ankles": ("right ankle", "left ankle"),
}

Array = npt.NDArray[np.float64]


def main(folder: Path, gender: Path | None, picture: Path | None) -> None:
    """Print a line for each thing measured, or make the sheet."""
    truth = pd.read_json(folder / "truth.jsonl", lines=True)
    test = truth[truth["split"] == "test"]
    truth = (test if len(test) >= 100 else truth).reset_index(drop=True)
    images = [folder / "img" / name for name in truth["name"]]
    if picture:
        _sheet(images, picture)
        return
    print(f"images: {len(images)} of {truth['identity'].nunique()} people")
    for what, value in [
        *_keypoints(truth, images),
        *_faces(truth, images),
        *_garments(truth, images),
        *(_gender(truth, images, gender) if gender else []),
    ]:
        print(f"{what}: {value}", flush=True)


def _sheet(images: Sequence[Path], picture: Path) -> None:
    """Consecutive images, one person after the other, in rows."""
    chosen = [np.asarray(read_image(ImageRef(path))) for path in images[: _ROWS * _COLUMNS]]
    rows = [np.concatenate(chosen[i : i + _COLUMNS], axis=1) for i in range(0, len(chosen), _COLUMNS)]
    Image.fromarray(np.concatenate(rows)).save(picture, quality=88)


def _extract(extractor: ImageExtractor, images: Sequence[Path]) -> list[Result]:
    store = Store(offline=True)
    run = extractor.load(Context(weights={file.name: store.get(file) for file in extractor.weights()}))
    pixels = (read_image(ImageRef(path)) for path in images)
    results: list[Result] = []
    for start in range(0, len(images), _BATCH):
        results += run([next(pixels) for _ in images[start : start + _BATCH]])
    return results


def _keypoints(truth: pd.DataFrame, images: Sequence[Path]) -> Iterator[tuple[str, str]]:
    records = _extract(MediapipeKeypoints(), images)
    found = [i for i, record in enumerate(records) if not isinstance(record, Missing)]
    yield "MediaPipe finds the body", _share(len(found), len(images))
    for part, count in (("body", len(BODY_JOINTS)), ("face", len(FACE_POINTS)), ("hands", 2 * len(HAND_POINTS))):
        known = np.array(truth[part][found].tolist()).reshape(-1, count, 3)
        seen = np.stack([np.asarray(records[i][part]).reshape(count, 3) for i in found])
        # Records count from the corner of the first pixel, the truth from its centre.
        errors = np.linalg.norm(seen[..., :2] - 0.5 - known[..., :2], axis=-1)
        both = (known[..., 2] == 2) & np.isfinite(errors)
        yield (
            f"{part} points seen in the image that MediaPipe finds",
            _share(int(both.sum()), int((known[..., 2] == 2).sum())),
        )
        yield f"{part}: mean error", _pixels(errors[both])
        if part == "body":
            for group, names in _GROUPS.items():
                columns = [BODY_JOINTS.index(name) for name in names]
                yield f"  {group}", _pixels(errors[:, columns][both[:, columns]])


def _faces(truth: pd.DataFrame, images: Sequence[Path]) -> Iterator[tuple[str, str]]:
    records = _extract(DlibFace(), images)
    found = np.array([not isinstance(record, Missing) for record in records])
    frontal = (truth["view"] == "front").to_numpy()
    shown = truth["face_box"].notna().to_numpy()
    yield "dlib finds the face in front views", _share(int((found & frontal).sum()), int(frontal.sum()))
    yield "dlib finds the face where most of it is seen", _share(int((found & shown).sum()), int(shown.sum()))
    yield "dlib finds a face where none is seen", _share(int((found & ~shown).sum()), int((~shown).sum()))
    embeddings = {i: records[i]["embedding"] for i in np.flatnonzero(found & shown)}
    same: list[float] = []
    different: list[float] = []
    for a, b in combinations(embeddings, 2):
        distance = float(np.linalg.norm(embeddings[a] - embeddings[b]))
        (same if truth["identity"][a] == truth["identity"][b] else different).append(distance)
    yield "face distance, same person", f"{np.mean(same):.3f} ± {np.std(same):.3f} ({len(same)} pairs)"
    yield (
        "face distance, different people",
        f"{np.mean(different):.3f} ± {np.std(different):.3f} ({len(different)} pairs)",
    )
    higher = mannwhitneyu(different, same).statistic / (len(same) * len(different))
    yield "AUC of the face distance", f"{higher:.4f}"


def _garments(truth: pd.DataFrame, images: Sequence[Path]) -> Iterator[tuple[str, str]]:
    records = _extract(EfficientNetLite0(), images)
    features = np.stack([np.asarray(record["features"]) for record in records])
    features = features / np.linalg.norm(features, axis=1, keepdims=True)
    similar = features @ features.T
    np.fill_diagonal(similar, -np.inf)
    nearest = similar.argmax(axis=1)
    item = truth["item"].to_numpy()
    hits = item[nearest] == item
    chance = np.mean([((item == own).sum() - 1) / (len(item) - 1) for own in item])
    yield "nearest image shows the same item (EfficientNet-Lite0)", f"{hits.mean():.1%}, by chance {chance:.1%}"


def _gender(truth: pd.DataFrame, images: Sequence[Path], checkpoint: Path) -> Iterator[tuple[str, str]]:
    classifier = GenderClassifier(network="efficientnet_lite0", classifier=GivenFile.at(checkpoint))
    women = np.array([float(record["score"]) > 0 for record in _extract(classifier, images)])
    right = women == (truth["gender"] == "WOMEN").to_numpy()
    yield "gender head is right", _share(int(right.sum()), len(right))


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.1%} ({part} of {whole})"


def _pixels(errors: Array) -> str:
    return f"{errors.mean():.2f} px (median {np.median(errors):.2f}, {len(errors)} points)"


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--gender", type=Path)
    parser.add_argument("--sheet", type=Path)
    options = parser.parse_args()
    main(options.folder, options.gender, options.sheet)
