"""From folders and a configuration to a training run: what ``fhpt-eval train drn`` does."""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import torch
import torch.distributed as dist

from fhpt_eval.engine.cache import Cache
from fhpt_eval.engine.engine import open_engine
from fhpt_eval.engine.machine import pick_device
from fhpt_eval.errors import UserError
from fhpt_eval.extract.feature_maps import FILES, build_feature_maps
from fhpt_eval.extract.weights import Store, file_sha256
from fhpt_eval.files.atomic import own_folder
from fhpt_eval.generation.generate import ListedImages, list_images, with_people
from fhpt_eval.generation.reference_model import Request
from fhpt_eval.people.keypoint_files import Eyes, KeypointFiles
from fhpt_eval.progress import Progress
from fhpt_eval.reference_models.drn import checkpoint
from fhpt_eval.reference_models.drn.checkpoint import Part
from fhpt_eval.reference_models.drn.config import DrnConfig
from fhpt_eval.reference_models.drn.model import BODY
from fhpt_eval.reference_models.drn.samples import BodyPairs, FacePairs, have_faces, read_fitting
from fhpt_eval.reference_models.drn.training import STATE, Habits, Schedule, Training
from fhpt_eval.reference_models.drn.updates import BodyUpdates, FaceUpdates, Updates

PARTS: Mapping[str, Part] = MappingProxyType({"body": "body", "face": "face"})


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to train, on what, where; see ``fhpt-eval train drn --help``."""

    pairs: Path
    source: Path
    target: Path
    output: Path
    keypoints: KeypointFiles | None = None
    eyes: Eyes = "right-first"
    part: Part = "body"
    config: DrnConfig = field(default_factory=DrnConfig)
    start: Path | None = None
    transfer: Path | None = None
    seed: int = 0
    max_seconds: float | None = None
    save_every: float = 600.0
    engine: str = "local"
    device: str = "auto"
    bfloat16: bool = False
    workers: int = 0
    store: Store = field(default_factory=Store)


@dataclass(frozen=True)
class Result:
    """What came of it.

    Attributes:
        finished: Whether the last epoch was reached.
        step: Iterations done.
        steps: Iterations in all.
        pairs: How many pairs it was trained on.
        missing: Why other pairs were not used, by name.
    """

    finished: bool
    step: int
    steps: int
    pairs: int
    missing: Mapping[str, str]


def train(plan: Plan, progress: Progress | None = None) -> Result:
    """Train one part of the network; under torchrun, as one of several processes.

    Raises:
        UserError: Something that was given does not exist or does not fit.
    """
    config = plan.config
    if config.freeze_transfer and plan.transfer is None and plan.part == "body":
        raise UserError(
            "this configuration keeps the transfer branch as it is: give one to start from, --transfer DIR."
        )
    if plan.part == "face" and not config.face:
        raise UserError("this configuration has no face module: choose another --config.")
    if plan.part == "face" and plan.transfer is not None:
        raise UserError("the face module has no transfer branch: leave --transfer out.")
    device = _start_processes(plan.device)
    try:
        listed = _requests(plan, progress)
        requests, missing = listed.requests, dict(listed.missing)
        # All images must have the size of the first one.
        height, width = read_fitting(requests[0].source, config.divisor).shape[:2]
        if plan.part == "face":
            missing |= _without_faces(requests)
            if len(missing) == len(requests) + len(listed.missing):
                raise UserError(
                    f"in no pair are there frontal faces in both images (first: {next(iter(missing.values()))}):"
                    " the face module cannot be trained on these."
                )
        own_folder(plan.output, [name for p in PARTS for name in (p, f"{p}.safetensors", f"{p}.json")])
        file = FILES[config.perceptual]
        features = build_feature_maps(config.perceptual, plan.store.get(file), device)
        torch.manual_seed(plan.seed)
        kind = BodyUpdates if plan.part == "body" else FaceUpdates
        updates: Updates = kind(config, features, device, bfloat16=plan.bfloat16)
        if plan.start is not None:
            _start_from(plan.start, plan.part, updates)
        if plan.transfer is not None and isinstance(updates, BodyUpdates):
            tensors, _, _ = checkpoint.load(plan.transfer / BODY, "body")
            checkpoint.load_module(updates.network.transfer, "network.transfer", tensors, plan.transfer / BODY)
        data = BodyPairs(requests, (height, width)) if plan.part == "body" else FacePairs(requests)
        body = plan.part == "body"
        schedule = Schedule(
            epochs=config.epochs if body else config.face_epochs,
            constant_epochs=config.constant_epochs if body else config.face_epochs,
            batch_size=config.batch_size,
            learning_rate=config.learning_rate,
        )
        habits = Habits(seed=plan.seed, save_every=plan.save_every, max_seconds=plan.max_seconds, workers=plan.workers)
        about = {
            "start": None if plan.start is None else file_sha256(plan.start / f"{plan.part}.safetensors"),
            "transfer": None if plan.transfer is None else file_sha256(plan.transfer / BODY),
            "data": _hash(requests),
            "bfloat16": plan.bfloat16,
            "device": torch.device(device).type,
        }
        training = Training(plan.part, updates, data, schedule, habits, plan.output, about)
        finished = training.run(progress if training.rank == 0 else None)
        return Result(finished, training.step, training.total, training.count, missing)
    finally:
        if dist.is_initialized():
            dist.destroy_process_group()


def _start_from(folder: Path, part: Part, updates: Updates) -> None:
    """Load the networks of another run of a part; its discriminators, too, where that run has its state."""
    for name, module in updates.networks.items():
        path = folder / part / STATE if name == "discriminators" else folder / f"{part}.safetensors"
        if name != "discriminators" or path.exists():
            tensors, _, _ = checkpoint.load(path, part)
            checkpoint.load_module(module, name, tensors, path)


def _requests(plan: Plan, progress: Progress | None) -> ListedImages:
    """The pairs with their people; the first process detects, the others then find what it cached."""
    listed = list_images(plan.pairs, plan.source, plan.target, plan.output)
    waits = dist.is_initialized() and dist.get_rank() > 0
    if waits:
        dist.barrier()
    with Cache() as cache:
        engine, faces = open_engine(plan.engine, cache, device="cpu"), plan.part == "face"
        listed = with_people(listed, engine, plan.keypoints, progress, eyes=plan.eyes, faces=faces)
    if dist.is_initialized() and not waits:
        dist.barrier()
    return listed


def _hash(requests: Sequence[Request]) -> str:
    """Of the pairs' names, their images' content and what is known about their people."""
    digest = hashlib.sha256()
    content = functools.cache(file_sha256)
    for request in requests:
        digest.update(f"{request.name} {request.fingerprint(content, target=True)}\n".encode())
    return digest.hexdigest()


def _without_faces(requests: Sequence[Request]) -> dict[str, str]:
    """Why pairs cannot train the face module."""
    missing = {}
    for request in requests:
        if not have_faces(*request.people):
            roles = [r for r, p in zip(("source", "target"), request.people, strict=True) if p.face_box is None]
            missing[request.name] = f"{roles[0]}: no frontal face" if roles else "target: no face landmarks"
    return missing


def _start_processes(device: str) -> str:
    """Join the other processes where torchrun started this one, and pick this one's device."""
    chosen = pick_device(device)
    if not {"RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR"} <= os.environ.keys():
        return chosen
    if chosen.startswith("cuda"):
        chosen = f"cuda:{os.environ['LOCAL_RANK']}"
        torch.cuda.set_device(chosen)
    dist.init_process_group("nccl" if chosen.startswith("cuda") else "gloo")
    return chosen
