"""``params.yaml`` as a whole: read, validated, its sections held against each other."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError

from ramer.config.corpus import Corpus, Prepare
from ramer.config.encoder_settings import Dump, Pretrain
from ramer.config.evaluation import Evaluate, Report
from ramer.config.faults import fault_lines, one_line, shortened
from ramer.config.searching import Index, Retrieval
from ramer.config.section import Section
from ramer.config.surroundings import BEST, Engine, Runtime, Serve, Tracking
from ramer.config.training import Training
from ramer.errors import ConfigError, raise_if_scarce
from ramer.opening import read_regular
from ramer.yaml12 import read_yaml

_MOST_BYTES = 1 << 20  # of params.yaml; the one of this project has 10,000


class Config(Section):
    """The whole of ``params.yaml``."""

    runtime: Runtime = Runtime()
    engine: Engine = Engine()
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

    def on(self, device: str) -> Config:
        """The same with another ``runtime.device``."""
        return self.model_copy(update={"runtime": self.runtime.model_copy(update={"device": device})})


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
        raise_if_scarce(error)
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 (byte {error.start}), expected a UTF-8 file") from None
    except ValueError as error:
        raise ConfigError(f"{path}: not valid YAML: {error}") from None
    return parse_config(raw, str(path))


def parse_config(raw: object, source: str = "params.yaml") -> Config:
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
    if faults := _disagreements(config, source):
        raise ConfigError(faults)
    return config


def _disagreements(config: Config, source: str) -> list[str]:
    """What a section cannot know by itself: names of methods."""
    faults = [
        f"{source}: methods.{one_line(name)}: expected a lower-case identifier as a method's name"
        for name in config.methods
        if not (name.isidentifier() and name == name.lower())
    ]
    faults += [
        f"{source}: methods.{one_line(name)}.type: expected the name of a method, got {shortened(entry.get('type'))}"
        for name, entry in config.methods.items()
        if not isinstance(entry.get("type"), str)
    ]
    if BEST in config.methods:
        faults.append(f"{source}: methods.{BEST}: expected another name, serve.method uses this one")
    named = [("serve.method", config.serve.method)] if config.serve.method != BEST else []
    if config.report.reference != "best_baseline":
        named.append(("report.reference", config.report.reference))
    known = ", ".join(map(one_line, config.methods))
    faults += [
        f"{source}: {field}: {name!r} is not under methods: {known}"
        for field, name in named
        if name not in config.methods
    ]
    return faults
