"""Results that go from one cache to another: nothing is lost, replaced or believed."""

from __future__ import annotations

import errno
import io
import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from fhpt_eval.auditing import known_headers
from fhpt_eval.engine.cache import Cache
from fhpt_eval.engine.cache_place import DEFAULT_LIMIT, default_folder
from fhpt_eval.engine.opening import DECODING
from fhpt_eval.engine.results_file import Stored, write
from fhpt_eval.engine.serialising import dump
from fhpt_eval.extract.numerics import Numerics
from fhpt_eval.extract.pixels import StructuralSimilarity
from fhpt_eval.records import Missing, Result

if TYPE_CHECKING:
    from conftest import Command

ONE, OTHER = "ab" * 32, "cd" * 32


def vectors(count: int, seed: int = 0, size: int = 100) -> dict[str, Result]:
    random = np.random.default_rng(seed)
    return {str(number): {"v": random.random(size, dtype=np.float32)} for number in range(count)}


def fill(folder: str, results: Mapping[str, Result], fingerprint: str = ONE, name: str = "x") -> None:
    with Cache(folder) as cache:
        cache.put(name, fingerprint, results)


@pytest.fixture
def carried(command: Command, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Export what a cache of these results holds."""

    def export(results: Mapping[str, Result], *arguments: str, to: str = "results") -> Path:
        shutil.rmtree("there", ignore_errors=True)
        fill("there", results, *arguments)
        with monkeypatch.context() as patch:
            patch.setenv("FHPT_EVAL_CACHE", "there")
            assert command("cache", "export", to, "--overwrite").code == 0
        return Path(to)

    return export


def whole(folder: str = "cache") -> dict[str, Any]:
    with Cache(folder) as cache:
        assert cache.trouble is None
        return {usage.fingerprint: usage for usage in cache.usage()}


def test_results_are_carried_and_the_same_results_are_the_same_file(command: Command) -> None:
    fill("cache", vectors(200, size=2000), ONE, "x")
    fill("cache", {"a": Missing("no face", "finding")}, OTHER, "y[net=ä]")
    done = command("cache", "export", "one", "--json")
    assert done.code == 0
    assert json.loads(done.out) == {
        "file": "one",
        "results": 201,
        "bytes": Path("one").stat().st_size,
        "damaged": 0,
    }
    before = whole()
    assert command("cache", "clear").code == 0
    done = command("cache", "import", "one")
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines()[0] == "cache: 201 results are new, 0 were here, 0 differ".replace(
        "cache", str(Path.cwd() / "cache")
    )
    assert whole() == before
    assert command("cache", "export", "two").code == 0
    assert Path("one").read_bytes() == Path("two").read_bytes()
    done = command("cache", "import", "one", "two", "--json")
    about = json.loads(done.out)
    assert (done.code, about["new"], about["same"], about["other"]) == (0, 0, 402, 0)
    assert [e["extractor"] for e in about["extractors"]] == ["x", "y[net=ä]"]


def test_a_result_that_differs_stays_and_is_counted_and_named(command: Command, carried: Callable[..., Path]) -> None:
    file = carried({**vectors(5, seed=1), "new": Missing("no face", "finding")})
    fill("cache", {**vectors(5), "2": vectors(5, seed=1)["2"]})
    done = command("cache", "import", file)
    assert done.code == 3
    assert (
        done.sentence == "x: 4 results differ from those that are here, which stay: two machines do not compute alike"
    )
    assert "1 results are new, 1 were here, 4 differ" in done.out
    with Cache("cache") as cache:
        kept = cache.get(ONE, "0")
        assert not isinstance(kept, Missing)
        assert kept is not None
        np.testing.assert_array_equal(kept["v"], vectors(5)["0"]["v"])
        assert cache.get(ONE, "new") == Missing("no face", "finding")


def test_a_result_that_is_damaged_here_is_mended(command: Command, carried: Callable[..., Path]) -> None:
    file = carried(vectors(3, size=5000))
    fill("cache", vectors(3, size=5000))
    data = Path("cache/data.mdb").read_bytes()
    at = data.index(vectors(3, size=5000)["1"]["v"].tobytes())
    with Path("cache/data.mdb").open("r+b") as stream:
        stream.seek(at + 100)
        stream.write(b"\xff" * 8)
    done = command("cache", "export", "damaged")
    assert done.code == 3
    assert done.sentence.startswith("1 damaged results in")
    assert "2 results" in done.out
    assert "1 results are new, 2 were here, 0 differ" in command("cache", "import", file).out
    with Cache("cache") as cache:
        assert cache.intact(ONE, "012") == {*"012"}


def test_an_import_says_what_of_it_this_machine_can_use(command: Command, carried: Callable[..., Path]) -> None:
    asked = carried(vectors(1), StructuralSimilarity().fingerprint(Numerics()), StructuralSimilarity().id, to="asked")
    other = carried(vectors(1), OTHER, StructuralSimilarity().id, to="other")
    unknown = carried(vectors(1), ONE, "new-network", to="unknown")
    done = command("cache", "import", asked, other, unknown)
    assert done.out.splitlines()[1:] == [
        "of 3 fingerprints are",
        "  1 what runs on this machine ask for",
        "  1 by other versions of libraries, or on another kind of device: not used on this machine (ssim)",
        "  1 not of the protocols of this machine as they are by default or in a dialect (new-network)",
    ]
    uses = {
        e["extractor"]: e["use"] for e in json.loads(command("cache", "import", unknown, "--json").out)["extractors"]
    }
    assert uses == {"new-network": "unknown"}


def test_an_import_that_does_not_fit_is_refused_before_it_starts(
    command: Command, carried: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = carried(vectors(400, size=2000))
    fill("cache", vectors(10, seed=3), OTHER)
    before = whole()
    monkeypatch.setenv("FHPT_EVAL_CACHE_SIZE", "2M")
    done = command("cache", "import", file)
    assert done.code == 2
    assert "over its limit of 2 MiB: set FHPT_EVAL_CACHE_SIZE=" in done.sentence
    assert whole() == before
    monkeypatch.setenv("FHPT_EVAL_CACHE_SIZE", done.sentence.partition("SIZE=")[2].partition(",")[0])
    assert command("cache", "import", file).code == 0
    assert {usage.results for usage in whole().values()} == {10, 400}


@pytest.mark.parametrize("size", [1, 300, 480, 990, 1100, 3000, 20_000])
def test_results_take_no_more_room_than_was_asked_for(tmp_path: Path, size: int) -> None:
    from fhpt_eval.engine.cache_joining import join, stored

    with Cache(tmp_path / "from") as cache, Cache(tmp_path / "to") as other:
        for fingerprint in (ONE, OTHER):
            cache.put("x", fingerprint, vectors(500, size=size))
        for fingerprint in ("aa" * 32, "ff" * 32):
            other.put("x", fingerprint, vectors(3))
        results = [*stored(cache)]
        before = other.file.transact(other.file.used)
        room = join(other, results, write=False).room
        for start in range(0, 1000, 100):
            join(other, results[start : start + 100])
        assert other.file.transact(other.file.used) - before <= room


@pytest.mark.parametrize("cut", [10, 1000, -1])
def test_nothing_of_a_damaged_file_is_imported_nor_of_those_beside_it(
    command: Command, carried: Callable[..., Path], cut: int
) -> None:
    whole_file = carried(vectors(50))
    Path("cut").write_bytes(carried(vectors(50, seed=1), to="other").read_bytes()[:cut])
    done = command("cache", "import", whole_file, "cut")
    assert done.code == 2
    assert done.sentence.startswith("cut is ")
    assert whole() == {}


def foreign(fingerprint: str, data: bytes) -> bytes:
    stream = io.BytesIO()
    write(stream, [Stored("x", bytes.fromhex(fingerprint)[:16] + b"k" * 32, data)])
    return stream.getvalue()


def with_header(header: bytes, values: bytes = b"") -> bytes:
    return b"R" + len(header).to_bytes(8, "little") + header + values


ABOUT = np.frombuffer(b'{"notes": [1], "pixels": "x"}', dtype=np.uint8)


@pytest.mark.parametrize(
    ("fingerprint", "data"),
    [
        (ONE, b""),
        (ONE, b"X"),
        (ONE, b"R"),
        (ONE, b"M\xff\xfe"),
        (ONE, b"M" + b"x" * 5000),
        (ONE, b"\x80\x04\x95cos\nsystem\n"),
        (ONE, with_header(b"{")),
        (ONE, with_header(b'{"a":{"dtype":"F32","shape":[1000000000000],"data_offsets":[0,4]}}', b"1234")),
        (ONE, with_header(b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}', b"12345678")),
        (ONE, with_header(b'{"a":{"dtype":"F8_E4M3","shape":[4],"data_offsets":[0,4]}}', b"1234")),
        (ONE, b"R" + (2**60).to_bytes(8, "little") + b"{}"),
        (ONE, with_header(b"[" * 100_000)),
        (DECODING, dump({"v": np.zeros(3)})),
        (DECODING, dump({"size": np.array([1, 2]), "about": np.frombuffer(b"[]", dtype=np.uint8)})),
        (DECODING, dump({"size": np.array([1, 2]), "about": ABOUT})),
        (known_headers.FINGERPRINT, dump({"about": ABOUT})),
    ],
)
def test_what_is_no_result_is_refused(command: Command, fingerprint: str, data: bytes) -> None:
    Path("foreign").write_bytes(foreign(fingerprint, data))
    done = command("cache", "import", "foreign")
    assert done.code == 2
    assert done.sentence.startswith("foreign holds a result of x that cannot be read")
    assert whole() == {}


def test_an_output_that_is_there_is_replaced_only_when_asked(command: Command, draw: Callable[..., Path]) -> None:
    fill("cache", vectors(3))
    Path("there").write_text("mine", encoding="utf-8")
    Path("link").symlink_to("there")
    Path("dangling").symlink_to("nothing")
    for name in ("there", "link", "dangling"):
        done = command("cache", "export", name)
        assert done.code == 2
        assert done.sentence == f"{name} is there: choose another file, or replace it with --overwrite."
        assert command("cache", "export", name, "--overwrite").code == 0
        # A link is replaced itself.
        assert not Path(name).is_symlink()
    assert not Path("nothing").exists()
    assert Path("there").read_bytes() == Path("link").read_bytes()
    folders = ("-g", str(draw("mine")), "-t", str(draw("real")))
    assert command("run", *folders, "-p", "l1", "--device", "cpu", "-o", "out").code == 0
    done = command("cache", "export", "out/run.json", "--overwrite")
    assert "belongs to the record of the run in out" in done.sentence


@pytest.mark.parametrize("name", ["folder", "/proc/file"])
def test_an_output_that_cannot_be_written_is_one_sentence(command: Command, name: str) -> None:
    fill("cache", vectors(3))
    Path("folder").mkdir()
    done = command("cache", "export", name, "--overwrite")
    assert done.code == 2
    assert done.sentence.startswith(f"cannot write {name} (")
    assert done.sentence.endswith("): choose another place.")
    assert not [*Path().glob(".*")]


def test_a_folder_that_is_not_there_is_named(command: Command) -> None:
    fill("cache", vectors(3))
    done = command("cache", "export", "shards/1.results")
    assert done.code == 2
    assert done.sentence == (
        "cannot write shards/1.results: the folder shards is not there; make it first, or choose another place."
    )


def test_a_full_disk_is_told_with_what_helps(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def fsync(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    fill("cache", vectors(3))
    monkeypatch.setattr("os.fsync", fsync)
    done = command("cache", "export", "file")
    assert done.code == 2
    assert done.sentence == "cannot write file (No space left on device): free some room or choose another place."


def test_an_address_is_no_place_for_results(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    done = command("cache", "export", "s3://bucket/file")
    assert (done.code, done.sentence) == (2, "nothing is written to s3://: give a file of this machine.")
    done = command("cache", "import", "S3://bucket/file")
    told = "results are not imported from S3://: copy the file to this machine first."
    assert (done.code, done.sentence) == (2, told)
    monkeypatch.setenv("FHPT_EVAL_CACHE", "s3://bucket/cache")
    for words in (["where"], ["info"], ["clear"]):
        done = command("cache", *words)
        told = "no cache can lie at s3://: name a folder of this machine by FHPT_EVAL_CACHE."
        assert (done.code, done.sentence) == (2, told)
    assert not Path("s3:").exists()


def test_where_the_cache_lies_is_told_in_help_and_on_its_page(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "names this folder itself" in " ".join(command("cache", "where", "--help").out.split())
    assert "without asking" in command("cache", "clear", "--help").out
    monkeypatch.delenv("FHPT_EVAL_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    page = (Path(__file__).resolve().parents[2] / "docs" / "cache.md").read_text(encoding="utf-8")
    folder = default_folder().relative_to(Path.home()).as_posix()
    assert f"In `~/{folder}` on Linux" in page
    assert f"at most {DEFAULT_LIMIT // 2**30} GiB" in page


def test_an_empty_cache_is_told_where_it_is_exported(command: Command) -> None:
    done = command("cache", "export", "file")
    assert done.code == 0
    assert done.sentence == (
        f"the cache in {Path('cache').resolve()} has no results: if runs kept theirs elsewhere, name that folder by"
        " FHPT_EVAL_CACHE"
    )
    assert command("cache", "export", "file", "--overwrite", "--quiet").err == ""


def test_a_folder_that_cannot_hold_a_cache_is_told_without_a_run(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FHPT_EVAL_CACHE", "/proc/x")
    done = command("cache", "info")
    assert done.code == 3
    told = "the cache in /proc/x cannot be written ([Errno 2] No such file or directory: '/proc/x'): set"
    assert done.out.splitlines() == [
        "/proc/x: 0 bytes of at most 20.0 GiB",
        f"{told} FHPT_EVAL_CACHE to another folder.",
    ]
    assert json.loads(command("cache", "info", "--json").out)["trouble"].startswith(told)
    doctor = command("doctor").out
    assert "cache /proc/x: 0 bytes of at most 20.0 GiB" in doctor
    assert told in doctor


def test_a_cache_that_cannot_be_used_is_one_sentence(command: Command, carried: Callable[..., Path]) -> None:
    file = carried(vectors(3))
    Path("cache").mkdir(exist_ok=True)
    Path("cache/data.mdb").write_bytes(b"x" * 10_000)
    for words in (("export", "out"), ("import", file)):
        done = command("cache", *words)
        assert done.code == 2
        assert "is damaged (it has no head): run `fhpt-eval cache clear`" in done.sentence
    assert not Path("out").exists()
