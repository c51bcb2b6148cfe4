from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from typer.testing import CliRunner

from fhpt_eval.cli import weights as module
from fhpt_eval.cli.weights import app
from fhpt_eval.errors import UserError
from fhpt_eval.extract.weights import Weights

FID = b"inception" * 1000
LPIPS = b"alexnet" * 1000


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str


def main(*arguments: str | Path) -> Outcome:
    """Run the command as the main program does: a UserError is one line on stderr and exit code 2."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], env={"COLUMNS": "600"})
    if isinstance(result.exception, UserError):
        return Outcome(2, result.stdout, f"{result.stderr}{result.exception}\n")
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Outcome(result.exit_code, result.stdout, result.stderr)


def describe(name: str, content: bytes, used_by: str, url: str | None) -> Weights:
    digest = hashlib.sha256(content).hexdigest()
    return Weights(name, f"{name}.pth", len(content), digest, "Apache-2.0", used_by, url)


@pytest.fixture
def server() -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = {"/inception.pth": FID, "/alexnet.pth": LPIPS}.get(self.path)
            if body is None:
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{http.server_port}"
    http.shutdown()
    thread.join()
    http.server_close()


@pytest.fixture(autouse=True)
def known(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Weights]:
    """Two registered weights that the server has; no place of this machine is looked at."""
    for name in list(os.environ):
        if name.lower().endswith("_proxy") or name in {"FHPT_EVAL_WEIGHTS", "FHPT_EVAL_OFFLINE", "TORCH_HOME"}:
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    registered = {
        "alexnet": describe("alexnet", LPIPS, "lpips", f"{server}/alexnet.pth"),
        "inception": describe("inception", FID, "fid, kid", f"{server}/inception.pth"),
    }
    monkeypatch.setattr(module, "registered", lambda: registered)
    return registered


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    # Square brackets would be markup to rich.
    path = tmp_path / "wei[red]ghts"
    path.mkdir()
    return path


def test_list_shows_what_is_known_and_where_it_is(known: dict[str, Weights], folder: Path) -> None:
    (folder / "inception.pth").write_bytes(FID)
    outcome = main("list", "--weights-dir", folder)
    assert outcome.code == 0
    for shown in ("9.0 kB", "Apache-2.0", "fid, kid", "absent", str(folder / "inception.pth")):
        assert shown in outcome.out
    lines = outcome.out.splitlines()
    assert all(f"{name}  {weights.url}" in lines for name, weights in known.items())


def test_list_names_a_wrong_file(folder: Path) -> None:
    (folder / "inception.pth").write_bytes(FID[1:])
    outcome = main("list", "--weights-dir", folder)
    assert outcome.code == 0
    assert hashlib.sha256(FID[1:]).hexdigest() in outcome.out


def test_list_as_json_has_every_field(known: dict[str, Weights], folder: Path) -> None:
    (folder / "inception.pth").write_bytes(FID)
    (folder / "alexnet.pth").write_bytes(LPIPS[1:])
    outcome = main("list", "--json", "--weights-dir", folder)
    assert outcome.code == 0
    alexnet, inception = json.loads(outcome.out)
    weights = known["inception"]
    assert inception == {
        "name": "inception",
        "filename": "inception.pth",
        "bytes": len(FID),
        "sha256": weights.sha256,
        "licence": "Apache-2.0",
        "used_by": "fid, kid",
        "url": weights.url,
        "package": None,
        "path": str(folder / "inception.pth"),
        "problem": None,
    }
    assert alexnet["path"] is None
    assert "expected are 7000 bytes" in alexnet["problem"]


def test_fetch_brings_what_is_named_and_nothing_else(folder: Path) -> None:
    outcome = main("fetch", "inception", "--weights-dir", folder)
    assert outcome.code == 0
    assert outcome.out == f"inception  {folder / 'inception.pth'}\n"
    assert "inception" in outcome.err
    assert "9.0/9.0 kB" in outcome.err
    assert [path.name for path in folder.iterdir()] == ["inception.pth"]


def test_fetch_all_shows_no_bar_for_what_is_here(folder: Path) -> None:
    (folder / "inception.pth").write_bytes(FID)
    outcome = main("fetch", "--all", "--weights-dir", folder)
    assert outcome.code == 0
    assert outcome.out.split() == ["alexnet", str(folder / "alexnet.pth"), "inception", str(folder / "inception.pth")]
    assert "alexnet" in outcome.err
    assert "inception" not in outcome.err


@pytest.mark.parametrize("arguments", [(), ("inception", "--all")])
def test_fetch_without_a_choice_says_what_can_be_fetched(arguments: tuple[str, ...], folder: Path) -> None:
    outcome = main("fetch", *arguments, "--weights-dir", folder)
    assert outcome.code == 2
    assert "alexnet (7.0 kB), inception (9.0 kB)" in outcome.err
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("command", ["fetch", "verify"])
def test_unknown_name_is_answered_with_the_closest_before_anything_is_done(command: str, folder: Path) -> None:
    outcome = main(command, "alexnet", "incepton", "--weights-dir", folder)
    assert outcome.code == 2
    assert outcome.err == "no weights are called 'incepton'. Did you mean 'inception'?\n"
    assert list(folder.iterdir()) == []


def test_fetch_names_what_could_not_be_had_and_brings_the_rest(known: dict[str, Weights], folder: Path) -> None:
    known["gone"] = replace(known["inception"], name="gone", filename="gone.pth", url=f"{known['alexnet'].url}.old")
    known["wrong"] = replace(known["inception"], name="wrong", filename="wrong.pth")
    (folder / "wrong.pth").write_bytes(b"half")
    outcome = main("fetch", "gone", "wrong", "alexnet", "--weights-dir", folder)
    assert outcome.code == 3
    assert outcome.out == f"alexnet  {folder / 'alexnet.pth'}\n"
    assert "gone.pth) are not here and could not be downloaded (HTTP 404 Not Found)" in outcome.err
    assert "wrong.pth is not the wrong that is registered" in outcome.err


def test_fetch_into_a_place_that_is_no_folder_is_wrong_use(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    outcome = main("fetch", "--all", "--weights-dir", tmp_path / "file")
    assert outcome.code == 2
    assert "cannot be written" in outcome.err


def test_fetch_offline_downloads_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FHPT_EVAL_OFFLINE", "1")
    outcome = main("fetch", "inception", "--weights-dir", folder)
    assert outcome.code == 3
    assert "offline was asked for" in outcome.err
    assert list(folder.iterdir()) == []


def test_verify_accepts_what_is_here_and_lists_what_is_absent(folder: Path) -> None:
    (folder / "inception.pth").write_bytes(FID)
    outcome = main("verify", "--weights-dir", folder)
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out == f"absent  alexnet\ngood    inception  {folder / 'inception.pth'}\n"


def test_verify_of_a_named_absent_file_is_incomplete(folder: Path) -> None:
    outcome = main("verify", "inception", "--weights-dir", folder)
    assert outcome.code == 3
    assert "inception is absent: run `fhpt-eval weights fetch inception`" in outcome.err


def test_verify_looks_in_every_place(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FHPT_EVAL_WEIGHTS", str(tmp_path / "other"))
    (tmp_path / "other").mkdir()
    (folder / "inception.pth").write_bytes(FID)
    (tmp_path / "other" / "inception.pth").write_bytes(FID[:-1])
    outcome = main("verify", "inception", "--json", "--weights-dir", folder)
    assert outcome.code == 3
    good, bad = json.loads(outcome.out)
    assert (good["status"], good["path"], good["problem"]) == ("good", str(folder / "inception.pth"), None)
    assert (bad["status"], bad["path"]) == ("bad", str(tmp_path / "other" / "inception.pth"))
    assert outcome.err == bad["problem"] + "\n"


def test_added_file_is_found_from_then_on(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "download (1)").write_bytes(FID)
    outcome = main("add", tmp_path / "download (1)", "--weights-dir", folder)
    assert (outcome.code, outcome.out) == (0, f"inception  {folder / 'inception.pth'}\n")
    assert main("verify", "inception", "--weights-dir", folder).code == 0


def test_adding_an_unknown_or_absent_file_is_wrong_use(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "unknown").write_bytes(b"unknown")
    outcome = main("add", tmp_path / "unknown", "--weights-dir", folder)
    assert outcome.code == 2
    assert hashlib.sha256(b"unknown").hexdigest() in outcome.err
    assert main("add", tmp_path / "absent", "--weights-dir", folder).code == 2


def test_command_starts_without_torch() -> None:
    code = "import sys, fhpt_eval.cli.weights; sys.exit('torch' in sys.modules)"
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, check=False, timeout=60)  # noqa: S603
    assert done.returncode == 0
