"""How long a clip takes to become features, in a warm process, and which part of it what takes.

Prints JSON: the best wall and processor seconds of a clip under each detector and their ratio to its length, and the
same of its parts alone.

    python -m benchmarks.extraction CLIP [--rounds 5] [--threads 2]
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import av
import cv2

from benchmarks._run import best_seconds, parser, report
from ramer.extraction.audio import EgemapsEncoder
from ramer.extraction.detectors import build_detector
from ramer.extraction.extractor import Extractor
from ramer.extraction.faces import FaceCropper
from ramer.extraction.image_encoders import HogLbpEncoder
from ramer.extraction.pictures import FrameSampler
from ramer.extraction.settings import CENTERFACE, HAAR, ExtractionSettings, VideoSettings
from ramer.extraction.sound import read_audio
from ramer.seeding import set_threads

SOUGHT = {CENTERFACE: VideoSettings().detections_per_second, HAAR: None}  # as before, on every frame
SENTENCE = "Kids are talking by the door."


def whole(clip: Path, detector: str) -> Callable[[], object]:
    extractor = Extractor(
        ExtractionSettings(video=VideoSettings(detector=detector, detections_per_second=SOUGHT[detector])), device="cpu"
    )
    extractor.extract_clip(clip, SENTENCE)
    return lambda: extractor.extract_clip(clip, SENTENCE)


def parts(clip: Path) -> dict[str, Callable[[], object]]:
    frames = list(FrameSampler(clip, 5.0))
    croppers = {name: FaceCropper(build_detector(name), 0.2) for name in (CENTERFACE, HAAR)}
    crops = [found.image for found in croppers[CENTERFACE].crops(frames) if found is not None]
    signal, _ = read_audio(clip)
    faces, sound = HogLbpEncoder(), EgemapsEncoder(keep_frames=False)
    return {
        "decoding pictures": lambda: list(FrameSampler(clip, 5.0)),
        f"finding faces ({CENTERFACE})": lambda: list(croppers[CENTERFACE].crops(frames, 2)),
        f"finding faces ({HAAR})": lambda: list(croppers[HAAR].crops(frames)),
        "gradients and textures": lambda: faces.encode_images(crops),
        "decoding sound": lambda: read_audio(clip),
        "eGeMAPS": lambda: sound.encode([signal]),
    }


def main() -> None:
    arguments = parser(__doc__, rounds=5, threads=2)
    arguments.add_argument("clip", type=Path)
    options = arguments.parse_args()
    set_threads(options.threads)
    cv2.setNumThreads(options.threads)
    with av.open(str(options.clip)) as file:
        seconds = (file.duration or 0) / av.time_base
    wall, cpu = best_seconds({name: whole(options.clip, name) for name in (CENTERFACE, HAAR)}, options.rounds)
    part_wall, part_cpu = best_seconds(parts(options.clip), options.rounds)
    report(
        options,
        {
            "clip_seconds": seconds,
            "clip": {
                name: {"wall": wall[name], "cpu": cpu[name], "times_real_time": seconds / wall[name]} for name in wall
            },
            "parts": {name: {"wall": part_wall[name], "cpu": part_cpu[name]} for name in part_wall},
        },
    )


if __name__ == "__main__":
    main()
