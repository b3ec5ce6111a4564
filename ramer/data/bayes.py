"""Bayes' rule on the generated corpus with the evidence known exactly: a bound that no method can beat there.

For a clip of class y the generator (``ramer.data.synthetic``) draws the evidence t of every modality on its own,
normal around the class's mean with unit variance. All else, the latent that modalities share, the speaker's voice,
the noise and what is missing, is drawn without regard to y, and a feature vector is made of t and these by a fixed
non-linear map. Given the evidence of the modalities that are there, y therefore depends on nothing else that a method
sees: the shared latent, the voices and the noise integrate to one, and so does the evidence of a modality that is not
there. What is left is

    p(y | t of what is there)  ~  p(y) * product over those modalities of N(t; mean of y, 1),

with prior and means those of the generator, not estimates: exact under every condition, without a sample drawn. A
method sees features, that is t through the map and the noise, so by the data processing inequality its expected
accuracy is at most that of this rule. Two reservations: the rule maximises accuracy and is scored by weighted F1 too,
which another rule could raise by little; and on a few hundred test rows a method may lie above it by luck.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float
from scipy.special import log_softmax

from ramer.config import Synthetic
from ramer.data.synthetic import LABEL_NAMES, synthetic_evidence
from ramer.errors import RamerError
from ramer.evaluation.predictions import PROBABILITY_PREFIX
from ramer.modalities import CONDITIONS, condition_masks


def bayes_posterior(
    evidence: Mapping[str, Float[np.ndarray, "n axes"]],
    available: Bool[np.ndarray, "n modalities"],
    means: Mapping[str, Float[np.ndarray, "classes axes"]],
    prior: Float[np.ndarray, " classes"],
) -> Float[np.ndarray, "n classes"]:
    """Probability of each class given the evidence of the modalities that are there.

    Args:
        evidence: per modality, normal with unit variance around the mean of the row's class.
        available: which modalities each row holds, in the order of ``evidence``; where it is false nothing is read.
        means: of each class, per modality.
        prior: probability of each class.

    Example:
        >>> two = {"audio": np.array([[-1.0], [1.0]])}  # two classes, two apart on one axis
        >>> seen = {"audio": np.array([[0.0], [1.0]])}
        >>> bayes_posterior(seen, np.ones((2, 1), dtype=bool), two, np.array([0.5, 0.5])).round(2).tolist()
        [[0.5, 0.5], [0.12, 0.88]]
    """
    logs = np.tile(np.log(prior), (len(available), 1))
    for column, modality in enumerate(evidence):
        away = evidence[modality][:, None, :] - means[modality][None]
        logs += np.where(available[:, column, None], -0.5 * (away**2).sum(axis=2), 0.0)
    return np.asarray(np.exp(log_softmax(logs, axis=1)))


def bayes_predictions(knobs: Synthetic, table: pd.DataFrame) -> pd.DataFrame:
    """The rows of a predictions table as Bayes' rule predicts them.

    Args:
        knobs: of the corpus that the rows are of.
        table: ``predictions.parquet`` of any method on it.

    Raises:
        RamerError: a row is not one of the corpus, or has another label there.
    """
    known = synthetic_evidence(knobs)
    names = np.array(LABEL_NAMES[: knobs.classes])
    rows = table["id"].str.removeprefix("clip").to_numpy()
    numbers = np.array([int(r) if str(r).isdecimal() and int(r) < len(known.labels) else -1 for r in rows])
    if (numbers < 0).any() or (names[known.labels[numbers]] != table["label"].to_numpy()).any():
        raise RamerError("predictions: expected rows and labels of the generated corpus that these parameters describe")
    masks = condition_masks()[[list(CONDITIONS).index(c) for c in table["condition"]]]
    evidence = {m: values[numbers] for m, values in known.values.items()}
    proba = bayes_posterior(evidence, known.available[numbers] & masks, known.means, known.prior)
    columns = {PROBABILITY_PREFIX + str(name): proba[:, i] for i, name in enumerate(names)}
    return table.assign(predicted=names[proba.argmax(axis=1)], **columns)
