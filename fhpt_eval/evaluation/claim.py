"""A claim: what of a run somebody else needs to check it, in one archive without images."""

from __future__ import annotations

import contextlib
import hashlib
import io
import shlex
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from fhpt_eval.errors import UserError
from fhpt_eval.evaluation.run import Run
from fhpt_eval.evaluation.run_folder import UnreadableRun
from fhpt_eval.evaluation.run_record import ARRAYS, FILES, IMAGES, MISSING, PER_PAIR, RECORD, RunRecord
from fhpt_eval.files.regular import read_regular
from fhpt_eval.files.together import current, exclusively

PAIRS, README = "pairs.csv", "README.md"
_FILES = (README, *FILES, PAIRS)
LIMIT = 2**30
"""Bytes of all files of an archive together, unpacked; a run of 100,000 pairs has a tenth of it."""

_EPOCH = (1980, 1, 1, 0, 0, 0)
"""The time of every file, so that equal runs give equal archives."""


def pack(folder: Path, pairs: Path | None = None) -> bytes:
    """Return the archive of a run.

    Args:
        folder: Of the run.
        pairs: The list of pairs that it was given; needed where it was given one.

    Raises:
        UserError: It is no run, has no number, or the list is not the one that it was given.
    """
    run = Run.load(folder)
    if not run.measured:
        raise UserError(f"{folder} has no numbers: there is nothing to claim.")
    with exclusively(folder):
        found = {name: current(folder, name) for name in FILES}
        files = {name: read_regular(path) for name, path in found.items() if path.exists()}
    if (listed := _list(run.record, pairs)) is not None:
        files[PAIRS] = listed
    files[README] = _readme(run, listed=listed is not None).encode()
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name in _FILES:
            if name in files:
                about = zipfile.ZipInfo(name, _EPOCH)
                about.compress_type, about.create_system, about.external_attr = zipfile.ZIP_DEFLATED, 3, 0o644 << 16
                archive.writestr(about, files[name], compresslevel=9)
    return stream.getvalue()


def _list(record: RunRecord, pairs: Path | None) -> bytes | None:
    """Return the list of pairs, which has to be the recorded one."""
    wanted = record.pairs.list_sha256
    if pairs is None:
        if wanted is not None:
            raise UserError(
                "the run was given a list of pairs, without which nobody can check it: give it with --pairs."
            )
        return None
    try:
        content = read_regular(pairs)
    except OSError as error:
        raise UserError(f"{pairs} cannot be read ({error.strerror}); check --pairs.") from None
    if wanted is None:
        raise UserError("--pairs: the record does not say that the run was given a list; leave it out.")
    if hashlib.sha256(content).hexdigest() != wanted:
        raise UserError(f"{pairs} is not the list that the run was given, or was changed since; check --pairs.")
    return content


@contextlib.contextmanager
def opened(path: Path) -> Iterator[tuple[Run, Path | None]]:
    """Give a run, and the list of pairs that an archive of `pack` has of it, for as long as it is needed.

    Args:
        path: Its folder, or such an archive.

    Raises:
        UserError: It is neither.
    """
    if not path.is_file():
        yield Run.load(path), None
        return
    with tempfile.TemporaryDirectory(prefix="fhpt-eval-claim-") as folder:
        for name, content in _unpacked(path).items():
            (Path(folder) / name).write_bytes(content)
        try:
            run = Run.load(folder)
        except UnreadableRun as error:
            raise UserError(f"{path} is damaged ({error.why}): whoever packed it should pack it again.") from None
        listed = Path(folder) / PAIRS
        yield run, listed if listed.exists() else None


def _unpacked(path: Path) -> dict[str, bytes]:
    """Return the files of an archive. Names are looked up, never followed: whatever it holds, nothing gets out."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            names = [entry.filename for entry in entries]
            if strange := [name for name in names if name not in _FILES] or [n for n in names if names.count(n) > 1]:
                raise UserError(f"{path} holds '{strange[0]}', which no archive of `fhpt-eval pack` does so.")
            if sum(entry.file_size for entry in entries) > LIMIT:
                raise UserError(f"{path} would unpack to more than {LIMIT >> 20} MiB: it is none of `fhpt-eval pack`.")
            # What an entry says of its size is not believed.
            files, room = {}, LIMIT
            for entry in entries:
                with archive.open(entry) as stream:
                    files[entry.filename] = stream.read(room + 1)
                room -= len(files[entry.filename])
                if room < 0:
                    raise zipfile.BadZipFile("larger than it says")
            return files
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError) as error:
        raise UserError(
            f"{path} cannot be read as an archive ({error}): give one of `fhpt-eval pack`, or the folder of a run."
        ) from None


def _readme(run: Run, *, listed: bool) -> str:
    record = run.record
    measured = [protocol for protocol in record.protocols if protocol.scores]
    roles = run.image_list.roles if run.image_list is not None else ("generated", "target")
    options = ["--generated GENERATED"]
    options += [f"--{role} {role.upper()}" for role in ("target", "source", "reference") if role in roles]
    keypoints = dict.fromkeys(role for protocol in measured for role in protocol.recipe.keypoints)
    options += [f"--{role}-keypoints {role.upper()}_KEYPOINTS" for role in keypoints]
    options += ["--target-masks TARGET_MASKS"] if any(protocol.recipe.masks for protocol in measured) else []
    weights = {name: sha256 for protocol in measured for name, sha256 in protocol.recipe.weights.items()}
    options += ["--face-models FACE_MODELS"] * ("face-detector" in weights)
    lines = [
        f"# {record.name}",
        "",
        f"Numbers of {record.pairs.total} pairs, measured by fhpt-eval"
        f" {record.environment.packages.get('fhpt-eval', '')} on {record.created}, profile {record.profile}.",
        "No images are in here. With the images, this says of each number whether it follows from them:",
        "",
        "```",
        f"fhpt-eval verify claim.zip {' '.join(options)}",
        "```",
        "",
        f"- `{RECORD}`: the record: scores, the recipe of each, versions, what is missing",
        f"- `{PER_PAIR}`, `{MISSING}`: the value of each pair, and why one has none",
        *([f"- `{IMAGES}`: the SHA-256 of each image that was looked at"] if run.image_list is not None else []),
        *([f"- `{ARRAYS}`: the measurements behind curves and comparisons"] if run.arrays else []),
        *([f"- `{PAIRS}`: the list of pairs that the run was given; `verify` takes it from here"] if listed else []),
        "",
    ]
    if weights:
        lines += ["Networks, by the SHA-256 of their weights:", ""]
        lines += [f"- {name}: {sha256}" for name, sha256 in sorted(weights.items())]
        lines += [""]
    if record.command is not None:
        lines += ["The record was made by:", "", "```", shlex.join(record.command), "```", ""]
    return "\n".join(lines)
