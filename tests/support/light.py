"""A tiny model of features in the shape of the preset ``light``, with the manifest that its corpus would have."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.support.served_project import METHODS, build_project

LIGHT_DIMS = {"audio": 88, "video": 1060, "text": 384}
LABELS = ("calm", "glad", "cross")


def build_light_project(root: Path, clip: Path) -> Path:
    """Random clips around the real one's features, so that these are nothing unusual to the model."""
    from ramer.extraction.extractor import Extractor
    from ramer.extraction.manifest import Manifest

    extractor = Extractor.preset("light", device="cpu")
    made = extractor.extract_clip(clip, TRANSCRIPT)
    assert {m: len(vector) for m, vector in made.vectors.items() if vector is not None} == LIGHT_DIMS
    rng = np.random.default_rng(0)
    label = np.arange(120) % len(LABELS)
    arrays = {}
    for key, vector in zip("AVL", made.vectors.values(), strict=True):
        assert vector is not None
        direction = rng.normal(size=(len(LABELS), len(vector)))
        spread = np.maximum(np.abs(vector), 0.05)
        noise = 0.6 * direction[label] + rng.normal(size=(120, len(vector)))
        arrays[key] = (vector + 0.3 * spread * noise).astype(np.float32)
    root.mkdir(parents=True)
    (root / "features").mkdir()
    Manifest(extractor.settings, extractor.records, dict(LIGHT_DIMS)).write(root / "features" / "manifest.json")
    np.savez(
        root / "corpus.npz",
        ids=np.array([f"clip{i:03}" for i in range(120)]),
        split=np.array(["train"] * 80 + ["val"] * 20 + ["test"] * 20),
        speaker=np.array([f"s{i // 10}" for i in range(120)]),
        label=label,
        label_names=np.array(LABELS),
        **arrays,
    )
    corpus = {"kind": "npz", "path": str(root / "corpus.npz")}
    methods = {name: METHODS[name] for name in ("ramer", "late_product")}
    return build_project(root, methods, corpus=corpus, retrieval={"width": 10})


TRANSCRIPT = "Kids are talking by the door."
