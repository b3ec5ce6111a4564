"""An experiment as MLflow runs: one parent, and one child per method."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Iterator, Mapping

from mlflow.entities import Metric, Param, Run, RunStatus
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID, MLFLOW_RUN_NOTE

from ramer.credentials import without_credentials
from ramer.tracking.artifacts import staged
from ramer.tracking.bounded_text import one_line
from ramer.tracking.card_text import experiment_card, method_card
from ramer.tracking.entities import METRICS_PER_CALL, dataset_of, entity_name
from ramer.tracking.measured import Measured
from ramer.tracking.provenance import Provenance, dvc_remote
from ramer.tracking.record import Corpus, Experiment, Part, read_record
from ramer.tracking.store import Store

log = logging.getLogger(__name__)

_PARAMS_PER_CALL = 100  # MLflow takes no more
_FAULT_TAG = "ramer.fault"
_MODIFIED_FILE = "modified_files.txt"  # the tag names a few of them
_FINISHED = RunStatus.to_string(RunStatus.FINISHED)
_FAILED = RunStatus.to_string(RunStatus.FAILED)
_RUNNING = RunStatus.to_string(RunStatus.RUNNING)


def log_experiment(store: Store, experiment: Experiment, provenance: Provenance, digest: str) -> None:
    """Log an experiment unless a finished run of it is there.

    Args:
        store: the open store; nobody else of this workspace logs meanwhile.
        provenance: who made the results.
        digest: of what is logged, see ``digest_inputs``.

    Raises:
        ResultsError: a file is missing or broken; the run is then FAILED and says why in a tag.
    """
    identity = {"ramer.role": "experiment", "ramer.digest": digest}
    parent = _find_parent(store, identity, provenance, experiment.measured)
    if parent.info.status == _FINISHED:
        log.info("already in MLflow: %s", provenance.run_name)
        return
    children = _find_children(store, parent)
    with _finishing(store, parent, experiment.measured.milliseconds()):
        record = read_record(experiment)
        writer = _Writer(store, experiment, dvc_remote(provenance.main), record.corpus)
        if MLFLOW_RUN_NOTE not in parent.data.tags:  # the note is written last: where it is, a retry goes on below
            store.waiting.doing = f"{len(record.experiment.artifacts)} files of the experiment"
            writer.write(parent, record.experiment)
            if provenance.modified:
                store.client.log_text(parent.info.run_id, "\n".join(provenance.modified) + "\n", _MODIFIED_FILE)
            store.client.set_tag(parent.info.run_id, MLFLOW_RUN_NOTE, experiment_card(record, experiment.measured))
        for position, (method, part) in enumerate(record.methods.items()):
            store.waiting.doing = f"method {position + 1} of {len(record.methods)}"
            if method not in children:
                # The UI lists the latest first: starting times that fall keep the order of params.yaml.
                started = parent.info.start_time + len(record.methods) - position
                children[method] = _new_child(store, parent, provenance.tags() | record.tags[method], method, started)
            child = children[method]
            if child.info.status != _FINISHED:
                with _finishing(store, child, experiment.measured.milliseconds(method)):
                    writer.write(child, part)
                    store.client.set_tag(child.info.run_id, MLFLOW_RUN_NOTE, method_card(record, method))
        if _wants_version(experiment, provenance):
            store.waiting.doing = "the model for the registry"
            from ramer.tracking.registration import register_run  # imports torch and FAISS

            register_run(store, experiment, record, children[experiment.served], provenance)
    log.info("logged to MLflow: %s with %d methods", provenance.run_name, len(record.methods))


def _wants_version(experiment: Experiment, provenance: Provenance) -> bool:
    """Whether ``serve.registration`` asks for a version of this run; ``auto`` leaves temporary copies out."""
    if experiment.serve.registration == "auto":
        return provenance.main == experiment.project.root
    return experiment.serve.registration == "always"


def _find_parent(store: Store, identity: Mapping[str, str], provenance: Provenance, measured: Measured) -> Run:
    """The experiment's run, a new one where there is none; a finished one rather than one that was broken off.

    A new one began when the pipeline did, not when it was logged.
    """
    condition = " and ".join(f"tags.`{key}` = '{value}'" for key, value in identity.items())
    wanted = {"dvc.exp_name": provenance.experiment, "dvc.baseline_rev": provenance.baseline}
    found = [
        run
        for run in store.client.search_runs([store.experiment_id], condition)
        if wanted.items() <= run.data.tags.items()
    ]
    if not found:
        tags = {**provenance.tags(), **identity}
        started = round(1000 * time.time()) - measured.milliseconds()
        return store.client.create_run(store.experiment_id, started, tags, provenance.run_name)
    return min(found, key=lambda run: run.info.status != _FINISHED)


def _find_children(store: Store, parent: Run) -> dict[str, Run]:
    condition = f"tags.`{MLFLOW_PARENT_RUN_ID}` = '{parent.info.run_id}'"
    runs = store.client.search_runs([store.experiment_id], condition)
    return {run.data.tags["method"]: run for run in runs if "method" in run.data.tags}


def _new_child(store: Store, parent: Run, tags: Mapping[str, str], method: str, started: int) -> Run:
    own = {"ramer.role": "method", **tags, MLFLOW_PARENT_RUN_ID: parent.info.run_id}
    return store.client.create_run(store.experiment_id, started, own, method)


@contextlib.contextmanager
def _finishing(store: Store, run: Run, took_ms: int) -> Iterator[None]:
    """Leave the run FINISHED, or FAILED with the fault in a tag, whatever it was before.

    Args:
        took_ms: milliseconds that the pipeline took for what the run shows, which is how long the run lasts.
    """
    run_id, end_ms = run.info.run_id, run.info.start_time + took_ms
    if run.info.status != _RUNNING:
        store.client.update_run(run_id, _RUNNING)
    if _FAULT_TAG in run.data.tags:
        store.client.delete_tag(run_id, _FAULT_TAG)
    try:
        yield
    except BaseException as error:
        with contextlib.suppress(Exception):  # the store may be what failed; the first fault is the one to report
            store.client.set_tag(run_id, _FAULT_TAG, one_line(without_credentials(str(error))))
            store.client.set_terminated(run_id, _FAILED, end_ms)
        raise
    store.client.set_terminated(run_id, _FINISHED, end_ms)


class _Writer:
    """Writes one part into one run, in as few calls as MLflow allows."""

    def __init__(self, store: Store, experiment: Experiment, remote: Mapping[str, str] | None, corpus: Corpus) -> None:
        self.client = store.client
        self.root, self.max_mb = experiment.project.root, experiment.tracking.max_artifact_mb
        self.remote = remote
        self.dataset = dataset_of(corpus)

    def write(self, run: Run, part: Part) -> None:
        # Every value carries the run's starting time: logging it again after a crash adds nothing.
        time_ms = run.info.start_time
        run_id = run.info.run_id
        metrics = [Metric(entity_name(key), value, time_ms, 0) for key, value in part.metrics.items()]
        metrics += [Metric(entity_name(point.name), point.value, time_ms, point.step) for point in part.history]
        params = [Param(entity_name(key), value) for key, value in part.params.items()]
        while metrics or params:
            self.client.log_batch(run_id, metrics[:METRICS_PER_CALL], params[:_PARAMS_PER_CALL])
            metrics, params = metrics[METRICS_PER_CALL:], params[_PARAMS_PER_CALL:]
        self.client.log_inputs(run_id, [self.dataset])
        with staged(part.artifacts, self.root, self.max_mb, self.remote) as folder:
            self.client.log_artifacts(run_id, str(folder))
