"""Extract a whole corpus: batched, resumable, and never ended by one bad clip."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ramer.errors import raise_if_scarce
from ramer.extraction.clips import NO_FACES
from ramer.extraction.extractor import Extractor
from ramer.extraction.feature_store import FeatureStore, Origin
from ramer.extraction.manifest import Manifest, digest_json
from ramer.extraction.media_files import Clip
from ramer.extraction.outcome_summary import Made, Summary, check_any
from ramer.extraction.outcomes import Missing, Outcome
from ramer.extraction.ready_faces import digest_faces
from ramer.extraction.shards import Shard
from ramer.extraction.source import Source
from ramer.extraction.text import is_blank

log = logging.getLogger(__name__)

Progress = Callable[[int, int], None]

# Reasons that hold for a whole corpus rather than for a clip: counted, not said once per clip.
_UNREMARKABLE = ("no transcript", "a sound file", NO_FACES)


def extract_corpus(
    extractor: Extractor,
    media: Path,
    out: Path,
    *,
    transcripts: Path | None = None,
    words_alone: bool = False,
    faces: Path | None = None,
    shard: Shard | None = None,
    prune: bool = False,
    progress: Progress | None = None,
) -> Summary:
    """Write ``out/features`` in the MERBench layout, with a manifest.

    A rerun does what is new, has changed or has failed; features made with other settings are made again, once every
    model that this needs has been loaded.

    Args:
        extractor: its settings say which modalities are made and how.
        media, transcripts, words_alone, faces: where the clips are, as of ``Source``.
        out: gets the folder ``features``.
        shard: the clips that are made, beside runs for other shards; ``merge_corpus`` then writes the manifest.
        prune: remove features of clips that are no longer in ``media`` or ``transcripts``.
        progress: called with the number of clips done and their total.

    Raises:
        CorpusError: the media folder, the transcripts or the output cannot be used.
        ModelError: a model cannot be loaded.
    """
    source, features = Source(media, transcripts, words_alone, faces), out / "features"
    found = source.find(extractor.settings)
    clips = [clip for clip in found.clips if shard is None or shard.holds(clip.name)]
    made = extract_clips(extractor, clips, source.roots, features, shard=shard, prune=prune, progress=progress)
    if shard is None:
        check_any(made.manifest, media, features)
    return Summary.of(made, found, len(clips))


def extract_clips(
    extractor: Extractor,
    clips: Sequence[Clip],
    roots: tuple[Path, Path],
    features: Path,
    *,
    shard: Shard | None,
    prune: bool = False,
    progress: Progress | None = None,
) -> Made:
    """Make what clips lack.

    Args:
        clips: all that there are, of the shard where there is one.
        roots: folder of the media, and folder of what pictures are read from.
        features: folder that is written.
    """
    done = 0
    with FeatureStore(features, Manifest(extractor.settings, extractor.records), shard) as store:
        # Before anything is read, and before anything is removed: what cannot be made again must stay.
        extractor.load(_needed(clips, extractor, store))
        store.begin()
        for number, batch in _pending(clips, extractor, store, roots, progress):
            done += len(batch)
            found = extractor.extract([task.clip for task in batch], [task.inputs for task in batch])
            for task, outcomes in zip(batch, found, strict=True):
                _store(store, task, outcomes)
            if progress is not None:
                progress(number, len(clips))
        gone = store.finish([clip.name for clip in clips], prune)
    return Made(store.manifest, done, gone)


def _store(store: FeatureStore, task: _Task, outcomes: Mapping[str, Outcome]) -> None:
    """Keep what became of a clip, and say what a reader would not expect."""
    for modality, made_from in task.inputs.items():
        heard = made_from[0] and modality == "text" and task.recognises
        recognised = task.clip.transcript if heard else None
        outcome = store.add(task.clip.name, modality, outcomes[modality], made_from, recognised)
        if isinstance(outcome, Missing) and outcome.reason not in _UNREMARKABLE:
            level = logging.WARNING if outcome.failed else logging.INFO
            log.log(level, "%s: %s: %s", task.clip.name, modality, outcome.reason)


def _needed(clips: Sequence[Clip], extractor: Extractor, store: FeatureStore) -> list[str]:
    """Encoders that some clip waits for, as far as can be told without reading media.

    A clip whose content has changed is not seen here: its encoder made the clip's features before.
    """
    needed: set[str] = set()
    for modality in extractor.settings.modalities:
        for clip in clips:
            if store.is_settled(clip.name, modality):
                continue
            if modality != "text":
                needed |= {modality} if clip.media(modality) is not None else set()
            elif clip.transcript is not None:
                needed |= {"text"} if not is_blank(clip.transcript) else set()
            elif clip.audio is not None and extractor.settings.recognition is not None:
                needed |= {"text", "recogniser"}
    return sorted(needed)


@dataclass
class _Task:
    """A clip and, per modality that is to be made, the name and the digest of what it is made from."""

    clip: Clip
    inputs: dict[str, Origin]
    recognises: bool


def _pending(
    clips: Sequence[Clip],
    extractor: Extractor,
    store: FeatureStore,
    roots: tuple[Path, Path],
    progress: Progress | None,
) -> Iterator[tuple[int, list[_Task]]]:
    """Batches of clips with work to do, and how many clips lie behind each batch.

    Args:
        roots: folder of the media, and folder of what pictures are read from.
    """
    batch: list[_Task] = []
    for number, clip in enumerate(clips, start=1):
        inputs, recognises = _inputs(clip, extractor, roots)
        todo = {m: found for m, found in inputs.items() if not store.is_done(clip.name, m, found[1])}
        if todo:
            batch.append(_Task(clip, todo, recognises))
        if len(batch) == extractor.options["batch_size"] or (batch and number == len(clips)):
            yield number, batch
            batch = []
        elif not batch and progress is not None:
            progress(number, len(clips))


def _inputs(clip: Clip, extractor: Extractor, roots: tuple[Path, Path]) -> tuple[dict[str, Origin], bool]:
    digests: dict[Path, str | None] = {}
    media, pictures = roots

    def of_file(path: Path | None, root: Path) -> Origin:
        if path is None:
            return None, None
        if path not in digests:
            try:
                digests[path] = digest_faces(path)
            except OSError as error:
                raise_if_scarce(error)
                digests[path] = None  # the decoder says why it cannot be read
        return path.relative_to(root).as_posix(), digests[path]

    recognises = clip.transcript is None and extractor.settings.recognition is not None
    inputs: dict[str, Origin] = {}
    for modality in extractor.settings.modalities:
        if modality != "text":
            inputs[modality] = of_file(clip.media(modality), media if modality == "audio" else pictures)
        elif clip.transcript is not None:
            inputs[modality] = "transcript", hashlib.sha256(clip.transcript.encode()).hexdigest()
        elif recognises and extractor.settings.recognition is not None:
            source, sha256 = of_file(clip.audio, media)
            by = [extractor.settings.recognition.model_dump(mode="json"), extractor.records["recognition"], sha256]
            inputs[modality] = source, digest_json(by)
        else:
            inputs[modality] = None, None
    return inputs, recognises
