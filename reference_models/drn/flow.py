"""Pixels of the source, carried to where the target's pose wants them: not the paper's, and in the small size only."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from fhpt_eval.reference_models.drn.blocks import initialise, leaky_relu, reflected

_ARMS = (3, 4, 6, 7)
"""OpenPose's elbows and wrists: clothes do not follow them as far as they follow the trunk."""

_NEAR = 1 / 32
"""Up to where a joint is as good as met, in image heights."""

_UNSURE = 1 / 50
"""How far joints spread at least to tell a stretch, in image heights."""


class JointFlow(nn.Module):
    """From where each place of the target comes, as the joints tell that both poses have.

    Moving least squares (Schaefer et al., SIGGRAPH 2006): about each place a shift and a stretch of either axis, fitted
    to the joints, of which near ones count more. Without shear, which a few joints cannot tell; a stretch may be
    negative, as from front to back. How much each joint counts is learned.

    Args:
        joints: Heatmaps of one pose.
    """

    def __init__(self, joints: int) -> None:
        super().__init__()
        counts = torch.ones(joints)
        counts[[joint for joint in _ARMS if joint < joints]] = 0.03
        self.influence = nn.Parameter(counts.log())

    def forward(self, poses: Tensor, height: int, width: int) -> Tensor:
        """P_s and P_t, concatenated, N×2·``joints``×H×W, to how far from each place in x and y, in image heights.

        N×2×``height``×``width``; places are square.
        """
        (source, there), (target, here) = (_centres(heatmaps) for heatmaps in poses.chunk(2, dim=1))
        places = _places(height, width, poses.device)
        at = places.flatten(1).mT[None, :, None]
        distances = (at - target[:, None]).square().sum(-1)
        counts = there * here * self.influence.exp()
        shares = counts[:, None] / (distances + _NEAR**2)
        shares = (shares / shares.sum(-1, keepdim=True).clamp(min=1e-6))[..., None]  # N×places×joints×1
        middles = [(shares * points[:, None]).sum(2, keepdim=True) for points in (source, target)]
        come, go = source[:, None] - middles[0], target[:, None] - middles[1]
        spread, ridge = (shares * go.square()).sum(2), _UNSURE**2
        even = (((shares * come.square()).sum((2, 3)) + ridge) / (spread.sum(2) + ridge)).sqrt()[..., None]
        stretch = ((shares * come * go).sum(2) + ridge * even) / (spread + ridge)
        found = middles[0][:, :, 0] + stretch * (at - middles[1])[:, :, 0]
        return found.mT.reshape(-1, 2, height, width) - places


class CarriedPixels(nn.Module):
    """Lays pixels of the source over a painted image, where they are the better ones.

    They come from where `JointFlow` says and the network corrects it. It begins with none of them.

    Args:
        guidance: Channels of F_t.
        features: Channels that the image is painted from.
        patch: Side of the squares of pixels that it is painted in.
        joints: Heatmaps of one pose.
    """

    def __init__(self, guidance: int, features: int, *, patch: int, joints: int = 18) -> None:
        super().__init__()
        self.patch = patch
        self.joints = JointFlow(joints)
        self.judge = nn.Sequential(reflected(features + 3 * patch**2, features, 3), leaky_relu())
        self.judge.apply(initialise)
        self.share = nn.Conv2d(features, 1, kernel_size=1)
        self.far, self.near = nn.Conv2d(guidance, 2, kernel_size=1), nn.Conv2d(features, 2, kernel_size=1)
        for layer in (self.share, self.far, self.near):
            for weight in layer.parameters():
                nn.init.zeros_(weight)

    def forward(self, source: Tensor, poses: Tensor, guidance: Tensor, features: Tensor, painted: Tensor) -> Tensor:
        """Carry pixels, in float32.

        Args:
            source: I_s, N×3×H×W.
            poses: P_s and P_t, concatenated.
            guidance: F_t, N×C×h×w.
            features: Those that the image was painted from, smaller than it by ``patch``.
            painted: N×3×H×W.

        Returns:
            N×3×H×W.
        """
        with torch.autocast(source.device.type, enabled=False):
            guidance, features, painted = guidance.float(), features.float(), painted.float()
            change = self.carried(source, poses, guidance, features) - painted
            seen = torch.cat([features, functional.pixel_unshuffle(change, self.patch)], dim=1)
            share = _resized(self.share(self.judge(seen)), source)
            return painted + share * change

    def carried(self, source: Tensor, poses: Tensor, guidance: Tensor, features: Tensor) -> Tensor:
        """Return the pixels of the source, each where it shall be."""
        height, width = source.shape[2:]
        # Differences from each place are resized, because at borders resizing repeats what is there.
        moved = self.joints(poses, *(2 * side for side in guidance.shape[2:]))
        moved = moved + _resized(self.far(guidance), moved) / height
        moved = _resized(moved, features) + self.near(features) / height
        flow = _places(height, width, source.device) + _resized(moved, source)
        x, y = flow.unbind(1)
        grid = torch.stack([x * (height / width), y], dim=-1) * 2 - 1
        return functional.grid_sample(source, grid, padding_mode="border", align_corners=False)


def _centres(heatmaps: Tensor) -> tuple[Tensor, Tensor]:
    """Centres of heatmaps, N×joints×2, in image heights, and which of them are there, N×joints."""
    height, width = heatmaps.shape[2:]
    mass = heatmaps.sum((2, 3))
    along = [
        (heatmaps.sum(other) * _line(length, length / height, heatmaps.device)).sum(-1)
        for other, length in ((2, width), (3, height))
    ]
    return torch.stack(along, dim=-1) / mass.clamp(min=1e-6)[..., None], (mass > 0).float()


def _line(length: int, end: float, device: torch.device) -> Tensor:
    """Middles of so many equal parts from 0 to ``end``."""
    return (torch.arange(length, device=device) + 0.5) * (end / length)


def _places(height: int, width: int, device: torch.device) -> Tensor:
    """X and y of the middles of square places, 2×``height``×``width``, in image heights."""
    lines = _line(width, width / height, device), _line(height, 1.0, device)
    return torch.stack(torch.meshgrid(*lines, indexing="xy"))


def _resized(maps: Tensor, like: Tensor) -> Tensor:
    return functional.interpolate(maps, like.shape[2:], mode="bilinear", align_corners=False)
