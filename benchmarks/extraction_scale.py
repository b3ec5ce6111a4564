"""Many clips cut from a real one, extracted by one process, in shards and by an engine: the same vectors, how long.

    python -m benchmarks.extraction_scale CLIP [--clips 2000] [--shards 4] [--engine local]

Prints JSON. Everything lies in a temporary folder; the cut clips take some 60 KB each.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

SECONDS = (0.6, 0.9, 1.3)  # lengths of the clips, in turn
RATE = 16_000  # hertz


def cut_clips(clip: Path, folder: Path, count: int) -> Path:
    """Write so many overlapping cuts of a clip, with picture and sound; returns their folder.

    Args:
        clip: video file with sound.
    """
    pictures, fps, sound = _read(clip)
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        seconds = SECONDS[number % len(SECONDS)]
        last = len(pictures) / fps - seconds
        start = last * number / max(1, count - 1)
        shown = pictures[round(start * fps) : round((start + seconds) * fps)]
        heard = sound[round(start * RATE) : round((start + seconds) * RATE)]
        _write(folder / f"s{number % 16:02d}" / f"cut{number:05d}.mp4", shown, heard, round(fps))
    return folder


def _read(clip: Path) -> tuple[list[np.ndarray], float, np.ndarray]:
    """RGB pictures of half the size, how many a second, and mono sound."""
    import av

    with av.open(str(clip)) as container:
        stream = container.streams.video[0]
        fps = float(stream.average_rate or 30)
        size = {"width": stream.width // 4 * 2, "height": stream.height // 4 * 2}
        pictures = [frame.reformat(**size, format="rgb24").to_ndarray() for frame in container.decode(stream)]
    resampler = av.AudioResampler(format="fltp", layout="mono", rate=RATE)
    with av.open(str(clip)) as container:
        frames = [part for frame in container.decode(audio=0) for part in resampler.resample(frame)]
    return pictures, fps, np.concatenate([frame.to_ndarray()[0] for frame in frames])


def _write(path: Path, pictures: list[np.ndarray], sound: np.ndarray, fps: int) -> None:
    import av

    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        picture = container.add_stream("mpeg4", rate=fps)
        picture.height, picture.width = pictures[0].shape[:2]
        picture.pix_fmt = "yuv420p"
        track = container.add_stream("aac", rate=RATE, layout="mono")
        for image in pictures:
            container.mux(picture.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(picture.encode(None))
        block = av.AudioFrame.from_ndarray(np.ascontiguousarray(sound, np.float32)[None], format="fltp", layout="mono")
        block.sample_rate = RATE
        container.mux(track.encode(block))
        container.mux(track.encode(None))


def _timed(*arguments: str | Path, **environment: str) -> float:
    command = [sys.executable, "-m", "ramer", "extract", *map(str, arguments), "--text", "none"]
    begun = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env={**os.environ, **environment})
    return round(time.perf_counter() - begun, 1)


def _largest_difference(ours: Path, theirs: Path) -> float:
    """Of any number of any vector; the manifests must be the same."""
    if json.loads((ours / "manifest.json").read_text()) != json.loads((theirs / "manifest.json").read_text()):
        raise SystemExit(f"{ours}: another manifest than {theirs}")
    vectors = [path.relative_to(theirs) for path in theirs.rglob("*.npy")]
    return float(max(np.abs(np.load(ours / name) - np.load(theirs / name)).max() for name in vectors))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clip", type=Path)
    parser.add_argument("--clips", type=int, default=2000)
    parser.add_argument("--shards", type=int, default=4)
    parser.add_argument("--engine", default="local")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        media = cut_clips(asked.clip, root / "media", asked.clips)
        told: dict[str, object] = {"clips": asked.clips, "one_process_s": _timed(media, root / "one")}
        told["each_shard_s"] = [
            _timed(media, root / "shards", "--shard", f"{number}/{asked.shards}")
            for number in range(1, asked.shards + 1)
        ]
        told["merge_s"] = _timed(media, root / "shards", "--merge")
        told[f"{asked.engine}_s"] = _timed(media, root / "engine", "--engine", asked.engine)
        for way in ("shards", "engine"):
            told[f"difference_{way}"] = _largest_difference(root / way / "features", root / "one" / "features")
    print(json.dumps(told, indent=2))


if __name__ == "__main__":
    main()
