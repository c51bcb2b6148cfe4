"""The DRN as a reference model: from a checkpoint to images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from fhpt_eval.engine.machine import cpu_count, one_thread
from fhpt_eval.engine.processes import threads
from fhpt_eval.errors import UserError
from fhpt_eval.extract.feature_maps import VGG19
from fhpt_eval.extract.weights import Weights, file_sha256
from fhpt_eval.generation.reference_model import Asset, Generator, ReferenceModel, Request
from fhpt_eval.images.decoding import Rgb, read_image
from fhpt_eval.people.detection import Person
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
    """

    name: ClassVar[str] = "drn"
    title: ClassVar[str] = "the paper's Detail Replenishing Network"
    training_weights: ClassVar[tuple[Weights, ...]] = (VGG19,)
    needs: ClassVar[frozenset[Asset]] = frozenset({"people"})
    checkpoint: Path | None = field(default_factory=drn_checkpoint)
    image: Literal["refined", "coarse", "residual", "guidance"] = "refined"

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
            UserError: No checkpoint is given, or it cannot be read or does not fit.
        """
        import torch

        from fhpt_eval.extract._torch import batches_of_one_size
        from fhpt_eval.reference_models.drn import checkpoint
        from fhpt_eval.reference_models.drn.network import DetailReplenishingNetwork, face_module

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
        divisor = config.divisor

        def generate(requests: Sequence[Request]) -> list[Rgb]:
            sources = [_source(request, divisor) for request in requests]

            @torch.inference_mode()
            def of_one_size(indices: Sequence[int]) -> list[Rgb]:
                people = [requests[i].people for i in indices]
                return self._pictures(network, face, [sources[i] for i in indices], people, device)

            if device == "cpu":
                # Each by itself in one thread: faster than several threads an image, and equal on any number of cores.
                with threads(cpu_count(), one_thread) as cores:
                    return [picture for (picture,) in cores.map(of_one_size, [[i] for i in range(len(requests))])]
            pictures: dict[int, Rgb] = {}
            for indices in batches_of_one_size(sources):
                pictures.update(zip(indices, of_one_size(indices), strict=True))
            return [pictures[i] for i in range(len(requests))]

        return generate

    def _pictures(
        self, network: Any, face: Any, pixels: Sequence[Rgb], people: Sequence[tuple[Person, Person]], device: str
    ) -> list[Rgb]:
        """Images of sources of one size."""
        import torch

        from fhpt_eval.reference_models.drn.samples import poses, to_pixels, to_tensor

        sources = torch.stack([to_tensor(source) for source in pixels])
        height, width = sources.shape[2:]
        both = [torch.cat([poses(s, height, width), poses(t, height, width)]) for s, t in people]
        images: Images = network(
            sources.to(device, memory_format=torch.channels_last),
            torch.stack(both).to(device, memory_format=torch.channels_last),
        )
        if self.image == "coarse":
            return [to_pixels(image) for image in images.coarse]
        if self.image == "residual" and images.residual is not None:
            return [to_pixels(image) for image in images.residual]
        if self.image == "guidance":
            return [to_pixels(principal_colours(features, height, width)) for features in images.guidance]
        refined = images.refined.clamp(-1, 1)
        return [
            to_pixels(_with_face(image, source, face, pair, device))
            for image, source, pair in zip(refined, sources, people, strict=True)
        ]


def _source(request: Request, divisor: int) -> Rgb:
    """Return the source of a request that the network can work on."""
    from fhpt_eval.reference_models.drn.samples import read_fitting

    source = read_fitting(request.source, divisor)
    if request.target is not None and read_image(request.target).shape != source.shape:
        raise UserError(
            f"{request.source.path} and {request.target.path} differ in size, so that the pose would be wrong:"
            " bring all images to one size."
        )
    return source


def _with_face(image: Tensor, source: Tensor, face: Any, people: tuple[Person, Person], device: str) -> Tensor:
    """Eq. (2) where the face module is there and both faces are."""
    from fhpt_eval.reference_models.drn.assembly import assemble, cut
    from fhpt_eval.reference_models.drn.network import FACE_SIZE
    from fhpt_eval.reference_models.drn.samples import crop_of, have_faces, sketch_of

    source_person, target_person = people
    if face is None or not have_faces(source_person, target_person):
        return image
    crop = cut(source, crop_of(source_person), FACE_SIZE)
    made = face(crop[None].to(device), sketch_of(target_person)[None].to(device))[0]
    return assemble(image, made, crop_of(target_person))


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
