"""What the report of one trained model on new clips says: nothing was trained, compared or chosen there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup, escape

from ramer.evaluation.clusters import Clusters
from ramer.evaluation.points import counted, points, signed
from ramer.modalities import AVERAGE, FULL_CONDITION
from ramer.reporting.findings import SCORE
from ramer.reporting.results import EvaluatedModel, Results
from ramer.reporting.words import code, resampling_caution


def evaluation_verdict(
    results: Results,
    model: EvaluatedModel,
    against_prior: Mapping[str, Any] | None,
    confidence: float,
    clusters: Clusters,
) -> list[Markup]:
    """The sentences that a reader sees first: which model, how it does, and what guessing would give.

    Args:
        against_prior: its comparison on avg6 with the class frequencies of its training rows; None of those alone.
    """
    scores, clips = results.methods[model.method].metrics, results.corpus.rows or 0
    sentences = [
        Markup(
            "{} of {}, trained on {}, has <b>{}</b> points of weighted F1 on {} when modalities are missing ({} when "
            "none is)."
        ).format(
            code(model.method), code(model.name), model.trained_on,
            points(scores[f"{AVERAGE}/{SCORE}"]), counted(clips, "clip"), points(scores[f"{FULL_CONDITION}/{SCORE}"]),
        )
    ]  # fmt: skip
    if against_prior is not None:
        reference = against_prior["reference"]
        sentences.append(
            Markup("The class frequencies of its training rows ({}) have {}: a difference of {} points").format(
                code(reference),
                points(results.methods[reference].metrics[f"{AVERAGE}/{SCORE}"]),
                signed(against_prior["difference"]),
            )
            + (
                Markup(", {}&nbsp;% interval {} to {}.").format(
                    round(100 * confidence), signed(against_prior["low"]), signed(against_prior["high"])
                )
                if clusters.size > 1
                else Markup(".")
            )
        )
    caution = resampling_caution(clusters)
    return [*sentences, escape(f"{caution}.")] if caution else sentences
