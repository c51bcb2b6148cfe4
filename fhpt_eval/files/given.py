"""Files that a user names as options: known by their content, so that recipes and caches do not depend on paths."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from fhpt_eval.errors import UserError
from fhpt_eval.files.remote import path_at


@dataclass(frozen=True)
class _Given(ABC):
    """What lies at a path and the hash of what was in it; two with one content are equal.

    Attributes:
        sha256: 64 lower-case hexadecimal digits.
        path: Where it lies.
    """

    _what: ClassVar[str]
    sha256: str
    path: Path = field(compare=False)

    @classmethod
    @abstractmethod
    def at(cls, path: str | Path) -> Any:
        """Hash what lies at ``path``."""

    def __str__(self) -> str:
        return f"sha256:{self.sha256}"

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        """Validate from a path; serialise to the hash."""
        return path_schema(lambda value: value if isinstance(value, cls) else cls.at(path_of(value, cls._what)))


class GivenFile(_Given):
    """A file and the hash of what was in it."""

    _what: ClassVar[str] = "a file"

    @classmethod
    def at(cls, path: str | Path) -> GivenFile:
        """Hash the file at ``path``.

        Raises:
            UserError: It is not there or cannot be read.
        """
        file = Path(path)
        return cls(hashlib.sha256(_read(file)).hexdigest(), file)

    def read(self) -> bytes:
        """Return the content.

        Raises:
            UserError: It cannot be read, or is no longer what it was.
        """
        data = _read(self.path)
        if hashlib.sha256(data).hexdigest() != self.sha256:
            raise UserError(f"{self.path} was changed while it was in use: run again.")
        return data


class GivenFolder(_Given):
    """A folder and the hash of the names and contents of all files below it, hidden ones left out."""

    _what: ClassVar[str] = "a folder"

    @classmethod
    def at(cls, path: str | Path) -> GivenFolder:
        """Hash the folder at ``path``.

        Raises:
            UserError: It is not there, is empty, or a file in it cannot be read.
        """
        folder = Path(path)
        names = (file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file())
        shown = sorted(name for name in names if not any(part.startswith(".") for part in name.split("/")))
        if not shown:
            raise UserError(f"there is no file in a folder {folder}: give the path of a folder of files.")
        digest = hashlib.sha256()
        for name in shown:
            digest.update(f"{_sha256_of(folder / name)}  {name}\n".encode())
        return cls(digest.hexdigest(), folder)


def path_of(value: object, what: str) -> Path:
    """Return the path that the value of an option is.

    Args:
        value: A path, or its text.
        what: What should be there, in words.

    Raises:
        ValueError: It is neither, or blank: an unset shell variable would mean the current folder.
    """
    # On the command line `none` stands for None, where an option may be left out.
    if not isinstance(value, str | Path) or value == "none":
        raise ValueError(f"expected the path of {what}")
    if not str(value).strip():
        raise ValueError(f"a path is empty where that of {what} is expected; leave the option out if there is none")
    return path_at(value)


def path_schema(validate: Callable[[Any], Any]) -> CoreSchema:
    """Return the pydantic schema of a value that is given as a path and recorded as its ``str``, without one."""
    return core_schema.no_info_plain_validator_function(
        validate, serialization=core_schema.to_string_ser_schema(when_used="always")
    )


def _sha256_of(path: Path) -> str:
    """Hash a file that may be larger than memory."""
    try:
        with path.open("rb") as stream:
            digest = hashlib.sha256()
            while block := stream.read(1 << 20):
                digest.update(block)
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}): give the path of a readable file.") from None
    return digest.hexdigest()


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}): give the path of a file.") from None
