"""One Gaussian per class over all modalities, with one covariance: linear discriminant analysis that may lack a part.

What a row lacks is integrated out, which for a Gaussian is to leave its part of mean and covariance out: one model
answers for every set of modalities, and what two modalities share need not be counted twice. Classes may be soft, as
in the expectation step of EM (McLachlan, "Iterative Reclassification Procedure", 1975; Nigam et al., 2000).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

SMALL = 1e-6  # variance of axes that vary by nothing
UNSEEN = 1e-6  # rows of a class, of which there are none: it is an average row then


@dataclass(frozen=True)
class ClassGaussians:
    """Means of the classes and the covariance within them.

    Attributes:
        modality: which of the modalities each axis belongs to.
        means: of the classes.
        covariance: within the classes.
    """

    modality: Int[np.ndarray, " axes"]
    means: Float[np.ndarray, "classes axes"]
    covariance: Float[np.ndarray, "axes axes"]

    @classmethod
    def of(
        cls,
        parts: list[Float[np.ndarray, "n _"]],
        held: Bool[np.ndarray, "n modalities"],
        classes: Float[np.ndarray, "n classes"],
    ) -> ClassGaussians:
        """From rows that may lack modalities: every mean and covariance is of the rows that hold what it is of.

        Args:
            parts: one matrix per modality; what is not held is not read.
            held: which modalities each row holds.
            classes: probability of every class; certain ones are labels.
        """
        means, blocks = [], [[np.zeros((a.shape[1], b.shape[1])) for b in parts] for a in parts]
        for i, part in enumerate(parts):
            x, weights = part[held[:, i]], classes[held[:, i]]
            count, total = weights.sum(axis=0)[:, None], weights.T @ x
            overall = total.sum(axis=0) / max(count.sum(), 1.0)
            means.append(np.where(count > UNSEEN, total / np.maximum(count, UNSEEN), overall))
        for i, a in enumerate(parts):
            for j in range(i, len(parts)):
                both = held[:, i] & held[:, j]
                x, y, weights = a[both], parts[j][both], classes[both]
                crossed = (weights.T @ x).T @ means[j]
                other = means[i].T @ (weights.T @ y)
                product = x.T @ y - crossed - other + (means[i].T * weights.sum(axis=0)) @ means[j]
                blocks[i][j] = product / max(both.sum(), 1)
                blocks[j][i] = blocks[i][j].T
        modality = np.repeat(np.arange(len(parts)), [part.shape[1] for part in parts])
        return cls(modality, np.concatenate(means, axis=1), np.block(blocks))

    def first(self, count: int) -> ClassGaussians:
        """The first so many axes of each modality."""
        rank = np.arange(len(self.modality)) - np.searchsorted(self.modality, self.modality)
        kept = np.flatnonzero(rank < count)
        return ClassGaussians(self.modality[kept], self.means[:, kept], self.covariance[np.ix_(kept, kept)])

    def across(self, share: float) -> ClassGaussians:
        """With that share of the covariance between modalities; 0: they are independent given the class.

        Blocks of different rows need not make a covariance: then it is the nearest one that is.
        """
        own = self.modality[:, None] == self.modality[None]
        kept = np.where(own, self.covariance, share * self.covariance)
        return ClassGaussians(self.modality, self.means, _nearest_covariance(kept))

    def shrunk(self, share: float) -> ClassGaussians:
        """With a covariance that few rows can bear (Friedman, "Regularized Discriminant Analysis", 1989).

        Args:
            share: of the way to independent axes that vary as much as those of their modality in the mean, above 0.
        """
        sizes = np.bincount(self.modality, np.diag(self.covariance)) / np.maximum(np.bincount(self.modality), 1)
        target = np.maximum(sizes[self.modality], SMALL)
        return ClassGaussians(self.modality, self.means, (1 - share) * self.covariance + share * np.diag(target))

    def discriminants(
        self, available: Bool[np.ndarray, " modalities"]
    ) -> tuple[Int[np.ndarray, " some"], Float[np.ndarray, "some classes"], Float[np.ndarray, " classes"]]:
        """Log likelihoods of the classes, up to what they share, are ``x[:, axes] @ slopes + intercepts``.

        Args:
            available: modalities that are not integrated out.
        """
        axes = np.flatnonzero(available[self.modality])
        means = self.means[:, axes]
        slopes = np.linalg.solve(self.covariance[np.ix_(axes, axes)], means.T)
        return axes, slopes, -0.5 * (means.T * slopes).sum(axis=0)


def _nearest_covariance(matrix: np.ndarray) -> np.ndarray:
    """The matrix without its negative part, where it has one beyond rounding (Higham, 1988)."""
    slack = SMALL * max(float(np.diag(matrix).mean()), SMALL) if len(matrix) else 0.0
    try:
        np.linalg.cholesky(matrix + slack * np.eye(len(matrix)))
    except np.linalg.LinAlgError:
        sizes, directions = np.linalg.eigh(matrix)
        return np.asarray((directions * np.maximum(sizes, 0.0)) @ directions.T)
    return matrix
