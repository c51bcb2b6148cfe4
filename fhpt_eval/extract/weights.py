"""Weights of networks: what is known about each file, where it is looked for, how it is brought and how it is read.

A file is used only when its size and SHA-256 are the registered ones, and is read without running code from it.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import importlib.util
import itertools
import os
import secrets
import socket
import ssl
import stat
import time
import urllib.request
import warnings
from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO
from urllib.error import HTTPError, URLError

import platformdirs

from fhpt_eval._version import __version__
from fhpt_eval.errors import Unavailable, UserError
from fhpt_eval.files.regular import open_regular

if TYPE_CHECKING:
    import torch

READ_TIMEOUT_S = 20.0
TRIES = 3
BACKOFF_S = 1.0
STALE_AFTER_S = 24 * 3600.0
CHUNK_BYTES = 1 << 16
PART_PREFIX = ".part-"

DownloadProgress = Callable[[int, int], None]
"""Called with the bytes done so far (from 0 again after a broken connection) and the bytes in all."""


@dataclass(frozen=True)
class Weights:
    """One registered file of weights.

    Attributes:
        name: what users call it, for example ``inception-2015``.
        filename: its name in a folder of weights.
        bytes: its size.
        sha256: its hash, 64 lower-case hexadecimal digits.
        licence: under which terms it is given.
        used_by: the protocols that need it, separated by commas.
        url: its official address (https), or None when it comes only inside of a package.
        package: top-level import name of a package that carries it and the path inside: ``lpips:weights/v0.1/vgg.pth``.
    """

    name: str
    filename: str
    bytes: int
    sha256: str
    licence: str
    used_by: str
    url: str | None = None
    package: str | None = None


class WrongFileError(UserError):
    """A file has the name of registered weights and another content."""


def by_name(files: Iterable[Weights]) -> dict[str, Weights]:
    """Return weights by name, sorted; the same file may be given several times.

    Raises:
        ValueError: two different files share a name, or an address is not https (mistakes of who declared them).
    """
    known: dict[str, Weights] = {}
    for weights in files:
        if known.setdefault(weights.name, weights) != weights:
            raise ValueError(f"two different files of weights are called '{weights.name}'")
        if weights.url is not None and not weights.url.startswith("https://"):
            raise ValueError(f"the address of weights '{weights.name}' is not https: {weights.url}")
    return dict(sorted(known.items()))


@dataclass(frozen=True)
class Store:
    """The places where weights are looked for.

    In this order: ``folder``, the folder in ``FHPT_EVAL_WEIGHTS``, installed packages, our cache folder, the torch hub
    cache; then the network, unless ``offline`` or ``FHPT_EVAL_OFFLINE`` (any value but empty and 0) forbids it.

    Attributes:
        folder: the folder that the user named (``--weights-dir``).
        offline: never use the network.
    """

    folder: str | Path | None = None
    offline: bool = False

    @property
    def target(self) -> Path:
        """The folder that new files are written to; it need not exist."""
        return self._named or _environment_folder() or _cache_folder()

    @property
    def _named(self) -> Path | None:
        return Path(self.folder) if self.folder else None

    def places(self, weights: Weights) -> tuple[Path, ...]:
        """Return every path, existing or not, at which ``weights`` may lie, in the order of search."""
        chosen = (self._named, _environment_folder())
        caches = (_cache_folder(), _torch_hub_folder())
        named = [folder / weights.filename for folder in chosen if folder is not None]
        cached = [folder / weights.filename for folder in caches]
        return tuple(dict.fromkeys([*named, *_inside_package(weights), *cached]))

    def present(self, weights: Weights) -> tuple[Path, ...]:
        """Return the files among ``places``, unchecked."""
        return tuple(file for file in self.places(weights) if _status_of_file(file) is not None)

    def find(self, weights: Weights) -> Path | None:
        """Return the first file at ``places``, its size and hash checked, or None when there is none.

        Raises:
            WrongFileError: the first file has another content; it is never passed over for one in a later place.
            UserError: a file cannot be read.
        """
        for file in self.places(weights):
            status = _status_of_file(file)
            if status is not None:
                _require(weights, file, status.st_size, _remembered_sha256(file, status))
                return file
        return None

    @property
    def forbidden(self) -> bool:
        """Whether the network must not be used."""
        return self.offline or os.environ.get("FHPT_EVAL_OFFLINE", "") not in {"", "0"}

    def get(self, weights: Weights, progress: DownloadProgress | None = None) -> Path:
        """Return the checked file of ``weights``, downloaded into ``target`` when it is nowhere.

        Raises:
            Unavailable: the file is not here and could not be downloaded.
            UserError: a wrong or unreadable file is in the way, or ``target`` cannot be written to.
        """
        found = self.find(weights)
        if found is not None:
            return found
        if weights.url is None:
            raise _unavailable(weights, "there is no address for it")
        if self.forbidden:
            raise _unavailable(weights, "offline was asked for")
        for attempt in itertools.count(1):
            try:
                with contextlib.closing(_download(weights.url, weights.bytes)) as chunks:
                    return _write(chunks, weights, self.target, progress)
            except _TransferError as error:
                if attempt == TRIES or not error.may_pass:
                    raise _unavailable(weights, str(error)) from error
            time.sleep(BACKOFF_S * attempt)
        raise AssertionError("unreachable")


def verify(file: str | Path, weights: Weights) -> None:
    """Hash ``file`` again.

    Raises:
        WrongFileError: its size or hash is not that of ``weights``.
        UserError: it is not there or cannot be read.
    """
    file = Path(file)
    status = _require_file(file)
    _require(weights, file, status.st_size, file_sha256(file))


def add(file: str | Path, store: Store, known: Mapping[str, Weights]) -> Weights:
    """Copy ``file``, whatever its name, into ``store.target`` under the name of the ``known`` weights that it is.

    Raises:
        UserError: its hash is not registered, it cannot be read, or the folder cannot be written to.
    """
    file = Path(file)
    _require_file(file)
    digest = file_sha256(file)
    weights = next((entry for entry in known.values() if entry.sha256 == digest), None)
    if weights is None:
        names = ", ".join(f"{entry.name} ({entry.filename})" for entry in known.values()) or "none"
        raise UserError(
            f"{file} with sha256 {digest} is none of the registered weights, which are: {names}; "
            "compare its hash with those of `fhpt-eval weights list --json`."
        )
    try:
        with contextlib.closing(_chunks(file)) as chunks:
            _write(chunks, weights, store.target, None)
    except _TransferError as error:
        raise UserError(f"{file} changed while it was copied ({error}): try again when nobody writes to it.") from error
    return weights


def file_sha256(file: Path) -> str:
    """Return the SHA-256 of the content of ``file``, 64 lower-case hexadecimal digits.

    Raises:
        UserError: it cannot be read.
    """
    digest = hashlib.sha256()
    for chunk in _chunks(file):
        digest.update(chunk)
    return digest.hexdigest()


def load_state_dict(path: Path) -> dict[str, torch.Tensor]:
    """Read named tensors onto the CPU, dtypes as stored, without running code from the file.

    Files that end in ``.safetensors`` are read as such, all others with ``torch.load(weights_only=True)``. A state dict
    inside of another dict is not unwrapped.

    Raises:
        UserError: the file cannot be read, holds anything but named tensors, or holds NaN or infinite values.
    """
    import torch
    from safetensors.torch import load_file

    state: object
    try:
        if path.suffix == ".safetensors":
            state = load_file(path, device="cpu")
        else:
            with warnings.catch_warnings():
                # torch warns before it refuses a TorchScript archive, which is a program; one sentence is enough.
                warnings.filterwarnings("ignore", "'torch.load' received a zip file that looks like a TorchScript")
                state = torch.load(path, map_location="cpu", weights_only=True)
    # What torch raises for a damaged file depends on the byte that is damaged; its text advises weights_only=False.
    except Exception as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or type(error).__name__
        raise UserError(
            f"weights file {path} cannot be loaded ({reason}): it must be a .safetensors file or a PyTorch file "
            "that holds tensors and no other objects; save it again as one of these."
        ) from error
    if not isinstance(state, dict):
        raise UserError(
            f"weights file {path} holds one {type(state).__name__} instead of named tensors: save its state dict."
        )
    for name, tensor in state.items():
        if not isinstance(name, str) or not isinstance(tensor, torch.Tensor):
            raise UserError(
                f"weights file {path} holds a value of type {type(tensor).__name__} in {name!r}, not a named tensor: "
                "save only the state dict."
            )
        if not bool(torch.isfinite(tensor).all()):
            raise UserError(
                f"weights file {path} holds NaN or infinite values in tensor {name}: use a checkpoint from before "
                "the training diverged."
            )
    return dict(state)


def _expand_home(path: str) -> Path:
    # Unlike Path.expanduser this does not raise for a user without a home folder, as in many containers.
    return Path(os.path.expanduser(path))  # noqa: PTH111


def _environment_folder() -> Path | None:
    value = os.environ.get("FHPT_EVAL_WEIGHTS")
    return _expand_home(value) if value else None


def _cache_folder() -> Path:
    return platformdirs.user_cache_path("fhpt-eval") / "weights"


def _torch_hub_folder() -> Path:
    # The rule of torch.hub.get_dir(), which would take seconds to import.
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    home = os.environ.get("TORCH_HOME")
    return (_expand_home(home) if home else _expand_home(cache) / "torch") / "hub" / "checkpoints"


def _inside_package(weights: Weights) -> list[Path]:
    if weights.package is None:
        return []
    package, _, inside = weights.package.partition(":")
    spec = importlib.util.find_spec(package)
    roots = spec.submodule_search_locations if spec is not None else None
    return [Path(root) / inside for root in roots or ()]


def _status_of_file(file: Path) -> os.stat_result | None:
    """Return the status of a regular file; a place that may not even be looked at counts as one without a file."""
    try:
        status = file.stat()
    except OSError:
        return None
    return status if stat.S_ISREG(status.st_mode) else None


_hashes: dict[tuple[Path, int, int, int], str] = {}


def _remembered_sha256(file: Path, status: os.stat_result) -> str:
    key = (file, status.st_size, status.st_mtime_ns, status.st_ino)
    if key not in _hashes:
        _hashes[key] = file_sha256(file)
    return _hashes[key]


def _require_file(file: Path) -> os.stat_result:
    status = _status_of_file(file)
    if status is None:
        raise UserError(f"{file} is not a file that can be read: give the path of a weights file.")
    return status


def _require(weights: Weights, file: Path, size: int, digest: str) -> None:
    if (size, digest) != (weights.bytes, weights.sha256):
        raise WrongFileError(
            f"{file} is not the {weights.name} that is registered: it has {size} bytes and sha256 {digest}, expected "
            f"are {weights.bytes} bytes and sha256 {weights.sha256}; delete it, then {_how_to_bring(weights)}."
        )


def _how_to_bring(weights: Weights) -> str:
    by_hand = "run `fhpt-eval weights add FILE` with the right file"
    if weights.url is not None:
        return (
            f"run `fhpt-eval weights fetch {weights.name}` where there is a network, "
            f"or bring {weights.url} by other means and {by_hand}"
        )
    if weights.package is not None:
        return f"install the package {weights.package.partition(':')[0]} again, or {by_hand}"
    return by_hand


def _unavailable(weights: Weights, reason: str) -> Unavailable:
    return Unavailable(
        f"the weights {weights.name} ({weights.filename}) are not here and could not be downloaded ({reason}): "
        f"{_how_to_bring(weights)}."
    )


class _TransferError(Exception):
    """The bytes that came are not the registered ones; ``may_pass`` when a further try may bring them."""

    def __init__(self, reason: str, *, may_pass: bool) -> None:
        super().__init__(reason)
        self.may_pass = may_pass


def _chunks(file: Path) -> Generator[bytes, None, None]:
    try:
        with open_regular(file) as stream:
            while chunk := stream.read(CHUNK_BYTES):
                yield chunk
    except OSError as error:
        way_out = "check its permissions" if isinstance(error, PermissionError) else "give the path of a file"
        raise UserError(f"{file} cannot be read ({error.strerror or error}): {way_out}.") from error


def _download(url: str, size: int) -> Generator[bytes, None, None]:
    """Yield the body at ``url``; every failure of the network is a ``_TransferError``."""
    request = urllib.request.Request(url, headers={"User-Agent": f"fhpt-eval/{__version__}"})  # noqa: S310
    try:
        with _web_opener().open(request, timeout=READ_TIMEOUT_S) as response:
            offered = response.headers["Content-Length"]
            if offered not in {None, str(size)}:
                raise _TransferError(f"the server offers {offered} bytes, expected are {size}", may_pass=False)
            while chunk := response.read(CHUNK_BYTES):
                yield chunk
    except HTTPError as error:
        with error:
            reason = " ".join(str(error.reason).split())
            raise _TransferError(f"HTTP {error.code} {reason}", may_pass=False) from error
    except (OSError, http.client.HTTPException) as error:
        cause = error.reason if isinstance(error, URLError) else error
        reason = getattr(cause, "strerror", None) or str(cause) or type(cause).__name__
        raise _TransferError(reason, may_pass=_may_pass(cause)) from error


def _web_opener() -> urllib.request.OpenerDirector:
    """Return an opener that knows http and https only: a redirect cannot lead to file: or ftp: addresses."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler,
        urllib.request.HTTPHandler,
        urllib.request.HTTPSHandler,
        urllib.request.HTTPRedirectHandler,
        urllib.request.HTTPDefaultErrorHandler,
        urllib.request.HTTPErrorProcessor,
        urllib.request.UnknownHandler,
    ):
        opener.add_handler(handler())
    return opener


def _may_pass(cause: object) -> bool:
    if isinstance(cause, socket.gaierror):
        return cause.errno == socket.EAI_AGAIN
    return isinstance(cause, (ConnectionError, TimeoutError, ssl.SSLEOFError, http.client.IncompleteRead))


def _write(chunks: Iterable[bytes], weights: Weights, folder: Path, progress: DownloadProgress | None) -> Path:
    """Write ``chunks`` to ``folder`` under the name of ``weights``: the whole, checked file or nothing."""
    target = folder / weights.filename
    # Not tempfile: its files are for their owner only, and a folder of weights is often shared.
    part = folder / f"{PART_PREFIX}{secrets.token_hex(8)}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _sweep_stale_parts(folder)
        with part.open("xb") as stream:
            _write_checked(chunks, weights, stream, progress)
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(target)
    except OSError as error:
        raise UserError(
            f"{target} cannot be written ({error.strerror or error}): name a writable folder with room for "
            f"{weights.bytes} bytes with --weights-dir or FHPT_EVAL_WEIGHTS."
        ) from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
    return target


def _write_checked(
    chunks: Iterable[bytes], weights: Weights, stream: BinaryIO, progress: DownloadProgress | None
) -> None:
    digest, done = hashlib.sha256(), 0
    if progress is not None:
        progress(0, weights.bytes)
    for chunk in chunks:
        done += len(chunk)
        if done > weights.bytes:
            raise _TransferError(f"more than the expected {weights.bytes} bytes came", may_pass=False)
        digest.update(chunk)
        stream.write(chunk)
        if progress is not None:
            progress(done, weights.bytes)
    if done < weights.bytes:
        raise _TransferError(f"only {done} of {weights.bytes} bytes came", may_pass=True)
    if digest.hexdigest() != weights.sha256:
        reason = f"what came has sha256 {digest.hexdigest()}, expected is {weights.sha256}"
        raise _TransferError(reason, may_pass=False)


def _sweep_stale_parts(folder: Path) -> None:
    """Remove what a killed download left behind; a running one writes to its file more often than once a day."""
    oldest = time.time() - STALE_AFTER_S
    for part in folder.glob(f"{PART_PREFIX}*"):
        with contextlib.suppress(OSError):
            if part.stat().st_mtime < oldest:
                part.unlink()
