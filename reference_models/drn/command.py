"""From folders and a configuration to a training run: what ``fhpt-eval train drn`` does."""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
import torch.distributed as dist

from fhpt_eval.engine.cache import Cache
from fhpt_eval.engine.engine import open_engine
from fhpt_eval.engine.machine import hardware, pick_device
from fhpt_eval.engine.processes import end_with_parent
from fhpt_eval.errors import UserError
from fhpt_eval.extract.feature_maps import FILES, build_feature_maps
from fhpt_eval.extract.numerics import Numerics, Precision
from fhpt_eval.extract.picture_scores import SMALLEST, WEIGHTS
from fhpt_eval.extract.weights import Store, file_sha256
from fhpt_eval.files.owned_folder import OwnedFolder, at_or_below
from fhpt_eval.generation.generate import ListedImages, list_requests, with_people
from fhpt_eval.generation.reference_model import Request
from fhpt_eval.people.keypoint_files import KeypointFiles
from fhpt_eval.progress import Progress, silent
from fhpt_eval.reference_models.drn import checkpoint
from fhpt_eval.reference_models.drn.checkpoint import NetworkPart
from fhpt_eval.reference_models.drn.config import DrnConfig
from fhpt_eval.reference_models.drn.held_out import HeldOut
from fhpt_eval.reference_models.drn.model import BODY
from fhpt_eval.reference_models.drn.samples import BodyPairs, FacePairs, PairData, have_faces, read_fitting
from fhpt_eval.reference_models.drn.schedule import ByEpochs, ByTime, Schedule
from fhpt_eval.reference_models.drn.training import STATE, LoopSettings, Training, unheard
from fhpt_eval.reference_models.drn.updates import BodyUpdates, FaceUpdates, Updates

_LONGEST_WAIT = timedelta(hours=6)
"""Of processes for the first one, which detects people and tests held-out pairs."""

PARTS: Mapping[str, NetworkPart] = MappingProxyType({"body": "body", "face": "face"})


@dataclass(frozen=True, kw_only=True)
class DrnPlan:
    """What to train, on what, where; see ``fhpt-eval train drn --help``."""

    pairs: Path
    source: Path
    target: Path
    output: Path
    source_keypoints: KeypointFiles | None = None
    target_keypoints: KeypointFiles | None = None
    part: NetworkPart = "body"
    config: DrnConfig = field(default_factory=DrnConfig)
    start: Path | None = None
    transfer: Path | None = None
    seed: int = 0
    max_seconds: float | None = None
    test_pairs: Path | None = None
    test_keypoints: KeypointFiles | None = None
    tests: int = 10
    save_every: float = 600.0
    engine: str = "local"
    device: str = "auto"
    precision: Precision = "float32"
    workers: int = 0
    store: Store = field(default_factory=Store)

    def __post_init__(self) -> None:
        for name in ("pairs", "source", "target", "output", "start", "transfer", "test_pairs"):
            if (given := getattr(self, name)) is not None:
                object.__setattr__(self, name, Path(given))


@dataclass(frozen=True)
class DrnOutcome:
    """What came of it.

    Attributes:
        pairs: How many pairs it was trained on.
        missing: Why other pairs were not used, by name, those of tests too.
    """

    pairs: int
    missing: Mapping[str, str]


@dataclass(frozen=True)
class _Kind:
    """What differs between the parts of the network.

    Attributes:
        updates: How it is trained.
        data: From the pairs and the size of their images to what it is trained on.
        epochs: How many, by the configuration, and how many of them keep the learning rate.
        check: Refuses what contradicts itself.
        unusable: Why pairs cannot train it, by name.
        faces: Whether it needs faces.
    """

    updates: type[BodyUpdates] | type[FaceUpdates]
    data: Callable[[Sequence[Request], tuple[int, int]], PairData]
    epochs: Callable[[DrnConfig], tuple[int, int]]
    check: Callable[[DrnPlan], None]
    unusable: Callable[[Sequence[Request]], dict[str, str]]
    faces: bool


def train_drn(plan: DrnPlan, progress: Progress | None = None, say: Callable[[str], None] | None = None) -> DrnOutcome:
    """Train one part of the network; under torchrun, as one of several processes.

    Args:
        plan: What to train.
        progress: Shows how far it is.
        say: Is told which layers began anew, and the scores of tests.

    Raises:
        UserError: Something that was given does not exist or does not fit.
        KeyboardInterrupt: After a checkpoint, when SIGINT or SIGTERM came.
    """
    _KINDS[plan.part].check(plan)
    device = _start_processes(plan.device)
    try:
        return _train(plan, device, progress or silent, say or unheard)
    finally:
        if dist.is_initialized():
            dist.destroy_process_group()


def _check_body(plan: DrnPlan) -> None:
    """Refuse to train nothing but the detail branch on a transfer branch that never learned anything."""
    if plan.config.freeze_transfer and plan.transfer is None:
        raise UserError(
            "this configuration keeps the transfer branch as it is: give one to start from, --transfer DIR."
        )


def _check_face(plan: DrnPlan) -> None:
    """Refuse what a face module does not have."""
    if not plan.config.face:
        raise UserError("this configuration has no face module: choose another --config.")
    if plan.transfer is not None:
        raise UserError("the face module has no transfer branch: leave --transfer out.")


def _train(plan: DrnPlan, device: str, progress: Progress, say: Callable[[str], None]) -> DrnOutcome:
    Numerics(device, plan.precision)  # refuses what the device does not have
    kind = _KINDS[plan.part]
    listed = _requests(plan, plan.pairs, plan.source_keypoints, plan.target_keypoints, progress)
    requests = listed.requests
    # All images must have the size of the first one.
    height, width = read_fitting(requests[0].source, plan.config.divisor).shape[:2]
    missing = {**listed.missing, **kind.unusable(requests)}
    ours = {name for p in PARTS for name in (p, f"{p}.safetensors", f"{p}.json")}
    OwnedFolder(plan.output, "fhpt-eval train drn").claim(at_or_below(ours))
    progress("building the networks", 0, 1)
    updates, started = _updates(plan, device)
    progress("building the networks", 1, 1)
    about = _about(plan, requests, device, progress)
    held_out = None
    if plan.test_pairs is not None:
        tested = _requests(plan, plan.test_pairs, plan.test_keypoints, plan.test_keypoints, progress)
        missing |= {f"test: {name}": why for name, why in {**tested.missing, **kind.unusable(tested.requests)}.items()}
        if plan.part == "body" and min(height, width) < SMALLEST:
            raise UserError(
                f"images are {width}×{height}, and the scores of tests need {SMALLEST} pixels a side: leave"
                " --test-pairs out."
            )
        about["test_data"] = _hash(tested.requests, progress)
        held_out = HeldOut(kind.data(tested.requests, (height, width)), updates, plan.store.get(WEIGHTS), plan.tests)
    training = Training(
        plan.part,
        updates,
        kind.data(requests, (height, width)),
        _schedule(plan),
        LoopSettings(seed=plan.seed, save_every=plan.save_every, workers=plan.workers),
        plan.output,
        about,
        {**started, "torch": torch.__version__, "hardware": hardware(device)},
        held_out,
    )
    if training.rank:
        progress, say = silent, unheard
    for layer in started.get("begun_anew", []):
        say(f"begun anew, because {plan.start} does not have it: {layer}")
    training.run(progress, say)
    return DrnOutcome(training.count, missing)


def _updates(plan: DrnPlan, device: str) -> tuple[Updates, dict[str, Any]]:
    """Build the networks of a part, with the weights that they start from, and tell of those for the card."""
    config = plan.config
    features = build_feature_maps(config.perceptual, plan.store.get(FILES[config.perceptual]), device)
    torch.manual_seed(plan.seed)
    updates = _KINDS[plan.part].updates(config, features, device, precision=plan.precision)
    told = {} if plan.start is None else _start_from(plan.start, plan.part, updates)
    if plan.transfer is not None and isinstance(updates, BodyUpdates):
        tensors, _, _ = checkpoint.load(plan.transfer / BODY, "body")
        checkpoint.load_module(updates.network.transfer, "network.transfer", tensors, plan.transfer / BODY)
    return updates, told


def _schedule(plan: DrnPlan) -> Schedule:
    """Return how long a part is trained: by the clock, with the body's shape, or by its epochs."""
    config = plan.config
    batch_size, rate = config.batch_size, config.learning_rate
    if plan.max_seconds is not None:
        constant = config.constant_epochs / config.epochs
        return ByTime(seconds=plan.max_seconds, constant=constant, batch_size=batch_size, learning_rate=rate)
    epochs, constant_epochs = _KINDS[plan.part].epochs(config)
    return ByEpochs(epochs=epochs, constant_epochs=constant_epochs, batch_size=batch_size, learning_rate=rate)


def _about(plan: DrnPlan, requests: Sequence[Request], device: str, progress: Progress) -> dict[str, Any]:
    """Return what has to be the same for a training to go on."""
    return {
        "start": None if plan.start is None else file_sha256(plan.start / f"{plan.part}.safetensors"),
        "transfer": None if plan.transfer is None else file_sha256(plan.transfer / BODY),
        "data": _hash(requests, progress),
        "precision": plan.precision,
        "device": torch.device(device).type,
        "test_data": None,
    }


def _start_from(folder: Path, part: NetworkPart, updates: Updates) -> dict[str, Any]:
    """Load the networks of another run of a part; its discriminators, too, where that run has its state.

    Returns:
        What the card says of it: which layers begun anew, and how that run came about.
    """
    file = folder / f"{part}.safetensors"
    tensors, _, card = checkpoint.load(file, part)
    begun_anew = []
    for name, module in updates.networks.items():
        if name != "discriminators":
            begun_anew += checkpoint.load_fitting(module, name, tensors, file)
        elif (state := folder / part / STATE).exists():
            begun_anew += checkpoint.load_fitting(module, name, checkpoint.load(state, part)[0], state)
        elif updates.config.adversarial_weight:
            begun_anew.append(name)
    return {"begun_anew": begun_anew, "legs": checkpoint.legs(card, file_sha256(file))}


def _requests(
    plan: DrnPlan,
    pairs: Path,
    source_keypoints: KeypointFiles | None,
    target_keypoints: KeypointFiles | None,
    progress: Progress,
) -> ListedImages:
    """Return pairs with their people; the first process detects, the others then find what it cached."""
    listed = list_requests(pairs, plan.source, plan.target, plan.output)
    waits = dist.is_initialized() and dist.get_rank() > 0
    if waits:
        dist.barrier()
    with Cache() as cache:
        engine, faces = open_engine(plan.engine, cache, device="cpu"), _KINDS[plan.part].faces
        listed = with_people(listed, engine, source_keypoints, target_keypoints, faces=faces, progress=progress)
    if dist.is_initialized() and not waits:
        dist.barrier()
    return listed


def _hash(requests: Sequence[Request], progress: Progress) -> str:
    """Of the pairs' names, their images' content and what is known about their people."""
    digest = hashlib.sha256()
    content = functools.cache(file_sha256)
    for done, request in enumerate(requests, start=1):
        digest.update(f"{request.name} {request.fingerprint(content, target=True)}\n".encode())
        progress("hashing the images", done, len(requests))
    return digest.hexdigest()


def _without_faces(requests: Sequence[Request]) -> dict[str, str]:
    """Return why pairs cannot train the face module.

    Raises:
        UserError: None of them can.
    """
    missing = {}
    for request in requests:
        if not have_faces(*request.people):
            roles = [r for r, p in zip(("source", "target"), request.people, strict=True) if p.face_box is None]
            missing[request.name] = f"{roles[0]}: no frontal face" if roles else "target: no face landmarks"
    if len(missing) == len(requests):
        raise UserError(
            f"in no pair are there frontal faces in both images (first: {next(iter(missing.values()))}):"
            " the face module cannot be trained on these."
        )
    return missing


def _start_processes(device: str) -> str:
    """Join the other processes where torchrun started this one, and pick this one's device."""
    chosen = pick_device(device)
    if not {"RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR"} <= os.environ.keys():
        return chosen
    if chosen.startswith("cuda"):
        chosen = f"cuda:{os.environ['LOCAL_RANK']}"
        torch.cuda.set_device(chosen)
    end_with_parent()  # the others would wait for each other for good
    dist.init_process_group("nccl" if chosen.startswith("cuda") else "gloo", timeout=_LONGEST_WAIT)
    return chosen


_KINDS: Mapping[NetworkPart, _Kind] = MappingProxyType(
    {
        "body": _Kind(
            BodyUpdates,
            BodyPairs,
            lambda c: (c.epochs, c.constant_epochs),
            _check_body,
            lambda _: {},
            faces=False,
        ),
        "face": _Kind(
            FaceUpdates,
            lambda requests, _: FacePairs(requests),
            lambda c: (c.face_epochs, c.face_epochs),
            _check_face,
            _without_faces,
            faces=True,
        ),
    }
)
