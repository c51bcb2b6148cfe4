"""From a list of pairs to a folder of generated images, by a reference model."""

from __future__ import annotations

import functools
import hashlib
import io
import json
import time
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from fhpt_eval.engine.engine import Engine
from fhpt_eval.engine.machine import cpu_count, one_thread
from fhpt_eval.engine.processes import threads
from fhpt_eval.errors import UserError
from fhpt_eval.extract.weights import file_sha256
from fhpt_eval.files.atomic import write_atomic
from fhpt_eval.files.owned_folder import OwnedFolder, claiming
from fhpt_eval.files.regular import not_regular
from fhpt_eval.generation.reference_model import Generator, ReferenceModel, Request
from fhpt_eval.images.decoding import ImageRef, Rgb
from fhpt_eval.images.formats import NO_MEMORY
from fhpt_eval.memory import out_of_memory
from fhpt_eval.options import plain_options
from fhpt_eval.pairing.folders import Folder, file_name
from fhpt_eval.pairing.lists import read_pair_list
from fhpt_eval.pairing.naming import one_spelling, picture_key
from fhpt_eval.people.detection import find_people, person_in_files
from fhpt_eval.people.keypoint_files import KeypointFiles
from fhpt_eval.progress import Progress
from fhpt_eval.records import Missing

RECORD = "generation.json"
_KEY = "fhpt-eval"
_COMPRESSION = 1
"""Of PNG, which loses nothing at any level: a sixth larger than at the usual 6, and made in a third of the time."""
_BATCHES_AHEAD = 2
"""Batches that are read before they are drawn, and that are not yet written after it."""
_LONGEST_NAME = 240
"""Bytes that a file name can have on common file systems, less what writing it needs."""


@dataclass(frozen=True)
class ListedImages:
    """What a list of pairs asks for, before anything is known about the people in it.

    Attributes:
        requests: Of each pair that has its files.
        missing: Why other pairs cannot be made, by the name that their image would have.
        names_files: Whether the list names generated files, which then are not called as they are called here.
    """

    requests: tuple[Request, ...]
    missing: Mapping[str, str]
    names_files: bool = False


@dataclass(frozen=True)
class Generated:
    """What came of a generation.

    Attributes:
        made: Names of the images that were written now.
        kept: Names of those that an earlier, stopped run of the same model had written.
        missing: Why others were not made, by name.
        seconds: Time that the model took, without detectors.
    """

    made: tuple[str, ...]
    kept: tuple[str, ...]
    missing: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0


def list_requests(pairs: str | Path, source: str | Path, target: str | Path | None, output: str | Path) -> ListedImages:
    """Find the files of the pairs in a list (``from,to``, or any that `fhpt-eval run --pairs` reads).

    Raises:
        UserError: A folder or the list cannot be read, the list has no header, two pairs would get one file name, or no
            pair has its files.
    """
    source, target = Path(source), Path(target) if target else None
    listed = read_pair_list(Path(pairs), Path(output), target, source)
    if not listed.headed:
        raise listed.wants_header
    sources, targets = Folder(source, "source"), Folder(target, "target") if target else None
    requests: dict[str, Request] = {}
    missing: dict[str, str] = {}
    seen: dict[str, tuple[str, str]] = {}
    for row in listed.pairs:
        if not (row.source and row.target):
            raise UserError(f"{listed.where(row.row)} names no source or no target: both are needed to make an image.")
        name = f"{_stem(row.source)}_2_{_stem(row.target)}_vis"
        before = seen.setdefault(name, (row.source, row.target))
        if before != (row.source, row.target):
            raise UserError(f"{listed.where(row.row)}: another pair's image is called {name}, too: rename the files.")
        if len(name.encode()) > _LONGEST_NAME:
            missing[name] = "the name of the image would be too long"
            continue
        try:
            found_source = _only(sources, row.source, "source")
            found_target = None if targets is None else _only(targets, row.target, "target")
        except LookupError as error:
            missing[name] = str(error)
        else:
            requests[name] = Request(name, found_source, row.target, found_target)
    if not requests:
        first = next(iter(missing.items()))
        raise UserError(f"no listed pair has its files (first: {first[0]}: {first[1]}): check the folders.")
    return ListedImages(tuple(requests.values()), missing, "generated" in listed.columns)


def _stem(name: str) -> str:
    return file_name(picture_key(name))


def _only(folder: Folder, name: str, role: str) -> ImageRef:
    hits = folder.find(name)
    if len(hits) != 1:
        raise LookupError(f"no {role} image '{name}'" if not hits else f"more than one {role} image '{name}'")
    if (what := not_regular(folder.path / hits[0])) is not None:
        raise LookupError(f"{role} image '{name}': {what}")
    return ImageRef(folder.path / hits[0], name=one_spelling(hits[0]))


def with_people(
    images: ListedImages,
    engine: Engine,
    source_keypoints: KeypointFiles | None = None,
    target_keypoints: KeypointFiles | None = None,
    *,
    faces: bool = True,
    progress: Progress | None = None,
) -> ListedImages:
    """Add what detectors or keypoint files say of the people; pairs without a person become missing.

    Keypoints that are given for one side alone are those of both: the field's lists hold all images.

    Without target images the keypoint files have to tell of the targets, and there are no faces. Nor are there without
    ``faces``: with keypoint files, nothing has to be detected then.

    Raises:
        UserError: There are neither target images nor keypoint files, or not a single pair has its people.
    """
    of_sources, of_targets = source_keypoints or target_keypoints, target_keypoints or source_keypoints
    without_targets = any(request.target is None for request in images.requests)
    if without_targets and of_targets is None:
        raise UserError("the target poses are needed: give --target DIR, or --target-keypoints FILE.")
    find = functools.partial(find_people, engine=engine, faces=faces and not without_targets, progress=progress)
    sources = [request.source for request in images.requests]
    targets = [request.target for request in images.requests if request.target is not None]
    if source_keypoints is not None and target_keypoints is not None:
        in_sources, in_targets = find(sources, keypoints=of_sources), find(targets, keypoints=of_targets)
    else:
        in_sources = in_targets = find([*sources, *targets], keypoints=of_sources)

    missing = dict(images.missing)
    requests = []
    for request in images.requests:
        source = in_sources[request.source]
        if request.target is not None:
            target = in_targets[request.target]
        elif of_targets is not None:
            target = person_in_files(of_targets, request.target_name)
        if isinstance(source, Missing):
            missing[request.name] = f"source: {source.reason}"
        elif isinstance(target, Missing):
            missing[request.name] = f"target: {target.reason}"
        else:
            requests.append(replace(request, source_person=source, target_person=target))
    if not requests:
        raise UserError(f"in no pair a person was found in both images (first: {next(iter(missing.values()))}).")
    return ListedImages(tuple(requests), missing, images.names_files)


class Generation:
    """A model at work in a folder of its own.

    Each file is written whole or not at all, and says in a PNG text chunk what made it: a run that was stopped goes on
    where it was, and an image of other inputs is not replaced unasked. ``generation.json`` names the model.

    Args:
        model: Is loaded.
        output: The folder.
        device: Where the model computes.
        overwrite: Delete the images that an earlier generation made there.

    Raises:
        UserError: The model cannot be loaded, or the folder holds another model's images or cannot be read.
    """

    def __init__(self, model: ReferenceModel, output: str | Path, *, device: str, overwrite: bool = False) -> None:
        self._model = model
        self._folder = OwnedFolder(Path(output), "fhpt-eval generate")
        self._overwrite = overwrite
        self._at_once = cpu_count() if device == "cpu" else 16
        _check(self._folder, model, overwrite=overwrite)
        self._generator = model.load(device)

    def make(
        self,
        requests: Sequence[Request],
        *,
        batch_size: int | None = None,
        replace_others: bool = False,
        progress: Progress | None = None,
    ) -> Generated:
        """Make the images of all requests as PNG files ``NAME.png``.

        Args:
            requests: What to make.
            batch_size: Images at once; by default 16 on a GPU, otherwise one a core.
            replace_others: Replace images that the model made of other inputs under the same names.
            progress: Called often.

        Raises:
            UserError: The folder cannot be written, or holds such images, or others' of the same names.
        """
        _claim(self._folder, self._model, overwrite=self._overwrite)
        output = self._folder.path
        at_once = batch_size or self._at_once
        marks = _marks(self._model, requests)
        found = {request.name: _mark_of(output / f"{request.name}.png") for request in requests}
        others = [name for name, mark in found.items() if mark is not None and mark != marks[name]]
        if replace_others:
            others = [name for name in others if not found[name]]
        if others:
            raise UserError(
                f"{output} holds {len(others)} images of other inputs under the same names, such as {others[0]}.png:"
                " choose another folder with -o, or make all images there again with --overwrite."
            )
        todo = [request for request in requests if found[request.name] != marks[request.name]]
        waiting = {request.name for request in todo}
        kept = tuple(request.name for request in requests if request.name not in waiting)
        missing: dict[str, str] = {}
        started = time.monotonic()
        with threads(cpu_count(), one_thread) as pool:
            files = _Files(pool, self._generator, output, marks)
            for start in range(0, len(todo), at_once):
                batch = todo[start : start + at_once]
                files.read(todo[start : start + (1 + _BATCHES_AHEAD) * at_once])
                for request, picture in _drawn(self._generator, files.inputs(batch, missing), missing):
                    files.write(request, picture)
                files.wait_for_written(_BATCHES_AHEAD * at_once)
                if progress is not None:
                    progress(f"generating by {self._model.name}", start + len(batch), len(todo))
            files.wait_for_written(0)
            made = tuple(files.made)
        return Generated(made, kept, missing, time.monotonic() - started)


class _Files:
    """Reads ahead and writes behind, in threads: decoding and encoding of images let go of the interpreter."""

    def __init__(self, pool: Executor, generator: Generator, output: Path, marks: Mapping[str, str]) -> None:
        self._pool = pool
        self._generator = generator
        self._output = output
        self._marks = marks
        self._reading: dict[str, Future[Any]] = {}
        self._writing: deque[tuple[str, Future[None]]] = deque()
        self.made: list[str] = []

    def read(self, requests: Sequence[Request]) -> None:
        """Begin to read for requests, unless that was begun before."""
        for request in requests:
            if request.name not in self._reading:
                self._reading[request.name] = self._pool.submit(self._generator.read, request)

    def inputs(self, batch: Sequence[Request], missing: dict[str, str]) -> list[tuple[Request, Any]]:
        """Return what was read for a batch; of what cannot be read, say why."""
        inputs = []
        for request in batch:
            try:
                inputs.append((request, self._reading.pop(request.name).result()))
            except Exception as error:  # noqa: BLE001 - is raised again unless it is the image's fault
                missing[request.name] = _why(error)
        return inputs

    def write(self, request: Request, picture: Rgb) -> None:
        """Begin to write an image."""
        path, mark = self._output / f"{request.name}.png", self._marks[request.name]
        self._writing.append((request.name, self._pool.submit(_write_png, path, picture, mark)))

    def wait_for_written(self, but: int) -> None:
        """Wait until all but so many images are written.

        Raises:
            UserError: One cannot be written.
        """
        while len(self._writing) > but:
            name, written = self._writing.popleft()
            written.result()
            self.made.append(name)


def _drawn(
    generator: Generator, inputs: Sequence[tuple[Request, Any]], missing: dict[str, str]
) -> Iterable[tuple[Request, Rgb]]:
    """Return a batch's images; where one cannot be made, or memory lacks, they are made one by one."""
    if not inputs:
        return []
    requests = [request for request, _ in inputs]
    try:
        return list(zip(requests, generator.draw([read for _, read in inputs]), strict=True))
    except Exception as error:  # noqa: BLE001 - likewise
        why = _why(error)
        if len(inputs) == 1:
            missing[requests[0].name] = why
            return []
        return [pair for one in inputs for pair in _drawn(generator, [one], missing)]


def _why(error: Exception) -> str:
    """Return why an image is not made; raise what is no fault of the image or of the memory."""
    if isinstance(error, UserError):
        return str(error)
    if out_of_memory(error):
        return NO_MEMORY
    raise error


def _check(folder: OwnedFolder, model: ReferenceModel, *, overwrite: bool) -> None:
    record = folder.path / RECORD
    with claiming(folder.path):
        folder.refuse_foreign(known=record.exists())
        if record.exists() and not overwrite:
            words = {"content": "other files of the model"}
            folder.require_same(_read_record(record), _about(model), "holds images that another model made", words)


def _claim(folder: OwnedFolder, model: ReferenceModel, *, overwrite: bool) -> None:
    with claiming(folder.path):
        folder.claim(known=(folder.path / RECORD).exists())
        for path in folder.path.glob("*.png") if overwrite else ():
            if _mark_of(path):
                path.unlink()
        folder.write(RECORD, json.dumps(_about(model), indent=2) + "\n")


def holds_another(output: str | Path, model: ReferenceModel) -> bool:
    """Whether a folder holds images of another model, or of this one with other options or another checkpoint.

    Raises:
        UserError: What it says of its images is damaged.
    """
    record = Path(output) / RECORD
    return record.exists() and _read_record(record) != _about(model)


def _about(model: ReferenceModel) -> dict[str, Any]:
    return {"model": model.name, "options": _options(model), "content": model.identity()}


def _read_record(record: Path) -> dict[str, Any]:
    try:
        about = json.loads(record.read_bytes())
    except (ValueError, RecursionError):
        about = None
    if not isinstance(about, dict):
        raise UserError(f"{record} is damaged: choose another folder with -o.")
    return about


def _options(model: ReferenceModel) -> dict[str, Any]:
    """Return the options in plain form, without paths: what lies there is in the model's identity."""
    options = plain_options(model)
    return {name: value for name, value in options.items() if not isinstance(getattr(model, name), Path)}


def _marks(model: ReferenceModel, requests: Sequence[Request]) -> dict[str, str]:
    """For each image, a hash of all that it is made from."""
    made_by = json.dumps([model.name, _options(model), model.identity()], sort_keys=True)
    content = functools.cache(file_sha256)
    counts = "target" in model.needs
    return {
        request.name: hashlib.sha256(f"{made_by} {request.fingerprint(content, target=counts)}".encode()).hexdigest()
        for request in requests
    }


def _mark_of(path: Path) -> str | None:
    """Return the mark in an image that `Generation` wrote: empty in others, None without a file or in a damaged one."""
    try:
        with Image.open(path, formats=["PNG"]) as image:
            mark = image.info.get(_KEY)
            image.verify()
    except (OSError, ValueError, SyntaxError):
        return None
    return mark if isinstance(mark, str) else ""


def _write_png(path: Path, picture: Rgb, mark: str) -> None:
    chunks = PngInfo()
    chunks.add_text(_KEY, mark)
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, format="PNG", pnginfo=chunks, compress_level=_COMPRESSION)
    write_atomic(path, stream.getvalue())
