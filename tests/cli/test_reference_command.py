"""``fhpt-eval reference``: made, shown, taken over from other tools, and compared with."""

from __future__ import annotations

import io
import json
import os
import zipfile
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest
from conftest import Command, Draw

EMBEDDED = ("--profile", "embedded", "-p", "fid,kid")


@pytest.fixture
def train(draw: Draw) -> Path:
    return draw("train", "klmnopqr", seed=3)


def test_a_run_with_the_file_is_the_run_with_the_folder(
    command: Command, folders: tuple[str, str, str, str], train: Path
) -> None:
    made = command("reference", "make", "--reference", train, "-o", "train.safetensors", *EMBEDDED)
    assert made.code == 0
    assert made.err == ""
    assert made.out.splitlines()[1].startswith("8 images of 48×64, by fhpt-eval ")
    run = ("run", *folders, *EMBEDDED, "--quiet", "--reference")
    assert command(*run, train, "-o", "folder", "--name", "folder").code == 0
    assert command(*run, "train.safetensors", "-o", "file", "--name", "file").code == 0
    records = [json.loads(Path(name, "run.json").read_text()) for name in ("folder", "file")]
    for by_folder, by_file in zip(*(record["protocols"] for record in records), strict=True):
        assert by_file["recipe"] == by_folder["recipe"]
        for one, other in zip(by_folder["scores"], by_file["scores"], strict=True):
            assert (one["value"], one["interval"], one["missing"]) == (
                other["value"],
                other["interval"],
                other["missing"],
            )
    board = json.loads(command("leaderboard", "folder", "file", "--json").out)
    assert len(board["blocks"]) == 1
    verified = command("verify", "folder", *folders, "--reference", "train.safetensors", "--quiet")
    assert verified.code == 0
    assert "2 of 2 numbers follow" in verified.out
    shown = command("reference", "show", "train.safetensors", "--json")
    told = json.loads(shown.out)
    assert told["sha256"] == records[1]["protocols"][0]["reference_file"]["sha256"]
    assert told["content"] == records[0]["protocols"][0]["recipe"]["reference"]
    plain = command("reference", "show", "train.safetensors").out
    assert "mean and covariance of 8, features of each in float32" in plain
    dry = command(*run, "train.safetensors", "--dry-run", "--precision", "bfloat16")
    assert "precision is float32 in the file, and bfloat16 in this run" in dry.out


def test_what_make_is_asked_wrongly_is_a_sentence(
    command: Command, train: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = ("reference", "make", "--reference", train, "--profile", "embedded")
    Path("there.safetensors").touch()
    Path("link.safetensors").symlink_to("gone")
    Path("folder.safetensors").mkdir()
    for wrong, sentence in (
        (("-o", "there.safetensors"), "there.safetensors is there: choose another file with -o, or"),
        (("-o", "x.npz"), "x.npz: the file ends in .safetensors."),
        (("-o", "memory://x/y.safetensors"), "nothing is written to memory://: give a folder of this machine with -o."),
        (("-o", "link.safetensors"), "link.safetensors is there: choose another file with -o, or"),
        (("-o", "folder.safetensors", "--overwrite"), "folder.safetensors is a folder: name a file with -o."),
        (("-o", "no/x.safetensors"), "there is no folder no: make it, or choose another file with -o."),
        (("-o", "x.safetensors", "-p", "ssim"), "--protocols: ssim does not compare with a reference set; leave it"),
    ):
        outcome = command(*make, *wrong)
        assert outcome.code == 2
        assert sentence in outcome.sentence
        assert not Path("x.safetensors").exists()
    assert command(*make, "-o", "there.safetensors", "-p", "fid", "--overwrite").code == 0
    with monkeypatch.context() as patched:
        patched.setattr(os, "access", lambda path, *_: str(path) != ".")
        assert "the folder . cannot be written: choose another" in command(*make, "-o", "x.safetensors").sentence
    offline = command("reference", "make", "--reference", train, "-o", "x.safetensors", "-p", "fid")
    assert offline.code == 2
    assert "inception-2015" in offline.sentence


def test_images_that_cannot_be_read_are_named(command: Command, train: Path) -> None:
    (train / "broken.png").write_bytes(b"none")
    (train / ".hidden.png").write_bytes((train / "k.png").read_bytes())
    made = command("reference", "make", "--reference", train, "-o", "x.safetensors", *EMBEDDED)
    assert made.code == 3
    left_out, lacking = made.err.splitlines()
    assert left_out == f"fhpt-eval: left out: {train}/.hidden.png: hidden: a name begins with a dot"
    assert lacking.startswith(f"fhpt-eval: without features: {train}/broken.png: unreadable: ")
    assert "9 images (8 of 48×64), by" in made.out
    shown = json.loads(command("reference", "show", "x.safetensors", "--json").out)
    assert (shown["images"], shown["features"][0]["n"]) == (9, 8)


def statistics(file: str, n: int = 1500, **others: Any) -> dict[str, Any]:
    """Write what pytorch-fid writes, of seeded features."""
    rows = np.abs(np.random.default_rng(1).normal(size=(n, 1280)))
    arrays = {"mu": rows.mean(0), "sigma": np.cov(rows, rowvar=False), **others}
    np.savez_compressed(file, **{name: array for name, array in arrays.items() if array is not None})
    return arrays


USE = ("reference", "use", "stats.npz", "--network", "efficientnet-lite0", "-o", "x.safetensors")


def test_statistics_of_another_tool_are_used_as_stated(command: Command, folders: tuple[str, str, str, str]) -> None:
    statistics("stats.npz")
    assert command(*USE).code == 0
    run = command("run", *folders, *EMBEDDED, "--reference", "x.safetensors", "-o", "run")
    assert run.code == 3
    assert "kid: x.safetensors has no features of each image, which kid compares" in run.err
    record = json.loads(Path("run/run.json").read_text())
    fid = record["protocols"][0]
    assert fid["scores"][0]["details"]["reference_n"] is None
    assert fid["scores"][0]["interval"] is not None
    assert fid["reference_file"]["stated"] == "stats.npz"
    assert fid["reference_file"]["n"] is None
    assert any(
        "comes from stats.npz, whose network and preprocessing are as stated, not verified, and nothing tells of how"
        " many images it is" in warning
        for warning in record["warnings"]
    )
    shown = command("reference", "show", "x.safetensors").out
    assert "an unknown number of images" in shown
    assert "as stated of stats.npz" in shown


def test_fid_infinity_of_a_count_that_nothing_tells_has_no_interval(
    command: Command, folders: tuple[str, str, str, str]
) -> None:
    statistics("stats.npz")
    command(*USE)
    fid = ("--profile", "embedded", "-p", "fid", "--set", "fid.extrapolate=3")
    command("run", *folders, *fid, "--reference", "x.safetensors", "-o", "run")
    record = json.loads(Path("run/run.json").read_text())
    infinity = record["protocols"][0]["scores"][1]
    assert infinity["value"] is not None
    assert infinity["interval"] is None
    assert any(
        "nothing tells how many reference images there are: the value is a rough" in w for w in record["warnings"]
    )


def test_a_stated_count_is_recorded_and_gives_the_same_distance(
    command: Command, folders: tuple[str, str, str, str]
) -> None:
    statistics("stats.npz")
    command(*USE)
    command(*USE[:-1], "y.safetensors", "--images", "1500")
    values = []
    for name, count in (("x", None), ("y", 1500)):
        command("run", *folders, "--profile", "embedded", "-p", "fid", "--reference", f"{name}.safetensors", "-o", name)
        (score,) = json.loads(Path(name, "run.json").read_text())["protocols"][0]["scores"]
        assert score["details"]["reference_n"] == count
        values.append(score["value"])
    assert values[0] == pytest.approx(values[1], rel=1e-12)


def test_features_of_clean_fid_serve_kid_and_fid(command: Command, folders: tuple[str, str, str, str]) -> None:
    # As clean-fid lays its files out: mu and sigma in one, feats in another that ends in _kid.npz.
    rows = np.abs(np.random.default_rng(1).normal(size=(40, 1280))).astype(np.float32)
    np.savez_compressed("set.npz", mu=rows.mean(0), sigma=np.cov(rows, rowvar=False))
    np.savez_compressed("set_kid.npz", feats=rows)
    both = ("reference", "use", "set.npz", "set_kid.npz", "--network", "efficientnet-lite0", "-o", "x.safetensors")
    assert command(*both).code == 0
    assert command("run", *folders, *EMBEDDED, "--reference", "x.safetensors", "-o", "run").code == 0
    record = json.loads(Path("run/run.json").read_text())
    assert [p["scores"][0]["details"]["reference_n"] for p in record["protocols"]] == [40, 40]
    assert any("which images show items of the generated ones is not known" in w for w in record["warnings"])
    alone = ("reference", "use", "set_kid.npz", "--network", "efficientnet-lite0", "-o", "feats.safetensors")
    assert command(*alone).code == 0
    command("run", *folders, *EMBEDDED, "--reference", "feats.safetensors", "-o", "alone")
    again = json.loads(Path("alone/run.json").read_text())
    (fid, kid), (fid_alone, kid_alone) = ([p["scores"][0]["value"] for p in r["protocols"]] for r in (record, again))
    assert kid == kid_alone
    assert fid == pytest.approx(fid_alone, rel=1e-6)
    tail = command(
        "run", *folders, "--profile", "embedded", "-p", "fid", "--set", "fid.tail=2", "--reference", "x.safetensors"
    )
    assert "does not tell the order of its images" in tail.err


@pytest.mark.parametrize(
    ("arrays", "sentence"),
    [
        ({"mu": np.zeros(7)}, "stats.npz cannot be used, mu is float64 of 7 instead of floats of 1280: state another"),
        ({"sigma": np.zeros((1280, 3))}, "sigma is float64 of 1280×3 instead of floats of 1280×1280"),
        ({"mu": np.full(1280, np.nan)}, "stats.npz cannot be used, mu holds NaN or infinite values: ask who made it."),
        ({"sigma": -np.eye(1280)}, "its statistics of efficientnet-lite0 has a negative eigenvalue"),
        ({"sigma": np.triu(np.ones((1280, 1280)))}, "its statistics of efficientnet-lite0 is not symmetric"),
        ({"mu": np.array(["x"] * 1280)}, "mu is <U1 of 1280"),
        ({"mu": np.array([None] * 1280)}, "mu is object of 1280"),
        ({"mu": None}, "stats.npz has sigma: mu goes with sigma, give both."),
        ({"mu": None, "sigma": None, "x": np.zeros(1)}, "stats.npz has neither mu and sigma nor feats"),
        ({"feats": np.ones((1, 1280))}, "feats is of 1 images: a set has at least 2."),
        ({"feats": np.full((2, 1280), 1e300)}, "feats holds values that are too large: ask who made it."),
        ({"feats": np.ones((9, 1280))}, "cannot be used, the mean of its features of efficientnet-lite0"),
        ({"feats": np.ones(1280)}, "feats is float64 of 1280 instead of floats of n×1280"),
    ],
)
def test_what_is_not_such_statistics_is_refused(command: Command, arrays: dict[str, Any], sentence: str) -> None:
    statistics("stats.npz", **arrays)
    outcome = command(*USE)
    assert outcome.code == 2
    assert sentence in outcome.sentence
    assert not Path("x.safetensors").exists()


def test_what_is_stated_must_make_sense(command: Command) -> None:
    rows = np.ones((4, 1280), dtype=np.float32)
    np.savez("stats.npz", feats=rows)
    for wrong, sentence in (
        (("--images", "5"), "--images 5: stats.npz has features of 4 images."),
        (("--preprocess", "clean-fid"), "preprocess belongs to Inception"),
    ):
        outcome = command(*USE, *wrong)
        assert outcome.code == 2
        assert sentence in outcome.sentence
    network = command("reference", "use", "stats.npz", "--network", "inception-2015", "-o", "x.safetensors")
    assert "--preprocess: state how images came to inception-2015; its features depend on that." in network.sentence
    unknown = command("reference", "use", "stats.npz", "--network", "vgg", "-o", "x.safetensors")
    assert unknown.code == 2
    assert "vgg" in unknown.sentence


def test_a_mean_in_float32_is_that_of_its_features(command: Command) -> None:
    # As clean-fid takes it: NumPy adds row after row.
    rows = np.maximum(np.random.default_rng(1).normal(0.3, 1, size=(5000, 1280)), 0).astype(np.float32)
    mean = rows.mean(axis=0)
    assert np.abs(mean - rows.mean(axis=0, dtype=np.float64)).max() > 1e-6 * mean.max()
    np.savez("stats.npz", mu=mean, sigma=np.cov(rows, rowvar=False), feats=rows)
    assert command(*USE).code == 0
    assert command("reference", "show", "x.safetensors").code == 0


def test_statistics_at_an_address_are_read(command: Command) -> None:
    statistics("stats.npz", n=4)
    files = fsspec.filesystem("memory")
    files.pipe("/sets/stats.npz", Path("stats.npz").read_bytes())
    try:
        assert command(*USE[:2], "memory://sets/stats.npz", *USE[3:]).code == 0
    finally:
        files.rm("/sets", recursive=True)
    show = command("reference", "show", "memory://sets/x.safetensors")
    assert show.sentence.startswith("memory://sets/x.safetensors is no folder, and the file of a reference set is read")


def test_what_is_no_file_is_not_waited_for(command: Command) -> None:
    os.mkfifo("stats.npz")
    assert "stats.npz cannot be read (a named pipe, not a file): give what" in command(*USE).sentence
    for path, what in (("stats.npz", "a named pipe"), ("/dev/zero", "a device"), (".", "a folder")):
        shown = command("reference", "show", path)
        assert shown.code == 2
        assert f"{path} cannot be read ({what}, not a file): give --reference a folder of images, or" in shown.sentence


def array(header: str) -> bytes:
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode()


def archive(
    content: bytes, name: str = "feats.npy", method: int = zipfile.ZIP_STORED, *, damaged: bool = False
) -> bytes:
    """Return an archive of one file, whose packed content may be damaged."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as packed:
        packed.writestr("feats.npy", content)
    data = bytearray(stream.getvalue())
    if damaged:
        start = 30 + len("feats.npy") + (9 if method == zipfile.ZIP_LZMA else 0)
        data[start : start + 20] = b"\xff" * 20
    return bytes(data)


SHAPE = "{{'descr': '<f8', 'fortran_order': False, 'shape': {}}}"


@pytest.mark.parametrize("size", ["(4000000, 1280)", "(10**1, 1280)", "(1" + "0" * 400 + ", 1280)"])
def test_an_array_is_not_unpacked_to_any_size(command: Command, size: str) -> None:
    Path("stats.npz").write_bytes(archive(array(SHAPE.format(size)) + bytes(1000)))
    outcome = command(*USE)
    assert outcome.code == 2
    assert ("would take 41 GB" if "4000000" in size else "stats.npz cannot be ") in outcome.sentence


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PK\x03\x04",
        b"x" * 100,
        archive(bytes(range(256)) * 9, method=zipfile.ZIP_DEFLATED, damaged=True),
        archive(bytes(range(256)) * 9, method=zipfile.ZIP_LZMA, damaged=True),
        archive(bytes(range(256)) * 9, method=zipfile.ZIP_BZIP2, damaged=True),
        archive(array(SHAPE.format("(9, 1280")[:-1])),
        archive(array("(" * 3000)),
        archive(array("x" * 20000)),
        archive(b"\x93NUMPY\x09\x00" + bytes(100)),
    ],
)
def test_what_is_no_archive_is_refused(command: Command, content: bytes) -> None:
    Path("stats.npz").write_bytes(content)
    assert "stats.npz cannot be read (it is damaged, or no such file): give what" in command(*USE).sentence


def test_an_array_that_claims_more_than_it_has_is_refused(command: Command) -> None:
    statistics("whole.npz")
    with zipfile.ZipFile("whole.npz") as whole, zipfile.ZipFile("stats.npz", "w") as cut:
        for name in whole.namelist():
            cut.writestr(name, whole.read(name)[:-100])
    assert "stats.npz cannot be read" in command(*USE).sentence
