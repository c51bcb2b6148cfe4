"""Which images of a folder were trained on, by the lists of the field."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from fhpt_eval.auditing.audit import audit
from fhpt_eval.auditing.findings import Finding
from fhpt_eval.datasets.lists import read_split_list
from fhpt_eval.datasets.split_findings import split_findings
from fhpt_eval.errors import UserError

TRAINED, SAME_ITEM, FREE, ELSEWHERE = (
    "fashionMENDenimid0000000101_1front",
    "fashionMENDenimid0000000102_1front",
    "fashionWOMENDressesid0000020303_1front",
    "fashionWOMENDressesid0000029904_3back",
)


@pytest.fixture(autouse=True)
def lists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("train.lst").write_text(f"{TRAINED}.jpg\n")
    Path("test.lst").write_text(f"{SAME_ITEM}.jpg\n{FREE}.jpg\n")


def found(*names: str, train: bool = True, test: bool = True) -> list[Finding]:
    Path("mine").mkdir()
    for shade, name in enumerate(names):
        Image.new("RGB", (4, 4), (shade, 0, 0)).save(f"mine/{name}.png")
    lists = [read_split_list(Path(f"{n}.lst"), n) if given else None for n, given in (("train", train), ("test", test))]
    return [f for f in split_findings(audit(["mine"]).folders, *lists) if f.folder == "mine"]


def test_images_of_the_test_split_alone_give_nothing() -> None:
    assert found(FREE) == []


def test_training_images_and_their_garments_and_what_is_in_no_list() -> None:
    assert found(TRAINED, SAME_ITEM, FREE, ELSEWHERE) == [
        Finding(
            "mine",
            "leakage",
            "1 of 4 images named in train.lst: right for a reference set, not for targets",
            [f"{TRAINED}.png"],
        ),
        Finding(
            "mine",
            "leakage",
            "1 image (33.3%) of garments that train.lst has pictures of",
            [f"{SAME_ITEM}.png: MEN/Denim/id_00000001"],
        ),
        Finding("mine", "others", "2 of 4 images not named in test.lst", [f"{TRAINED}.png", f"{ELSEWHERE}.png"]),
    ]


@pytest.mark.parametrize("name", ["{}_2_{}_vis", "{}.jpg___{}.jpg_vis", "{}_to_{}", "{}.jpg_{}.jpg"])
def test_of_two_names_the_target_counts(name: str) -> None:
    (finding,) = found(name.format(FREE, TRAINED), name.format(TRAINED, FREE), test=False)
    assert finding.files == [f"{name.format(FREE, TRAINED)}.png"]


def test_lists_against_each_other(tmp_path: Path) -> None:
    Path("mine").mkdir()
    Image.new("RGB", (4, 4)).save(f"mine/{FREE}.png")
    lists = [read_split_list(Path(name), name) for name in ("train.lst", "test.lst")]
    (finding,) = split_findings(audit(["mine"]).folders, *lists)
    assert (finding.folder, finding.what) == ("test.lst", "1 image (50.0%) of garments that train.lst has pictures of")


def test_lists_are_refused_where_no_name_is_one_of_deepfashion() -> None:
    with pytest.raises(UserError, match="no image has a name of DeepFashion's"):
        found("a", "b")
