"""Intervals and p values of a card as metrics of a run; the UI draws one section per prefix."""

from __future__ import annotations

from ramer.evaluation.model_cards import ModelCard


def interval_metrics(card: ModelCard) -> dict[str, float]:
    """Both ends of every score's interval beside it, and the gaps to the reference with theirs.

    Returns:
        ``avg6/weighted_f1_low``, ``difference/avg6_weighted_f1``, ``difference/avg6_weighted_f1_low``,
        ``p/avg6_weighted_f1``, ``p/avg6_weighted_f1_holm`` and so on.
    """
    found = {f"{s.condition}/{s.metric}{end}": value for s in card.scores for end, value in s.ends.items()}
    for gap in card.gaps:
        name = f"{gap.condition}_{gap.metric}"
        found[f"difference/{name}"] = gap.difference
        found[f"difference/{name}_low"], found[f"difference/{name}_high"] = gap.low, gap.high
        found[f"p/{name}"], found[f"p/{name}_holm"] = gap.p, gap.p_holm
    return found
