from __future__ import annotations

import subprocess
import sys
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from pydantic import BaseModel, ValidationError

from fhpt_eval.errors import UserError
from fhpt_eval.images.formats import ImageError
from fhpt_eval.images.geometry import (
    COLOURS,
    FILTERS,
    Border,
    CentreCrop,
    Clip,
    Crop,
    Expect,
    Geometry,
    Grey,
    Jpeg,
    Pad,
    Resave,
    Resize,
    Round,
    Step,
    Truncate,
    Usual,
)


def noise(height: int, width: int) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(5).integers(0, 256, (height, width, 3), dtype=np.uint8)


def apply(text: str, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[Any]:
    return Geometry.parse(text).apply(pixels)


sides = st.integers(1, 65_500)
corners = st.integers(0, 65_500)
steps = st.one_of(
    st.builds(Crop, corners, corners, sides, sides),
    st.builds(CentreCrop, sides, sides),
    st.builds(Pad, sides, sides, st.sampled_from(sorted(COLOURS))),
    st.builds(Resize, sides, sides, st.sampled_from(FILTERS)),
    st.builds(Jpeg, st.integers(1, 100), st.sampled_from(["4:2:0", "4:2:2", "4:4:4"])),
    st.builds(Expect, sides, sides),
    st.builds(Usual, sides, sides),
    st.builds(Border, corners, corners, corners, corners, st.sampled_from(sorted(COLOURS))),
    st.builds(Resave, st.integers(1, 100)),
    st.sampled_from([Grey(), Clip(), Round(), Truncate()]),
)


def accepted(chain: list[Step]) -> Geometry | None:
    try:
        return Geometry(tuple(chain))
    except UserError:
        return None


geometries = st.lists(steps, max_size=5).map(accepted).filter(lambda geometry: geometry is not None)


@given(geometries)
def test_the_text_form_reads_back_as_the_same_value(geometry: Geometry) -> None:
    again = Geometry.parse(str(geometry))
    assert again == geometry
    assert hash(again) == hash(geometry)
    assert str(again) == str(geometry)


@given(geometries)
def test_spaces_and_line_breaks_do_not_matter(geometry: Geometry) -> None:
    assert Geometry.parse(str(geometry).replace(" ", "")) == geometry
    assert Geometry.parse(str(geometry).replace(">", "\n  >").replace("=", " = ")) == geometry


def printed_or_refused(text: str) -> str:
    try:
        return str(Geometry.parse(text))
    except UserError as error:
        return str(error)


@given(st.text(max_size=60) | st.lists(st.sampled_from("crop(pad,=1 >native)resize-filter"), max_size=40).map("".join))
def test_any_other_text_is_a_user_error_of_whole_sentences(text: str) -> None:
    assert printed_or_refused(text).endswith((".", "?", "native", "clip", "round", "truncate", ")"))


def test_the_text_form_of_each_step() -> None:
    text = (
        "expect(width=256, height=256) > usual(width=256, height=256) > grey"
        " > crop(left=40, top=0, width=176, height=256) > resave(quality=75, subsampling=4:2:0)"
        " > border(left=40, top=0, right=39, bottom=1, colour=black)"
        " > centre-crop(width=170, height=250)"
        " > pad(width=256, height=256, colour=white) > jpeg(quality=75, subsampling=4:2:0)"
        " > resize(width=299, height=299, filter=pil-float-bicubic) > clip > round > truncate"
    )
    assert str(Geometry.parse(text)) == text
    assert str(Geometry()) == "native"


def test_defaults_may_be_left_out_and_order_is_free_but_one_form_is_printed() -> None:
    geometry = Geometry.parse("pad(height=256,width=300) > jpeg")
    assert geometry == Geometry((Pad(width=300, height=256), Jpeg()))
    assert str(geometry) == "pad(width=300, height=256, colour=white) > jpeg(quality=75, subsampling=4:2:0)"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("resize(width=9, height=9, filter=pil-bicubc)", "Did you mean 'pil-bicubic'?"),
        ("pad(width=9, height=9, colour=whit)", "Did you mean 'white'?"),
        ("resise(width=9, height=9, filter=pil-box)", "Did you mean 'resize'?"),
        ("resize(widht=9, height=9, filter=pil-box)", "Did you mean 'width'?"),
        ("resize(width=9, height=9)", "lacks filter"),
        ("crop(40, 0, 176, 256)", "write <name>=40"),
        ("crop(left=40, left=41)", "has 'left' twice"),
        ("pad(width=9.5, height=9)", "'9.5' is not a whole number"),
        ("pad(width=99999999, height=9)", "'99999999' is not a whole number up to 999999"),
        ("pad(width=-9, height=9)", "'-9' is not a whole number"),
        ("pad(width=0, height=9)", "out of range; give 1 to 65500"),
        ("jpeg(quality=101)", "out of range; give 1 to 100"),
        ("jpeg(subsampling=4:1:1)", "no subsampling '4:1:1'"),
        ("round(mode=up)", "round has no 'mode'. Leave it out."),
        ("native > round", "native stands alone"),
        ("pad(width=9, height=9", "cannot read"),
        ("round >", "'' is not a step"),
        ("", "Known: border, centre-crop, clip"),
    ],
)
def test_mistakes_are_named_with_a_way_out(text: str, message: str) -> None:
    with pytest.raises(UserError) as caught:
        Geometry.parse(text)
    assert message in str(caught.value)


@pytest.mark.parametrize("filter_name", ["torch-bicubic", "tf1-bilinear", "pil-float-box", "cv2-float-cubic"])
@pytest.mark.parametrize("step", ["jpeg", "grey", "resize(width=9, height=9, filter=pil-box)"])
def test_a_step_for_uint8_after_float32_is_refused_before_any_picture(filter_name: str, step: str) -> None:
    float_first = f"resize(width=9, height=9, filter={filter_name})"
    with pytest.raises(UserError, match=r"needs uint8 .* put round or truncate in front of it\.$"):
        Geometry.parse(f"{float_first} > pad(width=16, height=16) > clip > {step}")
    assert apply(f"{float_first} > round > {step}", noise(5, 5)).dtype == np.uint8


def test_native_gives_the_pixels_as_stored() -> None:
    pixels = noise(7, 5)
    np.testing.assert_array_equal(Geometry().apply(pixels), pixels)


def test_crop_takes_the_box() -> None:
    pixels = noise(10, 12)
    cut = apply("crop(left=3, top=2, width=5, height=4)", pixels)
    np.testing.assert_array_equal(cut, pixels[2:6, 3:8])
    assert cut.flags.c_contiguous


def test_centre_crop_leaves_an_odd_remainder_at_the_right_and_bottom() -> None:
    pixels = noise(10, 13)
    np.testing.assert_array_equal(apply("centre-crop(width=10, height=7)", pixels), pixels[1:8, 1:11])


@pytest.mark.parametrize(("colour", "value"), [("white", 255), ("black", 0), ("grey", 128)])
def test_pad_centres_and_puts_an_odd_remainder_at_the_right_and_bottom(colour: str, value: int) -> None:
    pixels = noise(4, 3)
    padded = apply(f"pad(width=8, height=5, colour={colour})", pixels)
    expected = np.pad(pixels, ((0, 1), (2, 3), (0, 0)), constant_values=value)
    np.testing.assert_array_equal(padded, expected)


def test_patns_padding_is_forty_white_columns_on_each_side() -> None:
    pixels = noise(256, 176)
    padded = apply("pad(width=256, height=256, colour=white)", pixels)
    np.testing.assert_array_equal(padded[:, 40:216], pixels)
    assert (padded[:, :40] == 255).all()
    assert (padded[:, 216:] == 255).all()


def test_steps_keep_fractions_that_a_filter_left() -> None:
    pixels = noise(8, 8)
    resized = apply("resize(width=5, height=5, filter=torch-bilinear)", pixels)
    framed = apply("resize(width=5, height=5, filter=torch-bilinear) > pad(width=7, height=7) > clip", pixels)
    assert framed.dtype == np.float32
    np.testing.assert_array_equal(framed[1:6, 1:6], resized)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("crop(left=0, top=0, width=13, height=10)", "12×10, too small for a crop of 13×10 at (0, 0)"),
        ("crop(left=1, top=1, width=12, height=9)", "12×10, too small for a crop of 12×9 at (1, 1)"),
        ("centre-crop(width=12, height=11)", "12×10, too small for a centre-crop of 12×11"),
        ("pad(width=11, height=20)", "12×10, too large to pad to 11×20"),
        ("expect(width=10, height=12)", "12×10, and expect(width=10, height=12) wants 10×12"),
        ("expect(width=12, height=9)", "12×10, and expect(width=12, height=9) wants 12×9"),
    ],
)
def test_a_picture_of_the_wrong_size_is_named_with_both_sizes(text: str, message: str) -> None:
    with pytest.raises(ImageError) as caught:
        apply(text, noise(10, 12))
    assert message in str(caught.value)


def test_expect_changes_nothing() -> None:
    pixels = noise(10, 12)
    np.testing.assert_array_equal(apply("expect(width=12, height=10)", pixels), pixels)
    fractions = apply("resize(width=6, height=5, filter=torch-area) > expect(width=6, height=5)", pixels)
    np.testing.assert_array_equal(fractions, apply("resize(width=6, height=5, filter=torch-area)", pixels))


def test_grey_is_the_same_in_all_channels_and_leaves_grey_alone() -> None:
    pixels = noise(11, 7)
    grey = apply("grey", pixels)
    assert grey.dtype == np.uint8
    assert grey.shape == pixels.shape
    assert grey.flags.c_contiguous
    assert (grey == grey[:, :, :1]).all()
    np.testing.assert_array_equal(apply("grey", grey), grey)
    np.testing.assert_allclose(grey[:, :, 0], pixels @ [0.299, 0.587, 0.114], atol=0.51)


def test_overshoot_stays_in_float_and_is_clipped_on_request() -> None:
    edge = np.zeros((8, 8, 3), dtype=np.uint8)
    edge[:, 4:] = 255
    for name in ("torch-bicubic", "pil-float-bicubic", "cv2-float-cubic"):
        raw = apply(f"resize(width=16, height=16, filter={name})", edge)
        clipped = apply(f"resize(width=16, height=16, filter={name}) > clip", edge)
        assert raw.min() < 0
        assert raw.max() > 255
        np.testing.assert_array_equal(clipped, np.clip(raw, 0, 255))
        assert clipped.dtype == np.float32


def test_round_goes_to_the_nearest_and_halves_to_even_and_truncate_cuts_off() -> None:
    values = np.array([-3.0, 0.4, 0.5, 1.5, 2.5, 3.9, 254.6, 255.4, 300.0], dtype=np.float32)
    pixels = np.repeat(values[None, :, None], 3, axis=2)
    assert Round()(pixels)[0, :, 0].tolist() == [0, 0, 0, 2, 2, 4, 255, 255, 255]
    assert Truncate()(pixels)[0, :, 0].tolist() == [0, 0, 0, 1, 2, 3, 254, 255, 255]
    assert Round()(pixels).dtype == Truncate()(pixels).dtype == np.uint8


@pytest.mark.parametrize("quality", [1, 75, 95, 100])
def test_jpeg_is_pillows_with_its_defaults(quality: int) -> None:
    pixels = noise(19, 33)
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality)
    np.testing.assert_array_equal(apply(f"jpeg(quality={quality})", pixels), np.asarray(Image.open(buffer)))


def test_jpeg_without_subsampling_keeps_more_colour() -> None:
    pixels = noise(32, 32)
    errors = {
        sampling: np.abs(apply(f"jpeg(quality=95, subsampling={sampling})", pixels).astype(int) - pixels).mean()
        for sampling in ("4:4:4", "4:2:2", "4:2:0")
    }
    assert errors["4:4:4"] < errors["4:2:2"] < errors["4:2:0"]


def test_a_picture_wider_than_jpeg_allows_is_an_image_error() -> None:
    with pytest.raises(ImageError, match=r"^the picture is 65501×1, too large for JPEG$"):
        apply("jpeg", np.zeros((1, 65_501, 3), dtype=np.uint8))


@pytest.mark.parametrize("text", [f"resize(width=6, height=9, filter={name})" for name in FILTERS])
def test_a_filter_leaves_its_input_alone_and_gives_contiguous_pixels_of_the_size(text: str) -> None:
    pixels = noise(11, 13)
    pixels.flags.writeable = False
    before = pixels.copy()
    resized = apply(text, pixels)
    np.testing.assert_array_equal(pixels, before)
    assert resized.shape == (9, 6, 3)
    assert resized.dtype in {np.dtype(np.uint8), np.dtype(np.float32)}
    assert resized.flags.c_contiguous
    assert resized.flags.writeable


class Recipe(BaseModel):
    geometry: Geometry = Geometry()


def test_a_pydantic_field_takes_the_value_or_its_text_and_writes_text() -> None:
    text = "pad(width=256, height=256, colour=white)"
    recipe = Recipe.model_validate({"geometry": text})
    assert recipe == Recipe(geometry=Geometry((Pad(256, 256),)))
    assert recipe.model_dump(mode="json") == {"geometry": text}
    assert Recipe.model_validate_json(recipe.model_dump_json()) == recipe
    assert Recipe.model_json_schema()["properties"]["geometry"]["type"] == "string"


def test_a_pydantic_field_reports_a_mistake_where_it_stands() -> None:
    with pytest.raises(ValidationError, match=r"geometry\b[\s\S]*Did you mean 'pad'\?"):
        Recipe.model_validate({"geometry": "pat(width=1, height=1)"})


def test_importing_the_module_loads_neither_torch_nor_opencv() -> None:
    code = "import sys, fhpt_eval.images.geometry; print(sorted({'torch', 'cv2'} & set(sys.modules)))"
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)  # noqa: S603
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "text",
    [
        "native",
        "crop(left=4, top=2, width=20, height=30)",
        "crop(left=4, top=2, width=40, height=30)",
        "centre-crop(width=20, height=30)",
        "centre-crop(width=60, height=30)",
        "pad(width=60, height=60)",
        "pad(width=6, height=60)",
        "expect(width=40, height=48)",
        "expect(width=41, height=48)",
        "resize(width=9, height=8, filter=tf1-bilinear) > clip > round",
        "resize(width=9, height=8, filter=pil-box) > pad(width=10, height=10) > jpeg > grey > truncate",
    ],
)
def test_the_size_of_what_becomes_of_a_picture_is_known_without_its_pixels(text: str) -> None:
    geometry = Geometry.parse(text)
    try:
        made = geometry.apply(np.zeros((48, 40, 3), np.uint8)).shape[1::-1]
    except ImageError:
        made = None
    assert geometry.size(40, 48) == made


def test_the_usual_size_changes_and_refuses_nothing() -> None:
    pixels = noise(10, 12)
    np.testing.assert_array_equal(apply("usual(width=176, height=256)", pixels), pixels)
    geometry = Geometry.parse("usual(width=176, height=256) > border(left=2, top=0, right=1, bottom=0)")
    assert geometry.size(12, 10) == (15, 10)
    assert str(geometry.on(12, 10)) == "border(left=2, top=0, right=1, bottom=0, colour=white)"


def test_a_border_is_as_wide_whatever_the_picture() -> None:
    for height, width in ((10, 12), (256, 176), (300, 300)):
        pixels = noise(height, width)
        bordered = apply("border(left=40, top=1, right=39, bottom=0, colour=white)", pixels)
        assert bordered.shape == (height + 1, width + 79, 3)
        np.testing.assert_array_equal(bordered[1:, 40:-39], pixels)
        assert (bordered[0] == 255).all()
        assert (bordered[:, :40] == 255).all()
        assert (bordered[:, -39:] == 255).all()


def test_only_what_is_a_jpeg_file_is_saved_as_jpeg_again() -> None:
    pixels = noise(16, 24)
    again = Geometry.parse("resave")
    np.testing.assert_array_equal(again.apply(pixels, "PNG"), pixels)
    np.testing.assert_array_equal(again.apply(pixels, "JPEG"), apply("jpeg(quality=75)", pixels))
    assert not np.array_equal(again.apply(pixels, "JPEG"), pixels)
