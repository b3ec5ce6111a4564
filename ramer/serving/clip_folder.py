"""Many raw clips as a model's features: made once, and kept where the next run finds them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ramer.extraction.corpus_features import Progress, extract_corpus
from ramer.extraction.feature_store import FeatureStore
from ramer.extraction.manifest import FILE_NAME, Manifest
from ramer.modalities import MODALITIES
from ramer.serving.features import Features
from ramer.serving.raw_clips import ClipReader


def read_clip_folder(
    reader: ClipReader, media: Path, kept: Path, transcripts: Path | None = None, progress: Progress | None = None
) -> tuple[list[str], Features]:
    """Ids and raw vectors of all clips below a folder; a clip that gave nothing is there too.

    Args:
        reader: follows the model's manifest.
        kept: folder of features, which a rerun goes on with: only what is new, has changed or has failed is made.
        transcripts: table of what is said, as ``ramer extract`` takes it.
        progress: called with the number of clips done and their total.

    Raises:
        RamerError: the media folder or the transcripts cannot be used.
    """
    extract_corpus(reader.extractor, media, kept, transcripts=transcripts, prune=True, progress=progress)
    features = kept / "features"
    manifest = Manifest.read(features / FILE_NAME)
    store, ids = FeatureStore(features, manifest), sorted(manifest.clips)
    found: Features = dict.fromkeys(MODALITIES)
    for modality in manifest.settings.modalities:
        if modality in manifest.dims:
            matrix = np.full((len(ids), manifest.dims[modality]), np.nan, dtype=np.float32)
            for row, clip in enumerate(ids):
                vector = store.vector(modality, clip)
                if vector is not None:
                    matrix[row] = vector
            found[modality] = matrix
    return ids, found
