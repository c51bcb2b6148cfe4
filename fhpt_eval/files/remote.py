"""Files at an address (``s3://bucket/folder``): paths like others, which fsspec reads where the work is.

A worker process, or a machine of a cluster, is handed the path and reads the file itself. fsspec is imported where
there is an address, and never for local files.
"""

from __future__ import annotations

import errno
import logging
import os
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path, PosixPath
from typing import Any, TypeVar

from fhpt_eval.errors import UserError, did_you_mean

T = TypeVar("T")

_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):(?:/|$)")
"""How an address begins, also one that `Path` has taken a slash from."""

_SECRET = re.compile(r"[^/]*:/+[^/@]*:(?!\d+/).*@|.*\?", re.DOTALL)
"""A user with a password, which may hold a slash, before the server's name; or what follows a question mark: signatures
and tokens. Digits after a colon are a port."""

_USUAL = ("s3", "gs", "hf", "abfs", "hdfs", "sftp")
_HERE = frozenset({"file", "local"})
_WITHOUT_FOLDERS = frozenset({"http", "https", "data"})
_OURS = frozenset({"s3", "s3a", "gs", "gcs"})
"""What the extra ``remote`` brings the packages of."""


class RemotePath(PosixPath):
    """The path of a file or a folder at an address. Made by `path_at`; what can be asked of it is defined here.

    Whether something is there is a request. Where that fails, it counts as there: reading then says what is the matter.
    """

    __slots__ = ()

    def __str__(self) -> str:
        """Return the address, with both slashes, which `Path` would take for one."""
        text = super().__str__()
        protocol, colon, rest = text.partition(":/")
        return f"{protocol}://{rest}" if colon and protocol in _protocols() else text

    def exists(self, *_: Any, **__: Any) -> bool:
        """Whether there is something."""
        return self._kind() is not None

    def is_dir(self, *_: Any, **__: Any) -> bool:
        """Whether it is a folder: in a bucket, what names of objects begin with."""
        return self._kind() in {"directory", _UNKNOWN}

    def is_file(self, *_: Any, **__: Any) -> bool:
        """Whether it is a file."""
        return self._kind() in {"file", _UNKNOWN}

    def is_symlink(self) -> bool:
        """Return False: there are none."""
        return False

    def resolve(self, strict: bool = False) -> RemotePath:  # noqa: ARG002, FBT - as `Path` has it
        """Return itself: an address is absolute."""
        return self

    def read_bytes(self) -> bytes:
        """Return the content, by one request where the library can.

        Raises:
            OSError: It cannot be read; ``strerror`` says why, in a few words and without what is secret.
        """
        content: bytes = self._ask(lambda files, path: files.cat_file(path))
        return content

    def read_head(self, count: int) -> bytes:
        """Return so many bytes of the beginning, and ask for no more.

        Raises:
            OSError: As `read_bytes`.
        """

        def read(files: Any, path: str) -> bytes:
            with files.open(path, "rb", cache_type="none") as stream:
                head: bytes = stream.read(count)
                return head

        return self._ask(read)

    def files_below(self) -> list[str]:
        """Return the files below a folder, relative to it, sorted; as they are now, not as they were listed before.

        Raises:
            OSError: As `read_bytes`.
        """

        def find(files: Any, path: str) -> list[str]:
            files.invalidate_cache()
            root = path.rstrip("/") + "/"
            # An object whose name ends in a slash stands for a folder.
            found = (name.removeprefix(root) for name in files.find(path) if name.startswith(root))
            return sorted(name for name in found if name and not name.endswith("/"))

        return self._ask(find)

    def _kind(self) -> str | None:
        """Return ``file``, ``directory``, None where there is nothing, or that it cannot be told."""

        def look(files: Any, path: str) -> str:
            files.invalidate_cache()
            return str(files.info(path)["type"])

        try:
            return self._ask(look)
        except FileNotFoundError:
            return None
        except OSError:
            return _UNKNOWN

    def _ask(self, what: Callable[[Any, str], T]) -> T:
        """Return what comes of asking the file system, which fsspec makes once a process, for a path in it."""
        address = str(self)
        try:
            kind = _file_system(address.partition("://")[0])
            return what(kind(**kind._get_kwargs_from_urls(address)), kind._strip_protocol(address))  # noqa: SLF001
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001 - each library has exceptions of its own
            number, why = _explained(error, address.partition("://")[0])
            raise OSError(number, why, address) from None


_UNKNOWN = "unknown"


def path_at(given: str | Path) -> Path:
    """Return the path that a text or a path names: of local files, or at an address.

    Raises:
        UserError: It is an address of an unknown protocol or of one without folders, holds a password or a token, or
            could mean a local folder as well.
    """
    if isinstance(given, RemotePath):
        return given
    text = str(given)
    begins = _ADDRESS.match(text)
    if begins is None:
        return Path(given)
    here = os.path.lexists(f"{begins[1]}:")
    text = in_lower_case(text)
    protocol = text.partition(":")[0]
    if protocol not in _protocols():
        if here:
            return Path(given)
        raise UserError(f"there are no addresses {protocol}://.{did_you_mean(protocol, _USUAL)}")
    if protocol in _HERE:
        return Path("/", *Path(text).parts[1:])
    if _SECRET.match(text):
        raise UserError(
            f"an address {protocol}://… holds a password, a token or a '?', and would be recorded: leave that out, and"
            " give credentials as its library takes them (docs/remote.md)."
        )
    if here:
        raise UserError(
            f"{protocol}:// may be an address or the folder '{protocol}:' that is here: rename that, or give its"
            " absolute path."
        )
    if protocol in _WITHOUT_FOLDERS:
        raise UserError(
            f"at {protocol}:// there are no folders that can be listed: download the files, or give an address at"
            " s3://, gs:// or hf://."
        )
    path = RemotePath(text)
    if len(path.parts) < 2:
        raise UserError(f"{protocol}:// names no bucket: write for example {protocol}://BUCKET/FOLDER.")
    return path


def refuse_address(
    path: Path, what: str = "nothing is written to", instead: str = "give a folder of this machine with -o"
) -> None:
    """Refuse an address where files of this machine are needed.

    Args:
        path: What was given.
        what: Is not done there.
        instead: What the user can do.

    Raises:
        UserError: It is an address.
    """
    begins = _ADDRESS.match(str(path))
    if begins is not None and begins[1].lower() in _protocols() and not os.path.lexists(begins[0].rstrip("/")):
        raise UserError(f"{what} {begins[1]}://: {instead}.")


def in_lower_case(address: str) -> str:
    """Return an address with its protocol in lower case, as all are known by; another text as it is."""
    protocol, colon, rest = address.partition(":/")
    return f"{protocol.lower()}{colon}{rest}" if colon and protocol.lower() in _protocols() else address


@cache
def _protocols() -> frozenset[str]:
    from fsspec import available_protocols

    return frozenset(available_protocols())


@cache
def _file_system(protocol: str) -> Any:
    """Return the class of a protocol's file systems.

    Raises:
        ImportError: Its package is not installed.
    """
    from fsspec import get_filesystem_class

    try:
        kind = get_filesystem_class(protocol)
    except ImportError as error:
        extra = "pip install 'fhpt-eval[remote]'" if protocol in _OURS else str(error)
        raise ImportError(f"a package for {protocol}:// is not installed ({extra})") from None
    # What goes wrong is told of each file: some libraries print a traceback for each attempt, and addresses with it.
    logging.getLogger(kind.__module__.partition(".")[0]).setLevel(logging.CRITICAL)
    return kind


_GIVING_CREDENTIALS = {
    **dict.fromkeys(
        ("s3", "s3a"),
        "set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or for a public bucket FSSPEC_S3_ANON=true",
    ),
    **dict.fromkeys(
        ("gs", "gcs"),
        "call `gcloud auth application-default login`, or for a public bucket set FSSPEC_GS_TOKEN=anon",
    ),
}
"""What helps where a protocol's library finds none."""

_SERVER = re.compile(r"https?://([^/?@\s\"']+)(?![^/\s\"']*@)|host='([^']+)'")
"""The server that an error names, without what may be secret in its address."""


def _explained(error: Exception, protocol: str) -> tuple[int, str]:
    """Return the number of an error at a protocol, and what is the matter in a few words.

    The words of libraries may hold signed addresses, and so are not shown.
    """
    status = _status(error)
    names = " ".join(kind.__name__ for kind in type(error).__mro__)
    if isinstance(error, ImportError):
        return errno.ENOPKG, str(error)
    if isinstance(error, FileNotFoundError) or status == 404:
        bucket = "bucket does not exist" in str(error)
        return errno.ENOENT, "no such bucket" if bucket else os.strerror(errno.ENOENT)
    if "Credential" in names:
        how = _GIVING_CREDENTIALS.get(protocol)
        return errno.EACCES, f"no credentials: {how}" if how else "no credentials"
    # gcsfs says the latter in words only.
    if isinstance(error, PermissionError) or status in {401, 403} or str(error).startswith("Forbidden: "):
        return errno.EACCES, "access is forbidden"
    if isinstance(error, ConnectionError | TimeoutError) or "Connect" in names or "Timeout" in names:
        named = _SERVER.search(str(error))
        server = f"the server {named[1] or named[2]}" if named else "the server"
        return errno.EHOSTUNREACH, f"{server} cannot be reached"
    if isinstance(error, IsADirectoryError):
        return errno.EISDIR, "a folder, not a file"
    return errno.EIO, f"{type(error).__name__}{'' if status is None else f', status {status}'}"


def _status(error: Exception) -> int | None:
    """Return the status of HTTP that a library's error tells of."""
    found: Any = getattr(error, "response", None)
    told = (getattr(found, "status_code", None), getattr(error, "status", None), getattr(error, "code", None))
    return next((int(text) for text in map(str, told) if text.isdigit()), None)
