from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from PIL import Image

from fhpt_eval.errors import UserError
from fhpt_eval.images.decoding import ImageRef
from fhpt_eval.pairing.naming import NAMINGS, parse_deepfashion
from fhpt_eval.pairing.pairs import Pair, PairReport, Pairs

TEST_PAIRS = Path(__file__).resolve().parents[2] / "../shared/data/deepfashion/test_pairs.csv"

FRONT = "fashionWOMENTees_Tanksid0000762403_1front"
SIDE = "fashionWOMENTees_Tanksid0000762403_2side"
MAN = "fashionMENDenimid0000008001_3back"

needs_lists = pytest.mark.skipif(not TEST_PAIRS.is_file(), reason="the DeepFashion lists of shared/ are not here")


def folder(root: Path, names: Iterable[str], size: tuple[int, int] | None = None) -> Path:
    """A folder of empty files, which suffices for pairing, or of pictures where a size is given."""
    for name in names:
        path = root / name
        if not path.parent.is_dir():
            path.parent.mkdir(parents=True)
        if size:
            Image.new("RGB", size).save(path)
        else:
            path.touch()
    return root


def listed(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def ids(pairs: Pairs) -> list[str]:
    return [row.pair for row in pairs]


def complete_names(pairs: Pairs) -> list[tuple[str, str | None, str | None]]:
    return [
        (row.generated.name, row.target.name if row.target else None, row.source.name if row.source else None)
        for row in pairs
        if row.generated
    ]


def test_same_names_are_paired_by_relative_path_whatever_the_suffix(tmp_path: Path) -> None:
    pairs = Pairs.from_folders(
        folder(tmp_path / "g", ["256/x.png", "256/y.PNG", "512/x.webp"]),
        folder(tmp_path / "t", ["256/x.jpg", "256/y.jpeg", "512/x.bmp"]),
        folder(tmp_path / "s", ["256/x.jpg", "256/y.jpg", "512/x.jpg"]),
    )
    assert pairs.naming == "same-name"
    assert ids(pairs) == ["256/x", "256/y", "512/x"]
    assert complete_names(pairs)[2] == ("512/x.webp", "512/x.bmp", "512/x.jpg")
    assert pairs.report == PairReport(matched=3)
    assert pairs.rows[0].generated == ImageRef(tmp_path / "g/256/x.png", name="256/x.png")
    pairs.require_complete()


def test_a_same_name_in_another_folder_is_not_the_same(tmp_path: Path) -> None:
    pairs = Pairs.from_folders(
        folder(tmp_path / "g", ["a/x.png", "b/y.png"]), folder(tmp_path / "t", ["a/x.png", "c/y.png"])
    )
    assert pairs.report.matched == 1
    assert pairs.report.missing == ("b/y: no target image 'b/y.png'", "c/y: no generated image")


def test_same_name_meets_the_other_deepfashion_spelling(tmp_path: Path) -> None:
    pairs = Pairs.from_folders(
        folder(tmp_path / "g", [f"{FRONT}.png"]),
        folder(tmp_path / "t", ["WOMEN/Tees_Tanks/id_00007624/03_1_front.jpg"]),
    )
    assert ids(pairs) == ["WOMEN/Tees_Tanks/id_00007624/03_1_front"]
    assert pairs.report == PairReport(matched=1)


@pytest.mark.parametrize(
    ("naming", "template"),
    [
        ("a___b_vis", "{a}.jpg___{b}.jpg_vis.jpg"),
        ("a_2_b_vis", "{a}_2_{b}_vis.png"),
        ("a_to_b", "{a}_to_{b}.png"),
        ("a.jpg_b.jpg", "{a}.jpg_{b}.jpg.png"),
    ],
)
@pytest.mark.parametrize("how", ["auto", "named"])
def test_two_name_conventions(tmp_path: Path, naming: str, template: str, how: str) -> None:
    real = folder(tmp_path / "t", [f"{FRONT}.jpg", f"{SIDE}.jpg", f"{MAN}.jpg"])
    generated = folder(tmp_path / "g", [template.format(a=FRONT, b=SIDE), template.format(a=SIDE, b=FRONT)])
    pairs = Pairs.from_folders(generated, real, real, naming=naming if how == "named" else "auto")
    assert pairs.naming == naming
    assert ids(pairs) == [f"{FRONT}__{SIDE}", f"{SIDE}__{FRONT}"]
    assert pairs.report == PairReport(matched=2)
    row = pairs.rows[0]
    assert row.target == ImageRef(real / f"{SIDE}.jpg", name=f"{SIDE}.jpg")
    assert row.source == ImageRef(real / f"{FRONT}.jpg", name=f"{FRONT}.jpg")
    assert (row.item, row.item_colour) == ("WOMEN/Tees_Tanks/id_00007624", "WOMEN/Tees_Tanks/id_00007624/03")
    assert (row.gender, row.view) == ("WOMEN", "side")
    assert [ref.name for ref in pairs.unique("source")] == [f"{FRONT}.jpg", f"{SIDE}.jpg"]


@pytest.mark.parametrize(
    ("naming", "file", "size", "panel_of"),
    [
        ("patn-strip", f"{FRONT}.jpg___{SIDE}.jpg_vis.jpg", (5 * 11, 16), {"source": 0, "target": 2, "generated": 4}),
        ("dsc-strip", f"{FRONT}.jpg_{SIDE}.jpg.png", (3 * 16, 16), {"source": 0, "target": 1, "generated": 2}),
    ],
)
def test_strips_give_all_three_pictures_from_one_file(
    tmp_path: Path, naming: str, file: str, size: tuple[int, int], panel_of: dict[str, int]
) -> None:
    pairs = Pairs.from_folders(folder(tmp_path / "g", [file], size))
    assert pairs.naming == naming
    (row,) = pairs
    panels = NAMINGS[naming].panels
    path = tmp_path / "g" / file
    assert row.generated == ImageRef(path, panel_of["generated"], panels, file)
    assert row.target == ImageRef(path, panel_of["target"], panels, f"{SIDE}.jpg")
    assert row.source == ImageRef(path, panel_of["source"], panels, f"{FRONT}.jpg")
    assert pairs.report == PairReport(matched=1)


def test_a_target_folder_goes_before_the_panel_of_a_strip(tmp_path: Path) -> None:
    real = folder(tmp_path / "t", [f"{SIDE}.jpg"])
    generated = folder(tmp_path / "g", [f"{FRONT}.jpg___{SIDE}.jpg_vis.jpg"], (55, 16))
    (row,) = Pairs.from_folders(generated, real)
    assert row.target == ImageRef(real / f"{SIDE}.jpg", name=f"{SIDE}.jpg")
    assert row.generated
    assert row.generated.panel == 4
    assert row.source
    assert row.source.panel == 0


@pytest.mark.parametrize("size", [(11, 16), (54, 16), (15, 16)])
def test_a_picture_that_is_no_strip_by_its_size_is_not_cut(tmp_path: Path, size: tuple[int, int]) -> None:
    pairs = Pairs.from_folders(folder(tmp_path / "g", [f"{FRONT}.jpg___{SIDE}.jpg_vis.jpg"], size))
    assert pairs.naming == "a___b_vis"
    assert complete_names(pairs) == [(f"{FRONT}.jpg___{SIDE}.jpg_vis.jpg", None, None)]


def test_a_target_in_several_strips_is_one_picture(tmp_path: Path) -> None:
    generated = folder(tmp_path / "g", ["b.jpg___t.jpg_vis.jpg", "a.jpg___t.jpg_vis.jpg"], (55, 16))
    pairs = Pairs.from_folders(generated)
    assert [(ref.name, ref.path.name) for ref in pairs.unique("target")] == [("t.jpg", "a.jpg___t.jpg_vis.jpg")]
    assert len(pairs.unique("generated")) == 2


def test_a_broken_file_does_not_hide_that_the_others_are_strips(tmp_path: Path) -> None:
    generated = folder(tmp_path / "g", ["a.jpg___t.jpg_vis.jpg", "c.jpg___t.jpg_vis.jpg"], (55, 16))
    (generated / "b.jpg___t.jpg_vis.jpg").write_bytes(b"\xff\xd8\xffbroken")
    assert Pairs.from_folders(generated).naming == "patn-strip"


def test_strips_without_names_are_used_when_a_list_names_them(tmp_path: Path) -> None:
    generated = folder(tmp_path / "g", ["generated_0.jpg"], (48, 16))
    csv = listed(tmp_path / "pairs.csv", f"generated,target,source\ngenerated_0.jpg,{SIDE}.jpg,{FRONT}.jpg\n")
    (row,) = Pairs.from_csv(csv, generated, naming="dsc-strip")
    assert row.pair == f"{FRONT}__{SIDE}"
    assert row.target == ImageRef(generated / "generated_0.jpg", 1, 3, f"{SIDE}.jpg")
    csv = listed(tmp_path / "pairs.csv", "generated\ngenerated_0.jpg\n")
    (row,) = Pairs.from_csv(csv, generated, naming="dsc-strip")
    assert row.pair == "generated_0"
    assert row.target == ImageRef(generated / "generated_0.jpg", 1, 3, "generated_0.jpg#target")


def test_without_folders_of_real_images_names_decide(tmp_path: Path) -> None:
    two_names = Pairs.from_folders(folder(tmp_path / "g", ["a_2_b_vis.png", "b_2_a_vis.png", "cover.png"]))
    assert two_names.naming == "a_2_b_vis"
    assert ids(two_names) == ["a__b", "b__a"]
    assert two_names.report.extra == ("cover.png: not named as 'a_2_b_vis'",)
    plain = Pairs.from_folders(folder(tmp_path / "h", ["x_2_y.png", "one.png", "two.png"]))
    assert plain.naming == "same-name"
    assert ids(plain) == ["one", "two", "x_2_y"]
    assert Pairs.from_folders(folder(tmp_path / "i", ["only.png"])).report == PairReport(matched=1)


def test_a_source_folder_alone_decides_too(tmp_path: Path) -> None:
    pairs = Pairs.from_folders(
        folder(tmp_path / "g", ["a_2_b_vis.png", "b_2_c_vis.png"]), source=folder(tmp_path / "s", ["a.jpg", "b.jpg"])
    )
    assert complete_names(pairs) == [("a_2_b_vis.png", None, "a.jpg"), ("b_2_c_vis.png", None, "b.jpg")]
    assert pairs.report == PairReport(matched=2)


def test_hidden_files_and_other_files_make_no_pairs_but_are_listed(tmp_path: Path) -> None:
    generated = folder(tmp_path / "g", ["x.png", ".y.png", ".cache/z.png", "log.txt", "x.npy", "png"])
    pairs = Pairs.from_folders(generated, folder(tmp_path / "t", ["x.jpg", ".DS_Store"]))
    assert pairs.report == PairReport(matched=1)
    of_generated, of_targets = pairs.listings
    assert of_generated.left_out.keys() == {".cache/z.png", ".y.png"}
    assert of_generated.others == ("log.txt", "png", "x.npy")
    assert of_targets.others == (".DS_Store",)


def test_linked_folders_are_followed_once(tmp_path: Path) -> None:
    real = folder(tmp_path / "real", ["x.png"])
    generated = folder(tmp_path / "g", ["y.png"])
    (generated / "link").symlink_to(real, target_is_directory=True)
    (real / "loop").symlink_to(generated, target_is_directory=True)
    assert ids(Pairs.from_folders(generated)) == ["link/x", "y"]


def test_missing_targets_and_sources_keep_their_pair(tmp_path: Path) -> None:
    pairs = Pairs.from_folders(
        folder(tmp_path / "g", ["a_2_b_vis.png", "b_2_c_vis.png", "c_2_b_vis.png"]),
        folder(tmp_path / "t", ["b.png"]),
        folder(tmp_path / "s", ["a.png", "b.png"]),
    )
    assert ids(pairs) == ["a__b", "b__c", "c__b"]
    assert pairs.report == PairReport(matched=1, missing=("b__c: no target image 'c'", "c__b: no source image 'c'"))
    assert pairs.rows[1].generated is not None
    assert pairs.rows[1].target is None
    with pytest.raises(
        UserError, match=r"2 problem\(s\) with the 3 pairs: b__c: no target image 'c';.*--allow-missing"
    ):
        pairs.require_complete()


def test_only_the_first_problems_are_spelled_out(tmp_path: Path) -> None:
    names = [f"{i}.png" for i in range(6)]
    pairs = Pairs.from_folders(folder(tmp_path / "g", names[:1]), folder(tmp_path / "t", names))
    with pytest.raises(UserError, match=r"1: no generated image; .* 3: no generated image; and 2 more"):
        pairs.require_complete()
    assert str(pairs.report) == "1 matched, 5 missing, 0 extra, 0 ambiguous, 0 duplicate"


def test_two_targets_of_one_stem_are_ambiguous_and_neither_is_taken(tmp_path: Path) -> None:
    pairs = Pairs.from_folders(
        folder(tmp_path / "g", ["a_2_b_vis.png", "a_2_c_vis.png"]), folder(tmp_path / "t", ["b.jpg", "b.png", "c.png"])
    )
    assert pairs.report == PairReport(matched=1, ambiguous=("a__b: target 'b' can be b.jpg and b.png",))
    assert pairs.rows[0].target is None
    assert pairs.report.problems == pairs.report.ambiguous


def test_one_file_name_in_two_folders_is_ambiguous_unless_the_path_is_given(tmp_path: Path) -> None:
    real = folder(tmp_path / "t", ["p/b.png", "q/b.png", "c.png"])
    pairs = Pairs.from_folders(folder(tmp_path / "g", ["a_2_b_vis.png", "a_2_c_vis.png"]), real)
    assert pairs.report.ambiguous == ("a__b: target 'b' can be p/b.png and q/b.png",)
    csv = listed(tmp_path / "pairs.csv", "from,to\nc.png,p/b.png\n")
    (row,) = Pairs.from_csv(csv, folder(tmp_path / "h", ["c_2_b_vis.png"]), real)
    assert row.target == ImageRef(real / "p/b.png", name="p/b.png")
    assert row.pair == "c__p/b"


def test_a_full_file_name_tells_two_suffixes_apart(tmp_path: Path) -> None:
    real = folder(tmp_path / "t", ["a.jpg", "b.jpg", "b.png"])
    (row,) = Pairs.from_folders(folder(tmp_path / "g", ["a.jpg___b.jpg_vis.jpg"]), real)
    assert row.target == ImageRef(real / "b.jpg", name="b.jpg")


@pytest.mark.parametrize("second", ["a_2_b_vis.jpg", "again/a_2_b_vis.png"])
def test_two_generated_files_for_one_pair_are_ambiguous(tmp_path: Path, second: str) -> None:
    generated = folder(tmp_path / "g", ["a_2_b_vis.png", second, "b_2_a_vis.png"])
    pairs = Pairs.from_folders(generated, folder(tmp_path / "t", ["a.png", "b.png"]))
    assert pairs.report.matched == 1
    assert pairs.report.missing == ()
    (phrase,) = pairs.report.ambiguous
    assert phrase == f"a__b: more than one generated image, {' and '.join(sorted(['a_2_b_vis.png', second]))}"
    assert pairs.rows[0].generated is None
    assert pairs.rows[0].target is not None


def test_the_split_whose_files_are_known_is_taken(tmp_path: Path) -> None:
    generated = folder(tmp_path / "g", ["x_2_y_2_z_vis.png"])
    real = folder(tmp_path / "t", ["y_2_z.png", "x.png"])
    assert ids(Pairs.from_folders(generated, real, real)) == ["x__y_2_z"]
    assert ids(Pairs.from_folders(generated, folder(tmp_path / "u", ["z.png"]))) == ["x_2_y__z"]
    assert ids(Pairs.from_folders(generated)) == ["x_2_y__z"]


def test_two_splits_with_known_files_are_ambiguous(tmp_path: Path) -> None:
    real = folder(tmp_path / "t", ["z.png", "y_2_z.png"])
    pairs = Pairs.from_folders(folder(tmp_path / "g", ["x_2_y_2_z_vis.png", "y_2_z.png"]), real, naming="a_2_b_vis")
    assert ids(pairs) == ["y__z"]
    assert pairs.report.ambiguous == ("x_2_y_2_z_vis.png: its name can be split into source and target in 2 ways",)


def test_two_conventions_that_fit_alike_are_an_error_with_both_names(tmp_path: Path) -> None:
    generated = folder(tmp_path / "g", ["a_2_b.png"])
    real = folder(tmp_path / "t", ["b.png", "a_2_b.png"])
    with pytest.raises(UserError, match=r"'same-name' as well as 'a_2_b_vis'.*--naming"):
        Pairs.from_folders(generated, real)
    assert ids(Pairs.from_folders(generated, real, naming="a_2_b_vis")) == ["a__b"]


def test_same_name_trees_of_names_that_look_like_pairs(tmp_path: Path) -> None:
    names = [f"{FRONT}_2_{SIDE}_vis.png", f"{SIDE}_2_{FRONT}_vis.png"]
    pairs = Pairs.from_folders(folder(tmp_path / "g", names), folder(tmp_path / "t", names))
    assert pairs.naming == "same-name"
    assert pairs.report == PairReport(matched=2)


def test_a_from_to_list_finds_files_by_their_names(tmp_path: Path) -> None:
    csv = listed(tmp_path / "pairs.csv", f"from,to,note\n{FRONT}.jpg,{SIDE}.jpg,x\n{SIDE}.jpg,{FRONT}.jpg,y\n")
    real = folder(tmp_path / "t", [f"WOMEN/Tees_Tanks/id_00007624/03_{view}.jpg" for view in ("1_front", "2_side")])
    pairs = Pairs.from_csv(csv, folder(tmp_path / "g", [f"{FRONT}_to_{SIDE}.png", "other.png"]), real, real)
    assert pairs.naming == "a_to_b"
    assert ids(pairs) == [f"{FRONT}__{SIDE}", f"{SIDE}__{FRONT}"]
    assert pairs.report == PairReport(
        matched=1, missing=(f"{SIDE}__{FRONT}: no generated image",), extra=("other.png: not a listed pair",)
    )
    assert pairs.rows[1].target is not None
    assert pairs.rows[0].target == ImageRef(
        real / "WOMEN/Tees_Tanks/id_00007624/03_2_side.jpg", name="WOMEN/Tees_Tanks/id_00007624/03_2_side.jpg"
    )


def test_a_list_with_deepfashion_paths_meets_flat_and_pose_gan_names(tmp_path: Path) -> None:
    text = "to,from\nimg/WOMEN/Tees_Tanks/id_00007624/03_2_side.jpg,img/WOMEN/Tees_Tanks/id_00007624/03_1_front.jpg\n"
    csv = listed(tmp_path / "test_pairs.txt", text)
    dsc = folder(tmp_path / "g", [f"{FRONT}.jpg_{SIDE}.jpg.png".replace("Tees_Tanks", "TeesTanks")])
    pairs = Pairs.from_csv(csv, dsc, folder(tmp_path / "t", [f"deep{SIDE}.png"]))
    assert pairs.naming == "a.jpg_b.jpg"
    assert ids(pairs) == [f"{FRONT}__{SIDE}"]
    assert pairs.report == PairReport(matched=1)


def test_a_row_twice_in_the_list_is_kept_once_and_reported(tmp_path: Path) -> None:
    csv = listed(tmp_path / "pairs.csv", "from,to\na.jpg,b.jpg\nb.jpg,a.jpg\na.png,b.png\n")
    pairs = Pairs.from_csv(csv, folder(tmp_path / "g", ["a_2_b_vis.png", "b_2_a_vis.png"]))
    assert ids(pairs) == ["a__b", "b__a"]
    assert pairs.report == PairReport(matched=2, duplicate=("row 4: a__b is listed in row 2 already",))
    csv = listed(tmp_path / "pairs.csv", "generated,target\nx.png,b.jpg\nx.png,b.jpg\n")
    pairs = Pairs.from_csv(csv, folder(tmp_path / "h", ["x.png"]))
    assert pairs.report == PairReport(matched=1, duplicate=("row 3: x is listed in row 2 already",))


def test_same_name_with_a_list_needs_one_pair_for_each_target(tmp_path: Path) -> None:
    generated = folder(tmp_path / "g", ["b.png", "c.png"])
    csv = listed(tmp_path / "pairs.csv", "from,to\na.jpg,b.jpg\nb.jpg,c.jpg\na.jpg,c.jpg\n")
    pairs = Pairs.from_csv(csv, generated)
    assert pairs.naming == "same-name"
    assert complete_names(pairs) == [("b.png", None, None)]
    assert pairs.report.ambiguous == ("c.png: fits 2 listed pairs, b__c and a__c",)


def test_a_list_that_names_every_file(tmp_path: Path) -> None:
    csv = listed(
        tmp_path / "pairs.csv",
        "\ufeffGenerated\tTarget\tSource\tItem\tItem_colour\tGender\tView\n"
        "out/1.png\tb.png\ta.png\tshirt 7\tshirt 7 red\tFemale\tback\n"
        f"2.png\t{MAN}.png\ta.png\t\t\t\t\n"
        "\t\t\t\t\t\t\n"
        "3.png\tb.png\t\t\t\tm\t\n",
    )
    generated = folder(tmp_path / "g", ["out/1.png", "2.png", "3.png", "4.png"])
    real = folder(tmp_path / "t", ["a.png", "b.png", f"{MAN}.png"])
    pairs = Pairs.from_csv(csv, generated, real, real)
    assert pairs.naming == "csv"
    assert pairs.report == PairReport(matched=2, missing=("3: no source is listed",), extra=("4.png: not listed",))
    assert [(row.pair, row.item, row.item_colour, row.gender, row.view) for row in pairs] == [
        ("3", None, None, "MEN", None),
        ("a__b", "shirt 7", "shirt 7 red", "WOMEN", "back"),
        (f"a__{MAN}", "MEN/Denim/id_00000080", "MEN/Denim/id_00000080/01", "MEN", "back"),
    ]


def test_a_list_of_generated_files_takes_other_names_from_the_convention(tmp_path: Path) -> None:
    real = folder(tmp_path / "t", ["a.png", "b.png"])
    csv = listed(tmp_path / "pairs.csv", "generated,gender\na_2_b_vis.png,WOMEN\nb_2_a_vis.png,\n")
    generated = folder(tmp_path / "g", ["a_2_b_vis.png", "b_2_a_vis.png"])
    pairs = Pairs.from_csv(csv, generated, real)
    assert (pairs.naming, ids(pairs)) == ("a_2_b_vis", ["a__b", "b__a"])
    assert pairs.report == PairReport(matched=2)
    csv = listed(tmp_path / "pairs.csv", "generated,gender\na.png,WOMEN\nc.png,\n")
    pairs = Pairs.from_csv(csv, folder(tmp_path / "h", ["a.png", "c.png"]), real)
    assert (pairs.naming, ids(pairs)) == ("same-name", ["a", "c"])
    assert pairs.report == PairReport(matched=1, missing=("c: no target image 'c.png'",))


def test_two_listed_files_for_one_pair_are_ambiguous(tmp_path: Path) -> None:
    csv = listed(tmp_path / "pairs.csv", "generated,target,source\n1.png,b,a\n2.png,b,a\n3.png,c,a\n")
    pairs = Pairs.from_csv(csv, folder(tmp_path / "g", ["1.png", "2.png", "3.png"]))
    assert pairs.report == PairReport(matched=1, ambiguous=("a__b: more than one generated image, 1.png and 2.png",))


def test_one_file_with_two_targets_is_an_error(tmp_path: Path) -> None:
    csv = listed(tmp_path / "pairs.csv", "generated,target\n1.png,b\n1.png,c\n")
    with pytest.raises(UserError, match=r"row 3: '1.png' has other names in row 2; keep one"):
        Pairs.from_csv(csv, folder(tmp_path / "g", ["1.png"]))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty.*header should be 'from,to'"),
        ("\n\n", "empty"),
        ("from,to\n", "header but no rows"),
        ("from,to\n\n , \n", "header but no rows"),
        ("a,b\n", "no known header.*'a'.*should be 'from,to'"),
        ("a.jpg,b.jpg\n", "no generated image could be paired by its name"),
        ("target,item\nb,1\n", "no known header"),
        ("generated,taget\na,b\n", "unknown column 'taget'. Did you mean 'target'"),
        ("from,to,source\na,b,c\n", "two columns for 'source'"),
        ("from,to\na\n", "row 2: 1 cells where the header has 2"),
        ("from,to\na,b\nc,d,e\n", "row 3: 3 cells"),
        ("from,to\na,\n", "row 2: an empty name"),
        ("generated,target\n,b\n", "row 2: no generated image is named"),
        ("from,to,gender\na,b,x\n", "row 2: gender 'x' is not known; write MEN or WOMEN"),
        ("generated\n../x.png\n", "row 2: '../x.png' leads out of the folder of generated images"),
        ("generated\n/etc/x.png\n", "row 2: '/etc/x.png' leads out"),
        ("generated\ns3://me:hidden@b/x.png\n", "row 2: 's3://…@b/x.png' leads out"),
        ("generated,target\nx.png,/etc/b.png\n", "row 2: '/etc/b.png' is not a path inside of a folder, and --target"),
        ("from,to\na/../../b,c\n", "row 2: 'a/../../b' is not a path inside"),
        ("generated\nnowhere.png\n", "no generated image could be paired"),
        ("generated,target\nnowhere.png,b\n", "no listed pair has all of its files: nowhere: no generated image"),
        ("from,to\nq,r\n", "no generated image could be paired by its name.*'x.png'"),
        ('from,to\n"a' + "b" * 140_000 + '",c\n', "not readable as CSV"),
    ],
)
def test_bad_lists_are_named_with_their_row(tmp_path: Path, text: str, message: str) -> None:
    csv = listed(tmp_path / "pairs.csv", text)
    with pytest.raises(UserError, match=message):
        Pairs.from_csv(csv, folder(tmp_path / "g", ["x.png"]))


def test_a_list_that_is_not_utf8_or_not_a_file_is_an_error(tmp_path: Path) -> None:
    generated = folder(tmp_path / "g", ["x.png"])
    csv = tmp_path / "pairs.csv"
    with pytest.raises(UserError, match=r"pairs\.csv cannot be read \(No such file or directory\); check --pairs\."):
        Pairs.from_csv(csv, generated)
    csv.write_bytes("from,to\nä,b\n".encode("latin-1"))
    with pytest.raises(UserError, match="not UTF-8 text"):
        Pairs.from_csv(csv, generated)
    with pytest.raises(UserError, match=r"cannot be read \(Is a directory\); check --pairs\."):
        Pairs.from_csv(generated, generated)


def test_absolute_paths_inside_of_the_folder_are_taken(tmp_path: Path) -> None:
    generated = folder(tmp_path / "g", ["sub/x.png"])
    csv = listed(tmp_path / "pairs.csv", f"generated\n{generated}/sub/x.png\n")
    assert complete_names(Pairs.from_csv(csv, generated)) == [("sub/x.png", None, None)]


@pytest.mark.parametrize(
    ("cell", "gender"),
    [("MEN", "MEN"), ("Man", "MEN"), ("male", "MEN"), ("M", "MEN"), ("women", "WOMEN"), ("F", "WOMEN"), ("", None)],
)
def test_genders_are_read_in_the_usual_words(tmp_path: Path, cell: str, gender: str | None) -> None:
    csv = listed(tmp_path / "pairs.csv", f"generated,gender\nx.png,{cell}\n")
    (row,) = Pairs.from_csv(csv, folder(tmp_path / "g", ["x.png"]))
    assert row.gender == gender


def _no_folder(root: Path) -> Pairs:
    return Pairs.from_folders(root / "nowhere")


def _file_for_folder(root: Path) -> Pairs:
    return Pairs.from_folders(folder(root / "g", ["x.png"]), root / "g/x.png")


def _no_images(root: Path) -> Pairs:
    return Pairs.from_folders(folder(root / "g", ["x.png"]), source=folder(root / "s", ["x.txt"]))


def _nothing_in_common(root: Path) -> Pairs:
    return Pairs.from_folders(folder(root / "g", ["x.png"]), folder(root / "t", ["y.png"]))


def _wrong_naming(root: Path) -> Pairs:
    return Pairs.from_folders(folder(root / "g", ["x.png"]), naming="a_to_b")


def _unknown_naming(root: Path) -> Pairs:
    return Pairs.from_folders(folder(root / "g", ["x.png"]), naming="patn-stripe")


def _only_ambiguous(root: Path) -> Pairs:
    return Pairs.from_folders(folder(root / "g", ["x.png"]), folder(root / "t", ["x.jpg", "x.png"]))


@pytest.mark.parametrize(
    ("mistake", "message"),
    [
        (_no_folder, "folder of generated images does not exist.*nowhere; check --generated"),
        (_file_for_folder, "--target expects a folder of images, but .*x.png is a file"),
        (_no_images, r"no images in the folder of source images.*\.bmp, \.jfif.*check --source"),
        (_nothing_in_common, "generated 'x.png' and target 'y.png'; naming tried: same-name, a___b_vis.*--pairs"),
        (_wrong_naming, "no generated image could be paired.*naming tried: a_to_b"),
        (_unknown_naming, "unknown --naming 'patn-stripe'. Did you mean 'patn-strip'"),
        (_only_ambiguous, "no pair can be told: x: target 'x.png' can be x.jpg and x.png"),
    ],
)
def test_mistakes_are_one_sentence_with_a_way_out(
    tmp_path: Path, mistake: Callable[[Path], Pairs], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        mistake(tmp_path)


def test_table_has_one_row_a_pair_with_paths_as_text(tmp_path: Path) -> None:
    real = folder(tmp_path / "t", [f"{SIDE}.jpg"])
    pairs = Pairs.from_folders(folder(tmp_path / "g", [f"{FRONT}_2_{SIDE}_vis.png"]), real)
    assert pairs.table.to_dict("records") == [
        {
            "pair": f"{FRONT}__{SIDE}",
            "generated": str(tmp_path / "g" / f"{FRONT}_2_{SIDE}_vis.png"),
            "target": str(real / f"{SIDE}.jpg"),
            "source": None,
            "item": "WOMEN/Tees_Tanks/id_00007624",
            "item_colour": "WOMEN/Tees_Tanks/id_00007624/03",
            "gender": "WOMEN",
            "view": "side",
        }
    ]


def test_the_view_is_that_of_the_target_and_never_of_the_source(tmp_path: Path) -> None:
    csv = listed(tmp_path / "pairs.csv", f"generated,target,source\n1.png,b.png,{FRONT}.png\n")
    (row,) = Pairs.from_csv(csv, folder(tmp_path / "g", ["1.png"]))
    assert (row.gender, row.view) == ("WOMEN", None)


@pytest.mark.parametrize(
    ("cell", "view"),
    [
        *((cell, "flat") for cell in ("flat", "Flat", "FLAT", "flat-lay", "Flat_Lay", "flat lay", "flatlay", "6")),
        *((cell, "flat") for cell in ("6_flat", "6flat", "6-FLAT")),
        ("Front", "front"),
        ("Back-Left", "back-left"),
        ("inflatable", "inflatable"),
        ("16", "16"),
        ("", None),
    ],
)
def test_views_are_read_in_any_case_and_flat_in_its_usual_words(tmp_path: Path, cell: str, view: str | None) -> None:
    csv = listed(tmp_path / "pairs.csv", f"generated,target,view\n1.png,b.png,{cell}\n")
    (row,) = Pairs.from_csv(csv, folder(tmp_path / "g", ["1.png"]))
    assert row.view == view


def test_two_methods_on_one_list_have_one_hash(tmp_path: Path) -> None:
    real = folder(tmp_path / "t", [f"{FRONT}.jpg", f"{SIDE}.jpg"])
    csv = listed(tmp_path / "pairs.csv", f"from,to\n{FRONT}.jpg,{SIDE}.jpg\n{SIDE}.jpg,{FRONT}.jpg\n")
    gfla = folder(tmp_path / "gfla", [f"{FRONT}_2_{SIDE}_vis.jpg", f"{SIDE}_2_{FRONT}_vis.jpg"])
    patn_names = [f"{FRONT}.jpg___{SIDE}.jpg_vis.jpg", f"{SIDE}.jpg___{FRONT}.jpg_vis.jpg"]
    patn = folder(tmp_path / "patn", patn_names, (55, 16))
    dsc = folder(tmp_path / "dsc", [f"{FRONT}.jpg_{SIDE}.jpg.png".replace("_Tanks", "Tanks")])
    hashes = {
        Pairs.from_folders(gfla, real).hash,
        Pairs.from_folders(gfla, real, real).hash,
        Pairs.from_folders(gfla).hash,
        Pairs.from_folders(patn).hash,
        Pairs.from_csv(csv, gfla, real).hash,
        Pairs.from_csv(csv, dsc, real).hash,  # one generated image is missing; the list is the same
    }
    assert len(hashes) == 1
    assert Pairs.from_folders(dsc, real).hash not in hashes


def test_the_hash_depends_on_the_targets_of_a_list(tmp_path: Path) -> None:
    generated = folder(tmp_path / "g", ["x.png"])
    one = Pairs.from_csv(listed(tmp_path / "1.csv", "generated,target\nx.png,a.jpg\n"), generated)
    same = Pairs.from_csv(listed(tmp_path / "2.csv", "generated,target\nx.png,a.png\n"), generated)
    other = Pairs.from_csv(listed(tmp_path / "3.csv", "generated,target\nx.png,b.png\n"), generated)
    assert one.hash == same.hash != other.hash


def test_the_order_of_files_and_rows_has_no_influence(tmp_path: Path) -> None:
    names = [f"p{i}_to_q{i}.png" for i in range(20)]
    real = folder(tmp_path / "t", (f"q{i}.jpg" for i in range(20)))
    forward = Pairs.from_folders(folder(tmp_path / "a" / "g", names), real)
    backward = Pairs.from_folders(folder(tmp_path / "b" / "g", reversed(names)), real)
    assert complete_names(forward) == complete_names(backward)
    assert ids(forward) == sorted(ids(forward)) == ids(backward)
    rows = [f"p{i}.jpg,q{i}.jpg\n" for i in range(20)]
    one = Pairs.from_csv(listed(tmp_path / "1.csv", "from,to\n" + "".join(rows)), tmp_path / "a/g", real)
    two = Pairs.from_csv(listed(tmp_path / "2.csv", "from,to\n" + "".join(rows[::-1])), tmp_path / "a/g", real)
    assert one == two


def test_pairs_can_be_counted_and_walked() -> None:
    rows = (Pair("a", None, None, None), Pair("b", None, None, None))
    pairs = Pairs(rows, PairReport(matched=0), "same-name")
    assert len(pairs) == 2
    assert tuple(pairs) == rows
    assert pairs.unique("target") == ()
    assert pairs.table["generated"].isna().all()


@needs_lists
def test_all_real_pairs_are_found_from_the_list_and_from_folders(tmp_path: Path) -> None:
    lines = [line.split(",") for line in TEST_PAIRS.read_text(encoding="utf-8").split()[1:]]
    stems = [(source.removesuffix(".jpg"), target.removesuffix(".jpg")) for source, target in lines]
    generated = folder(tmp_path / "g", (f"{source}_2_{target}_vis.png" for source, target in stems))
    paths = [name.path_name for stem, _ in stems if (name := parse_deepfashion(stem))]
    real = folder(tmp_path / "t", (f"{path}.jpg" for path in set(paths)))

    by_list = Pairs.from_csv(TEST_PAIRS, generated, real, real)
    by_folders = Pairs.from_folders(generated, real, real)

    assert by_list.report == PairReport(matched=8570)
    assert by_list.rows == by_folders.rows
    assert by_list.hash == by_folders.hash
    assert Counter(row.gender for row in by_list) == {"WOMEN": 7544, "MEN": 1026}
    assert Counter(row.view for row in by_list) == {
        "front": 2256, "side": 1789, "back": 1784, "full": 1368, "additional": 1346, "flat": 27,
    }  # fmt: skip
    assert [len(by_list.unique(role)) for role in ("generated", "target", "source")] == [8570, 3144, 3144]
    assert len({row.item for row in by_list}) == 811
    assert len({row.item_colour for row in by_list}) == 876


def test_one_file_does_not_stand_for_two_listed_people(tmp_path: Path) -> None:
    names = ("p1/0.png", "p1/1.png", "p2/0.png", "p2/1.png")
    for role in ("generated", "real"):
        folder(tmp_path / role, names)
    table = tmp_path / "list.csv"
    table.write_text("generated,target\n" + "".join(f"{n},{n}\n" for n in names), encoding="utf-8")
    whole = Pairs.from_csv(table, tmp_path / "generated", tmp_path / "real")
    assert whole.report.matched == 4
    one_level_too_deep = Pairs.from_csv(table, tmp_path / "generated", tmp_path / "real" / "p1")
    assert one_level_too_deep.report.matched == 2
    assert len(one_level_too_deep.report.ambiguous) == 2
    with pytest.raises(UserError, match="stands for 'p1/0' and for 'p2/0'"):
        one_level_too_deep.require_complete()
