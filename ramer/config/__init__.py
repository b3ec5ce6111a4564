"""``params.yaml`` as frozen, validated models, a module for the sections of a part of the pipeline.

Keys are named for the stages that read them. A bad value is refused with the key's name
and what was expected, before any work starts. Options of a method live with the method
(``ramer.methods``); here an entry of ``methods`` is only known to be a mapping with a ``type``.
"""

from __future__ import annotations

from ramer.config.corpus import Corpus, Merbench, Prepare, Synthetic
from ramer.config.encoder_settings import Dump, Encoder, Pretrain
from ramer.config.evaluation import Evaluate, Report
from ramer.config.faults import fault_lines, one_line, repeated, shortened
from ramer.config.params import Config, load_config, parse_config
from ramer.config.searching import Index, Retrieval
from ramer.config.section import (
    Among,
    Count,
    Dropout,
    PerModalityFloat,
    PerModalityInt,
    PerModalityPath,
    Positive,
    Rate,
    Searched,
    Section,
    Share,
    Whole,
)
from ramer.config.surroundings import (
    BEST,
    DEVICE_NAMES,
    RAY_ADDRESS,
    RAY_ADDRESS_SETTING,
    Engine,
    Runtime,
    Serve,
    Tracking,
)
from ramer.config.training import MissingRates, Training

__all__ = [
    "BEST",
    "DEVICE_NAMES",
    "RAY_ADDRESS",
    "RAY_ADDRESS_SETTING",
    "Among",
    "Config",
    "Corpus",
    "Count",
    "Dropout",
    "Dump",
    "Encoder",
    "Engine",
    "Evaluate",
    "Index",
    "Merbench",
    "MissingRates",
    "PerModalityFloat",
    "PerModalityInt",
    "PerModalityPath",
    "Positive",
    "Prepare",
    "Pretrain",
    "Rate",
    "Report",
    "Retrieval",
    "Runtime",
    "Searched",
    "Section",
    "Serve",
    "Share",
    "Synthetic",
    "Tracking",
    "Training",
    "Whole",
    "fault_lines",
    "load_config",
    "one_line",
    "parse_config",
    "repeated",
    "shortened",
]
