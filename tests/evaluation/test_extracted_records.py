"""Records as protocols read them: absences counted, strips, and what identifies a set of images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from toys import MeanColour, write_image

from fhpt_eval.engine.cache import Cache
from fhpt_eval.engine.engine import open_engine
from fhpt_eval.errors import UserError
from fhpt_eval.evaluation.evaluate import evaluate
from fhpt_eval.evaluation.extracted_records import ExtractedRecords
from fhpt_eval.evaluation.plan import ImageSets
from fhpt_eval.evaluation.run import Run
from fhpt_eval.pairing.pairs import Pairs, list_images
from fhpt_eval.protocols.fid import Fid
from fhpt_eval.protocols.inception_score import InceptionScore
from fhpt_eval.protocols.kid import Kid
from fhpt_eval.protocols.l1 import L1
from fhpt_eval.protocols.psnr import Psnr
from fhpt_eval.protocols.ssim import Ssim
from fhpt_eval.records import Missing

EMBEDDED: dict[str, Any] = {"network": "efficientnet-lite0"}


def run(folder: Path, pairs: Pairs, *protocols: object, **options: object) -> Run:
    with Cache(folder / "cache") as cache:
        return evaluate(pairs, protocols, engine=open_engine("local", cache, device="cpu"), **options)  # type: ignore[arg-type]


def folders(root: Path, generated: str = "abcdef", target: str = "abcdef") -> tuple[Path, Path]:
    for name in generated:
        write_image(root / "generated" / f"{name}.png", ord(name))
    for name in target:
        write_image(root / "target" / f"{name}.png", 1000 + ord(name))
    return root / "generated", root / "target"


def test_what_pairs_lack_is_counted_by_distributions_too(tmp_path: Path) -> None:
    pairs = Pairs.from_folders(*folders(tmp_path, generated="abcde", target="bcdef"))
    result = run(tmp_path, pairs, Fid(**EMBEDDED), L1())
    assert result.scores["l1"].missing == {"no target image": 1, "no generated image": 1}
    assert result.scores["fd_efficientnet_lite0"].missing == {
        "no generated image": 1,
        "reference image: no target image": 1,
    }


def test_a_picture_in_several_strips_has_its_record_in_each_pair(tmp_path: Path) -> None:
    target = np.random.default_rng(0).integers(0, 256, (20, 10, 3), dtype=np.uint8)
    for i in range(3):
        own = np.random.default_rng(i + 1).integers(0, 256, (20, 20, 3), dtype=np.uint8)
        strip = np.hstack([own[:, :10], target, own[:, 10:]])
        (tmp_path / "strips").mkdir(exist_ok=True)
        Image.fromarray(strip).save(tmp_path / "strips" / f"s{i}.jpg_t.jpg.png")
    pairs = Pairs.from_folders(tmp_path / "strips", naming="dsc-strip")
    images = ImageSets(pairs)
    extractor = MeanColour()
    from fhpt_eval.engine.contract import Plan

    with Cache(tmp_path / "cache") as cache:
        found = open_engine("local", cache, device="cpu").run(Plan({extractor: tuple(images.unique("target"))}, {}), {})
        records = ExtractedRecords(images, found)
        results = list(records.per_pair(extractor, "target"))
        assert len(results) == 3
        for result in results:
            assert not isinstance(result, Missing)
            np.testing.assert_array_equal(result["mean"], target.mean((0, 1)))


def test_the_content_of_targets_is_known_whatever_is_measured(tmp_path: Path) -> None:
    pairs = Pairs.from_folders(*folders(tmp_path))
    one, other = run(tmp_path, pairs, L1()), run(tmp_path, pairs, Fid(**EMBEDDED))
    assert one.record.pairs.content == other.record.pairs.content is not None
    write_image(tmp_path / "target" / "a.png", 5)
    assert run(tmp_path, pairs, L1()).record.pairs.content != one.record.pairs.content


def test_the_target_folder_as_reference_is_the_default(tmp_path: Path) -> None:
    generated, target = folders(tmp_path)
    pairs = Pairs.from_folders(generated, target)
    default = run(tmp_path, pairs, Fid(**EMBEDDED), Kid(**EMBEDDED))
    given = run(tmp_path, pairs, Fid(**EMBEDDED), Kid(**EMBEDDED), reference=list_images(target))
    for metric, score in default.scores.items():
        assert given.scores[metric].value == score.value
        # A reference set that is given stays as it is; targets are drawn with their items.
        assert (given.scores[metric].interval == score.interval) == metric.startswith("kd")
    assert [p.recipe for p in default.record.protocols] == [p.recipe for p in given.record.protocols]


def test_copies_of_the_targets_are_told(tmp_path: Path) -> None:
    _, target = folders(tmp_path)
    result = run(tmp_path, Pairs.from_folders(target, target), Psnr())
    assert "6 of 6 generated images are their targets" in result.record.warnings[0]


def test_a_protocol_given_twice_runs_once_and_two_settings_are_refused(tmp_path: Path) -> None:
    pairs = Pairs.from_folders(*folders(tmp_path))
    assert [p.status for p in run(tmp_path, pairs, "l1", "l1", L1()).record.protocols] == ["done"]
    with pytest.raises(UserError, match="two sets of options"):
        run(tmp_path, pairs, Ssim(), Ssim(sigma=1.2))


def test_metrics_of_the_whole_set_keep_the_influence_of_each_pair(tmp_path: Path) -> None:
    """What `compare` resamples: of a pair that lacks its image nothing, and of a given reference set nothing."""
    generated, target = folders(tmp_path, generated="abcdefghijk", target="abcdefghijkl")
    pairs = Pairs.from_folders(generated, target)
    measured = Fid(**EMBEDDED), Kid(**EMBEDDED), InceptionScore(splits=1, **EMBEDDED)
    result = run(tmp_path, pairs, *measured)
    given = run(tmp_path, pairs, *measured, reference=list_images(target))
    for metric in result.scores:
        influence = result.arrays[metric]["influence"]
        assert (influence.shape, influence.dtype.name) == ((12,), "float64")
        assert float(influence.sum()) == pytest.approx(0, abs=1e-9 * np.abs(influence).sum())
        assert np.count_nonzero(influence[:11]) == 11
        (lacking,) = [i for i, row in enumerate(pairs) if row.generated is None]
        # Of the last pair the target is there, which is a reference image.
        assert bool(influence[lacking]) == metric.startswith("fd")
        assert bool(given.arrays[metric]["influence"][lacking]) is False


def test_influences_are_those_of_the_images_whatever_their_pairs(tmp_path: Path) -> None:
    """A target that two pairs share counts once, with the first of them."""
    generated, target = folders(tmp_path, generated="abcdef", target="abc")
    listed = tmp_path / "pairs.csv"
    listed.write_text(
        "generated,target\n" + "".join(f"{n}.png,{t}.png\n" for n, t in zip("abcdef", "aabbcc", strict=True))
    )
    pairs = Pairs.from_csv(listed, generated, target)
    result = run(tmp_path, pairs, Fid(**EMBEDDED))
    assert result.scores["fd_efficientnet_lite0"].details["reference_n"] == 3
    shared = result.arrays["fd_efficientnet_lite0"]["influence"]
    alone = run(tmp_path, pairs, Fid(**EMBEDDED), reference=list_images(target)).arrays["fd_efficientnet_lite0"]
    of_targets = shared - alone["influence"]
    assert (np.abs(of_targets) > 1e-9).tolist() == [True, False] * 3
