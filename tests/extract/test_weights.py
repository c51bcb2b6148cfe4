from __future__ import annotations

import errno
import hashlib
import importlib.util
import multiprocessing
import os
import socket
import struct
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from fhpt_eval.errors import Unavailable, UserError
from fhpt_eval.extract import weights as module
from fhpt_eval.extract.weights import (
    Store,
    Weights,
    WrongFileError,
    add,
    by_name,
    file_sha256,
    load_state_dict,
    verify,
)

CONTENT = bytes(range(256)) * 1024


def describe(content: bytes, name: str = "toy") -> Weights:
    return Weights(name, f"{name}.pth", len(content), hashlib.sha256(content).hexdigest(), "MIT", "fid")


TOY = describe(CONTENT)


@dataclass
class Server:
    """A web server on this machine; ``answers`` maps a path to what its handler does, ``requests`` lists the paths."""

    root: str
    answers: dict[str, Callable[[BaseHTTPRequestHandler], None]] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)

    def toy(self, answer: Callable[[BaseHTTPRequestHandler], None]) -> Weights:
        self.answers["/toy.pth"] = answer
        return replace(TOY, url=f"{self.root}/toy.pth")


@pytest.fixture
def server() -> Iterator[Server]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.requests.append(self.path)
            state.answers[self.path](self)

        def log_message(self, *_: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state = Server(f"http://127.0.0.1:{http.server_port}")
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield state
    http.shutdown()
    thread.join()
    http.server_close()


@pytest.fixture(autouse=True)
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    """No place of this machine is looked at, no proxy is used and nothing waits."""
    for name in list(os.environ):
        if name.lower().endswith("_proxy") or name in {"FHPT_EVAL_WEIGHTS", "FHPT_EVAL_OFFLINE", "TORCH_HOME"}:
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setattr(module, "BACKOFF_S", 0.0)
    return {
        "folder": tmp_path / "folder",
        "environment": tmp_path / "environment",
        "package": tmp_path / "packages" / "toy_carrier" / "inner",
        "cache": tmp_path / "xdg" / "fhpt-eval" / "weights",
        "hub": tmp_path / "xdg" / "torch" / "hub" / "checkpoints",
    }


def put(folder: Path, content: bytes = CONTENT, name: str = "toy.pth") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)
    return folder / name


def send(content: bytes, length: int | None = None) -> Callable[[BaseHTTPRequestHandler], None]:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(content) if length is None else length))
        handler.end_headers()
        handler.wfile.write(content)

    return answer


def send_without_length(content: bytes) -> Callable[[BaseHTTPRequestHandler], None]:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        handler.wfile.write(content)

    return answer


def redirect(address: str) -> Callable[[BaseHTTPRequestHandler], None]:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(302)
        handler.send_header("Location", address)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return answer


def reset(handler: BaseHTTPRequestHandler) -> None:
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.connection.close()


def in_turn(*answers: Callable[[BaseHTTPRequestHandler], None]) -> Callable[[BaseHTTPRequestHandler], None]:
    left = list(answers)
    return lambda handler: left.pop(0)(handler)


def assert_refused(weights: Weights, folder: Path, reason: str) -> None:
    """The sentence names the weights, the reason and the way out; nothing stays in the folder."""
    with pytest.raises(Unavailable, match=reason) as caught:
        Store(folder).get(weights)
    assert "weights toy (toy.pth) are not here" in str(caught.value)
    assert "run `fhpt-eval weights fetch toy`" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not folder.exists() or list(folder.iterdir()) == []


# Where weights are found


def test_places_are_searched_in_the_documented_order(places: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    put(places["package"].parent, b"", "__init__.py")
    monkeypatch.syspath_prepend(str(places["package"].parents[1]))
    monkeypatch.setenv("FHPT_EVAL_WEIGHTS", str(places["environment"]))
    carried = replace(TOY, package="toy_carrier:inner/toy.pth")
    store = Store(places["folder"])
    assert store.find(carried) is None
    for name in reversed(places):
        expected = put(places[name])
        assert store.find(carried) == expected
    assert store.present(carried) == tuple(folder / "toy.pth" for folder in places.values())
    assert "toy_carrier" not in sys.modules


def test_absent_package_is_no_place() -> None:
    assert Store().find(replace(TOY, package="no_such_package_here:toy.pth")) is None


def test_torch_home_moves_the_hub_cache_as_in_torch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from torch import hub

    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "home"))
    assert put(Path(hub.get_dir()) / "checkpoints") == Store().find(TOY)
    monkeypatch.delenv("TORCH_HOME")
    assert put(Path(hub.get_dir()) / "checkpoints") == Store().find(TOY)


def test_new_files_go_to_the_first_folder_that_was_chosen(
    places: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert Store().target == places["cache"]
    monkeypatch.setenv("FHPT_EVAL_WEIGHTS", str(places["environment"]))
    assert Store().target == places["environment"]
    assert Store(places["folder"]).target == places["folder"]


@pytest.mark.parametrize("content", [CONTENT[:-1], CONTENT[:-1] + b"x", b""])
def test_wrong_file_is_reported_even_when_a_later_place_has_the_right_one(
    places: dict[str, Path], content: bytes
) -> None:
    wrong = put(places["folder"], content)
    put(places["cache"])
    with pytest.raises(WrongFileError) as caught:
        Store(places["folder"]).find(TOY)
    for part in (str(wrong), hashlib.sha256(content).hexdigest(), TOY.sha256, "delete it, then"):
        assert part in str(caught.value)


def test_file_of_another_kind_is_no_weights_file(places: dict[str, Path]) -> None:
    (places["folder"] / "toy.pth").mkdir(parents=True)
    places["cache"].mkdir(parents=True)
    (places["cache"] / "toy.pth").symlink_to("nowhere")
    assert Store(places["folder"]).find(TOY) is None


def test_hash_is_computed_once_until_the_file_changes(places: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    file = put(places["folder"])
    hashed: list[Path] = []

    def counting(path: Path) -> str:
        hashed.append(path)
        return file_sha256(path)

    monkeypatch.setattr(module, "file_sha256", counting)
    store = Store(places["folder"])
    assert store.find(TOY) == store.find(TOY) == file
    assert hashed == [file]
    status = file.stat()
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    store.find(TOY)
    assert hashed == [file, file]


def test_verify_sees_a_change_that_left_size_and_time_alone(places: dict[str, Path]) -> None:
    file = put(places["folder"])
    status = file.stat()
    Store(places["folder"]).find(TOY)
    verify(file, TOY)
    with file.open("r+b") as stream:
        stream.write(b"x")
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    with pytest.raises(WrongFileError, match="sha256"):
        verify(file, TOY)
    with pytest.raises(UserError, match="not a file that can be read"):
        verify(file.with_name("absent.pth"), TOY)


def test_unreadable_file_is_one_sentence(places: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    put(places["folder"])

    def deny(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(module, "open_regular", deny)
    with pytest.raises(UserError, match=r"toy.pth cannot be read \(Permission denied\): check its permissions\."):
        Store(places["folder"]).find(TOY)


@pytest.mark.parametrize(
    ("place", "what"), [("gone", "No such file"), ("folder", "a folder"), ("pipe", "a named pipe")]
)
def test_what_is_no_file_has_no_hash(place: str, what: str, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UserError, match=rf"{place} cannot be read \({what}.*\): give the path of a file\.$"):
        file_sha256(tmp_path / place)


# Download


def test_download_is_checked_kept_and_not_repeated(server: Server, places: dict[str, Path]) -> None:
    toy = server.toy(send(CONTENT))
    seen: list[tuple[int, int]] = []
    path = Store(places["folder"]).get(toy, lambda done, total: seen.append((done, total)))
    assert path == places["folder"] / "toy.pth"
    assert path.read_bytes() == CONTENT
    assert list(places["folder"].iterdir()) == [path]
    assert seen[0] == (0, len(CONTENT))
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert seen == sorted(seen)
    assert Store(places["folder"]).get(toy) == path
    assert server.requests == ["/toy.pth"]


def test_downloaded_file_has_the_permissions_of_any_new_file(server: Server, places: dict[str, Path]) -> None:
    other = put(places["folder"], b"", "other")
    path = Store(places["folder"]).get(server.toy(send(CONTENT)))
    assert path.stat().st_mode == other.stat().st_mode


def test_http_redirect_is_followed(server: Server, places: dict[str, Path]) -> None:
    toy = server.toy(redirect("/elsewhere"))
    server.answers["/elsewhere"] = send_without_length(CONTENT)
    assert Store(places["folder"]).get(toy).read_bytes() == CONTENT


@pytest.mark.parametrize("scheme", ["file", "ftp"])
def test_redirect_away_from_the_web_is_refused(server: Server, places: dict[str, Path], scheme: str) -> None:
    local = put(places["cache"], CONTENT, "local")
    toy = server.toy(redirect(f"{scheme}://{'127.0.0.1' if scheme == 'ftp' else ''}{local}"))
    assert_refused(toy, places["folder"], "not allowed" if scheme == "file" else "unknown url type: ftp")


@pytest.mark.parametrize("scheme", ["file", "data"])
def test_address_that_is_not_web_is_refused(places: dict[str, Path], scheme: str) -> None:
    local = put(places["cache"], CONTENT, "local")
    toy = replace(TOY, url=local.as_uri() if scheme == "file" else "data:,toy")
    assert_refused(toy, places["folder"], f"unknown url type: {scheme}")


def test_truncated_body_is_tried_three_times_and_leaves_nothing(server: Server, places: dict[str, Path]) -> None:
    toy = server.toy(send(CONTENT[:1000], length=len(CONTENT)))
    assert_refused(toy, places["folder"], r"only 1000 of 262144 bytes came|IncompleteRead")
    assert len(server.requests) == 3


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (send(CONTENT[::-1]), "what came has sha256"),
        (send(CONTENT + b"x"), "the server offers 262145 bytes, expected are 262144"),
        (send(b"<html>Not here</html>"), "the server offers 21 bytes"),
        (send_without_length(CONTENT + b"x"), "more than the expected 262144 bytes came"),
        (lambda handler: handler.send_error(404), "HTTP 404 Not Found"),
        (lambda handler: handler.send_error(403), "HTTP 403 Forbidden"),
    ],
    ids=["wrong-hash", "longer", "other-page", "longer-unannounced", "404", "403"],
)
def test_answer_that_will_not_change_is_asked_for_once(
    server: Server, places: dict[str, Path], answer: Callable[[BaseHTTPRequestHandler], None], reason: str
) -> None:
    assert_refused(server.toy(answer), places["folder"], reason)
    assert len(server.requests) == 1


def test_endless_body_is_cut_off_at_the_expected_size(server: Server, places: dict[str, Path]) -> None:
    sent: list[int] = []

    def endless(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        try:
            while len(sent) < 10_000:
                sent.append(handler.wfile.write(CONTENT))
        except ConnectionError:
            pass

    assert_refused(server.toy(endless), places["folder"], "more than the expected")
    assert len(sent) < 10_000


def test_closed_port_is_tried_three_times(places: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(module, "BACKOFF_S", 0.5)
    monkeypatch.setattr(time, "sleep", pauses.append)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        closed = f"http://127.0.0.1:{probe.getsockname()[1]}/toy.pth"
        assert_refused(replace(TOY, url=closed), places["folder"], "Connection refused")
    assert pauses == [0.5, 1.0]


@pytest.mark.parametrize("headers_first", [True, False])
def test_silent_server_times_out(
    server: Server, places: dict[str, Path], monkeypatch: pytest.MonkeyPatch, headers_first: bool
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(module, "READ_TIMEOUT_S", 0.05)
    monkeypatch.setattr(time, "sleep", pauses.append)
    over = threading.Event()

    def silent(handler: BaseHTTPRequestHandler) -> None:
        if headers_first:
            send(CONTENT[:1000], length=len(CONTENT))(handler)
        over.wait(5)

    toy = server.toy(silent)
    assert_refused(toy, places["folder"], "timed out")
    over.set()
    assert len(pauses) == 2


@pytest.mark.parametrize("first", [reset, send(CONTENT[:1000], length=len(CONTENT))], ids=["reset", "truncated"])
def test_broken_connection_is_tried_again(
    server: Server, places: dict[str, Path], first: Callable[[BaseHTTPRequestHandler], None]
) -> None:
    toy = server.toy(in_turn(first, send(CONTENT)))
    assert Store(places["folder"]).get(toy).read_bytes() == CONTENT
    assert len(server.requests) == 2


@pytest.mark.parametrize(("code", "tries"), [(socket.EAI_AGAIN, 3), (socket.EAI_NONAME, 1)])
def test_only_a_name_server_that_is_away_is_asked_again(
    places: dict[str, Path], monkeypatch: pytest.MonkeyPatch, code: int, tries: int
) -> None:
    asked: list[object] = []

    def resolve(*arguments: object, **_: object) -> None:
        asked.append(arguments)
        raise socket.gaierror(code, "no such host")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    assert_refused(replace(TOY, url="http://weights.invalid/toy.pth"), places["folder"], "no such host")
    assert len(asked) == tries


def test_offline_store_asks_no_server(server: Server, places: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    toy = server.toy(send(CONTENT))
    with pytest.raises(Unavailable, match="offline was asked for"):
        Store(offline=True).get(toy)
    monkeypatch.setenv("FHPT_EVAL_OFFLINE", "1")
    with pytest.raises(Unavailable, match="offline was asked for"):
        Store().get(toy)
    assert server.requests == []
    assert Store(put(places["folder"]).parent).get(toy) == places["folder"] / "toy.pth"
    monkeypatch.setenv("FHPT_EVAL_OFFLINE", "0")
    assert Store().get(toy) == places["cache"] / "toy.pth"


def test_weights_without_an_address_name_their_package() -> None:
    with pytest.raises(Unavailable, match="install the package no_such_package_here again, or run"):
        Store().get(replace(TOY, package="no_such_package_here:toy.pth"))
    with pytest.raises(Unavailable, match=r"there is no address for it.*weights add FILE"):
        Store().get(TOY)


def test_folder_that_cannot_be_made_is_one_sentence(server: Server, tmp_path: Path) -> None:
    in_the_way = put(tmp_path, b"", "file")
    with pytest.raises(UserError, match=r"cannot be written.*--weights-dir") as caught:
        Store(in_the_way).get(server.toy(send(CONTENT)))
    assert not isinstance(caught.value, Unavailable)


def test_full_disk_is_one_sentence_and_leaves_nothing(
    server: Server, places: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match=r"cannot be written \(No space left on device\).*262144 bytes"):
        Store(places["folder"]).get(server.toy(send(CONTENT)))
    assert list(places["folder"].iterdir()) == []
    assert len(server.requests) == 1


def test_interrupt_leaves_nothing(server: Server, places: dict[str, Path]) -> None:
    def interrupt(done: int, _: int) -> None:
        if done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Store(places["folder"]).get(server.toy(send(CONTENT)), interrupt)
    assert list(places["folder"].iterdir()) == []


def test_only_stale_parts_are_swept(server: Server, places: dict[str, Path]) -> None:
    stale, running = (put(places["folder"], b"", f".part-{name}") for name in ("stale", "running"))
    day_ago = time.time() - 25 * 3600
    os.utime(stale, (day_ago, day_ago))
    path = Store(places["folder"]).get(server.toy(send(CONTENT)))
    assert set(places["folder"].iterdir()) == {running, path}


def test_threads_that_fetch_at_once_all_get_a_good_file(server: Server, places: dict[str, Path]) -> None:
    together = threading.Barrier(2, timeout=10)

    def slowly(handler: BaseHTTPRequestHandler) -> None:
        together.wait()
        send(CONTENT)(handler)

    toy = server.toy(slowly)
    with ThreadPoolExecutor(2) as pool:
        paths = list(pool.map(lambda _: Store(places["folder"]).get(toy), range(2)))
    assert len(server.requests) == 2
    assert list(places["folder"].iterdir()) == [paths[0]] == [paths[1]]
    verify(paths[0], toy)


def _get_in_process(folder: Path, weights: Weights) -> str:
    return file_sha256(Store(folder).get(weights))


def test_processes_that_fetch_at_once_all_get_a_good_file(server: Server, places: dict[str, Path]) -> None:
    together = threading.Barrier(2, timeout=20)

    def slowly(handler: BaseHTTPRequestHandler) -> None:
        together.wait()
        send(CONTENT)(handler)

    toy = server.toy(slowly)
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        hashes = pool.starmap(_get_in_process, [(places["folder"], toy)] * 2, chunksize=1)
        pool.close()
        pool.join()
    assert hashes == [toy.sha256] * 2
    assert list(places["folder"].iterdir()) == [places["folder"] / "toy.pth"]


# Adding by hand


def test_added_file_is_recognised_under_any_name(places: dict[str, Path], tmp_path: Path) -> None:
    other = describe(b"other", "other")
    known = {"other": other, "toy": TOY}
    file = put(tmp_path, CONTENT, "download (1)")
    wrong = put(places["folder"], b"half a file")
    assert add(file, Store(places["folder"]), known) == TOY
    assert wrong.read_bytes() == CONTENT == file.read_bytes()
    assert add(wrong, Store(places["folder"]), known) == TOY
    assert Store(places["folder"]).find(TOY) == wrong
    assert list(places["folder"].iterdir()) == [wrong]


def test_unknown_file_is_refused_with_its_hash_and_what_is_known(places: dict[str, Path], tmp_path: Path) -> None:
    file = put(tmp_path, b"unknown")
    with pytest.raises(UserError, match=f"{hashlib.sha256(b'unknown').hexdigest()}.*toy \\(toy.pth\\)"):
        add(file, Store(places["folder"]), {"toy": TOY})
    with pytest.raises(UserError, match="not a file that can be read"):
        add(tmp_path, Store(places["folder"]), {"toy": TOY})
    assert not places["folder"].exists()


def test_file_that_changes_while_it_is_added_is_refused(
    places: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "file_sha256", lambda _: TOY.sha256)
    with pytest.raises(UserError, match="changed while it was copied"):
        add(put(tmp_path, CONTENT[::-1]), Store(places["folder"]), {"toy": TOY})
    assert list(places["folder"].iterdir()) == []


# By name


def test_weights_are_sorted_by_name_and_the_same_file_may_come_twice() -> None:
    zebra = Weights("zebra", "z.pth", 1, "0", "MIT", "fid")
    ape = Weights("ape", "a.pth", 1, "1", "MIT", "lpips", "https://example.org/a")
    assert by_name([zebra, ape, replace(zebra)]) == {"ape": ape, "zebra": zebra}
    assert list(by_name([zebra, ape])) == ["ape", "zebra"]


def test_two_files_of_one_name_are_refused() -> None:
    ape = Weights("ape", "a.pth", 1, "1", "MIT", "fid")
    with pytest.raises(ValueError, match="two different files of weights are called 'ape'"):
        by_name([ape, replace(ape, sha256="2")])


def test_an_address_that_is_not_https_is_refused() -> None:
    with pytest.raises(ValueError, match="not https"):
        by_name([Weights("ape", "a.pth", 1, "1", "MIT", "fid", "http://example.org/a")])


# Reading


def test_state_dict_is_read_from_both_formats(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import save_file

    state = {"weight": torch.arange(6.0).reshape(2, 3).half(), "steps": torch.tensor([3]), "empty": torch.zeros(0)}
    torch.save(state, tmp_path / "new.pth")
    torch.save(state, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    save_file(state, tmp_path / "safe.safetensors")
    for name in ("new.pth", "old.pt", "safe.safetensors"):
        loaded = load_state_dict(tmp_path / name)
        assert loaded.keys() == state.keys()
        for key, tensor in state.items():
            assert loaded[key].dtype == tensor.dtype
            assert torch.equal(loaded[key], tensor)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_values_that_are_not_finite_are_named(tmp_path: Path, value: float, suffix: str) -> None:
    import torch
    from safetensors.torch import save_file

    file = tmp_path / f"toy{suffix}"
    state = {"good": torch.zeros(2), "layer.bias": torch.tensor([0.0, value])}
    save_file(state, file) if suffix == ".safetensors" else torch.save(state, file)
    with pytest.raises(UserError, match=r"toy\.\w+ holds NaN or infinite values in tensor layer\.bias: "):
        load_state_dict(file)


class Attack:
    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return Path.touch, (Path("attacked"),)


def test_code_in_a_file_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.chdir(tmp_path)
    torch.save({"weight": Attack()}, "zip.pth")
    torch.save(Attack(), "old.pth", _use_new_zipfile_serialization=False)
    for name in ("zip.pth", "old.pth"):
        with pytest.raises(UserError, match=f"weights file {name} cannot be loaded") as caught:
            load_state_dict(Path(name))
        assert "weights_only" not in str(caught.value)
    assert not Path("attacked").exists()


def test_program_is_refused_without_a_further_warning(tmp_path: Path) -> None:
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), tmp_path / "program.pt")
    with pytest.raises(UserError, match=r"program.pt cannot be loaded \(RuntimeError\)"):
        load_state_dict(tmp_path / "program.pt")


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize(
    "content",
    [b"", b"<html>Not here</html>", b"PK\x03\x04half", b"\x80\x02", b"\xff" * 64],
    ids=["empty", "page", "half-zip", "half-pickle", "noise"],
)
def test_damaged_file_is_one_sentence(tmp_path: Path, content: bytes, suffix: str) -> None:
    file = put(tmp_path, content, f"toy{suffix}")
    with pytest.raises(UserError, match="cannot be loaded") as caught:
        load_state_dict(file)
    assert "\n" not in str(caught.value)


def test_absent_file_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"absent.pth cannot be loaded \(No such file or directory\)"):
        load_state_dict(tmp_path / "absent.pth")


def test_anything_but_named_tensors_is_refused(tmp_path: Path) -> None:
    import torch

    torch.save(torch.zeros(2), tmp_path / "one.pth")
    with pytest.raises(UserError, match="holds one Tensor instead of named tensors"):
        load_state_dict(tmp_path / "one.pth")
    torch.save({"epoch": 3, "state_dict": {"weight": torch.zeros(2)}}, tmp_path / "checkpoint.pth")
    with pytest.raises(UserError, match="holds a value of type int in 'epoch'"):
        load_state_dict(tmp_path / "checkpoint.pth")


def test_package_file_of_this_environment_is_found_and_read() -> None:
    # Not importorskip: that lpips need not be imported is the point.
    if importlib.util.find_spec("lpips") is None:
        pytest.skip("lpips is not installed")
    heads = Weights(
        name="lpips-alex",
        filename="lpips-alex.pth",
        bytes=6009,
        sha256="df73285e35b22355a2df87cdb6b70b343713b667eddbda73e1977e0c860835c0",
        licence="BSD-2-Clause",
        used_by="lpips",
        package="lpips:weights/v0.1/alex.pth",
    )
    path = Store(offline=True).get(heads)
    assert all(name.startswith("lin") for name in load_state_dict(path))
