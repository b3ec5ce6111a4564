"""States that are taken over from an earlier run against states that are all computed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from ramer.config import Config
from ramer.data.prepared import PreparedCorpus
from ramer.files import digest_file, digest_strings, read_table, write_table
from ramer.training import encoded_blocks as blocks_module
from ramer.training.encoding import Reuse
from tests.support.sections import dump, pretrain

Make = Callable[..., Config]
Write = Callable[..., Path]
ROWS, BATCH, REPLICATES = 160, 48, 2
BLOCKS = -(-ROWS // BATCH) * REPLICATES


class Encoded:
    """A corpus with trained encoders whose rows can be encoded again and again."""

    def __init__(self, root: Path, config: Config) -> None:
        self.root, self.config = root, config
        self.encoded = 0

    def dump(self, out: str = "states", *, reuse: bool = True, code: str = "a") -> list[str]:
        """Digests of what was written."""
        self.encoded = 0
        folder = self.root / out
        kept = Reuse(self.root / "cache", code) if reuse else None
        dump(self.config, "audio", self.root / "prepared", self.root / "encoders", folder, reuse=kept)
        return [digest_file(file) for file in sorted(folder.iterdir())]

    def append_rows(self, count: int) -> None:
        prepared = self.root / "prepared"
        for name in ("rows", "splits"):
            table = read_table(prepared / f"{name}.parquet")
            more = table[table.index >= ROWS - count].assign(id=[f"new{i}" for i in range(count)])
            write_table(prepared / f"{name}.parquet", pd.concat([table, more], ignore_index=True))
        features = np.load(prepared / "audio.npy")
        more_features = np.random.default_rng(1).normal(size=(count, features.shape[1])).astype(np.float32)
        np.save(prepared / "audio.npy", np.concatenate([features, more_features]))


@pytest.fixture
def project(tmp_path: Path, make_config: Make, write_corpus: Write, monkeypatch: pytest.MonkeyPatch) -> Encoded:
    config = make_config(epochs=1)
    pretrain(config, "audio", write_corpus(tmp_path / "prepared"), tmp_path / "encoders")
    made = Encoded(tmp_path, config)
    real = blocks_module.encode

    def counting(*arguments: object) -> object:
        made.encoded += 1
        return real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(blocks_module, "encode", counting)
    return made


def test_the_same_rows_are_not_encoded_twice(project: Encoded) -> None:
    first = project.dump()
    assert project.encoded == BLOCKS
    assert project.dump("again") == first
    assert project.encoded == 0
    assert project.dump("third") == first, "what was taken over can be taken over again"
    assert project.encoded == 0


def test_rows_that_join_the_pool_are_the_only_ones_that_are_encoded(project: Encoded) -> None:
    project.dump()
    project.append_rows(20)
    grown = project.dump()
    assert project.encoded == REPLICATES  # the last block, which was not full
    assert project.dump("fresh", reuse=False) == grown
    states = np.load(project.root / "states" / "states.npy")
    assert states.shape[1] == ROWS + 20
    assert PreparedCorpus.open(project.root / "prepared").ids_digest == digest_strings(
        read_table(project.root / "prepared" / "rows.parquet")["id"].tolist()
    )


def test_a_changed_row_is_encoded_again(project: Encoded) -> None:
    before = project.dump()
    path = project.root / "prepared" / "audio.npy"
    features = np.load(path)
    features[50] += 1
    np.save(path, features)
    after = project.dump()
    assert project.encoded == REPLICATES
    assert after != before
    assert project.dump("fresh", reuse=False) == after


def test_other_code_or_threads_take_nothing_over(project: Encoded) -> None:
    project.dump()
    project.dump(code="b")
    assert project.encoded == BLOCKS
    project.config = project.config.model_copy(
        update={"runtime": project.config.runtime.model_copy(update={"threads": 2})}
    )
    project.dump(code="b")
    assert project.encoded == BLOCKS


def test_other_encoders_take_nothing_over(project: Encoded) -> None:
    project.dump()
    prepared = project.root / "prepared"
    pretrain(project.config.model_copy(), "audio", prepared, project.root / "encoders")
    project.dump()
    assert project.encoded == 0, "the same encoders"
    (project.root / "encoders" / "fold0_seed0.safetensors").write_bytes(
        (project.root / "encoders" / "fold0_seed1.safetensors").read_bytes()
    )
    project.dump()
    assert project.encoded == 0, "the other replicate's encoder has been run on these rows"
    both = np.load(project.root / "states" / "states.npy")
    assert np.array_equal(both[0], both[1], equal_nan=True)


@pytest.mark.parametrize("name", ["states.npy", "posteriors.npy"])
def test_states_that_somebody_changed_are_computed_again(project: Encoded, name: str) -> None:
    wanted = project.dump()
    kept = project.root / "cache" / name
    array = np.load(kept)
    array[0, 60] = 7
    kept.unlink()
    np.save(kept, array)
    assert project.dump() == wanted
    assert project.encoded == 1


@pytest.mark.parametrize("content", [b"\x93NUMP", b"", b"{}", b"[]", b'{"recipe": 3}'])
@pytest.mark.parametrize("name", ["states.npy", "blocks.json"])
def test_what_is_damaged_counts_as_nothing(project: Encoded, name: str, content: bytes) -> None:
    wanted = project.dump()
    kept = project.root / "cache" / name
    kept.unlink()
    kept.write_bytes(content)
    assert project.dump() == wanted
    assert project.encoded == BLOCKS


def test_another_processor_takes_nothing_over(project: Encoded, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other instructions round otherwise: states of one processor are not those of another."""
    project.dump()
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "NONE SUCH")
    project.dump()
    assert project.encoded == BLOCKS
