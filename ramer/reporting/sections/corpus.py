"""The corpus: where it comes from, its rows and classes, what it lacks."""

from __future__ import annotations

from collections.abc import Iterable

from ramer.data.corpus_record import CorpusRecord
from ramer.modalities import MODALITIES
from ramer.reporting.sections.report_section import Content, Inputs, Section

_SPLITS = ("train", "val", "test", "pool")


def _content(page: Inputs) -> Content:
    corpus = page.results.corpus
    counts = corpus.counts
    splits = [s for s in _SPLITS if any(s in c for c in counts.values())]
    return {
        "corpus": corpus,
        "card": _card(page),
        "splits": splits,
        "rows": [_range(c.get(s, {}).get("rows", 0) for c in counts.values()) for s in splits],
        "class_rows": _class_rows(corpus, splits),
        "missing_rows": _missing_rows(corpus, splits),
    }


def _card(page: Inputs) -> list[tuple[str, str]]:
    """What the corpus says of itself: name and value of each fact that is known."""
    corpus, groups = page.results.corpus, {g for g in page.results.groups.values() if g is not None}
    source = {k: v for k, v in corpus.provenance.items() if isinstance(v, str | int | float) and v != ""}
    facts: list[tuple[str, object]] = [("rows", f"{corpus.rows:,}" if corpus.rows is not None else None)]
    facts.append(("classes", f"{len(corpus.label_names)}: {', '.join(corpus.label_names)}"))
    facts.append((f"named {page.group}s", f"{len(groups):,}" if groups else "none"))
    facts.append(("feature dimensions", ", ".join(f"{m} {corpus.dims[m] or 'none'}" for m in MODALITIES)))
    facts += [(key.replace("_", " "), value) for key, value in source.items()]
    if corpus.label_budget:
        said = (f"{key.replace('_', ' ')} {value}" for key, value in corpus.label_budget.items())
        facts.append(("few labels", ", ".join(said)))
    facts.append(("digest", (corpus.digest or "")[:16]))
    return [(name, str(value)) for name, value in facts if value not in (None, "")]


def _class_rows(corpus: CorpusRecord, splits: list[str]) -> list[tuple[str, list[str]]]:
    """Per class its rows in each split; a pool row's class is nobody's to read."""
    counts = corpus.counts.values()

    def cell(split: str, label: str) -> str:
        return "\N{EN DASH}" if split == "pool" else _range(c.get(split, {}).get(f"label/{label}", 0) for c in counts)

    return [(label, [cell(split, label) for split in splits]) for label in corpus.label_names if counts]


def _missing_rows(corpus: CorpusRecord, splits: list[str]) -> list[tuple[str, list[str]]]:
    """Rows that lack a modality by nature, per split."""
    missing = corpus.naturally_missing
    names = [(m, m) for m in MODALITIES] + [("all", "all three")]
    return [
        (shown, [_range(r.get(s, {}).get(key, 0) for r in missing.values()) for s in splits])
        for key, shown in names
        if missing
    ]


def _range(values: Iterable[int]) -> str:
    """A number, or the range over replicates."""
    found = sorted(set(values))
    return f"{found[0]:,}" if len(found) == 1 else f"{found[0]:,} to {found[-1]:,}"


SECTION = Section("corpus", "Corpus", _content)
