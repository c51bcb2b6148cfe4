"""A run's folder on disk: whose record it holds, what is added to it, and how it is read."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import safetensors.numpy as safetensors
from pandas.api.types import is_numeric_dtype
from pydantic import ValidationError
from safetensors import SafetensorError

from fhpt_eval.errors import UserError
from fhpt_eval.evaluation.image_list import ImageList
from fhpt_eval.evaluation.joining import clash, joined
from fhpt_eval.evaluation.run_arrays import check_arrays
from fhpt_eval.evaluation.run_record import (
    ARRAYS,
    IMAGES,
    MISSING,
    PER_PAIR,
    RECORD,
    SCHEMA_VERSION,
    RunRecord,
    StoredRun,
)
from fhpt_eval.files.owned_folder import OwnedFolder, claiming
from fhpt_eval.files.regular import read_regular
from fhpt_eval.files.together import current, exclusively, write_together
from fhpt_eval.pairing.lists import PAIR_COLUMNS
from fhpt_eval.text import cell, of_cell

_MISSING_HEADER = "metric,pair,reason\n"


class UnreadableRun(UserError):
    """A folder holds no run that can be read.

    Attributes:
        why: Without the folder, for whoever calls it something else.
    """

    def __init__(self, why: str, told: str) -> None:
        super().__init__(told)
        self.why = why


class RunFolder:
    """The folder of one evaluation: of the same pairs and the same generated images.

    Args:
        path: Is made where it is not there.
        overwrite: Replace what it holds, once the new record is complete.

    Raises:
        UserError: It cannot be written, or holds something else, or a record that cannot be read.
    """

    def __init__(self, path: Path, *, overwrite: bool = False) -> None:
        self._path = path
        self._overwrite = overwrite
        self._last: tuple[bytes, StoredRun] | None = None
        owned = OwnedFolder(path, "fhpt-eval run")
        with claiming(path):
            known = current(path, RECORD).exists()
            owned.claim(known=known or _is_ours(path / MISSING))
            if not known:
                # A folder that a killed run has left is known by this file.
                owned.write(MISSING, _MISSING_HEADER)
            with exclusively(path):
                # What cannot be written is told before anything is computed.
                write_together(path, {})
        self._replaces = overwrite and known
        if not overwrite:
            with exclusively(path):
                self._earlier()

    def require_same(self, now: RunRecord, *, planned: bool = False) -> None:
        """Refuse a run that is not of this folder.

        Args:
            now: Its record.
            planned: Nothing was decoded yet: what only decoding tells is not compared.

        Raises:
            UserError: The folder holds the record of another evaluation.
        """
        earlier = None if self._overwrite else self._earlier()
        if earlier is not None and (whose := clash(earlier, now, planned=planned)) is not None:
            raise UserError(
                f"{self._path} holds the record '{earlier.record.name}' of {whose}: choose another folder with -o, or"
                " replace it with --overwrite."
            )

    def save(self, run: StoredRun, *, complete: bool = False) -> None:
        """Write what came of a run so far, beside what the folder holds of its other protocols.

        Args:
            run: Of this folder.
            complete: Nothing more will come. What is to be replaced is replaced then, and if there are numbers.

        Raises:
            UserError: It cannot be written, or as `require_same`.
        """
        if self._replaces and not (complete and run.measured):
            return
        with claiming(self._path), exclusively(self._path):
            # Another process may have added to it since.
            earlier = None if self._replaces else self._earlier()
            if earlier is not None:
                self.require_same(run.record)
            whole = run if earlier is None else joined(earlier, run)
            files = _files(whole, earlier, arrays=(self._path / ARRAYS).exists())
            write_together(self._path, files)
            if RECORD in files:
                self._last = (files[RECORD], whole)
            self._replaces = False

    def _earlier(self) -> StoredRun | None:
        """Return the record that the folder holds; None where it has no numbers that could be lost."""
        path = current(self._path, RECORD)
        try:
            data = read_regular(path)
        except OSError as error:
            if not path.exists():
                return None
            raise UserError(
                f"{path} cannot be read ({error.strerror}): choose another folder with -o, or replace it with"
                " --overwrite."
            ) from None
        if self._last is None or self._last[0] != data:
            try:
                self._last = (data, _read(self._path, data))
            except UserError as error:
                raise UserError(f"{error} Choose another folder with -o, or replace it with --overwrite.") from None
        return self._last[1] if self._last[1].measured else None


def check_name(name: str, option: str) -> None:
    """Refuse what cannot be the name of a run's folder.

    Raises:
        UserError: It cannot; the sentence names the option.
    """
    if not re.fullmatch(r"[\w.+ ()=,@-]+", name) or name.strip() != name or name in {".", ".."}:
        raise UserError(
            f"a run cannot be called '{name}', because its folder gets the same name:"
            f" use letters, digits and - _ . + with {option}."
        )


def read_run(folder: Path) -> StoredRun:
    """Read a run's folder.

    Raises:
        UnreadableRun: If it holds no run, or one that is damaged or of another schema.
    """
    try:
        with exclusively(folder):
            return _read(folder, read_regular(current(folder, RECORD)))
    except OSError as error:
        why = f"{RECORD}: {error.strerror}"
        raise UnreadableRun(
            why, f"{folder} is not a run's folder ({why}): give one that `fhpt-eval run -o` wrote."
        ) from None


def _read(folder: Path, data: bytes) -> StoredRun:
    try:
        version = json.loads(data).get("schema_version")
        if version != SCHEMA_VERSION:
            why = f"{RECORD} has schema version {version}, this fhpt-eval reads {SCHEMA_VERSION}"
            raise UnreadableRun(why, f"{folder}/{why}: run it again, or use the fhpt-eval that wrote it.")
        record = RunRecord.model_validate_json(data)
        arrays, image_list = _read_arrays(folder, record), _read_image_list(folder, record)
        check_arrays(arrays, record.pairs.total)
        per_pair, missing = _read_tables(folder, record)
        listed = [] if image_list is None else list(image_list.of("generated"))
        if listed and listed != list(per_pair["pair"]):
            raise ValueError(f"{PER_PAIR} has other pairs than {IMAGES}, or another order of them")
        return StoredRun(record, per_pair, missing, arrays, image_list)
    except (
        ValidationError, ValueError, KeyError, AttributeError, OSError, SafetensorError, RecursionError
    ) as error:  # fmt: skip
        # Of a file its name: the folder is named beside it.
        if isinstance(error, OSError) and error.filename is not None:
            why = f"{Path(error.filename).name}: {error.strerror}"
        else:
            why = str(error).splitlines()[0]
        raise UnreadableRun(
            why, f"the run in {folder} is damaged ({why}): run it again, which takes seconds from the cache."
        ) from None


def _is_ours(missing: Path) -> bool:
    """Whether a file is the one that marks the folder of a run that was killed."""
    with missing.open("rb") if missing.is_file() else io.BytesIO() as stream:
        return stream.readline() == _MISSING_HEADER.encode()


def _files(run: StoredRun, earlier: StoredRun | None, *, arrays: bool) -> dict[str, bytes]:
    """Return the files of a run of which something changed since ``earlier``; that of arrays if there is one."""
    files = {}
    for name, table, before in (
        (PER_PAIR, run.per_pair, earlier and earlier.per_pair),
        (MISSING, run.missing, earlier and earlier.missing),
    ):
        if table is not before:
            files[name] = _csv(table).encode()
    if (run.arrays or arrays) and (earlier is None or run.arrays is not earlier.arrays):
        flat = {f"{metric}/{name}": array for metric, found in run.arrays.items() for name, array in found.items()}
        files[ARRAYS] = safetensors.save({key: np.require(array, requirements="C") for key, array in flat.items()})
    if run.image_list is not None and (earlier is None or run.image_list != earlier.image_list):
        files[IMAGES] = run.image_list.text.encode()
    if earlier is None or run.record is not earlier.record:
        files[RECORD] = (run.record.model_dump_json(indent=2) + "\n").encode()
    return files


def _csv(table: pd.DataFrame) -> str:
    """Return a table as CSV, with text as `fhpt_eval.text.cell` has it."""
    shown = table.copy()
    for column in shown.columns:
        if not is_numeric_dtype(shown[column]):
            shown[column] = shown[column].map(cell, na_action="ignore")
    return str(shown.rename(columns=cell).to_csv(index=False, lineterminator="\n"))


def _read_tables(folder: Path, record: RunRecord) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Read what the CSV files say of the scores in ``record``; a run that was killed may have written more."""
    metrics = [score.metric for protocol in record.protocols for score in protocol.scores]
    # A pair may be called NA or null: only an empty cell is one without a value.
    plain: Any = {"keep_default_na": False, "na_values": [""], "encoding": "utf-8"}
    names = dict.fromkeys(PAIR_COLUMNS, "object")
    per_pair = pd.read_csv(_stream(folder, PER_PAIR), dtype=names, float_precision="round_trip", **plain)
    per_pair = per_pair.rename(columns=of_cell)
    missing = pd.read_csv(_stream(folder, MISSING), dtype="object", **plain).map(of_cell, na_action="ignore")
    per_pair = per_pair[[*PAIR_COLUMNS, *(m for m in metrics if m in per_pair)]]
    per_pair = per_pair.astype(dict.fromkeys(per_pair.columns[len(PAIR_COLUMNS) :], "float64"))
    missing = missing.loc[missing["metric"].isin(metrics), ["metric", "pair", "reason"]].reset_index(drop=True)
    twice = next((metric for metric in metrics if metrics.count(metric) > 1), None)
    if twice is not None:
        raise ValueError(f"{RECORD} has two scores of {twice}")
    if len(per_pair) != record.pairs.total:
        raise ValueError(f"{PER_PAIR} has {len(per_pair)} rows for {record.pairs.total} pairs")
    if per_pair["pair"].duplicated().any():
        raise ValueError(f"{PER_PAIR} has a pair twice")
    if int(per_pair.drop(columns=[*PAIR_COLUMNS]).isna().sum().sum()) != len(missing):
        raise ValueError(f"{MISSING} does not name the empty cells of {PER_PAIR}")
    for column in PAIR_COLUMNS:
        text = per_pair[column].map(of_cell, na_action="ignore").astype(object)
        per_pair[column] = text.where(text.notna(), None)
    return per_pair, missing


def _stream(folder: Path, name: str) -> io.BytesIO:
    return io.BytesIO(read_regular(current(folder, name)))


def _read_arrays(folder: Path, record: RunRecord) -> dict[str, dict[str, npt.NDArray[Any]]]:
    metrics = {score.metric for protocol in record.protocols for score in protocol.scores}
    path = current(folder, ARRAYS)
    arrays: dict[str, dict[str, npt.NDArray[Any]]] = {}
    for key, array in (safetensors.load(read_regular(path)) if path.exists() else {}).items():
        metric, _, name = key.rpartition("/")
        if metric in metrics:
            arrays.setdefault(metric, {})[name] = array
    return arrays


def _read_image_list(folder: Path, record: RunRecord) -> ImageList | None:
    """Read the list of images; None where the record is of before there was one."""
    if record.images.root is None:
        return None
    image_list = ImageList.parse(read_regular(current(folder, IMAGES)).decode())
    if image_list.hash != record.images.root:
        raise ValueError(f"{IMAGES} is not the list that the record was written with")
    if image_list.repeats:
        raise ValueError("the list of images has one twice")
    if (whose := image_list.disagrees(record.pairs.generated, record.pairs.content)) is not None:
        raise ValueError(f"{IMAGES} lists other {whose} than those of the record")
    return image_list
