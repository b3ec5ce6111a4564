"""``late_product`` whose regressions learn from the pool too: a full-modality teacher says what its rows are.

Per modality one multinomial logistic regression on labelled rows with their labels and on pool rows with the teacher's
probabilities (self-training with soft labels: Lee, "Pseudo-Label", 2013; the teacher sees modalities that the student
does not: Blum and Mitchell, "Combining Labeled and Unlabeled Data with Co-Training", 1998). A pool row counts as much
as a labelled one.
"""

from __future__ import annotations

from typing import Annotated, Self

import numpy as np
from jaxtyping import Float
from pydantic import Field

from ramer.config import Count, Positive
from ramer.evaluation.metrics import weighted_f1
from ramer.inputs import FEATURES, STATES
from ramer.methods.blend import fitted_blend
from ramer.methods.shared.contract import Method, MethodOptions
from ramer.methods.shared.posterior_product import multiply
from ramer.methods.shared.teaching import Lesson, Teacher
from ramer.modalities import FULL_CONDITION, MODALITIES
from ramer.progress import track
from ramer.training.batches import Batch
from ramer.training.fitted import Fitted, History, selection
from ramer.training.labelled_rows import LabelledRows, TrainingBatch
from ramer.training.softmax import log_softmax

TOLERANCE = 1e-4  # of the slope, as scikit-learn's; a tenth of it takes half as long again and changes nothing


class TaughtProductOptions(MethodOptions):
    """Options of ``taught_product``.

    Attributes:
        inverse_penalties: as scikit-learn's C, one chosen per modality on validation.
        max_iter: of the solver.
        most_pool_rows: that are learnt from; of a larger pool so many are drawn.
    """

    inverse_penalties: Annotated[tuple[Positive, ...], Field(min_length=1, strict=False)] = (
        0.0003,
        0.001,
        0.003,
        0.01,
        0.1,
    )
    max_iter: Count = 300
    most_pool_rows: Count = 20_000


class TaughtProduct(Method[TaughtProductOptions]):
    """Sum of unimodal log posteriors less the log prior of each extra modality; the pool takes part in the learning.

    Attributes:
        teacher: fitted; a blend of its own if None.
        coefficients_: float64 [dim + 1, classes] per modality, the intercept last.
    """

    inputs = frozenset({FEATURES, STATES})
    coefficients_: dict[str, np.ndarray]
    teacher: Teacher | None = None

    def learn(self, train: TrainingBatch, val: LabelledRows, rng: np.random.Generator, log: History) -> Fitted:
        teacher = self.teacher or fitted_blend(self, train, val, rng, log)
        lesson, under = Lesson.give(teacher, train, rng, self.options.most_pool_rows), val.under(FULL_CONDITION)
        pool = lesson.pool
        targets = np.concatenate([np.eye(self.shape.classes)[train.labels], lesson.soft])
        self.coefficients_ = {}
        for i, m in enumerate(MODALITIES):
            held = np.concatenate([train.complete.available[:, i], pool.available[:, i]])
            seen = under.available[:, i]
            if not held.any() or not seen.any():
                continue
            x = np.concatenate([train.complete.features[m], pool.features[m]])[held]
            best, matrix = -1.0, np.zeros((x.shape[1] + 1, self.shape.classes))
            for c in track(sorted(self.options.inverse_penalties), f"{self.options.type} {m}"):
                matrix = fit_soft(x, targets[held], c, matrix, self.options.max_iter)  # starts where the last one ended
                predicted = (under.features[m][seen] @ matrix[:-1] + matrix[-1]).argmax(axis=1)
                score = weighted_f1(val.labels[seen], predicted)
                if score > best:
                    best, self.coefficients_[m] = score, matrix
        return Fitted(0, selection(lambda c: self.predict_proba(val.under(c)), val, self.prior_))

    def posterior(self, batch: Batch) -> np.ndarray:
        return multiply(self.coefficients_, self.prior_, batch)

    def tensors(self) -> dict[str, np.ndarray]:
        return {f"coefficients_.{m}": a for m, a in self.coefficients_.items()}

    def restore(self, tensors: dict[str, np.ndarray]) -> Self:
        self.coefficients_ = {name.removeprefix("coefficients_."): a for name, a in tensors.items()}
        return self


def fit_soft(
    x: Float[np.ndarray, "n dim"],
    targets: Float[np.ndarray, "n classes"],
    inverse_penalty: float,
    start: Float[np.ndarray, "columns classes"],
    max_iter: int,
) -> Float[np.ndarray, "columns classes"]:
    """Multinomial logistic regression on class probabilities, by L-BFGS.

    Args:
        x: standardised features.
        targets: rows that sum to one.
        inverse_penalty: of the squared coefficients, as scikit-learn's C; the intercept is free.
        start: coefficients [dim + 1, classes], the intercept last.
    """
    from scipy.optimize import minimize  # here, for those who read what was fitted before

    shape = start.shape
    x = np.concatenate([x, np.ones((len(x), 1), dtype=x.dtype)], axis=1)
    penalty = np.ones((shape[0], 1))
    penalty[-1] = 0.0

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        matrix = flat.reshape(shape)
        logs = log_softmax((x @ matrix.astype(x.dtype)).astype(np.float64))
        slope = x.T @ (np.exp(logs) - targets).astype(x.dtype)
        shrunk = penalty * matrix / (inverse_penalty * len(x))
        value = -(targets * logs).sum() / len(x) + (shrunk * matrix).sum() / 2
        return float(value), (slope / len(x) + shrunk).ravel()

    found = minimize(loss, start.ravel(), jac=True, method="L-BFGS-B", options={"maxiter": max_iter, "gtol": TOLERANCE})
    return np.asarray(found.x).reshape(shape)
