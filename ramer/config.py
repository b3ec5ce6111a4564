"""``params.yaml`` as frozen, validated models.

Keys are named for the stages that read them. A bad value is refused with the key's name
and what was expected, before any work starts. Options of a method live with the method
(``ramer.methods``); here an entry of ``methods`` is only known to be a mapping with a ``type``.
"""

from __future__ import annotations

import reprlib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ramer.errors import ConfigError
from ramer.opening import read_regular
from ramer.yaml12 import read_yaml

_MOST_BYTES = 1 << 20  # of params.yaml; the one of this project has 10,000
Rate = Annotated[float, Field(ge=0.0, lt=1.0)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]
Dropout = Annotated[float, Field(ge=0.0, lt=1.0)]
Positive = Annotated[float, Field(gt=0.0)]
Count = Annotated[int, Field(ge=1)]
Whole = Annotated[int, Field(ge=0)]


class Section(BaseModel):
    """A frozen section that refuses unknown keys and lax types."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Runtime(Section):
    """What decides the bits of a result besides the data.

    Attributes:
        threads: of torch, FAISS and BLAS, part of the result.
        device: auto, cpu, cuda or cuda:N.
    """

    threads: Count = 1
    device: Annotated[str, Field(pattern=r"^(auto|cpu|cuda(:\d+)?)$")] = "auto"


class PerModalityInt(Section):
    audio: Count
    video: Count
    text: Count


class PerModalityFloat(Section):
    audio: float
    video: float
    text: float


class PerModalityPath(Section):
    """A path per modality, relative to the corpus' root; null where the corpus has none."""

    audio: str | None = None
    video: str | None = None
    text: str | None = None


class Synthetic(Section):
    """Knobs of the generated corpus; see ``ramer.data.synthetic`` for the model they belong to.

    Attributes:
        seed: of everything drawn.
        classes: emotions, the first so many of six.
        speakers: of the labelled rows.
        rows: labelled rows.
        pool_rows: unlabelled rows.
        dims: length of a feature vector.
        shared_dim: axes of the clip's own latent that all modalities see.
        mixing_dim: width of the non-linear map from latents to features.
        mixing_gain: how non-linear it is (near 0: linear).
        label_strength: distance of the classes in units of a clip's own deviation, the knob of difficulty.
        shared_strength: how loud the shared latent is.
        speaker_strength: how loud the speaker is.
        noise: of every feature, relative to the signal.
        missing_rate: share of vectors that are naturally missing.
        imbalance: class prior from 0, uniform, to 1, MER-like.
        held_out_share: share of the speakers in val and again in test.
    """

    seed: Whole = 0
    classes: Annotated[int, Field(ge=2, le=6)] = 6
    speakers: Annotated[int, Field(ge=3)] = 24
    rows: Count = 1200
    pool_rows: Whole = 4000
    dims: PerModalityInt = PerModalityInt(audio=128, video=96, text=256)
    shared_dim: Count = 12
    mixing_dim: Count = 64
    mixing_gain: Positive = 1.0
    label_strength: PerModalityFloat = PerModalityFloat(audio=1.6, video=1.7, text=1.6)
    shared_strength: PerModalityFloat = PerModalityFloat(audio=1.0, video=1.0, text=1.0)
    speaker_strength: PerModalityFloat = PerModalityFloat(audio=0.5, video=0.5, text=0.1)
    noise: PerModalityFloat = PerModalityFloat(audio=0.5, video=0.5, text=0.5)
    missing_rate: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.03
    imbalance: Share = 1.0
    held_out_share: Annotated[float, Field(gt=0.0, le=0.4)] = 0.2


class Merbench(Section):
    """A MERBench corpus: label file and feature folders, relative to ``corpus.path``.

    Attributes:
        label_file: the benchmark's ``.npz``, or a CSV with clip, label and, if wanted, speaker and split.
        dataset: whose labels and clip names they are; other: a corpus of your own in this layout, any labels, no
            groups.
    """

    label_file: str = "label.npz"
    features: PerModalityPath = PerModalityPath()
    dataset: Literal["mer", "iemocap4", "iemocap6", "meld", "mosi", "mosei", "sims", "simsv2", "other"] = "mer"
    task: Literal["emotion", "sentiment", "sentiment_nonzero"] = "emotion"


class Corpus(Section):
    """Where the clips come from.

    Attributes:
        kind: the name of a reader in ``ramer.data.kinds``.
        path: what it reads, and what ``prepare`` depends on.
    """

    kind: str = "synthetic"
    path: str = "ramer/data/synthetic.py"
    synthetic: Synthetic = Synthetic()
    merbench: Merbench = Merbench()


class Prepare(Section):
    """How the corpus is cut into replicates.

    Attributes:
        folds: 1 keeps the corpus' own split.
        seeds: one replicate per fold and seed.
    """

    folds: Count = 1
    seeds: Annotated[tuple[Whole, ...], Field(min_length=1, strict=False)] = (0, 1, 2)
    label_budget: Count | None = None

    @model_validator(mode="after")
    def _check(self) -> Prepare:
        if len(set(self.seeds)) != len(self.seeds):
            raise ValueError("seeds must differ from each other")
        if self.folds == 2:
            raise ValueError("folds must be 1 (the corpus' own split) or at least 3 (test, validation and train)")
        return self


class Encoder(Section):
    """One modality's encoder and its pretraining.

    Attributes:
        model_dim: width of the transformer; null keeps the input's.
        input_dropout: share of the input's features dropped in training, for wide inputs with few labels.
    """

    model_dim: Count | None = 64
    hidden_dim: Count = 128
    layers: Count = 2
    heads: Count = 4
    ff_dim: Count = 128
    dropout: Dropout = 0.3
    input_dropout: Dropout = 0.0
    classifier_dims: Annotated[tuple[Count, ...], Field(strict=False)] = (128,)
    lr: Positive = 1e-3
    weight_decay: Annotated[float, Field(ge=0.0)] = 1e-2
    epochs: Count = 60
    patience: Count = 10
    batch_size: Count = 64

    @model_validator(mode="after")
    def _check(self) -> Encoder:
        if self.model_dim is not None and self.model_dim % self.heads:
            raise ValueError(f"model_dim {self.model_dim} must be a multiple of heads {self.heads}")
        return self


class Pretrain(Section):
    audio: Encoder = Encoder()
    video: Encoder = Encoder()
    text: Encoder = Encoder(input_dropout=0.5)

    def of(self, modality: str) -> Encoder:
        return {"audio": self.audio, "video": self.video, "text": self.text}[modality]


class Dump(Section):
    """How hidden states are written.

    Attributes:
        batch_size: rows encoded at a time (memory, not results).
        crossfit: encoders per modality that each leave out a fold of speakers and encode it, 0 for none.
    """

    batch_size: Count = 1024
    crossfit: Whole = 0

    @model_validator(mode="after")
    def _check(self) -> Dump:
        if self.crossfit == 1:
            raise ValueError("crossfit must be 0 (off) or at least 2 folds")
        return self


class Index(Section):
    """The FAISS index of a modality.

    Attributes:
        kind: flat is exact; auto decides by size. null sizes are chosen from the number of keys.
        nlist, nprobe: inverted lists made and visited (null: as many as recall on a sample asks for).
        m: bytes per compressed key (ivf_pq) or links per key (hnsw).
        ef_construction, ef: candidates held while an hnsw graph is built and searched.
    """

    kind: Literal["flat", "ivf_flat", "ivf_pq", "hnsw", "auto"] = "flat"
    nlist: Count | None = None
    nprobe: Count | None = None
    m: Count | None = None
    ef_construction: Count | None = None
    ef: Count | None = None
    rerank: bool = True
    seed: Whole = 0


class Retrieval(Section):
    """What a query may find, and how much of it is kept.

    Attributes:
        scope: which rows may be returned.
        width: candidates kept per query.
        exclude: which rows a query never gets.
    """

    scope: Literal["train", "pool", "all"] = "train"
    width: Count = 50
    exclude: Literal["speaker", "self"] = "speaker"
    queries: Literal["labelled", "all"] = "labelled"


class MissingRates(Section):
    """Probability of each modality to be missing; at least one modality is kept."""

    audio: Rate
    video: Rate
    text: Rate

    @property
    def values(self) -> tuple[float, float, float]:
        return (self.audio, self.video, self.text)


class Training(Section):
    """The budget that every neural missing-modality head shares.

    Attributes:
        missing_rates: of the modalities in the masks that training draws; null draws the seven conditions alike.
    """

    hidden: Annotated[tuple[Count, ...], Field(strict=False)] = (256, 128)
    dropout: Dropout = 0.5
    lr: Positive = 1e-3
    weight_decay: Annotated[float, Field(ge=0.0)] = 1e-2
    epochs: Count = 60
    patience: Count = 12
    batch_size: Count = 128
    missing_rates: MissingRates | None = None


class Evaluate(Section):
    """How predictions are scored.

    Attributes:
        missing_rates: of modalities missing at random, for a curve and its area.
        imbalanced_rates: by a name.
    """

    ece_bins: Annotated[int, Field(ge=2)] = 15
    missing_rates: Annotated[tuple[Rate, ...], Field(strict=False)] = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
    imbalanced_rates: dict[Annotated[str, Field(pattern=r"^[a-z0-9_]+$")], MissingRates] = {
        "audio_scarce": MissingRates(audio=0.9, video=0.1, text=0.1),
        "video_scarce": MissingRates(audio=0.1, video=0.9, text=0.1),
        "text_scarce": MissingRates(audio=0.1, video=0.1, text=0.9),
    }

    @model_validator(mode="after")
    def _check(self) -> Evaluate:
        if len(set(self.missing_rates)) != len(self.missing_rates):
            raise ValueError("missing_rates must differ from each other")
        return self


class Report(Section):
    """How methods are compared.

    Attributes:
        reference: the method that others are compared with, or best_baseline (chosen on validation).
    """

    reference: str = "best_baseline"
    draws: Annotated[int, Field(ge=100)] = 2000
    confidence: Annotated[float, Field(gt=0.5, lt=1.0)] = 0.95
    seed: Whole = 0


class Serve(Section):
    """What answers for new clips.

    Attributes:
        method: what is predicted with and registered as a model.
        model: its name in MLflow's registry.
        registration: auto registers, except from a temporary copy (``dvc exp run --temp`` and queued); always; never.
    """

    method: str = "ramer"
    model: Annotated[str, Field(pattern=r"^[^/:%@\\]+$")] = "ramer"
    registration: Literal["auto", "always", "never"] = "auto"


class Tracking(Section):
    """What is logged to MLflow.

    Attributes:
        enabled: log to MLflow.
        max_artifact_mb: a larger file is logged as path, md5 and DVC remote.
        timeout_s: seconds after which a store that is too slow is given up; the results stay, and a retry goes on.
    """

    enabled: bool = True
    experiment: Annotated[str, Field(min_length=1)] = "ramer"
    max_artifact_mb: Positive = 100.0
    timeout_s: Positive = 600.0


class Config(Section):
    """The whole of ``params.yaml``."""

    runtime: Runtime = Runtime()
    corpus: Corpus = Corpus()
    prepare: Prepare = Prepare()
    pretrain: Pretrain = Pretrain()
    dump: Dump = Dump()
    index: Index = Index()
    retrieval: Retrieval = Retrieval()
    train: Training = Training()
    methods: Annotated[dict[str, dict[str, Any]], Field(min_length=1)]
    evaluate: Evaluate = Evaluate()
    report: Report = Report()
    serve: Serve = Serve()
    tracking: Tracking = Tracking()


def load_config(path: str | Path = "params.yaml") -> Config:
    """Read and validate ``params.yaml``.

    Numbers are read as YAML 1.2 (``1e-05`` is a number, ``off`` is a string), which is how DVC writes them.

    Raises:
        ConfigError: the file is absent, not UTF-8, not YAML, holds a key twice, or a key is unknown, ill-typed or out
            of range; one line per fault.

    Example:
        >>> load_config(project / "params.yaml").prepare.seeds
        (0, 1)
    """
    try:
        text = read_regular(path, _MOST_BYTES).decode("utf-8-sig")
        raw = read_yaml(text)
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file, expected the project's parameters") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 (byte {error.start}), expected a UTF-8 file") from None
    except ValueError as error:
        raise ConfigError(f"{path}: not valid YAML: {error}") from None
    return parse_config(raw, str(path))


def parse_config(raw: Any, source: str = "params.yaml") -> Config:
    """Validate a mapping as ``params.yaml``; ``source`` names it in messages.

    Example:
        >>> config = parse_config({"methods": {"ramer": {"type": "ramer", "k": 10}}})
        >>> config.retrieval.width, config.methods["ramer"]["k"]
        (50, 10)
        >>> parse_config({"methods": {"ramer": {"type": "ramer"}}, "retrieval": {"widht": 5}})
        Traceback (most recent call last):
        ramer.errors.ConfigError: params.yaml: retrieval.widht: unknown key
    """
    if not isinstance(raw, dict):
        raise ConfigError(f"{source}: expected a mapping of sections, got {type(raw).__name__}")
    try:
        config = Config.model_validate(raw)
    except ValidationError as error:
        raise ConfigError(fault_lines(error, source)) from None
    faults = [
        f"{source}: methods.{_name(name)}: expected a lower-case identifier as a method's name"
        for name in config.methods
        if not (name.isidentifier() and name == name.lower())
    ]
    faults += [
        f"{source}: methods.{_name(name)}.type: expected the name of a method, got {_short(entry.get('type'))}"
        for name, entry in config.methods.items()
        if not isinstance(entry.get("type"), str)
    ]
    named = [("serve.method", config.serve.method)]
    if config.report.reference != "best_baseline":
        named.append(("report.reference", config.report.reference))
    for field, name in named:
        if name not in config.methods:
            faults.append(f"{source}: {field}: {name!r} is not under methods: {', '.join(map(_name, config.methods))}")
    if faults:
        raise ConfigError(faults)
    return config


_BRIEF = reprlib.Repr()
_BRIEF.maxlevel, _BRIEF.maxlist, _BRIEF.maxtuple, _BRIEF.maxdict = 4, 20, 20, 20
_BRIEF.maxstring = _BRIEF.maxlong = _BRIEF.maxother = 60


def fault_lines(error: ValidationError, source: str, prefix: str = "") -> list[str]:
    """Pydantic's errors as one line each: file, key, what is wrong, what was given."""
    lines = []
    places = [fault["loc"] for fault in error.errors()]
    for fault in error.errors():
        if any(len(loc) > len(fault["loc"]) and loc[: len(fault["loc"])] == fault["loc"] for loc in places):
            continue  # what is wrong with a list once its bad items are left out
        key = ".".join(_name(part) for part in (prefix, *fault["loc"]) if part != "")
        if fault["type"] == "extra_forbidden":
            lines.append(f"{source}: {key}: unknown key")
        else:
            message = fault["msg"].removeprefix("Value error, ")
            lines.append(f"{source}: {key}: {message[:1].lower()}{message[1:]}, got {_short(fault['input'])}")
    return lines


def _name(key: object) -> str:
    """A key on one line, whatever stands in it."""
    text = str(key)
    return text if text.isprintable() and len(text) <= 60 else _short(text)


def _short(value: Any) -> str:
    if isinstance(value, dict | BaseModel):
        return "this section"
    # A list may hold one and the same list again and again: written out it would be larger than memory.
    text = repr(value) if isinstance(value, str) else _BRIEF.repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
