"""The regimes of ``docs/results.md``, and the comparisons that were planned before they were run."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks._run import ROOT

PRESET = ROOT / "presets" / "all_methods.txt"
RAVDESS, MOSI = "ravdess_meld.npz", "mosi.npz"
BUDGETS = (100, 200, 400)
MANY_SEEDS = 8  # from here on a table's spread says something about peers that depend much on their start


@dataclass(frozen=True)
class Regime:
    """One setting in which all methods are compared.

    Attributes:
        corpus: file name, None for the synthetic one.
        settings: beside those of the preset.
    """

    corpus: str | None
    settings: tuple[str, ...] = ()

    def changes(self, corpora: str) -> list[str]:
        """``key=value`` of ``params.yaml``; ``corpora`` is the folder of the packed files."""
        where = [] if self.corpus is None else ["corpus.kind=npz", f"corpus.path={corpora}/{self.corpus}"]
        return [*where, *self.settings]


def _few(corpus: str | None, labels: int, *more: str) -> Regime:
    """Each seed draws its own labels."""
    return Regime(corpus, (f"prepare.label_budget={labels}", "retrieval.scope=all", *more))


# Forms of RAMER that hold encoders of their own.
ENCODERS = tuple(
    f"+methods.ramer_{name}.{setting}"
    for name, more in {
        "features": ("retrieve=features",),
        "finetune": ("encoder=finetune",),
        "finetune_rebuilt": ("encoder=finetune", "rebuild_every=5"),
    }.items()
    for setting in ("type=ramer", *more)
)
# By actor. mosi keeps its own split by video, since its face features were taught on the labels of its train rows.
SIX_FOLDS = "prepare.folds=6"
# Where one split is all there is, eight replicates; of six folds three seeds make eighteen.
EIGHT = "prepare.seeds=[0,1,2,3,4,5,6,7]"
# The control of blend: is it two kinds of members that help, or two members?
TWICE = ("+methods.blend_twice.type=blend", "+methods.blend_twice.members=[distil,distil]")
REGIMES = {
    "ravdess_meld_six_folds": Regime(RAVDESS, (SIX_FOLDS, *TWICE)),
    **{f"ravdess_meld_six_folds_{n}_labels": _few(RAVDESS, n, SIX_FOLDS) for n in BUDGETS},
    "mosi": Regime(MOSI, (EIGHT,)),
    **{f"mosi_{n}_labels": _few(MOSI, n, EIGHT) for n in BUDGETS},
    "synthetic": Regime(None, (EIGHT,)),
    **{f"synthetic_{n}_labels": _few(None, n, EIGHT) for n in BUDGETS},
    # Beside the main ones: the fixed split of four test actors, for forms that take long.
    "ravdess_meld_encoders": Regime(RAVDESS, ENCODERS),
    "ravdess_meld_crossfit": Regime(RAVDESS, ("dump.crossfit=4",)),
}
# What a release runs: six folds by actor, mosi's own split by video, synthetic, each with all labels and with few.
MAIN = tuple(
    f"{corpus}{labels}"
    for corpus in ("ravdess_meld_six_folds", "mosi", "synthetic")
    for labels in ("", *(f"_{n}_labels" for n in BUDGETS))
)
# Method and what it is held against, on avg6: written down before the run, corrected together by Holm.
PLANNED = (
    ("ramer_plus", "blend"),
    ("ramer_plus", "distil"),
    ("ramer_plus", "discriminant"),
    ("ramer_plus", "ramer_plus_shuffled"),
    ("ramer", "zero_fill"),
    ("ramer", "ramer_shuffled"),
    ("primd", "primd_shuffled"),
    ("primd", "primd_empty"),
    ("icl_ca", "icl_ca_shuffled"),
)
