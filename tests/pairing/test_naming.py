from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhpt_eval.pairing.naming import (
    CATEGORIES,
    NAMINGS,
    VIEWS,
    DeepFashionName,
    parse_deepfashion,
    picture_key,
    without_suffix,
)

LISTS = Path(__file__).resolve().parents[2] / "../shared/data/deepfashion"
SIDE = DeepFashionName("WOMEN", "Tees_Tanks", "id_00007624", "03", "2", "side")

needs_lists = pytest.mark.skipif(not LISTS.is_dir(), reason="the DeepFashion lists of shared/ are not here")


def names_of(split: str) -> list[str]:
    return (LISTS / f"{split}.lst").read_text(encoding="utf-8").split()


def parsed(names: list[str]) -> list[DeepFashionName]:
    found = [parse_deepfashion(name) for name in names]
    assert None not in found
    return [name for name in found if name]


@pytest.mark.parametrize(
    "name",
    [
        "fashionWOMENTees_Tanksid0000762403_2side.jpg",
        "fashionWOMENTees_Tanksid0000762403_2side",
        "fashionWOMENTees_Tanksid0000762403_2side.PNG",
        "test/sub/fashionWOMENTees_Tanksid0000762403_2side.jpg",
        "fashionWOMENTeesTanksid0000762403_2side.jpg",
        "deepfashionWOMENTees_Tanksid0000762403_2side.png",
        "WOMEN/Tees_Tanks/id_00007624/03_2_side.jpg",
        "img/WOMEN/Tees_Tanks/id_00007624/03_2_side",
        "/data/img/WOMEN/Tees_Tanks/id_00007624/03_2_side.webp",
        "WOMEN_Tees_Tanks_id_00007624_03_2_side.jpg",
        "img_WOMEN_Tees_Tanks_id_00007624_03_2_side.jpg",
    ],
)
def test_every_spelling_of_a_deepfashion_name_is_read(name: str) -> None:
    assert parse_deepfashion(name) == SIDE
    assert picture_key(name) == "fashionWOMENTees_Tanksid0000762403_2side"


@pytest.mark.parametrize(
    "name",
    [
        "",
        "photo.jpg",
        "fashionWOMENSuitingid0000762403_2side.jpg",  # a category of MEN only
        "fashionWOMENTees_Tanksid0000762403_2front.jpg",  # digit and view disagree
        "fashionWOMENTees_Tanksid0000762403_5side.jpg",
        "fashionWOMENTees_Tanksid000076240_2side.jpg",
        "fashionWOMENTees_Tanksid0000762403_2side_vis.jpg",
        "fashionWOMENTees_Tanksid0000762403_2side.jpg.png",
        "fashionWOMENTees_Tanksid٠٠٠٠٧٦٢٤٠٣_2side.jpg",
        "women/Tees_Tanks/id_00007624/03_2_side.jpg",
        "Tees_Tanks/id_00007624/03_2_side.jpg",
    ],
)
def test_other_names_are_not_deepfashion(name: str) -> None:
    assert parse_deepfashion(name) is None
    assert picture_key(name) == without_suffix(name)


def test_deepfashion_properties_and_both_spellings() -> None:
    assert SIDE.item == "WOMEN/Tees_Tanks/id_00007624"
    assert SIDE.item_colour == "WOMEN/Tees_Tanks/id_00007624/03"
    assert SIDE.flat_name == "fashionWOMENTees_Tanksid0000762403_2side"
    assert SIDE.path_name == "WOMEN/Tees_Tanks/id_00007624/03_2_side"


@given(
    st.sampled_from([(gender, category) for gender, all_of in CATEGORIES.items() for category in all_of]),
    st.from_regex(r"[0-9]{8}", fullmatch=True),
    st.from_regex(r"[0-9]{2}", fullmatch=True),
    st.sampled_from(sorted(VIEWS)),
)
def test_any_deepfashion_name_survives_each_spelling(
    kind: tuple[str, str], digits: str, colour: str, shot: str
) -> None:
    gender, category = kind
    name = DeepFashionName("MEN" if gender == "MEN" else "WOMEN", category, f"id_{digits}", colour, shot, VIEWS[shot])
    pose_gan = f"fashion{gender}{category.replace('_', '')}id{digits}{colour}_{shot}{VIEWS[shot]}"
    for spelling in (name.flat_name, name.path_name, name.path_name.replace("/", "_"), pose_gan):
        assert parse_deepfashion(spelling) == name
        assert parse_deepfashion(f"some/where/{spelling}.png") == name


def test_the_table_of_categories_has_23_classes_whose_pose_gan_spellings_do_not_clash() -> None:
    spellings = [(g, category.replace("_", "")) for g, categories in CATEGORIES.items() for category in categories]
    assert len(set(spellings)) == len(spellings) == 23


@needs_lists
def test_all_names_of_the_split_parse_and_give_the_known_counts() -> None:
    train, test = parsed(names_of("train")), parsed(names_of("test"))
    assert [name.flat_name + ".jpg" for name in train + test] == names_of("train") + names_of("test")
    assert Counter(name.gender for name in train) == {"MEN": 7248, "WOMEN": 41426}
    assert Counter(name.gender for name in test) == {"MEN": 590, "WOMEN": 3448}
    ids = [{name.item_id for name in split} for split in (train, test)]
    assert [len(split) for split in (*ids, ids[0] | ids[1], ids[0] & ids[1])] == [7565, 930, 7982, 513]
    colours = [{name.item_colour for name in split} for split in (train, test)]
    assert [len(split) for split in (*colours, colours[0] & colours[1])] == [12029, 1000, 0]
    assert len({name.item for name in train + test}) == 7982 + 99  # 99 ids stand under two categories
    assert Counter(name.view for name in train + test)["flat"] == 683
    assert len({(name.gender, name.category) for name in train + test}) == 23


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("a.png", "a"),
        ("a.JPEG", "a"),
        ("a.b.png", "a.b"),
        ("a.b", "a.b"),
        ("d.jpg/a", "d.jpg/a"),
        ("a", "a"),
        (".png", ".png"),
        ("", ""),
    ],
)
def test_only_an_image_suffix_is_taken_off(name: str, stem: str) -> None:
    assert without_suffix(name) == stem


@pytest.mark.parametrize(
    ("naming", "file", "parsed_names"),
    [
        ("same-name", "256/a.png", ("256/a", "256/a")),
        ("a___b_vis", "A.jpg___B.jpg_vis.jpg", ("A.jpg", "B.jpg")),
        ("a___b_vis", "sub/A___B_vis.png", ("A", "B")),
        ("patn-strip", "A.jpg___B.jpg_vis.png", ("A.jpg", "B.jpg")),
        ("a_2_b_vis", "A_2_B_vis.jpg", ("A", "B")),
        ("a_2_b_vis", "A_2_B.webp", ("A", "B")),
        ("a_2_b_vis", "A_2side_2_B_2side_vis.jpg", ("A_2side", "B_2side")),
        ("a_to_b", "A_to_B.png", ("A", "B")),
        ("a_to_b", "A_to_B_vis.png", ("A", "B_vis")),
        ("a.jpg_b.jpg", "A_1.jpg_B_2.jpg.png", ("A_1.jpg", "B_2.jpg")),
        ("dsc-strip", "A.PNG_B.png.png", ("A.PNG", "B.png")),
    ],
)
def test_each_convention_reads_its_names(naming: str, file: str, parsed_names: tuple[str, str]) -> None:
    assert NAMINGS[naming].parse(file) == parsed_names


@pytest.mark.parametrize(
    ("naming", "file"),
    [
        ("a___b_vis", "A__B_vis.jpg"),
        ("a___b_vis", "___B_vis.jpg"),
        ("a___b_vis", "A____vis.jpg"),
        ("a_2_b_vis", "A_2side.jpg"),
        ("a_2_b_vis", "A_2_.jpg"),
        ("a_2_b_vis", "A_2_B/c.jpg"),
        ("a_to_b", "A_toB.png"),
        ("a.jpg_b.jpg", "A.jpg___B.jpg_vis.jpg"),
        ("a.jpg_b.jpg", "A_B.png"),
    ],
)
def test_a_convention_refuses_other_names(naming: str, file: str) -> None:
    assert NAMINGS[naming].parse(file) is None
    assert NAMINGS[naming].splits(file) == ()


def test_a_name_with_the_separator_twice_gives_each_split_and_the_last_one_is_the_rule() -> None:
    naming = NAMINGS["a_2_b_vis"]
    assert naming.splits("x_2_y_2_z_vis.jpg") == (("x_2_y", "z"), ("x", "y_2_z"))
    assert naming.parse("x_2_y_2_z_vis.jpg") == ("x_2_y", "z")
    assert NAMINGS["a___b_vis"].splits("a____b_vis.jpg") == (("a_", "b"), ("a", "_b"))


def test_a_split_with_deepfashion_names_on_both_sides_goes_before_the_last_separator() -> None:
    side = "WOMEN_Tees_Tanks_id_00007624_03_2_side"
    assert NAMINGS["a_2_b_vis"].parse(f"{side}_2_{side}_vis.png") == (side, side)


def test_strips_name_their_panels() -> None:
    assert {key: naming.panels for key, naming in NAMINGS.items() if naming.panels} == {"patn-strip": 5, "dsc-strip": 3}
    for naming in NAMINGS.values():
        assert not naming.strip or {"source", "target", "generated"} <= set(naming.strip)


@needs_lists
def test_all_real_pairs_are_read_back_exactly_in_each_convention() -> None:
    lines = (LISTS / "test_pairs.csv").read_text(encoding="utf-8").split()[1:]
    assert len(lines) == 8570
    for line in lines:
        source, target = line.split(",")
        stems = without_suffix(source), without_suffix(target)
        assert NAMINGS["a_2_b_vis"].splits(f"{stems[0]}_2_{stems[1]}_vis.png") == (stems,)
        assert NAMINGS["a_to_b"].splits(f"{stems[0]}_to_{stems[1]}.png") == (stems,)
        for strip_or_plain in ("a___b_vis", "patn-strip"):
            assert NAMINGS[strip_or_plain].splits(f"{source}___{target}_vis.jpg") == ((source, target),)
        for strip_or_plain in ("a.jpg_b.jpg", "dsc-strip"):
            assert NAMINGS[strip_or_plain].splits(f"{source}_{target}.png") == ((source, target),)
