"""A corpus that several workers extract at once, part by part, and its parts made one.

Each part is a shard with a journal of its own: a part whose worker was killed goes on where it stopped, in another
worker of a cluster or in the next run.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

from ramer import engine
from ramer.extraction.clips import FoundClips
from ramer.extraction.corpus_features import extract_clips
from ramer.extraction.extractor import Extractor
from ramer.extraction.feature_store import FeatureStore
from ramer.extraction.manifest import Manifest, digest_json
from ramer.extraction.manifest_record import ModelRecord
from ramer.extraction.media_files import Clip
from ramer.extraction.outcome_summary import Made, Summary, check_any
from ramer.extraction.settings import ExtractionSettings
from ramer.extraction.shards import Shard, begun_shards, merge_shards, shards_of
from ramer.extraction.source import Source

log = logging.getLogger(__name__)

_BATCHES = 4  # of a part: what is begun anew, or waits for one slow worker, stays small
_MOST_PARTS = 1024

_loaded: dict[str, Extractor] = {}  # of this process: its models serve every part that it is given


class Part(NamedTuple):
    """What a worker is given at a time."""

    shard: Shard
    clips: tuple[Clip, ...]
    device: str


@dataclass(frozen=True)
class _Work:
    """What holds for every part.

    Attributes:
        records: of the encoders that must be found on the worker's machine, too.
        roots: folder of the media, and folder of what pictures are read from.
        features: folder that is written.
    """

    settings: ExtractionSettings
    records: dict[str, ModelRecord]
    batch_size: int
    trust_remote_code: bool
    roots: tuple[Path, Path]
    features: Path


def extract_in_parts(
    extractor: Extractor, source: Source, out: Path, *, device: str = "auto", threads: int = 1, prune: bool = False
) -> Summary:
    """What ``extract_corpus`` does, by the engine that ``RAMER_ENGINE`` names; each worker loads the models once.

    Shards that other runs have begun are gone on with.

    Args:
        extractor: its settings and options; its models are loaded where they work, and its own device is not asked.
        source: of the clips.
        out: gets the folder ``features``, under the same path on every machine.
        device: of the workers; a GPU of a cluster is looked for by the worker that gets it.
        threads: cores of a worker.
        prune: remove features of clips that are no longer in the source.

    Raises:
        ConfigError: there is no such engine or device.
        CorpusError: the media folder, the transcripts or the output cannot be used.
        ModelError: a model cannot be loaded.
        RamerError: a worker was killed, on a cluster several times.
    """
    placed = engine.device_for(device, "device")
    found, features = source.find(extractor.settings), out / "features"
    batch, trust = extractor.options["batch_size"], extractor.options["trust_remote_code"]
    # Under auto a worker whose GPU cannot be used goes on without it.
    parts = _parts(found.clips, features, device if placed != "cpu" and device == "auto" else placed, batch)
    work = _Work(extractor.settings, extractor.records, batch, trust, source.roots, features)
    resources = engine.Resources.on(placed, threads)
    done = engine.map(partial(_extract, work), parts, resources=resources, description="extract")
    return _merge(found, source, features, prune=prune, done=sum(done))


def merge_corpus(settings: ExtractionSettings, source: Source, out: Path, *, prune: bool = False) -> Summary:
    """Make the shards of a corpus one, once all have run.

    Args:
        settings: of the shards, as far as they say what a clip is.
        source, out: as of the shards.
        prune: remove features of clips that are no longer in the source.

    Raises:
        CorpusError: as ``merge_shards``.
    """
    return _merge(source.find(settings), source, out / "features", prune=prune, done=0)


def _merge(found: FoundClips, source: Source, features: Path, *, prune: bool, done: int) -> Summary:
    names = [clip.name for clip in found.clips]
    merge_shards(features, names)
    merged = Manifest.read(features)
    with FeatureStore(features, Manifest(merged.settings, merged.records)) as store:
        gone = store.finish(names, prune)
    check_any(store.manifest, source.media, features)
    return Summary.of(Made(store.manifest, done, gone), found, len(names))


def _parts(clips: Sequence[Clip], features: Path, device: str, batch_size: int) -> list[Part]:
    begun = begun_shards(features)
    wanted = -(-len(clips) // (_BATCHES * batch_size))
    shards = shards_of(begun[0].total if begun else max(1, min(wanted, _MOST_PARTS)))
    held: dict[Shard, list[Clip]] = {shard: [] for shard in shards}
    for clip in clips:
        held[Shard.of(clip.name, len(shards))].append(clip)
    return [Part(shard, tuple(held[shard]), engine.device_of_calls(device)) for shard in shards]


def _extract(work: _Work, part: Part) -> int:
    """Make a part where this process runs; returns on how many clips there was work."""
    extractor = _extractor(work, part.device)
    return extract_clips(extractor, part.clips, work.roots, work.features, shard=part.shard).done


def _extractor(work: _Work, device: str) -> Extractor:
    settings = work.settings
    made_by = [settings.model_dump(mode="json"), work.records, work.batch_size, work.trust_remote_code, device]
    key = digest_json(made_by)
    if key not in _loaded:
        _loaded.clear()  # of another corpus
        _loaded[key] = Extractor(
            settings,
            device=device,
            batch_size=work.batch_size,
            trust_remote_code=work.trust_remote_code,
            expected=work.records,
        )
    return _loaded[key]
