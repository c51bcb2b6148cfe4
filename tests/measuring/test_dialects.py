"""Dialects: what their files say, what is refused, and under which names their numbers are recorded."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from toys import write_image

from fhpt_eval.engine.cache import Cache
from fhpt_eval.engine.engine import open_engine
from fhpt_eval.errors import UserError
from fhpt_eval.evaluation.evaluate import evaluate
from fhpt_eval.evaluation.run import Run
from fhpt_eval.evaluation.run_record import ScoreRecord
from fhpt_eval.images.geometry import Geometry
from fhpt_eval.measuring.dialects import FOLDER, Dialect, dialect_named, find_dialects, measurements_of, read_dialect
from fhpt_eval.measuring.given import Given
from fhpt_eval.measuring.protocol import configure
from fhpt_eval.pairing.naming import NAMINGS
from fhpt_eval.pairing.pairs import Pairs
from fhpt_eval.protocols.fid import Fid
from fhpt_eval.protocols.l1 import L1
from fhpt_eval.protocols.pckh import Pckh
from fhpt_eval.protocols.ssim import Ssim
from fhpt_eval.reporting.dialect_effects import Family, differences, families
from fhpt_eval.reporting.dialects_page import BEGIN, with_page
from fhpt_eval.reporting.leaderboards.as_csv import Csv
from fhpt_eval.reporting.leaderboards.leaderboard import Leaderboard

DIALECTS = find_dialects()
MEASURED = [dialect for dialect in DIALECTS.values() if not dialect.refused]
PIXELS = ("ssim", "psnr", "l1")

Evaluate = Callable[..., Run]


@pytest.fixture
def measured(tmp_path: Path) -> Evaluate:
    """Evaluate noisy pairs in some dialects, by what needs no weights."""

    def measure(*names: str, size: tuple[int, int] = (176, 256), count: int = 3) -> Run:
        for i in range(count):
            write_image(tmp_path / "real" / f"{i:02}.png", i, size)
            write_image(tmp_path / "mine" / f"{i:02}.png", 100 + i, size)
        pairs = Pairs.from_folders(tmp_path / "mine", tmp_path / "real")
        with Cache(tmp_path / "cache") as cache:
            engine = open_engine("local", cache, device="cpu")
            return evaluate(pairs, measurements_of([dialect_named(n) for n in names], PIXELS), engine=engine)

    return measure


def write(folder: Path, text: str, name: str = "mine.toml") -> Path:
    file = folder / name
    file.write_text(text, encoding="utf-8")
    return file


# What the files say


def test_every_dialect_of_the_field_is_there() -> None:
    assert next(iter(DIALECTS)) == "clean"
    assert set(DIALECTS) >= {
        *("clean", "patn", "dsc", "pg2", "gfla", "dptn", "pidm", "pcdm", "spgnet", "cfld", "pocold", "dior", "leffa"),
        *("disco", "pise", "nted", "casd", "drn", "rate", "mcld", "mcld-512", "catvton", "ladi-vton", "hr-viton"),
    }
    assert {key for key, dialect in DIALECTS.items() if dialect.refused} == {"nted", "casd", "drn", "rate"}


@pytest.mark.parametrize(
    ("alias", "key"), [("adgan", "patn"), ("xinggan", "patn"), ("pcdms", "pcdm"), ("gfla", "gfla")]
)
def test_a_dialect_is_found_by_its_aliases(alias: str, key: str) -> None:
    assert dialect_named(alias).key == key


@pytest.mark.parametrize("dialect", MEASURED, ids=lambda dialect: dialect.key)
def test_a_dialect_says_whose_it_is_and_can_be_configured(dialect: Dialect) -> None:
    assert dialect.paper
    assert dialect.key == "clean" or (dialect.repository and dialect.commit and dialect.files)
    assert dialect.known
    assert not dialect.naming or dialect.naming in NAMINGS
    found = dialect.measurements()
    assert len({m.name for m in found}) == len(dialect.metrics)
    needs = [need for m in found for need in m.protocol.needs()]
    assert needs
    if any(m.protocol.parameters().get("reference") == "given" for m in found):
        assert dialect.reference


def test_ours_is_every_protocol_at_its_default() -> None:
    for measurement in DIALECTS["clean"].measurements():
        assert measurement.protocol == configure(type(measurement.protocol), "paper", {})
        assert measurement.name == measurement.protocol.name


@pytest.mark.parametrize("key", ["nted", "casd", "drn", "rate"])
def test_what_nobody_knows_is_refused_with_the_reason(key: str) -> None:
    with pytest.raises(UserError, match=f"nobody can measure in the dialect '{key}': .+"):
        DIALECTS[key].measurements()


# A file of one's own

OWN = """
title = "mine"
generated_geometry = "centre-crop(width=176, height=256)"

[[metrics]]
name = "sharp"
protocol = "ssim"
options = { sigma = 1.2 }
"""


def test_a_file_of_ones_own_is_a_dialect(tmp_path: Path) -> None:
    (measurement,) = dialect_named(str(write(tmp_path, OWN))).measurements()
    assert measurement.name == "mine@1:sharp"
    assert isinstance(measurement.protocol, Ssim)
    assert measurement.protocol.sigma == 1.2
    assert str(measurement.protocol.generated_geometry) == "centre-crop(width=176, height=256)"
    assert str(measurement.protocol.target_geometry) == "native"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("title = ", "is not TOML"),
        ("[[metrics]]\nname='a'\nprotocol='ssim'", "'title' is missing"),
        ("titel = 'a'\n" + OWN, "'titel' is not known. Did you mean 'title'"),
        (OWN.replace("centre-crop", "center-crop"), "'center-crop' is not a step. Did you mean 'centre-crop'"),
        ("reference_geometry = 'foo(('\n" + OWN, "'reference_geometry' cannot be 'foo((': In the geometry"),
        (OWN.replace("options =", "option ="), "'metrics.0.option' is not known. Did you mean 'options'"),
        (OWN + "\n[[metrics]]\nname='sharp'\nprotocol='l1'", "the metric 'sharp' stands there twice"),
        ("title = 'a'", "a dialect has [[metrics]]"),
        ("refused = 'so'\n" + OWN, "a dialect has [[metrics]]"),
        ("key = 'a'\n" + OWN, "the file's name is the key"),
        ("version = 'one'\n" + OWN, "'version' cannot be 'one'"),
        ("version = true\n" + OWN, "'version' cannot be True"),
        ("version = 0\n" + OWN, "'version' cannot be 0"),
        (OWN.replace("'sharp'", "''").replace('"sharp"', '"a:b"'), "'metrics.0.name' may have letters"),
        ("known = " + "[" * 5000, "is not TOML"),
        ("naming = 'a-b'\n" + OWN, "there is no naming 'a-b'"),
    ],
)
def test_a_file_that_is_not_a_dialect_is_refused(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(UserError) as error:
        read_dialect(write(tmp_path, text))
    assert sentence in str(error.value)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("gfla.toml", "'gfla' is one of fhpt-eval's own dialects"),
        ("pcdms.toml", "'pcdms' is one of fhpt-eval's own dialects"),
        ("a b.toml", "the file name may have letters"),
        ("mine.txt", "the name of a file with a dialect ends in .toml"),
    ],
)
def test_a_file_has_a_name_of_its_own(tmp_path: Path, name: str, sentence: str) -> None:
    (tmp_path / name).write_text(OWN, encoding="utf-8")
    with pytest.raises(UserError) as error:
        dialect_named(str(tmp_path / name))
    assert sentence in str(error.value)


def test_a_file_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(OWN, encoding="utf-8-sig")
    assert read_dialect(file).title == "mine"


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("ssim", "ssmi", "there is no protocol 'ssmi'. Did you mean 'ssim'"),
        ("sigma", "sgma", "protocol 'ssim' has no option 'sgma'. Did you mean 'sigma'"),
        ("1.2", "-1", "option 'ssim.sigma' cannot be '-1'"),
    ],
)
def test_what_a_file_asks_of_protocols_is_checked(tmp_path: Path, old: str, new: str, sentence: str) -> None:
    with pytest.raises(UserError) as error:
        read_dialect(write(tmp_path, OWN.replace(old, new))).measurements()
    assert sentence in str(error.value)
    assert "dialect 'mine': sharp: " in str(error.value)


def test_the_name_of_one_of_ours_is_taken(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="one of fhpt-eval's own"):
        read_dialect(write(tmp_path, OWN, "gfla.toml"))
    assert read_dialect(FOLDER / "gfla.toml").key == "gfla"


def test_a_dialect_that_is_not_there() -> None:
    with pytest.raises(UserError, match="Did you mean 'gfla'"):
        dialect_named("GFLA")
    with pytest.raises(UserError, match="Did you mean 'gfla'"):
        dialect_named("glfa")
    with pytest.raises(UserError, match="No such file"):
        dialect_named("no/such.toml")


# What a run says


def test_two_dialects_never_share_a_column_and_every_number_names_its_own(measured: Evaluate) -> None:
    run = measured("clean", "patn", "pocold", "leffa")
    names = list(run.scores)
    assert len(set(names)) == len(names)
    assert {"ssim", "patn@2:ssim", "pocold@2:ssim", "pocold@2:ssim_256", "leffa@2:ssim"} <= set(names)
    assert {(p.dialect, p.label) for p in run.record.protocols} >= {("clean@2", "ssim"), ("patn@2", "patn@2:ssim")}
    assert list(run.per_pair.columns[8:]) == names
    assert all(f"{name} " in Csv().text(Leaderboard.of([run], everything=True)) for name in names)


def test_the_order_of_files_is_noted_where_it_decides(measured: Evaluate) -> None:
    notes = {p.label: p.note for p in measured("leffa", "patn").record.protocols}
    assert notes.pop("leffa@2:psnr") == "sorted order; the original's order (os.scandir) depends on its file system"
    assert set(notes.values()) == {None}


def test_an_option_of_the_users_own_is_no_dialect(tmp_path: Path) -> None:
    write_image(tmp_path / "real" / "a.png", 1)
    write_image(tmp_path / "mine" / "a.png", 2)
    pairs = Pairs.from_folders(tmp_path / "mine", tmp_path / "real")
    with Cache(tmp_path / "cache") as cache:
        run = evaluate(pairs, [Ssim(sigma=1.2)], engine=open_engine("local", cache, device="cpu"))
    (record,) = run.record.protocols
    assert (record.dialect, record.label) == (None, "ssim")


def test_a_size_that_the_dialect_cannot_have_is_said_with_the_step(measured: Evaluate) -> None:
    run = measured("dptn", size=(256, 256), count=2)
    assert run.scores["dptn@2:ssim"].value is None
    (reason,) = run.scores["dptn@2:ssim"].missing
    assert reason == "the picture is 256×256, and expect(width=176, height=256) wants 176×256"


def test_another_size_than_published_numbers_are_of_is_measured_with_a_warning(measured: Evaluate) -> None:
    run = measured("gfla", "patn", size=(176, 256), count=2)
    assert run.scores["gfla@2:ssim"].n == 2
    unlike = "2 of 2 generated images (176×256) and 2 of 2 target images (176×256)"
    warned = [warning for warning in run.record.warnings if "published numbers" in warning]
    assert warned == [f"gfla@2: its published numbers are of 256×256, unlike {unlike}"]
    assert run.exit_code == 0


def test_strips_of_another_number_of_pictures_are_refused(tmp_path: Path) -> None:
    write_image(tmp_path / "A.jpg_B.jpg.png", 1, (3 * 24, 32))
    pairs = Pairs.from_folders(tmp_path, naming="dsc-strip")
    DIALECTS["dsc"].check(pairs)
    DIALECTS["gfla"].check(pairs)
    with pytest.raises(UserError, match=r"'patn' is for strips of 5 pictures .* strips of 3 "):
        DIALECTS["patn"].check(pairs)


# What sets two apart


def test_differences_lead_from_one_dialect_to_the_other() -> None:
    found = {d.one.metric: d for d in differences(dialect_named("pidm"), dialect_named("gfla"))}
    assert [list(c.options) for c in found["ssim_256"].changes] == [["sigma"]]
    assert found["ssim_256"].changes[0].options["sigma"] == (1.2, 1.5)
    assert found["ssim"].changes == ()
    assert found["ssim_256"].changes[0].protocol == found["ssim_256"].other.protocol


@pytest.mark.parametrize("one", MEASURED, ids=lambda dialect: dialect.key)
def test_all_changes_together_make_the_other_dialects_metric(one: Dialect) -> None:
    for difference in (difference for other in MEASURED for difference in differences(one, other)):
        protocol, other = difference.one.protocol, difference.other.protocol
        for change in difference.changes:
            assert change.protocol != protocol
            protocol = dataclasses.replace(protocol, **{name: getattr(other, name) for name in change.options})
        assert protocol == other


def test_options_that_mean_something_only_together_change_together() -> None:
    (difference,) = [d for d in differences(dialect_named("pg2"), dialect_named("clean")) if d.one.metric == "ssim"]
    assert [sorted(change.options) for change in difference.changes] == [["taps", "window"], ["covariance"]]


def test_families_put_together_what_measures_the_same(measured: Evaluate) -> None:
    found = {family.protocol: family for family in families(measured("clean", "patn", "pise"))}
    assert set(found) == {"ssim", "psnr"}, "PATN's L1 is in other units"
    assert list(found["ssim"].scores) == ["clean@2:ssim", "patn@2:ssim"]
    numbers = [score.value for score in found["ssim"].measured if score.value is not None]
    assert found["ssim"].spread == pytest.approx(max(numbers) - min(numbers))


def test_numbers_of_different_images_have_no_spread() -> None:
    def spread(*missing: dict[str, int]) -> float | None:
        scores = [
            ScoreRecord(
                metric="ssim", better="higher", unit="", value=i, interval=None, n=3, missing=m, faults=0, details={}
            )
            for i, m in enumerate(missing)
        ]
        return Family("ssim", {str(score.value): score for score in scores}).spread

    assert spread({}, {}) == 1
    assert spread({"too small": 3}, {"too small": 3}) == 1
    assert spread({"too small": 3}, {"too large": 3}) is None
    assert spread({}) is None


def test_a_family_without_a_score_has_no_direction() -> None:
    assert Family("fid", {"clean@2:fid": None, "gfla@2:fid": None}).better is None


def test_the_documentation_says_what_the_files_say() -> None:
    text = (Path(__file__).resolve().parents[2] / "docs" / "dialects.md").read_text(encoding="utf-8")
    assert BEGIN in text
    assert with_page(text) == text, "run python -m fhpt_eval.reporting.dialects_page docs/dialects.md"


# What only some files or inputs have


def test_the_same_pixels_of_a_png_and_of_a_jpeg_are_two_things_to_what_saves_them_again(tmp_path: Path) -> None:
    for folder in ("mine", "real"):
        (tmp_path / folder).mkdir()
    noise = np.random.default_rng(1).integers(0, 256, (64, 48, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "mine" / "a.jpg")
    pixels = Image.open(tmp_path / "mine" / "a.jpg").copy()
    for file in ("mine/b.png", "real/a.png", "real/b.png"):
        pixels.save(tmp_path / file)
    again = L1(generated_geometry=Geometry.parse("resave"))
    pairs = Pairs.from_folders(tmp_path / "mine", tmp_path / "real")
    for _ in range(2):  # computed, then from the cache
        with Cache(tmp_path / "cache") as cache:
            run = evaluate(pairs, [again], engine=open_engine("local", cache, device="cpu"))
        jpeg, png = run.per_pair.sort_values("generated")["l1"]
        assert jpeg > 0.001
        assert png == 0


def test_pckh_of_lists_is_unavailable_until_both_are_given() -> None:
    lists = "it compares lists of keypoints and detects none: give them with {}"
    both = "--generated-keypoints FILE and --target-keypoints FILE"
    assert Pckh(keypoints="given").lacks(Given()) == lists.format(both)
    assert Pckh().lacks(Given()) is None
    measured_by = {
        m.name: m.protocol for key in ("patn", "patn-market", "spgnet") for m in DIALECTS[key].measurements()
    }
    for name in ("patn@2:pckh", "patn-market@2:pckh", "spgnet@2:pckh"):
        assert measured_by[name].lacks(Given()) == lists.format(both)
        assert measured_by[name].needs() == ()


def test_batches_that_must_be_whole_need_a_size() -> None:
    with pytest.raises(UserError, match="fewer=fail goes with a batch: set tail"):
        configure(Fid, "paper", {"fewer": "fail"})
