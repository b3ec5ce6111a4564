"""Where the clips of a corpus are."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from ramer.errors import ConfigError
from ramer.extraction.clips import FoundClips, find_clips
from ramer.extraction.settings import ExtractionSettings

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Source:
    """Where a corpus' clips are.

    Attributes:
        media: folder of video and sound files, searched with its sub-folders.
        transcripts: UTF-8 CSV with the columns clip and sentence.
        words_alone: rows of the transcripts that name no media are clips of words alone, however many; few always are,
            and all where nothing but text is made.
        faces: folder of ready crops of faces, one file or folder a clip; asked for by ``crop: ready``, and only by it.
    """

    media: Path
    transcripts: Path | None = None
    words_alone: bool = False
    faces: Path | None = None

    def find(self, settings: ExtractionSettings) -> FoundClips:
        """All clips; what cannot be used is logged.

        Raises:
            ConfigError: ready crops are given where the settings do not ask for them, or the other way round.
            CorpusError: the media folder or the transcripts cannot be used.
        """
        video = settings.video
        if (self.faces is not None) != (video is not None and video.crop == "ready"):
            raise ConfigError("faces: a folder of ready crops is given where video.crop is ready, and only there")
        only_text = settings.modalities == ("text",) and settings.recognition is None
        alone = self.words_alone or only_text
        found = find_clips(self.media, self.transcripts, words_alone=alone, faces=self.faces)
        for line in found.left_out:
            log.warning("%s", line)
        return found

    @property
    def roots(self) -> tuple[Path, Path]:
        """Folder of the media, and folder of what pictures are read from."""
        return self.media, self.faces or self.media
