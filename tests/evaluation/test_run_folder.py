"""Whose record a folder holds, what is added to it, and that nothing finished is lost."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from toys import MeanColour, write_image

from fhpt_eval.engine.cache import Cache
from fhpt_eval.engine.engine import open_engine
from fhpt_eval.errors import UserError
from fhpt_eval.evaluation.evaluate import evaluate
from fhpt_eval.evaluation.image_list import generated_hash, set_hash
from fhpt_eval.evaluation.joining import joined
from fhpt_eval.evaluation.run import Run
from fhpt_eval.evaluation.run_record import ARRAYS, IMAGES, MISSING, PER_PAIR, RECORD
from fhpt_eval.measuring.protocol import Need, Protocol, Records, Score, Unscorable, configure
from fhpt_eval.pairing.pairs import Pairs
from fhpt_eval.protocols.fid import Fid
from fhpt_eval.protocols.l1 import L1
from fhpt_eval.protocols.psnr import Psnr
from fhpt_eval.protocols.ssim import Ssim
from fhpt_eval.reporting.blocks import difference

Evaluate = Callable[..., Run]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Broken(L1):
    name = "broken"

    def score(self, pairs: Pairs, records: Records) -> list[Score]:
        raise Unscorable("no numbers today")


@dataclasses.dataclass(frozen=True, kw_only=True)
class WithArrays(L1):
    name = "arrays"

    def score(self, pairs: Pairs, records: Records) -> list[Score]:
        return [Score("arrays", 1.0, "lower", 3, arrays={"distances": np.arange(3.0)})]


@dataclasses.dataclass(frozen=True, kw_only=True)
class OfSources(L1):
    name = "of-sources"

    def needs(self) -> tuple[Need, ...]:
        return (Need(MeanColour(), ("source",)),)

    def score(self, pairs: Pairs, records: Records) -> list[Score]:
        return [Score("of-sources", 1.0, "lower", 3)]


@pytest.fixture
def measure(tmp_path: Path) -> Evaluate:
    """Evaluate a method's three images, which are made of its name."""

    def run(protocols: Sequence[Protocol], method: str = "mine", output: str = "out", **options: Any) -> Run:
        for number, name in enumerate("abc"):
            write_image(tmp_path / method / f"{name}.png", number + len(method))
            write_image(tmp_path / "target" / f"{name}.png", ord(name))
        pairs = Pairs.from_folders(tmp_path / method, tmp_path / "target")
        with Cache(tmp_path / "cache") as cache:
            engine = open_engine("local", cache, device="cpu")
            return evaluate(pairs, protocols, output=tmp_path / output, engine=engine, name=method, **options)

    return run


def files(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def test_further_protocols_are_added_and_give_what_one_run_gives(measure: Evaluate, tmp_path: Path) -> None:
    measure([Ssim(), WithArrays()])
    measure([L1()])
    measure([Psnr()])
    measure([Ssim(), WithArrays(), L1(), Psnr()], output="at-once")
    added, once = Run.load(tmp_path / "out"), Run.load(tmp_path / "at-once")
    assert list(added.scores) == ["ssim", "arrays", "l1", "psnr"]
    assert added.scores == once.scores
    pd.testing.assert_frame_equal(added.per_pair, once.per_pair, check_exact=True)
    np.testing.assert_array_equal(added.arrays["arrays"]["distances"], np.arange(3.0))
    assert added.record.pairs == once.record.pairs
    assert added.record.images == once.record.images


def test_numbers_of_other_sources_neither_replace_nor_stand_beside_one_another(
    measure: Evaluate, tmp_path: Path
) -> None:
    measure([L1()])

    def run(source: str, *protocols: Protocol, output: str = "out") -> Run:
        for number, name in enumerate("abc"):
            write_image(tmp_path / source / f"{name}.png", number + 10 * len(source))
        pairs = Pairs.from_folders(tmp_path / "mine", tmp_path / "target", tmp_path / source)
        with Cache(tmp_path / "cache") as cache:
            engine = open_engine("local", cache, device="cpu")
            return evaluate(pairs, protocols, output=tmp_path / output, engine=engine)

    first = run("source", OfSources())
    # What does not look at them is the same with any.
    run("other", Ssim())
    with pytest.raises(UserError, match=r"of of-sources by another recipe \(other source images\)"):
        run("other", OfSources())
    apart = run("other", OfSources(), output="apart")
    assert difference(first, apart) == "of-sources by another recipe than run: other source images"
    assert difference(first, run("source", OfSources(), output="again")) is None
    # A record of before does not tell.
    (old,) = apart.record.protocols
    recipe = old.recipe.model_copy(update={"sources": None})
    assert old.recipe.difference(recipe) is recipe.difference(old.recipe) is None
    measure([Psnr()])
    added = Run.load(tmp_path / "out")
    assert list(added.scores) == ["l1", "of-sources", "ssim", "psnr"]
    assert [Path(path).parent.name for path in added.per_pair["source"]] == ["other"] * 3


def test_numbers_of_other_items_or_genders_are_another_evaluation(measure: Evaluate, tmp_path: Path) -> None:
    measure([L1()])

    def run(column: str, values: str, output: str) -> Run:
        rows = "".join(f"{name}.png,{value}\n" for name, value in zip("abc", values.split(), strict=True))
        (tmp_path / "list.csv").write_text(f"generated,{column}\n{rows}", encoding="utf-8")
        pairs = Pairs.from_csv(tmp_path / "list.csv", tmp_path / "mine", tmp_path / "target")
        with Cache(tmp_path / "cache") as cache:
            engine = open_engine("local", cache, device="cpu")
            return evaluate(pairs, [Ssim()], output=tmp_path / output, engine=engine)

    first = run("item", "x y y", "list")
    for column, values in (("item", "x x y"), ("gender", "MEN MEN MEN"), ("view", "front side back")):
        with pytest.raises(UserError, match="record 'run' of the same pairs with other items, genders or views:"):
            run(column, values, "list")
        other = run(column, values, column)
        assert difference(first, other) == "the same pairs as run, but other items, genders or views in the list"
    before = other.record.model_copy(update={"pairs": other.record.pairs.model_copy(update={"known": None})})
    assert difference(first, dataclasses.replace(other, record=before)) is None
    assert run("item", "x y y", "list").record.pairs == first.record.pairs


def test_the_same_protocol_again_replaces_its_own_score_alone(measure: Evaluate, tmp_path: Path) -> None:
    measure([Ssim(), L1()])
    before = Run.load(tmp_path / "out").record
    measure([L1()])
    after = Run.load(tmp_path / "out").record
    assert [p.name for p in after.protocols] == ["ssim", "l1"]
    assert after.protocols[0] == before.protocols[0]
    assert after.protocols[1].scores == before.protocols[1].scores


def test_a_protocol_that_fails_leaves_the_record_as_it_was(measure: Evaluate, tmp_path: Path) -> None:
    measure([Ssim()])
    before = files(tmp_path / "out")
    assert measure([Broken()]).exit_code == 3
    assert files(tmp_path / "out") == before
    # Beside one that has a score, it is recorded like in a run of its own.
    measure([Broken(), L1()])
    protocols = Run.load(tmp_path / "out").record.protocols
    assert [(p.name, p.status) for p in protocols] == [("ssim", "done"), ("broken", "unavailable"), ("l1", "done")]


@pytest.mark.parametrize(
    ("options", "whose"),
    [
        ({"method": "theirs"}, "'mine' of other generated images (from"),
        ({"protocols": [Ssim(sigma=1.2)]}, "of ssim by another recipe (sigma is 1.5 instead of 1.2)"),
        ({"profile": "embedded"}, "of the profile paper"),
    ],
)
def test_another_evaluation_is_refused_before_anything_is_computed_or_written(
    measure: Evaluate, tmp_path: Path, options: dict[str, Any], whose: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    measure([Ssim()])
    before = files(tmp_path / "out")
    monkeypatch.setattr("fhpt_eval.engine.engine.Engine.run", None)
    with pytest.raises(UserError, match="--overwrite") as refused:
        measure(**{"protocols": [L1()], **options})
    assert whose in str(refused.value)
    assert str(tmp_path / "out") in str(refused.value)
    assert files(tmp_path / "out") == before


def test_other_pairs_and_other_targets_are_refused(measure: Evaluate, tmp_path: Path) -> None:
    measure([Ssim()])
    record = Run.load(tmp_path / "out")
    pairs = record.record.pairs
    changes: tuple[tuple[dict[str, Any], str], ...] = (
        ({"hash": "0"}, r"other pairs \(as many, .* look at --pairs, --naming and --source\)"),
        ({"hash": "0", "total": 99}, rf"other pairs \({pairs.total} there, 99 here\)"),
        ({"content": "0"}, "other target files"),
    )
    for change, whose in changes:
        other = record.record.model_copy(update={"pairs": pairs.model_copy(update=change)})
        with pytest.raises(UserError, match=whose):
            dataclasses.replace(record, record=other).save(tmp_path / "out")
    assert Run.load(tmp_path / "out").record == record.record


def test_a_record_of_before_does_not_say_whose_it_is(measure: Evaluate, tmp_path: Path) -> None:
    measure([Ssim()])
    file = tmp_path / "out" / RECORD
    record = json.loads(file.read_text(encoding="utf-8"))
    del record["pairs"]["generated"]
    file.write_text(json.dumps(record), encoding="utf-8")
    assert list(Run.load(tmp_path / "out").scores) == ["ssim"]
    with pytest.raises(UserError, match="--overwrite"):
        measure([L1()])


def test_overwrite_replaces_all_of_it_when_the_new_record_is_complete(measure: Evaluate, tmp_path: Path) -> None:
    measure([Ssim(), WithArrays()])
    before = files(tmp_path / "out")

    class Killed(BaseException):
        pass

    class Dies(L1):
        name = "dies"

        def score(self, pairs: Pairs, records: Records) -> list[Score]:
            raise Killed

    with pytest.raises(Killed):
        measure([L1(), Dies()], "theirs", overwrite=True)
    assert files(tmp_path / "out") == before
    measure([Broken()], "theirs", overwrite=True)
    assert files(tmp_path / "out") == before
    measure([L1()], "theirs", overwrite=True)
    run = Run.load(tmp_path / "out")
    assert (run.record.name, list(run.scores), run.arrays) == ("theirs", ["l1"], {})
    assert "ssim" not in run.per_pair


def test_a_damaged_record_is_replaced_only_when_asked(measure: Evaluate, tmp_path: Path) -> None:
    measure([Ssim()])
    (tmp_path / "out" / RECORD).write_bytes(b"{")
    with pytest.raises(UserError, match=r"damaged.*--overwrite"):
        measure([Ssim()])
    assert (tmp_path / "out" / RECORD).read_bytes() == b"{"
    measure([Ssim()], overwrite=True)
    assert list(Run.load(tmp_path / "out").scores) == ["ssim"]


def test_a_score_of_fewer_images_does_not_replace_one_of_more(measure: Evaluate, tmp_path: Path) -> None:
    run = measure([Ssim()])
    (protocol,) = run.record.protocols
    worse = protocol.model_copy(update={"scores": [protocol.scores[0].model_copy(update={"n": 2, "faults": 1})]})
    lacking = dataclasses.replace(run, record=run.record.model_copy(update={"protocols": [worse]}))
    assert joined(run, lacking) is run
    assert joined(lacking, run) is run


def test_where_a_protocol_ran_is_told_if_the_rest_ran_elsewhere(measure: Evaluate) -> None:
    one, other = measure([Ssim()]), measure([L1()], output="other")
    gpu = one.record.environment.model_copy(update={"device": "cuda"})
    both = joined(dataclasses.replace(one, record=one.record.model_copy(update={"environment": gpu})), other)
    assert [p.environment for p in both.record.protocols] == [gpu, None]
    assert both.record.environment == other.record.environment


def test_a_kill_at_any_step_of_replacing_leaves_one_record_whole(
    measure: Evaluate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    kept = tmp_path / "kept"
    measure([Ssim(), WithArrays(), Psnr()])
    shutil.copytree(tmp_path / "out", kept)
    old = Run.load(kept)
    new = measure([L1(), WithArrays()], "theirs", output="new")
    seen = set()
    for last in range(40):
        shutil.rmtree(tmp_path / "out")
        shutil.copytree(kept, tmp_path / "out")
        steps = iter(range(last))

        def dying(step: Callable[..., Any], steps: Any = steps) -> Callable[..., Any]:
            def do(*arguments: Any, **options: Any) -> Any:
                if next(steps, None) is None:
                    raise Killed
                return step(*arguments, **options)

            return do

        with monkeypatch.context() as patch:
            for name in ("replace", "rename", "rmdir", "chmod"):
                patch.setattr(Path, name, dying(getattr(Path, name)))
            # A process that dies cleans nothing up.
            patch.setattr(shutil, "rmtree", lambda *_, **__: None)
            try:
                new.save(tmp_path / "out", overwrite=True)
                died = False
            except Killed:
                died = True
        loaded = Run.load(tmp_path / "out")
        whose = old if loaded.record == old.record else new
        assert loaded.record == whose.record
        pd.testing.assert_frame_equal(loaded.per_pair, whose.per_pair, check_exact=True)
        assert len(loaded.missing) == len(whose.missing)
        seen.add(whose.record.name)
        # The next one puts things in order.
        new.save(tmp_path / "out", overwrite=True)
        assert set(files(tmp_path / "out")) == {RECORD, PER_PAIR, MISSING, ARRAYS, IMAGES}
        assert Run.load(tmp_path / "out").record == new.record
        if not died:
            break
    assert not died
    assert seen == {"mine", "theirs"}


def test_two_processes_that_add_to_one_folder_lose_nothing(measure: Evaluate, tmp_path: Path) -> None:
    # Both have looked at the empty folder before the other writes.
    from fhpt_eval.evaluation.run_folder import RunFolder

    one, other = measure([Ssim()], output="one"), measure([L1()], output="other")
    places = [RunFolder(tmp_path / "shared") for _ in range(2)]
    for place, run in zip(places, (one, other), strict=True):
        place.save(run, complete=True)
    assert list(Run.load(tmp_path / "shared").scores) == ["ssim", "l1"]


def test_save_makes_its_folder_and_spares_the_record_of_others(measure: Evaluate, tmp_path: Path) -> None:
    mine, theirs = measure([Ssim()]), measure([Ssim()], "theirs", output="theirs-out")
    place = tmp_path / "deep" / "er"
    mine.save(str(place))
    assert Run.load(str(place)).record == mine.record
    with pytest.raises(UserError, match="other generated images"):
        theirs.save(place)
    assert Run.load(place).record == mine.record
    theirs.save(place, overwrite=True)
    assert Run.load(place).record == theirs.record


def test_the_list_of_images_reproduces_what_the_record_says_of_them(measure: Evaluate, tmp_path: Path) -> None:
    write_image(tmp_path / "mine" / ".hidden.png", 1)
    for number, name in enumerate("abc"):
        write_image(tmp_path / "source" / f"{name}.png", 50 + number)
    run = measure([L1()])
    listed = run.image_list
    assert listed is not None
    sha256 = {p: hashlib.sha256(p.read_bytes()).hexdigest() for p in tmp_path.rglob("*") if p.is_file()}
    assert listed.of("generated") == {name: sha256[tmp_path / "mine" / f"{name}.png"] for name in "abc"}
    assert listed.of("target") == {f"{name}.png": sha256[tmp_path / "target" / f"{name}.png"] for name in "abc"}
    assert listed.of("source") == {}
    assert [(row.role, row.name, row.sha256) for row in listed.left_out.values()] == [
        ("generated", ".hidden.png", sha256[tmp_path / "mine" / ".hidden.png"])
    ]
    written = (tmp_path / "out" / IMAGES).read_bytes()
    assert run.record.images.root == hashlib.sha256(written).hexdigest()
    assert generated_hash(listed.of("generated").items()) == run.record.pairs.generated
    assert set_hash(listed.of("target").values()) == run.record.pairs.content
    assert Run.load(tmp_path / "out").image_list == listed
    # Sources and a reference set are listed once a protocol looks at them.
    pairs = Pairs.from_folders(tmp_path / "mine", tmp_path / "target", tmp_path / "source")
    with Cache(tmp_path / "cache") as cache:
        engine = open_engine("local", cache, device="cpu")
        reference = tmp_path / "source"
        fid = configure(Fid, "embedded", {})
        evaluate(pairs, [fid], output=tmp_path / "ref", engine=engine, profile="embedded", reference=reference)
    added = Run.load(tmp_path / "ref")
    assert added.image_list is not None
    assert set_hash(added.image_list.of("reference").values()) == added.record.protocols[0].recipe.reference
    assert added.image_list.of("reference").keys() == {"a.png", "b.png", "c.png"}


def test_lists_of_images_are_joined_into_that_of_all(measure: Evaluate, tmp_path: Path) -> None:
    for number, name in enumerate("abc"):
        write_image(tmp_path / "source" / f"{name}.png", 50 + number)

    def run(*protocols: Protocol, output: str) -> Run:
        pairs = Pairs.from_folders(tmp_path / "mine", tmp_path / "target", tmp_path / "source")
        with Cache(tmp_path / "cache") as cache:
            return evaluate(
                pairs, protocols, output=tmp_path / output, engine=open_engine("local", cache, device="cpu")
            )

    measure([L1()])
    run(OfSources(), output="out")
    measure([Ssim()])
    run(L1(), OfSources(), Ssim(), output="at-once")
    added, once = Run.load(tmp_path / "out"), Run.load(tmp_path / "at-once")
    assert added.image_list == once.image_list
    assert added.image_list is not None
    assert added.image_list.of("source").keys() == {"a.png", "b.png", "c.png"}
    assert added.record.images.root == once.record.images.root


def test_the_command_is_recorded_and_that_of_an_earlier_run_where_it_was_another(
    measure: Evaluate, tmp_path: Path
) -> None:
    measure([L1()], command=["fhpt-eval", "run", "-p", "l1", "\x1b[31m"])
    measure([Psnr()])
    measure([Ssim()], command=["fhpt-eval", "run", "-p", "ssim"])
    record = Run.load(tmp_path / "out").record
    assert record.command == ["fhpt-eval", "run", "-p", "ssim"]
    assert {p.name: p.command for p in record.protocols} == {
        "l1": ["fhpt-eval", "run", "-p", "l1", "\\u001b[31m"],
        "psnr": [],
        "ssim": None,
    }


def test_a_run_of_before_there_were_lists_is_read_and_added_to(measure: Evaluate, tmp_path: Path) -> None:
    measure([L1()])
    file = tmp_path / "out" / RECORD
    record = json.loads(file.read_text(encoding="utf-8"))
    for about, field in ((record["images"], "root"), (record, "command"), (record["pairs"], "list_sha256")):
        del about[field]
    file.write_text(json.dumps(record), encoding="utf-8")
    (tmp_path / "out" / IMAGES).unlink()
    assert Run.load(tmp_path / "out").image_list is None
    measure([Ssim()])
    added = Run.load(tmp_path / "out")
    assert added.image_list is not None
    assert list(added.scores) == ["l1", "ssim"]
