from __future__ import annotations

import pickle
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest
from fsspec import AbstractFileSystem

from fhpt_eval.engine.opening import hash_file
from fhpt_eval.errors import UserError
from fhpt_eval.files import remote
from fhpt_eval.files.regular import not_regular, open_regular, read_head, read_regular
from fhpt_eval.files.remote import RemotePath, path_at, refuse_address
from fhpt_eval.images.decoding import ImageRef
from fhpt_eval.images.listing import list_folder
from fhpt_eval.pairing.pairs import Pairs
from fhpt_eval.records import Missing


@pytest.fixture
def memory() -> Iterator[AbstractFileSystem]:
    """Files at memory://, which only this process has."""
    files = fsspec.filesystem("memory")
    yield files
    files.rm("/", recursive=True)


# Paths


@pytest.mark.parametrize(
    "text", ["images", "/data/images", "./a:b/c", "C:/images", "12:/x", "a b:/x", "s3", "", "x::s3://b"]
)
def test_other_paths_are_what_they_were(text: str) -> None:
    assert path_at(text) == path_at(Path(text)) == Path(text)
    assert not isinstance(path_at(text), RemotePath)


def test_an_address_is_a_path_that_keeps_both_slashes() -> None:
    folder = path_at("memory://bucket/folder/")
    file = folder / "sub" / "x.png"
    assert isinstance(folder, Path)
    assert f"{folder} {file}" == "memory://bucket/folder memory://bucket/folder/sub/x.png"
    assert (file.name, file.suffix, file.parent.parent, file.as_posix()) == ("x.png", ".png", folder, str(file))
    assert str(file.relative_to(folder)) == "sub/x.png"
    assert folder in file.parents
    assert file.resolve() == file
    # What typer and others have made of it, and what was made of it before.
    assert path_at(Path("memory://bucket/folder")) == path_at(folder) == folder
    assert {folder: 1}[path_at("memory://bucket/folder")] == 1
    assert path_at("memory://bucket/a") < path_at("memory://bucket/b")
    assert ImageRef("memory://bucket/x.png") == ImageRef(path_at("memory://bucket/x.png"))  # type: ignore[arg-type]
    assert ImageRef(file).name == str(file)


def test_another_process_gets_the_same_path() -> None:
    file = path_at("memory://bucket/x.png")
    again = pickle.loads(pickle.dumps(file))  # noqa: S301
    assert (type(again), str(again), again, hash(again)) == (RemotePath, str(file), file, hash(file))


def test_a_file_address_is_a_local_path(tmp_path: Path) -> None:
    assert path_at(f"file://{tmp_path}/x") == path_at(Path(f"local://{tmp_path}/x")) == tmp_path / "x"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("s4://bucket/x", "there are no addresses s4://. Known: abfs, gs, hdfs, hf, s3, sftp."),
        ("hff://datasets/x", "there are no addresses hff://. Did you mean 'hf'?"),
        ("s3://", "s3:// names no bucket: write for example s3://BUCKET/FOLDER."),
        (
            "https://host/x",
            "at https:// there are no folders that can be listed: download the files, or give an address at s3://, gs://"
            " or hf://.",
        ),
        *(
            (
                f"s3://{secret}",
                "an address s3://… holds a password, a token or a '?', and would be recorded: leave that out, and give"
                " credentials as its library takes them (docs/remote.md).",
            )
            for secret in ("me:hidden@bucket/x", ":hidden@bucket/x", "bucket/x?token=hidden")
        ),
    ],
)
def test_what_is_no_address_is_refused_in_one_sentence(text: str, sentence: str) -> None:
    for given in (text, Path(text)):
        with pytest.raises(UserError) as told:
            path_at(given)
        assert str(told.value) == sentence


def test_a_protocol_is_known_in_capitals(
    memory: AbstractFileSystem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = path_at("MEMORY://Bucket/Folder")
    assert (type(folder), str(folder)) == (RemotePath, "memory://Bucket/Folder")
    assert path_at(Path("Memory://Bucket/Folder")) == folder
    memory.pipe("/b/x.png", b"")
    Path("pairs.csv").write_text("generated\nMEMORY://b/x.png\n", encoding="utf-8")
    assert [pair.generated for pair in Pairs.from_csv("pairs.csv", "memory://b")] == [
        ImageRef(path_at("memory://b/x.png"), name="x.png")
    ]
    with pytest.raises(UserError, match="nothing is written to S3://"):
        refuse_address(Path("S3://bucket"))


def test_a_user_without_a_password_is_part_of_some_addresses() -> None:
    assert str(path_at("sftp://me@host/x")) == "sftp://me@host/x"
    assert str(path_at("hf://datasets/a/b@main/x")) == "hf://datasets/a/b@main/x"


def test_a_folder_of_that_name_is_not_taken_for_an_address_nor_left_for_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine:/images").mkdir(parents=True)
    assert path_at("mine:/images").is_dir()
    Path("s3:/bucket").mkdir(parents=True)
    with pytest.raises(UserError) as told:
        path_at("s3://bucket")
    assert str(told.value) == (
        "s3:// may be an address or the folder 's3:' that is here: rename that, or give its absolute path."
    )
    assert path_at(tmp_path / "s3:" / "bucket").is_dir()
    refuse_address(Path("s3:/bucket"))


def test_nothing_is_written_to_an_address() -> None:
    with pytest.raises(UserError, match=r"^nothing is written to s3://: give a folder of this machine with -o\.$"):
        refuse_address(Path("s3://me:hidden@bucket/x"))
    refuse_address(Path("results/s3"))


# Packages and file systems


class Recorded(AbstractFileSystem):  # type: ignore[misc]
    """A file system that tells how it was made and asked."""

    protocol = ("gs", "gcs")
    asked: list[Any] = []  # noqa: RUF012
    cachable = False

    def __init__(self, **options: Any) -> None:
        super().__init__()
        self.asked.append(options)

    def cat_file(self, path: str, **_: Any) -> bytes:
        self.asked.append(path)
        return b"picture"


@pytest.fixture
def fresh_packages() -> Iterator[None]:
    """Packages are looked for again."""
    remote._file_system.cache_clear()
    sys.modules["fsspec.registry"]._registry.pop("gs", None)
    yield
    remote._file_system.cache_clear()
    sys.modules["fsspec.registry"]._registry.pop("gs", None)


@pytest.mark.usefixtures("fresh_packages")
def test_the_command_that_brings_a_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gcsfs", None)
    with pytest.raises(UserError) as told:
        Pairs.from_folders("gs://bucket/x")
    assert str(told.value) == (
        "cannot read the folder gs://bucket/x: a package for gs:// is not installed (pip install 'fhpt-eval[remote]')"
        " (docs/remote.md)."
    )
    monkeypatch.setitem(sys.modules, "adlfs", None)
    with pytest.raises(UserError, match=r"abfs:// is not installed \(Install adlfs"):
        Pairs.from_folders("abfs://container/x")
    # As on a machine of a cluster that lacks it.
    assert hash_file(path_at("gs://bucket/x")) == Missing(
        "a package for gs:// is not installed (pip install 'fhpt-eval[remote]')"
    )


@pytest.mark.usefixtures("fresh_packages")
def test_google_s_file_system_is_asked_for_the_object(monkeypatch: pytest.MonkeyPatch) -> None:
    package: Any = types.ModuleType("gcsfs")
    package.GCSFileSystem = Recorded
    monkeypatch.setitem(sys.modules, "gcsfs", package)
    monkeypatch.setattr(Recorded, "asked", [])
    assert read_regular(path_at("gs://bucket/folder/x.png")) == b"picture"
    assert Recorded.asked == [{}, "bucket/folder/x.png"]


def test_hugging_face_s_file_system_is_asked_for_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import HfFileSystem

    asked = []

    def answer(self: HfFileSystem, path: str, **_: Any) -> bytes:
        asked.append((type(self), path))
        return b"picture"

    monkeypatch.setattr(HfFileSystem, "cat_file", answer)
    assert read_regular(path_at("hf://datasets/someone/pictures@main/real/x.png")) == b"picture"
    assert asked == [(HfFileSystem, "datasets/someone/pictures@main/real/x.png")]


# Files


def test_a_file_is_read_whole_or_its_beginning(memory: AbstractFileSystem) -> None:
    memory.pipe_file("/bucket/x.png", b"0123456789")
    memory.pipe_file("/bucket/empty", b"")
    file = path_at("memory://bucket/x.png")
    assert read_regular(file) == b"0123456789"
    assert read_head(file, 4) == b"0123"
    assert read_head(path_at("memory://bucket/empty"), 4) == b""
    with open_regular(file) as stream:
        assert stream.read(3) == b"012"
    assert (file.exists(), file.is_file(), file.is_dir(), not_regular(file)) == (True, True, False, None)
    assert (file.parent.exists(), file.parent.is_file(), file.parent.is_dir()) == (True, False, True)
    absent = file.with_name("y.png")
    assert (absent.exists(), absent.is_file(), absent.is_dir()) == (False, False, False)
    assert hash_file(absent) == Missing("No such file or directory")


def test_a_folder_is_listed_as_a_local_one_is(memory: AbstractFileSystem, tmp_path: Path) -> None:
    png = b"\x89PNG\r\n\x1a\n"
    files = {
        "a.png": png, "sub/b.JPG": b"", "sub/c.txt": b"text", ".hidden.png": png, "_SUCCESS": b"", "README": b"about",
        "picture": png, "twice.png": png, "twice.gif": b"GIF89a", "only.gif": b"GIF89a",
    }  # fmt: skip
    for name, content in files.items():
        memory.pipe_file(f"/bucket/folder/{name}", content)
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    memory.pipe_file("/bucket/folder of others/d.png", png)
    there, here = list_folder(path_at("memory://bucket/folder")), list_folder(tmp_path)
    assert there.images == here.images == ("a.png", "only.gif", "sub/b.JPG", "twice.png")
    assert there.left_out == here.left_out
    assert [*there.left_out] == [".hidden.png", "picture", "twice.gif"]
    assert there.others == here.others


def test_a_changed_folder_is_seen(memory: AbstractFileSystem) -> None:
    folder = path_at("memory://bucket/folder")
    memory.pipe_file("/bucket/folder/a.png", b"1")
    assert list_folder(folder).images == ("a.png",)
    memory.pipe_file("/bucket/folder/b.png", b"1")
    assert list_folder(folder).images == ("a.png", "b.png")


# Errors


class _Refused(Exception):
    def __init__(self, **told: Any) -> None:
        super().__init__("https://host/x?signature=hidden")
        self.__dict__ |= told


class DefaultCredentialsError(Exception):
    """As of google.auth."""


class EndpointConnectionError(Exception):
    """As of botocore."""


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (FileNotFoundError("hidden"), "No such file or directory"),
        (FileNotFoundError("The specified bucket does not exist"), "no such bucket"),
        (_Refused(response=types.SimpleNamespace(status_code=404)), "No such file or directory"),
        (_Refused(response=types.SimpleNamespace(status_code=403)), "access is forbidden"),
        (_Refused(code=401), "access is forbidden"),
        (_Refused(status=503), "_Refused, status 503"),
        (_Refused(response={"Error": {"Code": "hidden"}}), "_Refused"),
        (PermissionError("hidden"), "access is forbidden"),
        (OSError("Forbidden: hidden"), "access is forbidden"),
        (DefaultCredentialsError("hidden"), "no credentials"),
        (EndpointConnectionError("hidden"), "the server cannot be reached"),
        (EndpointConnectionError('at "http://host:9/b?hidden"'), "the server host:9 cannot be reached"),
        (EndpointConnectionError("at http://me:hidden@host:9/b"), "the server cannot be reached"),
        (ConnectionError("Pool(host='host', port=443): hidden"), "the server host cannot be reached"),
        (TimeoutError(), "the server cannot be reached"),
        (OSError(22, "hidden"), "OSError"),
    ],
)
def test_why_a_file_cannot_be_read_is_told_without_the_words_of_a_library(
    monkeypatch: pytest.MonkeyPatch, error: Exception, why: str
) -> None:
    class Failing(AbstractFileSystem):  # type: ignore[misc]
        cachable = False

        def cat_file(self, path: str, **_: Any) -> bytes:
            raise error

        def info(self, path: str, **_: Any) -> dict[str, Any]:
            raise error

    monkeypatch.setattr(remote, "_file_system", lambda _: Failing)
    file = RemotePath("memory://bucket/x.png")
    assert hash_file(file) == Missing(why)
    with pytest.raises(OSError, match=r"memory://bucket/x\.png") as told:
        file.read_bytes()
    assert told.value.strerror == why
    # What cannot be told is left to whoever reads it.
    assert file.exists() is file.is_dir() is (told.value.errno != 2)
