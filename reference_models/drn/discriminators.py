"""The conditional discriminators D_A (appearance) and D_P (pose) of §IV-B, built as PATN's."""

from __future__ import annotations

from torch import Tensor, nn

from fhpt_eval.reference_models.drn.blocks import (
    Activation,
    InstanceNorm,
    ResidualBlock,
    encoder,
    initialise,
    leaky_relu,
)


class Discriminator(nn.Module):
    """PATN's discriminator: an encoder and three residual blocks; the last feature map is the score.

    With `relu`, ``dropout=0.5`` and ``max_width=256`` this is PATN's to the parameter: 3,928,384 with 6 channels in.

    Args:
        channels_in: Of image and condition, concatenated: 6 for D_A, 3 + 18 for D_P.
        width: Channels after the first convolution; each of two down-samplings doubles them.
        activation: After each normalisation.
        dropout: In the residual blocks.
        patch: Side of the squares of pixels that the first convolution works on.
    """

    def __init__(
        self,
        channels_in: int,
        width: int = 64,
        activation: Activation = leaky_relu,
        dropout: float = 0.0,
        patch: int = 1,
    ) -> None:
        super().__init__()
        channels = [width, 2 * width, 4 * width]
        self.layers = nn.Sequential(
            encoder(channels_in, channels, activation, patch),
            *(ResidualBlock(4 * width, 4 * width, activation, norm=InstanceNorm, dropout=dropout) for _ in range(3)),
        )
        self.apply(initialise)

    def forward(self, image_and_condition: Tensor) -> Tensor:
        """N×``channels_in``×H×W to a map of scores, N×(4·width)×h×w, smaller by 4·``patch``; 1 says real."""
        scores: Tensor = self.layers(image_and_condition)
        return scores
