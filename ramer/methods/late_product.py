"""Product of unimodal logistic regressions: the trivial method that most neural ones do not beat.

Per modality a multinomial logistic regression on standardised raw features. The log posteriors of the available
modalities are summed, less the log prior for each extra one: the posterior under conditional independence of the
modalities given the class (Kittler et al., 1998, "On combining classifiers").
"""

from __future__ import annotations

from typing import Self

import numpy as np
from pydantic import Field

from ramer.config import Positive
from ramer.evaluation.metrics import weighted_f1
from ramer.inputs import FEATURES
from ramer.methods.shared.contract import Method, MethodOptions
from ramer.methods.shared.posterior_product import UNSEEN, multiply
from ramer.modalities import MODALITIES
from ramer.progress import track
from ramer.training.batches import Batch
from ramer.training.fitted import Fitted, History, selection
from ramer.training.labelled_rows import LabelledRows, TrainingBatch


class LateProductOptions(MethodOptions):
    """Options of ``late_product``.

    Attributes:
        inverse_penalties: scikit-learn's C, one chosen per modality on validation.
    """

    inverse_penalties: tuple[Positive, ...] = Field(default=(0.001, 0.01, 0.1, 1.0), min_length=1, strict=False)
    max_iter: int = Field(default=1000, ge=1)


class LateProduct(Method[LateProductOptions]):
    """Sum of unimodal log posteriors less the log prior of each extra modality."""

    inputs = frozenset({FEATURES})
    uses_device = False

    def learn(self, train: TrainingBatch, val: LabelledRows, rng: np.random.Generator, log: History) -> Fitted:
        self.coefficients_: dict[str, np.ndarray] = {}
        for i, m in enumerate(MODALITIES):
            held = train.complete.available[:, i]
            if len(np.unique(train.labels[held])) > 1:
                self.coefficients_[m] = self._fit_one(m, i, held, train, val)
        return Fitted(0, selection(lambda c: self.predict_proba(val.under(c)), val, self.prior_))

    def _fit_one(self, m: str, i: int, held: np.ndarray, train: TrainingBatch, val: LabelledRows) -> np.ndarray:
        from sklearn.linear_model import LogisticRegression

        x, y = train.complete.features[m][held].astype(np.float64), train.labels[held]
        under = val.under("avt")
        seen = under.available[:, i]
        best, chosen = -1.0, np.empty(0)
        for c in track(self.options.inverse_penalties, f"{self.options.type} {m}"):
            model = LogisticRegression(C=c, max_iter=self.options.max_iter).fit(x, y)
            matrix = _as_matrix(model.coef_, model.intercept_, model.classes_, self.shape.classes)
            predicted = (under.features[m][seen] @ matrix[:-1] + matrix[-1]).argmax(axis=1)
            score = weighted_f1(val.labels[seen], predicted) if seen.any() else 0.0
            if score > best:
                best, chosen = score, matrix
        return chosen

    def posterior(self, batch: Batch) -> np.ndarray:
        return multiply(self.coefficients_, self.prior_, batch)

    def tensors(self) -> dict[str, np.ndarray]:
        return {f"coefficients_.{m}": a for m, a in self.coefficients_.items()}

    def restore(self, tensors: dict[str, np.ndarray]) -> Self:
        self.coefficients_ = {name.removeprefix("coefficients_."): a for name, a in tensors.items()}
        return self


def _as_matrix(coefficients: np.ndarray, intercept: np.ndarray, seen: np.ndarray, classes: int) -> np.ndarray:
    """[dim + 1, classes], the intercept last; scikit-learn keeps one row for two classes and none for unseen ones."""
    if len(intercept) == 1:
        coefficients = np.concatenate([-coefficients / 2, coefficients / 2])
        intercept = np.concatenate([-intercept / 2, intercept / 2])
    matrix = np.zeros((coefficients.shape[1] + 1, classes))
    matrix[-1] = UNSEEN
    matrix[:, seen] = np.concatenate([coefficients.T, intercept[None]])
    return matrix
