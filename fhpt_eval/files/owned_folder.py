"""A folder that one command made: nothing else is taken over, and no file of others is ever deleted."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from fhpt_eval.errors import UserError
from fhpt_eval.files.atomic import write_atomic
from fhpt_eval.files.remote import refuse_address

RECIPE = "recipe.json"
"""What the files of a folder depend on, and which command made it."""

Owns = Callable[[str], bool]
"""Whether a command writes a path in its folder: posix, relative; that of an empty folder ends in a slash."""


class OwnedFolder:
    """A folder that belongs to one command.

    Attributes:
        path: The folder.
        command: What it is made by, for example ``fhpt-eval synth``.
    """

    def __init__(self, path: Path, command: str) -> None:
        self.path = path
        self.command = command

    def claim(self, owns: Owns | None = None, *, known: bool = True) -> None:
        """Make the folder, or take it over from an earlier call of the command.

        Raises:
            UserError: It cannot be made, or as `refuse_foreign`.
        """
        refuse_address(self.path)
        with claiming(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
        self.refuse_foreign(owns, known=known)

    def refuse_foreign(self, owns: Owns | None = None, *, known: bool = True) -> None:
        """Check that the folder, where there is one, is the command's; hidden files do not count.

        Args:
            owns: What may lie in it. None for a command that leaves other files alone, once the folder is its own.
            known: Whether something in the folder shows that the command made it; otherwise it has to be empty. Always
                so for a command that is known by the names of its files.

        Raises:
            UserError: It holds something else, or cannot be read.
        """
        if known and owns is None:
            return
        with claiming(self.path):
            for file in _walk(self.path) if self.path.exists() else ():
                # Through a link, something outside of the folder would be written.
                if not _is_hidden(file) and not (known and owns and owns(file) and not self._is_link(file)):
                    raise UserError(
                        f"{self.path / file} was not made by `{self.command}`: choose a new or an empty folder with -o."
                    )

    def recipe(self) -> dict[str, Any] | None:
        """Return the recipe that an earlier call of the command wrote; None where there is none of its own."""
        try:
            recipe = json.loads((self.path / RECIPE).read_bytes())
        except (OSError, ValueError, RecursionError):
            return None
        return recipe if isinstance(recipe, dict) and recipe.get("made_by") == self.command else None

    def write_recipe(self, recipe: Mapping[str, Any]) -> None:
        """Write what the folder is known by from now on.

        Raises:
            UserError: As `write`.
        """
        self.write(RECIPE, json.dumps({"made_by": self.command, **recipe}, indent=1) + "\n")

    def require_same(
        self,
        before: Mapping[str, Any],
        recipe: Mapping[str, Any],
        holds: str = "was made otherwise",
        words: Mapping[str, str] | None = None,
    ) -> None:
        """Refuse a folder of another recipe.

        Args:
            before: The recipe of what is there.
            recipe: The one that is asked for now.
            holds: What is said of a folder of another one.
            words: What is said of keys whose values would say nothing to people.

        Raises:
            UserError: The recipes differ; it names in what.
        """
        words = words or {}
        differing = [
            words.get(key) or f"{key} {before.get(key)} there and {value} here"
            for key, value in recipe.items()
            if before.get(key) != value
        ]
        if differing:
            raise UserError(
                f"{self.path} {holds} ({', '.join(differing)}): choose another folder with -o, or make it again with"
                " --overwrite."
            )

    def write(self, name: str, content: str | bytes) -> None:
        """Write a file at once.

        Raises:
            UserError: If the disk is full, for example.
        """
        write_atomic(self.path / name, content)

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        (self.path / name).unlink(missing_ok=True)

    def clear(self, owns: Owns) -> None:
        """Delete what an earlier call made, save its recipe: until there is another, it tells whose the rest is.

        Raises:
            UserError: It cannot be deleted.
        """
        self._remove(lambda file: not _is_hidden(file) and file != RECIPE and owns(file))

    def remove_half_written(self, owns: Owns) -> None:
        """Remove what a killed call left of files while it wrote them; never while another process may be writing.

        Raises:
            UserError: It cannot be deleted.
        """
        self._remove(lambda file: _is_hidden(file) and owns(_whole(file)))

    def _remove(self, chosen: Owns) -> None:
        with claiming(self.path):
            for file in list(_walk(self.path)):
                if not file.endswith("/") and chosen(file):
                    (self.path / file).unlink()

    def _is_link(self, file: str) -> bool:
        return (self.path / file).is_symlink()


def at_or_below(names: Collection[str]) -> Owns:
    """Return what a command owns that has files and folders of these names, whatever lies in the folders."""
    return lambda file: file.partition("/")[0] in names


@contextlib.contextmanager
def claiming(path: Path, instead: str = "another folder with -o") -> Iterator[None]:
    """Say in one sentence what cannot be done where a folder of results is made or taken over.

    Args:
        path: The folder.
        instead: What the user may choose where it cannot be written.

    Raises:
        UserError: In place of an `OSError`.
    """
    try:
        yield
    except OSError as error:
        what = error.filename or path
        raise UserError(f"cannot write to {what} ({error.strerror}): choose {instead}.") from None


def _walk(root: Path) -> Iterator[str]:
    """Yield all files, links and empty folders, but not those in hidden folders."""

    def refuse(error: OSError) -> None:
        raise error

    for at, folders, files in os.walk(root, onerror=refuse):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        here = Path(at).relative_to(root)
        links = [name for name in folders if Path(at, name).is_symlink()]
        for name in sorted((*links, *files)):
            yield (here / name).as_posix()
        if here.parts and not folders and all(name.startswith(".") for name in files):
            yield f"{here.as_posix()}/"


def _is_hidden(file: str) -> bool:
    return file.rpartition("/")[2].startswith(".")


def _whole(file: str) -> str:
    """Return the path that was being written: `write_atomic` calls it ``.NAME.x`` until then."""
    folder, slash, name = file.rpartition("/")
    return f"{folder}{slash}{name[1:].rpartition('.')[0]}"
