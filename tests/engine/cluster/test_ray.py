"""The same records from a Ray cluster of two machines, whatever happens to them meanwhile."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from threading import Event
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import pytest
from conftest import Command
from s3 import S3
from toys import Difference, InProcess, MeanColour, assert_same_bits, write_image
from two_machines import TwoMachines

from fhpt_eval.engine import contents
from fhpt_eval.engine.cache import Cache
from fhpt_eval.engine.cluster import crew, worker
from fhpt_eval.engine.cluster.connection import place
from fhpt_eval.engine.cluster.executor import RayExecutor
from fhpt_eval.engine.contract import Plan
from fhpt_eval.engine.engine import Engine, open_engine
from fhpt_eval.engine.executor import ExecutorOptions
from fhpt_eval.engine.reading import Extraction
from fhpt_eval.errors import UserError
from fhpt_eval.extract.extractor import Context, Extractor, ImageExtractor, Pixels
from fhpt_eval.files.given import GivenFile
from fhpt_eval.files.remote import path_at
from fhpt_eval.images.decoding import ImageRef
from fhpt_eval.records import Missing, Result

pytestmark = pytest.mark.usefixtures("machines")


@dataclass(frozen=True, kw_only=True)
class Slow(ImageExtractor):
    """The mean colour, and who computed it; what happens to whom it meets is written on the image's first pixel.

    Attributes:
        seconds: What an image takes, until a test says that it has seen enough.
        workers: Each worker puts a file into this folder, and the test one that is called ``enough``.
        marks: A file that is made when something happens, which then happens once.
    """

    name: ClassVar[str] = "slow"
    seconds: float = 0.0
    workers: str = ""
    marks: str = ""

    def load(self, context: Context) -> Callable[[Sequence[Pixels]], list[Result]]:
        def extract(images: Sequence[Pixels]) -> list[Result]:
            if self.workers:
                Path(self.workers, str(os.getpid())).touch()
            if self.seconds and not Path(self.workers, "enough").exists():
                time.sleep(self.seconds)
            (image,) = images
            if tuple(image[0, 0]) == DEADLY and self._first():
                os.kill(os.getpid(), signal.SIGKILL)  # as the kernel does where memory is short
            if tuple(image[0, 0]) == HANGING and self._first():
                Event().wait()
            return [{"mean": image.mean((0, 1)), "pid": np.array(os.getpid())}]

        return extract

    def _first(self) -> bool:
        """Whether this is the first time, where it happens once."""
        if not self.marks:
            return True
        try:
            Path(self.marks).touch(exist_ok=False)
        except FileExistsError:
            return False
        return True


DEADLY, HANGING = (1, 2, 3), (3, 2, 1)


def marked(path: Path, seed: int, pixel: tuple[int, int, int]) -> ImageRef:
    """Write an image that begins with a pixel."""
    from PIL import Image

    pixels = np.array(Image.open(write_image(path, seed)))
    pixels[0, 0] = pixel
    Image.fromarray(pixels).save(path)
    return ImageRef(path)


def pictures(folder: Path, count: int) -> list[ImageRef]:
    return [ImageRef(write_image(folder / f"{i:03}.png", i)) for i in range(count)]


@contextmanager
def on_cluster(folder: Path, **options: float | str) -> Iterator[Engine]:
    with Cache(folder / "cache-ray") as cache:
        yield Engine(RayExecutor(ExecutorOptions("cpu", **options)), cache)  # type: ignore[arg-type]


def on_this_machine(folder: Path, plan: Plan) -> Extraction:
    return open_engine("local", Cache(folder / "cache-local"), device="cpu").run(plan, {})


def slow_ones(tmp_path: Path) -> tuple[Slow, Path]:
    """Return what takes minutes, however late a worker starts, until two are at work; and the folder that tells."""
    folder = tmp_path / "workers"
    folder.mkdir()
    return Slow(seconds=0.1, workers=str(folder)), folder


def test_a_lost_machine_costs_no_image(machines: TwoMachines, tmp_path: Path) -> None:
    refs, (slow, workers) = pictures(tmp_path, 2000), slow_ones(tmp_path)
    plan = Plan({slow: tuple(refs)}, {Difference(): tuple(pairwise(refs[:200]))})
    lost: list[int] = []

    def lose_one(stage: str, done: int, _total: int) -> None:
        if stage == "extracting" and not lost and len([*workers.iterdir()]) == 2:
            lost.append(done)
            machines.lose()
            (workers / "enough").touch()

    with on_cluster(tmp_path) as engine:
        found = engine.run(plan, {}, lose_one)
        here = on_this_machine(tmp_path, plan)
        assert lost[0] < 2000
        for ref in refs:
            np.testing.assert_array_equal(found.image(slow, ref)["mean"], here.image(slow, ref)["mean"])
        for pair in plan.pairs[Difference()]:
            assert_same_bits(found.pair(Difference(), *pair), here.pair(Difference(), *pair))
        (warning,) = {w.split(" was lost")[0] for w in found.warnings}
        assert warning.startswith("a worker on ")
        again = engine.run(plan, {})
        assert again.computed == {}


def test_a_new_machine_gets_work(machines: TwoMachines, tmp_path: Path) -> None:
    machines.lose()
    refs, (slow, workers) = pictures(tmp_path, 2000), slow_ones(tmp_path)

    def add_one(stage: str, done: int, _total: int) -> None:
        if stage == "extracting" and done:
            if len(machines.machines) == 1:
                machines.add()
            if len([*workers.iterdir()]) == 2:
                (workers / "enough").touch()

    with on_cluster(tmp_path) as engine:
        found = engine.run(Plan({slow: tuple(refs)}, {}), {}, add_one)
        assert len({int(found.image(slow, ref)["pid"]) for ref in refs}) == 2


def test_an_image_that_costs_every_worker_is_missing_and_no_other(tmp_path: Path) -> None:
    refs, slow = pictures(tmp_path, 20), Slow()
    refs[7] = marked(tmp_path / "deadly.png", 99, DEADLY)
    pairs = ((refs[6], refs[7]), (refs[7], refs[8]), (refs[8], refs[9]))
    with on_cluster(tmp_path) as engine:
        found = engine.run(Plan({slow: tuple(refs)}, {Difference(): pairs}), {})
        missing = [i for i, ref in enumerate(refs) if isinstance(found.image(slow, ref), Missing)]
        assert missing == [7]
        why = found.image(slow, refs[7])
        assert isinstance(why, Missing)
        assert why.reason == "unreadable: workers of the cluster were lost when they computed this image"
        assert not isinstance(found.pair(Difference(), *pairs[2]), Missing)


def test_a_worker_that_the_kernel_kills_once_costs_nothing(tmp_path: Path) -> None:
    refs, slow = pictures(tmp_path, 12), Slow(marks=str(tmp_path / "killed"))
    refs[5] = marked(tmp_path / "deadly.png", 99, DEADLY)
    with on_cluster(tmp_path) as engine:
        found = engine.run(Plan({slow: tuple(refs)}, {}), {})
        assert not any(isinstance(found.image(slow, ref), Missing) for ref in refs)
        assert (tmp_path / "killed").exists()
        assert any("was lost" in warning for warning in found.warnings)


def test_a_worker_that_hangs_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crew, "SILENCE", 10.0)
    monkeypatch.setattr(crew, "_LOADING", 40.0)
    refs, slow = pictures(tmp_path, 12), Slow(marks=str(tmp_path / "hung"))
    refs[5] = marked(tmp_path / "hanging.png", 99, HANGING)
    with on_cluster(tmp_path, detector_timeout=0.5) as engine:
        found = engine.run(Plan({slow: tuple(refs)}, {}), {})
        assert not any(isinstance(found.image(slow, ref), Missing) for ref in refs)
        assert any("it did nothing any more" in warning for warning in found.warnings)


def test_memory_that_is_short_in_a_worker_is_told_as_on_one_machine(tmp_path: Path) -> None:
    class Hungry(MeanColour):
        def load(self, context: Context) -> Callable[[Sequence[Pixels]], list[Result]]:
            def extract(images: Sequence[Pixels]) -> list[Result]:
                raise MemoryError

            return extract

    (ref,) = pictures(tmp_path, 1)
    with on_cluster(tmp_path) as engine:
        found = engine.run(Plan({Hungry(): (ref,)}, {}), {})
        assert found.image(Hungry(), ref) == Missing("not enough memory for this image")


def test_an_extractor_that_fails_costs_no_other(tmp_path: Path) -> None:
    refs, detector = pictures(tmp_path, 6), InProcess()
    grey = tmp_path / "grey.png"
    from PIL import Image

    Image.new("RGB", (8, 8), (128, 128, 128)).save(grey)
    with on_cluster(tmp_path) as engine:
        found = engine.run(Plan({detector: (*refs, ImageRef(grey)), MeanColour(): tuple(refs)}, {}), {})
        assert isinstance(found.broken[detector], ArithmeticError)
        assert not any(isinstance(found.image(MeanColour(), ref), Missing) for ref in refs)


def test_what_workers_cannot_see_is_sent(tmp_path: Path) -> None:
    """A path below /proc/self shows this process's files to nobody else."""
    refs = pictures(tmp_path, 8)
    files = [ref.path.open("rb") for ref in refs]
    try:
        hidden = [ImageRef(Path(f"/proc/self/fd/{file.fileno()}"), name=str(i)) for i, file in enumerate(files)]
        broken = tmp_path / "broken.png"
        broken.write_bytes(refs[0].path.read_bytes()[:100])
        plan = Plan({MeanColour(): (*hidden, ImageRef(broken))}, {Difference(): ((hidden[0], hidden[1]),)})
        with on_cluster(tmp_path) as engine:
            found = engine.run(plan, {})
            here = on_this_machine(tmp_path, plan)
            for ref in (*hidden, ImageRef(broken)):
                assert_same_bits(found.image(MeanColour(), ref), here.image(MeanColour(), ref))
            assert_same_bits(found.pair(Difference(), *hidden[:2]), here.pair(Difference(), *hidden[:2]))
            assert found.computed == {"mean-colour": 8, "difference": 1}
    finally:
        for file in files:
            file.close()


@dataclass(frozen=True, kw_only=True)
class Brings(ImageExtractor):
    """How many bytes a file of the user has."""

    name: ClassVar[str] = "brings"
    file: GivenFile | None = None

    def brought(self) -> dict[str, GivenFile]:
        return {} if self.file is None else {"file": self.file}

    def load(self, context: Context) -> Callable[[Sequence[Pixels]], list[Result]]:
        assert self.file is not None
        size = np.array(len(self.file.read()))
        return lambda images: [{"size": size} for _ in images]


def test_files_of_the_user_are_sent(tmp_path: Path) -> None:
    (ref,) = pictures(tmp_path, 1)
    given = tmp_path / "given"
    given.write_bytes(b"x" * 321)
    with given.open("rb") as file, on_cluster(tmp_path) as engine:
        brings = Brings(file=GivenFile(GivenFile.at(given).sha256, Path(f"/proc/self/fd/{file.fileno()}")))
        found = engine.run(Plan({brings: (ref,)}, {}), {})
        assert found.image(brings, ref)["size"] == 321


def test_relative_paths_are_those_of_this_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures(tmp_path, 1)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(crew, "contents", lambda files: pytest.fail("it was sent"))
    with on_cluster(tmp_path) as engine:
        found = engine.run(Plan({MeanColour(): (ImageRef(Path("000.png")),)}, {}), {})
        assert not isinstance(found.image(MeanColour(), ImageRef(Path("000.png"))), Missing)


def test_a_machine_with_other_versions_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (ref,) = pictures(tmp_path, 1)
    theirs = worker.versions
    monkeypatch.setattr(crew, "versions", lambda extractors: {**theirs(extractors), "numpy": "1.25.0"})
    monkeypatch.setattr(Extractor, "fingerprint", lambda self, numerics: "f" * 64)
    with on_cluster(tmp_path) as engine, pytest.raises(UserError) as told:
        engine.run(Plan({MeanColour(): (ref,)}, {}), {})
    assert "would compute other numbers: numpy 1.26.4 (here 1.25.0)" in str(told.value)


class Dying(worker.Worker):
    """Ends its process where it should start."""

    def __init__(self, *_: object) -> None:
        os._exit(1)


def test_workers_that_cannot_start_are_told_with_what_helps(
    machines: TwoMachines, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import ray

    (ref,) = pictures(tmp_path, 1)
    monkeypatch.setattr(crew, "remote_worker", lambda cpus, *_: ray.remote(num_cpus=cpus)(Dying))
    with on_cluster(tmp_path) as engine, pytest.raises(UserError) as told:
        engine.run(Plan({MeanColour(): (ref,)}, {}), {})
    host = machines.address.partition(":")[0]
    assert str(told.value).startswith(f"no worker of the Ray cluster at {machines.address} can start on {host}: The")
    assert "(/tmp/ray/session_latest/logs)" in str(told.value)


def test_a_cluster_that_was_started_for_the_command_is_told(machines: TwoMachines) -> None:
    import ray

    assert place(ray) == f"Ray cluster at {machines.address}, 3 machines, 2 cores"
    alone = SimpleNamespace(_private=SimpleNamespace(worker=SimpleNamespace(_global_node=SimpleNamespace(head=True))))
    assert place(alone).startswith("Ray was started on this machine alone")


def test_workers_end_with_the_run(tmp_path: Path) -> None:
    refs, slow = pictures(tmp_path, 120), Slow(seconds=0.05)

    class Stopped(Exception):
        pass

    def stop(stage: str, done: int, _total: int) -> None:
        if stage == "extracting" and done:
            raise Stopped

    with on_cluster(tmp_path) as engine:
        with pytest.raises(Stopped):
            engine.run(Plan({slow: tuple(refs)}, {}), {}, stop)
        found = engine.run(Plan({slow: tuple(refs)}, {}), {})
        assert 0 < found.computed[slow.id] < 120
        pids = {int(found.image(slow, ref)["pid"]) for ref in refs}
    deadline = time.monotonic() + 20
    while any(Path(f"/proc/{pid}").exists() for pid in pids):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_the_command_prints_what_the_local_engine_does(
    command: Command, machines: TwoMachines, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for i in range(4):
        write_image(tmp_path / "g" / f"{i}.png", i)
        write_image(tmp_path / "t" / f"{i}.png", 10 + i)
    scores = []
    for engine in (("--engine", "ray", "--ray-address", machines.address), ()):
        monkeypatch.setenv("FHPT_EVAL_CACHE", str(tmp_path / f"cache{len(engine)}"))
        ran = command(
            *("run", "-g", tmp_path / "g", "-t", tmp_path / "t", "-p", "ssim,l1", "--json", "-o", tmp_path / "out"),
            *("--overwrite", "--device", "cpu", *engine),
        )
        assert ran.code == 0, ran.err
        told = f"fhpt-eval: Ray cluster at {machines.address}, 3 machines, 2 cores"
        assert ran.err.splitlines()[:1] == [told] or not engine
        scores.append([protocol["scores"] for protocol in json.loads(ran.out)["protocols"]])
    assert scores[0] == scores[1]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--ray-address", "auto"], "--ray-address is of --engine ray: give both, or neither."),
        (["--engine", "ray", "--device", "mps"], "workers of a cluster compute on cpu or cuda, not on mps"),
        (["--engine", "rya"], "there is no engine 'rya'. Did you mean 'ray'?"),
    ],
)
def test_wrong_options_are_told(command: Command, tmp_path: Path, options: list[str], told: str) -> None:
    write_image(tmp_path / "g" / "0.png", 0)
    ran = command("run", "-g", tmp_path / "g", "-t", tmp_path / "g", "-p", "l1", *options)
    assert ran.code == 2
    assert told in ran.sentence


def test_a_cluster_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    import ray

    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    for address, why in ((f"127.0.0.1:{port}", "Connection refused"), ("127.0.0.1:port", "this is no HOST:PORT")):
        with pytest.raises(UserError) as told:
            _ = RayExecutor(ExecutorOptions(ray_address=address)).numerics
        assert f"no Ray cluster can be used at {address}" in str(told.value)
        assert why in str(told.value)


def test_an_address_with_a_password_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    import ray

    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    for given, variable in (("me:hidden@host:6379", ""), ("ray://me:hidden@host:1", ""), ("auto", "me:hidden@host:1")):
        monkeypatch.setenv("RAY_ADDRESS", variable)
        with pytest.raises(UserError, match="give HOST:PORT") as told:
            _ = RayExecutor(ExecutorOptions(ray_address=given)).numerics
        assert "hidden" not in str(told.value)


def test_an_error_of_ray_names_our_option(monkeypatch: pytest.MonkeyPatch) -> None:
    import ray

    def init(**_: object) -> None:
        raise ConnectionError("Could not find any running Ray instance. Please specify one by setting `--address` flag")

    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", init)
    with pytest.raises(UserError, match="by setting `--ray-address` flag"):
        _ = RayExecutor(ExecutorOptions(ray_address="auto")).numerics


def test_without_ray_it_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UserError, match=r"install it with pip install 'fhpt-eval\[cluster\]'"):
        _ = RayExecutor(ExecutorOptions()).numerics


def test_pictures_in_a_bucket_are_read_by_the_workers(
    s3: S3, machines: TwoMachines, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crew, "contents", lambda files: pytest.fail("it was sent"))
    refs = pictures(tmp_path / "images", 6)
    address = s3.upload(tmp_path / "images", "images")
    there = [ImageRef(path_at(f"{address}/{ref.path.name}"), name=ref.name) for ref in refs]
    for _ in range(2):
        machines.lose()
    machines.restore()  # they see the server's address in their environment
    monkeypatch.setattr(contents, "hash_file", lambda path: pytest.fail("it was read here"))
    with on_cluster(tmp_path) as engine:
        found = engine.run(Plan({MeanColour(): tuple(there)}, {}), {})
    monkeypatch.undo()
    here = on_this_machine(tmp_path, Plan({MeanColour(): tuple(refs)}, {}))
    for one, other in zip(there, refs, strict=True):
        assert_same_bits(found.image(MeanColour(), one), here.image(MeanColour(), other))
