"""RAMER: states of the missing modalities are retrieved from clips whose available states are near.

Fan et al., "Leveraging Retrieval Augment Approach for Multimodal Emotion Recognition Under Missing Modalities",
arXiv 2410.02804. The defaults do what the paper means; the rules of its published code are options, one by one
(``ramer_literal`` in ``params.yaml`` takes them all).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Self

import numpy as np

from ramer.inputs import NEIGHBOURS, STATES
from ramer.methods.shared.candidate_scorer import learn_scorer
from ramer.methods.shared.contract import Method
from ramer.methods.shared.finding import Finder, KeptFinder, RememberingFinder, RuleFinder, quality_of
from ramer.methods.shared.finetuning import TunedHead
from ramer.methods.shared.fusing import EncodedMeanFeatures, FrozenHead, HeadSettings, MeanStates, StandIns
from ramer.methods.shared.imputing import lacks_something
from ramer.methods.shared.live import LiveEncoders
from ramer.methods.shared.own_keys import OwnKeys, restored_space
from ramer.methods.shared.ramer_options import RamerOptions
from ramer.methods.shared.stacked_heads import Member, StackedHeads
from ramer.methods.shared.stacked_method import StackedMethod
from ramer.methods.shared.weights import take_weights, weights_of
from ramer.modalities import FULL_CONDITION
from ramer.retrieval.structures import Database, Rules, Selected
from ramer.training.batches import Batch
from ramer.training.encoder_record import EncoderDescription
from ramer.training.fitted import Fitted, History
from ramer.training.labelled_rows import LabelledRows, TrainingBatch

START_TAU = 0.1  # where a learned weighing starts


class Ramer(Method[RamerOptions]):
    """A finder, what its neighbours become, and a head, on frozen states or with encoders that are fine-tuned.

    Attributes:
        tau_: temperature of the neighbours' weights.
        finder_: finds neighbours, in a batch's lists or by keys of the method's own.
        encoders_: of a method that encodes, else None.
        head_: decides.
    """

    inputs = frozenset({STATES, NEIGHBOURS})
    retrieval = True
    lends = True
    tau_: float = START_TAU
    finder_: KeptFinder
    encoders_: LiveEncoders | None = None
    head_: FrozenHead | TunedHead

    @property
    def tunes(self) -> bool:
        return self.options.encoder == "finetune"

    @property
    def rules(self) -> Rules:
        o = self.options
        return Rules(
            k=o.k,
            aggregate="similarity" if o.aggregate == "attention" else o.aggregate,
            bimodal=o.bimodal,
            drop_first=o.drop_first,
            normalize_query=o.normalize_query,
            normalize_values=o.normalize_values,
            tau=self.tau_,
        )

    def learn(self, train: TrainingBatch, val: LabelledRows, rng: np.random.Generator, log: History) -> Fitted:
        if self.options.encodes:
            encoders, described = LiveEncoders.pretrained(train)
            self.encoders_ = encoders.to(self.device).eval()
            self.description_ = {m: description.model_dump(mode="json") for m, description in described.items()}
        seed = int(rng.integers(2**31))
        if (keys := self.options.keys) != "states":
            own, dims = np.random.default_rng(seed), self.shape.feature_dims
            self.finder_ = OwnKeys.learnt(keys, dims, train, self.rules, own, self.device)
            return self._choose_tau(train, val, seed, log)
        finder = RuleFinder(self.rules).calibrated(val.under(FULL_CONDITION))
        if self.options.rerank == "learned":
            scorer = learn_scorer(train, finder.candidates, np.random.default_rng(seed), self.device)
            finder = replace(finder, scorer=scorer)
        self.finder_ = finder
        if not self.tunes:
            return self._choose_tau(train, val, seed, log)
        self.tau_ = self._taus()[0]
        self.head_ = head = self._tuned_head(finder)
        fitted = head.fit(train, val, np.random.default_rng(seed), log)
        self.finder_ = head.finder
        return fitted

    def _choose_tau(self, train: TrainingBatch, val: LabelledRows, seed: int, log: History) -> Fitted:
        """Fit a head for every temperature and keep the one that is best on validation."""
        remembering = RememberingFinder(self.finder_)  # what is found does not depend on the temperature
        best, chosen, lines = Fitted(-1, -np.inf), START_TAU, History().lines
        for tau in self._taus():
            self.tau_ = tau
            trial, head = History(), self._frozen_head(remembering)
            # Every temperature starts from the same weights and sees the same order of rows.
            fitted = head.fit(train, val, np.random.default_rng(seed), trial)
            if fitted.val_selection > best.val_selection:
                best, chosen, lines, self.head_ = fitted, tau, trial.lines, head
        self.tau_, self.head_.finder = chosen, self.finder_
        log.lines += lines
        return best

    def _taus(self) -> tuple[float, ...]:
        if self.options.tau is not None:
            return (self.options.tau,)
        fixed = self.options.aggregate != "similarity" or self.tunes
        return (START_TAU,) if fixed else self.options.taus

    def _settings(self) -> HeadSettings:
        attends = self.options.aggregate == "attention"
        return HeadSettings(
            self.shape, self.training, self.device, self.rules, attends, self.options.normalize_available
        )

    def _stand_ins(self) -> StandIns:
        if self.options.retrieve == "features" and self.encoders_ is not None:
            return EncodedMeanFeatures(self.rules, self.encoders_, self.device)
        return MeanStates(self.rules)

    def _frozen_head(self, finder: Finder) -> FrozenHead:
        return FrozenHead(self._settings(), finder, self._stand_ins())

    def _tuned_head(self, finder: RuleFinder) -> TunedHead:
        encoders = self.encoders_ or LiveEncoders()
        options = self.options
        return TunedHead(
            self._settings(), finder, self._stand_ins(), encoders, options.encoder_lr, options.rebuild_every
        )

    def posterior(self, batch: Batch) -> np.ndarray:
        return self.head_.posterior(batch)

    def neighbours_of(self, batch: Batch) -> Selected:
        return self.finder_.find(self.head_.see(batch))

    def reads_lists(self, available: np.ndarray) -> np.ndarray:
        """Of rows that lack something; none where the method searches by its own keys or encoders."""
        own = self.tunes or self.options.own_keys
        return np.zeros(len(available), dtype=bool) if own else lacks_something(available, self.shape)

    @classmethod
    def stack(
        cls, methods: Sequence[Self], databases: Sequence[Database], states: Mapping[str, np.ndarray]
    ) -> StackedMethod | None:
        """Of frozen heads that do not attend and find by the same plain rules."""
        members = [
            Member(method.head_, method.prior_, method.temperatures_, database)
            for method, database in zip(methods, databases, strict=True)
            if isinstance(method.head_, FrozenHead) and method.finder_.plain and database.shuffle is None
        ]
        options, same = methods[0].options, {replace(method.rules, tau=START_TAU) for method in methods}
        if len(members) < len(methods) or len(same) > 1 or options.encodes or options.aggregate == "attention":
            return None
        return StackedHeads(members, methods[0].rules, states)

    def prepare(self, database: Database) -> None:
        self.finder_.prepare(database)
        self.head_.prepare(database)

    def diagnose(self, batch: Batch, labels: np.ndarray) -> dict[str, float]:
        return quality_of(self.neighbours_of(batch), batch, labels)

    def tensors(self) -> dict[str, np.ndarray]:
        learnt = {"tau_": np.array([self.tau_])} | self.head_.tensors() | self.finder_.tensors()
        if self.encoders_ is not None and not self.tunes:
            learnt |= weights_of(self.encoders_, "encoders_.")
        return learnt

    def restore(self, tensors: dict[str, np.ndarray]) -> Self:
        self.tau_ = float(tensors["tau_"][0])
        if self.options.encodes:
            described = {
                m: EncoderDescription.model_validate(said, strict=False) for m, said in self.description_.items()
            }
            self.encoders_ = LiveEncoders.described(described).to(self.device).eval()
            if not self.tunes:
                take_weights(self.encoders_, tensors, "encoders_.")
        learned, dims = self.options.rerank == "learned", self.shape.feature_dims
        self.finder_ = finder = RuleFinder.restored(self.rules, tensors, learned, self.device)
        if self.options.own_keys:
            space = restored_space(self.options.keys == "learned", dims, tensors, self.device)
            self.finder_ = OwnKeys(space, self.rules)
        self.head_ = (self._tuned_head(finder) if self.tunes else self._frozen_head(self.finder_)).restore(tensors)
        return self
