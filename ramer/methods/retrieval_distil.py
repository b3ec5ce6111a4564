"""``distil``'s student, which sees the mean features of a row's neighbours in the place of what the row lacks.

Neighbours are rows of the labelled training rows and the pool that are near by keys of the method's own: by default
learned across modalities (``ramer.training.contrastive``), so that a face finds transcripts like its own. What is
filled counts as available: the student need not tell it from the row's own. The mean is of features, not of
predictions: averaging predictions over neighbours' fillings equals feeding their mean, measured.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from ramer.config import Count, Dropout, Positive, Searched
from ramer.inputs import FEATURES, OWN_KEYS, STATES
from ramer.methods.blend import fitted_blend
from ramer.methods.shared.filling import Filler, filled_in
from ramer.methods.shared.finding import quality_of
from ramer.methods.shared.masked_network import MaskedTraining, NeuralMethod, choose, masked_inputs, stacked
from ramer.methods.shared.own_keys import (
    KEY_EPOCHS,
    MOST_POOL_ROWS,
    NeighbourFill,
    OwnKeys,
    OwnKeysOptions,
    learn_space,
    restored_space,
)
from ramer.methods.shared.ridge_fill import RidgeFill
from ramer.methods.shared.teaching import Lesson, Teacher
from ramer.nn.losses import soft_cross_entropy
from ramer.nn.masked import Masked, MaskedClassifier
from ramer.retrieval.keys import KeySpace
from ramer.retrieval.structures import Database, Rules, Selected
from ramer.training.batches import Batch
from ramer.training.fitted import Fitted, History
from ramer.training.labelled_rows import LabelledRows, TrainingBatch

MOST_DRAWN = 128  # rows of a step whose labels are soft: more of them cost time and gained nothing
INPUT_DROPOUT = 0.3  # of a student that learns from a pool or retrieves: searching for it gained nothing


class RetrievalDistilOptions(OwnKeysOptions):
    """Options of ``retrieval_distil``.

    Attributes:
        keys: ``learned`` across the modalities of a clip; the standardised ``features`` themselves; ``auto``: learned
            where there is a pool to learn them from, for few labelled rows make poor ones.
        fill: neighbours, or a ridge regression of the missing features from the available ones: the control that
            needs no database.
        tau: temperature of the neighbours' weights.
        key_epochs: of the keys' training, fewer where a large pool makes many steps of them (``MOST_STEPS``).
        input_dropouts: of the student, chosen on validation.
        pool_rows: drawn for each labelled row of a step, at the most ``MOST_DRAWN`` in all.
        most_pool_rows: that are learnt from; of a larger pool so many are drawn. All of it may be retrieved.
    """

    keys: Literal["auto", "learned", "features"] = "auto"
    fill: Literal["neighbours", "ridge"] = "neighbours"
    tau: Annotated[Positive, Searched(0.01, 1.0, log=True)] = 0.1
    key_epochs: Count = KEY_EPOCHS
    input_dropouts: Annotated[tuple[Dropout, ...], Field(min_length=1, strict=False)] = (INPUT_DROPOUT,)
    pool_rows: Annotated[Count, Searched(1, 8, log=True)] = 2
    most_pool_rows: Count = MOST_POOL_ROWS

    @property
    def unsearched(self) -> frozenset[str]:
        ridge = self.fill == "ridge"
        return frozenset({"k", "keys", "key_epochs", "tau", "database"} if ridge else ())


class RetrievalDistil(NeuralMethod[RetrievalDistilOptions]):
    """A student of soft labels whose empty slots are filled from the database.

    Attributes:
        teacher: fitted; a blend of its own if None.
        filler_: fills the slots.
    """

    inputs = frozenset({FEATURES, STATES, OWN_KEYS})
    retrieval = True
    lends = True
    teacher: Teacher | None = None
    filler_: Filler

    def masked(self, batch: Batch) -> Masked:
        filled = self.filler_.fill(batch)
        values = {m: torch.from_numpy(v).to(self.device) for m, v in filled.states.items()}
        own = masked_inputs(batch, device=self.device)
        return filled_in(own, values, torch.from_numpy(filled.imputed).to(self.device))

    def new_network(self, input_dropout: float = 0.0) -> nn.Module:
        shape, training = self.shape, self.training
        network = MaskedClassifier(shape.feature_dims, training.hidden, shape.classes, training.dropout, input_dropout)
        return network.to(self.device)

    def learn(self, train: TrainingBatch, val: LabelledRows, rng: np.random.Generator, log: History) -> Fitted:
        teacher = self.teacher or fitted_blend(self, train, val, rng, History())
        lesson = Lesson.give(teacher, train, rng, self.options.most_pool_rows)
        rows = stacked([masked_inputs(batch, device=self.device) for batch in (train.complete, lesson.pool)])
        self.filler_ = self._learn_filler(rows, len(lesson.pool) > 0, val, rng)
        views = self.filler_.views(rows, np.concatenate([train.rows, lesson.pool.rows]), train)
        masked_training = MaskedTraining(self, train, val, rng)
        soft = torch.from_numpy(np.concatenate([lesson.train, lesson.soft])).float().to(self.device)

        def fit(input_dropout: float, history: History) -> tuple[Fitted, nn.Module]:
            masked_training.seed("student")
            network = self.new_network(input_dropout)
            draw = torch.Generator().manual_seed(int(rng.integers(2**31)))

            def loss(positions: Tensor, keep: Tensor) -> Tensor:
                drawn = self._drawn(len(positions), len(soft), draw)
                masks = torch.cat([keep, masked_training.draw_masks(rows.available[drawn], draw)])
                scores = network(views.under(torch.cat([positions, drawn]), masks))
                hard = nn.functional.cross_entropy(scores[: len(positions)], masked_training.labels[positions])
                return hard + soft_cross_entropy(scores[len(positions) :], soft[drawn])

            return masked_training.run(network, loss, network, history, generators=[draw]), network

        _, fitted, self.network_ = choose(self.options.input_dropouts, fit, log)
        return fitted

    def _drawn(self, labelled: int, rows: int, draw: torch.Generator) -> Tensor:
        """Positions of the rows whose soft labels a step learns from, beside so many labelled ones."""
        return torch.randint(rows, (min(labelled * self.options.pool_rows, MOST_DRAWN),), generator=draw)

    def _learn_filler(self, rows: Masked, pool: bool, val: LabelledRows, rng: np.random.Generator) -> Filler:
        if self.options.fill == "ridge":
            return RidgeFill.fit(rows, val)
        kind = self.options.keys
        if kind == "auto":
            kind = "learned" if pool else "features"
        dims, epochs = self.shape.feature_dims, self.options.key_epochs
        return self._neighbours(learn_space(kind, dims, rows, epochs, rng, self.device))

    def _neighbours(self, space: KeySpace) -> NeighbourFill:
        return NeighbourFill(OwnKeys(space, Rules(k=self.options.k, tau=self.options.tau)))

    def neighbours_of(self, batch: Batch) -> Selected | None:
        return self.filler_.find(batch)

    @property
    def reads_database(self) -> bool:
        return self.options.fill == "neighbours"

    def prepare(self, database: Database) -> None:
        self.filler_.prepare(database)

    def diagnose(self, batch: Batch, labels: np.ndarray) -> dict[str, float]:
        near = self.filler_.find(batch)
        return {} if near is None else quality_of(near, batch, labels)

    def tensors(self) -> dict[str, np.ndarray]:
        return super().tensors() | self.filler_.tensors()

    def restore(self, tensors: dict[str, np.ndarray]) -> Self:
        if self.options.fill == "ridge":
            maps = {n.removeprefix("maps_."): a for n, a in tensors.items() if n.startswith("maps_.")}
            self.filler_ = RidgeFill(maps)
        else:
            learned, dims = self.options.keys == "learned", self.shape.feature_dims
            self.filler_ = self._neighbours(restored_space(learned, dims, tensors, self.device))
        return super().restore(tensors)
