"""The report's sentences. Method names and figures are escaped where they enter."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from markupsafe import Markup, escape

from ramer.evaluation.bootstrap import Comparison
from ramer.evaluation.clusters import Clusters
from ramer.evaluation.points import counted, points, signed
from ramer.modalities import AVERAGE, CONDITIONS, FULL_CONDITION
from ramer.reporting.findings import SCORE, Findings
from ramer.reporting.results import Results


def code(name: str) -> Markup:
    return Markup("<code>{}</code>").format(name)


def interval_text(comparison: Comparison) -> str:
    return f"{signed(comparison.low)} to {signed(comparison.high)}"


def resampling_caution(clusters: Clusters) -> str:
    """What must stand beside every interval where rows were drawn for want of speakers, else nothing."""
    if clusters.few is None:
        return ""
    number, unit = clusters.few
    tested = f"Only {counted(number, unit)} {'was' if number == 1 else 'were'} tested"
    return f"{tested}, so rows were drawn: too sure, and silent about new {unit}s"


def verdict(results: Results, findings: Findings, confidence: float, clusters: Clusters) -> list[Markup]:
    """The sentences that a reader sees first: what to use, what retrieval adds, what seeing everything gives."""
    scores = results.methods[findings.best].metrics
    use = Markup(
        "Use <b>{}</b>: of the methods that can be deployed it is the best on validation rows, with <b>{}</b> points "
        "of weighted F1 on test rows when modalities are missing ({} when none is)."
    ).format(findings.best, points(scores[f"{AVERAGE}/{SCORE}"]), points(scores[f"{FULL_CONDITION}/{SCORE}"]))
    caution = resampling_caution(clusters) if findings.retrieval_gain else ""
    sentences = [use, _retrieval_sentence(findings, confidence)]
    sentences += [escape(f"{caution}.")] if caution else []
    if findings.oracle is not None:
        reached = points(results.methods[findings.oracle].metrics[f"{AVERAGE}/{SCORE}"])
        sentences.append(
            Markup("For comparison, {} is shown what is missing: <b>{}</b>.").format(code(findings.oracle), reached)
        )
    return sentences


def _retrieval_sentence(findings: Findings, confidence: float) -> Markup:
    if findings.retrieval is None:
        return Markup("No retrieval method was run.")
    if AVERAGE not in findings.retrieval_gain:
        return Markup("No method without retrieval was run, so what retrieval ({}) adds is not known.").format(
            code(findings.retrieval)
        )
    gain = findings.retrieval_gain[AVERAGE]
    told = "distinguishable" if gain.p_holm < findings.alpha else "<b>not</b> distinguishable"
    return Markup(
        "Retrieval ({}) differs by <b>{} points</b> from the best without it ({}), {}&nbsp;% interval {}: "
        f"{told} from none."
    ).format(
        code(findings.retrieval), signed(gain.difference), code(findings.baseline), round(100 * confidence),
        interval_text(gain),
    )  # fmt: skip


def advice(results: Results, findings: Findings, served: str) -> list[Markup]:
    """Which method to use and what to know before using it."""
    best = findings.best
    items = [
        Markup("Take {}. Validation rows chose it; no test row had a part in the choice.").format(code(best)),
    ]
    if findings.as_good:
        items.append(
            Markup(
                "These test rows cannot tell it from {}. If one of them is simpler or faster for you, take that."
            ).format(listed(findings.as_good))
        )
    elif not findings.better:
        items.append(Markup("Every other deployable method scores worse by more than noise explains."))
    if findings.better:
        items.append(
            Markup(
                "On the test rows {} is ahead of it by more than noise explains: validation rows did not foresee that. "
                "Treat it as the one to try on new clips."
            ).format(listed(findings.better))
        )
    else:
        top, reached = (results.methods[n].metrics[f"{AVERAGE}/{SCORE}"] for n in (findings.top, best))
        if points(top - reached) != points(0.0):
            items.append(
                Markup(
                    "On the test rows {} is {} points ahead of it, which is within noise. Picking by test rows would "
                    "flatter the pick, so the choice stays."
                ).format(code(findings.top), points(top - reached))
            )
    if served == best:
        items.append(Markup("<code>ramer predict</code> already loads it (<code>serve.method</code>)."))
    else:
        items.append(
            Markup(
                "<code>ramer predict</code> loads {}, as <code>serve.method</code> says. To serve {}: "
                "<code>dvc exp run -S serve.method={}</code>."
            ).format(code(served), code(best), best)
        )
    items.append(_calibration(results, [best, *findings.as_good]))
    bounds = [n for n, m in results.descriptions.items() if not m.deployable]
    if bounds:
        items.append(Markup("References and controls, not for deployment: {}.").format(listed(bounds)))
    return items


def _calibration(results: Results, names: list[str]) -> Markup:
    """How far the confidences of the first can be trusted, and which equally good method is calibrated better."""
    error = {n: results.methods[n].metrics[f"{AVERAGE}/ece"] for n in names}
    best = names[0]
    sentence = Markup("Its confidences miss its accuracy by {} points on average (ECE).").format(points(error[best]))
    calibrated = min(error, key=lambda n: error[n])
    if calibrated == best:
        return sentence
    other = Markup("Of the methods as good as it, {} is calibrated best with {}.")
    return Markup("{} {}").format(sentence, other.format(code(calibrated), points(error[calibrated])))


def where_retrieval_wins_and_loses(findings: Findings) -> list[Markup]:
    """Conditions in which retrieval is distinguishably better or worse than the best method without it."""
    gains = {c: g for c, g in findings.retrieval_gain.items() if c != AVERAGE}
    if not gains or findings.retrieval is None:
        return []
    told = {c: g for c, g in gains.items() if g.p_holm < findings.alpha}
    loses = [_with_points(c, g) for c, g in told.items() if g.difference < 0]
    wins = [_with_points(c, g) for c, g in told.items() if g.difference > 0]
    within = [c for c in gains if c not in told]
    parts = [Markup("{} against {}, condition by condition:").format(code(findings.retrieval), code(findings.baseline))]
    parts += [Markup("it loses under {};").format(_series(loses))] if loses else []
    parts += [Markup("it gains under {};").format(_series(wins))] if wins else []
    if within:
        rest = Markup("the rest ({}) cannot be told from no difference.").format(", ".join(within))
        parts.append(rest if told else Markup("no condition shows a difference beyond noise."))
    sentences = [Markup(" ").join(parts)]
    if findings.control_gain is not None:
        control = findings.control_gain
        what = "that draws its neighbours at random" if findings.control_is_random else "with a shuffled database"
        sentences.append(
            Markup(
                "Against {}, the control {}, it is {} points ({}). Only what it gains there is owed to <em>which</em> "
                "neighbours are taken."
            ).format(code(control.reference), what, signed(control.difference), interval_text(control))
        )
    return sentences


def product_paragraph(results: Results, findings: Findings) -> Markup | None:
    """How every method stands to the product of unimodal regressions."""
    if findings.product is None:
        return None
    deployable = [c for c in findings.product_gaps if results.descriptions[c.method].deployable]
    ahead = [c.method for c in deployable if c.difference > 0 and c.p_holm < findings.alpha]
    behind = [c.method for c in deployable if c.difference < 0 and c.p_holm < findings.alpha]
    level = [c.method for c in deployable if c.p_holm >= findings.alpha]
    parts = [
        Markup(
            "{} is the plainest thing that works: one logistic regression per modality, the predictions of those "
            "present multiplied. A method that does not beat it has not earned its complexity."
        ).format(code(findings.product))
    ]
    gaps = {
        c.method: Markup("{} ({}, {})").format(code(c.method), signed(c.difference), interval_text(c))
        for c in deployable
    }
    for names, said in ((ahead, "Better"), (level, "Not told apart from it"), (behind, "Worse")):
        parts += [Markup("{}: {}.").format(said, _series([gaps[n] for n in names]))] if names else []
    parts += [] if ahead else [Markup("Nothing that can be deployed beats it.")]
    return Markup(" ").join(parts)


def purity_sentence(rows: Mapping[str, Mapping[str, float]]) -> Markup | None:
    """What the label purity of neighbours on train and test rows means."""
    gaps = {m: r["train"] - r["test"] for m, r in rows.items()}
    if not gaps:
        return None
    widest = max(gaps, key=lambda m: gaps[m])
    train, test = (100 * rows[widest][s] for s in ("train", "test"))
    if gaps[widest] < 0.05:
        return Markup(
            "Neighbours of training rows share the label about as often as those of test rows (widest gap: {}, {:.0f} "
            "against {:.0f}&nbsp;%), so a head trained on them meets neighbours of the same quality at test."
        ).format(widest, train, test)
    return Markup(
        "Widest gap: {}, where {:.0f}&nbsp;% of a training row's neighbours share its label, but only {:.0f}&nbsp;% "
        "of a test row's. The encoder has seen the labels of the training rows, so their neighbours are purer than any "
        "that it will find for a new clip. A head trained on them may trust retrieval more than it should."
    ).format(widest, train, test)


def condition_words(condition: str) -> str:
    held = " and ".join(CONDITIONS[condition]) if condition != FULL_CONDITION else "audio, video and text"
    return f"{held} available" if condition == FULL_CONDITION else f"only {held} available"


def listed(names: Iterable[str]) -> Markup:
    return _series([code(n) for n in names])


def _series(parts: list[Markup]) -> Markup:
    if len(parts) < 2:
        return Markup("").join(parts)
    return Markup("{} and {}").format(Markup(", ").join(parts[:-1]), parts[-1])


def _with_points(condition: str, comparison: Comparison) -> Markup:
    return Markup("{} ({})").format(condition, signed(comparison.difference))
