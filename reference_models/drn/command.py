"""From folders and a configuration to a training run: what ``fhpt-eval train drn`` does."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import torch
import torch.distributed as dist

from fhpt_eval.engine.base import Progress
from fhpt_eval.engine.cache import Cache
from fhpt_eval.engine.local import LocalEngine, pick_device
from fhpt_eval.errors import UserError
from fhpt_eval.extract.feature_maps import FILES, build_feature_maps
from fhpt_eval.generation import list_images, with_people
from fhpt_eval.images import read_image
from fhpt_eval.keypoint_files import KeypointFiles
from fhpt_eval.reference_model import Request
from fhpt_eval.reference_models.drn import checkpoint
from fhpt_eval.reference_models.drn.checkpoint import Part
from fhpt_eval.reference_models.drn.config import DrnConfig
from fhpt_eval.reference_models.drn.model import BODY
from fhpt_eval.reference_models.drn.samples import BodyPairs, FacePairs
from fhpt_eval.reference_models.drn.training import Habits, Schedule, Training, seed_everything
from fhpt_eval.reference_models.drn.updates import BodyUpdates, FaceUpdates, Updates
from fhpt_eval.weights import Store

PARTS: Mapping[str, Part] = MappingProxyType({"body": "body", "face": "face"})


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to train, on what, where; see ``fhpt-eval train drn --help``."""

    pairs: Path
    source: Path
    target: Path
    output: Path
    keypoints: Path | None = None
    part: Part = "body"
    config: DrnConfig = field(default_factory=DrnConfig)
    transfer: Path | None = None
    seed: int = 0
    max_seconds: float | None = None
    save_every: float = 600.0
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
    device = _start_processes(plan.device)
    try:
        requests, missing = _requests(plan, progress)
        _claim(plan.output)
        file = FILES[config.perceptual]
        features = build_feature_maps(config.perceptual, plan.store.get(file), device)
        seed_everything(plan.seed)
        kind = BodyUpdates if plan.part == "body" else FaceUpdates
        updates: Updates = kind(config, features, device, bfloat16=plan.bfloat16)
        if plan.transfer is not None and isinstance(updates, BodyUpdates):
            tensors, _, _ = checkpoint.load(plan.transfer / BODY, "body")
            checkpoint.load_module(updates.network.transfer, "network.transfer", tensors, plan.transfer / BODY)
        data = BodyPairs(requests) if plan.part == "body" else FacePairs(requests)
        body = plan.part == "body"
        schedule = Schedule(
            epochs=config.epochs if body else config.face_epochs,
            constant_epochs=config.constant_epochs if body else config.face_epochs,
            batch_size=config.batch_size,
            learning_rate=config.learning_rate,
        )
        habits = Habits(seed=plan.seed, save_every=plan.save_every, max_seconds=plan.max_seconds, workers=plan.workers)
        about = {"data": _hash(requests), "bfloat16": plan.bfloat16, "device": torch.device(device).type}
        training = Training(plan.part, updates, data, schedule, habits, plan.output, about)
        finished = training.run(progress if training.rank == 0 else None)
        return Result(finished, training.step, training.total, training.count, missing)
    finally:
        if dist.is_initialized():
            dist.destroy_process_group()


def _requests(plan: Plan, progress: Progress | None) -> tuple[list[Request], Mapping[str, str]]:
    """The pairs with their people; the first process detects, the others then find what it cached."""
    listed = list_images(plan.pairs, plan.source, plan.target, plan.output)
    keypoints = None if plan.keypoints is None else KeypointFiles.at(plan.keypoints)
    waits = dist.is_initialized() and dist.get_rank() > 0
    if waits:
        dist.barrier()
    with Cache() as cache:
        listed = with_people(listed, LocalEngine(cache, device="cpu"), keypoints, progress)
    if dist.is_initialized() and not waits:
        dist.barrier()
    _check_size(listed.requests, plan.config)
    return list(listed.requests), listed.missing


def _check_size(requests: list[Request] | tuple[Request, ...], config: DrnConfig) -> None:
    height, width = read_image(requests[0].source).shape[:2]
    divisor = 2**config.down_samplings
    if height % divisor or width % divisor:
        raise UserError(
            f"{requests[0].source.path} is {width}×{height}, and the network needs multiples of {divisor}: bring all"
            " images to one such size, as 176×256."
        )


def _hash(requests: list[Request]) -> str:
    """Of the pairs' names and of what is known about their people."""
    digest = hashlib.sha256()
    for request in requests:
        digest.update(request.name.encode())
        for person in (request.source_person, request.target_person):
            if person is not None:
                digest.update(person.body.tobytes() + person.face.tobytes() + str(person.face_box).encode())
    return digest.hexdigest()


def _claim(folder: Path) -> None:
    """Make the folder of a training run, or take one over."""
    ours = {name for part in PARTS for name in (part, f"{part}.safetensors", f"{part}.json")}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        foreign = sorted(entry.name for entry in folder.iterdir() if entry.name not in ours)
    except OSError as error:
        raise UserError(f"cannot write to {folder} ({error.strerror}): choose another folder with -o.") from None
    if foreign:
        raise UserError(f"{folder} holds files that are not a training run's ('{foreign[0]}'): choose a new folder.")


def _start_processes(device: str) -> str:
    """Join the other processes where torchrun started this one, and pick this one's device."""
    if "LOCAL_RANK" not in os.environ:
        return pick_device(device)
    chosen = pick_device(device)
    if chosen.startswith("cuda"):
        chosen = f"cuda:{os.environ['LOCAL_RANK']}"
        torch.cuda.set_device(chosen)
    dist.init_process_group("nccl" if chosen.startswith("cuda") else "gloo")
    return chosen
