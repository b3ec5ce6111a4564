"""``ramer labels``: the table of labels of a corpus of the field, from its files' names and its owners' tables."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ramer.errors import ConfigError

if TYPE_CHECKING:
    from ramer.data.releases.release import Release

_NAMES = "cremad, iemocap (four classes), iemocap6, meld, mer, mosei, mosi, ravdess, sims, simsv2."


def labels(
    corpus: Annotated[str, typer.Argument(help=_NAMES)],
    folder: Annotated[Path, typer.Argument(help="Where the corpus was unpacked.")],
    out: Annotated[Path, typer.Option(help="Gets clip, label and, where known, speaker and split.")] = Path(
        "labels.csv"
    ),
    transcripts: Annotated[Path, typer.Option(help="Gets clip and sentence, where the corpus tells them.")] = Path(
        "transcripts.csv"
    ),
    media: Annotated[
        Path | None, typer.Option(help="Folder that will be extracted, if not the usual one of that corpus.")
    ] = None,
) -> None:
    """Write a known corpus' labels and transcripts as tables.

    `ramer extract` reads them.
    """
    from ramer.data.releases import RELEASES
    from ramer.data.releases.release import write_labels, write_transcripts

    if corpus not in RELEASES:
        raise ConfigError(f"labels: unknown corpus {corpus!r}, expected one of {', '.join(RELEASES)}")
    for path in (out, transcripts):
        if path.exists():
            raise ConfigError(f"{path}: is there already; remove it, or name another with --out and --transcripts")
    release = RELEASES[corpus](folder, media)
    spoken = any(row.sentence is not None for row in release.rows)
    write_labels(release, out)
    if spoken:
        write_transcripts(release, transcripts)
    for line in _lines(release):
        typer.echo(line)
    typer.echo(f"labels -> {out}" + (f", transcripts -> {transcripts}" if spoken else ""))
    with_words = f" --transcripts {transcripts}" if spoken else ""
    with_faces = f" --faces {release.faces}" if release.faces is not None else ""
    typer.echo(f"next: ramer extract {release.media} FEATURES --labels {out}{with_words}{with_faces}")


def _lines(release: Release) -> list[str]:
    labelled = Counter(row.label for row in release.rows if row.label)
    lines = [f"{len(release.rows)} clips: {', '.join(f'{n} {label}' for label, n in sorted(labelled.items()))}"]
    splits = Counter(row.split for row in release.rows if row.split)
    if splits:
        lines.append(f"split: {', '.join(f'{n} {split}' for split, n in splits.items())}")
    return [*lines, *(f"note: {note}" for note in release.notes)]
