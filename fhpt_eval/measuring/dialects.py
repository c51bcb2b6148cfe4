"""Dialects: how each published method measured, as lists of configured protocols.

Ours are ``protocols/dialects/*.toml``. An entry point of the group ``fhpt_eval.dialects`` names a package whose
``*.toml`` files are more of them.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from importlib import resources
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tomli
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fhpt_eval.errors import UserError, did_you_mean, sentence
from fhpt_eval.images.geometry import Geometry
from fhpt_eval.measuring.measurement import DEFAULT, Measurement
from fhpt_eval.measuring.protocol import Protocol, configure
from fhpt_eval.measuring.registry import find_protocols
from fhpt_eval.pairing.naming import NAMINGS
from fhpt_eval.pairing.pairs import Pairs
from fhpt_eval.plugins import why

if TYPE_CHECKING:
    # Of importlib.resources.abc since 3.11 only.
    from importlib.abc import Traversable

GROUP = "fhpt_eval.dialects"
FOLDER = Path(str(resources.files("fhpt_eval.protocols"))) / "dialects"
_FILE_SYSTEMS = ("os.listdir", "os.scandir", "glob", "pathlib.glob")
_GEOMETRIES = ("generated_geometry", "target_geometry", "reference_geometry")


_Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
"""Stands in the columns of leaderboards, as ``key@version:name``."""


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Metric(_Model):
    """One number of a dialect.

    Attributes:
        name: What the original calls it.
        protocol: Which of ours measures it.
        options: Of the protocol, where they are not the default.
    """

    name: _Name
    protocol: str
    options: dict[str, Any] = {}


class Dialect(_Model):
    """What a file says.

    Attributes:
        key: The file's name.
        version: Raised when a number of the dialect changes.
        title: Method and venue.
        paper: Where it is published.
        repository: Whose code is followed.
        commit: Of that repository.
        files: Which of its files measure.
        aliases: Other methods that measured by the same code.
        naming: The convention that generated files follow, a key of `fhpt_eval.pairing.naming.NAMINGS`; empty for any.
        order: Whose order of files decides which are dropped or stand in a batch together.
        reference: The set that FID compares with, in words.
        generated_geometry: For every metric that has no other; likewise those of targets and reference set.
        known: What is peculiar and certain.
        unknown: What could not be found out, and what is assumed.
        refused: Why nothing can be measured in this dialect; it has no metrics then.
        metrics: In the order of listings.
    """

    key: _Name
    version: Annotated[int, Field(strict=True, ge=1)] = 1
    title: str
    paper: str = ""
    repository: str = ""
    commit: str = ""
    files: tuple[str, ...] = ()
    aliases: tuple[_Name, ...] = ()
    naming: str = ""
    order: str = ""
    reference: str = ""
    generated_geometry: Geometry | None = None
    target_geometry: Geometry | None = None
    reference_geometry: Geometry | None = None
    known: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    refused: str = ""
    metrics: tuple[Metric, ...] = ()

    @property
    def id(self) -> str:
        """Key and version, as they stand in records: ``gfla@2``."""
        return f"{self.key}@{self.version}"

    def measurements(self) -> list[Measurement]:
        """Return the configured protocols, with the names of their numbers.

        Raises:
            UserError: The dialect is unknown to the field, or names a protocol or an option that is not there.
        """
        if self.refused:
            raise UserError(
                f"nobody can measure in the dialect '{self.key}': {self.refused.rstrip('.')}; `fhpt-eval dialects list`"
                " names the others."
            )
        known = find_protocols().classes
        found = []
        for metric in self.metrics:
            if metric.protocol not in known:
                raise UserError(
                    f"dialect '{self.key}': {metric.name}: there is no protocol '{metric.protocol}'."
                    f"{did_you_mean(metric.protocol, known)}"
                )
            protocol = known[metric.protocol]
            fields = {field.name for field in dataclasses.fields(protocol)}
            shared = {
                name: given for name in _GEOMETRIES if name in fields and (given := getattr(self, name)) is not None
            }
            try:
                configured = configure(protocol, "paper", {**shared, **metric.options})
            except UserError as error:
                raise UserError(f"dialect '{self.key}': {metric.name}: {error}") from None
            found.append(
                Measurement(configured)
                if self.key == DEFAULT
                else Measurement(configured, dialect=self.id, metric=metric.name, note=self._note(configured))
            )
        return found

    def check(self, pairs: Pairs) -> None:
        """Refuse strips of another number of pictures than the dialect's.

        Raises:
            UserError: They are.
        """
        asked, found = (len(NAMINGS[name].strip) if name in NAMINGS else 0 for name in (self.naming, pairs.naming))
        if asked and found and asked != found:
            raise UserError(
                f"the dialect '{self.key}' is for strips of {asked} pictures ({self.naming}), and these are strips of"
                f" {found} ({pairs.naming}): choose another dialect, or another --naming."
            )

    def _note(self, protocol: Protocol) -> str | None:
        """Return what to know of a number that depends on an order which only the original's machine had."""
        if not protocol.depends_on_order() or self.order not in _FILE_SYSTEMS:
            return None
        return f"sorted order; the original's order ({self.order}) depends on its file system"


def own_dialects() -> dict[str, Dialect]:
    """Every dialect of this package by key, the default first."""
    return _ordered(_read(file) for file in FOLDER.glob("*.toml"))


def find_dialects() -> dict[str, Dialect]:
    """Every dialect of this package and of others by key, the default first."""
    return _ordered([*own_dialects().values(), *dialects_of_packages().dialects.values()])


@functools.cache
def default_id() -> str:
    """Key and version of ours."""
    return _read(FOLDER / f"{DEFAULT}.toml").id


def dialect_named(name: str | Path) -> Dialect:
    """Return a dialect by its key, one of its aliases, or the path of a TOML file.

    Raises:
        UserError: There is none, or the file cannot be read.
    """
    return read_dialect(name) if str(name).endswith(".toml") else _read(file_of(str(name)))


def file_of(name: str) -> Traversable:
    """Return the file of a dialect, by its key, one of its aliases, or its path.

    Raises:
        UserError: There is none of the name.
    """
    if name.endswith(".toml"):
        return Path(name)
    others = dialects_of_packages()
    known = [*own_dialects().values(), *others.dialects.values()]
    keys = {name: dialect.key for dialect in known for name in (dialect.key, *dialect.aliases)}
    if name not in keys:
        if Path(name).is_file():
            raise UserError(f"{name}: the name of a file with a dialect ends in .toml: rename it.")
        measured = {name for dialect in known if not dialect.refused for name in (dialect.key, *dialect.aliases)}
        raise UserError(f"there is no dialect '{name}'.{did_you_mean(name, measured)}")
    return others.files.get(keys[name]) or FOLDER / f"{keys[name]}.toml"


def read_dialect(file: str | Path) -> Dialect:
    """Read a TOML file of the user; its name without the ending is the dialect's key.

    Raises:
        UserError: It cannot be read, is not TOML, says what no dialect has, or has the name of another.
    """
    file = Path(file)
    if file.parent.resolve() != FOLDER.resolve() and file.stem in _names(find_dialects().values()):
        ours = file.stem in _names(own_dialects().values())
        whose = "one of fhpt-eval's own dialects" if ours else "a dialect of another package"
        raise UserError(f"{file}: '{file.stem}' is {whose}: give yours another file name.")
    return _read(file)


def _read(file: Traversable) -> Dialect:
    """Read a TOML file, whose name without the ending is the dialect's key.

    Raises:
        UserError: It cannot be read, is not TOML, or says what no dialect has.
    """
    try:
        values: dict[str, Any] = tomli.loads(file.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise UserError(f"{file}: {error.strerror}; `fhpt-eval dialects list` names those that are there.") from None
    except (tomli.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UserError(f"{file} is not TOML: {error}; `fhpt-eval dialects show --toml gfla` is a pattern.") from None
    if "key" in values:
        raise UserError(f"{file}: the file's name is the key: leave 'key' out.")
    try:
        dialect = Dialect(key=file.name.removesuffix(".toml"), **values)
    except ValidationError as error:
        raise UserError(f"{file}: {_sentence(error)}") from None
    if dialect.naming and dialect.naming not in NAMINGS:
        raise UserError(f"{file}: there is no naming '{dialect.naming}'.{did_you_mean(dialect.naming, NAMINGS)}")
    names = [metric.name for metric in dialect.metrics]
    if twice := {name for name in names if names.count(name) > 1}:
        raise UserError(f"{file}: the metric '{min(twice)}' stands there twice.")
    if bool(dialect.metrics) == bool(dialect.refused):
        raise UserError(f"{file}: a dialect has [[metrics]], or says in 'refused' why it has none.")
    return dialect


@dataclass(frozen=True)
class Found:
    """Dialects of other packages.

    Attributes:
        dialects: By key.
        files: Where each comes from.
        packages: Which distribution brings each.
        warnings: One sentence for each that cannot be used.
    """

    dialects: dict[str, Dialect] = field(default_factory=dict)
    files: dict[str, Traversable] = field(default_factory=dict)
    packages: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


def dialects_of_packages() -> Found:
    """Read the ``*.toml`` files of every package that an installed distribution declares; a broken one is a warning."""
    found = Found()
    taken = {name.lower() for name in _names(own_dialects().values())}
    for entry in sorted(entry_points(group=GROUP), key=lambda e: (e.name, e.value)):
        distribution = entry.dist.name if entry.dist else "?"
        try:
            package: Any = entry.load()
            if not hasattr(package, "__path__"):
                raise UserError(f"{entry.value} is not a package, that is a folder")
            files = [file for file in resources.files(package).iterdir() if file.name.endswith(".toml")]
            if not files:
                raise UserError(f"{entry.value} holds no *.toml file")
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a stranger's module may raise anything
            found.warnings.append(f"dialects '{entry.name}' of {distribution} cannot be used ({why(error)})")
            continue
        for file in sorted(files, key=lambda file: file.name):
            key = file.name.removesuffix(".toml")
            try:
                dialect = _read(file)
                if not dialect.refused:
                    dialect.measurements()
            except Exception as error:  # noqa: BLE001 - so may a stranger's protocol
                found.warnings.append(f"dialect '{key}' of {distribution} cannot be used ({why(error)})")
                continue
            names = _names([dialect])
            if clash := {name for name in names if name.lower() in taken}:
                name = min(clash)
                found.warnings.append(f"dialect '{key}' of {distribution} is left out: the name '{name}' is taken")
                continue
            taken |= {name.lower() for name in names}
            found.dialects[key], found.files[key], found.packages[key] = dialect, file, distribution
    return found


def _ordered(dialects: Iterable[Dialect]) -> dict[str, Dialect]:
    """Return dialects by key: the default first, those in which nobody can measure last."""
    return {d.key: d for d in sorted(dialects, key=lambda d: (d.key != DEFAULT, bool(d.refused), d.key))}


def _names(dialects: Iterable[Dialect]) -> set[str]:
    return {name for dialect in dialects for name in (dialect.key, *dialect.aliases)}


def _sentence(error: ValidationError) -> str:
    # A key that is mistyped is missing, too: say what was typed.
    first = min(error.errors(), key=lambda e: e["type"] != "extra_forbidden")
    where = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        model = Dialect if len(first["loc"]) == 1 else Metric
        return f"'{where}' is not known.{did_you_mean(str(first['loc'][-1]), model.model_fields)}"
    if first["type"] == "missing":
        return f"'{where}' is missing."
    if first["type"] == "string_pattern_mismatch":
        what = {"key": "the file name", "aliases": "an alias"}.get(str(first["loc"][0]), repr(where))
        return f"{what} may have letters, digits, '.', '_' and '-' only."
    return f"'{where}' cannot be {first['input']!r}: {sentence(first['msg'].removeprefix('Value error, '))}"


def measurements_of(dialects: Sequence[Dialect], protocols: Sequence[str] | None) -> list[Measurement]:
    """All measurements of some dialects, or those by some protocols or groups.

    Raises:
        UserError: A dialect cannot be measured in, or one of the protocols is in none of them.
    """
    chosen = [m for dialect in dialects for m in dialect.measurements()]
    if protocols is None:
        return chosen
    having = {name for m in chosen for name in (m.protocol.name, m.protocol.group)}
    if lacking := [name for name in protocols if name not in having]:
        measured = ", ".join(sorted({m.protocol.name for m in chosen}))
        raise UserError(f"--protocols {','.join(lacking)}: not in what was chosen by dialect, which has {measured}.")
    return [m for m in chosen if {m.protocol.name, m.protocol.group} & set(protocols)]
