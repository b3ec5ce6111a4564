"""The residual encoder: a frozen linear classifier, and a transformer that learns what the line leaves."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ramer.errors import ConfigError
from ramer.nn.encoder import Encoded, FrozenPart, LinearMap, UnimodalEncoder

LEARNT_SHARE = 4  # one part in so many of the state is the transformer's
LEARNT_LENGTH = 0.5  # of f in a state whose two frozen parts have length 1
TINY = 1e-6  # of a length; less is rounding
SAYS_NOTHING = (
    1e-3  # length of a frozen part, 1 where it says something, up to which f alone gives a state its direction
)


class ResidualEncoder(UnimodalEncoder):
    """Logits = a frozen line on the input + g(f(x)): f as in ``UnimodalEncoder``, g linear and zero at the start.

    The state is [what the line says, principal components of the input, f(x)]. What is frozen are buffers: nothing that
    trains the encoder, fine-tuning included, moves them.

    Args:
        input_dim: of a modality's utterance vector.
        classes: number of emotions.
        hidden_dim: of the whole state, a quarter of which is f's.
        model_dim, layers, heads, ff_dim, dropout, input_dropout: of f.

    Raises:
        ConfigError: heads do not divide the width, or the state is too short.

    Example:
        >>> encoder = ResidualEncoder(
        ...     16, 6, hidden_dim=12, model_dim=12, layers=1, heads=2, ff_dim=24, dropout=0.0, input_dropout=0.0
        ... )
        >>> encoder(torch.zeros(4, 16)).hidden.shape, encoder.linear_width
        (torch.Size([4, 12]), 9)
    """

    line_weight: Tensor
    line_bias: Tensor
    line_to_state: Tensor
    component_weight: Tensor
    component_bias: Tensor

    def __init__(
        self,
        input_dim: int,
        classes: int,
        *,
        hidden_dim: int,
        model_dim: int | None,
        layers: int,
        heads: int,
        ff_dim: int,
        dropout: float,
        input_dropout: float,
    ) -> None:
        if hidden_dim < 2:
            raise ConfigError(f"hidden_dim: expected at least 2 for a residual encoder, got {hidden_dim}")
        learnt = max(hidden_dim // LEARNT_SHARE, 1)
        super().__init__(
            input_dim,
            classes,
            hidden_dim=learnt,
            model_dim=model_dim,
            layers=layers,
            heads=heads,
            ff_dim=ff_dim,
            dropout=dropout,
            classifier_dims=(),
            input_dropout=input_dropout,
        )
        self.linear_width = hidden_dim - learnt
        said = line_width(classes, self.linear_width)
        self.register_buffer("line_weight", torch.zeros(input_dim, classes))
        self.register_buffer("line_bias", torch.zeros(classes))
        self.register_buffer("line_to_state", torch.zeros(classes, said))
        self.register_buffer("component_weight", torch.zeros(input_dim, self.linear_width - said))
        self.register_buffer("component_bias", torch.zeros(self.linear_width - said))
        nn.init.zeros_(self.correction.weight)
        nn.init.zeros_(self.correction.bias)

    @property
    def correction(self) -> nn.Linear:
        """g, from f(x) to what is added to the line's logits."""
        last = self.classifier[-1]
        assert isinstance(last, nn.Linear)
        return last

    def forward(self, x: Float[Tensor, "n dim"]) -> Encoded:
        """Encode standardised utterance vectors.

        Args:
            x: float [n, input_dim], finite.
        """
        learnt = self.transform(x)
        said = torch.addmm(self.line_bias, x, self.line_weight)
        components = torch.addmm(self.component_bias, x, self.component_weight)
        return Encoded(
            torch.cat([said @ self.line_to_state, components, learnt], dim=1), said + self.classifier(learnt)
        )

    @property
    def frozen(self) -> FrozenPart | None:
        line, components = (self.line_weight, self.line_bias), (self.component_weight, self.component_bias)
        return FrozenPart(LinearMap(*line), self.line_to_state, LinearMap(*components))

    def linear_state(self) -> LinearMap | None:
        maps = zip(
            (self.line_weight @ self.line_to_state, self.line_bias @ self.line_to_state),
            (self.component_weight, self.component_bias),
            strict=True,
        )
        return LinearMap(*(torch.cat(pair, dim=-1) for pair in maps))

    @torch.no_grad()
    def stand_on(self, frozen: FrozenPart) -> None:
        """Take what does not train."""
        self.line_weight.copy_(frozen.line.weight)
        self.line_bias.copy_(frozen.line.bias)
        self.line_to_state.copy_(frozen.line_to_state)
        self.component_weight.copy_(frozen.components.weight)
        self.component_bias.copy_(frozen.components.bias)

    @torch.no_grad()
    def even_out(self, hidden: Float[Tensor, "n hidden"]) -> None:
        """Centre f and bring it to root mean square length ``LEARNT_LENGTH``: what is frozen outweighs it.

        Where all vectors are alike, centring would leave a state of nothing but rounding, which another size of batch
        rounds otherwise and which length 1 makes large: such an f is not centred. No logit changes.

        Args:
            hidden: states of training rows, as the encoder makes them now.
        """
        frozen, learnt = hidden[:, : self.linear_width], hidden[:, self.linear_width :]
        centre = learnt.mean(dim=0)
        length = _root_mean_square(learnt - centre) / LEARNT_LENGTH
        size = _root_mean_square(learnt) / LEARNT_LENGTH
        if length <= TINY * size and _root_mean_square(frozen) <= SAYS_NOTHING:
            centre, length = torch.zeros_like(centre), size
        length = torch.where(length > TINY, length, torch.ones_like(length))
        self.correction.bias.add_(self.correction.weight @ centre)
        self.correction.weight.mul_(length)
        self.to_hidden.bias.sub_(centre).div_(length)
        self.to_hidden.weight.div_(length)


def _root_mean_square(rows: Float[Tensor, "n width"]) -> Tensor:
    """Length of the rows."""
    return rows.square().sum(dim=1).mean().sqrt()


def line_width(classes: int, linear_width: int) -> int:
    """How many of the frozen entries of a state are the line's: at most half of them."""
    return min(classes, max(linear_width // 2, 1))
