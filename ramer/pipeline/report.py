"""Stage ``report``: compare the methods."""

from __future__ import annotations

import logging

from ramer.config import Config
from ramer.pipeline.results_origin import keep_origin
from ramer.project import Project
from ramer.reporting.comparison import compare_methods
from ramer.reporting.results import ReportSettings

log = logging.getLogger(__name__)


def report(config: Config, project: Project) -> None:
    """Compare the listed methods and say which to use.

    Raises:
        StaleError: a file is absent, torn or does not fit the others; one line per fault.
    """
    settings = ReportSettings(config.evaluate, config.report, config.retrieval, config.serve.method)
    compare_methods(project, list(config.methods), settings)
    keep_origin(project)
    log.info("report: %s; its table: ramer report", project.report)
