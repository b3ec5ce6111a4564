"""How far ``ramer_plus`` should trust weights that were fitted on validation rows: chosen there, by halves.

Of every replicate the validation speakers are halved at random, many times. On one half the weights of ``blend`` and of
all members are chosen as the method does it, and on the other their mixtures are scored: avg6 (weighted F1, in
points) and log loss (times 1000) less those of ``blend``. No test row is read. The folder is that of
``python -m benchmarks.results run``, whose regimes with a pool hold trained models. Prints a table.

    python -m benchmarks.weights --work DIR [--draws 16]
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from benchmarks._regimes import REGIMES
from benchmarks._run import parser, report
from ramer.evaluation.metrics import selection_score, weighted_f1
from ramer.methods import load_method
from ramer.methods.ramer_plus import DISCRIMINANT, LEAST_SHARE, RamerPlus, least_weights
from ramer.methods.shared.scoring import held_out_rows
from ramer.methods.shared.weighing import fit_weights, reliability
from ramer.modalities import CONDITIONS, FULL_CONDITION
from ramer.project import Project
from ramer.training.softmax import log_softmax
from ramer.training.workspace import Workspace

FEW = tuple(name for name in REGIMES if name.endswith("_labels") or name == "synthetic")


class Half(NamedTuple):
    """Some validation rows of one replicate.

    Attributes:
        logs: log probabilities of the members, [conditions, members, n, classes].
        some: of which rows a condition leaves something, bool [conditions, n].
        labels: class numbers [n].
        prior: that stands in where nothing is left.
        pull: of the fitted weights towards equality.
        names: of the members.
    """

    logs: np.ndarray
    some: np.ndarray
    labels: np.ndarray
    prior: np.ndarray
    pull: float
    names: tuple[str, ...]

    def take(self, rows: np.ndarray) -> Half:
        return self._replace(logs=self.logs[:, :, rows], some=self.some[:, rows], labels=self.labels[rows])

    def flat(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Log probabilities, labels and positions of what is left, all conditions after one another."""
        kept = [np.flatnonzero(some) for some in self.some]
        rows = np.concatenate(kept)
        logs = np.concatenate([one[:, rows_] for one, rows_ in zip(self.logs, kept, strict=True)], axis=1)
        return logs, self.labels[rows], rows

    def predicted(self, weights: np.ndarray) -> np.ndarray:
        """Classes [conditions, n]."""
        mixed = np.tensordot(self.logs, weights, ([1], [0]))
        return np.where(self.some, mixed.argmax(axis=2), self.prior.argmax())

    def scored(self, weights: np.ndarray) -> tuple[float, float]:
        """avg6 in points, and log loss times 1000."""
        found, (logs, labels, _) = self.predicted(weights), self.flat()
        scores = [weighted_f1(self.labels, p) for p, c in zip(found, CONDITIONS, strict=True) if c != FULL_CONDITION]
        losses = -log_softmax(np.tensordot(weights, logs, 1))[np.arange(len(labels)), labels]
        return 100 * float(np.mean(scores)), 1000 * float(losses.mean())

    def blended(self) -> np.ndarray:
        """The weights of ``blend`` among all members: the first two, by the score on these rows."""
        grid = sorted(np.linspace(0, 1, 11), key=lambda w: abs(w - 0.5))
        conditions, labels = (
            np.repeat(np.arange(len(CONDITIONS)), len(self.labels)),
            np.tile(self.labels, len(CONDITIONS)),
        )

        @cache
        def score(first: float) -> float:
            return selection_score(labels, self.predicted(self._two(first)).ravel(), conditions)

        return self._two(max(grid, key=score))

    def _two(self, first: float) -> np.ndarray:
        return np.array([first, 1 - first, *([0.0] * (self.logs.shape[1] - 2))])


def mixtures(half: Half) -> dict[str, np.ndarray]:
    """Weights by rule, all chosen on these rows."""
    logs, labels, rows = half.flat()
    plain, fitted = half.blended(), fit_weights(logs, labels, half.pull, least_weights(half.names, True))
    share = reliability(plain, fitted, logs, labels, rows)

    def part(share: float) -> np.ndarray:
        return share * fitted + (1 - share) * plain

    return {
        "blend": plain,
        "as fitted": fitted,
        "fitted where it saves two standard errors, else blend": part(float(share > 0.75)),
        "half way": part(0.5),
        "as far as it exceeds chance": part(share),
        f"the same, at least {LEAST_SHARE}": part(max(LEAST_SHARE, share)),
        f"{DISCRIMINANT} alone": np.array([float(name == DISCRIMINANT) for name in half.names]),
    }


def halves(root: Path, draws: int) -> Iterator[tuple[Half, Half]]:
    """Halves of the validation rows by speaker, of every replicate of a regime."""
    workspace, rng = Workspace(Project(root)), np.random.default_rng(0)
    for replicate in workspace.corpus.replicates:
        method = load_method(Project(root).method("ramer_plus") / f"{replicate.name}.safetensors", "cpu")
        if not isinstance(method, RamerPlus):
            raise TypeError(f"{root}: ramer_plus is a {type(method).__name__}")
        val = held_out_rows(method, workspace.replicate(replicate, method.reads), "val")
        batches = [val.under(c) for c in CONDITIONS]
        logs = np.stack([method.member_logs(batch) for batch in batches])
        some = np.stack([b.available.any(axis=1) for b in batches])
        whole = Half(logs, some, val.labels, method.prior_, method.options.pull, tuple(method.members_))
        speakers = workspace.corpus.groups[val.rows]
        names = np.unique(speakers)
        for _ in range(draws):
            first = np.isin(speakers, rng.permutation(names)[: len(names) // 2])
            yield whole.take(first), whole.take(~first)


def main() -> None:
    options = parser(__doc__, draws=16)
    options.add_argument("--work", type=Path, required=True, help="folder of the regimes that were run")
    options.add_argument("names", nargs="*", default=FEW, metavar="name", help=f"of {', '.join(FEW)}")
    given = options.parse_args()
    lines = []
    for name in given.names:
        for chosen_on, other in halves(given.work / name, given.draws):
            scores = {rule: other.scored(weights) for rule, weights in mixtures(chosen_on).items()}
            lines += [(name, rule, *np.subtract(score, scores["blend"])) for rule, score in scores.items()]
    table = pd.DataFrame(lines, columns=["regime", "rule", "avg6", "log loss"])
    means = table.groupby(["rule", "regime"], sort=False).mean().round(2)
    rules = dict.fromkeys(table["rule"])
    report(given, {rule: means.loc[rule].to_dict("index") for rule in rules})


if __name__ == "__main__":
    main()
