"""Hidden states and unimodal posteriors of every row, the pool included, from the frozen encoders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ramer import engine
from ramer.array_files import map_new_array
from ramer.config import Dump, Encoder
from ramer.data.prepared import PreparedCorpus, Replicate, Scaler
from ramer.digests import sealed_directory
from ramer.files import digest_file
from ramer.nn.encoder import UnimodalEncoder
from ramer.progress import track
from ramer.retrieval.states import STATES_FILE, StatesRecord
from ramer.training.checkpoints import build_encoder
from ramer.training.crossfit import CrossFitted, crossfit_fold, joined
from ramer.training.encoded_blocks import EncodedBlocks, encode
from ramer.training.encoder_files import load_fitting, read_summary
from ramer.training.encoder_record import ENCODER_FILE, EncoderDescription
from ramer.training.reuse import FILES, POSTERIORS, STATES, KeptStates, Noted, UnfinishedStates
from ramer.training.savepoints import NOTHING_KEPT, Savepoints


@dataclass(frozen=True)
class Reuse:
    """Where states are kept for the next run, which takes over those whose features, encoder and code are the same.

    Attributes:
        folder: of the blocks of rows that an earlier run kept, or nothing.
        code: digest of the code that computes states.
    """

    folder: Path
    code: str

    def kept(self, device: str, threads: int, batch_size: int) -> KeptStates:
        """What was kept of runs whose arithmetic was the same."""
        return KeptStates(self.folder, f"{self.code} {engine.machine_for(threads, device)} {batch_size}")


def encode_corpus(
    corpus: PreparedCorpus,
    modality: str,
    encoders: Path,
    out: Path,
    *,
    options: Encoder,
    settings: Dump,
    threads: int = 1,
    device: str = "cpu",
    reuse: Reuse | None = None,
    savepoints: Savepoints = NOTHING_KEPT,
) -> None:
    """Run every row through each replicate's encoder; write ``states.npy``, ``posteriors.npy`` and ``states.json``.

    With ``settings.crossfit`` training rows get the states and posteriors of encoders that have not seen their labels.

    Args:
        encoders, out: directories to read and to write; NaN rows lack the modality, states are not normalised.
        options: of the encoder and its training, for cross-fitting.
        reuse, savepoints: of earlier runs, to go on from; the bytes of ``out`` do not depend on them.

    Raises:
        StaleError, ModelError: an encoder is missing or damaged; it belongs to another corpus.
    """
    summary = read_summary(encoders / ENCODER_FILE, corpus, modality)
    kept = None if reuse is None else reuse.kept(device, threads, settings.batch_size)
    replicates = () if summary.absent else corpus.replicates
    where = engine.device_of_calls(device)
    work = _Work(corpus, modality, encoders, summary.hidden_dim, settings, options, savepoints, where)
    resources = engine.Resources.on(device, threads)
    with sealed_directory(out) as directory:
        widths = {STATES: summary.hidden_dim, POSTERIORS: corpus.classes}
        arrays = [_create(directory / name, corpus, width) for name, width in widths.items()]
        if summary.absent:
            arrays[0][:] = arrays[1][:] = np.nan
        encode_one = partial(_encode_replicate, work, directory, kept)
        done = engine.map(encode_one, replicates, resources=resources, description=f"dump {modality}")
        found = _crossfit(work, replicates, resources) if settings.crossfit else {}
        for replicate, each in zip(replicates, done, strict=True):
            each.bring_home(arrays, replicate.index)
            if replicate.name in found:
                arrays[0][replicate.index, found[replicate.name].rows] = found[replicate.name].states
                arrays[1][replicate.index, found[replicate.name].rows] = found[replicate.name].posteriors
        for array in arrays:
            array.flush()
        digests = {replicate.name: each.digest for replicate, each in zip(replicates, done, strict=True)}
        StatesRecord(
            modality=modality,
            absent=summary.absent,
            hidden_dim=summary.hidden_dim,
            ids_digest=corpus.ids_digest,
            encoder_digests=digests,
            crossfit_digests={name: fitted.digest for name, fitted in found.items()},
        ).write(directory / STATES_FILE)
    # A block whose training rows were cross-fitted is not what is kept of it: it fails its digest, and is encoded anew.
    if kept is not None:
        for each in done:
            kept.note(each.noted)  # by another process
        kept.keep(out, {digests[r.name]: r.index for r in replicates})


@dataclass(frozen=True)
class _Work:
    """What all replicates of a modality share."""

    corpus: PreparedCorpus
    modality: str
    encoders: Path
    hidden_dim: int
    settings: Dump
    options: Encoder
    savepoints: Savepoints
    device: str

    def load(self, replicate: Replicate) -> tuple[UnimodalEncoder, Scaler, str]:
        """A replicate's encoder on the device, its scaler and its digest."""
        path = self.encoders / f"{replicate.name}.safetensors"
        encoder, scaler = load_fitting(path, self.corpus, self.modality, self.hidden_dim)
        return encoder.to(self.device), scaler, digest_file(path)

    def encode_rows(self, scaler: Scaler, encoder: UnimodalEncoder, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """States and posteriors of corpus rows, in batches."""
        size, features = self.settings.batch_size, self.corpus.features[self.modality]
        parts = [rows[start : start + size] for start in range(0, max(len(rows), 1), size)]
        encoded = [encode(encoder, scaler, features[part]) for part in parts]
        return np.concatenate([states for states, _ in encoded]), np.concatenate([proba for _, proba in encoded])


class _Encoded(NamedTuple):
    """One replicate.

    Attributes:
        digest: of its encoder. noted: of its blocks.
        apart: files of its own, where another machine wrote them; none where it is in its place already.
    """

    digest: str
    noted: Noted
    apart: list[Path]

    def bring_home(self, arrays: Sequence[np.ndarray], place: int) -> None:
        """Move what lies apart to its place."""
        for array, path in zip(arrays, self.apart, strict=False):
            array[place] = np.load(path, mmap_mode="r")
            path.unlink()


def _encode_replicate(work: _Work, directory: Path, kept: KeptStates | None, replicate: Replicate) -> _Encoded:
    """Write one replicate's states and posteriors, block by block."""
    features = work.corpus.features[work.modality]
    encoder, scaler, digest = work.load(replicate)
    written, apart = _place(work, directory, replicate)
    unfinished = UnfinishedStates(work.savepoints.numbered(f"{replicate.name}.rows"), written)
    encode_block = EncodedBlocks(encoder, scaler, features, digest, kept)
    size, rows_in_all = work.settings.batch_size, work.corpus.rows
    for start in track(range(0, rows_in_all, size), f"dump {work.modality} {replicate.name}"):
        rows = slice(start, min(start + size, rows_in_all))
        computed = (written[0][rows], written[1][rows]) if start < unfinished.rows else None
        written[0][rows], written[1][rows] = encode_block(rows, computed)
        unfinished.reach(rows.stop)
    for array in written:
        array.flush()
    return _Encoded(digest, kept.noted if kept else Noted({}, {}), apart)


def _place(work: _Work, directory: Path, replicate: Replicate) -> tuple[tuple[np.memmap, np.memmap], list[Path]]:
    """Where a replicate's rows are written: in their place, or in files of their own on another machine.

    Two machines that map one file write each other's rows, those that share a page.
    """
    if not engine.spans_machines():
        states, posteriors = (np.load(directory / name, mmap_mode="r+")[replicate.index] for name in FILES)
        return (states, posteriors), []
    apart = [directory / f"{replicate.name}.{name}" for name in FILES]
    widths = (work.hidden_dim, work.corpus.classes)
    states, posteriors = (
        map_new_array(path, np.float32, (work.corpus.rows, width)) for path, width in zip(apart, widths, strict=True)
    )
    return (states, posteriors), apart


def _crossfit(work: _Work, replicates: Sequence[Replicate], resources: engine.Resources) -> dict[str, CrossFitted]:
    """Of every replicate, by its name."""
    folds = work.settings.crossfit
    tasks = [(replicate, fold) for replicate in replicates for fold in range(folds)]
    fitted = engine.map(
        partial(_crossfit_fold, work), tasks, resources=resources, description=f"crossfit {work.modality}"
    )
    groups = (fitted[start : start + folds] for start in range(0, len(fitted), folds))
    return {replicate.name: joined(group) for replicate, group in zip(replicates, groups, strict=True)}


def _crossfit_fold(work: _Work, task: tuple[Replicate, int]) -> CrossFitted:
    replicate, fold = task
    encoder, scaler, _ = work.load(replicate)
    corpus, modality, device = work.corpus, work.modality, work.device
    description = EncoderDescription.of(modality, corpus.dims[modality], work.options, corpus.label_names)

    def new_encoder() -> UnimodalEncoder:
        return build_encoder(description).to(device)

    return crossfit_fold(
        corpus,
        modality,
        replicate,
        work.options,
        work.settings.crossfit,
        fold,
        encoder,
        new_encoder,
        partial(work.encode_rows, scaler),
        work.savepoints,
    )


def _create(path: Path, corpus: PreparedCorpus, width: int) -> np.memmap:
    shape = (len(corpus.replicates), corpus.rows, width)
    return map_new_array(path, np.float32, shape)
