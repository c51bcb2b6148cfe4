"""Lists of pairs as the field has them: one set of pairs, whoever wrote it down."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path

import pytest

from fhpt_eval.errors import UserError
from fhpt_eval.generation.generate import list_requests
from fhpt_eval.pairing.pairs import Pairs

CASES = Path(__file__).resolve().parents[2] / "../shared/data/cases"
PEOPLE = ("fashionMENDenimid0000008001", "fashionWOMENTees_Tanksid0000762403", "fashionWOMENDressesid0000020303")
PAIRS = [(f"{person}_1front.jpg", f"{person}_3back.jpg") for person in PEOPLE]


def touched(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


def generated_name(source: str, target: str) -> str:
    return f"{source.removesuffix('.jpg')}_2_{target.removesuffix('.jpg')}_vis.png"


def lines(separator: str, header: str = "", *, swapped: bool = False, end: str = "\n", before: str = "") -> str:
    rows = [separator.join(pair[::-1] if swapped else pair) for pair in PAIRS]
    return "".join(f"{row}{end}" for row in [*([header] if header else []), *(f"{before}{row}" for row in rows)])


def windows(text: str) -> str:
    return text.replace("fashion", "test\\fashion")


INDEXED = "\n".join([",from,to", *(f"{i},{source},{target}" for i, (source, target) in enumerate(PAIRS))])
FORMS = {
    "comma": lines(",", "from,to"),
    "semicolon": lines(";", "from;to", end="\r\n"),
    "tab": lines("\t", "from\tto"),
    "space": lines(" ", "from to"),
    "further columns": lines(",", "from,to,pose,split").replace("back.jpg", "back.jpg,7,test"),
    "pandas' index": INDEXED,
    "pandas' index, named": INDEXED.replace(",from", "Unnamed: 0,from", 1),
    "backslashes": windows(lines(",", "from,to")),
    "PCDMs' JSON": json.dumps([{"source_image": source, "target_image": target} for source, target in PAIRS]),
    "the same as CSV": lines(",", "source_image,target_image"),
    "no header": lines(","),
    "no header, target first": lines(",", swapped=True),
    "no header, space": lines(" "),
    "no header, tab, target first": lines("\t", swapped=True),
    "no header, spaces and a category": lines("   ").replace("back.jpg", "back.jpg 1"),
    "no header, but an index": "".join(f"{i},{source},{target}\n" for i, (source, target) in enumerate(PAIRS)),
    "no header, DeepFashion's paths without suffix": "img/MEN/Denim/id_00000080/01_1_front,"
    "img/MEN/Denim/id_00000080/01_3_back\n" + lines(",").split("\n", 1)[1],
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_pairs(tmp_path: Path, form: str) -> None:
    generated = touched(tmp_path / "g", *(generated_name(*pair) for pair in PAIRS))
    real = touched(tmp_path / "t", *(name for pair in PAIRS for name in pair))
    right, other = tmp_path / "right.csv", tmp_path / "other.txt"
    right.write_text(FORMS["comma"], encoding="utf-8")
    other.write_text(FORMS[form], encoding="utf-8", newline="")
    expected, found = (Pairs.from_csv(path, generated, real, real) for path in (right, other))
    assert expected.report.matched == 3
    assert found == expected
    assert found.hash == expected.hash


def test_a_table_that_names_generated_files_may_have_an_index_and_further_columns(tmp_path: Path) -> None:
    generated = touched(tmp_path / "g", "sub/x.png", "y.png")
    path = tmp_path / "pairs.csv"
    path.write_text(";generated;target;seed\n0;sub\\x.png;a.jpg;3\n1;y.png;b.jpg;4\n", encoding="utf-8")
    pairs = Pairs.from_csv(path, generated, touched(tmp_path / "t", "a.jpg", "b.jpg"))
    assert [(row.generated and row.generated.name, row.target and row.target.name) for row in pairs] == [
        ("sub/x.png", "a.jpg"),
        ("y.png", "b.jpg"),
    ]


def test_the_order_of_names_is_told_by_the_names_of_targets_too(tmp_path: Path) -> None:
    path = tmp_path / "pairs.txt"
    path.write_text("t1.jpg s1.jpg\nt2.jpg s2.jpg\n", encoding="utf-8")
    pairs = Pairs.from_csv(path, touched(tmp_path / "g", "t1.png", "t2.png"))
    assert [row.pair for row in pairs] == ["s1__t1", "s2__t2"]


def test_an_order_that_cannot_be_told_is_refused_and_one_that_does_not_matter_is_not(tmp_path: Path) -> None:
    path = tmp_path / "pairs.txt"
    path.write_text("a.jpg b.jpg\nc.jpg d.jpg\n", encoding="utf-8")
    generated = touched(tmp_path / "g", "a_2_b_vis.png", "d_2_c_vis.png")
    with pytest.raises(UserError, match=r"pairs\.txt has no header, and .* 'from,to' or 'to,from' on top"):
        Pairs.from_csv(path, generated)
    path.write_text("a.jpg b.jpg\nb.jpg a.jpg\n", encoding="utf-8")
    pairs = Pairs.from_csv(path, touched(tmp_path / "h", "a_2_b_vis.png", "b_2_a_vis.png"))
    assert (pairs.report.matched, len(pairs)) == (2, 2)


def test_without_generated_images_nothing_tells_the_order(tmp_path: Path) -> None:
    real = touched(tmp_path / "t", "a.jpg", "b.jpg")
    path = tmp_path / "pairs.txt"
    path.write_text("a.jpg b.jpg\n", encoding="utf-8")
    with pytest.raises(UserError, match="'from,to' or 'to,from' on top"):
        list_requests(path, real, real, tmp_path / "out")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a.jpg,b.jpg,c.jpg\n", "row 1: 3 of 3 cells name a picture, and no header"),
        ("a.jpg\nb.jpg\n", "row 1: 1 of 1 cells name a picture"),
        ("a.jpg b.jpg\nc.jpg\n", "row 2: 1 cells where the first line has 2"),
        ('{"source_image": "a.jpg"}', "is JSON, but no list of objects"),
        ("[1]", "is JSON, but no list of objects"),
        ('[{"from": "a", "to": "b"}', "not readable as JSON (Expecting"),
        ("[" * 100_000, "not readable as JSON (lists within lists"),
        ('[{"from": "a", "to": ["b"]}]', "row 1: a list or an object stands where a name should be"),
        ('[{"from": "a", "to": "b"}, {"from": "c"}]', "row 2: an empty name"),
        ("generated,item_color\nx.png,1\n", "unknown column 'item_color'. Did you mean 'item_colour'?"),
        ("from,to,gendre\na,b,m\n", "unknown column 'gendre'. Did you mean 'gender'?"),
        ("from,to\na\x1b[31m.jpg,b.jpg\n", r"row 2: 'a\u001b[31m.jpg' holds a control character"),
        ("from,to\na\u202e.jpg,b.jpg\n", r"row 2: 'a\u202e.jpg' holds a control character"),
        ("from,to,item\na,b,\x9b2J\n", r"row 2: '\u009b2J' holds a control character"),
        ('from,to\n"a\nb",c\n', r"row 3: 'a\u000ab' holds a control character"),
        ("fr\x1bom,to\na,b\n", r"begins with 'fr\u001bom'"),
    ],
)
def test_what_is_no_list_is_told_with_its_row_and_without_control_bytes(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "pairs.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UserError) as error:
        Pairs.from_csv(path, touched(tmp_path / "g", "x.png"))
    assert told in str(error.value)
    assert str(error.value).isprintable()


COMPOSED, DECOMPOSED = (unicodedata.normalize(form, "Zoë Müller") for form in ("NFC", "NFD"))


@pytest.mark.parametrize("listed", [COMPOSED, DECOMPOSED])
@pytest.mark.parametrize("stored", [COMPOSED, DECOMPOSED])
def test_names_that_differ_in_normalisation_alone_are_the_same(tmp_path: Path, listed: str, stored: str) -> None:
    real = touched(tmp_path / "t", f"{stored}/a.jpg", "b.jpg")
    generated = touched(tmp_path / "g", f"b_2_{stored}_vis.png")
    same = Pairs.from_folders(touched(tmp_path / "same", f"{COMPOSED}/a.png"), real, naming="same-name")
    assert (same.report.matched, [row.pair for row in same]) == (1, [f"{COMPOSED}/a", "b"])
    path = tmp_path / "pairs.csv"
    path.write_text(f"from,to,item\nb.jpg,{listed}.jpg,{listed}\n", encoding="utf-8")
    (row,) = Pairs.from_csv(path, generated, touched(tmp_path / "u", f"{stored}.jpg"), real)
    assert row.target is not None
    assert (row.pair, row.target.name, row.item) == (f"b__{COMPOSED}", f"{COMPOSED}.jpg", COMPOSED)
    assert row.target.path.is_file()


def test_two_files_that_differ_in_normalisation_alone_are_ambiguous(tmp_path: Path) -> None:
    real = touched(tmp_path / "t", f"{COMPOSED}.jpg", f"{DECOMPOSED}.jpg", "b.jpg")
    if len(list(real.iterdir())) < 3:
        pytest.skip("this file system takes the two for one name")
    pairs = Pairs.from_folders(touched(tmp_path / "g", f"{COMPOSED}.png", "b.png"), real)
    assert pairs.report.matched == 1
    (phrase,) = pairs.report.ambiguous
    assert phrase.startswith(f"{COMPOSED}: target")


@pytest.mark.skipif(not CASES.is_dir(), reason="the cases of shared/ are not here")
def test_the_six_pairs_of_each_spelling() -> None:
    base = CASES / "base"
    expected = Pairs.from_csv(base / "pairs.csv", base / "gen", base / "target", base / "source")
    assert expected.report.matched == 6
    lists = sorted((CASES / "pair-lists").iterdir())
    assert len(lists) == 6
    for path in lists:
        assert Pairs.from_csv(path, base / "gen", base / "target", base / "source").rows == expected.rows, path.name
