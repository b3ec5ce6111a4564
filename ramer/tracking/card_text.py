"""Model cards in Markdown: what MLflow shows as description of a run, of a logged model and of a registered version."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ramer.data.corpora import CORPORA
from ramer.evaluation.model_cards import SET_COVERAGE, SHOWN_CONDITIONS, ModelCard
from ramer.modalities import AVERAGE, FULL_CONDITION
from ramer.project import Project
from ramer.tracking.bounded_text import cut
from ramer.tracking.measured import Measured
from ramer.tracking.record import Corpus, Record

MOST = 5000  # what a database keeps of a version's description
_CLASSES, _LIMITS = 800, 1200  # characters of lists that a corpus may make long
_SPLITS = ("train", "val", "test", "pool")
_SCORE = "weighted_f1"


def method_card(record: Record, method: str) -> str:
    """The card of one method: classes, corpus, scores by condition with intervals, advice, limits, licences."""
    card, tags, cards = record.cards.methods[method], record.tags[method], record.cards
    kind = f"`{method}`" if tags["type"] == method else f"`{method}` (type `{tags['type']}`)"
    purpose = "" if tags["deployable"] == "true" else " A bound or a control, **not for deployment**."
    parts = [
        f"Emotion recognition from audio, face and transcript of which any may be missing. Method {kind}, trained on "
        f"**{record.corpus.info.name}**.{purpose}",
        _corpus_lines(record.corpus),
        f"### Scores on test rows\n{_table(card, cards.coverage, cards.confidence)}\n\n"
        f"Points, means over seeds; {round(100 * cards.confidence)} % intervals over {cards.units} {cards.unit}s. "
        f"`{AVERAGE}` is the mean of the six conditions in which something is missing.",
        f"### Before you use it\n{_listed(card.advice)}",
        f"### Limits\n{_listed(cards.limits, _LIMITS)}",
        f"### Licences\n{_listed(_licences(record.corpus))}",
    ]
    return cut("\n\n".join(parts), MOST)


def experiment_card(record: Record, measured: Measured) -> str:
    """What the UI shows at the top of an experiment's run: the corpus and the methods, best first."""
    scores, cards = record.experiment.metrics, record.cards
    rows = sorted(record.methods, key=lambda method: -scores.get(f"{method}/avg6_weighted_f1", 0.0))
    lines = [
        f"Corpus **{record.corpus.info.name}**. Weighted F1, mean over seeds, with {round(100 * cards.confidence)} % "
        f"intervals; `{AVERAGE}` is the mean of the six missing-modality conditions, `{FULL_CONDITION}` has all three. "
        f"Everything else: `{Project().report}` and `{Project().explorer}` among the artifacts.",
        "",
        f"| method | {AVERAGE} | {FULL_CONDITION} | deployable |",
        "| --- | --- | --- | --- |",
    ]
    for method in rows:
        cells = [_cell(cards.methods[method], _SCORE, c) for c in (AVERAGE, FULL_CONDITION)]
        deployable = "yes" if record.tags[method]["deployable"] == "true" else "no"
        lines.append(f"| {method} | {' | '.join(cells)} | {deployable} |")
    lines += ["", _corpus_lines(record.corpus), "", f"Duration: {measured}.", "", "### Limits"]
    return cut("\n".join([*lines, _listed(cards.limits, _LIMITS)]), MOST)


def _corpus_lines(corpus: Corpus) -> str:
    info = corpus.info
    counts = next(iter(info.counts.values()), {})
    rows = ", ".join(f"{counts[split]['rows']} in {split}" for split in _SPLITS if "rows" in counts.get(split, {}))
    shared = any(any(overlaps.values()) for overlaps in info.split_overlaps.values())
    apart = "" if shared or info.group_name is None else f"; no {info.group_name} is in two of them"
    return _listed(
        [
            f"Classes ({len(info.label_names)}): {cut(', '.join(info.label_names), _CLASSES)}",
            f"Rows of the first replicate: {rows or 'not counted'}{apart}",
            f"Corpus digest: `{corpus.digest[:16]}`, read from `{corpus.source}`",
        ]
    )


def _table(card: ModelCard, coverage: float, confidence: float) -> str:
    covered = any(s.metric == SET_COVERAGE for s in card.scores)
    head = ["available", "weighted F1", f"{round(100 * confidence)} % interval"]
    head += [f"sets at {100 * coverage:g} % hold the truth"] if covered else []
    lines = [f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}"]
    for condition in SHOWN_CONDITIONS:
        score = card.score(_SCORE, condition)
        if score is None:
            continue
        cells = [condition, f"{100 * score.value:.1f}", f"{100 * score.low:.1f} to {100 * score.high:.1f}"]
        cells += [_cell(card, SET_COVERAGE, condition)] if covered else []
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(card: ModelCard, metric: str, condition: str) -> str:
    score = card.score(metric, condition)
    if score is None:
        return ""
    return f"{100 * score.value:.1f} [{100 * score.low:.1f}, {100 * score.high:.1f}]"


def _licences(corpus: Corpus) -> Sequence[str]:
    code = "Code: Apache-2.0."
    if corpus.info.provenance.get("kind") == "synthetic":
        return (code, "Corpus: generated by the pipeline, nobody's recording.")
    known = CORPORA.get(corpus.info.name.lower())
    terms = f"{known.licence} ({known.source})" if known else "those of whoever gave it to you; its files do not say"
    holds = "A model with a database holds ids, labels and states of training clips: pass it on under the same terms."
    return (
        code,
        f"Corpus and what was made of it: {terms}. {holds}",
        "Encoders that made the features: their own terms.",
    )


def _listed(sentences: Iterable[str], most: int = MOST) -> str:
    return cut("\n".join(f"- {s}" for s in sentences), most)
