"""How an encoder of each kind learns: its loss, what is scored after an epoch, and which epoch counts as best."""

from __future__ import annotations

import copy
import math
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor, nn

from ramer.config import Encoder
from ramer.nn.encoder import UnimodalEncoder
from ramer.nn.residual import ResidualEncoder
from ramer.training.regression import Scores


class Rank(NamedTuple):
    """How good an epoch is: a higher score, or as high a one with a lower loss."""

    score: float
    loss: float


@runtime_checkable
class Recipe(Protocol):
    """What differs between the kinds.

    Attributes:
        keeps_start: whether the encoder before its first step may be kept.
    """

    keeps_start: bool

    @property
    def candidate(self) -> UnimodalEncoder:
        """What is scored after an epoch and may be kept, in the training encoder's names."""
        ...

    def loss(self, x: Tensor, labels: Tensor) -> Tensor:
        """Of vectors [n, dim] and their labels [n]."""
        ...

    def stepped(self) -> None:
        """Called after every step of the optimiser."""
        ...

    def rank(self, scores: Scores) -> Rank:
        """Of an epoch whose candidate has these scores on validation rows."""
        ...


class TransformerRecipe:
    """Cross-entropy; the epoch with the best weighted F1 is kept, which is what methods are selected by."""

    keeps_start = False

    def __init__(self, encoder: UnimodalEncoder) -> None:
        self.candidate: UnimodalEncoder = encoder

    def loss(self, x: Tensor, labels: Tensor) -> Tensor:
        return nn.functional.cross_entropy(self.candidate(x).logits, labels)

    def stepped(self) -> None:
        pass

    def rank(self, scores: Scores) -> Rank:
        return Rank(scores.weighted_f1, scores.log_loss)


class ResidualRecipe:
    """What the logistic regression leaves is learnt, or nothing: the start is a candidate too.

    Mixup (Zhang et al., "mixup: Beyond Empirical Risk Minimization", ICLR 2018), label smoothing and an average of
    weights (Polyak and Juditsky, 1992) keep a transformer from learning a few hundred labels by heart. The epoch with
    the least log loss is kept among those whose weighted F1 is not below the start's.

    Args:
        encoder: which stands on a regression.
        rng: of mixup.
    """

    keeps_start = True

    def __init__(self, encoder: ResidualEncoder, options: Encoder, rng: np.random.Generator) -> None:
        self._encoder, self._options, self._rng = encoder, options, rng
        self._least_f1 = -math.inf
        self.candidate: UnimodalEncoder = copy.deepcopy(encoder).requires_grad_(False) if options.averaging else encoder
        pairs = zip(self.candidate.parameters(), encoder.parameters(), strict=True)
        self._averaged, self._live = (list(same) for same in zip(*pairs, strict=True))

    def loss(self, x: Tensor, labels: Tensor) -> Tensor:
        mixup, smoothing = self._options.mixup, self._options.label_smoothing
        if not mixup:
            return nn.functional.cross_entropy(self._encoder(x).logits, labels, label_smoothing=smoothing)
        share = float(self._rng.beta(mixup, mixup))
        partner = torch.from_numpy(self._rng.permutation(len(x))).to(x.device)
        logits = self._encoder(share * x + (1 - share) * x[partner]).logits
        own, other = (
            nn.functional.cross_entropy(logits, wanted, label_smoothing=smoothing)
            for wanted in (labels, labels[partner])
        )
        return share * own + (1 - share) * other

    @torch.no_grad()
    def stepped(self) -> None:
        if self._options.averaging:
            torch._foreach_lerp_(self._averaged, self._live, 1 - self._options.averaging)

    def rank(self, scores: Scores) -> Rank:
        if self._least_f1 == -math.inf:
            self._least_f1 = scores.weighted_f1
        return Rank(-scores.log_loss if scores.weighted_f1 >= self._least_f1 else -math.inf, scores.log_loss)
