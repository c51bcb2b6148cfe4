"""The DRN as a reference model: from a checkpoint to images."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple

from fhpt_eval.engine.machine import cpu_count, one_thread
from fhpt_eval.engine.processes import threads
from fhpt_eval.errors import UserError
from fhpt_eval.extract.feature_maps import VGG19
from fhpt_eval.extract.numerics import Numerics, Precision
from fhpt_eval.extract.weights import Weights, file_sha256
from fhpt_eval.generation.reference_model import Asset, Generator, ReferenceModel, Request
from fhpt_eval.images.decoding import ImageRef, Rgb, size_of
from fhpt_eval.images.formats import ImageError
from fhpt_eval.pretrained import drn_checkpoint

if TYPE_CHECKING:
    from torch import Tensor

    from fhpt_eval.reference_models.drn.network import Images

BODY, FACE = "body.safetensors", "face.safetensors"


@dataclass(frozen=True, kw_only=True)
class Drn(ReferenceModel):
    """The Detail Replenishing Network (arXiv 2005.12494), as `fhpt-eval train drn` trains it.

    Attributes:
        checkpoint: The folder of a training run: its ``body.safetensors``, and its ``face.safetensors`` if it is there
            and the configuration has a face module. By default the one that comes with the package.
        image: ``refined``: Ĩ_t of eq. (2). ``coarse``: Ĩ_c. ``residual``: R_t about grey. ``guidance``: the three first
            principal components of F_t as colours (Fig. 10). All are clipped.
        precision: Of the networks, as of `Numerics`.
    """

    name: ClassVar[str] = "drn"
    title: ClassVar[str] = "the paper's Detail Replenishing Network"
    training_weights: ClassVar[tuple[Weights, ...]] = (VGG19,)
    needs: ClassVar[frozenset[Asset]] = frozenset({"people"})
    checkpoint: Path | None = field(default_factory=drn_checkpoint)
    image: Literal["refined", "coarse", "residual", "guidance"] = "refined"
    precision: Precision = "float32"

    def __post_init__(self) -> None:
        if self.checkpoint is not None:
            object.__setattr__(self, "checkpoint", Path(self.checkpoint))

    def identity(self) -> str:
        """Hash of the checkpoint's files."""
        files = [] if self.checkpoint is None else [self.checkpoint / BODY, self.checkpoint / FACE]
        return " ".join(file_sha256(file) for file in files if file.exists())

    def remarks(self, requests: Sequence[Request]) -> list[str]:
        """Whether the checkpoint is ours, and into how many images a face is put."""
        if self.checkpoint is None:
            return []
        ours = ["the checkpoint is the one that comes with the package, trained on rendered people (docs/models.md)"]
        said = ours if self.checkpoint == drn_checkpoint() else []
        return said + self._remarks_on_faces(self.checkpoint, requests)

    def _remarks_on_faces(self, checkpoint: Path, requests: Sequence[Request]) -> list[str]:
        from fhpt_eval.reference_models.drn.samples import have_faces

        if self.image != "refined":
            return []
        if not (checkpoint / FACE).exists():
            return [f"{checkpoint} has no {FACE}: faces are as the body of the network draws them"]
        count = sum(have_faces(*request.people) for request in requests)
        return [f"frontal faces are in both images of {count} of {len(requests)} pairs: the face module draws these"]

    def load(self, device: str) -> Generator:
        """Build the network as its checkpoint says, and load it.

        Raises:
            UserError: No checkpoint is given, or it cannot be read or does not fit, or the device lacks the precision.
        """
        import torch

        from fhpt_eval.reference_models.drn import checkpoint
        from fhpt_eval.reference_models.drn.network import DetailReplenishingNetwork, face_module

        Numerics(device, self.precision)  # refuses what the device does not have
        if self.checkpoint is None:
            raise UserError("the DRN needs a checkpoint: train one with `fhpt-eval train drn`, and give its folder.")
        if self.checkpoint.is_file():
            raise UserError(f"{self.checkpoint} is a file: give the folder that `fhpt-eval train drn` wrote.")
        torch.backends.cudnn.benchmark = False
        tensors, config, _ = checkpoint.load(self.checkpoint / BODY, "body")
        network: Any = DetailReplenishingNetwork(config)
        checkpoint.load_module(network, "network", tensors, self.checkpoint / BODY)
        if self.image == "residual" and network.detail is None:
            raise UserError(f"{self.checkpoint} has no detail branch, and so no residual: choose another image.")
        face: Any = None
        if config.face and (self.checkpoint / FACE).exists():
            face_tensors, face_config, _ = checkpoint.load(self.checkpoint / FACE, "face")
            face = face_module(face_config)
            checkpoint.load_module(face, "face", face_tensors, self.checkpoint / FACE)
            face = face.eval().to(device)
        network = network.eval().to(device=device, memory_format=torch.channels_last)
        drawing = _Drawing(network, face, self.image, self.precision, device)
        return Generator(drawing.draw, functools.partial(_read, divisor=config.divisor))


class _Input(NamedTuple):
    """What is read for one image.

    Attributes:
        source: I_s, H×W×3 uint8.
        bodies: Joints of source and target, 36×3.
        face: The source's face, 3×64×64, the target's sketch and where the face belongs; None without both faces.
    """

    source: Rgb
    bodies: Tensor
    face: tuple[Tensor, Tensor, Tensor] | None


def _read(request: Request, divisor: int) -> _Input:
    """Read a source that the network can work on, and what is known of the people."""
    import torch

    from fhpt_eval.reference_models.drn.samples import (
        crop_of,
        face_of,
        have_faces,
        points_of,
        read_fitting,
        sketch_of,
    )

    source = read_fitting(request.source, divisor)
    if request.target is not None and _size(request.target) != source.shape[1::-1]:
        raise UserError(
            f"{request.source.path} and {request.target.path} differ in size, so that the pose would be wrong:"
            " bring all images to one size."
        )
    one, other = request.people
    face = (face_of(source, one), sketch_of(other), crop_of(other)) if have_faces(one, other) else None
    return _Input(source, torch.cat([points_of(one), points_of(other)]), face)


def _size(ref: ImageRef) -> tuple[int, int]:
    """Width and height of an image, by its header."""
    try:
        return size_of(ref)
    except (OSError, ImageError) as error:
        raise UserError(f"{ref.path} cannot be read ({error}): fix or remove it.") from None


@dataclass(frozen=True)
class _Drawing:
    """Loaded networks at work.

    Attributes:
        network: The body of the network.
        face: The face module, or None.
        image: What is shown.
        precision: Of the networks.
        device: Where they are.
    """

    network: Any
    face: Any
    image: str
    precision: Precision
    device: str

    def draw(self, inputs: Sequence[_Input]) -> list[Rgb]:
        """Images of sources of any sizes."""
        from fhpt_eval.extract._torch import batches_of_one_size

        if self.device == "cpu":
            # Each by itself in one thread: faster than several threads an image, and equal on any number of cores.
            with threads(cpu_count(), one_thread) as cores:
                return [picture for (picture,) in cores.map(self._of_one_size, [[one] for one in inputs])]
        pictures: dict[int, Rgb] = {}
        for indices in batches_of_one_size([one.source for one in inputs]):
            pictures.update(zip(indices, self._of_one_size([inputs[i] for i in indices]), strict=True))
        return [pictures[i] for i in range(len(inputs))]

    def _of_one_size(self, inputs: Sequence[_Input]) -> list[Rgb]:
        import numpy as np
        import torch

        from fhpt_eval.extract._torch import in_bfloat16
        from fhpt_eval.reference_models.drn.arithmetic import float32_as
        from fhpt_eval.reference_models.drn.pose import heatmaps
        from fhpt_eval.reference_models.drn.samples import to_images, to_pixels

        with torch.inference_mode(), float32_as(self.precision, self.device):
            sources = to_images(torch.from_numpy(np.stack([one.source for one in inputs])).to(self.device))
            poses = heatmaps(torch.stack([one.bodies for one in inputs]).to(self.device), *sources.shape[2:])
            with in_bfloat16(Numerics(self.device, self.precision)):
                images: Images = self.network(sources, poses)
            if self.image == "guidance":
                size = sources.shape[2:]
                shown = torch.stack([principal_colours(features, *size) for features in images.guidance])
            elif self.image == "residual" and images.residual is not None:
                shown = images.residual
            elif self.image == "coarse":
                shown = images.coarse
            else:
                shown = self._with_faces(images.refined.float().clamp(-1, 1), inputs)
            return list(to_pixels(shown))

    def _with_faces(self, images: Tensor, inputs: Sequence[_Input]) -> Tensor:
        """Eq. (2) where the face module is there and both faces are."""
        import torch

        from fhpt_eval.extract._torch import in_bfloat16
        from fhpt_eval.reference_models.drn.assembly import assemble

        faces = {i: one.face for i, one in enumerate(inputs) if one.face is not None}
        if self.face is None or not faces:
            return images
        crops, sketches, places = (list(column) for column in zip(*faces.values(), strict=True))
        with in_bfloat16(Numerics(self.device, self.precision)):
            made = self.face(torch.stack(crops).to(self.device), torch.stack(sketches).to(self.device)).float()
        whole = list(images)
        for i, face, place in zip(faces, made, places, strict=True):
            whole[i] = assemble(whole[i], face, place)
        return torch.stack(whole)


def principal_colours(features: Tensor, height: int, width: int) -> Tensor:
    """Return the first three principal components of a feature map over its pixels as RGB (Fig. 10).

    Each component is scaled to [−1, 1]; its sign is such that its largest absolute loading is positive.

    Args:
        features: C×h×w.
        height: Of the picture.
        width: Of the picture.

    Returns:
        3×height×width in [−1, 1].
    """
    import torch
    from torch.nn import functional

    _, h, w = features.shape
    flat = features.flatten(1).T.double().cpu()
    centred = flat - flat.mean(0)
    _, _, loadings = torch.linalg.svd(centred, full_matrices=False)
    first = loadings[:3]
    signs = first.gather(1, first.abs().argmax(1, keepdim=True)).sign()
    components = centred @ (first * signs).T
    low, high = components.min(0).values, components.max(0).values
    scaled = ((components - low) / (high - low).clamp(min=1e-12) * 2 - 1).T.reshape(-1, h, w).float()
    return functional.interpolate(scaled[None], (height, width), mode="nearest")[0]
