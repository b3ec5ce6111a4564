"""How often a set of emotions holds the true one, and how many emotions it takes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from ramer.evaluation.bootstrap import draw_weights, interval
from ramer.modalities import CONDITIONS
from ramer.reporting.sections.report_section import Content, Inputs, Section
from ramer.reporting.sets import judged_rows
from ramer.seeding import generator


def _content(page: Inputs) -> Content | None:
    results, options = page.results, page.settings.report
    rows = []
    for name in page.order:
        judged = judged_rows(results.methods[name], results.held, results.label_names, options.coverage)
        if judged is not None:
            rows.append({"name": name, "cells": _cells(page, judged)})
    if not rows:
        return None
    return {
        "columns": list(CONDITIONS),
        "rows": rows,
        "coverage": options.coverage,
        "folds_many": len(results.folds) > 1,
    }


def _cells(page: Inputs, judged: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """Per condition the share covered with its interval over drawn clusters, and the mean size of a set."""
    options, clusters = page.settings.report, page.clusters
    weights = draw_weights(clusters.folds, options.draws, generator(options.seed, "bootstrap")).astype(np.float64)
    cells = {}
    for condition, rows in judged.groupby("condition"):
        cluster = rows["id"].map(clusters.of_row).to_numpy(dtype=np.int64)
        hits = np.bincount(cluster, weights=rows["covered"].to_numpy(dtype=np.float64), minlength=clusters.size)
        counts = np.bincount(cluster, minlength=clusters.size)
        drawn = weights @ hits / np.maximum(weights @ counts, 1.0)
        low, high = interval(drawn, options.confidence)
        cells[str(condition)] = {
            "covered": float(rows["covered"].mean()),
            "low": low,
            "high": high,
            "missed": high < options.coverage,
            "size": float(rows["size"].mean()),
        }
    return cells


SECTION = Section("sets", "Sets", _content)
