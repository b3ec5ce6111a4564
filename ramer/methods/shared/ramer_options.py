"""What can be chosen of ``ramer``."""

from __future__ import annotations

import sys
from typing import Annotated, Literal

from pydantic import Field, model_validator

from ramer.config import Among, Positive, Whole
from ramer.inputs import FEATURES, LIVE, OWN_KEYS
from ramer.methods.shared.contract import RetrievalOptions

# What lists of states alone are combined by, and the value that asks nothing of them.
OF_STATES = {"encoder": "frozen", "rerank": "none", "bimodal": "pooled", "drop_first": False, "normalize_query": True}


class RamerOptions(RetrievalOptions):
    """How lists become stand-ins; see ``ramer.retrieval.structures.Rules``.

    Attributes:
        keys: ``states`` of each modality, searched by the stage ``retrieve``; ``learned``: one key for all that a row
            holds, learned across the modalities of a clip on training rows and the pool
            (``ramer.training.contrastive``); ``features``: the same of the features themselves. The last two are
            searched by the method, in the same database.
        aggregate: ``attention`` learns the neighbours' weights with the head, from query, neighbours and scores.
        rerank: ``learned`` orders the candidates by a learned score before the best k are taken (the figure's "Rerank
            and Select"; ``ramer.retrieval.reranking``).
        tau: temperature of ``similarity``; null chooses among ``taus`` on validation. ``attention`` starts there, or
            at .1.
        normalize_available: False feeds raw states beside normalised retrieved ones (published).
        retrieve: ``features`` averages the neighbours' features and encodes the mean, as the figure draws it.
        encoder: ``finetune`` trains the encoders with the head at ``encoder_lr`` and searches with what they say
            (``ramer.methods.shared.finetuning``); keys are those of the stamped index, or made anew every
            ``rebuild_every`` epochs (0: never).
    """

    keys: Literal["states", "learned", "features"] = "states"
    aggregate: Annotated[
        Literal["similarity", "mean", "sum", "attention"], Among(("similarity", "mean", "attention"))
    ] = "similarity"
    rerank: Annotated[Literal["none", "learned"], Among(("none", "learned"))] = "none"
    bimodal: Annotated[Literal["pooled", "calibrated", "kth_score"], Among(("pooled", "calibrated"))] = "pooled"
    drop_first: bool = False
    normalize_query: bool = True
    normalize_values: bool = True
    normalize_available: bool = True
    tau: float | None = Field(default=None, gt=0)
    taus: tuple[Positive, ...] = Field(default=(0.02, 0.1, 0.5), min_length=1, strict=False)
    retrieve: Literal["states", "features"] = "states"
    encoder: Literal["frozen", "finetune"] = "frozen"
    encoder_lr: Positive = 1e-4
    rebuild_every: Whole = 0

    @property
    def own_keys(self) -> bool:
        """Whether the method searches by keys of its own."""
        return self.keys != "states"

    @property
    def encodes(self) -> bool:
        """Whether the method holds encoders of its own."""
        return self.encoder == "finetune" or self.retrieve == "features"

    @property
    def extra_inputs(self) -> frozenset[str]:
        if self.own_keys:
            return super().extra_inputs | {FEATURES, OWN_KEYS}
        return super().extra_inputs | ({FEATURES, LIVE} if self.encodes else set())

    @property
    def unsearched(self) -> frozenset[str]:
        idle = set(OF_STATES) if self.own_keys else set()
        if self.aggregate in ("mean", "sum"):
            idle |= {"tau", "taus"}
        if self.tau is not None or self.aggregate == "attention" or self.encoder == "finetune":
            idle.add("taus")
        if self.encoder == "frozen":
            idle |= {"encoder_lr", "rebuild_every"}
        return frozenset(idle)

    @property
    def passed_over(self) -> int:
        return int(self.drop_first)

    def check_k(self, name: str, width: int, findable_rows: int = sys.maxsize) -> None:
        super().check_k(name, sys.maxsize if self.own_keys else width, findable_rows)

    @model_validator(mode="after")
    def _check(self) -> RamerOptions:
        if self.retrieve == "features" and self.aggregate not in ("similarity", "mean"):
            raise ValueError(
                "retrieve: features needs aggregate: similarity or mean (no encoder has seen a sum of features, and "
                "attention weighs states)"
            )
        if self.rebuild_every and self.encoder == "frozen":
            raise ValueError("rebuild_every needs encoder: finetune (frozen keys do not change)")
        given = self.model_dump(include=set(OF_STATES))
        wrong = [f"{name}: {str(given[name]).lower()}" for name, value in OF_STATES.items() if given[name] != value]
        if self.own_keys and wrong:
            raise ValueError(f"keys: {self.keys} goes without {', '.join(wrong)} (for lists by states alone)")
        return self
