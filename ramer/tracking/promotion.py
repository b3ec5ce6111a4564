"""The alias ``champion``: moved to a version only if it is not worse than the one that has it."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from ramer.config import Report
from ramer.errors import ModelError
from ramer.evaluation.bootstrap import Bootstrap, Comparison
from ramer.evaluation.points import signed
from ramer.files import read_json, read_table
from ramer.modalities import AVERAGE
from ramer.serving.registered import ABSENT, CANDIDATE, CHAMPION
from ramer.tracking.registration import DIGEST_TAG, SPEAKERS_FILE
from ramer.tracking.store import Store, open_store
from ramer.tracking.versions import find_version


@dataclass(frozen=True)
class Promotion:
    """The version that is champion now, the one before, and how they compare.

    None where there was none before; the same where it is champion already and nothing was done. No comparison of two
    databases of one trained model: with the larger one nothing has been scored.
    """

    name: str
    version: str
    previous: str | None
    comparison: Comparison | None


def promote(
    root: Path,
    environment: Mapping[str, str],
    *,
    name: str,
    version: str | None = None,
    experiment: str = "ramer",
    settings: Report | None = None,
) -> Promotion:
    """Call a version ``champion`` unless it is worse than the present one.

    A version that differs in its database only (``ramer database add``) is not compared: its run's scores are those of
    the first database. Another is worse if the whole interval of the difference of their avg6 weighted F1 lies below
    zero, over the test clips of the same corpus, resampled by speaker as in the report.

    Args:
        root, environment: they name the store.
        name: of the registered model.
        version: the version's number; the one called ``candidate`` if None.
        experiment: of the store, made if there is none of that name.
        settings: draws and confidence of the comparison.

    Raises:
        ModelError: there is no such version, it is worse, or the two were scored on different corpora.
        StoreError: the store cannot be reached.
    """
    with open_store(experiment, environment, root) as store:
        wanted = find_version(store.client, f"models:/{name}/{version}" if version else f"models:/{name}@{CANDIDATE}")
        champion = _by_alias(store, name, CHAMPION)
        if champion is not None and champion.version == wanted.version:
            return Promotion(name, str(wanted.version), str(champion.version), None)
        alike = champion is None or champion.run_id == wanted.run_id
        comparison = None if champion is None or alike else _compare(store, settings or Report(), wanted, champion)
        store.client.set_registered_model_alias(name, CHAMPION, wanted.version)
        if champion is not None and comparison is not None:
            told = f"{comparison.difference:+z.4f} [{comparison.low:+z.4f}, {comparison.high:+z.4f}]"
            store.client.set_model_version_tag(name, wanted.version, "ramer.promoted_over", str(champion.version))
            store.client.set_model_version_tag(name, wanted.version, "ramer.avg6_difference", told)
    return Promotion(name, str(wanted.version), None if champion is None else str(champion.version), comparison)


def _by_alias(store: Store, name: str, alias: str) -> ModelVersion | None:
    try:
        return store.client.get_model_version_by_alias(name, alias)
    except MlflowException as error:
        if error.error_code not in ABSENT:
            raise
        return None


def _compare(store: Store, settings: Report, wanted: ModelVersion, champion: ModelVersion) -> Comparison:
    digests = {str(v.version): v.tags.get(DIGEST_TAG, "none") for v in (wanted, champion)}
    if len(set(digests.values())) > 1:
        told = ", ".join(f"version {version} on {digest[:16]}" for version, digest in digests.items())
        raise ModelError(f"models:/{wanted.name}: not promoted: scored on different corpora ({told})")
    names = [f"version {v.version}" for v in (wanted, champion)]
    with tempfile.TemporaryDirectory(prefix="ramer-promote-") as folder:
        read = [_predictions(store, v, Path(folder, str(v.version))) for v in (wanted, champion)]
    tables = dict(zip(names, (table for table, _ in read), strict=True))
    labels = [str(c).removeprefix("p/") for c in read[0][0] if str(c).startswith("p/")]
    bootstrap = Bootstrap(
        tables, read[0][1], labels, draws=settings.draws, confidence=settings.confidence, seed=settings.seed
    )
    (found,) = bootstrap.compare(names[1], [("weighted_f1", AVERAGE)])
    if found.high < 0:
        raise ModelError(
            f"models:/{wanted.name}: not promoted: {names[0]} is worse than {names[1]}, avg6 weighted F1 "
            f"{signed(found.difference)} points [{signed(found.low)}, {signed(found.high)}]"
        )
    return found


def _predictions(store: Store, version: ModelVersion, folder: Path) -> tuple[pd.DataFrame, dict[str, str | None]]:
    """Test predictions of the version's run, and the speakers of their clips."""
    if not version.run_id:
        raise ModelError(f"models:/{version.name}/{version.version}: belongs to no run, it cannot be compared")
    folder.mkdir()
    paths = [
        store.client.download_artifacts(version.run_id, file, str(folder))
        for file in ("predictions.parquet", SPEAKERS_FILE)
    ]
    return read_table(paths[0]), read_json(paths[1])
