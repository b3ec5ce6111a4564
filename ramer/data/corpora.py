"""The corpora of the field: what each must not be cut into, where that is said, and how large it is.

This is the one table of them: a clip's group is read from its name by the rules here, whichever way the corpus came in.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


def _until(end: str) -> Callable[[str], str | None]:
    """What stands before the last ``end``."""
    return lambda name: name.rpartition(end)[0] or None


def _session(name: str) -> str | None:
    return f"session{name[4]}" if name[4:5].isdigit() else None


def _actor(name: str) -> str | None:
    fields = name.split("-")
    return f"actor{fields[6]}" if len(fields) == 7 else None


def _nothing(name: str) -> str | None:
    return None


@dataclass(frozen=True)
class KnownCorpus:
    """Facts of a corpus.

    Attributes:
        title: as its owners call it.
        unit: what no split and no list of neighbours may share (speaker, video, dialogue, session); None where none
            is published.
        rule: how the unit is read from a clip's name, in words. group_of: the same as a function of the name without
            its sub-folders; None where the name is of another form.
        source: where the names and the unit are documented, and the corpus is asked for. licence: its terms.
        rows: clips to expect, in words.
    """

    title: str
    unit: str | None
    rule: str
    group_of: Callable[[str], str | None]
    source: str
    licence: str
    rows: str


_MERTOOLS = "https://github.com/zeroQiaoba/MERTools"
_MMSDK = "https://github.com/CMU-MultiComp-Lab/CMU-MultimodalSDK"
_VIDEO = "all before the last `_`"
_SIMS = "video", _VIDEO, _until("_")
_IEMOCAP = (
    "session",
    "the fifth character; a session is one pair of speakers",
    _session,
    "https://sail.usc.edu/iemocap/",
    "on request, for research",
)

CORPORA: dict[str, KnownCorpus] = {
    "cremad": KnownCorpus(
        "CREMA-D",
        "speaker",
        "all before the first `_`",
        lambda name: name.partition("_")[0] or None,
        "https://github.com/CheyneyComputerScience/CREMA-D",
        "ODbL 1.0",
        "7,442",
    ),
    "iemocap4": KnownCorpus("IEMOCAP, four classes", *_IEMOCAP, "5,531"),
    "iemocap6": KnownCorpus(
        "IEMOCAP, six classes", *_IEMOCAP, "7,433 in MERBench's label file; 7,380 by the release's own tables"
    ),
    "meld": KnownCorpus(
        "MELD",
        "dialogue",
        "all before `_utt`; dialogues are numbered anew in each split",
        _until("_utt"),
        "https://github.com/declare-lab/MELD",
        "GPL-3.0; the pictures are a television series'",
        "9,989 / 1,109 / 2,610",
    ),
    "mer": KnownCorpus(
        "MER2023 to MER2026",
        None,
        "a name is a number: no speaker or film is published",
        _nothing,
        _MERTOOLS,
        "on request, for research, not to be passed on",
        "MER2023: 3,373 / 411 / 412 / 834; MER2024: 5,030 and a pool of 115,595; MER2025: 7,369 and a pool of 124,802",
    ),
    "mosei": KnownCorpus("CMU-MOSEI", "video", _VIDEO, _until("_"), _MMSDK, "for research", "16,326 / 1,871 / 4,659"),
    "mosi": KnownCorpus("CMU-MOSI", "video", _VIDEO, _until("_"), _MMSDK, "for research", "1,284 / 229 / 686"),
    "ravdess": KnownCorpus(
        "RAVDESS (speech)",
        "speaker",
        "the last of seven fields",
        _actor,
        "https://zenodo.org/records/1188976",
        "CC BY-NC-SA 4.0",
        "1,440 performances of 24 actors",
    ),
    "sims": KnownCorpus("CH-SIMS", *_SIMS, "https://github.com/thuiar/MMSA", "for research", "1,368 / 456 / 457"),
    "simsv2": KnownCorpus(
        "CH-SIMS v2", *_SIMS, "https://github.com/thuiar/ch-sims-v2", "for research", "2,722 / 647 / 1,034"
    ),
}


def table() -> str:
    """The table in Markdown, as ``docs/corpora.md`` shows it."""
    lines = ["| name | corpus | group | read from a clip's name | clips | licence | source |", "| --- " * 7 + "|"]
    lines += [
        f"| `{name}` | {c.title} | {c.unit or 'none'} | {c.rule} | {c.rows} | {c.licence} | <{c.source}> |"
        for name, c in CORPORA.items()
    ]
    return "\n".join(lines)
