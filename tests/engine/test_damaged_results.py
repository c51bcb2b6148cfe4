"""A result that is damaged in the cache is computed again in the same run, and the cache says what was wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from toys import MeanColour, write_image

from fhpt_eval.engine import cache as cache_module
from fhpt_eval.engine.cache import Cache
from fhpt_eval.engine.contract import Plan
from fhpt_eval.engine.engine import open_engine
from fhpt_eval.engine.opening import DECODING
from fhpt_eval.evaluation.run import Run
from fhpt_eval.extract.numerics import Numerics
from fhpt_eval.images.decoding import ImageRef
from fhpt_eval.records import Missing

if TYPE_CHECKING:
    from conftest import Command

Folders = tuple[str, str, str, str]
MEAN = MeanColour()


def damage(cache: Cache, fingerprint: str) -> int:
    """Damage every result of an extractor; return how many."""
    prefix = cache_module._prefix(fingerprint)
    with cache.file.env.begin(write=True, db=cache._results) as transaction:
        sealed = {bytes(k): bytes(v) for k, v in transaction.cursor() if bytes(k).startswith(prefix)}
        for address, value in sealed.items():
            transaction.put(address, value[:-1] + bytes([value[-1] ^ 1]))
    return len(sealed)


def test_damaged_results_are_computed_again_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = tuple(ImageRef(write_image(tmp_path / f"{i}.png", i)) for i in range(4))
    plan = Plan({MEAN: images}, {})
    with Cache(tmp_path / "cache") as cache:
        engine = open_engine("local", cache, device="cpu")
        whole = engine.run(plan, {})
        expected = [whole.image(MEAN, ref) for ref in images]
        infos = [whole.info(ref) for ref in images]
        assert damage(cache, MEAN.fingerprint(Numerics())) == 4
        assert damage(cache, DECODING) == 4
        monkeypatch.setattr(MeanColour, "calls", [])
        again = engine.run(plan, {})
        assert again.computed == {}
        for ref, result, info in zip(images, expected, infos, strict=True):
            found = again.image(MEAN, ref)
            assert not isinstance(found, Missing)
            assert not isinstance(result, Missing)
            np.testing.assert_array_equal(found["mean"], result["mean"])
            assert again.info(ref) == info
        # All of them together, when the first was found.
        assert again.computed == {MEAN.id: 4}
        assert sum(MeanColour.calls) == 4
        (remark,) = again.warnings
        assert remark.startswith("results in the cache in ")
        assert "damaged, and computed again" in remark


def test_what_cannot_be_computed_again_is_called_damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (image,) = [ImageRef(write_image(tmp_path / "a.png", 1))]
    plan = Plan({MEAN: (image,)}, {})
    with Cache(tmp_path / "cache") as cache:
        engine = open_engine("local", cache, device="cpu")
        engine.run(plan, {})
        found = engine.run(plan, {})
        monkeypatch.setattr(Cache, "read", lambda _self, _fingerprint, keys: (None for _ in keys))
        result = found.image(MEAN, image)
    assert isinstance(result, Missing)
    assert result.fault
    assert result.reason.startswith("damaged in the cache: run `fhpt-eval cache clear`")


def test_a_run_on_damaged_results_has_the_same_scores_and_says_so(command: Command, folders: Folders) -> None:
    options = (*folders, "-p", "ssim", "--device", "cpu")
    assert command("run", *options, "-o", "out").code == 0
    before = Run.load("out")
    with Cache() as cache:
        assert sum(damage(cache, usage.fingerprint) for usage in cache.usage()) > 5
    outcome = command("run", *options, "-o", "again")
    assert outcome.code == 0, outcome
    assert "damaged, and computed again" in outcome.sentence
    after = Run.load("again")
    assert after.scores == before.scores
    assert after.record.images == before.record.images
    assert after.record.warnings[0] == outcome.sentence
    assert [line.startswith("few pairs") for line in after.record.warnings] == [False, True]
    assert command("run", *options, "-o", "third").err == ""


def test_cache_info_says_that_the_file_is_damaged_and_what_to_do(command: Command, folders: Folders) -> None:
    assert command("run", *folders, "-p", "ssim", "--device", "cpu").code == 0
    assert command("cache", "info").code == 0
    file = Path("cache/data.mdb")
    data = bytearray(file.read_bytes())
    # The kind of every page but the first two.
    for page in range(2, len(data) // 4096):
        data[page * 4096 + 10] ^= 3
    file.write_bytes(data)
    outcome = command("cache", "info")
    assert outcome.code == 3
    assert outcome.err == ""
    (line,) = [line for line in outcome.out.splitlines() if "is damaged (" in line]
    assert "run `fhpt-eval cache clear`" in line
    about = command("cache", "info", "--json")
    assert about.code == 3
    assert "is damaged" in json.loads(about.out)["trouble"]
    assert command("cache", "clear").code == 0
    assert command("cache", "info").code == 0


@pytest.fixture
def on_network(own_folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = own_folders / "mountinfo"
    table.write_text(f"1 0 0:1 / {own_folders} rw - nfs4 host:/home rw\n", encoding="utf-8")
    monkeypatch.setattr("fhpt_eval.files.mounts.MOUNTS", table)


@pytest.mark.usefixtures("on_network")
@pytest.mark.parametrize(
    "words",
    [
        ("run", "-p", "ssim", "--device", "cpu", "-o", "out"),
        ("run", "-p", "ssim", "--device", "cpu", "--shard", "1/2"),
        ("demo", "-o", "out"),
        ("cache", "export", "out"),
        ("cache", "import", "results"),
    ],
    ids=lambda words: " ".join(words[:2]),
)
def test_a_cache_on_a_network_file_system_is_refused_before_anything_is_computed(
    command: Command, folders: Folders, words: tuple[str, ...]
) -> None:
    outcome = command(*words, *(folders if words[0] == "run" else ()))
    assert outcome.code == 2
    assert outcome.sentence.startswith(f"the cache in {Path.cwd() / 'cache'} lies on a network file system (nfs4)")
    (help_,) = [part for part in outcome.sentence.split("`") if part.startswith("export ")]
    assert help_.startswith("export FHPT_EVAL_CACHE=/")
    assert not Path("cache").exists()
    assert not Path("out").exists()


@pytest.mark.usefixtures("on_network")
def test_where_a_refused_cache_lies_is_still_told(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Path.cwd() / "cache"
    where = command("cache", "where")
    assert (where.code, where.out) == (3, f"{folder}\n")
    assert "network file system (nfs4)" in where.sentence
    about = json.loads(command("cache", "where", "--json").out)
    assert (about["folder"], about["file_system"], about["limit"]) == (str(folder), "nfs4", 20 * 2**30)
    assert about["refused"] == where.sentence
    info = command("cache", "info")
    assert info.code == 3
    assert info.out.splitlines() == [f"{folder}: at most 20.0 GiB", where.sentence]
    assert json.loads(command("cache", "info", "--json").out)["trouble"] == where.sentence
    # A machine where the option was given.
    monkeypatch.setenv("FHPT_EVAL_CACHE", "/somewhere/else")
    assert command("cache", "where").out == "/somewhere/else\n"
    assert command("cache", "where").code == 0


@pytest.mark.usefixtures("on_network")
def test_doctor_says_that_the_cache_is_refused(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fhpt_eval.cli.load_check.load_errors", list)
    outcome = command("doctor")
    assert outcome.code == 3
    assert "  the cache in" in outcome.out
    assert "network file system (nfs4)" in outcome.out
